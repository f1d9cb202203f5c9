"""A command of the engine's that is interrupted ends by itself.

`subprocess.run` kills what it runs a quarter of a second after a Ctrl-C. The engine needs longer: it waits for what is being
written, saves the state and gives its lock back.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence

from commands.signals import Terminated


def finished(
    command: Sequence[str], *, environment: Mapping[str, str], stdin: str = "", captured: bool = True
) -> subprocess.CompletedProcess[str]:
    """Run to the end, whatever comes meanwhile; then raises the KeyboardInterrupt that came.

    A terminal's Ctrl-C reaches the command itself. SIGTERM reaches this process alone, so the command is interrupted for it.
    `captured`: whether its output is kept; else it shows where this process does.
    """
    pipe = subprocess.PIPE if captured else None
    interrupted = False
    with subprocess.Popen(  # noqa: S603
        command, stdin=subprocess.PIPE, stdout=pipe, stderr=pipe, text=True, env=dict(environment)
    ) as running:
        given: str | None = stdin
        while True:
            try:
                out, err = running.communicate(given)
                break
            except Terminated:
                running.send_signal(signal.SIGINT)
                interrupted = True
            except KeyboardInterrupt:
                interrupted = True
            given = None
    if interrupted:
        raise KeyboardInterrupt
    return subprocess.CompletedProcess(command, running.returncode, out or "", err or "")


def overheard(command: Sequence[str], *, environment: Mapping[str, str], hear: Callable[[str], None]) -> int:
    """The same with its output shown where this process shows its own, and each line heard; its exit status."""
    interrupted = False
    with subprocess.Popen(  # noqa: S603
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        errors="replace",
        env=dict(environment),
    ) as running:
        passing_on = _PassingOn(running.stdout or (), hear)
        passing_on.start()
        while True:
            try:
                running.wait()
                passing_on.join()
                break
            except Terminated:
                running.send_signal(signal.SIGINT)
                interrupted = True
            except KeyboardInterrupt:
                interrupted = True
    if interrupted:
        raise KeyboardInterrupt
    if passing_on.failure is not None:
        raise passing_on.failure
    return running.returncode


class _PassingOn(threading.Thread):
    """Reads to the end, also where nobody reads here any more: a command whose output is not taken would wait for ever."""

    def __init__(self, lines: Iterable[str], hear: Callable[[str], None]) -> None:
        super().__init__(name="passing on", daemon=True)
        self._lines = lines
        self._hear = hear
        self.failure: OSError | None = None

    def run(self) -> None:
        for line in self._lines:
            self._hear(line)
            if self.failure is None:
                try:
                    sys.stdout.write(line)
                    sys.stdout.flush()
                except OSError as failure:
                    self.failure = failure
