"""DNS records: what the API accepts, how it answers, and what they are on the wire."""

from __future__ import annotations

import enum
import ipaddress
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

import dns.exception
import dns.name
import dns.rdata
import dns.rdataclass
import dns.rdatatype
from dns.rdtypes.ANY.TXT import TXT

from emulators.cloudflare import txt
from emulators.cloudflare.errors import ApiProblem, RecordInvalidError
from emulators.cloudflare.names import NameInvalidError, canonical_host, canonical_name

AUTOMATIC_TTL = 1
# What the name servers answer for "automatic": Cloudflare's documented 300 seconds.
AUTOMATIC_TTL_SECONDS = 300
MAX_TTL = 86400
MAX_WIRE_CONTENT = 4096
MAX_NAME_CONTENT = 8192


class ZonePlan(enum.StrEnum):
    """A zone's plan, by the `legacy_id` of the API, with its documented limits on records."""

    FREE = "free"
    PRO = "pro"
    BUSINESS = "business"
    ENTERPRISE = "enterprise"

    @property
    def comment_limit(self) -> int:
        return 100 if self is ZonePlan.FREE else 500

    @property
    def tag_quota(self) -> int:
        return 0 if self is ZonePlan.FREE else 20

    @property
    def minimum_ttl(self) -> int:
        return 30 if self is ZonePlan.ENTERPRISE else 60

    @property
    def label(self) -> str:
        return {"free": "Free", "pro": "Pro", "business": "Business", "enterprise": "Enterprise"}[
            self.value
        ] + " Website"


class RecordType(enum.StrEnum):
    """The types that the API's schema lists, LOC excepted."""

    A = "A"
    AAAA = "AAAA"
    CAA = "CAA"
    CERT = "CERT"
    CNAME = "CNAME"
    DNSKEY = "DNSKEY"
    DS = "DS"
    HTTPS = "HTTPS"
    MX = "MX"
    NAPTR = "NAPTR"
    NS = "NS"
    OPENPGPKEY = "OPENPGPKEY"
    PTR = "PTR"
    SMIMEA = "SMIMEA"
    SRV = "SRV"
    SSHFP = "SSHFP"
    SVCB = "SVCB"
    TLSA = "TLSA"
    TXT = "TXT"
    URI = "URI"


ADDRESSES = frozenset({RecordType.A, RecordType.AAAA})
PROXIABLE = ADDRESSES | {RecordType.CNAME}
# Types with a priority beside the content.
_PRIORITISED = frozenset({RecordType.MX, RecordType.SRV, RecordType.URI})

# The `data` object of the structured types, as the fields of their content in order. Quoted ones get quotation marks.
_DATA_FIELDS: dict[RecordType, tuple[str, ...]] = {
    RecordType.CAA: ("flags", "tag", '"value"'),
    RecordType.CERT: ("type", "key_tag", "algorithm", "certificate"),
    RecordType.DNSKEY: ("flags", "protocol", "algorithm", "public_key"),
    RecordType.DS: ("key_tag", "algorithm", "digest_type", "digest"),
    RecordType.HTTPS: ("priority", "target", "value"),
    RecordType.NAPTR: ("order", "preference", '"flags"', '"service"', '"regex"', "replacement"),
    RecordType.SMIMEA: ("usage", "selector", "matching_type", "certificate"),
    RecordType.SRV: ("weight", "port", "target"),
    RecordType.SSHFP: ("algorithm", "type", "fingerprint"),
    RecordType.SVCB: ("priority", "target", "value"),
    RecordType.TLSA: ("usage", "selector", "matching_type", "certificate"),
    RecordType.URI: ("weight", '"target"'),
}


