"""Where answers are counted: in memory, or in the file that the deliveries are in."""

import hashlib
import json
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Protocol


@dataclass(frozen=True, slots=True)
class TooMany:
    """Why an answer is not counted: `key` has `count` answers, the oldest of which stops counting in `wait` seconds."""

    key: str
    count: int
    wait: float


class AnswerStore(Protocol):
    """Counts answers. Calls block; they come from several threads, for SQLite from several processes too."""

    def count_answer(self, answer: str, limits: Mapping[str, int], seconds: float) -> TooMany | None:
        """Count the answer with every key for `seconds`, or with none if one of them has as many as its limit says."""

    def uncount_answer(self, answer: str, keys: Iterable[str]) -> None:
        """It was not sent."""


def digest(key: Sequence[str]) -> str:
    """What a key is called in a store: who writes to whom about what is nothing to be read there."""
    return hashlib.sha256(json.dumps(key).encode()).hexdigest()


class MemoryAnswers:
    """The answers of one process, forgotten when it ends; several processes count in the file of their deliveries."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = Lock()
        self._counted: dict[str, deque[tuple[float, str]]] = {}
        self._sweep_at = clock()

    def count_answer(self, answer: str, limits: Mapping[str, int], seconds: float) -> TooMany | None:
        with self._lock:
            now = self._clock()
            self._sweep(now, seconds)
            for key, most in limits.items():
                counted = self._counted.get(key, deque())
                while counted and counted[0][0] <= now:
                    counted.popleft()
                if len(counted) >= most:
                    return TooMany(key, len(counted), counted[0][0] - now)
            for key in limits:
                self._counted.setdefault(key, deque()).append((now + seconds, answer))
            return None

    def uncount_answer(self, answer: str, keys: Iterable[str]) -> None:
        with self._lock:
            for key in keys:
                self._counted[key] = deque(one for one in self._counted.get(key, ()) if one[1] != answer)

    def __len__(self) -> int:
        return len(self._counted)

    def _sweep(self, now: float, seconds: float) -> None:
        """Forget what counts no more; once in the time that an answer counts, so that it costs nothing."""
        if now >= self._sweep_at:
            self._counted = {key: counted for key, counted in self._counted.items() if counted and counted[-1][0] > now}
            self._sweep_at = now + seconds
