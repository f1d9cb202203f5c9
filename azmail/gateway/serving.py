"""The gateway as one process: both doors over one relay, until it is told to stop."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
import ssl
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self, cast

import uvicorn
from starlette.applications import Starlette
from uvicorn.protocols.http.h11_impl import H11Protocol

from azmail.errors import AzmailError
from azmail.gateway.config import FollowedConfig, GatewayConfig
from azmail.gateway.doorstep import Doorstep, TlsFirst, hang_up
from azmail.gateway.ledger import Ledger, LedgerError
from azmail.gateway.relay import Keep, Relay
from azmail.gateway.sendapi import MailjetSendApi, send_api_app
from azmail.gateway.submission import STRANGERS, Sources, SubmissionServer
from azmail.smtp import SmtpTransport

log = logging.getLogger("azmail.gateway")

SWEEP_SECONDS = 3600.0
UPSTREAM_CONNECTIONS = 32
HEAD_SECONDS = 30.0
"""How long a client may take for the head of a request, and for reading an answer."""
MOST_CONNECTIONS = 1000
"""Of the Send API; beyond them 503."""
LOOK_SECONDS = 0.5
"""How often the file is looked at: what is written there counts within a second."""

Port = int | socket.socket
"""A number, 0 for a free one; or a socket that whoever started the process has bound."""


@dataclass(frozen=True, slots=True)
class Listening:
    """Where the gateway listens; None is no such door."""

    host: str = "127.0.0.1"
    starttls: Port | None = 587
    implicit_tls: Port | None = 465
    http: Port | None = 8025
    https: Port | None = 8443
    """The Send API with TLS, for clients that speak nothing else, such as node-mailjet."""

    def bound(self) -> Self:
        """With a bound socket in the place of every number, or with none of them. Raises DoorTakenError."""
        ports = {name: getattr(self, name) for name in ("starttls", "implicit_tls", "http", "https")}
        with contextlib.ExitStack() as opened:
            for name, port in ports.items():
                if isinstance(port, int):
                    ports[name] = opened.enter_context(_bound(self.host, port))
            opened.pop_all()
        return replace(self, **ports)


class DoorTakenError(AzmailError):
    """A door cannot listen."""

    def __init__(self, host: str, port: int, error: OSError) -> None:
        reason = os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror
        super().__init__(
            f"cannot listen on {host}:{port} ({reason}): expected a free port, which --starttls-port, --tls-port, "
            "--http-port and --https-port choose (none: not at all); below 1024 it takes the right CAP_NET_BIND_SERVICE"
        )


def _bound(host: str, port: int) -> socket.socket:
    try:
        made = socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as error:
        raise DoorTakenError(host, port, error) from None
    # Made anew from its number it knows its protocol, and asyncio turns Nagle's algorithm off only for what does: with it each
    # answer of two pieces, as to EHLO, waits 40 ms.
    return socket.socket(fileno=made.detach())


@dataclass(frozen=True, slots=True)
class Lifetime:
    """When the process ends by itself, beside its signals."""

    with_stdin: bool = False
    """When its standard input closes, which is when the process that started it has gone."""


class Gateway:
    """A relay that follows its file: agents, roots, limits and the account."""

    def __init__(
        self, file: Path, ledger: Ledger, *, upstream_ca: Path | None = None, keep: Keep | None = None
    ) -> None:
        """`keep` is that of the relay. Raises GatewayConfigError."""
        self._followed = FollowedConfig(file)
        self._upstream_ca = upstream_ca
        account = self.config.upstream
        self._transports = [self._transport(self.config)]
        self.mailjet = MailjetSendApi(account.api_url, account.api_key, account.api_secret)
        self.relay = Relay(
            directory=self.config.directory(),
            roots=self.config.keys(),
            ledger=ledger,
            upstream=self._transports[-1],
            policies=self.config.policies(),
            default=self.config.default_policy(),
            account=self.config.account_limits.limits(),
            keep=keep,
        )

    def _transport(self, config: GatewayConfig) -> SmtpTransport:
        return SmtpTransport(
            config.upstream.smtp_host,
            config.upstream.smtp_port,
            config.upstream.api_key,
            config.upstream.api_secret,
            ca_file=self._upstream_ca,
            pool_size=UPSTREAM_CONNECTIONS,
        )

    @property
    def config(self) -> GatewayConfig:
        """What the file said when it was last right."""
        return self._followed.config

    def look(self) -> None:
        """Read the file anew where it has changed."""
        before = self.config
        if self._followed.look():
            self._renew(before)

    def read_again(self) -> None:
        """Read the file anew. One that is wrong changes nothing and is logged."""
        before = self.config
        if self._followed.read_again():
            self._renew(before)

    def _renew(self, before: GatewayConfig) -> None:
        config, upstream = self.config, None
        if config.upstream != before.upstream:
            # The one before goes on with what is on its way, and is closed at the end.
            upstream = self._transport(config)
            self._transports.append(upstream)
            self.mailjet.renew(config.upstream.api_url, config.upstream.api_key, config.upstream.api_secret)
        self.relay.renew(
            directory=config.directory(),
            roots=config.keys(),
            policies=config.policies(),
            default=config.default_policy(),
            account=config.account_limits.limits(),
            upstream=upstream,
        )
        log.warning("%s agents of %s", len(config.directory()), config.domain)

    def close(self) -> None:
        for transport in self._transports:
            transport.close()
        self.mailjet.close()


async def serve(
    gateway: Gateway,
    ledger: Ledger,
    tls: ssl.SSLContext,
    listening: Listening,
    *,
    hostname: str,
    lifetime: Lifetime = Lifetime(),
) -> None:
    """Serve on bound sockets until SIGTERM or SIGINT; the file is read anew when it changes, and at SIGHUP."""
    sources = Sources()
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    loop.add_signal_handler(signal.SIGHUP, gateway.read_again)
    if lifetime.with_stdin:
        loop.add_reader(sys.stdin.fileno(), _end_with_stdin, loop, stopped)
    doors: list[SubmissionServer] = []
    for port, implicit in ((listening.starttls, False), (listening.implicit_tls, True)):
        if isinstance(port, socket.socket):
            door = SubmissionServer(gateway.relay, tls, hostname=hostname, implicit_tls=implicit, sources=sources)
            doors.append(door)
            found = await door.start(listening.host, port)
            print(f"submission{' with TLS' if implicit else ' with STARTTLS'} on {listening.host}:{found}", flush=True)
    app = send_api_app(gateway.relay, gateway.mailjet, sources=sources)
    http = [
        await _Http.open(app, bound, tls if scheme == "https" else None)
        for scheme, bound in (("http", listening.http), ("https", listening.https))
        if isinstance(bound, socket.socket)
    ]
    print(f"{len(gateway.config.directory()):,} agents of {gateway.config.domain}", flush=True)
    chores = [asyncio.create_task(_sweep(ledger)), asyncio.create_task(_follow(gateway))]
    await stopped.wait()
    for chore in chores:
        chore.cancel()
    for door in doors:
        await door.stop()
    for server in http:
        await server.close()
    await asyncio.to_thread(gateway.close)
    ledger.close()


def _end_with_stdin(loop: asyncio.AbstractEventLoop, stopped: asyncio.Event) -> None:
    if not os.read(sys.stdin.fileno(), 4096):
        loop.remove_reader(sys.stdin.fileno())
        stopped.set()


async def _follow(gateway: Gateway) -> None:
    while True:
        await asyncio.sleep(LOOK_SECONDS)
        await asyncio.to_thread(gateway.look)


class _Http(uvicorn.Server):
    """uvicorn that says when and where it listens, and leaves signals to its caller."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.is_listening = asyncio.Event()
        self._serving: asyncio.Task[None] | None = None

    @classmethod
    async def open(cls, app: Starlette, bound: socket.socket, tls: ssl.SSLContext | None) -> Self:
        """Listen, with TLS where a context is given."""
        doorstep = Doorstep(most=STRANGERS, seconds=HEAD_SECONDS)

        def protocol(**given: Any) -> asyncio.Protocol:
            inner = _PatientForAWhile(doorstep, **given)
            return inner if tls is None else TlsFirst(inner, tls, doorstep)

        config = uvicorn.Config(
            app,
            http=cast("type[asyncio.Protocol]", protocol),
            ws="none",
            log_level="warning",
            access_log=False,
            server_header=False,
            limit_concurrency=MOST_CONNECTIONS,
        )
        config.load()
        server = cls(config)
        server._serving = asyncio.create_task(server.serve([bound]))
        await server.is_listening.wait()
        host, port = bound.getsockname()[:2]
        print(f"Send API on http{'s' if tls else ''}://{host}:{port}/v3.1/send", flush=True)
        return server

    async def close(self) -> None:
        """Answer what is on its way, and end."""
        self.should_exit = True
        if self._serving is not None:
            await self._serving

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.is_listening.set()


