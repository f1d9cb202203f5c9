"""What can stop an adoption, each as one sentence."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mailboxes import remedies
from mailboxes.wording import one_or_list


class AdoptError(Exception):
    """Base of everything that this command says before it gives up."""


class BlockedError(AdoptError):
    """Something has to be settled by a person first."""

    def __init__(self, blockers: Sequence[str]) -> None:
        self.blockers = tuple(blockers)
        heading = f"Nothing was changed, since {len(blockers)} things must be settled first"
        super().__init__(one_or_list(blockers, heading=heading, lead="Nothing was changed: "))


class NothingToAdoptError(AdoptError):
    """The stack manages no DNS."""

    def __init__(self, stack: str) -> None:
        super().__init__(
            f"agentmail:dns of stack {stack!r} is 'none'; expected 'cloudflare', since only records in a Cloudflare zone can be adopted; "
            "there is nothing to do"
        )


class NoTokenError(AdoptError):
    """Neither configuration nor environment has a Cloudflare token."""

    def __init__(self) -> None:
        super().__init__(
            "cloudflare:apiToken is not set; expected a Cloudflare API token with Zone.DNS Edit; "
            f"set it with: {remedies.set_secret('cloudflare:apiToken')}, or in the environment as CLOUDFLARE_API_TOKEN"
        )


class ConfigFileError(AdoptError):
    """The stack's configuration file cannot be read or changed."""

    def __init__(self, path: Path, found: str) -> None:
        super().__init__(
            f"The stack's configuration file {path} {found}; expected YAML with the key 'config'; name the right file with --config-file"
        )


class BackupError(AdoptError):
    """A backup that is none, or of another zone."""

    def __init__(self, path: Path, found: str, expected: str) -> None:
        super().__init__(f"The backup {path} {found}; expected {expected}; name the right file after --restore")


class AdoptionDeclinedError(AdoptError):
    """The person said no, or could not be asked."""

    def __init__(self, *, asked: bool, remedy: str) -> None:
        found = "was not confirmed" if asked else "cannot be confirmed, since there is nobody to ask"
        super().__init__(f"The plan {found}; nothing was changed; {remedy}")


class ChangedMeanwhileError(AdoptError):
    """A record is no longer what the plan says."""

    def __init__(self, brief: str) -> None:
        super().__init__(
            f"{brief} was changed while the plan was being confirmed; it was left alone; run the command again to see it as it is now"
        )
