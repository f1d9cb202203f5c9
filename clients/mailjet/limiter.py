"""One brake for all threads: full speed until Mailjet answers 429, then all back off together and recover.

Default: no limit of our own. Mailjet documents no number for its REST API, so its 429s are the measure:

- a lone 429 among successes: everybody pauses 0.1 s;
- three in a row, or a quarter of the latest answers: everybody pauses 1 s, or what `Retry-After` says, and then goes
  on, evenly spaced, at half the rate that was refused; the next such event doubles the pause, up to 30 s;
- every second without one raises the rate by 15 % and shortens the next pause by as much; at twice the rate that was
  refused the brake is off again.

The 429s of calls that were under way when a pause began belong to the same event and change nothing. Halving the rate
for every 429 would be simpler and collapse under errors that have nothing to do with the rate: at 4 % random 429s it
ends at one call per second.
"""

from __future__ import annotations

import threading
from collections import deque

from clients.mailjet.clock import Clock

SHORT_PAUSE_SECONDS = 0.1
TOO_MANY = 0.25
FIRST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 30.0
SLOWEST_PER_SECOND = 1.0
BACK_OFF_FACTOR = 0.5
GROWTH_PER_SECOND = 1.15
RELEASE_FACTOR = 2.0

_ONE_ANSWER = 0.1
_WINDOW_SECONDS = 2.0
_LONGEST_RECOVERY_SECONDS = 60


class AdaptiveLimiter:
    """Grants the start of every call; learns from every answer. Safe between threads."""

    def __init__(self, clock: Clock, *, enabled: bool = True) -> None:
        self._clock = clock
        self._enabled = enabled
        self._lock = threading.Lock()
        self._starts: deque[float] = deque()
        self._share = 0.0
        self._rate: float | None = None
        self._release_at = 0.0
        self._next_start = 0.0
        self._paused_at = float("-inf")
        self._braked_at = float("-inf")
        self._grown_at = 0.0
        self._pause = 0.0

    def acquire(self) -> float:
        """Wait for a start; returns its time, which `passed` and `throttled` want back."""
        while True:
            with self._lock:
                now = self._clock.monotonic()
                self._recover(now)
                wait = self._next_start - now
                if wait <= 0 or not self._enabled:
                    self._starts.append(now)
                    while self._starts[0] < now - _WINDOW_SECONDS:
                        self._starts.popleft()
                    if self._rate is not None:
                        self._next_start = now + 1 / self._rate
                    return now
            self._clock.sleep(wait)

    def passed(self, started: float) -> None:
        """A call that began at `started` got an answer other than 429."""
        with self._lock:
            if started > self._braked_at:
                self._share *= 1 - _ONE_ANSWER

    def throttled(self, started: float, retry_after: float | None = None) -> None:
        """A call that began at `started` got a 429."""
        with self._lock:
            if not self._enabled or started <= self._braked_at:
                return
            self._share += (1 - self._share) * _ONE_ANSWER
            now = self._clock.monotonic()
            if retry_after is not None or self._share >= TOO_MANY:
                self._brake(now, retry_after)
            elif started > self._paused_at:
                self._paused_at = now
                self._next_start = max(self._next_start, now + SHORT_PAUSE_SECONDS)

    def _brake(self, now: float, retry_after: float | None) -> None:
        self._slow_down(now)
        doubled = max(FIRST_PAUSE_SECONDS, self._pause * 2)
        self._pause = min(doubled if retry_after is None else max(retry_after, 0.0), LONGEST_PAUSE_SECONDS)
        self._paused_at = self._braked_at = now
        self._next_start = self._grown_at = now + self._pause

    def _slow_down(self, now: float) -> None:
        refused = self._measured(now)
        self._release_at = max(refused * RELEASE_FACTOR, 2 * SLOWEST_PER_SECOND)
        self._rate = max(refused * BACK_OFF_FACTOR, SLOWEST_PER_SECOND)

    def _measured(self, now: float) -> float:
        """Starts per second of late: what was sent when the 429 came."""
        recent = [start for start in self._starts if start > now - _WINDOW_SECONDS]
        if len(recent) < 2:
            return self._rate or SLOWEST_PER_SECOND
        seen = len(recent) / max(now - recent[0], 0.1)
        return min(seen, self._rate) if self._rate is not None else seen

    def _recover(self, now: float) -> None:
        if self._rate is None:
            return
        quiet = min(int(now - self._grown_at), _LONGEST_RECOVERY_SECONDS)
        if quiet < 1:
            return
        self._grown_at = now
        self._pause /= GROWTH_PER_SECOND**quiet
        self._rate *= GROWTH_PER_SECOND**quiet
        if self._rate >= self._release_at:
            self._rate = None