class _PatientForAWhile(H11Protocol):
    """uvicorn waits for ever for the rest of a request's head, for the next request of one who sends a little now and then, and
    for one who reads nothing. Here whoever has no request under way waits on the doorstep, and an answer must be read in time."""

    def __init__(self, doorstep: Doorstep, **given: Any) -> None:
        super().__init__(**given)
        self._doorstep = doorstep
        self._unread: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._watch()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._watch()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._watch()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._unread = self.loop.call_later(HEAD_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._read()

    def shutdown(self) -> None:
        """An idle client is told and not waited for: half a minute is what TLS gives it to say goodbye."""
        super().shutdown()
        if self.transport.is_closing():
            hang_up(self.transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._doorstep.leave(self)
        self._read()
        super().connection_lost(exc)

    def _read(self) -> None:
        if self._unread is not None:
            self._unread.cancel()

    def _watch(self) -> None:
        if self.cycle is not None and not self.cycle.response_complete:
            self._doorstep.leave(self)
        elif not self.transport.is_closing():
            self._doorstep.enter(self, lambda: hang_up(self.transport))


async def _sweep(ledger: Ledger) -> None:
    while True:
        await asyncio.sleep(SWEEP_SECONDS)
        try:
            await asyncio.to_thread(ledger.sweep)
        except LedgerError as error:
            log.warning("what is past its time was not swept: %s", error)
