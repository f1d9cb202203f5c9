"""A command of the engine's that is interrupted ends by itself.

`subprocess.run` kills what it runs a quarter of a second after a Ctrl-C. The engine needs longer: it waits for what is being
written, saves the state and gives its lock back.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TextIO, TypeVar

from commands.signals import Terminated

_Said = TypeVar("_Said")


class HopelessError(Exception):
    """A command was ended, since what it waits for does not come."""


def finished(
    command: Sequence[str],
    *,
    environment: Mapping[str, str],
    stdin: str = "",
    captured: bool = True,
    hopeless: Callable[[], bool] | None = None,
    seconds: float = 0.0,
) -> subprocess.CompletedProcess[str]:
    """Run to the end, whatever comes meanwhile; then raises the KeyboardInterrupt that came.

    A terminal's Ctrl-C reaches the command itself. SIGTERM reaches this process alone, so the command is interrupted for it.
    `captured`: whether its output is kept; else it shows where this process does. `hopeless` is asked every so many `seconds`
    about a command that changes nothing: where it says so, the command is killed. Raises HopelessError.
    """
    pipe = subprocess.PIPE if captured else None
    given: str | None = stdin
    with subprocess.Popen(  # noqa: S603
        command, stdin=subprocess.PIPE, stdout=pipe, stderr=pipe, text=True, env=dict(environment)
    ) as running:

        def wait() -> tuple[str, str]:
            nonlocal given
            while True:
                now, given = given, None  # it is handed over once, however often this is gone on with
                try:
                    return running.communicate(now, timeout=seconds if hopeless else None)
                except subprocess.TimeoutExpired:
                    if hopeless and hopeless():
                        running.kill()
                        raise HopelessError from None

        out, err = _whatever_comes(running, wait)
    return subprocess.CompletedProcess(command, running.returncode, out or "", err or "")


def overheard(
    command: Sequence[str],
    *,
    environment: Mapping[str, str],
    shown: Callable[[str], str],
    complained: Callable[[str], str] = str,
    silent: Callable[[], bool] | None = None,
    seconds: float = 0.0,
) -> int:
    """The same with its output shown where this process shows its own; its exit status.

    `shown` and `complained` hear each line of its standard output and standard error, and say what is passed on of it. `silent` is
    called where for so many `seconds` there was no line, until it says that it has told why.
    """
    with subprocess.Popen(  # noqa: S603
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        errors="replace",
        env=dict(environment),
    ) as running:
        passing_on = [
            _PassingOn(running.stdout or (), shown, lambda: sys.stdout),
            _PassingOn(running.stderr or (), complained, lambda: sys.stderr),
        ]
        for one in passing_on:
            one.start()

        def wait() -> None:
            looked, told = time.monotonic(), silent is None
            while not told:
                quiet_until = max(looked, *(one.heard for one in passing_on)) + seconds
                try:
                    running.wait(max(quiet_until - time.monotonic(), 0.0))
                    break
                except subprocess.TimeoutExpired:
                    if silent and time.monotonic() >= max(one.heard for one in passing_on) + seconds:
                        told, looked = silent(), time.monotonic()
            running.wait()
            for one in passing_on:
                one.join()

        _whatever_comes(running, wait)
    for failure in (one.failure for one in passing_on):
        if failure is not None:
            raise failure
    return running.returncode


def _whatever_comes(running: subprocess.Popen[str], wait: Callable[[], _Said]) -> _Said:
    """What `wait` returns when it has come to its end; raises the KeyboardInterrupt that came meanwhile."""
    interrupted = False
    while True:
        try:
            said = wait()
            break
        except Terminated:
            running.send_signal(signal.SIGINT)
            interrupted = True
        except KeyboardInterrupt:
            interrupted = True
    if interrupted:
        raise KeyboardInterrupt
    return said


class _PassingOn(threading.Thread):
    """Reads to the end, also where nobody reads here any more: a command whose output is not taken would wait for ever."""

    def __init__(self, lines: Iterable[str], shown: Callable[[str], str], to: Callable[[], TextIO]) -> None:
        super().__init__(name="passing on", daemon=True)
        self._lines = lines
        self._shown = shown
        self._to = to
        self.failure: OSError | None = None
        self.heard = time.monotonic()
        """When the last line came."""

    def run(self) -> None:
        for line in self._lines:
            self.heard = time.monotonic()
            text = self._shown(line)
            if self.failure is None and text:
                try:
                    self._to().write(text)
                    self._to().flush()
                except OSError as failure:
                    self.failure = failure
