"""What can be wrong with a population, said in one report."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from mailboxes.wording import first_lines, shortened

SHOWN_PROBLEMS = 20
"""A report spells out this many problems and counts the rest."""

SHOWN_CHARACTERS = 60


def quoted(text: str) -> str:
    """`text` as a message shows it: quoted, control characters escaped, cut to 60 characters."""
    return repr(shortened(text, SHOWN_CHARACTERS))


class MailboxError(Exception):
    """Base of every error that this package raises on purpose."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong, and where: `file:line: agent id: sentence`, as compilers write it."""

    sentence: str
    path: str | None = None
    line: int | None = None
    agent: str | None = None

    def __str__(self) -> str:
        place = self.path or ""
        if self.line is not None:
            place = f"{place}:{self.line}" if place else f"line {self.line}"
        agent = None if self.agent is None else f"agent {self.agent}"
        return ": ".join(part for part in (place, agent, self.sentence) if part)


class ProblemsError(MailboxError):
    """Every problem that was found, in one message; `problems` holds those beyond the first 20 too."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        if len(self.problems) == 1:
            super().__init__(str(self.problems[0]))
            return
        lines = first_lines([str(problem) for problem in self.problems], SHOWN_PROBLEMS)
        super().__init__("\n".join([f"{len(self.problems):,} problems:", *lines]))


class InvalidAddressMapError(MailboxError):
    """`routes` or `addresses` is not a JSON object of agent id and address."""

    def __init__(self, found: str) -> None:
        super().__init__(
            f"{found}, expected a JSON object of agent id and address, such as "
            '{"agent-1": "ana.lopez.123.20250101120000@agents.example"}, each address once.'
        )
