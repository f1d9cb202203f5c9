"""Waiting for something that another process does."""

from __future__ import annotations

import threading
from collections.abc import Callable
from time import monotonic

_DEADLINE_SECONDS = 120
_PAUSE_SECONDS = 0.05


def until(condition: Callable[[], bool], what: str) -> None:
    """Return once the condition holds; fail after two minutes."""
    end = monotonic() + _DEADLINE_SECONDS
    pause = threading.Event()
    while not condition():
        if monotonic() > end:
            raise AssertionError(f"waited {_DEADLINE_SECONDS} s in vain: {what}")
        pause.wait(_PAUSE_SECONDS)
