"""What a check found: ok, warning or error, with a sentence; for an error the sentence ends in what mends it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class Status(StrEnum):
    """How bad it is. A warning is true and may be meant; an error stops mail, now or with the next `up`."""

    OK = "ok"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True)
class Finding:
    """The outcome of one check on one subject, such as check `records` on `MX dev.agents.example`."""

    check: str
    subject: str
    status: Status
    sentence: str

    def public(self) -> dict[str, str]:
        """The finding as `--json` shows it."""
        return {"check": self.check, "subject": self.subject, "status": str(self.status), "sentence": self.sentence}


@dataclass(frozen=True)
class Check:
    """Makes findings of one check, so that its name stands once."""

    name: str

    def ok(self, subject: str, sentence: str) -> Finding:
        return Finding(self.name, subject, Status.OK, sentence)

    def warning(self, subject: str, sentence: str) -> Finding:
        return Finding(self.name, subject, Status.WARNING, sentence)

    def error(self, subject: str, sentence: str) -> Finding:
        return Finding(self.name, subject, Status.ERROR, sentence)


def worst(findings: Sequence[Finding]) -> Status:
    """The status of them all together."""
    order = list(Status)
    return max((finding.status for finding in findings), key=order.index, default=Status.OK)