@dataclass(frozen=True, kw_only=True)
class StoredRecord:
    """A stored record. Timestamps are the API's text; `name` is canonical (names.py)."""

    id: str
    name: str
    type: RecordType
    content: str
    ttl: int = AUTOMATIC_TTL
    proxied: bool = False
    priority: int | None = None
    data: Mapping[str, object] | None = None
    comment: str | None = None
    tags: tuple[str, ...] = ()
    settings: Mapping[str, object] = field(default_factory=dict)
    meta: Mapping[str, object] = field(default_factory=dict)
    """What Cloudflare's own services note: `read_only` for a record that only they may change."""
    created_on: str = ""
    modified_on: str = ""
    comment_modified_on: str | None = None
    tags_modified_on: str | None = None

    @cached_property
    def rdata(self) -> dns.rdata.Rdata:
        return rdata_of(self.type, self.content, self.priority)

    @property
    def proxiable(self) -> bool:
        return self.type in PROXIABLE and _public_target(self.type, self.content)

    @property
    def wire_ttl(self) -> int:
        return AUTOMATIC_TTL_SECONDS if self.ttl == AUTOMATIC_TTL else self.ttl

    def as_json(self) -> dict[str, object]:
        """The record as the API answers it: optional fields only where set, no zone fields."""
        answer: dict[str, object] = {
            "id": self.id,
            "name": self.name,
            "type": self.type.value,
            "content": self.content,
            "proxiable": self.proxiable,
            "proxied": self.proxied,
            "ttl": self.ttl,
            "settings": dict(self.settings),
            "meta": dict(self.meta),
            "comment": self.comment,
            "tags": list(self.tags),
            "created_on": self.created_on,
            "modified_on": self.modified_on,
        }
        if self.priority is not None:
            answer["priority"] = self.priority
        if self.data is not None:
            answer["data"] = dict(self.data)
        if self.comment_modified_on is not None:
            answer["comment_modified_on"] = self.comment_modified_on
        if self.tags_modified_on is not None:
            answer["tags_modified_on"] = self.tags_modified_on
        return answer

    @staticmethod
    def from_json(stored: Mapping[str, object]) -> StoredRecord:
        """The record that `as_json` wrote."""
        fields = {name: stored.get(name) for name in _STORED_FIELDS if name in stored}
        fields["type"] = RecordType(str(stored["type"]))
        fields["tags"] = tuple(_strings(stored.get("tags")))
        return StoredRecord(**fields)  # type: ignore[arg-type]


_STORED_FIELDS = (
    "id",
    "name",
    "content",
    "ttl",
    "proxied",
    "priority",
    "data",
    "comment",
    "settings",
    "meta",
    "created_on",
    "modified_on",
    "comment_modified_on",
    "tags_modified_on",
)


def _strings(value: object) -> list[str]:
    return [str(item) for item in value] if isinstance(value, list | tuple) else []


def rdata_of(kind: RecordType, content: str, priority: int | None) -> dns.rdata.Rdata:
    """The record's data on the wire. Raises ValueError or dns.exception.DNSException where there is none."""
    if kind is RecordType.TXT:
        return TXT(dns.rdataclass.IN, dns.rdatatype.TXT, txt.strings_of(content))
    text = f"{priority or 0} {content}" if kind in _PRIORITISED else content
    return dns.rdata.from_text(
        dns.rdataclass.IN, dns.rdatatype.from_text(kind.value), text, origin=dns.name.root, relativize=False
    )


def _public_target(kind: RecordType, content: str) -> bool:
    """Whether the edge could reach the target: private and local addresses cannot be proxied."""
    if kind is RecordType.CNAME:
        return True
    address = ipaddress.ip_address(content)
    documentation = any(address in net for net in _DOCUMENTATION if net.version == address.version)
    return documentation or not (
        address.is_private or address.is_loopback or address.is_link_local or address.is_unspecified
    )


# RFC 5737 and RFC 3849: reserved, yet accepted by Cloudflare as targets of proxied records.
_DOCUMENTATION = tuple(
    ipaddress.ip_network(network) for network in ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32")
)

# The fields that a client may set; everything else in a body is ignored, as the API ignores it.
WRITABLE = ("type", "name", "content", "data", "priority", "ttl", "proxied", "comment", "tags", "settings")


def amended(record: StoredRecord, changes: Mapping[str, object]) -> dict[str, object]:
    """The whole body that a PATCH of `record` with `changes` means."""
    stored = record.as_json()
    body = {name: stored[name] for name in WRITABLE if stored.get(name) is not None} | dict(changes)
    data = body.get("data")
    if "data" in changes:
        if "priority" not in changes:
            body.pop("priority", None)
    elif "content" in changes:
        body.pop("data", None)
    elif isinstance(data, Mapping) and "priority" in data and "priority" in changes:
        body["data"] = {**data, "priority": changes["priority"]}
    return body


