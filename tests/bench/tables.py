"""Measurements as Markdown tables. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median

from tests.bench.processes import Cost, Role
from tests.bench.scenario import EMPTY, Calls, Figure, NoOps, SerialLoop, Step

MEGABYTE = 1024 * 1024


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns as wide as their widest cell; all but the first aligned to the right."""
    widths = [max(len(row[index]) for row in [head, *rows]) for index in range(len(head))]

    def line(cells: Sequence[str]) -> str:
        padded = [
            cell.rjust(width) if index else cell.ljust(width)
            for index, (cell, width) in enumerate(zip(cells, widths, strict=True))
        ]
        return f"| {' | '.join(padded)} |"

    rule = "|".join("-" * (width + 1) + (":" if index else "-") for index, width in enumerate(widths))
    return "\n".join([line(head), f"|{rule}|", *map(line, rows)])


def calls_shown(calls: Calls) -> str:
    """`reads+writes` at Mailjet, then at Cloudflare."""
    return f"{calls.mailjet_reads:,}+{calls.mailjet_writes:,}, {calls.cloudflare_reads:,}+{calls.cloudflare_writes:,}"


def steps_table(figures: Sequence[Figure]) -> str:
    """Every step of one subject: rows by latency and step, columns by size; the last says how wall time grows."""
    sizes = sorted({figure.size for figure in figures})
    found = {(figure.latency_ms, figure.step, figure.size): figure for figure in figures if figure.limiter}
    rows = []
    for latency in sorted({figure.latency_ms for figure in figures}):
        for step in Step:
            cells = [found.get((latency, step, size)) for size in sizes]
            if not any(cells):
                continue
            shown = [
                text for cell in cells for text in ((_time(cell.cost), calls_shown(cell.calls)) if cell else ("", ""))
            ]
            rows.append([f"{step.value}, {latency} ms", *shown, _growth([cell for cell in cells if cell])])
    head = [
        "step, latency",
        *(text for size in sizes for text in (f"{size:,}: wall (CPU) s", "reads+writes")),
        "growth",
    ]
    return table(head, rows)


def _time(cost: Cost) -> str:
    return f"{cost.seconds:.1f} ({cost.cpu_seconds:.1f})"


def _growth(cells: Sequence[Figure]) -> str:
    """How many times the mailboxes, how many times the seconds."""
    if len(cells) < 2:
        return ""
    first, last = cells[0], cells[-1]
    return f"x{last.size / first.size:g} in x{last.cost.seconds / first.cost.seconds:.1f}"


def comparison_table(ours: Sequence[Figure], theirs: Sequence[Figure]) -> str:
    """The same steps on two subjects; the ratio says how many times longer the other one takes."""
    other = {figure.step: figure for figure in theirs}
    rows = [
        [
            figure.step.value,
            _time(figure.cost),
            calls_shown(figure.calls),
            _time(other[figure.step].cost),
            calls_shown(other[figure.step].calls),
            f"x{other[figure.step].cost.seconds / figure.cost.seconds:.1f}",
        ]
        for figure in ours
        if figure.step in other
    ]
    names = [subjects[0].subject if subjects else "" for subjects in (ours, theirs)]
    return table(["step", f"{names[0]}: s", "reads+writes", f"{names[1]}: s", "reads+writes", "ratio"], rows)


def serial_table(loops: Sequence[SerialLoop], first_ups: Sequence[Figure]) -> str:
    """First ups against a loop of as many POSTs at the same latency."""
    rows = []
    for figure in sorted(first_ups, key=lambda each: (each.size, each.latency_ms, not each.limiter)):
        for loop in loops:
            if loop.latency_ms == figure.latency_ms:
                seconds = loop.seconds_for(figure.size)
                rows.append(
                    [
                        f"{figure.size:,}",
                        f"{figure.latency_ms} ms",
                        "on" if figure.limiter else "off",
                        f"{seconds:.1f}{'' if loop.posts == figure.size else f' (of {loop.posts:,})'}",
                        f"{figure.cost.seconds:.1f}",
                        f"x{seconds / figure.cost.seconds:.1f}",
                    ]
                )
    return table(["mailboxes", "latency", "limiter", "serial loop, s", "first up, s", "times faster"], rows)


def no_op_table(no_ops: Mapping[int, NoOps]) -> str:
    """Medians; the last column is what the size adds to three mailboxes at the same time."""
    rows = [
        [
            f"{size:,}",
            f"{median(cost.seconds for cost in pair.small):.2f}",
            f"{median(cost.seconds for cost in pair.own):.2f}",
            f"{median(cost.cpu_seconds for cost in pair.own):.2f}",
            " ".join(f"{cost.seconds:.1f}" for cost in pair.own),
            f"{pair.seconds_above:+.2f}",
        ]
        for size, pair in sorted(no_ops.items())
    ]
    return table(["mailboxes", "with 3, s", "median, s", "CPU, s", "all runs, s", "above 3 mailboxes"], rows)


def state_table(states: Mapping[int, tuple[int, float]]) -> str:
    """`states`: size -> (bytes of the state file, bytes of an address and an id together)."""
    rows = []
    before: tuple[int, int] | None = None
    for size, (total, identifying) in sorted(states.items()):
        each = total / size
        marginal = "" if before is None else f"{(total - before[1]) / (size - before[0]):.0f}"
        rows.append(
            [f"{size:,}", f"{total:,}", f"{each:.0f}", f"{identifying:.0f}", f"{each - identifying:.0f}", marginal]
        )
        before = (size, total)
    head = ["mailboxes", "bytes", "a mailbox", "address and id", "beyond them", "each further mailbox"]
    return table(head, rows)


def memory_table(figures: Sequence[Figure]) -> str:
    """Peak resident memory by process, in MB."""
    roles = [role for role in Role if any(role in figure.cost.peak for figure in figures)]
    rows = [
        [
            f"{figure.step.value}, {figure.size:,}",
            *(f"{figure.cost.peak.get(role, 0) / MEGABYTE:.0f}" for role in roles),
            f"{figure.cost.peak_bytes / MEGABYTE:.0f}",
        ]
        for figure in figures
    ]
    return table(["step, mailboxes", *(role.value for role in roles), "together"], rows)


def where_the_time_goes(costs: Mapping[int, Sequence[Cost]]) -> str:
    """CPU seconds of one command by process; size of the stack -> what it has cost there (medians), EMPTY among them or not.

    The last rows say how long it took, and how many times the empty stack's CPU and time that is.
    """
    sizes = sorted(costs)
    totals = {size: median(cost.cpu_seconds for cost in costs[size]) for size in sizes}
    rows = [[role.value, *(f"{_cpu(costs[size], role):.2f}" for size in sizes)] for role in Role]
    waited = {size: median(cost.seconds for cost in costs[size]) for size in sizes}
    for name, found in (("all", totals), ("seconds of time", waited)):
        rows.append([name, *(f"{found[size]:.2f}" for size in sizes)])
        if EMPTY in found:
            rows.append(["times the empty program", *(f"{found[size] / found[EMPTY]:.1f}" for size in sizes)])
    return table(
        ["CPU seconds (median)", *(f"{size:,} mailboxes" if size else "empty program" for size in sizes)], rows
    )


def _cpu(costs: Sequence[Cost], role: Role) -> float:
    return median(cost.cpu.get(role, 0.0) for cost in costs)


def imports_table(imports: Mapping[str, float]) -> str:
    return table(["import", "CPU, s"], [[name, f"{seconds:.2f}"] for name, seconds in imports.items()])
