"""Mailjet's SMTP servers: submission with AUTH, and the inbound host for routed addresses."""

from __future__ import annotations

import asyncio
import socket
import ssl
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from emulators.mailjet.messages import Via
from emulators.mailjet.mime import Raw
from emulators.mailjet.post_office import INBOUND_HOST, LARGEST_MESSAGE, MOST_RECIPIENTS, PostOffice
from emulators.mailjet.senders import Senders
from emulators.mailjet.state import ApiKey, MailjetState

SUBMISSION_HOST = "in-v3.mailjet.com"
IDLE_SECONDS = 300.0


class Interruptions:
    """Replies that a test wants instead of the ordinary ones (switches `smtp_replies`)."""

    def __init__(self, state: MailjetState) -> None:
        self._state = state
        self._used = 0

    def count_anew(self) -> None:
        """Let the number of times begin now."""
        self._used = 0

    def reply(self, server: SMTP, step: str) -> str | None:
        """What to say at this step; None: go on."""
        switches = self._state.switches
        found = {str(name): text for name, text in switches.smtp_replies.items()}.get(step)
        if found is None or (switches.smtp_replies_times is not None and self._used >= switches.smtp_replies_times):
            return None
        self._used += 1
        if found == "drop" and isinstance(server.transport, asyncio.Transport):
            server.transport.abort()
        return found


