"""Being asked to stop: by Ctrl-C or by SIGTERM, which a container, a workflow or a shutdown sends."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Terminated(KeyboardInterrupt):
    """SIGTERM, which unlike a terminal's Ctrl-C has reached this process alone."""


@contextmanager
def terminable() -> Iterator[None]:
    """SIGTERM ends the block as Ctrl-C does, by a KeyboardInterrupt: what is half done is taken back or told."""

    def stop(_number: int, _frame: FrameType | None) -> None:
        raise Terminated

    with _handling(stop, signal.SIGTERM):
        yield


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Neither reaches the block, nor the commands that it starts: a second Ctrl-C must not stop the clearing up."""
    with _handling(signal.SIG_IGN, signal.SIGTERM, signal.SIGINT):
        yield


@contextmanager
def _handling(handler: object, *numbers: signal.Signals) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():  # only the main thread may say
        yield
        return
    before = [(number, signal.signal(number, handler)) for number in numbers]  # type: ignore[arg-type]  # one of its own
    try:
        yield
    finally:
        for number, one in before:
            signal.signal(number, one)
