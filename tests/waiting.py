"""The one way in which tests wait for what another thread or process does."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TypeVar

Found = TypeVar("Found")


def wait_until(
    probe: Callable[[], Found | None], what: str = "", *, seconds: float = 10, pause_seconds: float = 0.005
) -> Found:
    """The first true value of `probe`, which is asked again and again; AssertionError after `seconds`, naming `what`."""
    deadline = time.monotonic() + seconds
    pause = threading.Event()
    while not (found := probe()):
        assert time.monotonic() < deadline, f"waited {seconds} s in vain: {what or f'still {found!r}'}"
        pause.wait(pause_seconds)
    return found
