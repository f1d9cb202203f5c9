"""Where commands write: plain text for pipes, colour and spinners only for a terminal that wants them."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager


def columns() -> int:
    """The width to wrap to."""
    import shutil

    return shutil.get_terminal_size((100, 24)).columns


def wants_colour() -> bool:
    """NO_COLOR (no-color.org), TERM=dumb and pipes get none."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def wants_motion() -> bool:
    """Whether standard error is a terminal that can redraw a line."""
    return sys.stderr.isatty() and os.environ.get("TERM") != "dumb"


@contextmanager
def working(what: str) -> Iterator[None]:
    """Says what takes its time: a spinner on a terminal, one line elsewhere; always on standard error."""
    if not wants_motion():
        print(f"{what} …", file=sys.stderr, flush=True)
        yield
        return
    from rich.console import Console

    with Console(stderr=True).status(f"{what} …"):
        yield


def confirmed(question: str, *, typed: str = "", remedy: str) -> None:
    """Ask; `typed`: the word that must be given instead of a yes. Raises DeclinedError."""
    from commands.errors import DeclinedError

    prompt = f"{question} Type {typed} to go on: " if typed else f"{question} [y/N] "
    try:
        answer = input(prompt).strip()
    except EOFError:
        print()
        raise DeclinedError(asked=False, remedy=remedy) from None
    if answer.lower() not in ({typed.lower()} if typed else {"y", "yes"}):
        raise DeclinedError(asked=True, remedy=remedy)
