"""One SPF record for the mail domain (RFC 7208): composing it, and taking over what a foreign one allows."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from zone.errors import RecordError
from zone.names import a_labels

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
_MECHANISM = re.compile(
    r"(?:(?:include|exists):[^\s/]+|(?:a|mx)(?::[^\s/]+)?(?:/\d{1,3})?(?://\d{1,3})?"
    r"|ip4:[0-9.]+(?:/\d{1,2})?|ip6:[0-9A-Fa-f:.]+(?:/\d{1,3})?)",
    re.IGNORECASE,
)
_NAMED = re.compile(r"(include|exists|a|mx):([^\s/]+)(.*)", re.IGNORECASE)
_OWN_MX = re.compile(r"mx(?::([^\s/]+))?((?:/\d{1,3})?(?://\d{1,3})?)", re.IGNORECASE)
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
    for term in [include, *further]:
        normal = _normal(term)
        if normal is None:
            raise RecordError(
                "agentmail:spfMechanisms",
                repr(term),
                "an SPF mechanism among include, a, mx, ip4, ip6 and exists (RFC 7208, section 5; 'all' comes from spfQualifier, "
                "'ptr' must not be published)",
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


def _normal(term: str) -> str | None:
    """The mechanism with its name in lower case and its domain as A-labels; None for what may not stand in our record."""
    qualifier, bare = _QUALIFIED.fullmatch(term).groups()  # type: ignore[union-attr]  # matches every text
    if not _MECHANISM.fullmatch(bare):
        return None
    if named := _NAMED.fullmatch(bare):
        mechanism, domain, lengths = named.groups()
        if "%" not in domain:
            try:
                domain = a_labels(domain)
            except ValueError:
                return None
        bare = f"{mechanism.lower()}:{domain}{lengths}"
    else:
        bare = bare.lower()
    if not bare.isascii():
        return None
    return ("" if qualifier == "+" else qualifier) + bare


@dataclass(frozen=True, kw_only=True)
class KeptSpf:
    """What of foreign SPF records goes on in ours."""

    mechanisms: tuple[str, ...]
    qualifier: str
    """Of the foreign `all`; empty where there is none."""
    notes: tuple[str, ...]
    """Sentences on terms that change or fall away."""


def keep_spf(texts: Iterable[str], *, domain: str, superseded_mx: Sequence[str]) -> KeptSpf:
    """The mechanisms of foreign SPF records, in order and once each.

    `mx` means the hosts that receive the domain's mail. Where those hosts give way to ours (`superseded_mx`), it
    becomes an `a:` for each of them, so that they may go on sending.
    """
    mechanisms: list[str] = []
    notes: list[str] = []
    qualifier = ""
    for text in texts:
        for term in text.split()[1:]:
            sign, bare = _QUALIFIED.fullmatch(term).groups()  # type: ignore[union-attr]  # matches every text
            if bare.lower() == "all":
                qualifier = _stricter(qualifier, sign or "+")
                continue
            if bare.lower().startswith("redirect="):
                notes.append(
                    f"SPF: {term!r} becomes 'include:{bare[9:]}', since a record with its own 'all' ignores a redirect."
                )
                bare = f"include:{bare[9:]}"
            if superseded_mx and (own := _OWN_MX.fullmatch(bare)) and own[1] in (None, domain):
                hosts = [f"{sign}a:{host}{own[2]}" for host in superseded_mx]
                notes.append(f"SPF: {term!r} becomes {' '.join(hosts)!r}, the hosts that it means today.")
                mechanisms += hosts
                continue
            normal = _normal(sign + bare)
            if normal is None:
                notes.append(f"SPF: {term!r} is not kept; {_why_not(bare)}.")
            else:
                mechanisms.append(normal)
    return KeptSpf(mechanisms=tuple(dict.fromkeys(mechanisms)), qualifier=qualifier, notes=tuple(notes))


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
    return "RFC 7208 knows no such mechanism"
