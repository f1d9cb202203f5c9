"""Authoritative answers for the account's zones (RFC 1034 4.3.2, wildcards by RFC 4592).

As Cloudflare's name servers do: a proxied host answers the edge's addresses and hides its CNAME, a CNAME at the apex
is flattened, ANY gets the short answer of RFC 8482, "automatic" TTLs are 300 seconds.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import dns.edns
import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.rcode
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.rrset
from dns.rdatatype import RdataType

from emulators.cloudflare.account import Account
from emulators.cloudflare.elsewhere import (
    EDGE_ADDRESSES,
    ELSEWHERE,
    TTL,
    TUNNEL_ADDRESS,
    apex_elsewhere,
    rdatas,
)
from emulators.cloudflare.errors import TunnelNotFoundError
from emulators.cloudflare.names import within
from emulators.cloudflare.records import RecordType, StoredRecord
from emulators.cloudflare.tunnels import TUNNEL_DOMAIN, tunnel_id_of
from emulators.cloudflare.zone import EmulatedZone

# DNS flag day 2020: what fits one packet on any path.
MAX_UDP = 1232
MIN_UDP = 512
MAX_TCP = 65535
_MAX_ALIASES = 16
_NS_TTL = 86400
_NEGATIVE_TTL = 1800
_EDGE = {kind: rdatas(kind, texts) for kind, texts in EDGE_ADDRESSES.items()}


@dataclass
class _Answer:
    """The sections as they grow along a chain of aliases."""

    answer: list[dns.rrset.RRset] = field(default_factory=list)
    authority: list[dns.rrset.RRset] = field(default_factory=list)
    additional: list[dns.rrset.RRset] = field(default_factory=list)
    rcode: dns.rcode.Rcode = dns.rcode.NOERROR
    authoritative: bool = True


def answer(account: Account, query: bytes, *, udp: bool) -> bytes:
    """The answer to a query in wire format; empty where nothing may be answered (RFC 1035 4.1.1: not a query)."""
    try:
        asked = dns.message.from_wire(query, ignore_trailing=False)
    except dns.message.ShortHeader:
        return b""
    except (dns.exception.DNSException, ValueError):
        return _form_error(query)
    if asked.flags & dns.flags.QR:
        return b""
    response = dns.message.make_response(asked, recursion_available=False, our_payload=MAX_UDP)
    response.flags &= ~dns.flags.AD
    if asked.edns > 0:
        response.set_rcode(dns.rcode.BADVERS)
    elif asked.opcode() != dns.opcode.QUERY:
        response.set_rcode(dns.rcode.NOTIMP)
    elif len(asked.question) != 1:
        response.set_rcode(dns.rcode.FORMERR)
    else:
        with account.lock:
            found = _resolve(account, asked.question[0])
        response.answer, response.authority, response.additional = (
            found.answer,
            found.authority,
            found.additional,
        )
        response.set_rcode(found.rcode)
        if found.authoritative:
            response.flags |= dns.flags.AA
    return _wire(response, asked, udp=udp)


def _wire(response: dns.message.Message, asked: dns.message.Message, *, udp: bool) -> bytes:
    size = MAX_TCP
    if udp:
        size = min(max(asked.payload, MIN_UDP), MAX_UDP) if asked.edns >= 0 else MIN_UDP
    try:
        return response.to_wire(max_size=size, want_shuffle=False)
    except dns.exception.TooBig:
        response.answer, response.authority, response.additional = [], [], []
        response.flags |= dns.flags.TC
        return response.to_wire(max_size=size, want_shuffle=False)


def _form_error(query: bytes) -> bytes:
    if len(query) < 12 or query[2] & 0x80:
        return b""
    opcode = query[2] & 0x79
    return query[:2] + bytes([0x80 | opcode, int(dns.rcode.FORMERR)]) + bytes(8)


def _text(name: dns.name.Name) -> str:
    return name.to_text(omit_final_dot=True).lower()


def _rrset(owner: dns.name.Name, ttl: int, kind: RdataType, data: Iterable[dns.rdata.Rdata]) -> dns.rrset.RRset:
    rrset = dns.rrset.RRset(owner, dns.rdataclass.IN, kind)
    for one in data:
        rrset.add(one, ttl)
    return rrset


def _resolve(account: Account, question: dns.rrset.RRset) -> _Answer:
    found = _Answer()
    if question.rdclass not in {dns.rdataclass.IN, dns.rdataclass.ANY}:
        return _Answer(rcode=dns.rcode.REFUSED, authoritative=False)
    if question.rdtype in {RdataType.AXFR, RdataType.IXFR}:
        return _Answer(rcode=dns.rcode.REFUSED, authoritative=False)
    owner: dns.name.Name | None = question.name
    for step in range(_MAX_ALIASES):
        if owner is None:
            return found
        owner = _step(account, owner, question.rdtype, found, first=step == 0)
    return found if owner is None else _Answer(rcode=dns.rcode.SERVFAIL, authoritative=False)


def _step(
    account: Account, owner: dns.name.Name, kind: RdataType, found: _Answer, *, first: bool
) -> dns.name.Name | None:
    """Add what is known of `owner`; the name to go on with where it is an alias."""
    name = _text(owner)
    zone = account.zone_of(name)
    if zone is not None:
        return _in_zone(account, zone, owner, name, kind, found)
    if within(name, TUNNEL_DOMAIN):
        _of_tunnel(account, owner, name, kind, found)
        return None
    apex = apex_elsewhere(name)
    if apex is not None:
        _elsewhere(apex, owner, name, kind, found)
    elif first:
        found.rcode, found.authoritative = dns.rcode.REFUSED, False
    return None


def _in_zone(
    account: Account, zone: EmulatedZone, owner: dns.name.Name, name: str, kind: RdataType, found: _Answer
) -> dns.name.Name | None:
    if kind is RdataType.ANY and zone.exists(name):
        hinfo = rdatas("HINFO", ('"RFC8482" ""',))
        found.answer.append(_rrset(owner, 3789, RdataType.HINFO, hinfo))
        return None
    cut = _delegation(zone, name, kind)
    if cut is not None:
        _refer(zone, cut, found)
        return None
    records = _matching(zone, name)
    if records is None:
        found.rcode = dns.rcode.NXDOMAIN
        found.authority.append(_soa(zone))
        return None
    alias = next((one for one in records if one.type is RecordType.CNAME), None)
    proxied = any(one.proxied for one in records)
    flattened = alias is not None and (
        name == zone.name or alias.proxied or alias.settings.get("flatten_cname") is True
    )
    if alias is not None and not flattened:
        found.answer.append(_rrset(owner, alias.wire_ttl, RdataType.CNAME, [alias.rdata]))
        return None if kind is RdataType.CNAME else _target(alias)
    data, ttl = _data(account, zone, name, kind, records, proxied=proxied, alias=alias)
    if data is None:
        found.rcode, found.authoritative = dns.rcode.SERVFAIL, False
    elif data:
        found.answer.append(_rrset(owner, ttl, kind, data))
    else:
        found.authority.append(_soa(zone))
    return None


def _target(alias: StoredRecord) -> dns.name.Name:
    return dns.name.from_text(alias.content + ".")


def _data(
    account: Account,
    zone: EmulatedZone,
    name: str,
    kind: RdataType,
    records: list[StoredRecord],
    *,
    proxied: bool,
    alias: StoredRecord | None,
) -> tuple[list[dns.rdata.Rdata] | None, int]:
    """Data of `kind` at a name without a visible CNAME; None where a flattened one leads nowhere."""
    text = dns.rdatatype.to_text(kind)
    if kind in {RdataType.A, RdataType.AAAA} and proxied:
        return _EDGE[text], TTL
    if kind in {RdataType.A, RdataType.AAAA} and alias is not None:
        return _flattened(account, alias, kind), alias.wire_ttl
    if name == zone.name and kind is RdataType.SOA:
        return list(_soa(zone)), _NEGATIVE_TTL
    if name == zone.name and kind is RdataType.NS:
        return rdatas("NS", tuple(server + "." for server in zone.facts.name_servers)), _NS_TTL
    ours = [one for one in records if one.type.value == text and one.type is not RecordType.CNAME]
    # RFC 2181 5.2: one TTL for a set.
    return [one.rdata for one in ours], min((one.wire_ttl for one in ours), default=TTL)


def _flattened(account: Account, alias: StoredRecord, kind: RdataType) -> list[dns.rdata.Rdata] | None:
    question = dns.rrset.RRset(_target(alias), dns.rdataclass.IN, kind)
    found = _resolve(account, question)
    if found.rcode in {dns.rcode.REFUSED, dns.rcode.SERVFAIL}:
        return None
    return [rdata for rrset in found.answer if rrset.rdtype == kind for rdata in rrset]


def _matching(zone: EmulatedZone, name: str) -> list[StoredRecord] | None:
    """The records that answer for `name`, from itself or a wildcard; None where the name does not exist."""
    if zone.exists(name):
        return zone.at(name)
    encloser = name
    while not zone.exists(encloser):
        _, _, encloser = encloser.partition(".")
    wildcard = f"*.{encloser}"
    return zone.at(wildcard) if zone.exists(wildcard) else None


def records_for(account: Account, name: str) -> list[StoredRecord]:
    """The records that stand behind a host name, from itself or a wildcard; none where it does not exist."""
    zone = account.zone_of(name)
    return [] if zone is None else _matching(zone, name) or []


def _delegation(zone: EmulatedZone, name: str, kind: RdataType) -> str | None:
    """The topmost name at or above `name`, below the apex, that has NS records: those zones are elsewhere."""
    relative = name[: -len(zone.name)].rstrip(".") if name != zone.name else ""
    labels = relative.split(".") if relative else []
    for count in range(1, len(labels) + 1):
        cut = ".".join(labels[-count:]) + "." + zone.name
        if any(one.type is RecordType.NS for one in zone.at(cut)):
            # The parent itself answers for DS at the cut (RFC 4035 3.1.4.1).
            return None if cut == name and kind is RdataType.DS else cut
    return None


def _refer(zone: EmulatedZone, cut: str, found: _Answer) -> None:
    servers = [one for one in zone.at(cut) if one.type is RecordType.NS]
    owner = dns.name.from_text(cut + ".")
    ttl = min(one.wire_ttl for one in servers)
    found.authoritative = bool(found.answer)
    found.authority.append(_rrset(owner, ttl, RdataType.NS, [one.rdata for one in servers]))
    for server in servers:
        for kind in (RecordType.A, RecordType.AAAA):
            glue = [one for one in zone.at(server.content) if one.type is kind]
            if glue:
                found.additional.append(
                    _rrset(
                        dns.name.from_text(server.content + "."),
                        min(one.wire_ttl for one in glue),
                        dns.rdatatype.from_text(kind.value),
                        [one.rdata for one in glue],
                    )
                )


def _soa(zone: EmulatedZone) -> dns.rrset.RRset:
    text = f"{zone.facts.name_servers[0]}. dns.cloudflare.com. {zone.serial} 10000 2400 604800 {_NEGATIVE_TTL}"
    return _rrset(dns.name.from_text(zone.name + "."), _NEGATIVE_TTL, RdataType.SOA, rdatas("SOA", (text,)))


def _foreign_soa(apex: str) -> dns.rrset.RRset:
    text = f"ns.{apex}. hostmaster.{apex}. 1 10000 2400 604800 {_NEGATIVE_TTL}"
    return _rrset(dns.name.from_text(apex + "."), _NEGATIVE_TTL, RdataType.SOA, rdatas("SOA", (text,)))


def _elsewhere(apex: str, owner: dns.name.Name, name: str, kind: RdataType, found: _Answer) -> None:
    names = ELSEWHERE[apex]
    data = names.get(name, {}).get(dns.rdatatype.to_text(kind))
    if data:
        found.answer.append(_rrset(owner, TTL, kind, data))
        return
    found.authority.append(_foreign_soa(apex))
    if name != apex and not any(within(known, name) for known in names):
        found.rcode = dns.rcode.NXDOMAIN


def _of_tunnel(account: Account, owner: dns.name.Name, name: str, kind: RdataType, found: _Answer) -> None:
    if name == TUNNEL_DOMAIN or _alive(account, name):
        if kind is RdataType.AAAA and name != TUNNEL_DOMAIN:
            found.answer.append(_rrset(owner, TTL, kind, rdatas("AAAA", (TUNNEL_ADDRESS,))))
            return
    else:
        found.rcode = dns.rcode.NXDOMAIN
    found.authority.append(_foreign_soa(TUNNEL_DOMAIN))


def _alive(account: Account, name: str) -> bool:
    try:
        account.tunnel(tunnel_id_of(name) or "", deleted=False)
    except TunnelNotFoundError:
        return False
    return True
