"""What Mailjet reports of a sent message, and to whom (Event API)."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from typing import Any

from emulators.mailjet.deliveries import Deliveries, DeliveryKind
from emulators.mailjet.eventcallbacks import ALIVE, EventCallbacks
from emulators.mailjet.messages import SentMessage

Event = dict[str, Any]

EXTRA: dict[str, Event] = {
    "open": {"ip": "127.0.0.1", "geo": "FR", "agent": "Emulator"},
    "click": {"url": "https://example.com/", "ip": "127.0.0.1", "geo": "FR", "agent": "Emulator"},
    "spam": {"source": "JMRPP"},
    "unsub": {"mj_list_id": 1, "ip": "127.0.0.1", "geo": "FR", "agent": "Emulator"},
    "blocked": {"error_related_to": "recipient", "error": "preblocked"},
    "bounce": {
        "blocked": False,
        "hard_bounce": True,
        "error_related_to": "recipient",
        "error": "user unknown",
        "comment": "",
    },
}


class Events:
    """Queues an event for the callback of its type, in the shape of the callback's version."""

    def __init__(self, callbacks: EventCallbacks, deliveries: Deliveries) -> None:
        self._callbacks = callbacks
        self._deliveries = deliveries

    def report(self, message: SentMessage, kind: str, **details: object) -> bool:
        """Tell the owner of `message`; false when no living callback wants to know."""
        return self._post(message.apikey_id, kind, [{**_event(message, kind), **details}])

    def report_all(self, messages: Sequence[SentMessage], kind: str) -> bool:
        """Tell the owners of `messages`, in one call each where the callback takes several events at once."""
        owners = dict.fromkeys(message.apikey_id for message in messages)
        told = [
            self._post(owner, kind, [_event(message, kind) for message in messages if message.apikey_id == owner])
            for owner in owners
        ]
        return any(told)

    def _post(self, apikey_id: int, kind: str, events: list[Event]) -> bool:
        """Queue `events`: one array for version 2, one call each for version 1."""
        for backup in (False, True):
            row = self._callbacks.for_event(apikey_id, kind, backup=backup)
            if row is None or row["status"] != ALIVE:
                continue
            bodies: list[object] = [events] if row["version"] == 2 else list(events)
            recipient = str(events[0].get("email", ""))
            for body in bodies:
                self._deliveries.add(
                    DeliveryKind.EVENT, row["id"], json.dumps(body).encode(), recipient=recipient, event=kind
                )
            return True
        return False


def _event(message: SentMessage, kind: str) -> Event:
    event: Event = {
        "event": kind,
        "time": int(time.time()),
        "MessageID": message.id,
        "Message_GUID": message.uuid,
        "email": message.recipient,
        "mj_campaign_id": 0,
        "mj_contact_id": 0,
        "customcampaign": message.campaign,
        "CustomID": message.custom_id,
        "Payload": message.event_payload,
        **EXTRA.get(kind, {}),
    }
    if kind == "sent":
        event |= {"mj_message_id": str(message.id), "smtp_reply": "sent (250 2.0.0 OK)"}
    return event
