"""Looking names up in the emulated zone, the way Mailjet's checks look at the public DNS."""

from __future__ import annotations

import contextlib
import ipaddress
import re
from collections.abc import Sequence

import dns.exception
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype

QUERY_SECONDS = 3.0
LONGEST_CHAIN = 8
MOST_SPF_LOOKUPS = 10


class ZoneResolver:
    """A resolver that asks one name server and nobody else. Without a server, every name is unknown."""

    def __init__(self, server: tuple[str, int] | None) -> None:
        self.server = server

    async def _ask(self, name: str, kind: str) -> dns.message.Message | None:
        if self.server is None:
            return None
        # With the first question: it brings two HTTP clients along, for DNS over HTTPS.
        import dns.asyncquery

        try:
            query = dns.message.make_query(name, kind)
            host, port = self.server
            answer, _ = await dns.asyncquery.udp_with_fallback(query, host, timeout=QUERY_SECONDS, port=port)
        except (dns.exception.DNSException, OSError):
            return None
        return answer

    async def lookup(self, name: str, kind: str) -> list[str]:
        """The data of all `kind` records at `name`, following CNAMEs; TXT chunks are joined, unquoted."""
        wanted = dns.rdatatype.from_text(kind)
        for _ in range(LONGEST_CHAIN):
            answer = await self._ask(name, kind)
            if answer is None:
                return []
            found = [data for rrset in answer.answer if rrset.rdtype == wanted for data in rrset]
            if found:
                return [_plain(data) for data in found]
            aliases = [
                data.target.to_text()
                for rrset in answer.answer
                if rrset.rdtype == dns.rdatatype.CNAME
                for data in rrset
            ]
            if not aliases:
                return []
            name = aliases[-1]
        return []

    async def mail_hosts(self, domain: str) -> list[str] | None:
        """The hosts that take mail for `domain` (RFC 5321 5.1), best first.

        Empty: the domain takes no mail. None: the name server does not speak for this part of the world.
        """
        answer = await self._ask(domain, "MX")
        if answer is None or answer.rcode() not in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN):
            return None
        found = await self.lookup(domain, "MX")
        hosts = [(int(preference), host) for preference, _, host in (mx.partition(" ") for mx in found)]
        if any(host == "" for _, host in hosts):
            # A null MX (RFC 7505).
            return []
        if hosts:
            return [host for _, host in sorted(hosts)]
        addressed = await self.lookup(domain, "A") or await self.lookup(domain, "AAAA")
        return [domain] if addressed else []


def _plain(data: object) -> str:
    strings: Sequence[bytes] | None = getattr(data, "strings", None)
    if strings is not None:
        return b"".join(strings).decode("utf-8", "replace")
    text = str(data)
    with contextlib.suppress(ValueError):
        preference, _, target = text.partition(" ")
        int(preference)
        return f"{preference} {target.rstrip('.').lower()}"
    return text.rstrip(".").lower()


async def spf_includes(zone: ZoneResolver, domain: str, wanted: str) -> tuple[bool, list[str], list[str]]:
    """Whether `domain`'s SPF record names `wanted` by an include, itself or by way of others (RFC 7208).

    Returns (found, errors, the SPF records at the domain).
    """
    records = _spf(await zone.lookup(domain, "TXT"))
    if not records:
        return False, ["no SPF record"], []
    if len(records) > 1:
        return False, ["more than one SPF record"], records
    if broken := [term for term in records[0].split()[1:] if not _is_term(term)]:
        return False, [f"syntax error in the SPF record: {broken[0]}"], records
    budget = [MOST_SPF_LOOKUPS]
    found = await _includes(zone, records[0], wanted, budget, set())
    if found:
        return True, [], records
    reason = "too many DNS lookups" if budget[0] < 0 else f"the SPF record does not include {wanted}"
    return False, [reason], records


def _is_term(term: str) -> bool:
    """Whether a receiver can read the term (RFC 7208, 4.6.1): one that it cannot makes the record a permanent error."""
    name, colon, value = term.lstrip("+-~?").partition(":")
    name, slash, length = name.lower().partition("/") if not colon else (name.lower(), "", "")
    if "=" in name:
        return bool(re.fullmatch(r"[a-z][a-z0-9._-]*", name.partition("=")[0]))
    if name in {"ip4", "ip6"}:
        try:
            network = ipaddress.ip_network(value, strict=False)
        except ValueError:
            return False
        return network.version == int(name[-1]) and "." not in value.partition("/")[2]
    if name == "all":
        return not (colon or slash)
    if name not in {"include", "exists", "a", "mx", "ptr"} or (name in {"include", "exists"} and not value):
        return False
    target, _, lengths = value.partition("/") if colon else ("x", "", length)
    return bool(target) and "," not in target and re.fullmatch(r"\d{0,2}(/{1,2}\d{1,3})?", lengths) is not None


async def _includes(zone: ZoneResolver, record: str, wanted: str, budget: list[int], seen: set[str]) -> bool:
    targets: list[str] = []
    for term in record.split()[1:]:
        mechanism = term.lower().lstrip("+-~?")
        kind, _, target = mechanism.partition("=" if mechanism.startswith("redirect=") else ":")
        if kind in ("include", "redirect"):
            targets.append(target.rstrip("."))
    if wanted in targets:
        return True
    for target in targets:
        if target in seen:
            continue
        seen.add(target)
        budget[0] -= 1
        if budget[0] < 0:
            return False
        inner = _spf(await zone.lookup(target, "TXT"))
        if len(inner) == 1 and await _includes(zone, inner[0], wanted, budget, seen):
            return True
    return False


def _spf(texts: Sequence[str]) -> list[str]:
    return [text for text in texts if text.lower() == "v=spf1" or text.lower().startswith("v=spf1 ")]
