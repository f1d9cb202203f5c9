"""What a run measures, and in which order."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from tests.bench.__main__ import FULL, QUICK, numbers, parse
from tests.bench.imports import import_lines
from tests.bench.run import SOME_STEPS, Plan
from tests.bench.scenario import EVERY_STEP, SerialLoop, Step
from tests.bench.subjects import link_per_mailbox
from tests.bench.targets import linear_growth


def test_options_win_over_the_defaults_of_either_plan() -> None:
    assert parse([]) == FULL
    assert parse(["--quick"]) == QUICK
    assert parse(["--quick", "--rounds", "7"]).rounds == 7
    assert parse(["--sizes", "500,100", "--comparison", "0"]) == Plan(
        sizes=(100, 500), latencies=FULL.latencies, comparison=0, rounds=FULL.rounds, minutes=FULL.minutes
    )


@pytest.mark.parametrize("text", ["", "a", "1,,2", "-5"])
def test_other_lists_of_numbers_are_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - argparse makes a sentence of it
        numbers(text)


def test_large_stacks_play_every_step_at_one_latency_only() -> None:
    assert FULL.steps(1000, 100) == EVERY_STEP
    assert FULL.steps(10_000, 0) == EVERY_STEP
    assert FULL.steps(10_000, 100) == SOME_STEPS
    assert (EVERY_STEP[0], EVERY_STEP[-1]) == (Step.FIRST_UP, Step.DESTROY)


def test_a_loop_costs_its_posts() -> None:
    assert SerialLoop(posts=100, latency_ms=20, seconds=2.5).seconds_for(10_000) == 250


def test_the_imports_of_a_program_are_all_that_is_left_of_it() -> None:
    source = 'import json\nfrom pathlib import Path\nif json:\n    import os\nprint(Path("x"))\n'
    assert ast.dump(ast.parse(import_lines(source))) == ast.dump(ast.parse("import json\nfrom pathlib import Path"))


@pytest.mark.parametrize(
    ("points", "reached"),
    [
        ([(100, 4.0), (1000, 5.0), (10_000, 15.0)], True),
        ([(100, 4.0), (1000, 5.0), (10_000, 30.0)], False),
        ([(100, 4.0), (1000, 3.9), (10_000, 5.5)], True),
        ([(100, 4.0), (1000, 4.0), (10_000, 9.0)], False),
    ],
)
def test_growth_is_judged_by_what_a_further_mailbox_costs(points: list[tuple[int, float]], reached: bool) -> None:
    assert linear_growth("first up", points).reached is reached


@pytest.mark.slow
def test_the_comparison_finds_all_that_it_imports(tmp_path: Path) -> None:
    link_per_mailbox(tmp_path)
    imports = "import sys; sys.path.insert(0, ''); import tests.bench.per_mailbox.mailbox_route as found; print(found.__file__)"
    done = subprocess.run([sys.executable, "-I", "-c", imports], cwd=tmp_path, capture_output=True, text=True)
    assert (done.stderr, Path(done.stdout.strip()).is_relative_to(tmp_path)) == ("", True)