class SubmissionRules:
    """Rules of the submission server: authenticated senders only, from validated addresses only."""

    def __init__(self, state: MailjetState, senders: Senders, office: PostOffice, interruptions: Interruptions) -> None:
        self._state = state
        self._interruptions = interruptions
        self._senders = senders
        self._office = office

    def authenticate(
        self, _server: SMTP, _session: Session, _envelope: Envelope, mechanism: str, data: Any
    ) -> AuthResult:
        """AUTH PLAIN and LOGIN with API key and secret."""
        if mechanism not in ("PLAIN", "LOGIN") or not isinstance(data, LoginPassword):
            return AuthResult(success=False, handled=False)
        try:
            user, password = data.login.decode(), data.password.decode()
        except UnicodeDecodeError:
            return AuthResult(success=False, handled=False)
        key = None if self._state.switches.blocked_account else self._state.authenticate(user, password)
        return AuthResult(success=key is not None, handled=False, auth_data=key)

    async def handle_MAIL(  # noqa: N802 - aiosmtpd's name
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """MAIL FROM: who is it, and may they send from there?"""
        if (reply := self._interruptions.reply(server, "MAIL")) is not None:
            return reply
        key = session.auth_data
        if not isinstance(key, ApiKey):
            return "530 5.7.0 Authentication required"
        if address and not self._senders.may_send(key, address):
            return _not_validated(address)
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 2.1.0 Ok"

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self, server: SMTP, _session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """RCPT TO: anybody, but not too many."""
        if (reply := self._interruptions.reply(server, "RCPT")) is not None:
            return reply
        if "@" not in address:
            return "501 5.1.3 Bad recipient address syntax"
        if len(envelope.rcpt_tos) >= MOST_RECIPIENTS:
            return "452 4.5.3 Too many recipients"
        envelope.rcpt_tos.append(address)
        envelope.rcpt_options.extend(options)
        return "250 2.1.5 Ok"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802 - aiosmtpd's name
        """The message itself: its From counts, too."""
        if (reply := self._interruptions.reply(server, "DATA")) is not None:
            return reply
        key = session.auth_data
        assert isinstance(key, ApiKey), "MAIL FROM asked for it"  # noqa: S101
        octets = envelope.content if isinstance(envelope.content, bytes) else b""
        authors = Raw.parse(octets).addresses("from")
        if not authors:
            return "550 5.7.1 The message has no From header"
        for author in authors:
            if not self._senders.may_send(key, author):
                return _not_validated(author)
        accepted = await self._office.submit(key, octets, list(envelope.rcpt_tos), via=Via.SMTP)
        return self._interruptions.reply(server, "DATA-after") or f"250 2.0.0 OK {accepted[0].id}"


class Inbound:
    """Rules of the inbound host: anybody may send, to routed addresses only."""

    def __init__(self, office: PostOffice, interruptions: Interruptions) -> None:
        self._office = office
        self._interruptions = interruptions

    async def handle_EHLO(  # noqa: N802 - aiosmtpd's name
        self, _server: SMTP, session: Session, _envelope: Envelope, hostname: str, responses: list[str]
    ) -> list[str]:
        """Nobody logs in here, whatever aiosmtpd offers."""
        session.host_name = hostname
        return [line for line in responses if not line.startswith("250-AUTH")]

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self, server: SMTP, _session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """RCPT TO: a route must exist."""
        if (reply := self._interruptions.reply(server, "RCPT")) is not None:
            return reply
        refusal = self._office.refusal(address)
        if refusal is not None:
            return refusal
        envelope.rcpt_tos.append(address)
        envelope.rcpt_options.extend(options)
        return "250 2.1.5 Ok"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802 - aiosmtpd's name
        """One payload for each routed recipient."""
        if (reply := self._interruptions.reply(server, "DATA")) is not None:
            return reply
        octets = envelope.content if isinstance(envelope.content, bytes) else b""
        for recipient in envelope.rcpt_tos:
            refusal = self._office.receive(
                octets, sender=envelope.mail_from or "", recipient=recipient, helo=session.host_name or "unknown"
            )
            if refusal is not None:
                return refusal
        return self._interruptions.reply(server, "DATA-after") or "250 2.0.0 Ok: queued"


def _not_validated(address: str) -> str:
    return f"550 5.7.1 Sender {address} is not validated for this account"


class _TrackedConnection(SMTP):
    """aiosmtpd's protocol, which knows when its connection is over and takes lines of any length (RFC 5321 has 1,000)."""

    line_length_limit = LARGEST_MESSAGE + 2

    def __init__(self, *args: Any, open_connections: set[SMTP], **options: Any) -> None:
        super().__init__(*args, **options)
        self._open_connections = open_connections
        open_connections.add(self)

    def connection_lost(self, error: Exception | None) -> None:
        self._open_connections.discard(self)
        super().connection_lost(error)


class SmtpServer:
    """A listening SMTP server; all its connections end with `stop`."""

    def __init__(
        self,
        rules: SubmissionRules | Inbound,
        bound: socket.socket,
        context: ssl.SSLContext,
        *,
        implicit_tls: bool = False,
    ) -> None:
        self.port: int = bound.getsockname()[1]
        self._rules = rules
        self._bound = bound
        self._context = context
        self._implicit_tls = implicit_tls
        self._server: asyncio.Server | None = None
        self._connections: set[SMTP] = set()

    def _connection(self) -> SMTP:
        submission = isinstance(self._rules, SubmissionRules)
        return _TrackedConnection(
            self._rules,
            data_size_limit=LARGEST_MESSAGE,
            hostname=SUBMISSION_HOST if submission else INBOUND_HOST,
            ident="Mailjet emulator",
            tls_context=None if self._implicit_tls else self._context,
            timeout=IDLE_SECONDS,
            auth_require_tls=False,
            authenticator=self._rules.authenticate if isinstance(self._rules, SubmissionRules) else None,
            auth_exclude_mechanism=None if submission else ["PLAIN", "LOGIN"],
            loop=asyncio.get_running_loop(),
            open_connections=self._connections,
        )

    async def start(self) -> None:
        """Accept connections."""
        context = self._context if self._implicit_tls else None
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._connection, sock=self._bound, ssl=context)

    async def stop(self) -> None:
        """Close the port and all connections."""
        if self._server is not None:
            self._server.close()
        for connection in list(self._connections):
            if isinstance(connection.transport, asyncio.Transport):
                connection.transport.abort()
        if self._server is not None:
            await self._server.wait_closed()
