"""Where commands write: plain text for pipes, colour and spinners only for a terminal that wants them."""

from __future__ import annotations

import os
import re
import sys
import textwrap
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO


def columns() -> int:
    """The width to wrap to."""
    import shutil

    return shutil.get_terminal_size((100, 24)).columns


def fitting(text: str, stream: TextIO) -> str:
    """What a person reads, wrapped where words end if `stream` is a terminal; a program gets it as it is.

    Indented lines are tables and commands: they stay.
    """
    if not stream.isatty():
        return text
    try:
        width = os.get_terminal_size(stream.fileno()).columns or 80
    except OSError:
        width = 80
    lines = (
        [line] if line.startswith(" ") or len(line) <= width else wrapped(line, width) for line in text.splitlines()
    )
    return "\n".join(line for some in lines for line in some)


_COMMAND = re.compile(r"\./mail(?: (?:'[^']*'|[^\s']*[^\s',;:.)](?=[\s,;:.)]|$)))+")
_NO_BREAK = "\N{NO-BREAK SPACE}"


def wrapped(sentence: str, width: int) -> list[str]:
    """A command stays on one line, however long: half of it is not to be pasted."""
    whole = _COMMAND.sub(lambda match: match[0].replace(" ", _NO_BREAK), sentence)
    lines = textwrap.wrap(whole, width, break_long_words=False, break_on_hyphens=False) or [""]
    return [line.replace(_NO_BREAK, " ") for line in lines]


def wants_colour() -> bool:
    """NO_COLOR (no-color.org), TERM=dumb and pipes get none."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def wants_motion() -> bool:
    """Whether standard error is a terminal that can redraw a line."""
    return sys.stderr.isatty() and os.environ.get("TERM") != "dumb"


SOON = 1.0
"""Seconds of silence after which a wait is told that is usually over by then."""
_telling = threading.Lock()


@contextmanager
def working(what: str, *, after: float = 0.0) -> Iterator[None]:
    """Says what takes its time: a spinner on a terminal, one line elsewhere; always on standard error.

    `after`: seconds until it is said, for what is often over before anybody wonders; only to a terminal, since what a
    program reads must not depend on how fast the machine is. Within another one it says nothing.
    """
    if (after and not sys.stderr.isatty()) or not _telling.acquire(blocking=False):
        yield
        return
    try:
        with _told(what, after=after):
            yield
    finally:
        _telling.release()


@contextmanager
def _told(what: str, *, after: float) -> Iterator[None]:
    if not wants_motion():
        line = threading.Timer(after, lambda: print(f"{what} …", file=sys.stderr, flush=True))
        _start(line, at_once=after == 0)
        try:
            yield
        finally:
            line.cancel()
        return
    from rich.console import Console

    status = Console(stderr=True).status(f"{what} …")
    spinner = threading.Timer(after, status.start)
    _start(spinner, at_once=after == 0)
    try:
        yield
    finally:
        spinner.cancel()
        if spinner.is_alive():
            spinner.join()
        status.stop()


def _start(timer: threading.Timer, *, at_once: bool) -> None:
    """A daemon, so that nothing waits for it at the end."""
    if at_once:
        timer.function()
        return
    timer.daemon = True
    timer.start()


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
