"""Time as a dependency, so that a test of a back-off waits for nothing."""

from __future__ import annotations

import secrets
import time
from typing import Protocol


class Clock(Protocol):
    """Monotonic seconds, a sleep, and the randomness that jitter needs."""

    def monotonic(self) -> float:
        """Seconds from an arbitrary start."""

    def sleep(self, seconds: float) -> None:
        """Return after as many seconds."""

    def jitter(self) -> float:
        """A number in [0, 1)."""


class SystemClock:
    """Time as this machine has it, for everything but tests."""

    def monotonic(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)

    def jitter(self) -> float:
        return secrets.randbelow(1 << 24) / (1 << 24)
