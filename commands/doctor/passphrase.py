"""Is a stack's file encrypted with the passphrase that every clone knows?"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from commands.doctor.finding import Check, Finding
from engine.passphrase import is_public
from engine.stacks import StackFile
from mailboxes.remedies import change_passphrase

PASSPHRASE = Check("passphrase")


def passphrase_findings(stack: str, project: Path) -> Iterator[Finding]:
    """An error for a stack that leaves this machine and whose secrets whoever has a clone can read; else nothing."""
    file = StackFile.of(project, stack)
    reason = file.off_loopback()
    if file.salt and reason and is_public(file.salt):
        yield PASSPHRASE.error(
            file.path.name,
            f"Its secrets are encrypted with the public passphrase, so whoever has the file can read them ({reason}): "
            f"choose one of your own with: {change_passphrase(stack)}; "
            "then rotate every secret that was in it.",
        )
