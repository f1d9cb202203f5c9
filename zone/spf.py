"""One SPF record for the mail domain (RFC 7208): composing it, and taking over what a foreign one allows."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from zone.errors import RecordError
from zone.names import a_labels, canonical

VERSION = "v=spf1"
MAX_LOOKUPS = 10
"""RFC 7208, 4.6.4: terms that cause a DNS query, nested ones counted too."""
MAX_BYTES = 2048
"""What Cloudflare takes as the content of one TXT record."""
ADVISED_BYTES = 450
"""RFC 7208, 3.4: a longer record, with all other TXT records of its name, may not fit into a UDP answer."""

STRICTNESS = "+?~-"
"""Qualifiers of the final `all`, the laxest first."""

_QUALIFIED = re.compile(r"([+?~-]?)(.*)", re.DOTALL)
_MACRO = r"%(?:\{[slodiphv]\d*r?[.\-+,/_=]*\}|[%_-])"
"""RFC 7208, 7.1; the letters `c`, `r` and `t` are for explanations only."""
_DOMAIN = re.compile(
    rf"(?:(?:[a-z0-9_-]|{_MACRO})+\.)+(?:(?=[a-z0-9-]*[a-z])[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)"
    rf"|(?:(?:[a-z0-9_-]|{_MACRO})+\.)*(?:[a-z0-9_-]|{_MACRO})*{_MACRO}",
    re.IGNORECASE,
)
"""A domain-spec: labels and macros, at the end a top label, which is no number, or a macro."""
_TARGETED = re.compile(r"(include|exists|a|mx)(?::(.+?))?((?:/[^/{}]*)?(?://[^/{}]*)?)", re.IGNORECASE)
_ADDRESSED = re.compile(r"(ip4|ip6):([^/]+)(?:/(.*))?", re.IGNORECASE | re.DOTALL)
_PREFIX = re.compile(r"(?:/(0|[1-9]\d?))?(?://(0|[1-9]\d{0,2}))?")
_OWN_MX = re.compile(r"mx(?::([^/]+))?((?:/\d+)?)((?://\d+)?)")
_LOOKUP = re.compile(r"[+?~-]?(?:include:|exists:|a\b|mx\b|ptr\b)|redirect=", re.IGNORECASE)


def is_spf(text: str) -> bool:
    """Whether a TXT value is an SPF record: the version tag ends at a space or at the end (RFC 7208, 4.5)."""
    return text.lower() == VERSION or text.lower().startswith(f"{VERSION} ")


def spf_record(include: str, further: Sequence[str], qualifier: str) -> str:
    """`v=spf1 <include> <further…> <qualifier>all`, without repetitions, names as A-labels.

    Raises RecordError for a term that RFC 7208 does not know or discourages (`ptr`), an `all` among the
    mechanisms, a modifier, more than ten terms that need a lookup, or a record too long to publish.
    """
    terms = []
    for key, term in [("mailjetSpfInclude", include), *(("spfMechanisms", term) for term in further)]:
        normal = normal_term(term)
        if normal is None:
            raise RecordError(
                f"agentmail:{key}",
                repr(term),
                "an SPF mechanism among include, a, mx, ip4, ip6 and exists, one an entry, with an address, a prefix length and a "
                "domain that exist (RFC 7208, section 5 and 7.1; 'all' comes from spfQualifier, 'ptr' must not be published)",
                "correct or remove it",
            )
        terms.append(normal)
    terms = list(dict.fromkeys(terms))
    lookups = sum(1 for term in terms if costs_lookup(term))
    if lookups > MAX_LOOKUPS:
        raise RecordError(
            "agentmail:spfMechanisms",
            f"{lookups} terms that cause a DNS lookup",
            f"at most {MAX_LOOKUPS} (RFC 7208, 4.6.4)",
            "replace some by the ip4 or ip6 ranges that they stand for",
        )
    record = " ".join([VERSION, *terms, f"{qualifier}all"])
    if len(record) > MAX_BYTES:
        raise RecordError(
            "agentmail:spfMechanisms",
            f"so many terms that the SPF record is {len(record)} bytes long",
            f"at most {MAX_BYTES}",
            "move some terms into a record of their own and include it",
        )
    return record


def length_warnings(record: str) -> list[str]:
    """A sentence on an SPF record too long for a plain UDP answer."""
    if len(record) <= ADVISED_BYTES:
        return []
    return [
        f"The SPF record is {len(record)} bytes long; RFC 7208 (3.4) advises {ADVISED_BYTES} at most, so that it fits into a UDP answer: "
        "move some of agentmail:spfMechanisms into a record of their own and include it"
    ]


def costs_lookup(term: str) -> bool:
    """Whether a receiver must ask the DNS for this term."""
    return bool(_LOOKUP.match(term))


def normal_term(term: str) -> str | None:
    """The mechanism with its name in lower case and its domain as A-labels; None for what may not stand in our record."""
    qualifier, bare = _QUALIFIED.fullmatch(term).groups()  # type: ignore[union-attr]  # matches every text
    normal = _normal_address(bare) or _normal_target(bare)
    return None if normal is None else ("" if qualifier == "+" else qualifier) + normal


def _normal_address(bare: str) -> str | None:
    """`ip4` or `ip6` with an address of its kind and a prefix length that this has (RFC 7208, 5.6)."""
    match = _ADDRESSED.fullmatch(bare)
    if not match:
        return None
    mechanism, address, length = match[1].lower(), match[2], match[3]
    try:
        known = ipaddress.IPv4Address(address) if mechanism == "ip4" else ipaddress.IPv6Address(address)
    except ValueError:
        return None
    if "%" in address or (length is not None and not _is_length(length, known.max_prefixlen)):
        return None
    return f"{mechanism}:{address.lower()}" + ("" if length is None else f"/{length}")


def _is_length(text: str, most: int) -> bool:
    return bool(re.fullmatch(r"0|[1-9]\d{0,2}", text)) and int(text) <= most


def _normal_target(bare: str) -> str | None:
    """`include`, `exists`, `a` or `mx` with its domain, which the latter two may leave out, and their prefix lengths."""
    match = _TARGETED.fullmatch(bare)
    if not match:
        return None
    mechanism, domain, lengths = match[1].lower(), match[2], match[3]
    sizes = _PREFIX.fullmatch(lengths)
    if not sizes or int(sizes[1] or 0) > 32 or int(sizes[2] or 0) > 128:
        return None
    if mechanism in {"include", "exists"} and (domain is None or lengths):
        return None
    if domain is None:
        return mechanism + lengths
    if "%" not in domain:
        try:
            domain = a_labels(domain)
        except ValueError:
            return None
    if not _DOMAIN.fullmatch(domain.rstrip(".")) or any(
        len(label) > 63 for label in domain.split(".") if "%" not in label
    ):
        return None
    return f"{mechanism}:{domain}{lengths}"


@dataclass(frozen=True, kw_only=True)
class KeptSpf:
    """What of foreign SPF records goes on in ours."""

    mechanisms: tuple[str, ...]
    qualifier: str
    """Of the foreign `all`; empty where there is none."""
    notes: tuple[str, ...]
    """Sentences on terms that change or fall away."""


def keep_spf(
    texts: Iterable[str], *, domain: str, superseded_mx: Sequence[str], addresses: Addresses = lambda _host: ()
) -> KeptSpf:
    """The mechanisms of foreign SPF records that count, in order and once each.

    `mx` means the hosts that receive the domain's mail. Where those hosts give way to ours (`superseded_mx`), it
    becomes their `addresses`, which cost no lookup, so that they may go on sending; a host without any becomes an `a:`.
    """
    mechanisms: list[str] = []
    notes: list[str] = []
    qualifier = ""
    for text in texts:
        terms = text.split()[1:]
        ends = next((at for at, term in enumerate(terms) if term.lstrip("+?~-").lower() == "all"), None)
        for at, term in enumerate(terms):
            sign, bare = _QUALIFIED.fullmatch(term).groups()  # type: ignore[union-attr]  # matches every text
            if at == ends:
                qualifier = _stricter(qualifier, sign or "+")
                continue
            if ends is not None and (at > ends or bare.lower().startswith("redirect=")):
                notes.append(f"SPF: {term!r} is not kept; beside 'all' it has no effect today (RFC 7208, 5.1).")
                continue
            if bare.lower().startswith("redirect="):
                notes.append(
                    f"SPF: {term!r} becomes 'include:{bare[9:]}', since a record with its own 'all' ignores a redirect."
                )
                bare = f"include:{bare[9:]}"
            normal = normal_term(sign + bare)
            if normal is None:
                notes.append(f"SPF: {term!r} is not kept; {_why_not(bare)}.")
                continue
            own = _OWN_MX.fullmatch(normal.lstrip("?~-"))
            if superseded_mx and own and own[1] in (None, canonical(domain)):
                hosts = list(_hosts(sign, superseded_mx, own[2], own[3], addresses))
                notes.append(f"SPF: {term!r} becomes {' '.join(hosts)!r}, the hosts that it means today.")
                mechanisms += hosts
            else:
                mechanisms.append(normal)
    return KeptSpf(mechanisms=tuple(dict.fromkeys(mechanisms)), qualifier=qualifier, notes=tuple(notes))


class Addresses(Protocol):
    """The IPv4 and IPv6 addresses of a host; none where they are not known."""

    def __call__(self, host: str, /) -> Sequence[str]: ...


def _hosts(sign: str, hosts: Sequence[str], ipv4_length: str, ipv6_length: str, addresses: Addresses) -> Iterator[str]:
    """The hosts that an `mx` means, with the prefix lengths that it has (`/24`, `//64`)."""
    sign = "" if sign == "+" else sign
    for host in hosts:
        known = addresses(host)
        if not known:
            yield f"{sign}a:{host}{ipv4_length}{ipv6_length}"
        for address in known:
            yield f"{sign}ip6:{address}{ipv6_length[1:]}" if ":" in address else f"{sign}ip4:{address}{ipv4_length}"


def stricter_qualifier(ours: str, foreign: str) -> str:
    """The stricter of two qualifiers of `all`; ours where the foreign record has none."""
    return _stricter(ours, foreign) if foreign else ours


def _stricter(one: str, other: str) -> str:
    return max(one, other, key=STRICTNESS.find)


def _why_not(bare: str) -> str:
    if bare.lower() == "ptr" or bare.lower().startswith("ptr:"):
        return "RFC 7208 (5.5) forbids publishing 'ptr'; add the ip4 or ip6 ranges that it stands for to agentmail:spfMechanisms"
    if "=" in bare:
        return "it changes no result"
    return "RFC 7208 knows no such mechanism, address, prefix length or domain"
