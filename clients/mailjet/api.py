"""Mailjet's objects as this package sees them, and the endpoints that give and change them.

Everything Mailjet is known to vary is levelled here: quoted numbers, trailing dots, bare labels, status spelling,
wrapped and unwrapped answers. Source of names and shapes: Mailjet's API reference (v3: sender, dns, parseroute,
eventcallbackurl).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeVar
from urllib.parse import quote

from clients.mailjet.client import Answer, MailjetClient
from clients.mailjet.errors import IncompleteAnswerError, NotFoundError, RefusedError, UnknownLookupError

SENDER = "/v3/REST/sender"
DNS = "/v3/REST/dns"
PARSE_ROUTE = "/v3/REST/parseroute"
EVENT_CALLBACK = "/v3/REST/eventcallbackurl"

T = TypeVar("T")


class SenderStatus(StrEnum):
    """Deletion is soft: a deleted sender stays, is hidden from lists and blocks its address."""

    ACTIVE = "Active"
    INACTIVE = "Inactive"
    DELETED = "Deleted"


class RecordStatus(StrEnum):
    """What Mailjet thinks of a DNS record."""

    OK = "OK"
    ERROR = "Error"
    NOT_FOUND = "Not found"
    NOT_CHECKED = "Not checked"

    @classmethod
    def of(cls, text: object) -> RecordStatus:
        """Mailjet's own spelling varies in case; anything unknown is not OK."""
        wanted = str(text or "").strip().casefold()
        for status in cls:
            if status.casefold() == wanted:
                return status
        return cls.ERROR if wanted else cls.NOT_CHECKED


def fqdn(name: str, domain: str) -> str:
    """`name` in lower case, without its trailing dot and below `domain`, whichever of the three forms it has."""
    name, domain = name.strip().rstrip(".").lower(), domain.strip().rstrip(".").lower()
    return name if name == domain or name.endswith(f".{domain}") else f"{name}.{domain}"


@dataclass(frozen=True)
class SenderRow:
    """A sender: a single address or `*@domain`. `dns_id` is None while Mailjet knows no DNS entry."""

    id: int
    email: str
    name: str
    email_type: str
    status: SenderStatus
    dns_id: int | None

    @classmethod
    def parse(cls, row: Mapping[str, Any]) -> SenderRow:
        dns_id = int(row.get("DNSID") or -1)
        status = str(row.get("Status") or "").capitalize()
        return cls(
            id=int(row["ID"]),
            email=str(row.get("Email") or "").lower(),
            name=str(row.get("Name") or ""),
            email_type=str(row.get("EmailType") or "unknown").lower(),
            status=SenderStatus(status) if status in list(SenderStatus) else SenderStatus.INACTIVE,
            dns_id=dns_id if dns_id > 0 else None,
        )


@dataclass(frozen=True)
class DnsRow:
    """A domain's DNS entry: what its records should be, and Mailjet's last opinion of them."""

    id: int
    domain: str
    dkim_name: str
    dkim_value: str
    dkim_status: RecordStatus
    spf_value: str
    spf_status: RecordStatus
    ownership_name: str
    ownership_token: str

    @classmethod
    def parse(cls, row: Mapping[str, Any]) -> DnsRow:
        domain = str(row["Domain"]).rstrip(".").lower()
        token = str(row.get("OwnerShipToken") or "")
        ownership_name = str(row.get("OwnerShipTokenRecordName") or f"mailjet._{token[:8]}")
        return cls(
            id=int(row["ID"]),
            domain=domain,
            dkim_name=fqdn(str(row.get("DKIMRecordName") or "mailjet._domainkey"), domain),
            dkim_value=str(row.get("DKIMRecordValue") or ""),
            dkim_status=RecordStatus.of(row.get("DKIMStatus")),
            spf_value=str(row.get("SPFRecordValue") or ""),
            spf_status=RecordStatus.of(row.get("SPFStatus")),
            ownership_name=fqdn(ownership_name, domain),
            ownership_token=token,
        )


