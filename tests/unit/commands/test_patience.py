"""The engine is given the time to end after a Ctrl-C, and told of a SIGTERM."""

from __future__ import annotations

import os
import signal
import sys
import threading
from pathlib import Path

import pytest

from commands.patience import finished
from commands.signals import terminable
from tests.waiting import wait_until

ENGINE = """
import os, signal, sys
from pathlib import Path

folder = Path(sys.argv[1])
# Held back until it is waited for: one that came between the last two lines would be waited for in vain.
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
(folder / "pid.new").write_text(str(os.getpid()))
(folder / "pid.new").rename(folder / "pid")
signal.sigwait([signal.SIGINT])
while not (folder / "go on").exists():
    pass
(folder / "saved").touch()
sys.exit(3)
"""


@pytest.mark.parametrize("captured", [True, False])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_ends_by_itself(tmp_path: Path, number: signal.Signals, captured: bool) -> None:
    program = tmp_path / "engine.py"
    program.write_text(ENGINE)
    (tmp_path / "go on").touch()

    def interrupt() -> None:
        wait_until((tmp_path / "pid").exists, "the command never started", seconds=30, pause_seconds=0.01)
        if number is signal.SIGINT:  # as a terminal does: both at once
            os.kill(int((tmp_path / "pid").read_text()), signal.SIGINT)
        os.kill(os.getpid(), number)

    meanwhile = threading.Thread(target=interrupt)
    meanwhile.start()
    with terminable(), pytest.raises(KeyboardInterrupt):
        finished([sys.executable, str(program), str(tmp_path)], environment=os.environ, captured=captured)
    meanwhile.join()
    assert (tmp_path / "saved").exists()


def test_a_second_ctrl_c_changes_nothing_for_who_waits(tmp_path: Path) -> None:
    """It reaches the engine too, which then ends at once; here it is this process's alone."""
    program = tmp_path / "engine.py"
    program.write_text(ENGINE)

    def interrupt() -> None:
        wait_until((tmp_path / "pid").exists, "the command never started", seconds=30, pause_seconds=0.01)
        for _ in range(3):
            os.kill(os.getpid(), signal.SIGINT)
        os.kill(int((tmp_path / "pid").read_text()), signal.SIGINT)
        (tmp_path / "go on").touch()

    meanwhile = threading.Thread(target=interrupt)
    meanwhile.start()
    with pytest.raises(KeyboardInterrupt):
        finished([sys.executable, str(program), str(tmp_path)], environment=os.environ)
    meanwhile.join()
    assert (tmp_path / "saved").exists()


def test_what_it_says_and_how_it_ends() -> None:
    done = finished(
        [sys.executable, "-c", "import sys; print(input()); print('no', file=sys.stderr); sys.exit(4)"],
        environment=os.environ,
        stdin="yes\n",
    )
    assert (done.returncode, done.stdout, done.stderr) == (4, "yes\n", "no\n")
