"""Being asked to stop: by Ctrl-C or by SIGTERM, which a container, a workflow or a shutdown sends."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sys import UnraisableHookArgs

_AGAIN_SECONDS = 0.01
"""What is being cleared away is gone by then; else it comes a third time."""


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


class _Again(threading.Thread):
    """Sends a signal to the main thread once it may come."""

    def __init__(self, number: signal.Signals, ended: threading.Event) -> None:
        super().__init__(daemon=True)
        self.may_come = False
        self.has_come = False
        self._number = number
        self._ended = ended

    def run(self) -> None:
        while not self._ended.wait(_AGAIN_SECONDS):
            if self.may_come:
                self.has_come = True
                main = threading.main_thread().ident
                signal.pthread_kill(main or threading.get_ident(), self._number)
                return


@contextmanager
def heard() -> Iterator[None]:
    """One that comes while Python clears an object away comes again: what is raised there, Python says that it ignores, and goes on.

    It is no rare place: urllib3 has a pool of connections cleared away after each answer.
    """
    ended = threading.Event()
    again: _Again | None = None

    def hook(ignored: UnraisableHookArgs) -> None:
        nonlocal again
        if not issubclass(ignored.exc_type, KeyboardInterrupt):
            before(ignored)
            return
        if again is not None and not again.has_come:  # one is enough
            return
        again = _Again(signal.SIGTERM if issubclass(ignored.exc_type, Terminated) else signal.SIGINT, ended)
        try:
            again.start()
        finally:
            again.may_come = True  # the last thing here: what it raises shall not be ignored as well

    before, sys.unraisablehook = sys.unraisablehook, hook
    try:
        yield
    finally:
        sys.unraisablehook = before
        ended.set()
        if again is not None:
            again.join()


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
