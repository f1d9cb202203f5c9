"""What the engine prints of an up or a destroy, with what nobody reads taken out of it.

Cloudflare's refusals are the plugin's text there, HTTP and JSON. In an up the program says each in a sentence; a destroy and
a refresh have no program that could, so the sentences come at the end; so does whose the lock is that another run has.
"""

from __future__ import annotations

import re

from clients.cloudflare.refusals import is_refused_request, request_sentences
from commands.engine_errors import locked
from commands.errors import CommandError, UpFailedError

_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_ABOUT = re.compile(r"  (?P<type>\S+) \((?P<resource>.+)\):")
_PROGRESS = re.compile(r"[ @](?:[-+~<>=]{1,2}|\s)\s{1,3}\S+:\S+ \S+ .*?(?=\s(?:\x1b\[[0-9;]*m)*error: )")
"""The line of a resource while it runs, up to its error: the diagnostics at the end have that, too."""
_OF_THE_PROGRAM = re.compile(
    r"    error: Cloudflare (?:did not|could not|does not let this API token) \S+ (?P<resource>\S+)"
)
_SILENCE = re.compile(r"    error: Cloudflare's API gave no answer when asked to \S+ (?P<resource>\S+)")
_HINTS = (
    "The resources in the stack have been deleted, but the history and configuration",
    "If you want to remove the stack completely, run",
)
"""What the engine recommends after a destroy: a command of its own that this clone's launcher stands before."""
_NOISE = "an unhandled error occurred: program exited with non-zero exit code"


def without_colour(text: str) -> str:
    """Text as a terminal shows it, without the colours."""
    return _COLOUR.sub("", text)


class Overheard:
    """Reads an engine's output line by line."""

    def __init__(self, stack: str) -> None:
        self._stack = stack
        self._about = ""
        """The diagnostics' heading of a resource of which nothing was shown yet."""
        self._resource = ""
        self._dropping = False
        self._told: set[str] = set()
        self._said: list[tuple[str, str]] = []
        self._complaint = ""
        self.began = False
        """Whether the engine has begun: it has printed something."""

    def shown(self, line: str) -> str:
        """What is shown of a line that the engine prints; empty for nothing."""
        text = without_colour(line).rstrip()
        self.began = self.began or bool(text)
        if about := _ABOUT.fullmatch(text):
            self._resource = about["resource"] if about["type"].startswith("cloudflare:") else ""
            self._about, self._dropping = line, False
            return ""
        if progress := _PROGRESS.match(line):
            return progress[0].rstrip() + "\n"
        if self._is_noise(text):
            return ""
        heading, self._about = self._about, ""
        # Of a resource that was dropped wholly the blank line behind it goes, too.
        return "" if heading and not text else heading + line

    def complained(self, line: str) -> str:
        """The same of its standard error: an error is kept, with all that follows it."""
        if self._complaint or "error: " in line:
            self._complaint += line
            return ""
        return line

    @property
    def complaint(self) -> str:
        """The errors that were kept."""
        return without_colour(self._complaint)

    def error(self, doing: str, status: int) -> CommandError:
        """What a run that ended so is told as."""
        if lock := locked(self.complaint, stack=self._stack):
            return CommandError(lock)
        return UpFailedError(doing, status, reasons=self.sentences)

    @property
    def sentences(self) -> list[str]:
        """One for each reason that the program has not told itself."""
        return request_sentences([one for one in self._said if one[0] not in self._told], stack=self._stack)

    def _is_noise(self, text: str) -> bool:
        if told := _OF_THE_PROGRAM.match(text) or _SILENCE.match(text):
            self._told.add(told["resource"])
        if self._resource and text.lstrip().startswith("error: "):
            self._dropping = is_refused_request(text)
            if self._dropping:
                self._said.append((self._resource, text.strip().removeprefix("error: ")))
        elif not text:
            self._dropping = False
        return self._dropping or text.startswith(_HINTS) or _NOISE in text
