"""The way of a message: accepted, signed, sent to the hosts that the DNS names, and parsed if it comes back.

Mail for a domain whose MX is Mailjet's inbound host meets the Parse routes, like mail from anywhere else.
"""

from __future__ import annotations

import asyncio
import json
import secrets
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import TYPE_CHECKING

from emulators.mailjet.deliveries import Deliveries, DeliveryKind
from emulators.mailjet.events import Events
from emulators.mailjet.letters import Letters, answered_ids
from emulators.mailjet.messages import Messages, MessageStatus, SentMessage, Submission, Via
from emulators.mailjet.mime import Raw, signed
from emulators.mailjet.parse_payload import Style, parse_payload
from emulators.mailjet.parseroutes import AUTO_DOMAIN, ParseRoutes
from emulators.mailjet.resolver import ZoneResolver
from emulators.mailjet.state import ApiKey, MailjetState
from emulators.mailjet.tracking import tracked_message

if TYPE_CHECKING:
    from emulators.mailjet.domains import Domains

INBOUND_HOST = "parse.mailjet.com"
RECEIVING_HOST = "parse-in.mailjet.com"
BOUNCE_DOMAIN = "bnc3.mailjet.com"
LARGEST_MESSAGE = 15 * 1024 * 1024
MOST_RECIPIENTS = 50
CONCURRENT = 8


