"""`*@domain` as a sender, and the DNS values that Mailjet wants to see for it.

One sender for the whole domain, since Mailjet allows 100 senders per API key. Validation is `DomainVerification`'s:
these values are needed for the records that come before it. Deletion keeps the sender unless `delete_sender` says
otherwise, because Mailjet's is soft and perhaps irreversible.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import pulumi
from pulumi.dynamic import CheckResult, CreateResult, DiffResult, ReadResult, Resource, UpdateResult

from clients.mailjet.api import DnsRow, SenderRow, SenderStatus
from clients.mailjet.errors import NoDnsEntryError, SenderNotRevivedError
from providers.mailjet import plugin
from providers.mailjet.base_provider import (
    MailjetProvider,
    Props,
    changed,
    check_result,
    declared,
    flag,
    known,
    own,
    text,
    unchanged_or,
    vanished,
)
from providers.mailjet.senders import delete_sender, ensure_sender, find_live_sender

_DOMAIN = re.compile(r"(?=.{4,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]([a-z0-9-]{0,61}[a-z0-9])")
_INPUTS = ("domain", "delete_sender")
_DNS_TRIES = 5


@dataclass(frozen=True, kw_only=True)
class SenderDomainArgs:
    """`domain` in lower case without a trailing dot."""

    domain: pulumi.Input[str]
    delete_sender: pulumi.Input[bool] = False


class SenderDomainProvider(MailjetProvider):
    """Adopts what exists, revives what was soft-deleted, creates the rest."""

    def check(self, _olds: Props, news: Props) -> CheckResult:
        domain = news.get("domain")
        if known(domain) and not (isinstance(domain, str) and _DOMAIN.fullmatch(domain)):
            return check_result(
                news,
                [f"domain is {domain!r}, expected a mail domain in lower case such as agents.example: correct it."],
            )
        plugin.claim(senders=[_email(news)])
        return check_result(news, [])

    def diff(self, _id: str, _olds: Props, _news: Props) -> DiffResult:
        return unchanged_or(changed(_olds, _news, _INPUTS), replaces=["domain"])

    def create(self, props: Props) -> CreateResult:
        process = plugin.current()
        email = _email(props)
        process.sender_claims.claim([email])
        domain = text(props, "domain")
        sender = ensure_sender(process, email, name=domain, email_type="transactional")
        return CreateResult(email, _outputs(props, sender, _require_dns(process, sender, domain)))

    def read(self, id_: str, props: Props) -> ReadResult:
        process = plugin.current()
        sender = find_live_sender(process, _email(props))
        dns = _find_dns(process, sender, text(props, "domain")) if sender is not None else None
        if sender is None or dns is None:
            return vanished()
        return ReadResult(id_, _outputs(props, sender, dns), own(props, _INPUTS))

    def update(self, _id: str, _olds: Props, _news: Props) -> UpdateResult:
        return UpdateResult(self.create(_news).outs)

    def delete(self, _id: str, _props: Props) -> None:
        if flag(_props, "delete_sender"):
            delete_sender(plugin.current(), _email(_props))


class SenderDomain(Resource, module="mailjet", name="SenderDomain"):
    """A mail domain at Mailjet. Names are FQDNs in lower case without a trailing dot."""

    domain: pulumi.Output[str]
    delete_sender: pulumi.Output[bool]
    sender_id: pulumi.Output[int]
    dns_id: pulumi.Output[int]
    dkim_name: pulumi.Output[str]
    dkim_value: pulumi.Output[str]
    spf_value: pulumi.Output[str]
    ownership_name: pulumi.Output[str]
    ownership_token: pulumi.Output[str]

    def __init__(self, name: str, args: SenderDomainArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        props = declared(
            args, "sender_id", "dns_id", "dkim_name", "dkim_value", "spf_value", "ownership_name", "ownership_token"
        )
        super().__init__(SenderDomainProvider(), name, props, opts)


def _email(props: Props) -> str:
    return f"*@{text(props, 'domain')}"


def _find_dns(process: plugin.PluginProcess, sender: SenderRow, domain: str) -> DnsRow | None:
    found = process.api.dns(sender.dns_id) if sender.dns_id is not None else None
    return found or process.api.dns(domain)


def _require_dns(process: plugin.PluginProcess, sender: SenderRow, domain: str) -> DnsRow:
    """Mailjet makes the entry when it makes the sender; it may take a moment."""
    for attempt in range(_DNS_TRIES):
        dns = _find_dns(process, sender, domain)
        if dns is not None:
            return dns
        if attempt + 1 < _DNS_TRIES:
            process.clock.sleep(2.0**attempt)
    if sender.status is SenderStatus.DELETED:
        raise SenderNotRevivedError(sender.email, detail="neither validation nor a change restores it")
    raise NoDnsEntryError(domain)


def _outputs(props: Props, sender: SenderRow, dns: DnsRow) -> Props:
    return {
        **own(props, _INPUTS),
        "sender_id": sender.id,
        "dns_id": dns.id,
        "dkim_name": dns.dkim_name,
        "dkim_value": dns.dkim_value,
        "spf_value": dns.spf_value,
        "ownership_name": dns.ownership_name,
        "ownership_token": dns.ownership_token,
    }
