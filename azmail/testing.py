"""For tests of your agents: a post office in memory, without network, database or Mailjet.

    office = MemoryOffice({"bot-1": "ana@agents.example", "bot-2": "bo@agents.example"})
    office.deliver("bot-1", sender="ada@example.com", subject="Hello", text="…")     # a stranger writes
    office.service("bot-1").send(OutgoingMail(to="bo@agents.example", subject="Plan", text="…"))
    office.inbox("bot-2").wait_for(subject="Plan").text                              # in whatever thread it is sent

Mail goes through the library's own parser, so that what a test sees is what a hook would get.
"""

import base64
import itertools
import threading
import time
from collections.abc import Callable, Iterable, Mapping

from azmail.contract import Mailbox
from azmail.errors import AzmailError
from azmail.inbound import InboundMail, parse_inbound
from azmail.mail import Attachment, MailAddress, OutgoingMail
from azmail.service import MailService
from azmail.transport import NO_RETRIES, Receipt, Transport


class NothingCameError(AzmailError, AssertionError):
    """The mail that a test waited for did not come."""

    def __init__(self, what: str, seconds: float, there: Iterable[str]) -> None:
        subjects = ", ".join(repr(one) for one in there) or "nothing"
        super().__init__(f"no mail {what} came within {seconds:g} s, expected one: there is {subjects}")


class MemoryInbox:
    """What came for one agent, oldest first. Safe to share between threads."""

    def __init__(self) -> None:
        self._mails: list[InboundMail] = []
        self._changed = threading.Condition()

    def __call__(self, mail: InboundMail, _agent_id: str = "") -> None:
        """Take a mail: an inbox is an `on_mail` hook too."""
        with self._changed:
            self._mails.append(mail)
            self._changed.notify_all()

    @property
    def mails(self) -> tuple[InboundMail, ...]:
        with self._changed:
            return tuple(self._mails)

    def wait_for(
        self,
        *,
        subject: str | None = None,
        sender: str | None = None,
        that: Callable[[InboundMail], bool] = lambda _mail: True,
        seconds: float = 5.0,
    ) -> InboundMail:
        """The first mail whose subject contains, and whose From is, what is given, for which `that` holds.

        Raises NothingCameError, which says what there is.
        """

        def fits(mail: InboundMail) -> bool:
            author = mail.from_address.email.lower() if mail.from_address else ""
            named = (subject is None or subject in mail.subject) and (sender is None or sender.lower() == author)
            return named and that(mail)

        deadline = time.monotonic() + seconds
        with self._changed:
            while True:
                found = next((mail for mail in self._mails if fits(mail)), None)
                if found is not None:
                    return found
                if not self._changed.wait(deadline - time.monotonic()):
                    about = f"about {subject!r}" if subject else ""
                    what = f"{about} {f'from {sender}' if sender else ''}".strip() or "that fits"
                    raise NothingCameError(what, seconds, (mail.subject for mail in self._mails))


