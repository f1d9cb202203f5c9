"""SMTP submission (RFC 6409): 587 with STARTTLS, 465 with TLS from the first octet; aiosmtpd, hardened.

What aiosmtpd 1.4.6 leaves open is closed here: a foreign authorization identity, guessing without end, DATA that is
kept in pieces larger than its limit, exception texts for clients, every answer's enhanced status code, TLS within TLS,
sessions that never log in, peers that never read, and commands in its log.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import contextlib
import logging
import re
import socket
import ssl
import time
from collections import Counter, OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, cast

from aiosmtpd.smtp import MISSING, SMTP, Envelope, Session

from azmail.gateway.credentials import AgentLogin
from azmail.gateway.doorstep import Doorstep, TlsFirst, hang_up
from azmail.gateway.identity import MAX_LINE_OCTETS, MAX_MESSAGE_OCTETS
from azmail.gateway.ledger import LedgerError
from azmail.gateway.relay import AWAY, CROWDED, MAX_RECIPIENTS, Relay

log = logging.getLogger("azmail.gateway.smtp")
# aiosmtpd logs what it does not know as a command: from a client out of step that is a password. (uvicorn's configuration of the
# logs would undo `disabled`.)
logging.getLogger("mail.log").setLevel(logging.CRITICAL)

FAILURES_PER_CONNECTION = 3
LONGEST_DELAY_SECONDS = 8.0
SOURCES_REMEMBERED = 4096
FORGIVEN_AFTER_SECONDS = 900.0
LONGEST_LINE = 64 * 1024
"""A line that grows beyond this is no mistake: the connection is closed."""
MAX_AUTH_LINE = 1024
SESSIONS_PER_AGENT = 50
IDLE_SECONDS = 120.0
"""Between two commands of an agent."""
LOGIN_SECONDS = 60.0
"""From the connection to the login, whatever is said meanwhile."""
STRANGERS = 250
"""Connections that are not logged in; one more, and the oldest of them is ended."""
MESSAGE_SECONDS = 600.0
"""From the 354 to the final dot."""
STOP_SECONDS = 30.0
"""How long a gateway that ends waits for messages on their way."""
_PLAIN_ADDRESS = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]{1,64}@[A-Za-z0-9.-]{1,255}")
_ATOMS = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*"
_USUAL_PATH = re.compile(rf"<({_ATOMS}@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*)>(?: +(.*))?")
_AUTH_PARAMETER = re.compile(r" +AUTH=[!-~]+(?= |$)", re.IGNORECASE)
_ENDS = "421 4.3.2 the gateway ends; try again later"
_REFUSED = "535 5.7.8 the user or the password is wrong"


class Sources:
    """How long a source of wrong passwords waits for the next answer. An agent is never locked out by somebody else."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failures: OrderedDict[str, tuple[int, float]] = OrderedDict()

    def failed(self, source: str) -> float:
        """Count a failure; the seconds to wait before answering it: 0.25, 0.5, 1, … up to `LONGEST_DELAY_SECONDS`."""
        now = self._clock()
        count, last = self._failures.pop(source, (0, now))
        count = 1 if now - last > FORGIVEN_AFTER_SECONDS else count + 1
        self._failures[source] = (count, now)
        while len(self._failures) > SOURCES_REMEMBERED:
            self._failures.popitem(last=False)
        return min(0.25 * 2.0 ** min(count - 1, 10), LONGEST_DELAY_SECONDS)


