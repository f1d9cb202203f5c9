"""The loop: an agent writes, another answers, somebody outside writes too, and what must not work does not."""

from __future__ import annotations

import smtplib
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import formataddr, make_msgid

import requests

from azmail import (
    Attachment,
    EventKind,
    InboxClient,
    Mailbox,
    MailDidNotComeError,
    MailService,
    MailStack,
    OutgoingMail,
    SmtpTransport,
)
from azmail.inbox.client import Message
from commands.inbox_mails import status_of
from mailboxes import remedies

_BETWEEN_LOOKS = 0.1
PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010806000000"
    "1f15c4890000000d49444154789c6360000002000001e221bc330000000049454e44ae426082"
)


@dataclass(frozen=True)
class Mailjet:
    """Where the emulated Mailjet and the tunnel's entrance listen."""

    smtp_ca_file: str
    """Of the authority of whatever agents send through."""
    inbound: tuple[str, int]
    edge: tuple[str, int]


class UnexpectedError(Exception):
    """A step of the loop had another outcome than it must have."""

    def __init__(self, step: str, found: object, expected: object) -> None:
        super().__init__(f"{step}: found {found!r}, expected {expected!r}")


def require(step: str, found: object, expected: object) -> None:
    """Raise UnexpectedError unless both are equal."""
    if found != expected:
        raise UnexpectedError(step, found, expected)


class NoMailError(Exception):
    """What was sent did not arrive, or nobody was told what became of it."""

    def __init__(self, what: str, seconds: float) -> None:
        super().__init__(
            f"The mail {what!r} did not arrive within {seconds:g} seconds; see what became of it with: {remedies.messages()}"
        )


class Reader:
    """One agent at its own mailbox, with what came since the demo began."""

    def __init__(self, inbox: InboxClient, patience: float) -> None:
        self.inbox = inbox
        self._patience = patience
        self._begin: str = inbox.mailbox()["cursor"]
        self._events = {event["id"] for event in inbox.events()}

    def wait_for(self, subject: str) -> Message:
        """The whole message with this subject. Raises NoMailError."""
        try:
            found = self.inbox.wait_for(subject=subject, seconds=self._patience, cursor=self._begin)
        except MailDidNotComeError:
            raise NoMailError(subject, self._patience) from None
        return self.inbox.message(found["id"])

    def wait_for_event(self, what: str) -> Message:
        """What Mailjet reports of a mail that this agent has sent. Raises NoMailError."""
        return self._wait(lambda: [event for event in self.inbox.events() if event["id"] not in self._events], what)[0]

    def wait_for_thread(self, thread: str, size: int, what: str) -> list[Message]:
        """The mails of a thread once there are so many, the newest first: what an agent sends is kept after it has left.

        Raises NoMailError.
        """
        return self._wait(lambda: found if len(found := list(self.inbox.thread(thread))) >= size else [], what)

    def _wait(self, look: Callable[[], list[Message]], what: str) -> list[Message]:
        deadline = time.monotonic() + self._patience
        while not (found := look()):
            if time.monotonic() > deadline:
                raise NoMailError(what, self._patience)
            time.sleep(_BETWEEN_LOOKS)
        return found


