"""Which records of a zone stand in the way of ours. Foreign records are never lost: a conflict stops the program.

A record is ours when its comment is `managed by pulumi: OWNERTAG`, and by nothing else. One that `./mail adopt` has
taken into the stack's state stays foreign until the next `up` marks it; until then its id stands in the configuration.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from zone.dmarc import is_dmarc
from zone.names import canonical, is_within
from zone.spf import is_spf
from zone.spf_lookups import NoAnswerError, Resolve
from zone.txt import joined

MARK = "managed by pulumi: "
"""How the comment of every stack's records begins."""

ADDRESS_TYPES = frozenset({"A", "AAAA", "CNAME"})


class Place(StrEnum):
    """Where a record stands, as far as this program cares; the value is the end of a declared record's name."""

    MX = "mx"
    SPF = "spf"
    DMARC = "dmarc"
    TLS_REPORTS = "tls-rpt"
    DKIM = "dkim"
    OWNERSHIP = "ownership"
    TUNNEL_HOST = "cname"
    ALIAS = "alias"
    """A CNAME at a name where records of ours of another type must stand."""
    DELEGATION = "delegation"
    """An NS at or above a name of ours: the world asks other name servers than the zone's."""
    WILDCARD = "wildcard"
    """An MX for every name, which ceases to answer for the domain once anything of ours stands there."""


_WHY = {
    Place.MX: "mail for the domain would go to both",
    Place.SPF: "a domain has one SPF record (RFC 7208, 3.2)",
    Place.DMARC: "a domain has one DMARC record (RFC 9989)",
    Place.TLS_REPORTS: "a domain has one TLS-RPT record (RFC 8460, 3)",
    Place.DKIM: "the place of Mailjet's DKIM key",
    Place.OWNERSHIP: "the place of Mailjet's ownership token",
    Place.TUNNEL_HOST: "the place of the tunnel's CNAME",
    Place.ALIAS: "a CNAME allows no other record at its name (RFC 1034, 3.6.2)",
    Place.DELEGATION: "it delegates a place of ours: other name servers are asked there, and ours is never seen",
    Place.WILDCARD: "mail for the domain goes there today, and would not any more (RFC 4592, 2.2.1)",
}
EMAIL_ROUTING_HOSTS = "mx.cloudflare.net"
"""Where the hosts of Cloudflare's Email Routing lie (`route1.mx.cloudflare.net`)."""


@dataclass(frozen=True, kw_only=True)
class SurveyedRecord:
    """A record as the zone has it."""

    id: str
    name: str
    type: str
    content: str
    comment: str = ""
    priority: int | None = None
    ttl: int = 1
    proxied: bool = False
    flattened: bool = False
    """A CNAME that answers with what its target has, so that other records may stand beside it."""
    locked_by: str = ""
    """The service of Cloudflare's that lets nobody change the record; empty for one that can be changed."""

    @classmethod
    def parse(cls, fields: Mapping[str, Any]) -> SurveyedRecord:
        """A record from an item of Cloudflare's `dns_records` listing, by its API or its plugin."""
        priority = fields.get("priority")
        settings, meta = _object(fields.get("settings")), _object(fields.get("meta"))
        locked_by = "Email Routing" if meta.get("email_routing") else "Cloudflare itself"
        return cls(
            id=str(fields["id"]),
            name=canonical(str(fields["name"])),
            type=str(fields["type"]).upper(),
            content=str(fields.get("content") or ""),
            comment=str(fields.get("comment") or ""),
            priority=None if priority is None else int(priority),
            ttl=int(fields.get("ttl") or 1),
            proxied=bool(fields.get("proxied")),
            flattened=bool(settings.get("flatten_cname") or settings.get("flattenCname")),
            locked_by=locked_by if meta.get("read_only") else "",
        )

    @property
    def text(self) -> str:
        """The content as a resolver sees it: TXT strings joined, host names canonical."""
        return joined(self.content) if self.type == "TXT" else canonical(self.content)

    @property
    def owner(self) -> str | None:
        """The owner tag in the comment, of whichever stack; None for a record that no such program made."""
        return self.comment.removeprefix(MARK) if self.comment.startswith(MARK) else None

    def brief(self, limit: int = 60) -> str:
        """`NAME TYPE CONTENT`, the content cut for display."""
        return f"{self.name} {self.type} {shortened(self.content, limit)}"


def _object(given: object) -> Mapping[str, Any]:
    """An object, or the JSON text of one: the plugin gives `meta` as text."""
    if isinstance(given, str):
        try:
            given = json.loads(given)
        except ValueError:
            return {}
    return given if isinstance(given, Mapping) else {}


@dataclass(frozen=True)
class Conflict:
    """A foreign record in the place of one of ours."""

    record: SurveyedRecord
    place: Place
    why: str


