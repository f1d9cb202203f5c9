"""Host names as the zone stores them: lower-case A-labels, absolute, without the final dot."""

from __future__ import annotations

import re

import idna

# RFC 1035 2.3.4: 255 octets on the wire are 253 characters of text.
MAX_NAME = 253
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_/-]{0,61}[a-z0-9_])?\Z")
# UTS 46 treats these as label separators too.
_DOTS = re.compile("[\u3002\uff0e\uff61]")


class NameInvalidError(ValueError):
    """A text that is not a host name."""

    def __init__(self, text: str) -> None:
        super().__init__(f"{text!r} is not a DNS name")


def _labels(text: str) -> list[str]:
    labels = []
    for label in _DOTS.sub(".", text).split("."):
        try:
            ascii_label = label if label.isascii() else idna.encode(label, uts46=True).decode()
        except idna.IDNAError:
            raise NameInvalidError(text) from None
        labels.append(ascii_label.lower())
    return labels


def canonical_host(text: str) -> str:
    """The host name that `text` spells: `WWW.Bücher.example.` is `www.xn--bcher-kva.example`.

    Raises NameInvalidError. A label `*` is allowed anywhere, as Cloudflare allows it; it is a wildcard only as the first.
    """
    bare = text.strip()
    if bare.endswith((".", "\u3002", "\uff0e", "\uff61")):
        bare = bare[:-1]
    labels = _labels(bare)
    name = ".".join(labels)
    if len(name) > MAX_NAME or not all(label == "*" or _LABEL.match(label) for label in labels):
        raise NameInvalidError(text)
    return name


def spoken(name: str) -> str:
    """The name as people write it, with international labels in Unicode: so does Cloudflare name a zone, unlike a record."""
    labels = []
    for label in name.split("."):
        try:
            labels.append(idna.decode(label) if label.startswith("xn--") else label)
        except idna.IDNAError:
            labels.append(label)
    return ".".join(labels)


def within(name: str, zone: str) -> bool:
    """Whether `name` is the zone's apex or lies under it."""
    return name == zone or name.endswith("." + zone)


def canonical_name(text: str, zone: str) -> str:
    """The record name that `text` means in `zone`.

    `@`, the empty text and the zone's own name are the apex; a name that does not end in the zone is relative to it.
    Cloudflare does that to every name, so `www.other.com` becomes `www.other.com.<zone>`.
    """
    if text.strip() in {"", "@", "."}:
        return zone
    name = canonical_host(text)
    if within(name, zone):
        return name
    qualified = f"{name}.{zone}"
    if len(qualified) > MAX_NAME:
        raise NameInvalidError(text)
    return qualified