def run(stack: MailStack, mailjet: Mailjet, tell: Callable[[str], None], *, patience: float) -> None:
    """Run every step. Raises UnexpectedError, NoMailError or an azmail.AzmailError at the first step that fails."""
    first, second = stack.mailboxes[:2]
    with (
        SmtpTransport.of(first, ca_file=mailjet.smtp_ca_file) as own,
        SmtpTransport.of(second, ca_file=mailjet.smtp_ca_file) as others,
        stack.inbox(first.agent_id) as first_inbox,
        stack.inbox(second.agent_id) as second_inbox,
    ):
        alice, bob = MailService(first, own, display_name="Agent A"), MailService(second, others)
        at_first, at_second = Reader(first_inbox, patience), Reader(second_inbox, patience)

        tell(f"1. {first.address} writes to {second.address}: text, HTML and an attachment, by SMTP")
        receipt = alice.send(
            OutgoingMail(
                to=second.address,
                subject="Exposición de arte",
                text="¿Vienes?",
                html="<p>¿Vienes?</p>",
                attachments=[Attachment("pixel.png", PNG, "image/png")],
            )
        )
        mail = at_second.wait_for("Exposición de arte")
        require("its text", (mail["text"] or "").strip(), "¿Vienes?")
        require("its HTML", (mail["html"] or "").strip(), "<p>¿Vienes?</p>")
        require("its attachment", [second_inbox.attachment(mail["id"], 1)], [PNG])
        signature = dict(mail["headers"]).get("DKIM-Signature", "")
        require("its DKIM signature's domain", f"d={stack.domain};" in signature, True)
        tell(f"   agent {second.agent_id} reads it in its inbox, with a credential of its own:")
        _show(mail, tell)

        tell("2. the other agent answers in the thread, from its inbox")
        second_inbox.reply(mail["id"], text="Sí, nos vemos.")
        answer = at_first.wait_for("Re: Exposición de arte")
        require("which mail it answers", answer["custom_id"], receipt.custom_id)
        require(
            "what it answers", (answer["in_reply_to"], answer["references"]), (mail["message_id"], [mail["message_id"]])
        )
        tell(f"   agent {first.agent_id} reads the thread, the newest first:")
        thread = at_first.wait_for_thread(answer["thread"], 2, "Exposición de arte")
        require("the thread", [one["direction"] for one in thread], ["in", "out"])
        for one in thread:
            tell(f"     {'got ' if one['direction'] == 'in' else 'sent'}  {one['subject']}: {one['snippet']}")

        tell("3. somebody outside writes, by plain SMTP to the domain's mail host")
        outside = _from_outside(first.address, at_first, mailjet)
        tell(f"   it arrived for agent {first.agent_id}:")
        _show(outside, tell)

        tell("4. an agent writes to an address that does not exist")
        bob.send(OutgoingMail(to=f"nobody@{stack.domain}", subject="Anybody?", text="Hello?"))
        event = at_second.wait_for_event("Anybody?")
        require("the event", (event["kind"], event["agent"]), (EventKind.BOUNCE.value, second.agent_id))
        tell(f"   Mailjet reports a bounce, and agent {second.agent_id} finds it in its inbox")

    tell("5. what must not work")
    require("agent A's credential at agent B's mailbox", _read_as_another(stack, first, second, mail["id"]), (401, 404))
    tell("   A's credential opens nothing of B's: 401 in B's name, and B's mail is a 404 in its own")
    require("a mail of agent A in agent B's name", _as_another(first, second, mailjet), 553)
    tell(f"   {first.address} logs in with its own password, writes as {second.address}: refused with 553")
    status = _delivery_with(mailjet, stack, "not-the-secret")
    require("a delivery with a wrong password", status, 401)
    tell("   a delivery with a wrong password gets 401")
    code = _to_nobody(stack, mailjet)
    require("mail for an address without a route", code, 550)
    tell("   mail for an address without a route bounces with 550")


def _show(mail: Message, tell: Callable[[str], None]) -> None:
    """What the agent reads."""
    for part in mail["attachments"]:
        tell(f"     Attachment: {part['filename']} ({part['octets']} bytes)")
    sender = mail["sender"] or {"name": "", "email": mail["envelope_sender"]}
    for line in (
        f"From: {formataddr((sender['name'], sender['email']), charset='utf-8') if sender['name'] else sender['email']}",
        f"Subject: {mail['subject']}",
        "",
        *(mail["text"] or "").strip().splitlines(),
    ):
        tell(f"     {line}".rstrip())


def _from_outside(address: str, reader: Reader, mailjet: Mailjet) -> Message:
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = "Visitor <visitor@outside.example>", address, "Hello from outside"
    mail["Message-ID"] = make_msgid(domain="outside.example")
    mail.set_content("Hello")
    with smtplib.SMTP(*mailjet.inbound, timeout=10) as smtp:
        smtp.send_message(mail)
    return reader.wait_for("Hello from outside")


def _read_as_another(stack: MailStack, who: Mailbox, other: Mailbox, message: str) -> tuple[int, int]:
    """What the inbox says to an agent's credential under another's name, and at another's mail."""
    own = stack.inbox_password(who.agent_id)
    return (
        status_of(InboxClient(stack.inbox_url, other.agent_id, own), lambda inbox: inbox.mailbox()),
        status_of(InboxClient(stack.inbox_url, who.agent_id, own), lambda inbox: inbox.message(message)),
    )


def _as_another(who: Mailbox, other: Mailbox, mailjet: Mailjet) -> int:
    """What the gateway says to an agent that names another as the sender."""
    context = ssl.create_default_context(cafile=mailjet.smtp_ca_file)
    with smtplib.SMTP(who.smtp_host, who.smtp_port, timeout=10) as smtp:
        smtp.starttls(context=context)
        smtp.login(who.smtp_username, who.smtp_password)
        code, _ = smtp.mail(other.address)
    return code


def _delivery_with(mailjet: Mailjet, stack: MailStack, password: str) -> int:
    """The status of a delivery that somebody forges at the public address."""
    host = stack.tunnel_hostname
    path = stack.webhook_url.split(host, 1)[1]
    entrance = f"http://{mailjet.edge[0]}:{mailjet.edge[1]}{path}"
    body = {"Recipient": stack.mailboxes[0].address, "Subject": "forged"}
    return requests.post(entrance, json=body, headers={"Host": host}, auth=("x", password), timeout=10).status_code


def _to_nobody(stack: MailStack, mailjet: Mailjet) -> int:
    with smtplib.SMTP(*mailjet.inbound, timeout=10) as smtp:
        smtp.ehlo()
        smtp.mail("visitor@outside.example")
        code, _ = smtp.rcpt(f"nobody@{stack.domain}")
    return code