@dataclass(frozen=True, kw_only=True)
class ZoneNeeds:
    """The places of a zone that this stack needs for itself."""

    domain: str
    mx: bool = True
    tunnel_hostname: str = ""
    tls_reports: bool = False
    zone_name: str = ""

    @property
    def names(self) -> frozenset[str]:
        """Where records of ours will stand, as far as it is known before Mailjet has been asked."""
        names = {self.domain, f"_dmarc.{self.domain}", f"mailjet._domainkey.{self.domain}", self.tunnel_hostname}
        return frozenset(names | ({f"_smtp._tls.{self.domain}"} if self.tls_reports else set()) - {""})


class ForeignRecordsError(Exception):
    """Foreign records are where ours must go; the message is a table and the command that resolves it."""

    def __init__(self, conflicts: Sequence[Conflict], *, adopt: str) -> None:
        """`adopt`: the command that takes them over."""
        self.conflicts = tuple(conflicts)
        rows = [("NAME", "TYPE", "VALUE", "WHY IT IS IN THE WAY")] + [
            (item.record.name, item.record.type, shortened(item.record.content), item.why) for item in conflicts
        ]
        widths = [max(len(row[column]) for row in rows) for column in range(3)]
        table = "\n".join(
            "  " + "  ".join([*(cell.ljust(width) for cell, width in zip(row[:3], widths, strict=True)), row[3]])
            for row in rows
        )
        count = f"{len(conflicts)} record" + ("s" if len(conflicts) > 1 else "")
        super().__init__(
            f"The zone holds {count} that this program did not make, where its own must go; nothing was changed.\n{table}\n"
            f"To take them over safely (with a backup first), run: {adopt}"
        )


class WrongZoneError(Exception):
    """The zone id belongs to another zone than the one that is configured."""

    def __init__(self, *, zone_name: str, zone_id: str, found: str) -> None:
        super().__init__(
            f"agentmail:zoneName is {zone_name!r}, but the zone with the id {zone_id} holds the record {found!r}; "
            "expected the name and the id of the same zone; correct zoneName or zoneId"
        )


class UnknownToTheStateError(Exception):
    """A record is about to be created that the zone has already: a run was killed, or a destroy kept it."""

    def __init__(self, name: str, record: SurveyedRecord, *, adopt: str) -> None:
        """`adopt`: the command that takes it over."""
        super().__init__(
            f"{name} would be created, but the zone already holds {record.brief()} (id {record.id}), "
            "which the stack's state does not know; expected one such record, so this one is not written; "
            f"take the record into the state with: {adopt}"
        )


class SupersededRecordsError(Exception):
    """This `up` would delete foreign records that were adopted as superseded, and nobody has agreed to that."""

    def __init__(self, records: Sequence[SurveyedRecord], *, consent: str, keep: str) -> None:
        """The commands that give the consent, and that leave everything as it is."""
        listed = "; ".join(record.brief() for record in records)
        count = f"{len(records)} foreign record" + ("s" if len(records) > 1 else "")
        super().__init__(
            f"The up deletes {count} ({listed}), which needs your consent first; "
            f"to give it, run: {consent} (it sets agentmail:replaceForeignMx and lifts the "
            f"protection); "
            f"to leave everything as it is, run: {keep}"
        )


def shortened(content: str, limit: int = 60) -> str:
    """The content, cut where a table would grow too wide."""
    return content if len(content) <= limit else content[: limit - 1] + "…"


def survey(records: Iterable[Mapping[str, Any]], *, zone_name: str, zone_id: str) -> list[SurveyedRecord]:
    """The zone's records, in the order of the listing.

    Raises WrongZoneError when a record lies outside the zone of that name.
    """
    parsed = [SurveyedRecord.parse(fields) for fields in records]
    for record in parsed:
        if not is_within(record.name, zone_name):
            raise WrongZoneError(zone_name=zone_name, zone_id=zone_id, found=record.name)
    return parsed


def conflicts(
    records: Iterable[SurveyedRecord], needs: ZoneNeeds, *, comment: str, adopted: Collection[str] = ()
) -> list[Conflict]:
    """Every record without our comment that stands where one of ours goes, identical or not.

    TXT records of other services are no conflict: they are left alone. `adopted`: ids that the state holds by now.
    """
    records = list(records)
    found = []
    for record in records:
        place = None if record.comment == comment or record.id in adopted else place_of(record, needs)
        if place:
            why = _WHY[place]
            if record.owner is not None:
                why = f"{why}; it belongs to the stack with the ownerTag {record.owner!r}"
            if record.locked_by:
                why = f"{why}; {record.locked_by} has locked it"
            found.append(Conflict(record, place, why))
    found += [Conflict(record, Place.WILDCARD, _WHY[Place.WILDCARD]) for record in wildcard_mx(records, needs)]
    return found


