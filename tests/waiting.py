"""The one way in which tests wait for what another thread or process does."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TypeVar

Found = TypeVar("Found")


def wait_until(
    probe: Callable[[], Found | None], what: str = "", *, seconds: float = 30, pause_seconds: float = 0.005
) -> Found:
    """The first true value of `probe`, which is asked again and again; AssertionError after `seconds`, naming `what`.

    Between two questions, `pause_seconds`, or as long that no more than a fifth of the time goes into asking: a question to
    another process is work for both, and what is waited for needs the processors.
    """
    began = asked = time.monotonic()
    pause = threading.Event()
    while not (found := probe()):
        now = time.monotonic()
        assert now < began + seconds, f"waited {seconds} s in vain: {what or f'still {found!r}'}"
        pause.wait(max(pause_seconds, 4 * (now - asked)))
        asked = time.monotonic()
    return found
