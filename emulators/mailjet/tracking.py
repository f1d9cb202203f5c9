"""What an account that tracks does to a mail: links lead through Mailjet, a picture tells that it was opened."""

from __future__ import annotations

import email
import email.policy
import re
from email.message import EmailMessage

from emulators.mailjet.mime import Raw

CLICK_URL = "https://x1.mjt.lu/lnk/emulated"
OPEN_URL = "https://x1.mjt.lu/oo/emulated/e.gif"
_LINK = re.compile(r"""href=(["'])https?://[^"']*\1""", re.IGNORECASE)
_OFF = "0"
# Headers are written as they came.
_POLICY = email.policy.SMTP.clone(refold_source="none")


def tracked_html(html: str, *, opens: bool, clicks: bool) -> str:
    """The HTML with what was asked for."""
    if clicks:
        html = _LINK.sub(f'href="{CLICK_URL}"', html)
    if opens:
        html += f'<img src="{OPEN_URL}" height="1" width="1" alt="" border="0">'
    return html


def tracked_message(raw: Raw) -> Raw:
    """A message of SMTP, whose X-Mailjet-TrackOpen and -TrackClick switch either off; as it was if both are, or without HTML."""
    opens = (raw.get("X-Mailjet-TrackOpen") or "").strip() != _OFF
    clicks = (raw.get("X-Mailjet-TrackClick") or "").strip() != _OFF
    if not (opens or clicks) or b"html" not in raw.octets().lower():
        return raw
    message = email.message_from_bytes(raw.octets(), _class=EmailMessage, policy=_POLICY)
    parts = [part for part in message.walk() if _is_shown_html(part)]
    for part in parts:
        try:
            html = part.get_content()
        except LookupError:
            continue  # in a charset that nobody knows: left alone
        written = {name: value for name, value in part.items() if name.lower() in ("content-id", "content-disposition")}
        part.set_content(tracked_html(html, opens=opens, clicks=clicks), subtype="html")
        for name, value in written.items():
            del part[name]
            part[name] = value
    return Raw.parse(message.as_bytes()) if parts else raw


def _is_shown_html(part: EmailMessage) -> bool:
    return part.get_content_type() == "text/html" and part.get_content_disposition() != "attachment"
