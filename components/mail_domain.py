"""The mail domain: Mailjet's sender domain, its DNS records, and the wait until Mailjet has verified both.

The MX comes last of all (`open_for_mail`): a domain whose MX leads to Mailjet before it is verified and routed bounces
its mail (docs/decisions/110-the-mx-comes-last.md).

It manages no other record of the zone and imports none: foreign records stop the program before
(components/zone_survey.py), and `./mail adopt` takes them over.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass

import pulumi

from components.cloudflare_sdk import DnsRecord
from components.zone_survey import ZoneSurvey
from providers.mailjet.domain_verification import DomainVerification, DomainVerificationArgs
from providers.mailjet.footprint import Footprint, FootprintArgs
from providers.mailjet.sender_domain import SenderDomain, SenderDomainArgs
from settings.model import Settings
from settings.values import Dns
from zone.records import Record, mailjet_records


@dataclass(frozen=True, kw_only=True)
class MailDomainArgs:
    """What a mail domain is made of."""

    domain: str
    records: Sequence[Record]
    """The records that configuration alone determines: MX, SPF, DMARC, TLS-RPT."""
    ttl: int
    zone_id: str
    """The Cloudflare zone; empty where the zone is served elsewhere and the records are only told."""
    comment: str
    verification: str
    verification_timeout_seconds: int
    delete_sender: bool
    protect: bool

    adopted: frozenset[str] = frozenset()
    """Names of resources whose record belonged to somebody else before: a destroy leaves such SPF and DMARC in place."""
    gives_up_mx: bool = False
    """Whether this run deletes MX of somebody else's, last of all."""
    guard: pulumi.ResourceHookBinding | None = None
    """Refuses to create what the zone has already."""

    @classmethod
    def of(cls, settings: Settings, records: Sequence[Record], zone: ZoneSurvey) -> MailDomainArgs:
        """The mail domain that the stack's settings describe, with its `configured_records`."""
        return cls(
            domain=settings.domain,
            records=records,
            ttl=settings.ttl,
            zone_id=settings.zone_id if settings.dns is Dns.CLOUDFLARE else "",
            comment=settings.record_comment,
            verification=settings.verification,
            verification_timeout_seconds=settings.verification_timeout_seconds,
            delete_sender=settings.mailjet_delete_sender,
            protect=settings.protected,
            adopted=frozenset(entry.name for entry in settings.adopted_records),
            gives_up_mx=any(entry.is_superseded for entry in settings.adopted_records),
            guard=zone.guard,
        )