class SubmissionServer:
    """One listening socket. `implicit_tls` for 465; otherwise STARTTLS is demanded before everything."""

    def __init__(
        self,
        relay: Relay,
        tls: ssl.SSLContext,
        *,
        hostname: str,
        implicit_tls: bool = False,
        sources: Sources | None = None,
        workers: int = 32,
        most_connections: int = 1000,
        most_strangers: int = STRANGERS,
        idle_seconds: float = IDLE_SECONDS,
        message_seconds: float = MESSAGE_SECONDS,
    ) -> None:
        self.relay = relay
        self.hostname = hostname
        self.tls = tls
        self.implicit_tls = implicit_tls
        self.sources = sources or Sources()
        self.most_connections = most_connections
        self.idle_seconds = idle_seconds
        self.message_seconds = message_seconds
        self.connections: set[_SubmissionConnection] = set()
        self.sessions: Counter[str] = Counter()
        """By agent's id."""
        self.doorstep = Doorstep(most=most_strangers, seconds=LOGIN_SECONDS)
        # Logins look into the database at most every two seconds; they must not wait behind messages to Mailjet.
        self.logins = ThreadPoolExecutor(4, thread_name_prefix="gateway-login")
        self.messages = ThreadPoolExecutor(workers, thread_name_prefix="gateway-message")
        self._server: asyncio.Server | None = None
        self._changed = asyncio.Event()

    async def start(self, host: str = "127.0.0.1", port: int | socket.socket = 0) -> int:
        """Listen at a port, or on a socket that is bound already; the port."""
        loop = asyncio.get_running_loop()
        bound = {"sock": port} if isinstance(port, socket.socket) else {"host": host, "port": port}
        self._server = await loop.create_server(lambda: self._protocol(loop), backlog=512, **bound)
        return int(self._server.sockets[0].getsockname()[1])

    def _protocol(self, loop: asyncio.AbstractEventLoop) -> asyncio.Protocol:
        connection = _SubmissionConnection(self, loop)
        return TlsFirst(connection, self.tls, self.doorstep) if self.implicit_tls else connection

    def note_change(self) -> None:
        """A connection has ended, or has answered."""
        self._changed.set()

    async def stop(self) -> None:
        """Accept nobody any more, end what waits for commands, and let messages on their way be answered."""
        if self._server is not None:
            self._server.close()
        for connection in list(self.connections):
            connection.end_when_idle()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(STOP_SECONDS):
                while any(connection.is_busy for connection in self.connections):
                    self._changed.clear()
                    await self._changed.wait()
        for connection in list(self.connections):
            connection.hang_up(_ENDS)
        await asyncio.to_thread(self.messages.shutdown)
        await asyncio.to_thread(self.logins.shutdown)


