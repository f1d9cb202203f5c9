"""The packages and the engine's build at the same time: pretended installers and compilers, real processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.engine.machines import PULUMI, ROOT, Machine, alive
from tests.unit.engine.test_engine_build import GO
from tests.waiting import wait_until

pytestmark = pytest.mark.slow

MEETING = """
touch {own}
for _ in $(seq 600); do [ -e {other} ] && break; sleep 0.05; done
[ -e {other} ] || exit 1
"""
"""Ends only when both have begun."""


@pytest.fixture
def lock(bare: Machine) -> Path:
    """A lock file, and a virtualenv whose Python does nothing."""
    bare.program("python", "#!/bin/sh\nexit 0\n", bare.folder / "venv" / "bin")
    file = bare.folder / "some.lock"
    file.write_text("")
    return file


def started(machine: Machine, lock: Path) -> subprocess.Popen[str]:
    """As make starts it: without a package, since there is none yet."""
    variables = {"AGENTMAIL_STATE_DIR": str(machine.layout.state), "XDG_CACHE_HOME": str(machine.folder / "cache")}
    return subprocess.Popen(
        [sys.executable, "-S", ROOT / "engine" / "side_by_side.py", lock, machine.folder / "venv"],
        env=machine.environment | variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def ended(machine: Machine, lock: Path) -> tuple[int, str, str]:
    running = started(machine, lock)
    said, complained = running.communicate(timeout=60)
    return running.returncode, said, complained


def built(machine: Machine) -> list[Path]:
    return [file for file in (machine.folder / "cache").rglob("pulumi") if file.is_file()]


def test_both_go_on_at_the_same_time(bare: Machine, lock: Path) -> None:
    uv, go = bare.folder / "uv-began", bare.folder / "go-began"
    bare.program("uv", f"#!/bin/sh\n{MEETING.format(own=uv, other=go)}")
    bare.program("go", GO.replace("case $1 in", f"{MEETING.format(own=go, other=uv)}\ncase $1 in", 1))
    status, said, complained = ended(bare, lock)
    assert (status, said) == (0, f"setup: packages of {lock}\n")
    assert "engine: packages compiled 100 %" in complained
    assert len(built(bare)) == 1


def test_with_an_installed_pulumi_nothing_is_built(bare: Machine, lock: Path) -> None:
    bare.program("pulumi", PULUMI)
    bare.program("uv", "#!/bin/sh\nexit 0\n")
    bare.program("go", GO)
    assert ended(bare, lock) == (0, f"setup: packages of {lock}\n", "")
    assert built(bare) == []


def test_what_is_built_already_is_not_built_again(bare: Machine, lock: Path) -> None:
    bare.program("uv", "#!/bin/sh\nexit 0\n")
    bare.program("go", GO)
    assert ended(bare, lock)[0] == 0
    calls = bare.calls()
    assert ended(bare, lock) == (0, f"setup: packages of {lock}\n", "")
    assert bare.calls() == calls


def test_without_packages_the_build_is_given_up(bare: Machine, lock: Path) -> None:
    pid = bare.folder / "pid"
    bare.program(
        "go", GO.replace("case $1 in", f"[ $1 = build ] && {{ echo $$ > {pid}; exec sleep 600; }}\ncase $1 in")
    )
    # pip, which is asked after a uv that fails, fails too.
    begun = f"#!/bin/sh\nuntil [ -s {pid} ]; do sleep 0.05; done\n"
    bare.program("uv", f"{begun}exit 1\n")
    bare.program("python", "#!/bin/sh\necho no such package >&2\nexit 1\n", bare.folder / "venv" / "bin")
    status, _, complained = ended(bare, lock)
    assert status == 1
    assert f"the packages of {lock} cannot be installed" in complained
    assert complained.rstrip().endswith("no such package")
    assert "Traceback" not in complained
    wait_until(lambda: not alive(int(pid.read_text())), seconds=20)
    assert built(bare) == []


def test_without_a_compiler_the_packages_are_installed_first(bare: Machine, lock: Path) -> None:
    asked, done = bare.folder / "asked", bare.folder / "done"
    bare.program("uv", f"#!/bin/sh\nuntil [ -e {asked} ]; do sleep 0.05; done\ntouch {done}\n")
    bare.program("go", f"#!/bin/sh\ntouch {asked}\necho go version go1.2 linux/amd64\n")
    status, _, complained = ended(bare, lock)
    assert status == 1
    assert "engine: " in complained
    assert done.exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_told_to_stop_nothing_goes_on(bare: Machine, lock: Path, number: signal.Signals) -> None:
    pids = [bare.folder / "uv-pid", bare.folder / "go-pid"]
    bare.program("uv", f"#!/bin/sh\necho $$ > {pids[0]}\nexec sleep 600\n")
    bare.program(
        "go", GO.replace("case $1 in", f"[ $1 = build ] && {{ echo $$ > {pids[1]}; exec sleep 600; }}\ncase $1 in")
    )
    running = started(bare, lock)
    wait_until(lambda: all(pid.exists() and pid.read_text().endswith("\n") for pid in pids), seconds=30)
    os.kill(running.pid, number)
    _, complained = running.communicate(timeout=20)
    assert running.returncode == 128 + number
    assert "Traceback" not in complained
    processes = [int(pid.read_text()) for pid in pids]
    wait_until(lambda: not any(alive(process) for process in processes), seconds=20)
