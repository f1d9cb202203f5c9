"""Progress of long work, summed over everything that this process does at once; short work stays silent."""

from __future__ import annotations

import threading
from collections.abc import Callable

from clients.mailjet.clock import Clock

QUIET_SECONDS = 2.0
"""Work shorter than this says nothing."""

INTERVAL_SECONDS = 2.0
"""Time between two lines."""


class Progress:
    """Counts steps and now and then says how many are done. Safe between threads."""

    def __init__(self, noun: str, *, clock: Clock, say: Callable[[str], None]) -> None:
        self._noun = noun
        self._clock = clock
        self._say = say
        self._lock = threading.Lock()
        self._total = 0
        self._done = 0
        self._next_line: float | None = None

    def expect(self, steps: int) -> None:
        """`steps` more are to be done."""
        with self._lock:
            self._total += steps
            if self._next_line is None and steps:
                self._next_line = self._clock.monotonic() + QUIET_SECONDS

    def step(self) -> None:
        """Count one finished mailbox, and say so if it is time for a line."""
        with self._lock:
            self._done += 1
            now = self._clock.monotonic()
            if self._next_line is None or now < self._next_line:
                return
            self._next_line = now + INTERVAL_SECONDS
            line = f"{self._noun}: {self._done:,} of {self._total:,} settled"
        self._say(line)
