"""Waiting for what another thread does."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TypeVar

Found = TypeVar("Found")


def wait_until(probe: Callable[[], Found], seconds: float = 10) -> Found:
    """The first true value of `probe`, which is asked again and again until the deadline."""
    deadline = time.monotonic() + seconds
    pause = threading.Event()
    while not (found := probe()):
        assert time.monotonic() < deadline, f"still {found!r} after {seconds} seconds"
        pause.wait(0.005)
    return found
