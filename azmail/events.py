"""Mailjet's bounce, blocked, spam and unsub events as types.

Version 1 callbacks post one object, version 2 an array; both are read. Other kinds of event (sent, open, click) become
an `OtherEvent`: a callback URL that was set up for them by hand must not end in errors.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import TypedDict

from azmail.errors import PayloadError
from azmail.json_body import decode_json


class EventKind(StrEnum):
    """The events that tell an agent that a mail did not arrive or was not wanted."""

    BOUNCE = "bounce"
    BLOCKED = "blocked"
    SPAM = "spam"
    UNSUB = "unsub"
    """The recipient followed the List-Unsubscribe that some accounts add: Mailjet blocks what the account sends there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MailEvent:
    """What all events have. `message_id` is Mailjet's number, as in `Receipt.mailjet_ids`."""

    kind: str
    time: datetime | None
    email: str
    message_id: int | None
    message_guid: str
    custom_id: str
    event_payload: str
    payload: Mapping[str, object] = field(repr=False, compare=False)
    nth: int = field(default=0, repr=False)
    """How many events with the same payload stand before it in its callback."""

    @property
    def agent_id(self) -> str | None:
        """The agent who sent the mail, if `MailService` labelled it."""
        try:
            label = json.loads(self.event_payload)
        except (ValueError, RecursionError):
            return None  # a payload of the sender's own
        agent_id = label.get("agent_id") if isinstance(label, dict) else None
        return agent_id if isinstance(agent_id, str) else None

    @property
    def delivery_key(self) -> str:
        """The same for every delivery of this event."""
        identity = json.dumps(
            [self.kind, self.message_id, self.message_guid, self.email, None if self.time is None else str(self.time)]
        )
        return hashlib.sha256(identity.encode()).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class BounceEvent(MailEvent):
    """The recipient's server gave the mail back. `hard_bounce`: for good. `blocked`: Mailjet won't try that address again."""

    hard_bounce: bool
    blocked: bool
    error_related_to: str
    error: str
    comment: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockedEvent(MailEvent):
    """Mailjet did not even try to deliver."""

    error_related_to: str
    error: str
    comment: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SpamEvent(MailEvent):
    """The recipient called the mail spam; `source` is the feedback loop that said so."""

    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class UnsubEvent(MailEvent):
    """The recipient followed the mail's List-Unsubscribe: Mailjet blocks what the account sends there from now on.

    `list_id` is Mailjet's number of a contact list (0: none), `ip`, `geo` (a country) and `agent` (a browser) whose click it was.
    """

    list_id: int | None
    ip: str
    geo: str
    agent: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OtherEvent(MailEvent):
    """Any other kind; its fields are in `payload`."""

    @property
    def delivery_key(self) -> str:
        """Of the whole payload and its place among equal ones: somebody can click twice within a second, on one link too.

        Equal events of two callbacks are one: Mailjet's repetition looks the same.
        """
        return hashlib.sha256(f"{_canonical(self.payload)} {self.nth}".encode()).hexdigest()


class _Common(TypedDict):
    kind: str
    time: datetime | None
    email: str
    message_id: int | None
    message_guid: str
    custom_id: str
    event_payload: str
    payload: Mapping[str, object]
    nth: int


def parse_events(body: object) -> tuple[MailEvent, ...]:
    """Read one callback: JSON as bytes or text, or decoded; an object (version 1) or an array (version 2).

    Raises PayloadError for anything else.
    """
    decoded = decode_json(body) if isinstance(body, bytes | str) else body
    entries = decoded if isinstance(decoded, list) else [decoded]
    seen: Counter[str] = Counter()
    events: list[MailEvent] = []
    for number, entry in enumerate(entries):
        same = _canonical(entry)
        events.append(_event(entry, f"events[{number}]", seen[same]))
        seen[same] += 1
    return tuple(events)


def _canonical(entry: object) -> str:
    return json.dumps(entry, sort_keys=True, default=str)


def _event(entry: object, where: str, nth: int) -> MailEvent:
    if not isinstance(entry, Mapping):
        raise PayloadError(where, "no object", "an event object")
    kind = entry.get("event")
    if not isinstance(kind, str) or not kind:
        raise PayloadError(f"{where}.event", "no text", "the kind of event, such as bounce")
    common = _Common(
        kind=kind.lower(),
        time=_time(entry.get("time")),
        email=_text(entry.get("email")),
        message_id=_integer(entry.get("MessageID", entry.get("mj_message_id"))),
        message_guid=_text(entry.get("Message_GUID")),
        custom_id=_text(entry.get("CustomID")),
        event_payload=_text(entry.get("Payload")),
        payload=entry,
        nth=nth,
    )
    error_related_to, error, comment = (_text(entry.get(key)) for key in ("error_related_to", "error", "comment"))
    match common["kind"]:
        case EventKind.BOUNCE:
            return BounceEvent(
                **common,
                hard_bounce=_flag(entry.get("hard_bounce")),
                blocked=_flag(entry.get("blocked")),
                error_related_to=error_related_to,
                error=error,
                comment=comment,
            )
        case EventKind.BLOCKED:
            return BlockedEvent(**common, error_related_to=error_related_to, error=error, comment=comment)
        case EventKind.SPAM:
            return SpamEvent(**common, source=_text(entry.get("source")))
        case EventKind.UNSUB:
            return UnsubEvent(
                **common,
                list_id=_integer(entry.get("mj_list_id")),
                ip=_text(entry.get("ip")),
                geo=_text(entry.get("geo")),
                agent=_text(entry.get("agent")),
            )
        case _:
            return OtherEvent(**common)


def _text(value: object) -> str:
    return value if isinstance(value, str) else "" if value is None else json.dumps(value)


def _integer(value: object) -> int | None:
    # Message ids are above 2^53, so that some senders of events write them as text.
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    return int(value) if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 40 else None


def _flag(value: object) -> bool:
    return value.strip().lower() in ("1", "true", "yes") if isinstance(value, str) else bool(value)


def _time(value: object) -> datetime | None:
    seconds = _integer(value)
    if seconds is None:
        return None
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        return None
