"""Measurements as text."""

from __future__ import annotations

from tests.bench.processes import Cost, Role
from tests.bench.report import report, verdicts
from tests.bench.run import Plan, Results
from tests.bench.scenario import EMPTY, Calls, Figure, NoOps, SerialLoop, Step
from tests.bench.tables import (
    comparison_table,
    memory_table,
    no_op_table,
    serial_table,
    state_table,
    steps_table,
    table,
    where_the_time_goes,
)

IMPORTS = {"Python itself": 0.01, "pulumi": 0.2, "pulumi_cloudflare": 1.2, "all of the program's": 1.5}
PLAN = Plan(sizes=(100, 1000, 10_000), latencies=(0, 100), comparison=0, rounds=1, minutes=20)


def cost(seconds: float, cpu: float = 1.0) -> Cost:
    megabyte = 1024 * 1024
    return Cost(
        seconds=seconds,
        cpu={Role.ENGINE: cpu / 4, Role.PROGRAM: 3 * cpu / 4},
        peak={Role.ENGINE: 100 * megabyte, Role.PROGRAM: 50 * megabyte},
    )


def figure(
    step: Step,
    size: int,
    seconds: float,
    *,
    cpu: float = 1.0,
    latency: int = 0,
    writes: int = 0,
    reads: int = 3,
    limiter: bool = True,
) -> Figure:
    calls = Calls(mailjet_reads=reads, mailjet_writes=writes, cloudflare_reads=2, cloudflare_writes=0)
    return Figure(
        subject="s",
        size=size,
        latency_ms=latency,
        step=step,
        cost=cost(seconds, cpu),
        calls=calls,
        limiter=limiter,
    )


def cells(text: str) -> list[list[str]]:
    """The rows of a table without its head."""
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines()[2:]]


def test_a_table_is_aligned() -> None:
    assert table(["a", "long"], [["wide one", "1"]]).splitlines() == [
        "| a        | long |",
        "|----------|-----:|",
        "| wide one |    1 |",
    ]


def test_steps_have_a_column_for_each_size_and_their_growth() -> None:
    figures = [
        figure(Step.FIRST_UP, 100, 4.0, writes=107),
        figure(Step.FIRST_UP, 1000, 6.0, writes=1007),
        figure(Step.FIRST_UP, 1000, 9.0, latency=100),
        figure(Step.FIRST_UP, 1000, 99.0, latency=100, limiter=False),
    ]
    assert cells(steps_table(figures)) == [
        ["first up, 0 ms", "4.0 (1.0)", "3+107, 2+0", "6.0 (1.0)", "3+1,007, 2+0", "x10 in x1.5"],
        ["first up, 100 ms", "", "", "9.0 (1.0)", "3+0, 2+0", ""],
    ]


def test_a_comparison_says_how_many_times_longer_the_other_takes() -> None:
    [row] = cells(
        comparison_table([figure(Step.FIRST_UP, 10, 2.0), figure(Step.NO_OP, 10, 1)], [figure(Step.FIRST_UP, 10, 9.0)])
    )
    assert row[-1] == "x4.5"


def test_a_serial_loop_is_scaled_to_the_size() -> None:
    loop = SerialLoop(posts=100, latency_ms=100, seconds=10.5)
    ups = [
        figure(Step.FIRST_UP, 10_000, 30.0, latency=100),
        figure(Step.FIRST_UP, 10_000, 25.0, latency=100, limiter=False),
        figure(Step.FIRST_UP, 10_000, 25.0, latency=20),
    ]
    assert cells(serial_table([loop], ups)) == [
        ["10,000", "100 ms", "on", "1050.0 (of 100)", "30.0", "x35.0"],
        ["10,000", "100 ms", "off", "1050.0 (of 100)", "25.0", "x42.0"],
    ]


def test_no_op_ups_are_compared_with_those_beside_them() -> None:
    pair = NoOps(small=[cost(3), cost(9), cost(4)], own=[cost(5), cost(5.5), cost(20)])
    assert cells(no_op_table({1000: pair})) == [["1,000", "4.00", "5.50", "1.00", "5.0 5.5 20.0", "+1.50"]]