class _SubmissionConnection(SMTP):
    """One connected SMTP client, from its greeting to QUIT."""

    def __init__(self, server: SubmissionServer, loop: asyncio.AbstractEventLoop) -> None:
        self._gateway = server
        self._failures = 0
        self._password = ""
        self._user = ""
        self._agent_id = ""
        self.is_busy = False
        self._ends = False
        super().__init__(
            _Steps(server, self),
            data_size_limit=MAX_MESSAGE_OCTETS,
            enable_SMTPUTF8=False,
            decode_data=False,
            hostname=server.hostname,
            ident="ESMTP azmail gateway",
            tls_context=None if server.implicit_tls else server.tls,
            timeout=server.idle_seconds,
            auth_required=True,
            auth_require_tls=True,
            loop=loop,
        )
        if server.implicit_tls:
            # TLS is below asyncio's transport here, where aiosmtpd does not see it.
            self._auth_require_tls = False

    # -- the connection --------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        gateway = self._gateway
        if self not in gateway.connections:
            if len(gateway.connections) >= gateway.most_connections and not gateway.doorstep.make_room():
                cast("asyncio.Transport", transport).write(b"421 4.7.0 too many connections; try again later\r\n")
                hang_up(cast("asyncio.Transport", transport))
                self.session = None
                return
            gateway.connections.add(self)
            gateway.doorstep.enter(self, lambda: self.hang_up("421 4.7.0 no login came in time; goodbye"))
        super().connection_made(transport)

    def connection_lost(self, error: Exception | None) -> None:
        self._gateway.doorstep.leave(self)
        self._gateway.connections.discard(self)
        if self._agent_id:
            self._gateway.sessions[self._agent_id] -= 1
            self._agent_id = ""
        self._gateway.note_change()
        if self.session is not None:
            super().connection_lost(error)

    def end_when_idle(self) -> None:
        self._ends = True
        if not self.is_busy:
            self.hang_up(_ENDS)

    def hang_up(self, reason: str = "") -> None:
        """Close, with the reason as the last words where somebody can hear them."""
        if self.transport is None:
            return
        transport = cast("asyncio.Transport", self.transport)
        if reason and not transport.is_closing() and not self._is_shaking_hands:
            transport.write(reason.encode() + b"\r\n")
        hang_up(transport)

    @property
    def _is_shaking_hands(self) -> bool:
        return self._tls_protocol is not None and self.session is not None and self.session.ssl is None

    def _timeout_cb(self) -> None:
        self.hang_up("421 4.4.2 no command came in time; goodbye")

    async def smtp_STARTTLS(self, arg: str) -> None:  # noqa: N802 - aiosmtpd's name
        if self._tls_protocol is not None:
            await self.push("503 5.5.1 TLS is there already")
            return
        await super().smtp_STARTTLS(arg)
        if self._is_shaking_hands:
            # Ended by this side during the handshake, of which aiosmtpd hears nothing.
            self.connection_lost(None)

    def _getaddr(self, arg: str) -> tuple[str | None, str | None]:
        """The usual form at once; whatever else there may be as aiosmtpd reads it, a hundred times slower."""
        if usual := _USUAL_PATH.fullmatch(arg):
            return usual[1], usual[2] or ""
        found: tuple[str | None, str | None] = super()._getaddr(arg)
        return found

    async def handle_exception(self, error: Exception) -> str:
        log.exception("a command failed", exc_info=error)
        return "451 4.3.0 the gateway has a fault, nothing was sent; try again later"

    async def push(self, status: Any) -> None:
        """Say it; 421 are the last words of a session (RFC 5321, 4.2.1)."""
        with contextlib.suppress(ConnectionError):
            await super().push(status)
        if isinstance(status, str) and status.startswith("421"):
            self.hang_up()

    # -- AUTH ------------------------------------------------------------------------------------------------

    async def smtp_AUTH(self, arg: str | None) -> None:  # noqa: N802 - aiosmtpd's name
        assert self.session is not None  # noqa: S101 - aiosmtpd sets it when the connection is made
        if await self.check_helo_needed("EHLO"):
            return
        if not self._gateway.implicit_tls and not self._tls_protocol:
            await self.push("530 5.7.0 Must issue a STARTTLS command first")
            return
        if self.session.authenticated:
            await self.push("503 5.5.1 this session is logged in already")
            return
        words = (arg or "").split()
        mechanism = words[0].upper() if words else ""
        if mechanism not in ("PLAIN", "LOGIN") or len(words) > 2:
            await self.push("504 5.5.4 expected AUTH PLAIN or AUTH LOGIN")
            return
        first = words[1] if len(words) == 2 else None
        found = await (self._plain(first) if mechanism == "PLAIN" else self._login(first))
        if found is not None:
            await self._judge(*found)

    async def _plain(self, first: str | None) -> tuple[str, str, str] | None:
        octets = await self._response(first, "")
        if octets is None:
            return None
        parts = octets.split(b"\0")
        if len(parts) != 3:
            await self.push("501 5.5.2 expected authorization identity, user and password, divided by NUL (RFC 4616)")
            return None
        identity, user, password = (part.decode("utf-8", "replace") for part in parts)
        return identity, user, password

    async def _login(self, first: str | None) -> tuple[str, str, str] | None:
        user = await self._response(first, "Username:")
        password = None if user is None else await self._response(None, "Password:")
        if user is None or password is None:
            return None
        return "", user.decode("utf-8", "replace"), password.decode("utf-8", "replace")

    async def _response(self, given: str | None, challenge: str) -> bytes | None:
        """What the client says in base64, or None after an answer has been given."""
        if given is None:
            await super().push(b"334 " + base64.b64encode(challenge.encode()))
            try:
                line = (await self._reader.readuntil(b"\n")).strip(b"\r\n")
            except (asyncio.LimitOverrunError, asyncio.IncompleteReadError):
                line = b"!"
            if line == b"*":
                await self.push("501 5.7.0 AUTH was cancelled")
                return None
        else:
            line = b"" if given == "=" else given.encode("ascii", "replace")
        try:
            if len(line) > MAX_AUTH_LINE:
                raise binascii.Error
            return base64.b64decode(line, validate=True)
        except binascii.Error:
            await self.push("501 5.5.2 expected base64")
            return None

    async def _judge(self, identity: str, user: str, password: str) -> None:
        assert self.session is not None  # noqa: S101
        try:
            agent = await self._ask(user, password)
        except LedgerError:
            await self.push(AWAY.line)
            return
        # An authorization identity may only be the agent that logs in.
        if agent is not None and identity not in ("", user, agent.id, agent.address):
            agent = None
        if agent is not None:
            self._user, self._password = user, password
            await self._welcome(agent)
            return
        self._failures += 1
        await asyncio.sleep(self._gateway.sources.failed(str((self.session.peer or ("?",))[0])))
        if self._failures >= FAILURES_PER_CONNECTION:
            await self.push("421 4.7.0 too many wrong passwords; goodbye")
            return
        await self.push(_REFUSED)

    async def _welcome(self, agent: AgentLogin) -> None:
        assert self.session is not None  # noqa: S101
        gateway = self._gateway
        if gateway.sessions[agent.id] >= SESSIONS_PER_AGENT:
            await self.push(f"421 4.7.0 this agent has {SESSIONS_PER_AGENT} sessions; try again later")
            return
        gateway.doorstep.leave(self)
        gateway.sessions[agent.id] += 1
        self._agent_id = agent.id
        self.session.authenticated = True
        self.session.auth_data = agent  # type: ignore[assignment]  # aiosmtpd says: anything
        await self.push("235 2.7.0 welcome")

    async def no_more(self) -> str:
        """Why this session may not send now, or "": its credential may have been revoked, its agent moved, since it began."""
        assert self.session is not None  # noqa: S101
        try:
            agent = await self._ask(self._user, self._password)
        except LedgerError:
            return AWAY.line
        if agent is None:
            return "421 4.7.0 this credential is not good any more; goodbye"
        self.session.auth_data = agent  # type: ignore[assignment]  # aiosmtpd says: anything
        return ""

    async def _ask(self, user: str, password: str) -> AgentLogin | None:
        relay = self._gateway.relay
        if relay.knows_revocations:
            # A few microseconds: a thread would cost more.
            return relay.login(user, password)
        return await self.loop.run_in_executor(self._gateway.logins, relay.login, user, password)

    # -- MAIL ------------------------------------------------------------------------------------------------

    async def smtp_MAIL(self, arg: str | None) -> None:  # noqa: N802 - aiosmtpd's name
        """Whoever offers AUTH takes the parameter of that name (RFC 4954, 5), as relays send it; nobody is believed by it."""
        await super().smtp_MAIL(_AUTH_PARAMETER.sub("", arg) if arg else arg)

    # -- DATA ------------------------------------------------------------------------------------------------

    async def smtp_DATA(self, arg: str | None) -> None:  # noqa: N802 - aiosmtpd's name
        if await self.check_helo_needed() or await self.check_auth_needed("DATA"):
            return
        assert self.envelope is not None  # noqa: S101
        assert self.session is not None  # noqa: S101
        if arg:
            await self.push("501 5.5.4 Syntax: DATA")
            return
        if not self.envelope.rcpt_tos:
            await self.push("503 5.5.1 expected RCPT first")
            return
        with self._gateway.relay.handling(cast("AgentLogin", self.session.auth_data)) as has_place:
            if not has_place:
                await self.push(CROWDED.line)
                return
            await self.push("354 End data with <CR><LF>.<CR><LF>")
            if self._timeout_handle is not None:
                # A large message and Mailjet's answer take what they take; each has a limit of its own.
                self._timeout_handle.cancel()
            try:
                async with asyncio.timeout(self._gateway.message_seconds):
                    octets = await self._read_message()
            except (TimeoutError, asyncio.IncompleteReadError, ConnectionError):
                self.hang_up("421 4.4.2 the message did not come to its end in time; goodbye")
                return
            await self._answer(octets)

    async def _answer(self, octets: bytes | str) -> None:
        """Submit what has come, or say why it is not taken."""
        self.is_busy = True
        try:
            answer = octets if isinstance(octets, str) else await self._submitted(octets)
            self._reset_timeout()
            self._set_post_data_state()  # type: ignore[no-untyped-call]
            await self.push(answer)
        finally:
            self.is_busy = False
            self._gateway.note_change()
        if self._ends:
            self.hang_up(_ENDS)

    async def _submitted(self, octets: bytes) -> str:
        if reason := await self.no_more():
            return reason
        assert self.envelope is not None  # noqa: S101
        assert self.session is not None  # noqa: S101
        agent, recipients = cast("AgentLogin", self.session.auth_data), list(self.envelope.rcpt_tos)
        submit = self._gateway.relay.submit
        reply = await self.loop.run_in_executor(self._gateway.messages, submit, agent, octets, recipients)
        return reply.line

    async def _read_message(self) -> bytes | str:
        """The message without transparency dots, or the answer to one that is not taken.

        Ends at CRLF . CRLF alone. Octets beyond the limit are read and let go, so that memory is bounded.
        """
        kept = bytearray()
        size = 0
        line_octets = 0
        refusal = ""
        begins_line = True
        while True:
            try:
                piece = await self._reader.readuntil(b"\r\n")
            except asyncio.LimitOverrunError as overrun:
                piece = await self._reader.readexactly(max(1, overrun.consumed))
            if begins_line and piece == b".\r\n":
                break
            size += len(piece)
            line_octets += len(piece)
            if line_octets > LONGEST_LINE:
                return "421 4.7.0 a line has no end; goodbye"
            if line_octets > MAX_LINE_OCTETS + 3 and not refusal:
                refusal = f"550 5.6.0 line: one has more than {MAX_LINE_OCTETS} octets (RFC 5322, 2.1.1)"
            if size > 4 * MAX_MESSAGE_OCTETS:
                return "421 4.7.0 the message has no end; goodbye"
            if size > MAX_MESSAGE_OCTETS:
                refusal = f"552 5.3.4 the message has more than {MAX_MESSAGE_OCTETS} octets"
            if refusal:
                kept.clear()
            else:
                kept += piece[1:] if begins_line and piece.startswith(b".") else piece
            begins_line = piece.endswith(b"\r\n")
            if begins_line:
                line_octets = 0
        return refusal or bytes(kept)


