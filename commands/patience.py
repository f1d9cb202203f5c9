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
from typing import TextIO, TypeVar

from commands.signals import Terminated

_Said = TypeVar("_Said")


def finished(
    command: Sequence[str], *, environment: Mapping[str, str], stdin: str = "", captured: bool = True
) -> subprocess.CompletedProcess[str]:
    """Run to the end, whatever comes meanwhile; then raises the KeyboardInterrupt that came.

    A terminal's Ctrl-C reaches the command itself. SIGTERM reaches this process alone, so the command is interrupted for it.
    `captured`: whether its output is kept; else it shows where this process does.
    """
    pipe = subprocess.PIPE if captured else None
    given: str | None = stdin
    with subprocess.Popen(  # noqa: S603
        command, stdin=subprocess.PIPE, stdout=pipe, stderr=pipe, text=True, env=dict(environment)
    ) as running:

        def wait() -> tuple[str, str]:
            nonlocal given
            now, given = given, None  # it is handed over once, however often this is gone on with
            return running.communicate(now)

        out, err = _whatever_comes(running, wait)
    return subprocess.CompletedProcess(command, running.returncode, out or "", err or "")


def overheard(
    command: Sequence[str],
    *,
    environment: Mapping[str, str],
    hear: Callable[[str], None],
    complaint: Callable[[str], None] | None = None,
) -> int:
    """The same with both outputs shown where this process shows its own, and each line heard; its exit status.

    `complaint` hears standard error, in a thread of its own.
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
        both = (
            _PassingOn(running.stdout or (), hear, sys.stdout),
            _PassingOn(running.stderr or (), complaint or _unheard, sys.stderr),
        )
        for passing_on in both:
            passing_on.start()

        def wait() -> None:
            running.wait()
            for passing_on in both:
                passing_on.join()

        _whatever_comes(running, wait)
    for passing_on in both:
        if passing_on.failure is not None:
            raise passing_on.failure
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


def _unheard(_line: str) -> None:
    """For what is only shown."""


class _PassingOn(threading.Thread):
    """Reads to the end, also where nobody reads here any more: a command whose output is not taken would wait for ever."""

    def __init__(self, lines: Iterable[str], hear: Callable[[str], None], shown: TextIO) -> None:
        super().__init__(name="passing on", daemon=True)
        self._lines = lines
        self._hear = hear
        self._shown = shown
        self.failure: OSError | None = None

    def run(self) -> None:
        for line in self._lines:
            self._hear(line)
            if self.failure is None:
                try:
                    self._shown.write(line)
                    self._shown.flush()
                except OSError as failure:
                    self.failure = failure