def test_state_beside_what_identifies_a_mailbox() -> None:
    assert cells(state_table({100: (100_000, 80.0), 1000: (280_000, 80.0)})) == [
        ["100", "100,000", "1000", "80", "920", ""],
        ["1,000", "280,000", "280", "80", "200", "200"],
    ]


def test_memory_by_process() -> None:
    assert cells(memory_table([figure(Step.NO_OP, 100, 1)])) == [["up that changes nothing, 100", "100", "50", "150"]]


def test_where_the_time_goes_is_medians_by_process_beside_the_empty_program() -> None:
    costs = {EMPTY: [cost(1, cpu=2.0)], 3: [cost(1, cpu=4.0), cost(9, cpu=9.0), cost(1, cpu=3.0)]}
    listed = cells(where_the_time_goes(costs))
    rows = {row[0]: row[1:] for row in listed}
    assert rows["engine"] == ["0.50", "1.00"]
    assert rows["Mailjet providers"] == ["0.00", "0.00"]
    assert listed[-4:] == [
        ["all", "2.00", "4.00"],
        ["times the empty program", "1.0", "2.0"],
        ["seconds of time", "1.00", "1.00"],
        ["times the empty program", "1.0", "1.0"],
    ]


class TestReport:
    def results(self) -> Results:
        found = Results(load_average=0.5)
        for size, cpu in ((100, 4.0), (1000, 5.0), (10_000, 15.0)):
            found.figures += [
                figure(Step.FIRST_UP, size, cpu, cpu=cpu, writes=size + 7),
                figure(Step.REFRESH, size, 2.0, reads=size // 1000 + 9),
                figure(Step.ADDED, size, 4.0, writes=1),
                figure(Step.NO_OP, size, 4.0),
            ]
            found.no_ops[size] = NoOps(small=[cost(4)], own=[cost(4 + size / 10_000)])
            found.parts[Step.NO_OP][size] = [cost(4)]
            found.states[size] = (60_000 + 310 * size, 85.0)
        found.figures.append(figure(Step.FIRST_UP, 10_000, 40.0, latency=100))
        found.loops.append(SerialLoop(posts=100, latency_ms=100, seconds=10.0))
        return found

    def test_every_target_is_judged(self) -> None:
        found = [str(verdict) for verdict in verdicts(PLAN, self.results())]
        assert [line for line in found if line.startswith("MISSED")] == []
        assert {line.split("  ", 1)[1].split(" ", 1)[0] for line in found} == {
            *("writes", "Mailjet", "no-op", "first", "state", "growth"),
        }

    def test_a_missed_target_is_called_so(self) -> None:
        results = self.results()
        results.states[10_000] = (5_310_000, 85.0)
        results.figures = [each for each in results.figures if each.step is not Step.ADDED]
        results.figures.append(figure(Step.ADDED, 10_000, 4.0, writes=65))
        missed = [str(verdict) for verdict in verdicts(PLAN, results) if not verdict.reached]
        assert len(missed) == 2
        assert "writes of one agent added at 10,000: 1: 65" in missed[0]
        assert "446 bytes" in missed[1]

    def test_it_shows_all_that_was_measured_and_names_what_was_not(self) -> None:
        results = self.results()
        results.skipped.append("serial loops")
        text = report(PLAN, results, IMPORTS)
        for title in ("Every step", "State", "Peak memory", "Targets", "Where the time of a command goes"):
            assert f"### {title}" in text
        assert "Not measured, since 20 minutes were over: serial loops." in text
        assert "Against a resource" not in text

    def test_small_runs_are_not_judged_by_what_is_asked_of_large_ones(self) -> None:
        small = Plan(sizes=(100,), latencies=(0,), comparison=0, rounds=1, minutes=1)
        assert "speak of 10,000 mailboxes" in report(small, self.results(), IMPORTS)
        assert not any("state" in verdict.target for verdict in verdicts(small, self.results()))
