"""Deliveries for the inbox's tests."""

from __future__ import annotations

import base64
import json
from typing import Any

from azmail.events import MailEvent, parse_events
from azmail.inbound import InboundMail, parse_inbound

ME, YOU = "bot-1", "bot-2"
ADDRESSES = {"me@d.example": ME, "you@d.example": YOU}


def payload(number: int = 1, *, to: str = "me@d.example", **changes: Any) -> dict[str, Any]:
    headers = {
        "From": changes.pop("From", "Ada <ada@x.example>"),
        "To": to,
        "Subject": changes.pop("Subject", f"Subject {number}"),
        "Message-ID": changes.pop("MessageID", f"<{number}@x.example>"),
        "Date": "Fri, 02 Jan 2026 03:04:00 +0000",
        **changes.pop("Headers", {}),
    }
    return {
        "Sender": "ada@x.example",
        "Recipient": to,
        "From": headers["From"],
        "Subject": headers["Subject"],
        "Headers": headers,
        "Text-part": f"Text of {number}",
        **changes,
    }


def mail(number: int = 1, **changes: Any) -> InboundMail:
    return parse_inbound(payload(number, **changes))


def with_files(number: int, *contents: bytes) -> dict[str, Any]:
    made = payload(number)
    made["Parts"] = [{"Headers": {"Content-Type": "text/plain"}, "ContentRef": "Text-part"}]
    for part, content in enumerate(contents, 1):
        described = {
            "Content-Type": "application/pdf",
            "Content-Disposition": f'attachment; filename="f{part}.pdf"',
        }
        made["Parts"].append({"Headers": described, "ContentRef": f"Attachment{part}"})
        made[f"Attachment{part}"] = base64.b64encode(content).decode()
    return made


def body(made: dict[str, Any]) -> bytes:
    return json.dumps(made).encode()


def parse_events_of(agent: str) -> tuple[MailEvent, ...]:
    return parse_events([{"event": "bounce", "MessageID": 7, "Payload": json.dumps({"agent_id": agent})}])