@dataclass(frozen=True)
class DnsCheck:
    """The outcome of a check: statuses, what Mailjet sees, and why it minds."""

    dkim_status: RecordStatus
    dkim_seen: str
    dkim_errors: tuple[str, ...]
    spf_status: RecordStatus
    spf_seen: tuple[str, ...]
    spf_errors: tuple[str, ...]

    @classmethod
    def parse(cls, row: Mapping[str, Any]) -> DnsCheck:
        # The array is `SPFRecordsCurrentValues` in recordings, `SPFRecordCurrentValue` in two client libraries.
        spf_seen = row.get("SPFRecordsCurrentValues") or row.get("SPFRecordCurrentValue")
        return cls(
            dkim_status=RecordStatus.of(row.get("DKIMStatus")),
            dkim_seen=str(row.get("DKIMRecordCurrentValue") or ""),
            dkim_errors=_texts(row.get("DKIMErrors")),
            spf_status=RecordStatus.of(row.get("SPFStatus")),
            spf_seen=_texts(spf_seen),
            spf_errors=_texts(row.get("SPFErrors")),
        )


@dataclass(frozen=True)
class Validation:
    """The outcome of a sender's validation; a failure comes with status 200 and an empty method."""

    method: str
    reason: str

    @classmethod
    def parse(cls, row: Mapping[str, Any]) -> Validation:
        errors = row.get("Errors")
        dns_error = str(errors.get("DNSValidationError") or "") if isinstance(errors, Mapping) else ""
        reason = dns_error.strip() or str(row.get("GlobalError") or "").strip()
        return cls(method=str(row.get("ValidationMethod") or ""), reason=reason)


@dataclass(frozen=True, slots=True)
class ParseRoute:
    """Inbound mail for `email` is posted to `url`, which may carry a password."""

    id: int
    email: str
    url: str

    @classmethod
    def parse(cls, row: Mapping[str, Any]) -> ParseRoute:
        return cls(id=int(row["ID"]), email=str(row.get("Email") or "").lower(), url=str(row.get("Url") or ""))


@dataclass(frozen=True, kw_only=True)
class RoutePage:
    """Some of an account's routes. `total`: of all of them, None where Mailjet does not tell; `last`: no page follows."""

    routes: tuple[ParseRoute, ...]
    total: int | None
    last: bool


@dataclass(frozen=True)
class EventCallbackRow:
    """Events of one type are posted to `url`; an account has one callback per type, and one backup."""

    id: int
    event_type: str
    url: str
    version: int
    status: str
    is_backup: bool

    @classmethod
    def parse(cls, row: Mapping[str, Any]) -> EventCallbackRow:
        return cls(
            id=int(row["ID"]),
            event_type=str(row.get("EventType") or "").lower(),
            url=str(row.get("Url") or ""),
            version=int(row.get("Version") or 1),
            status=str(row.get("Status") or "alive").lower(),
            is_backup=str(row.get("IsBackup")).lower() == "true",
        )


def _texts(value: object) -> tuple[str, ...]:
    if isinstance(value, str):
        return (value,) if value else ()
    return tuple(str(entry) for entry in value) if isinstance(value, list) else ()


def _read(row: Mapping[str, Any], parse: Callable[[Mapping[str, Any]], T], path: str) -> T:
    """`row` as an object; an answer that lacks its id or has a text for a number is no Mailjet answer."""
    try:
        return parse(row)
    except (KeyError, TypeError, ValueError):
        raise IncompleteAnswerError(path) from None


def _only(answer: Answer, parse: Callable[[Mapping[str, Any]], T], path: str) -> T:
    rows = answer.rows
    return _read(rows[0] if rows else {}, parse, path)


def _by(path: str, key: int | str) -> str:
    """One object by id, address or domain: `*@x.com` travels as `%2A%40x.com`."""
    return f"{path}/{quote(str(key), safe='')}"


