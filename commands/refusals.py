"""What Cloudflare refused while the engine ran without the program: a destroy and a refresh have no error hook."""

from __future__ import annotations

import re

from clients.cloudflare.refusals import is_refused_request, request_sentences

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

    def hear(self, line: str) -> None:
        """One line of what the engine prints."""
        text = _COLOUR.sub("", line).rstrip()
        about = _ABOUT.fullmatch(text)
        if about:
            self._resource = about["resource"] if about["type"].startswith("cloudflare:") else ""
        elif self._resource and text.lstrip().startswith("error: ") and is_refused_request(text, reading=self._reading):
            self._said.append((self._resource, text.strip().removeprefix("error: ")))

    @property
    def sentences(self) -> list[str]:
        """One for each reason."""
        return request_sentences(self._said, stack=self._stack)
