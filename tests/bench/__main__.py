"""`python -m tests.bench`: what the program costs at 100, 1,000 and 10,000 mailboxes, in one run on emulators of its own.

Seconds are those of this machine and of whatever else it does; ratios hold better, and counts of requests and bytes
of state are exact. About twenty minutes on two cores; `--quick` takes four. docs/scale.md says what was found; a full run
draws its picture anew.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from tests.bench import plots
from tests.bench.imports import measured_imports
from tests.bench.report import report
from tests.bench.run import Bench, Plan, Results
from tests.bench.scenario import Step

FULL = Plan(sizes=(100, 1000, 10_000), latencies=(0, 20, 100), comparison=1000, rounds=5, minutes=20)
QUICK = Plan(sizes=(100, 1000), latencies=(0, 100), comparison=100, rounds=3, minutes=20)


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status 0; a command that fails ends the run with its output."""
    plan = parse(arguments)
    started = time.monotonic()
    imports = measured_imports()
    with tempfile.TemporaryDirectory(prefix="agentmail-bench-") as folder:
        bench = Bench(plan, Path(folder))
        try:
            results = bench.run()
        finally:
            bench.close()
    print(report(plan, results, imports))
    if plan.sizes == FULL.sizes:
        plots.save("steps", steps_chart(results, plan.latencies[0]))
        plots.draw()
    print(f"\nThe run took {(time.monotonic() - started) / 60:.0f} minutes.")
    return 0


def steps_chart(results: Results, latency_ms: int) -> plots.Chart:
    """CPU seconds of every step at one latency: unlike wall time they are much the same whatever else a machine does."""
    sizes = sorted({figure.size for figure in results.figures})
    found = {
        (figure.step, figure.size): round(figure.cost.cpu_seconds, 1)
        for figure in results.figures
        if figure.limiter and figure.latency_ms == latency_ms
    }
    lines = {step.value: [found.get((step, size)) for size in sizes] for step in Step}
    return plots.Chart(
        title="What a step takes",
        x="mailboxes",
        y="seconds of CPU, all processes",
        sizes=sizes,
        lines={name: row for name, row in lines.items() if any(row)},
    )


def parse(arguments: Sequence[str] | None = None) -> Plan:
    """The plan that the command line asks for; what it does not say is as in `FULL` or `QUICK`."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sizes", type=numbers, metavar="N,N", help="mailboxes (100,1000,10000)")
    parser.add_argument("--latencies", type=numbers, metavar="MS,MS", help="of both services (0,20,100)")
    parser.add_argument("--comparison", type=int, help="mailboxes with a resource each; 0 for no comparison (1000)")
    parser.add_argument("--rounds", type=int, help="no-op ups of which the median counts (5)")
    parser.add_argument("--minutes", type=float, help="begin nothing new after so long (20)")
    parser.add_argument("--quick", action="store_true", help="100 and 1,000 mailboxes, 0 and 100 ms, 3 rounds")
    given = vars(parser.parse_args(arguments))
    base = QUICK if given.pop("quick") else FULL
    return Plan(**{name: getattr(base, name) if value is None else value for name, value in given.items()})


def numbers(text: str) -> tuple[int, ...]:
    """`100,1000`, in rising order."""
    found = sorted({int(part) for part in text.split(",")})
    if found[0] < 0:
        raise ValueError(text)
    return tuple(found)


if __name__ == "__main__":
    raise SystemExit(main())
