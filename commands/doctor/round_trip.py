"""One real mail from an agent to an agent: sent as agents send, and read in the inbox as its agent reads it.

For a stack without an inbox, `--listen` receives it as the platform does; without that only the sending half can be seen from
here, since what the platform does with the mail is its own affair.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

from azmail.contract import Mailbox
from azmail.errors import AzmailError
from azmail.inbound import InboundMail
from azmail.inbox.client import InboxClient, InboxError, MailDidNotComeError
from azmail.mail import OutgoingMail
from azmail.service import MailService
from azmail.smtp import SmtpTransport
from azmail.webhook import BasicAuth, create_app
from commands.doctor.finding import Check, Finding
from commands.doctor.stack import ExaminedStack

ROUND_TRIP = Check("round trip")
ARRIVAL_SECONDS = 180.0
_START_SECONDS = 10.0


class ListenError(Exception):
    """`--listen` cannot be served."""

    def __init__(self, found: str, expected: str) -> None:
        super().__init__(f"--listen {found}, expected {expected}")


@dataclass
class Arrivals:
    """Waits for one mail among those that come in."""

    subject: str = field(default_factory=lambda: f"Round trip {secrets.token_hex(6)}")
    came: threading.Event = field(default_factory=threading.Event)
    mail: InboundMail | None = None

    def __call__(self, mail: InboundMail, _agent_id: str) -> None:
        if mail.subject == self.subject:
            self.mail = mail
            self.came.set()


class Listener:
    """The agentmail webhook in a thread, where the tunnel's service is; it admits only the stack's own deliveries."""

    def __init__(self, address: str, examined: ExaminedStack, arrivals: Arrivals) -> None:
        host, _, port = address.rpartition(":")
        if not host or not port.isdigit():
            raise ListenError(
                f"is {address!r}", "HOST:PORT, the address that tunnelService leads to, such as 127.0.0.1:8800"
            )
        if examined.settings.inbox_service:
            raise ListenError("is not where the tunnel leads deliveries: the stack has an inbox", "--round-trip alone")
        if not examined.settings.webhook_secret:
            raise ListenError(
                "has no password to ask for", "the stack's webhookSecret in its configuration or MAILJET_INBOUND_SECRET"
            )
        try:
            uvicorn: Any = import_module("uvicorn")
        except ImportError:
            raise ListenError("finds no server to listen with", "the package uvicorn (pip install uvicorn)") from None
        agents = {mailbox.address.lower(): mailbox.agent_id for mailbox in examined.mailboxes}
        app = create_app(
            lambda recipient: agents.get(recipient.lower()),
            on_mail=arrivals,
            auth=BasicAuth(examined.settings.webhook_secret, examined.settings.tag),
            path=urlsplit(examined.settings.public_webhook_url).path,
        )
        self._server = uvicorn.Server(
            uvicorn.Config(
                app, host=host, port=int(port), access_log=False, log_level="error", ws="none", lifespan="off"
            )
        )
        self._address = address
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def _serve(self) -> None:
        try:
            self._server.run()
        except SystemExit:
            # uvicorn's way to say that the address is taken; `__enter__` sees that it never started.
            return

    def __enter__(self) -> Self:
        self._thread.start()
        wait = threading.Event()
        for _ in range(round(_START_SECONDS / 0.05)):
            if self._server.started or not self._thread.is_alive():
                break
            wait.wait(0.05)
        if not self._server.started:
            raise ListenError(
                f"is {self._address!r}, which cannot be listened at", "an address of this machine that is free"
            )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.should_exit = True
        self._thread.join()


def round_trip_findings(
    examined: ExaminedStack, arrivals: Arrivals, *, listen: str, ca_file: str, seconds: float = ARRIVAL_SECONDS
) -> Iterator[Finding]:
    """Send, and wait for the arrival where it can be seen: `listen` is where a Listener serves, or empty."""
    pair = _pair(examined.mailboxes)
    if pair is None:
        yield ROUND_TRIP.warning("mail", "The stack has no mailbox to send from: add an agent to its population file.")
        return
    sender, recipient = pair
    label = f"{sender.address} to {recipient.address}"
    mail = OutgoingMail(
        to=[recipient.address], subject=arrivals.subject, text="A test by doctor --round-trip; nobody need answer."
    )
    try:
        with SmtpTransport.of(sender, ca_file=ca_file or None) as transport:
            MailService(sender, transport).send(mail)
    except AzmailError as error:
        yield ROUND_TRIP.error(label, f"The mail could not be sent: {error}")
        return
    if examined.outputs is not None and examined.inbox_url:
        with examined.outputs.inbox(recipient.agent_id, url=examined.inbox_url) as inbox:
            yield _read(inbox, arrivals.subject, label, seconds)
        return
    if not listen:
        yield ROUND_TRIP.warning(
            label,
            "Mailjet took the mail; whether it arrived cannot be seen from here: look for the subject "
            f"{arrivals.subject!r} in the platform, or stop the platform and say --listen HOST:PORT to receive it "
            "here.",
        )
        return
    arrivals.came.wait(seconds)
    if arrivals.mail is None:
        yield ROUND_TRIP.error(
            label,
            f"Mailjet took the mail, but it did not arrive at {listen} within {seconds:.0f} s: the lines above say "
            "what is wrong on the way (MX, routes, tunnel, webhook).",
        )
    elif arrivals.mail.envelope_recipient.lower() != recipient.address.lower():
        yield ROUND_TRIP.error(
            label,
            f"The mail arrived for {arrivals.mail.envelope_recipient}, expected {recipient.address}: compare the "
            "routes.",
        )
    else:
        yield ROUND_TRIP.ok(label, "Sent through Mailjet, routed, delivered and received.")


def _read(inbox: InboxClient, subject: str, label: str, seconds: float) -> Finding:
    """Whether the agent finds the mail in its inbox."""
    try:
        inbox.wait_for(subject=subject, seconds=seconds)
    except MailDidNotComeError:
        return ROUND_TRIP.error(
            label,
            f"Mailjet took the mail, but it was not in the inbox within {seconds:.0f} s: the lines above say what is wrong on "
            "the way (MX, routes, tunnel, inbox).",
        )
    except InboxError as error:
        return ROUND_TRIP.warning(
            label,
            f"Mailjet took the mail; whether it arrived cannot be seen from here ({error}): look for the subject {subject!r} in "
            "the agent's inbox from the platform's network.",
        )
    return ROUND_TRIP.ok(label, "Sent through Mailjet, routed, delivered, and read in the inbox.")


def _pair(mailboxes: Sequence[Mailbox]) -> tuple[Mailbox, Mailbox] | None:
    """Two different agents where there are two."""
    return (mailboxes[0], mailboxes[-1]) if mailboxes else None
