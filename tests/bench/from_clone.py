"""`python -m tests.bench.from_clone`: how long a newcomer waits, step by step, and how many requests each step makes.

It clones the committed project into an empty folder, with a virtualenv of its own, and goes on to the first mail between two
agents. The engine is the one in the cache; `--installed` puts it on PATH as an installed Pulumi would be and hides the cache,
`--cold` builds it anew. What is taken of the fixed ports is replaced, so a running `make up` is not disturbed.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from engine.build import built_cli
from engine.layout import layout
from tests.e2e.stack import ROOT, Emulators, Stack

NEWCOMER = {
    "id": "0b5c3a53-6c0b-5d0e-9f5e-6a3d6c1b2a10",
    "name": "Ada Lovelace",
    "username_hint": "ada_lovelace_madrid1815",
}


def timed(what: str, action: Callable[[], object]) -> object:
    """Run a step and print its wall time."""
    start = time.monotonic()
    result = action()
    print(f"{what:<62}{time.monotonic() - start:8.1f} s", flush=True)
    return result


def main(arguments: list[str] | None = None) -> int:
    """Exit status 0; a failing step ends the run with its output."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.from_clone", description=__doc__)
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--cold", action="store_true", help="build the engine with an empty cache (about five minutes)")
    which.add_argument("--installed", action="store_true", help="with a Pulumi on PATH, and none in the cache")
    parser.add_argument(
        "--apart",
        action="store_true",
        help="with --cold: the packages first, then the engine, not both at the same time",
    )
    parser.add_argument("--no-counts", action="store_true", help="stop after the first mail")
    chosen = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="agentmail-clone-") as name:
        folder = Path(name)
        environment = dict(os.environ)
        if chosen.cold or chosen.installed:
            environment |= {"XDG_CACHE_HOME": str(folder / "cache"), "GOCACHE": str(folder / "go")}
        if chosen.installed:
            programs = folder / "programs"
            programs.mkdir()
            (programs / "pulumi").symlink_to(built_cli(layout(os.environ)))
            environment["PATH"] = f"{programs}:{environment['PATH']}"
        how = "engine built anew" if chosen.cold else "Pulumi on PATH" if chosen.installed else "engine from the cache"
        _measure(folder, environment, how, apart=chosen.apart or not chosen.cold)
        if not chosen.no_counts:
            _count(folder, folder / "emulators")
    return 0


def _measure(folder: Path, environment: dict[str, str], how: str, *, apart: bool) -> None:
    clone = folder / "clone"

    def command(*words: str | Path, stdin: str = "") -> str:
        done = subprocess.run(
            [str(word) for word in words], cwd=clone, env=environment, input=stdin, capture_output=True, text=True
        )
        if done.returncode != 0:
            sys.exit(f"{' '.join(map(str, words))} failed:\n{done.stdout}{done.stderr}")
        return done.stdout

    print(f"From a clone, {how}")
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
    used, started = os.times(), time.monotonic()
    if apart:
        timed("  virtualenv and packages", lambda: command("make", ".venv/.installed"))
    what = "engine and plugins" if apart else "packages beside the engine, and plugins"
    timed(f"  {what}: ./mail setup", lambda: command("./mail", "setup"))
    try:
        timed("  emulators, a stack of 100 mailboxes, gateway, inbox: make up", lambda: command("make", "up"))
        timed("  one agent writes to another: ./mail demo", lambda: command("./mail", "demo"))
        seconds, now = time.monotonic() - started, os.times()
        cpu = now.children_user + now.children_system - used.children_user - used.children_system
        print(f"{'  from the clone to that mail':<62}{seconds:8.1f} s, {cpu:.1f} s of CPU without the servers")
        print("Again, with everything there")
        timed("  virtualenv, engine and plugins: ./mail setup", lambda: command("./mail", "setup"))
        timed("  make up", lambda: command("make", "up"))
    finally:
        command("make", "down")


def _count(folder: Path, state: Path) -> None:
    emulators = Emulators.start(state)
    try:
        _life(folder, emulators)
    finally:
        emulators.stop()


def _life(folder: Path, emulators: Emulators) -> None:
    population = folder / "population.yaml"
    population.write_text((ROOT / "populations" / "dev.yaml").read_text())
    stack = Stack.create(folder / "project", emulators, population=population)

    def step(what: str, action: Callable[[], object]) -> None:
        emulators.forget_requests()
        timed(what, action)
        for side in ("mailjet", "cloudflare"):
            counts = emulators.counts(side)
            print(f"      {side:<12}{counts['reads']:>6} reads {counts['writes']:>6} writes")

    print("The stack dev, 100 mailboxes")
    step("  first pulumi up", stack.up)
    step("  second pulumi up", lambda: stack.up("--expect-no-changes"))
    export = json.loads((ROOT / "tests/fixtures/population-100.json").read_text())
    export["agents"].append(NEWCOMER)
    (folder / "export.json").write_text(json.dumps(export))
    imported = [str(ROOT / "mail"), "agents", "import", str(folder / "export.json"), str(population)]
    subprocess.run(imported, cwd=ROOT, check=True, capture_output=True)
    step("  preview of one more agent", stack.preview)
    step("  pulumi up with one more agent", stack.up)
    step("  pulumi destroy --refresh", stack.destroy)


if __name__ == "__main__":
    sys.exit(main())