class _Parsed:
    """The fields of a body as far as they are good, and the problems of the others."""

    def __init__(self, body: Mapping[str, object], zone: str, plan: ZonePlan) -> None:
        self.problems: list[ApiProblem] = []
        self._body = body
        self._zone = zone
        self._plan = plan

    def _problem(self, code: int, message: str) -> None:
        self.problems.append(ApiProblem(code=code, message=message))

    def kind(self) -> RecordType | None:
        given = self._body.get("type")
        try:
            return RecordType(given.upper() if isinstance(given, str) else "")
        except ValueError:
            self._problem(9020, f"Invalid DNS record type {given!r}." if given else "type is a required field.")
            return None

    def name(self) -> str:
        given = self._body.get("name")
        try:
            if not isinstance(given, str):
                raise NameInvalidError(str(given))
            return canonical_name(given, self._zone)
        except NameInvalidError:
            self._problem(9000, "DNS name is invalid.")
            return self._zone

    def ttl(self, proxied: bool) -> int:
        given = self._body.get("ttl", AUTOMATIC_TTL)
        number = _whole(given)
        least = self._plan.minimum_ttl
        if number is None or not (number == AUTOMATIC_TTL or least <= number <= MAX_TTL):
            self._problem(9021, f"TTL must be between {least} and {MAX_TTL} seconds, or 1 for Automatic.")
            return AUTOMATIC_TTL
        return AUTOMATIC_TTL if proxied else number

    def proxied(self, kind: RecordType, content: str) -> bool:
        given = self._body.get("proxied", False)
        if given is None or given is False:
            return False
        if given is not True:
            self._problem(9003, "Invalid 'proxied' value, must be a boolean.")
        elif kind not in PROXIABLE:
            self._problem(9004, "This record type cannot be proxied.")
        elif not self.problems and not _public_target(kind, content):
            self._problem(9003, f"Target {content} is not allowed for a proxied record.")
        return True

    def priority(self, kind: RecordType) -> int | None:
        if kind not in _PRIORITISED:
            return None
        data = self._body.get("data")
        given = self._body.get("priority")
        if given is None and isinstance(data, Mapping) and kind is not RecordType.MX:
            given = data.get("priority")
        if given is None:
            self._problem(9100, "priority is a required field.")
            return None
        number = _whole(given)
        if number is None or not 0 <= number <= 65535:
            self._problem(9102, "priority must be a number between 0 and 65535.")
            return None
        return number

    def comment(self) -> str | None:
        given = self._body.get("comment")
        if given is None or given == "":
            return None
        if not isinstance(given, str):
            self._problem(9312, "DNS record comment must be a string.")
            return None
        if len(given) > self._plan.comment_limit:
            self._problem(
                9313,
                f"DNS record comment exceeds the maximum length of {self._plan.comment_limit} characters.",
            )
        return given

    def tags(self) -> tuple[str, ...]:
        given = self._body.get("tags")
        if given is None:
            return ()
        if not isinstance(given, list) or not all(isinstance(tag, str) for tag in given):
            self._problem(9302, "DNS record tags must be a list of strings.")
            return ()
        if len(given) > self._plan.tag_quota:
            self._problem(9300, f"DNS record has {len(given)} tags, exceeding the quota of {self._plan.tag_quota}.")
        return tuple(sorted(set(given)))

    def settings(self) -> dict[str, object]:
        given = self._body.get("settings")
        if given is None:
            return {}
        if not isinstance(given, Mapping):
            self._problem(9320, "DNS record settings must be an object.")
            return {}
        return dict(given)

    def data(self, kind: RecordType) -> Mapping[str, object] | None:
        given = self._body.get("data")
        if given is None or kind not in _DATA_FIELDS:
            return None
        if not isinstance(given, Mapping):
            self._problem(9101, "data must be an object.")
            return None
        missing = [name for name in _data_names(kind) if name not in given]
        for name in missing:
            self._problem(9101, f"{name} is a required data field.")
        return None if missing else dict(given)

    def content(self, kind: RecordType, name: str, data: Mapping[str, object] | None) -> str:
        given: object = self._body.get("content")
        if data is not None:
            given = " ".join(_data_text(field_name, data) for field_name in _DATA_FIELDS[kind]).strip()
        elif kind in _DATA_FIELDS and self._body.get("data") is not None:
            return ""
        try:
            if not isinstance(given, str):
                raise _ContentInvalidError
            return _CONTENT.get(kind, _verbatim)(given, name, self._zone)
        except _ContentInvalidError as refused:
            code, message = refused.problem or _CONTENT_PROBLEM.get(
                kind, (9101, f"Content for {kind.value} record is invalid.")
            )
            self._problem(code, message)
            return ""

    def size(self, kind: RecordType, content: str, priority: int | None) -> None:
        """Whether the content makes good wire data of a bearable size."""
        try:
            wire = rdata_of(kind, content, priority).to_wire()
        except (ValueError, dns.exception.DNSException):
            code, message = _CONTENT_PROBLEM.get(kind, (9101, f"Content for {kind.value} record is invalid."))
            self._problem(code, message)
            return
        if len(wire or b"") > MAX_WIRE_CONTENT:
            self._problem(9015, f"Record content exceeds the allowed length of {MAX_WIRE_CONTENT} wire format bytes.")


class _ContentInvalidError(Exception):
    def __init__(self, problem: tuple[int, str] | None = None) -> None:
        super().__init__()
        self.problem = problem