class MemoryOffice:
    """Agents with their addresses; what they send each other arrives, what they send others is in `outbox`."""

    def __init__(self, agents: Mapping[str, str], *, on_mail: Callable[[InboundMail, str], None] | None = None) -> None:
        """`on_mail` is called with each mail that arrives, as the webhook would call it."""
        self._addresses = dict(agents)
        self._agents = {address.lower(): agent for agent, address in agents.items()}
        self._inboxes = {agent: MemoryInbox() for agent in agents}
        self._on_mail = on_mail
        self._numbers = itertools.count(1)
        self.outbox: list[OutgoingMail] = []
        """All that was sent, to agents too, in order."""

    def inbox(self, agent: str) -> MemoryInbox:
        return self._inboxes[agent]

    def service(self, agent: str) -> MailService:
        """What the agent sends with."""
        mailbox = Mailbox(
            agent_id=agent, address=self._addresses[agent], smtp_host="localhost", smtp_port=587, smtp_username="-",
            smtp_password="-", inbound_url="", inbound_secret="",  # noqa: S106 -- there is nothing to log in to
        )  # fmt: skip
        return MailService(mailbox, _Counter(self))

    def deliver(
        self,
        agent: str,
        *,
        sender: str = "ada@example.com",
        subject: str = "Hello",
        text: str | None = "Hello.",
        html: str | None = None,
        attachments: Iterable[Attachment] = (),
        headers: Mapping[str, str] | None = None,
    ) -> InboundMail:
        """A mail from anybody arrives for an agent."""
        author = MailAddress.parse(sender)
        mail = OutgoingMail(
            to=self._addresses[agent], subject=subject, text=text or ("" if html else " "), html=html,
            attachments=attachments,
        )  # fmt: skip
        return self._arrive(agent, mail, author, dict(headers or {}))

    def _send(self, mail: OutgoingMail, sender: MailAddress) -> Receipt:
        self.outbox.append(mail)
        for recipient in mail.recipients:
            agent = self._agents.get(recipient.email.lower())
            if agent is not None:
                self._arrive(agent, mail, sender, dict(mail.headers))
        return Receipt(
            tuple(one.email for one in mail.recipients),
            custom_id=mail.custom_id,
            answer="250 OK",
            left_out=mail.left_out,
        )

    def _arrive(self, agent: str, mail: OutgoingMail, sender: MailAddress, headers: dict[str, str]) -> InboundMail:
        arrived = parse_inbound(_payload(mail, sender, self._addresses[agent], headers, next(self._numbers)))
        self._inboxes[agent](arrived, agent)
        if self._on_mail is not None:
            self._on_mail(arrived, agent)
        return arrived


class _Counter(Transport):
    """Where mails are handed in."""

    def __init__(self, office: MemoryOffice) -> None:
        super().__init__(concurrency=1, retries=NO_RETRIES)
        self._office = office

    def send(self, mail: OutgoingMail, sender: MailAddress) -> Receipt:
        return self._office._send(mail, sender)


def _payload(
    mail: OutgoingMail, sender: MailAddress, recipient: str, headers: dict[str, str], number: int
) -> dict[str, object]:
    """As Mailjet posts it; it gives each mail another Message-ID, here too."""
    shown = headers | {
        "From": str(sender),
        "To": ", ".join(str(one) for one in mail.to),
        "Subject": mail.subject,
        "Message-ID": headers.get("Message-ID", f"<{number:08x}.MJMid@mailjet.com>"),
    }
    if mail.cc:
        shown["Cc"] = ", ".join(str(one) for one in mail.cc)
    if mail.reply_to is not None:
        shown["Reply-To"] = str(mail.reply_to)
    if mail.in_reply_to is not None:
        shown["In-Reply-To"] = mail.in_reply_to
    if mail.references:
        shown["References"] = " ".join(mail.references)
    payload: dict[str, object] = {
        "Sender": sender.email,
        "Recipient": recipient,
        "From": shown["From"],
        "Subject": mail.subject,
        "Headers": shown,
        "CustomID": mail.custom_id or "",
        "Payload": mail.event_payload or "",
    }
    parts: list[dict[str, object]] = []
    for key, kind, body in (("Text-part", "text/plain", mail.text), ("Html-part", "text/html", mail.html)):
        if body:
            payload[key] = body
            parts.append({"Headers": {"Content-Type": f"{kind}; charset=utf-8"}, "ContentRef": key})
    for place, file in enumerate(mail.attachments, 1):
        key = f"{'InlineAttachment' if file.content_id else 'Attachment'}{place}"
        payload[key] = base64.b64encode(file.content).decode()
        described = {
            "Content-Type": file.wire_type,
            "Content-Disposition": f'{"inline" if file.content_id else "attachment"}; filename="{file.filename}"',
        }
        if file.content_id:
            described["Content-ID"] = f"<{file.content_id}>"
        parts.append({"Headers": described, "ContentRef": key})
    return payload | {"Parts": parts}
