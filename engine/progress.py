"""Progress lines on stderr, so that stdout stays the CLI's own."""

from __future__ import annotations

import sys
import time


def say(message: str) -> None:
    """A line of its own."""
    print(f"engine: {message}", file=sys.stderr, flush=True)


class Counter:
    """A counted step: one line rewritten in place on a terminal, a line now and then elsewhere.

    Where the `total` is known it is shown as a percentage, which is 100 when the step is done and never before.
    """

    _TERMINAL_SECONDS = 0.2
    _LOG_SECONDS = 20.0

    def __init__(self, what: str, total: int | None = None) -> None:
        self._what = what
        self._total = total
        self._count = 0
        self._start = time.monotonic()
        self._said = self._start
        self._terminal = sys.stderr.isatty()

    def advance(self) -> None:
        self._count += 1
        self.tick()

    def tick(self) -> None:
        """Show the state if it is time to."""
        now = time.monotonic()
        if now - self._said >= (self._TERMINAL_SECONDS if self._terminal else self._LOG_SECONDS):
            self._said = now
            self._show()

    def done(self) -> None:
        """The step has succeeded: end the line that `advance` rewrites."""
        self._show(done=True)
        if self._terminal:
            print(file=sys.stderr, flush=True)

    def _show(self, *, done: bool = False) -> None:
        line = f"engine: {self._what} {self._state(done=done)}, {self.elapsed}"
        print(f"\r{line}\x1b[K" if self._terminal else line, end="" if self._terminal else "\n", file=sys.stderr)
        sys.stderr.flush()

    def _state(self, *, done: bool) -> str:
        if not self._total:
            return str(self._count)
        return "100 %" if done else f"{min(self._count * 100 // self._total, 99)} %"

    @property
    def elapsed(self) -> str:
        return duration(time.monotonic() - self._start)


def duration(seconds: float) -> str:
    """`42 s` or `3 min 12 s`."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
