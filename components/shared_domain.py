"""A mail domain that another stack owns: this stack adds mailboxes to it and touches nothing else of it.

The other stack is read, never written, and by a stack reference: the function behind `pulumi.StackReference`, not the
resource of that name. The resource gives its answer too late, for every address ends in the domain; and it would copy
all outputs of the other stack, its tunnel's token and every mailbox, into the state of this one (decision record 061).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pulumi

from mailboxes import remedies
from settings.model import Settings
from settings.values import PROJECT


class DomainStackError(pulumi.RunError):
    """The stack that `domainStack` names cannot lend its domain."""

    def __init__(self, reference: str, found: str, remedy: str) -> None:
        super().__init__(
            f"agentmail:domainStack names the stack {reference}, which {found}; expected a stack of this project that owns "
            f"a mail domain and has been brought up; {remedy}"
        )


@dataclass(frozen=True, kw_only=True)
class SharedDomain:
    """What the stack that owns the domain tells of it."""

    reference: str
    """`ORGANIZATION/PROJECT/STACK`."""
    domain: str
    webhook_url: str
    """Without its secret."""
    tunnel_hostname: str
    dkim_status: str
    spf_status: str
    owner_tag: str

    @classmethod
    def of(cls, reference: str, outputs: Mapping[str, Any], *, own_tag: str) -> SharedDomain:
        """From the outputs of that stack. Raises DomainStackError where they do not do, or where both share a mark."""
        missing = [key for key in ("domain", "webhookUrl", "ownerTag") if not outputs.get(key)]
        if missing:
            raise DomainStackError(
                reference,
                f"has no output {missing[0]}" if outputs else "has no outputs",
                f"bring it up first with: {remedies.apply(reference.rpartition('/')[2])}, or correct domainStack",
            )
        if outputs["ownerTag"] == own_tag:
            raise DomainStackError(
                reference,
                f"has the owner tag {own_tag!r} of this stack too",
                "give this stack an ownerTag of its own, since a shared one would let each delete the other's routes",
            )
        return cls(
            reference=reference,
            domain=str(outputs["domain"]),
            webhook_url=str(outputs["webhookUrl"]),
            tunnel_hostname=str(outputs.get("tunnelHostname") or ""),
            dkim_status=str(outputs.get("dkimStatus") or ""),
            spf_status=str(outputs.get("spfStatus") or ""),
            owner_tag=str(outputs["ownerTag"]),
        )

    def complete(self, settings: Settings) -> Settings:
        """The settings of a stack on this domain. A webhook URL of its own stays."""
        return settings.model_copy(
            update={"domain": self.domain, "webhook_url": settings.webhook_url or self.webhook_url}
        )


def read_shared_domain(settings: Settings) -> SharedDomain | None:
    """The domain of the stack that `domainStack` names; None for a stack with a domain of its own.

    Raises DomainStackError.
    """
    name = settings.domain_stack
    if not name:
        return None
    reference = name if "/" in name else f"{pulumi.get_organization()}/{PROJECT}/{name}"
    try:
        answer = pulumi.runtime.invoke("pulumi:pulumi:readStackOutputs", {"name": reference}).value
    except Exception as error:  # noqa: BLE001 - the SDK raises a bare Exception for whatever the engine answers
        raise DomainStackError(reference, *_failure(str(error))) from None
    return SharedDomain.of(reference, answer.get("outputs") or {}, own_tag=settings.tag)


def _failure(answer: str) -> tuple[str, str]:
    """What was found, and what to do, from the engine's layers of error text."""
    if "unknown stack" in answer:
        return "does not exist in this backend", "correct domainStack, or create that stack first"
    return f"cannot be read ({answer.strip().splitlines()[-1]})", "correct domainStack"