class MailjetApi:
    """The endpoints. Lookups return None for what does not exist; writes are tried once."""

    def __init__(self, client: MailjetClient) -> None:
        self.client = client

    # Senders

    def sender(self, key: int | str) -> SenderRow | None:
        """By id, address or `*@domain`; soft-deleted ones included."""
        answer = self.client.find(_by(SENDER, key))
        return _only(answer, SenderRow.parse, SENDER) if answer is not None else None

    def ask_anything(self) -> None:
        """The cheapest question that Mailjet answers to a good key only. Raises MailjetError."""
        self.client.get(SENDER, {"Limit": 1})

    def hidden_sender(self, email: str) -> SenderRow | None:
        """The soft-deleted sender that a lookup by address did not give."""
        domain = email.rpartition("@")[2]
        for row in self.client.pages(SENDER, {"ShowDeleted": "true", "Domain": domain}):
            sender = _read(row, SenderRow.parse, SENDER)
            if sender.email == email.lower():
                return sender
        return None

    def create_sender(self, email: str, *, name: str, email_type: str) -> SenderRow:
        body = {"Email": email, "Name": name, "EmailType": email_type}
        return _only(self.client.write("POST", SENDER, body), SenderRow.parse, SENDER)

    def rename_sender(self, sender_id: int, *, name: str, email_type: str) -> None:
        """PUT changes what it names; a PUT that changes nothing answers 304."""
        self.client.write("PUT", _by(SENDER, sender_id), {"Name": name, "EmailType": email_type})

    def validate_sender(self, sender_id: int) -> Validation | None:
        """None where Mailjet refuses (400), as it does for an active sender."""
        try:
            answer = self.client.write("POST", f"{_by(SENDER, sender_id)}/validate")
        except RefusedError:
            return None
        return Validation.parse(answer.rows[0]) if answer.rows else Validation(method="", reason="")

    def delete_sender(self, sender_id: int) -> None:
        self.client.write("DELETE", _by(SENDER, sender_id))

    # DNS entries

    def dns(self, key: int | str) -> DnsRow | None:
        """By id or domain."""
        answer = self.client.find(_by(DNS, key))
        return _only(answer, DnsRow.parse, DNS) if answer is not None else None

    def check_dns(self, dns_id: int) -> DnsCheck:
        """Have Mailjet look at the records now."""
        rows = self.client.write("POST", f"{_by(DNS, dns_id)}/check").rows
        return DnsCheck.parse(rows[0] if rows else {})

    # Inbound routes

    def routes(self) -> Iterator[ParseRoute]:
        """All of the account's routes; the API offers no filter that can be relied on."""
        for page in self.route_pages():
            yield from page.routes

    def route_pages(self) -> Iterator[RoutePage]:
        """The same, page by page; with `countRecords` the first also tells how many there are."""
        for page in self.client.in_pages(PARSE_ROUTE, {"countRecords": 1}):
            found = tuple(_read(row, ParseRoute.parse, PARSE_ROUTE) for row in page.rows)
            yield RoutePage(routes=found, total=page.total, last=page.last)

    def route(self, route_id: int) -> ParseRoute | None:
        """By id."""
        answer = self.client.find(_by(PARSE_ROUTE, route_id))
        return _only(answer, ParseRoute.parse, PARSE_ROUTE) if answer is not None else None

    def route_at(self, email: str) -> ParseRoute | None:
        """By address, which clients do and the reference does not tell of. None for a 404 in Mailjet's own words.

        Raises MailjetError; UnknownLookupError for an answer that is about another address.
        """
        path = _by(PARSE_ROUTE, email)
        try:
            answer = self.client.get(path)
        except NotFoundError as missing:
            if not missing.certain:
                raise
            return None
        found = [_read(row, ParseRoute.parse, PARSE_ROUTE) for row in answer.rows]
        if [route.email for route in found] != [email.lower()]:
            raise UnknownLookupError(path)
        return found[0]

    def create_route(self, email: str, url: str) -> ParseRoute:
        answer = self.client.write("POST", PARSE_ROUTE, {"Email": email, "Url": url})
        return _only(answer, ParseRoute.parse, PARSE_ROUTE)

    def redirect_route(self, route_id: int, url: str) -> None:
        self.client.write("PUT", _by(PARSE_ROUTE, route_id), {"Url": url})

    def delete_route(self, route_id: int) -> None:
        self.client.write("DELETE", _by(PARSE_ROUTE, route_id))

    # Event callbacks

    def event_callbacks(self) -> Iterator[EventCallbackRow]:
        for row in self.client.pages(EVENT_CALLBACK):
            yield _read(row, EventCallbackRow.parse, EVENT_CALLBACK)

    def create_event_callback(self, event_type: str, url: str, *, version: int) -> EventCallbackRow:
        body = {"EventType": event_type, "Url": url, "Version": version, "Status": "alive", "IsBackup": False}
        return _only(self.client.write("POST", EVENT_CALLBACK, body), EventCallbackRow.parse, EVENT_CALLBACK)

    def change_event_callback(self, callback_id: int, url: str, *, version: int) -> None:
        """Also revives a callback that Mailjet suspended."""
        body = {"Url": url, "Version": version, "Status": "alive"}
        self.client.write("PUT", _by(EVENT_CALLBACK, callback_id), body)

    def delete_event_callback(self, callback_id: int) -> None:
        self.client.write("DELETE", _by(EVENT_CALLBACK, callback_id))
