"""A plugin process ends with the engine that started it, even when that engine is killed.

The engine holds the write end of every plugin's stdin and never writes to it, so end-of-file there means that the
engine is gone. A plugin that was started otherwise (a debugger, a test) notices the death of its parent instead.
"""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Callable

_PARENT_POLL_SECONDS = 1.0


def when_engine_ends(end: Callable[[], None]) -> None:
    """Call `end` from a background thread once the engine that started this process is gone."""
    wait = _until_stdin_closes if _is_pipe(0) else _until_parent_dies
    start_watch(wait, end)


def start_watch(wait: Callable[[], None], end: Callable[[], None]) -> None:
    def watch() -> None:
        wait()
        end()

    threading.Thread(target=watch, name="engine-lifetime", daemon=True).start()


def _is_pipe(descriptor: int) -> bool:
    try:
        mode = os.fstat(descriptor).st_mode
    except OSError:
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)


def _until_stdin_closes() -> None:
    while os.read(0, 4096):
        pass


def _until_parent_dies() -> None:
    parent = os.getppid()
    pause = threading.Event()
    while os.getppid() == parent:
        pause.wait(_PARENT_POLL_SECONDS)
