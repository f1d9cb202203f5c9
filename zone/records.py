"""The DNS records of an agent mail domain: a flat list, each with the sentence that says what it is for.

What is known from configuration (`configured_records`) is apart from what only Mailjet knows
(`mailjet_records`), so that a preview shows the former before the sender domain exists.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from zone.dmarc import DmarcPolicy, report_uri
from zone.errors import RecordError
from zone.names import canonical, host_beside, is_within, labels_below
from zone.spf import spf_record
from zone.txt import quoted

SUBMISSION_RELAYS = frozenset({"in.mailjet.com", "in-v3.mailjet.com"})
"""Mailjet's hosts for sending; older notes list them as MX, but they do not feed the Parse API."""

AUTOMATIC_TTL = 1
"""Cloudflare's 'automatic', the only TTL that it allows on a proxied record."""

MX_STEP = 10
"""Between the preferences of two hosts, and the first host's own where nothing else is wanted."""
WORST_PREFERENCE = 65_535
"""RFC 1035, 3.3.9: the lower a preference, the better."""


@dataclass(frozen=True, kw_only=True)
class Record:
    """A DNS record: `name` a FQDN without trailing dot, `content` in Cloudflare's form, `ttl` in seconds."""

    key: str
    """The record's role; the logical resource name ends with it, so it is part of every state file."""
    name: str
    type: str
    content: str
    why: str
    ttl: int
    priority: int | None = None
    proxied: bool = False

    def public(self) -> dict[str, Any]:
        """The record as the stack output `expectedRecords` shows it."""
        return {name: value for name, value in asdict(self).items() if name != "key" and value is not None}


def configured_records(
    *,
    domain: str,
    mx_hosts: Sequence[str],
    spf_include: str,
    spf_mechanisms: Sequence[str],
    spf_qualifier: str,
    dmarc: DmarcPolicy,
    tls_reports: Sequence[str],
    ttl: int,
    mx_preference: int = MX_STEP,
) -> list[Record]:
    """MX, SPF, DMARC and, where reports are wanted, TLS-RPT (RFC 8460) of the mail domain.

    An MX is named by its host, not by its position: a host that leaves or moves up the list touches no other record.
    `mx_preference` is the first host's; the others follow in steps.

    Raises RecordError for an SPF record that RFC 7208 forbids, or a report address that is none.
    """
    hosts = list(dict.fromkeys(canonical(host) for host in mx_hosts))
    records = [
        Record(
            key=f"mx-{host}",
            name=domain,
            type="MX",
            content=host,
            priority=min(mx_preference + MX_STEP * position, WORST_PREFERENCE),
            ttl=ttl,
            why="Inbound mail for every agent goes to Mailjet's Parse API.",
        )
        for position, host in enumerate(hosts)
    ]
    records.append(
        Record(
            key="spf",
            name=domain,
            type="TXT",
            content=quoted(spf_record(spf_include, spf_mechanisms, spf_qualifier)),
            ttl=ttl,
            why="SPF: receivers see that Mailjet may send for this domain.",
        )
    )
    records.append(
        Record(
            key="dmarc",
            name=f"_dmarc.{domain}",
            type="TXT",
            content=quoted(dmarc.text()),
            ttl=ttl,
            why=f"DMARC: what receivers do with mail that fails, here p={dmarc.p}.",
        )
    )
    if tls_reports:
        text = "v=TLSRPTv1; rua=" + ",".join(_tls_report(address) for address in tls_reports)
        records.append(
            Record(
                key="tls-rpt",
                name=f"_smtp._tls.{domain}",
                type="TXT",
                content=quoted(text),
                ttl=ttl,
                why="TLS-RPT: senders report failed encryption here.",
            )
        )
    return records


def _tls_report(address: str) -> str:
    """RFC 8460, 3: reports go by mail or by HTTPS."""
    if re.fullmatch(r"https://[!-:<-~]+", address):
        return address.replace(",", "%2C")
    return report_uri("agentmail:tlsReports", address)


def mailjet_records(
    *, domain: str, dkim_name: str, dkim_value: str, ownership_name: str, ownership_token: str, ttl: int
) -> list[Record]:
    """DKIM key and ownership token, exactly as Mailjet gives them.

    Raises RecordError when Mailjet names a record outside the mail domain.
    """
    for what, name in (("DKIM", dkim_name), ("ownership", ownership_name)):
        if not is_within(name, domain):
            raise RecordError(
                f"Mailjet's {what} record",
                f"the name {name!r}",
                f"a name below {domain!r}",
                "check the sender domain in Mailjet",
            )
    return [
        Record(
            key="dkim",
            name=canonical(dkim_name),
            type="TXT",
            content=quoted(dkim_value),
            ttl=ttl,
            why="DKIM: the public key to Mailjet's signatures.",
        ),
        Record(
            key="ownership",
            name=canonical(ownership_name),
            type="TXT",
            content=quoted(ownership_token),
            ttl=ttl,
            why="Ownership: proves to Mailjet that the domain is ours.",
        ),
    ]


def tunnel_record(*, hostname: str, target: str) -> Record:
    """The proxied CNAME that leads the platform's public host to its tunnel."""
    return Record(
        key="cname",
        name=hostname,
        type="CNAME",
        content=target,
        ttl=AUTOMATIC_TTL,
        proxied=True,
        why="Tunnel: the platform's webhook, reached through Cloudflare.",
    )


def certificate_warnings(hostname: str, *, domain: str, zone_name: str) -> list[str]:
    """A sentence on a tunnel's host that no certificate covers: Universal SSL's are for the zone and one level below.

    https://developers.cloudflare.com/ssl/edge-certificates/universal-ssl/limitations/
    """
    if not zone_name or not is_within(hostname, zone_name) or len(labels_below(hostname, zone_name)) <= 1:
        return []
    return [
        f"agentmail:tunnelHostname is {hostname!r}, more than one level below the zone {zone_name!r}, where Cloudflare's Universal SSL "
        "has no certificate, so that deliveries fail in the TLS handshake; expected one level, such as "
        f"{host_beside('api', domain, zone_name)!r}, or a certificate of your own for it (Advanced Certificate Manager, Total TLS)"
    ]


def mx_warnings(mx_hosts: Sequence[str]) -> list[str]:
    """Sentences on MX hosts that would not bring mail to the Parse API."""
    return [
        f"agentmail:mailjetMxHosts lists {host!r}, which is Mailjet's relay for sending; inbound mail needs 'parse.mailjet.com'"
        for host in mx_hosts
        if canonical(host) in SUBMISSION_RELAYS
    ]
