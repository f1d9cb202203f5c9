"""The DMARC policy of the mail domain (RFC 9989): composing it, and taking over the stricter of two."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from urllib.parse import unquote

from zone.errors import RecordError
from zone.names import a_labels, canonical, is_within

STRICTNESS = ("none", "quarantine", "reject")
_ADDRESS = re.compile(r"(?:mailto:)?([^@\s;,!\"<>]+(?:[,!][^@\s;\"<>]*)?)@([^@\s;,!/]+)", re.IGNORECASE)
_URI = re.compile(r"mailto:[^\s;]+", re.IGNORECASE)
_TAG = re.compile(r"\s*([A-Za-z]+)\s*=\s*([^;]*?)\s*")
_OPTIONS = re.compile(r"[01ds](:[01ds])*")
_KEPT_TAGS = frozenset({"v", "p", "sp", "adkim", "aspf", "rua", "ruf", "fo"})
_VALUES = {"p": STRICTNESS, "sp": STRICTNESS, "adkim": ("r", "s"), "aspf": ("r", "s")}
_WHY_NOT_KEPT = {
    "pct": "RFC 9989 has removed it: the policy holds for all mail",
    "rf": "RFC 9989 has removed it",
    "ri": "RFC 9989 has removed it",
}


@dataclass(frozen=True, kw_only=True)
class DmarcPolicy:
    """The tags of a DMARC record (RFC 9989; `pct`, `rf` and `ri` of RFC 7489 are gone)."""

    p: str = "none"
    sp: str = ""
    adkim: str = ""
    aspf: str = ""
    rua: Sequence[str] = field(default_factory=tuple)
    ruf: Sequence[str] = field(default_factory=tuple)
    fo: str = ""

    def text(self) -> str:
        """`v=DMARC1; p=…` with the tags that are set, in the order of the RFC's examples.

        Raises RecordError for a report address that is none.
        """
        tags = {
            "p": self.p,
            "sp": self.sp,
            "adkim": self.adkim,
            "aspf": self.aspf,
            "rua": ",".join(report_uri("agentmail:dmarcAggregateReports", address) for address in self.rua),
            "ruf": ",".join(report_uri("agentmail:dmarcFailureReports", address) for address in self.ruf),
            "fo": self.fo,
        }
        return "; ".join(["v=DMARC1", *(f"{tag}={value}" for tag, value in tags.items() if value)])

    @property
    def for_subdomains(self) -> str:
        """The policy that subdomains get: `sp`, and without one `p`."""
        return self.sp or self.p


def is_dmarc(text: str) -> bool:
    """Whether a TXT value is a DMARC record."""
    return bool(re.match(r"v\s*=\s*DMARC1\b", text, re.IGNORECASE))


def report_uri(key: str, address: str) -> str:
    """`mailto:` URI of a report address; its domain as A-labels, commas and exclamation marks percent-encoded.

    Raises RecordError that names the configuration key.
    """
    problem = RecordError(key, repr(address), "a mail address such as 'dmarc@agents.example'", "correct or remove it")
    match = _ADDRESS.fullmatch(address)
    if not match or not match[1].isascii():
        raise problem
    try:
        domain = a_labels(match[2])
    except ValueError:
        raise problem from None
    local = match[1].replace("!", "%21").replace(",", "%2C")
    return f"mailto:{local}@{domain}"


def report_domain(address: str) -> str:
    """The domain that a report address lies in."""
    return canonical(address.rsplit("@", 1)[-1].split("!")[0])


def report_warnings(domain: str, policy: DmarcPolicy, *, zone_name: str = "") -> list[str]:
    """Sentences on report addresses in another domain, which must consent by a record (RFC 9990, section 4).

    Within one organization no consent is needed; the zone stands for the organization where it is known.
    """
    warnings = []
    for address in dict.fromkeys([*policy.rua, *policy.ruf]):
        host = report_domain(address)
        related = is_within(host, domain) or is_within(domain, host) or (bool(zone_name) and is_within(host, zone_name))
        if not related:
            warnings.append(
                f"DMARC reports go to {address}, in another domain; receivers send them only if that domain publishes "
                f'{domain}._report._dmarc.{host} TXT "v=DMARC1"'
            )
    return warnings


@dataclass(frozen=True, kw_only=True)
class KeptDmarc:
    """Our policy, made at least as strict as foreign ones."""

    policy: DmarcPolicy
    notes: tuple[str, ...]
    """Sentences on tags that fall away."""


def keep_dmarc(ours: DmarcPolicy, texts: Iterable[str]) -> KeptDmarc:
    """The stricter policy and alignment of all records; report addresses of all of them; `fo` where we have none."""
    policy = ours
    notes: list[str] = []
    for text in texts:
        tags = _tags(text)
        foreign = DmarcPolicy(p=_value(tags, "p", STRICTNESS) or "none", sp=_value(tags, "sp", STRICTNESS))
        p = _stricter(policy.p, foreign.p)
        sp = _stricter(policy.for_subdomains, foreign.for_subdomains)
        policy = replace(
            policy,
            p=p,
            sp="" if sp == p != policy.sp else sp,
            adkim=max(policy.adkim, _value(tags, "adkim", ("r", "s"))),
            aspf=max(policy.aspf, _value(tags, "aspf", ("r", "s"))),
            rua=_together(policy.rua, tags.get("rua", "")),
            ruf=_together(policy.ruf, tags.get("ruf", "")),
            fo=policy.fo or (tags.get("fo", "") if _OPTIONS.fullmatch(tags.get("fo", "")) else ""),
        )
        notes += [f"DMARC: {found!r} is not kept; {why}." for found, why in _fallen_away(text, tags, policy)]
    return KeptDmarc(policy=policy, notes=tuple(notes))


def _fallen_away(text: str, tags: dict[str, str], policy: DmarcPolicy) -> Iterator[tuple[str, str]]:
    """What of a foreign record does not go on in `policy`, and why; its policy and alignment only where they mean nothing."""
    seen: set[str] = set()
    for part in filter(None, (part.strip() for part in text.split(";"))):
        match = _TAG.fullmatch(part)
        if not match:
            yield part, "it is no tag"
        elif match[1].lower() in seen:
            yield part, "receivers read the first of a tag only"
        seen.add(match[1].lower() if match else part)
    for tag, value in tags.items():
        if tag not in _KEPT_TAGS:
            yield f"{tag}={value}", _WHY_NOT_KEPT.get(tag, "this program publishes no such tag")
        elif tag in _VALUES and value.lower() not in _VALUES[tag]:
            yield f"{tag}={value}", f"expected {' or '.join(_VALUES[tag])}, and receivers ignore anything else"
    if tags.get("fo", policy.fo) != policy.fo:
        options = _OPTIONS.fullmatch(tags["fo"])
        yield f"fo={tags['fo']}", f"ours is {policy.fo!r}" if options else "expected 0, 1, d or s"
    for tag in ("rua", "ruf"):
        for uri in filter(None, (uri.strip() for uri in tags.get(tag, "").split(","))):
            if not _is_mail_uri(uri.split("!")[0]):
                yield f"{tag}={uri}", _why_no_report(uri)
            elif "!" in uri:
                yield (
                    f"!{uri.partition('!')[2]}",
                    f"RFC 9989 knows no size limit of a report; {uri.split('!')[0]} is kept",
                )


def _why_no_report(uri: str) -> str:
    if _ADDRESS.fullmatch(uri):
        return "it lacks 'mailto:', so receivers ignore it; add it to agentmail:dmarcAggregateReports if it should get reports"
    if re.match(r"[a-z][a-z0-9+.-]*:(?!.*@)", uri, re.IGNORECASE):
        return "receivers report by mail, and this program publishes no other way"
    return "it is no mail address"


def _is_mail_uri(uri: str) -> bool:
    return bool(_URI.fullmatch(uri) and _ADDRESS.fullmatch(unquote(uri)))


def _tags(text: str) -> dict[str, str]:
    """Tag -> value, the first of each, as a receiver reads them."""
    tags: dict[str, str] = {}
    for part in text.split(";"):
        if match := _TAG.fullmatch(part):
            tags.setdefault(match[1].lower(), match[2])
    return tags


def _value(tags: dict[str, str], tag: str, known: Sequence[str]) -> str:
    value = tags.get(tag, "").lower()
    return value if value in known else ""


def _stricter(one: str, other: str) -> str:
    return max(one, other, key=STRICTNESS.index)


def _together(addresses: Sequence[str], uris: str) -> tuple[str, ...]:
    """Our addresses and the foreign record's, once each; a size limit (`!10m`) is no part of RFC 9989's URIs."""
    found = {_plain(address): address for address in addresses}
    for uri in uris.split(","):
        uri = uri.strip().split("!")[0]
        if _is_mail_uri(uri):
            found.setdefault(_plain(uri), _plain(uri))
    return tuple(found.values())


def _plain(address: str) -> str:
    return re.sub(r"^mailto:", "", unquote(address), flags=re.IGNORECASE)
