"""How the program ends when it fails: with its own sentence, and nothing around it.

The official language host interrupts the program (SIGINT) once a resource, hook or provider has failed, and shows
whatever it prints then: a KeyboardInterrupt's traceback around the sentence that matters. It also adds a line of its own
to every exit status but one.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

import pulumi

ERROR_WAS_SHOWN = 32
"""The status that tells a language host, the official one too, that the user has been shown why."""


@contextmanager
def own_words() -> Iterator[None]:
    """What the program is refused inside is said in one sentence; an interruption, also after it, says nothing."""
    signal.signal(signal.SIGINT, _leave)
    try:
        yield
    except pulumi.RunError as error:
        end_with(str(error))


def end_with(sentence: str) -> NoReturn:
    """Show the sentence as an error, and end the program with nothing beside it."""
    pulumi.log.error(sentence)
    raise SystemExit(ERROR_WAS_SHOWN)


def _leave(_number: int, _frame: FrameType | None) -> None:
    """At once: threads that wait for an engine that has stopped listening would hold a proper exit up."""
    os._exit(ERROR_WAS_SHOWN)