class MailDomain(pulumi.ComponentResource):
    """A verified sender domain with the records that send, sign and receive its mail."""

    domain: pulumi.Output[str]
    dkim_status: pulumi.Output[str]
    spf_status: pulumi.Output[str]
    expected_records: pulumi.Output[list[Record]]
    sender: SenderDomain
    verification: DomainVerification

    def __init__(self, name: str, args: MailDomainArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("azt3knet:mail:MailDomain", name, None, opts)
        self._name = name
        self._args = args
        own = pulumi.ResourceOptions(parent=self, protect=args.protect)

        footprint = Footprint(
            f"{name}-footprint",
            FootprintArgs(senders=[f"*@{args.domain}"], delete_senders=args.delete_sender),
            pulumi.ResourceOptions(parent=self),
        )
        self.sender = SenderDomain(
            f"{name}-sender",
            SenderDomainArgs(domain=args.domain, delete_sender=args.delete_sender),
            pulumi.ResourceOptions.merge(own, pulumi.ResourceOptions(depends_on=[footprint])),
        )
        from_mailjet = pulumi.Output.all(
            dkim_name=self.sender.dkim_name,
            dkim_value=self.sender.dkim_value,
            ownership_name=self.sender.ownership_name,
            ownership_token=self.sender.ownership_token,
        ).apply(lambda facts: mailjet_records(domain=args.domain, ttl=args.ttl, **facts))
        self.expected_records = from_mailjet.apply(lambda records: [*args.records, *records])

        published: list[pulumi.Resource] = []
        if args.zone_id:
            declared: list[tuple[str, Record | pulumi.Output[Record]]] = [
                (record.key, record) for record in args.records if record.type != "MX"
            ]
            declared += [
                ("dkim", from_mailjet.apply(lambda records: records[0])),
                ("ownership", from_mailjet.apply(lambda records: records[1])),
            ]
            # Nothing is written to the zone before Mailjet has accepted the credentials.
            published = [self._publish(key, record, after=[self.sender]) for key, record in declared]

        self.verification = DomainVerification(
            f"{name}-verification",
            DomainVerificationArgs(
                domain=args.domain,
                sender_id=self.sender.sender_id,
                dns_id=self.sender.dns_id,
                records=self.expected_records.apply(_as_verified),
                mode=args.verification,
                timeout_seconds=args.verification_timeout_seconds,
            ),
            pulumi.ResourceOptions.merge(own, pulumi.ResourceOptions(depends_on=[self.sender, *published])),
        )
        self.domain = pulumi.Output.from_input(args.domain)
        self.dkim_status = self.verification.dkim_status
        self.spf_status = self.verification.spf_status
        self.register_outputs({"domain": self.domain})

    def open_for_mail(self, after: Sequence[pulumi.Resource]) -> None:
        """Publish the MX, once all that takes the mail stands: the verified domain and what is in `after`.

        A destroy goes the other way round: the MX leaves before the routes.
        """
        if not self._args.zone_id:
            return
        for record in self._args.records:
            if record.type == "MX":
                published = self._publish(record.key, record, after=[self.verification, *after])
                if self._args.gives_up_mx and not pulumi.runtime.is_dry_run():
                    _require_published(published, record)

    def _publish(
        self, key: str, record: Record | pulumi.Output[Record], *, after: Sequence[pulumi.Resource]
    ) -> DnsRecord:
        name = f"{self._name}-{key}"
        return dns_record(
            name,
            record,
            zone_id=self._args.zone_id,
            comment=self._args.comment,
            opts=pulumi.ResourceOptions(
                parent=self,
                protect=self._args.protect,
                depends_on=list(after),
                hooks=self._args.guard,
                # The owner's mail stood on these two before we came.
                retain_on_delete=key in {"spf", "dmarc"} and name in self._args.adopted,
            ),
        )


def dns_record(
    name: str, record: Record | pulumi.Output[Record], *, zone_id: str, comment: str, opts: pulumi.ResourceOptions
) -> DnsRecord:
    """Declare one record, marked as ours by its comment."""
    if isinstance(record, Record):
        return DnsRecord(
            name,
            zone_id=zone_id,
            name=record.name,
            type=record.type,
            content=record.content,
            ttl=record.ttl,
            priority=record.priority,
            proxied=record.proxied,
            comment=comment,
            opts=opts,
        )
    return DnsRecord(
        name,
        zone_id=zone_id,
        name=record.apply(lambda known: known.name),
        type="TXT",
        content=record.apply(lambda known: known.content),
        ttl=record.apply(lambda known: float(known.ttl)),
        proxied=False,
        comment=comment,
        opts=opts,
    )


def _require_published(published: DnsRecord, record: Record) -> None:
    """End the program where an MX that should take over has not come about, so that the engine deletes nothing.

    With `--continue-on-error` it would go on to its deletions, and the domain would be left without any MX: to such a
    program a resource that failed, or was skipped, shows as one of which nothing is known.
    """

    async def check() -> None:
        if not await published.name.is_known():
            raise pulumi.RunError(
                f"The MX {record.content} of {record.name} was not published, for a reason that stands above; expected it before those "
                "that it supersedes are deleted, so nothing is deleted; mend the reason, then run the same command again"
            )

    async def is_known() -> bool:
        return True

    # The SDK waits for every output before the program ends, and ends it with what it raises.
    pulumi.Output(set(), asyncio.ensure_future(check()), asyncio.ensure_future(is_known()))


def _as_verified(records: Sequence[Record]) -> str:
    """What Mailjet's checks look at, which is no MX; a change in it verifies the domain again."""
    facts = [
        {"name": record.name, "type": record.type, "content": record.content}
        for record in records
        if record.type != "MX"
    ]
    return json.dumps(facts, sort_keys=True, separators=(",", ":"))
