"""Plugin processes end with the engine that started them."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.unit.engine.machines import ROOT, alive
from tests.waiting import wait_until

WATCHING = """
import os, sys, threading
from engine import lifetime
lifetime.when_engine_ends(lambda: os._exit(5))
print(os.getpid(), flush=True)
threading.Event().wait()
"""

# Starts a watching process whose stdin is no pipe, tells its id, and lives until its own stdin ends.
PARENT = f"""
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", {WATCHING!r}], stdin=subprocess.DEVNULL, stdout=sys.stdout)
sys.stdin.read()
"""


@pytest.mark.parametrize("written", [b"", b"something"])
def test_the_end_of_stdin_is_the_end_of_the_engine(written: bytes) -> None:
    """What is written there is no end."""
    with subprocess.Popen(
        [sys.executable, "-c", WATCHING], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT
    ) as watching:
        assert watching.stdout is not None
        assert watching.stdin is not None
        watching.stdout.readline()
        watching.stdin.write(written)
        watching.stdin.flush()
        assert watching.poll() is None
        watching.stdin.close()
        assert watching.wait(20) == 5


@pytest.mark.slow
def test_without_a_pipe_the_death_of_the_parent_is_noticed() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PARENT], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT
    ) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        parent.kill()
        parent.wait(20)
        wait_until(lambda: not alive(pid), seconds=20)
