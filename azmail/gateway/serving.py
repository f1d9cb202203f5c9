"""The gateway as one process: both doors over one relay, until it is told to stop."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import uvicorn

from azmail.gateway.config import GatewayConfig
from azmail.gateway.ledger import Ledger, LedgerError
from azmail.gateway.relay import Keep, Relay
from azmail.gateway.sendapi import MailjetSendApi, send_api_app
from azmail.gateway.submission import Sources, SubmissionServer
from azmail.smtp import SmtpTransport

log = logging.getLogger("azmail.gateway")

SWEEP_SECONDS = 3600.0
UPSTREAM_CONNECTIONS = 32


@dataclass(frozen=True, slots=True)
class Listening:
    """Where the gateway listens; 0 is a free port, None is no such door."""

    host: str = "127.0.0.1"
    starttls: int | None = 587
    implicit_tls: int | None = 465
    http: int | None = 8025


def relay_of(
    config: GatewayConfig, ledger: Ledger, *, upstream_ca: Path | None = None, keep: Keep | None = None
) -> tuple[Relay, SmtpTransport]:
    """The relay of a configuration, and the transport to Mailjet that it must be closed with."""
    upstream = SmtpTransport(
        config.upstream.smtp_host,
        config.upstream.smtp_port,
        config.upstream.api_key,
        config.upstream.api_secret,
        ca_file=upstream_ca,
        pool_size=UPSTREAM_CONNECTIONS,
    )
    relay = Relay(
        directory=config.directory(),
        roots=config.keys(),
        ledger=ledger,
        upstream=upstream,
        policies=config.policies(),
        default=config.default_policy(),
        account=config.account_limits.limits(),
        keep=keep,
    )
    return relay, upstream


async def serve(
    config_file: Path,
    ledger: Ledger,
    tls: ssl.SSLContext,
    listening: Listening,
    *,
    hostname: str,
    upstream_ca: Path | None = None,
    keep: Keep | None = None,
) -> None:
    """Serve until SIGTERM or SIGINT; SIGHUP reads the file anew (agents, roots, limits).

    Raises GatewayConfigError before anything listens. A file that is wrong at a SIGHUP changes nothing and is logged.
    """
    config = GatewayConfig.read(config_file)
    relay, upstream = relay_of(config, ledger, upstream_ca=upstream_ca, keep=keep)
    mailjet = MailjetSendApi(config.upstream.api_url, config.upstream.api_key, config.upstream.api_secret)
    sources = Sources()
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    loop.add_signal_handler(signal.SIGHUP, read_again, config_file, relay)
    doors: list[SubmissionServer] = []
    for port, implicit in ((listening.starttls, False), (listening.implicit_tls, True)):
        if port is not None:
            door = SubmissionServer(relay, tls, hostname=hostname, implicit_tls=implicit, sources=sources)
            doors.append(door)
            found = await door.start(listening.host, port)
            print(f"submission{' with TLS' if implicit else ' with STARTTLS'} on {listening.host}:{found}", flush=True)
    http = None
    serving: asyncio.Task[None] | None = None
    if listening.http is not None:
        http = _Http(
            uvicorn.Config(
                send_api_app(relay, mailjet, sources=sources),
                host=listening.host,
                port=listening.http,
                log_level="warning",
                access_log=False,
                server_header=False,
                limit_concurrency=1000,
            )
        )
        serving = asyncio.create_task(http.serve())
        await http.is_listening.wait()
        print(f"Send API on http://{listening.host}:{http.port}/v3.1/send", flush=True)
    print(f"{len(config.agents):,} agents of {config.domain}", flush=True)
    sweeping = asyncio.create_task(_sweep(ledger))
    await stopped.wait()
    sweeping.cancel()
    for door in doors:
        await door.stop()
    if http is not None and serving is not None:
        http.should_exit = True
        await serving
    await asyncio.to_thread(upstream.close)
    mailjet.close()
    ledger.close()


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
            self.port = self.servers[0].sockets[0].getsockname()[1]
        self.is_listening.set()


def read_again(path: Path, relay: Relay) -> None:
    """Take agents, roots and limits from the file; one that is wrong changes nothing and is logged."""
    from azmail.gateway.config import GatewayConfigError

    try:
        config = GatewayConfig.read(path)
    except GatewayConfigError as error:
        log.error("%s; the gateway goes on with what it had", error)
        return
    relay.renew(
        directory=config.directory(),
        roots=config.keys(),
        policies=config.policies(),
        default=config.default_policy(),
        account=config.account_limits.limits(),
    )
    log.warning("%s agents of %s", len(config.agents), config.domain)


async def _sweep(ledger: Ledger) -> None:
    while True:
        await asyncio.sleep(SWEEP_SECONDS)
        try:
            await asyncio.to_thread(ledger.sweep)
        except LedgerError as error:
            log.warning("what is past its time was not swept: %s", error)