class _Steps:
    """aiosmtpd's hooks: envelope rules."""

    def __init__(self, server: SubmissionServer, connection: _SubmissionConnection) -> None:
        self._server = server
        self._connection = connection

    async def handle_MAIL(  # noqa: N802 - aiosmtpd's name
        self, _server: SMTP, session: Session, _envelope: Envelope, address: str, _options: list[str]
    ) -> Any:
        if reason := await self._connection.no_more():
            return reason
        agent = cast("AgentLogin", session.auth_data)
        if address.lower() != agent.address.lower():
            return f"553 5.7.1 MAIL FROM is not the agent's address, expected {agent.address}"
        return MISSING

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self, _server: SMTP, session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> Any:
        agent = cast("AgentLogin", session.auth_data)
        if len(envelope.rcpt_tos) >= MAX_RECIPIENTS:
            return f"452 4.5.3 a message has at most {MAX_RECIPIENTS} recipients"
        if not _plain_recipient(address):
            return "553 5.1.3 expected one plain address"
        if (offence := self._server.relay.recipient_offence(agent, address)) is not None:
            return offence.line
        return MISSING


def _plain_recipient(address: str) -> bool:
    """No source route, no control character, no quoted local part that a later server could read otherwise."""
    return _PLAIN_ADDRESS.fullmatch(address) is not None and ".." not in address
