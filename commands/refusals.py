"""What the engine's output says of why it ended, for who reads no further than the last line.

Cloudflare's refusals, where the engine ran without the program: a destroy and a refresh have no error hook. And another
run that has the stack.
"""

from __future__ import annotations

import re
from collections import deque

from clients.cloudflare.refusals import is_refused_request, request_sentences
from commands.engine_errors import locked
from commands.errors import CommandError, UpFailedError

_LAST_COMPLAINTS = 50
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_ABOUT = re.compile(r"  (?P<type>\S+) \((?P<resource>.+)\):")


class Overheard:
    """Reads the diagnostics at the end of an engine's output, line by line."""

    def __init__(self, stack: str, *, reading: bool = False) -> None:
        """`reading`: refused looks only; of a refused write the program itself has said why."""
        self._stack = stack
        self._reading = reading
        self._resource = ""
        self._said: list[tuple[str, str]] = []
        self._complaints: deque[str] = deque(maxlen=_LAST_COMPLAINTS)

    def hear(self, line: str) -> None:
        """One line of what the engine prints."""
        text = _COLOUR.sub("", line).rstrip()
        about = _ABOUT.fullmatch(text)
        if about:
            self._resource = about["resource"] if about["type"].startswith("cloudflare:") else ""
        elif self._resource and text.lstrip().startswith("error: ") and is_refused_request(text, reading=self._reading):
            self._said.append((self._resource, text.strip().removeprefix("error: ")))

    def complaint(self, line: str) -> None:
        """One line of its standard error."""
        self._complaints.append(_COLOUR.sub("", line))

    def error(self, doing: str, status: int) -> CommandError:
        """What a run that ended so is told as."""
        if lock := locked("".join(self._complaints), stack=self._stack):
            return CommandError(lock)
        return UpFailedError(doing, status, reasons=self.sentences)

    @property
    def sentences(self) -> list[str]:
        """One for each reason."""
        return request_sentences(self._said, stack=self._stack)