def wildcards_over(records: Sequence[SurveyedRecord], name: str) -> list[SurveyedRecord]:
    """The wildcard records that answer for a name, which must not exist itself (RFC 4592, 3.3.1: the closest encloser's)."""

    def exists(candidate: str) -> bool:
        return any(is_within(record.name, candidate) for record in records)

    if exists(name):
        return []
    encloser = name.partition(".")[2]
    while encloser and not exists(encloser):
        encloser = encloser.partition(".")[2]
    return [record for record in records if record.name == f"*.{encloser}"]


def wildcard_mx(records: Sequence[SurveyedRecord], needs: ZoneNeeds) -> list[SurveyedRecord]:
    """The wildcard MX that the domain's mail goes to."""
    return [record for record in wildcards_over(records, needs.domain) if record.type == "MX" and needs.mx]


def wildcard_warnings(records: Sequence[SurveyedRecord], needs: ZoneNeeds) -> list[str]:
    """Sentences on wildcards that cease to answer for the domain and the tunnel's host, and for what lies below these.

    Its MX over the domain is no mere warning but a conflict.
    """
    return [
        f"{record.brief()} answers for {name} and the names below it today, and not any more once this stack's records "
        "stand there (RFC 4592, 2.2.1); copy it to those names that still need it"
        for name in dict.fromkeys([needs.domain, needs.tunnel_hostname])
        if name
        for record in wildcards_over(records, name)
        if not (name == needs.domain and record.type == "MX" and needs.mx)
    ]


def hidden_email_routing(records: Iterable[SurveyedRecord], needs: ZoneNeeds, *, comment: str, resolve: Resolve) -> str:
    """A sentence on Email Routing that takes the domain's mail although the zone's listing does not show its MX; else empty.

    Only the DNS can tell. Not asked where an MX of ours stands already: there is no Email Routing beside it.
    """
    exchanges = {record.text: record.comment for record in records if place_of(record, needs) is Place.MX}
    if comment in exchanges.values():
        return ""
    try:
        hosts = [canonical(answer.split()[-1]) for answer in resolve(needs.domain, "MX") if answer.strip()]
    except NoAnswerError:
        return ""
    hidden = sorted(host for host in hosts if is_within(host, EMAIL_ROUTING_HOSTS) and host not in exchanges)
    if not hidden:
        return ""
    return (
        f"Mail for {needs.domain} goes to {', '.join(hidden)} by the DNS, although the zone lists no such MX: Cloudflare's Email "
        f"Routing takes it; expected a domain without; {EMAIL_ROUTING_REMEDY}"
    )


EMAIL_ROUTING_REMEDY = (
    "give Email Routing up in Cloudflare's dashboard (the zone's Email > Email Routing > Settings > Disable), which removes its "
    "records, when its addresses may stop receiving, or choose another domain"
)


def place_of(record: SurveyedRecord, needs: ZoneNeeds) -> Place | None:
    """The place of ours that a record stands in, if any."""
    domain = needs.domain
    if (
        record.type == "NS"
        and record.name != needs.zone_name
        and any(is_within(name, record.name) for name in needs.names)
    ):
        return Place.DELEGATION
    aliases = {domain, f"_dmarc.{domain}"} | ({f"_smtp._tls.{domain}"} if needs.tls_reports else set())
    # A proxied or flattened CNAME, as one at the apex always is, answers for itself: other types may stand beside it.
    apart = record.proxied or record.flattened or record.name == needs.zone_name
    if record.type == "CNAME" and record.name in aliases and not apart:
        return Place.ALIAS
    if record.name == domain and record.type == "MX" and needs.mx:
        return Place.MX
    if record.name == domain and record.type == "TXT" and is_spf(record.text):
        return Place.SPF
    if record.name == f"_dmarc.{domain}" and record.type == "TXT" and is_dmarc(record.text):
        return Place.DMARC
    if record.name == f"_smtp._tls.{domain}" and record.type == "TXT" and needs.tls_reports:
        return Place.TLS_REPORTS
    if record.name == f"mailjet._domainkey.{domain}":
        return Place.DKIM
    if re.fullmatch(rf"mailjet\._[^.]+\.{re.escape(domain)}", record.name):
        return Place.OWNERSHIP
    if record.name == needs.tunnel_hostname and record.type in ADDRESS_TYPES:
        return Place.TUNNEL_HOST
    return None


def already_there(
    records: Iterable[SurveyedRecord], needs: ZoneNeeds, *, type_: str, name: str, content: str
) -> SurveyedRecord | None:
    """The record that makes creating this one wrong: it fills the place already.

    A place takes one record, only MX takes one for each host.
    """
    wanted = SurveyedRecord(id="", name=canonical(name), type=type_, content=content)
    place = place_of(wanted, needs)
    for record in records:
        same = record.name == wanted.name and record.type == wanted.type
        if not same or place_of(record, needs) is not place:
            continue
        if place in {Place.MX, None} and record.text != wanted.text:
            continue
        return record
    return None