_CONTENT_PROBLEM = {
    RecordType.A: (9005, "Content for A record must be a valid IPv4 address."),
    RecordType.AAAA: (9006, "Content for AAAA record must be a valid IPv6 address."),
    RecordType.CNAME: (9007, "Content for CNAME record is invalid."),
    RecordType.MX: (
        9009,
        "Change the content of your MX record to be a hostname (and not an IP address). For more details, refer to"
        " <https://developers.cloudflare.com/dns/manage-dns-records/how-to/email-records/#add-mx-records>.",
    ),
    RecordType.NS: (9008, "Content for NS record is invalid."),
    RecordType.TXT: (9051, "Content for TXT record is invalid."),
}


def _whole(given: object) -> int | None:
    """A JSON number without a fraction; the official plugin sends `300`, other clients `300.0`."""
    if isinstance(given, bool) or not isinstance(given, int | float) or not math.isfinite(given):
        return None
    return int(given) if given == int(given) else None


def _data_names(kind: RecordType) -> list[str]:
    names = [name.strip('"') for name in _DATA_FIELDS[kind]]
    # SVCB and HTTPS may leave `value` out.
    return [name for name in names if not (name == "value" and kind is not RecordType.CAA)]


def _data_text(field_name: str, data: Mapping[str, object]) -> str:
    value = data.get(field_name.strip('"'), "")
    number = _whole(value)
    text = str(number) if number is not None else str(value)
    if not field_name.startswith('"'):
        return text
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _ipv4(content: str, _name: str, _zone: str) -> str:
    try:
        return str(ipaddress.IPv4Address(content.strip()))
    except ValueError:
        raise _ContentInvalidError from None


def _ipv6(content: str, _name: str, _zone: str) -> str:
    try:
        address = ipaddress.IPv6Address(content.strip())
    except ValueError:
        raise _ContentInvalidError from None
    if address.scope_id is not None:
        raise _ContentInvalidError
    return str(address)


def _host(content: str, _name: str, zone: str) -> str:
    text = content.strip()
    if text == "@":
        return zone
    try:
        host = canonical_host(text)
    except NameInvalidError:
        raise _ContentInvalidError from None
    if _is_address(host):
        raise _ContentInvalidError
    return host


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _alias(content: str, name: str, zone: str) -> str:
    host = _host(content, name, zone)
    if host == name:
        raise _ContentInvalidError((9039, "CNAME content cannot reference itself."))
    return host


def _exchange(content: str, name: str, zone: str) -> str:
    # RFC 7505: the null MX.
    return "." if content.strip() == "." else _host(content, name, zone)


def _text(content: str, _name: str, _zone: str) -> str:
    if not content:
        raise _ContentInvalidError
    try:
        return txt.stored(content)
    except txt.TxtInvalidError:
        raise _ContentInvalidError from None


def _verbatim(content: str, _name: str, _zone: str) -> str:
    if not content.strip():
        raise _ContentInvalidError
    return content.strip()


_CONTENT: dict[RecordType, Callable[[str, str, str], str]] = {
    RecordType.A: _ipv4,
    RecordType.AAAA: _ipv6,
    RecordType.CNAME: _alias,
    RecordType.MX: _exchange,
    RecordType.NS: _host,
    RecordType.PTR: _host,
    RecordType.TXT: _text,
}


def parse(body: Mapping[str, object], *, zone: str, plan: ZonePlan) -> StoredRecord:
    """The record that a whole body asks for, without id and timestamps.

    Raises RecordInvalidError with every problem of the body.
    """
    parsed = _Parsed(body, zone, plan)
    kind = parsed.kind()
    name = parsed.name()
    if kind is None:
        raise RecordInvalidError(parsed.problems)
    priority = parsed.priority(kind)
    data = parsed.data(kind)
    content = parsed.content(kind, name, data)
    proxied = parsed.proxied(kind, content)
    record = StoredRecord(
        id="",
        name=name,
        type=kind,
        content=content,
        ttl=parsed.ttl(proxied),
        proxied=proxied,
        priority=priority,
        data=data,
        comment=parsed.comment(),
        tags=parsed.tags(),
        settings=parsed.settings(),
    )
    if not parsed.problems:
        parsed.size(kind, content, priority)
    if parsed.problems:
        raise RecordInvalidError(parsed.problems)
    return record


def stamped(record: StoredRecord, previous: StoredRecord | None, *, record_id: str, now: str) -> StoredRecord:
    """`record` with the id and times it has after being written at `now` over `previous`."""
    if previous is None:
        return replace(
            record,
            id=record_id,
            created_on=now,
            modified_on=now,
            comment_modified_on=now if record.comment is not None else None,
            tags_modified_on=now if record.tags else None,
        )
    return replace(
        record,
        id=record_id,
        meta=previous.meta,
        created_on=previous.created_on,
        modified_on=now,
        comment_modified_on=now if record.comment != previous.comment else previous.comment_modified_on,
        tags_modified_on=now if record.tags != previous.tags else previous.tags_modified_on,
    )
