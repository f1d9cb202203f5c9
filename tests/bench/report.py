"""What a run has found, as text."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator, Mapping

from tests.bench import targets
from tests.bench.run import Plan, Results
from tests.bench.scenario import Figure, Step
from tests.bench.tables import (
    comparison_table,
    imports_table,
    memory_table,
    no_op_table,
    serial_table,
    state_table,
    steps_table,
    where_the_time_goes,
)
from tests.bench.targets import Verdict


def report(plan: Plan, results: Results, imports: Mapping[str, float]) -> str:
    """Every table of the run that has something in it, then the targets."""
    first_ups = [figure for figure in results.figures if figure.step is Step.FIRST_UP]
    shortest = [figure for figure in results.figures if figure.latency_ms == plan.latencies[0]]
    remembered = [figure for figure in shortest if figure.step in {Step.FIRST_UP, Step.NO_OP}]
    parts = [
        f"Python {platform.python_version()}, {os.cpu_count()} cores, {platform.system()}, load average before the run "
        f"{results.load_average:.1f}. Seconds are wall time, in brackets CPU time of all processes. Requests are "
        "reads+writes at Mailjet, then at Cloudflare.",
        _part("Every step", steps_table(results.figures)),
        _part("An up that changes nothing", no_op_table(results.no_ops)),
        _part("Against a serial loop of POSTs", serial_table(results.loops, first_ups)),
        _part("State", state_table(results.states)),
        _part("Peak memory, MB", memory_table(remembered)),
    ]
    where = [f"{step.value}:\n\n{where_the_time_goes(costs)}" for step, costs in results.parts.items() if costs]
    if where:
        parts += [_part("Where the time of a command goes", "\n\n".join(where)), imports_table(imports)]
    if results.theirs:
        title = f"Against a resource for each of {plan.comparison:,} mailboxes"
        parts.append(_part(title, comparison_table(results.ours, results.theirs)))
    parts.append(_part("Targets", "\n".join(f"- {verdict}" for verdict in verdicts(plan, results))))
    if plan.sizes[-1] < targets.SIZE:
        parts.append(f"The targets for time and state speak of {targets.SIZE:,} mailboxes.")
    if results.skipped:
        parts.append(f"Not measured, since {plan.minutes:g} minutes were over: {', '.join(results.skipped)}.")
    return "\n\n".join(parts)


def _part(title: str, text: str) -> str:
    return f"### {title}\n\n{text}"


def verdicts(plan: Plan, results: Results) -> Iterator[Verdict]:
    """The targets, as far as the run has measured what they speak of."""
    size = plan.sizes[-1]
    figures = {
        figure.step: figure
        for figure in results.figures
        if (figure.size, figure.latency_ms, figure.limiter) == (size, plan.latencies[0], True)
    }
    for step, expected in ((Step.ADDED, 1), (Step.REMOVED, 1), (Step.NO_OP, 0), (Step.PREVIEW, 0), (Step.REFRESH, 0)):
        if figure := figures.get(step):
            found = figure.calls.mailjet_writes + figure.calls.cloudflare_writes
            yield targets.writes(step.value, found, expected, size)
    if refresh := figures.get(Step.REFRESH):
        yield targets.refresh_reads(refresh.calls.mailjet_reads, size)
    if size < targets.SIZE:
        return
    if size in results.no_ops:
        yield targets.no_op_overhead(results.no_ops[size].seconds_above, size)
    yield from _serial_verdicts(size, results)
    if size in results.states:
        total, identifying = results.states[size]
        yield targets.state_bytes(total / size - identifying, size)
    for step in Step:
        points = sorted(_points(results.figures, step, plan.latencies[0]))
        if len(points) > 2:
            yield targets.linear_growth(step.value, points)


def _serial_verdicts(size: int, results: Results) -> Iterator[Verdict]:
    loops = {loop.latency_ms: loop for loop in results.loops}
    for figure in results.figures:
        loop = loops.get(figure.latency_ms)
        if figure.step is Step.FIRST_UP and figure.size == size and loop and figure.latency_ms >= targets.SLOW_MS:
            yield targets.faster_than_serial(
                loop.seconds_for(size),
                figure.cost.seconds,
                size=size,
                latency_ms=figure.latency_ms,
                limiter=figure.limiter,
            )


def _points(figures: list[Figure], step: Step, latency_ms: int) -> list[tuple[int, float]]:
    return [
        (figure.size, figure.cost.cpu_seconds)
        for figure in figures
        if (figure.step, figure.latency_ms, figure.limiter) == (step, latency_ms, True)
    ]