class PostOffice:
    """Takes submissions, hands them on, and takes inbound mail for routed addresses."""

    def __init__(
        self,
        state: MailjetState,
        *,
        zone: ZoneResolver,
        domains: Domains,
        routes: ParseRoutes,
        messages: Messages,
        letters: Letters,
        deliveries: Deliveries,
        events: Events,
    ) -> None:
        self._state = state
        self._zone = zone
        self._domains = domains
        self._routes = routes
        self._messages = messages
        self._letters = letters
        self._deliveries = deliveries
        self._events = events
        self._wake = asyncio.Event()

    async def submit(
        self,
        key: ApiKey,
        octets: bytes,
        recipients: list[str],
        *,
        via: Via,
        custom_id: str = "",
        event_payload: str = "",
        blocked: bool = False,
    ) -> list[SentMessage]:
        """Accept a message: headers completed, own ones honoured and removed, signed, queued."""
        raw = Raw.parse(octets)
        custom_id = custom_id or raw.get("X-MJ-CustomID") or ""
        event_payload = event_payload or raw.get("X-MJ-EventPayload") or ""
        campaign = raw.get("X-Mailjet-Campaign") or ""
        if via is Via.SMTP and self._state.switches.track_by_default:
            raw = tracked_message(raw)
        raw = raw.without({"x-mj-*", "x-mailjet-*", "bcc", "return-path", "dkim-signature"})
        sender = next(iter(raw.addresses("from")), "")
        domain = sender.rpartition("@")[2].lower()
        if raw.get("Message-ID") is None or (via is Via.SMTP and not self._state.switches.smtp_keeps_message_id):
            raw = raw.without({"message-id"}).with_first("Message-ID", f"<{secrets.token_hex(4)}.MJMid@mailjet.com>")
        if raw.get("Date") is None:
            raw = raw.with_first("Date", format_datetime(datetime.now(UTC)))
        if self._state.switches.list_unsubscribe and raw.get("List-Unsubscribe") is None:
            raw = raw.with_first("List-Unsubscribe", f"<mailto:unsub-{secrets.token_hex(8)}@{BOUNCE_DOMAIN}>")
        row = self._domains.find(key, domain) if domain else None
        octets = raw.octets()
        if row is not None:
            octets = await asyncio.to_thread(
                signed,
                octets,
                domain=domain,
                private_key=row["dkim_private"],
                expires_seconds=self._state.switches.dkim_expires_seconds,
            )
        accepted = self._messages.add(
            Submission(
                apikey_id=key.id,
                via=via,
                mail_from=sender,
                recipients=recipients,
                octets=octets,
                subject=raw.get("Subject") or "",
                header_id=raw.get("Message-ID") or "",
                custom_id=custom_id,
                event_payload=event_payload,
                campaign=campaign,
                blocked=blocked,
            )
        )
        self._letters.add_sent(accepted, raw)
        for message in accepted:
            if message.status is MessageStatus.BLOCKED:
                if blocked:
                    self._events.report(message, "blocked", error_related_to="mailjet", error="sender not validated")
                else:
                    self._events.report(message, "blocked", error_related_to="recipient", error="preblocked")
        self._wake.set()
        return accepted

    def submit_own(self, key: ApiKey, octets: bytes, recipient: str, subject: str) -> None:
        """Queue a message of Mailjet's own, such as an activation mail."""
        accepted = self._messages.add(
            Submission(
                apikey_id=key.id,
                via=Via.OWN,
                mail_from="account-operations@mailjet.com",
                recipients=[recipient],
                octets=octets,
                subject=subject,
            )
        )
        self._letters.add_sent(accepted, Raw.parse(octets))
        self._wake.set()

    async def run(self) -> None:
        """Send what is queued until cancelled."""
        while True:
            self._wake.clear()
            batch = self._messages.queued(CONCURRENT)
            if batch:
                await asyncio.gather(*(self._send(message) for message in batch))
            else:
                await self._wake.wait()

    async def _send(self, message: SentMessage) -> None:
        octets = self._messages.octets(message.id) or b""
        domain = message.recipient.rpartition("@")[2].lower()
        hosts = [INBOUND_HOST] if domain == AUTO_DOMAIN else await self._zone.mail_hosts(domain)
        if self._messages.get(message.id) is None:
            return  # the account was reset meanwhile, and the new one has not sent it
        routed = self._routes.for_recipient(message.recipient) is not None
        if hosts == []:
            self._bounce(message, "domain", "invalid domain", f"no mail host for {domain}")
        elif (hosts is None and routed) or (hosts is not None and INBOUND_HOST in hosts):
            bounce_address = f"{message.uuid.replace('-', '')}@{BOUNCE_DOMAIN}"
            refusal = self.receive(
                octets, sender=bounce_address, recipient=message.recipient, helo="o1.mailjet.com", message=message
            )
            if refusal is None:
                self._sent(message)
            elif refusal.startswith("552"):
                self._bounce(message, "content", "message too large", refusal)
            else:
                self._bounce(message, "recipient", "user unknown", refusal)
        else:
            self._sent(message)

    def _sent(self, message: SentMessage) -> None:
        reply = "sent (250 2.0.0 OK)"
        self._messages.finish(message.id, MessageStatus.SENT, reply)
        self._events.report(message, "sent", smtp_reply=reply)

    def _bounce(self, message: SentMessage, related_to: str, error: str, comment: str) -> None:
        self._messages.finish(message.id, MessageStatus.BOUNCED, comment)
        self._events.report(
            message, "bounce", hard_bounce=True, error_related_to=related_to, error=error, comment=comment
        )

    def refusal(self, recipient: str) -> str | None:
        """Why the inbound host does not take mail for `recipient`; None when it does."""
        if self._routes.for_recipient(recipient) is None:
            return f"550 5.1.1 <{recipient}>: Recipient address rejected: User unknown"
        return None

    def receive(
        self, octets: bytes, *, sender: str, recipient: str, helo: str, message: SentMessage | None = None
    ) -> str | None:
        """Take inbound mail for a routed address: queue its payload. Returns the refusal, if any.

        `message` is the account's own that comes back in; without it the mail is from outside.
        """
        refused = self.refusal(recipient)
        if refused is not None:
            return refused
        if len(octets) > LARGEST_MESSAGE:
            return "552 5.3.4 Message size exceeds fixed limit"
        delivery_id = self._queue(octets, sender=sender, recipient=recipient, helo=helo)
        if message is not None:
            self._letters.delivered_by(message, delivery_id)
        else:
            self._letters.add_received(
                octets, Raw.parse(octets), sender=sender, recipient=recipient, delivery_id=delivery_id
            )
        return None

    def deliver_again(self, letter_id: int) -> str | None:
        """Bring a letter to its route's URL once more, as Mailjet does that had no answer. Returns the refusal, if any."""
        letter, octets = self._letters.get(letter_id), self._letters.octets(letter_id)
        if letter is None or octets is None:
            return "the mail is gone: only the latest are kept"
        refused = self.refusal(letter["recipient"])
        if refused is not None:
            return refused
        delivery_id = self._queue(octets, sender=letter["sender"], recipient=letter["recipient"], helo="o1.mailjet.com")
        self._letters.brought_by(letter_id, delivery_id)
        return None

    def _queue(self, octets: bytes, *, sender: str, recipient: str, helo: str) -> int:
        """The delivery that brings it to the route's URL."""
        route = self._routes.for_recipient(recipient)
        assert route is not None, "asked a moment ago"  # noqa: S101
        now = datetime.now(UTC)
        trace = (
            f"from {helo} (localhost [127.0.0.1])\r\n\tby {RECEIVING_HOST} (Mailjet) with ESMTP"
            f" id {secrets.token_hex(6).upper()}\r\n\tfor <{recipient}>; {format_datetime(now)}"
        )
        raw = Raw.parse(octets).with_first("Received", trace).with_first("Return-Path", f"<{sender}>")
        payload = parse_payload(raw.octets(), sender=sender, recipient=recipient, received=now, style=self._style())
        answered = self._messages.answered(route["apikey_id"], answered_ids(raw))
        if answered is not None and answered.custom_id:
            payload["CustomID"] = answered.custom_id
        if answered is not None and answered.event_payload:
            payload["Payload"] = answered.event_payload
        return self._deliveries.add(
            DeliveryKind.PARSE,
            route["id"],
            json.dumps(payload, ensure_ascii=False).encode(),
            recipient=recipient,
            header_id=raw.get("Message-ID") or "",
        )

    def _style(self) -> Style:
        switches = self._state.switches
        return Style(
            part_headers=switches.part_headers,
            inline_text_is_attachment=switches.inline_text_is_attachment,
            base64_lines=switches.base64_lines,
        )
