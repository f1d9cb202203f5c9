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

AGAIN_SECONDS = 0.01
"""What is being cleared away is gone by then; else it comes a third time."""


class Terminated(KeyboardInterrupt):
    """SIGTERM, which unlike a terminal's Ctrl-C has reached this process alone."""


@contextmanager
def terminable() -> Iterator[None]:
    """SIGTERM ends the block as Ctrl-C does, by a KeyboardInterrupt: what is half done is taken back or told."""

    def stop(_number: int, _frame: FrameType | None) -> None:
        raise Terminated

    with _handling(stop, signal.SIGTERM), _heard():
        yield


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Neither reaches the block, nor the commands that it starts: a second Ctrl-C must not stop the clearing up."""
    with _handling(signal.SIG_IGN, signal.SIGTERM, signal.SIGINT):
        yield


@contextmanager
def _heard() -> Iterator[None]:
    """One that comes while Python clears an object away comes again: what is raised there, Python says that it ignores, and goes on.

    It is no rare place: urllib3 has a pool of connections cleared away after each answer.
    """
    main, ended = threading.main_thread().ident or threading.get_ident(), threading.Event()
    repeating: list[threading.Thread] = []

    def repeat(number: signal.Signals) -> None:
        if not ended.wait(AGAIN_SECONDS):
            signal.pthread_kill(main, number)

    def hook(ignored: UnraisableHookArgs) -> None:
        if not issubclass(ignored.exc_type, KeyboardInterrupt):
            before(ignored)
            return
        number = signal.SIGTERM if issubclass(ignored.exc_type, Terminated) else signal.SIGINT
        repeating.append(threading.Thread(target=repeat, args=(number,), daemon=True))
        repeating[-1].start()

    before, sys.unraisablehook = sys.unraisablehook, hook
    try:
        yield
    finally:
        sys.unraisablehook = before
        ended.set()
        for one in repeating:
            one.join()


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
