"""The loop: an agent writes, another answers, somebody outside writes too, and what must not work does not."""

from __future__ import annotations

import smtplib
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from email.message import EmailMessage

import requests

from azmail import Attachment, EventKind, InboundMail, Mailbox, MailService, MailStack, OutgoingMail, SmtpTransport
from commands.demo.platform import Inboxes

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


def run(stack: MailStack, inboxes: Inboxes, mailjet: Mailjet, tell: Callable[[str], None]) -> list[InboundMail]:
    """Run every step and return the mails that arrived.

    Raises UnexpectedError, NoMailError or an agentmail.AzmailError at the first step that fails.
    """
    first, second = stack.mailboxes[:2]
    arrived = []
    with (
        SmtpTransport.of(first, ca_file=mailjet.smtp_ca_file) as own,
        SmtpTransport.of(second, ca_file=mailjet.smtp_ca_file) as others,
    ):
        alice, bob = MailService(first, own, display_name="Agent A"), MailService(second, others)

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
        agent, mail = inboxes.wait_for("Exposición de arte")
        require("the agent who got it", agent, second.agent_id)
        require("its text", (mail.text or "").strip(), "¿Vienes?")
        require("its HTML", (mail.html or "").strip(), "<p>¿Vienes?</p>")
        require("its attachment", [part.content for part in mail.attachments], [PNG])
        require("its DKIM signature's domain", f"d={stack.domain};" in (mail.header("DKIM-Signature") or ""), True)
        tell(f"   it arrived for agent {agent}, attachment intact, signed by DKIM on the way:")
        _show(mail, tell)
        arrived.append(mail)

        tell("2. the other agent answers in the thread")
        bob.reply(mail, text="Sí, nos vemos.")
        agent, answer = inboxes.wait_for("Re: Exposición de arte")
        require("the agent who got the answer", agent, first.agent_id)
        require("which mail it answers", answer.custom_id, receipt.custom_id)
        require("what it answers", (answer.in_reply_to, answer.references), (mail.message_id, (mail.message_id,)))
        tell(f"   it arrived for agent {agent}, In-Reply-To and References are right:")
        _show(answer, tell)
        arrived.append(answer)

        tell("3. somebody outside writes, by plain SMTP to the domain's mail host")
        agent, outside = _from_outside(first.address, inboxes, mailjet)
        require("the agent who got it", agent, first.agent_id)
        tell(f"   it arrived for agent {agent}:")
        _show(outside, tell)
        arrived.append(outside)

        tell("4. an agent writes to an address that does not exist")
        bob.send(OutgoingMail(to=f"nobody@{stack.domain}", subject="Anybody?", text="Hello?"))
        event, agent_of_event = inboxes.wait_for_event("bounce")
        require("the event", (event.kind, agent_of_event), (EventKind.BOUNCE, second.agent_id))
        tell(f"   Mailjet reports a bounce, and it is told to agent {agent_of_event}")

    tell("5. what must not work")
    if stack.gateway_env:
        require("a mail of agent A in agent B's name", _as_another(first, second, mailjet), 553)
        tell(f"   {first.address} logs in with its own password, writes as {second.address}: refused with 553")
    status = _delivery_with(mailjet, stack, "not-the-secret")
    require("a delivery with a wrong password", status, 401)
    tell("   a delivery with a wrong password gets 401 and no event")
    code = _to_nobody(stack, mailjet)
    require("mail for an address without a route", code, 550)
    tell("   mail for an address without a route bounces with 550")
    require("mails nobody expected", inboxes.waiting, 0)
    return arrived


def _show(mail: InboundMail, tell: Callable[[str], None]) -> None:
    """What the agent's platform got, as it got it."""
    for part in mail.attachments:
        tell(f"     Attachment: {part.filename} ({len(part.content)} bytes)")
    for line in (
        f"From: {mail.from_address or mail.envelope_sender}",
        f"Subject: {mail.subject}",
        "",
        *(mail.text or "").strip().splitlines(),
    ):
        tell(f"     {line}".rstrip())


def _from_outside(address: str, inboxes: Inboxes, mailjet: Mailjet) -> tuple[str, InboundMail]:
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = "Visitor <visitor@outside.example>", address, "Hello from outside"
    mail["Message-ID"] = "<hello@outside.example>"
    mail.set_content("Hello")
    with smtplib.SMTP(*mailjet.inbound, timeout=10) as smtp:
        smtp.send_message(mail)
    return inboxes.wait_for("Hello from outside")


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
