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
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import uvicorn

from azmail.gateway.config import GatewayConfig, GatewayConfigError
from azmail.gateway.ledger import Ledger, LedgerError
from azmail.gateway.relay import Keep, Relay
from azmail.gateway.sendapi import MailjetSendApi, send_api_app
from azmail.gateway.submission import Sources, SubmissionServer
from azmail.smtp import SmtpTransport

log = logging.getLogger("azmail.gateway")

SWEEP_SECONDS = 3600.0
UPSTREAM_CONNECTIONS = 32
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
        self.file = file
        self._upstream_ca = upstream_ca
        self._seen = self._stamp()
        self.config = GatewayConfig.read(file)
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

    def _stamp(self) -> tuple[int, int, int] | None:
        """What differs when the file is another; None while there is none."""
        try:
            found = self.file.stat()
        except OSError:
            return None
        return found.st_ino, found.st_mtime_ns, found.st_size

    def look(self) -> None:
        """Read the file anew where it has changed."""
        seen = self._stamp()
        if seen is not None and seen != self._seen:
            self._seen = seen
            self.read_again()

    def read_again(self) -> None:
        """A file that is wrong changes nothing and is logged."""
        try:
            config = GatewayConfig.read(self.file)
        except GatewayConfigError as error:
            log.error("%s; the gateway goes on with what it had", error)
            return
        upstream = None
        if config.upstream != self.config.upstream:
            # The one before goes on with what is on its way, and is closed at the end.
            upstream = self._transport(config)
            self._transports.append(upstream)
            self.mailjet.renew(config.upstream.api_url, config.upstream.api_key, config.upstream.api_secret)
        self.config = config
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
    """Serve until SIGTERM or SIGINT; the file is read anew when it changes, and at SIGHUP."""
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
        if port is not None:
            door = SubmissionServer(gateway.relay, tls, hostname=hostname, implicit_tls=implicit, sources=sources)
            doors.append(door)
            found = await door.start(listening.host, port)
            print(f"submission{' with TLS' if implicit else ' with STARTTLS'} on {listening.host}:{found}", flush=True)
    http = None
    serving: asyncio.Task[None] | None = None
    if listening.http is not None:
        bound = [listening.http] if isinstance(listening.http, socket.socket) else None
        http = _Http(
            uvicorn.Config(
                send_api_app(gateway.relay, gateway.mailjet, sources=sources),
                host=listening.host,
                port=0 if bound else cast("int", listening.http),
                log_level="warning",
                access_log=False,
                server_header=False,
                limit_concurrency=1000,
            )
        )
        serving = asyncio.create_task(http.serve(bound))
        await http.is_listening.wait()
        print(f"Send API on http://{listening.host}:{http.port}/v3.1/send", flush=True)
    print(f"{len(gateway.config.directory()):,} agents of {gateway.config.domain}", flush=True)
    chores = [asyncio.create_task(_sweep(ledger)), asyncio.create_task(_follow(gateway))]
    await stopped.wait()
    for chore in chores:
        chore.cancel()
    for door in doors:
        await door.stop()
    if http is not None and serving is not None:
        http.should_exit = True
        await serving
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
        self.port = 0

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.servers:
            self.port = (sockets or self.servers[0].sockets)[0].getsockname()[1]
        self.is_listening.set()


async def _sweep(ledger: Ledger) -> None:
    while True:
        await asyncio.sleep(SWEEP_SECONDS)
        try:
            await asyncio.to_thread(ledger.sweep)
        except LedgerError as error:
            log.warning("what is past its time was not swept: %s", error)
