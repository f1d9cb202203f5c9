"""What the doctor knows of a stack before it looks at the world: settings and outputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from azmail.contract import Mailbox
from azmail.stack import MailStack
from mailboxes import remedies
from settings.model import Settings
from zone.names import canonical, is_tunnel_host, tunnel_id_of
from zone.txt import joined


class NeverUpError(Exception):
    """The stack has no outputs yet."""

    def __init__(self, stack: str) -> None:
        super().__init__(
            f"The stack {stack!r} has no outputs, expected those of an up: create it with: {remedies.apply(stack)}"
        )


@dataclass(frozen=True, kw_only=True)
class Expected:
    """A record as the stack wants it."""

    name: str
    type: str
    content: str
    """As a resolver sees it: strings of a TXT joined, host names without trailing dot."""
    priority: int | None = None
    proxied: bool = False

    @property
    def label(self) -> str:
        return f"{self.type} {self.name}"

    @property
    def answer(self) -> str:
        """What a resolver answers."""
        return self.content if self.priority is None else f"{self.priority} {self.content}"


@dataclass(frozen=True, kw_only=True)
class ExaminedStack:
    """One stack, as its configuration and its outputs say it is."""

    stack: str
    settings: Settings
    records: Sequence[Expected]
    mailboxes: Sequence[Mailbox] = field(repr=False)
    outputs: MailStack | None = field(default=None, repr=False)
    cloudflare_url: str = ""
    inbox_elsewhere: str = ""
    """Where the inbox is reached from here, if not where its readers reach it."""
    outdated: Sequence[str] = ()
    """Credentials of which the state has recorded another value than the configuration has."""

    @property
    def again(self) -> str:
        """What mends all that somebody has changed at the services. A refresh asks with the credentials of the last up:
        where those are no longer the configuration's, an up without one comes first."""
        refreshing = remedies.apply(self.stack, refresh=True)
        return f"{remedies.apply(self.stack)} && {refreshing}" if self.outdated else refreshing

    @property
    def inbox_url(self) -> str:
        """Where the inbox is asked; empty where the last up made none."""
        made = self.outputs.inbox_url if self.outputs is not None else ""
        return (self.inbox_elsewhere.rstrip("/") or made) if made else ""

    @property
    def addresses(self) -> set[str]:
        return {mailbox.address.lower() for mailbox in self.mailboxes}

    @property
    def tunnel_id(self) -> str:
        """Of the tunnel behind the public host; empty where there is none."""
        return next((tunnel_id_of(record.content) for record in self.records if is_tunnel_host(record.content)), "")


def examine(
    stack: str,
    settings: Settings,
    outputs: Mapping[str, Any],
    *,
    cloudflare_url: str = "",
    inbox_elsewhere: str = "",
    outdated: Sequence[str] = (),
) -> ExaminedStack:
    """Settings and outputs together. Raises NeverUpError, and ContractError for outputs of another version."""
    if "expectedRecords" not in outputs:
        raise NeverUpError(stack)
    agents = MailStack(outputs, source=f"the outputs of stack {stack!r}")
    if settings.domain_stack:
        borrowed = {"domain": agents.domain, "webhook_url": agents.webhook_url}
        settings = settings.model_copy(update=borrowed)
    return ExaminedStack(
        stack=stack,
        settings=settings,
        records=[_expected(record) for record in outputs["expectedRecords"]],
        mailboxes=list(agents),
        outputs=agents,
        cloudflare_url=cloudflare_url,
        inbox_elsewhere=inbox_elsewhere,
        outdated=outdated,
    )


def _expected(fields: Mapping[str, Any]) -> Expected:
    type_, content = str(fields["type"]), str(fields["content"])
    priority = fields.get("priority")
    return Expected(
        name=canonical(str(fields["name"])),
        type=type_,
        content=joined(content) if type_ == "TXT" else canonical(content),
        priority=None if priority is None else int(priority),
        proxied=bool(fields.get("proxied")),
    )
