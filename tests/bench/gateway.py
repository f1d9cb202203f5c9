"""`python -m tests.bench.gateway`: what the submission gateway costs, beside a bare aiosmtpd in the same run.

Seconds are this machine's; the ratios are what holds. The login is compared with scrypt at the cost that OWASP names
(N=2^17, r=8, p=1), which stands for the password hashes that the derived credential makes unnecessary.
"""

from __future__ import annotations

import asyncio
import hashlib
import smtplib
import ssl
import tempfile
import threading
import time
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any, TypeVar

import trustme
from aiosmtpd.smtp import SMTP

from azmail.gateway.credentials import AgentLogin, Directory, Roots, Scope, authenticate, new_root
from azmail.gateway.identity import checked_message
from azmail.gateway.ledger import Ledger
from azmail.gateway.relay import Relay
from azmail.gateway.submission import SubmissionServer

AGENT = AgentLogin("bot-1", "me@d.example")
T = TypeVar("T")
MAILS, CONNECTIONS, LOGINS = 300, 60, 2000
_CHECKS = 3000


class _Upstream:
    def hand_over(self, _wire: bytes, _sender: str, _recipients: Sequence[str]) -> str:
        return "queued"


class _Bare:
    """aiosmtpd as it comes: takes everything and keeps nothing."""

    async def handle_DATA(self, _server: object, _session: object, _envelope: object) -> str:  # noqa: N802
        return "250 OK"


def message(number: int) -> bytes:
    return f"From: Agent <{AGENT.address}>\r\nMessage-ID: <{number}@d.example>\r\nSubject: x\r\n\r\n{'x' * 900}\r\n".encode()


def each(times: int, work: Callable[[int], object]) -> float:
    """Seconds of one call."""
    begun = time.perf_counter()
    for number in range(times):
        work(number)
    return (time.perf_counter() - begun) / times


def kept_connection(port: int, login: Callable[[smtplib.SMTP], None], tls: ssl.SSLContext) -> float:
    with smtplib.SMTP("localhost", port) as client:
        client.starttls(context=tls)
        login(client)
        return each(MAILS, lambda number: client.sendmail(AGENT.address, ["x@y.example"], message(number)))


def new_connections(port: int, login: Callable[[smtplib.SMTP], None], tls: ssl.SSLContext) -> float:
    def one(number: int) -> None:
        with smtplib.SMTP("localhost", port) as client:
            client.starttls(context=tls)
            login(client)
            client.sendmail(AGENT.address, ["x@y.example"], message(10_000 + number))

    return each(CONNECTIONS, one)


def main() -> int:
    authority = trustme.CA()
    server_tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(server_tls)
    client_tls = ssl.create_default_context()
    authority.configure_trust(client_tls)
    roots = Roots({"r1": new_root()}, domain="d.example")
    book = Directory([AGENT, *(AgentLogin(f"bot-{n}", f"a{n}@d.example") for n in range(2, 10_001))])
    password = roots.password(AGENT.id)
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, daemon=True).start()

    def run(coroutine: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(coroutine, loop).result(60)

    with tempfile.TemporaryDirectory(prefix="azmail-bench-") as folder:
        ledger = Ledger(f"sqlite:///{Path(folder) / 'ledger.sqlite'}")
        ledger.create()
        relay = Relay(directory=book, roots=roots, ledger=ledger, upstream=_Upstream())
        gateway = SubmissionServer(relay, server_tls, hostname="localhost")
        port = run(gateway.start())
        bare = run(
            loop.create_server(
                lambda: SMTP(_Bare(), tls_context=server_tls, hostname="localhost", loop=loop), "127.0.0.1", 0
            )
        )
        bare_port = bare.sockets[0].getsockname()[1]

        def login(client: smtplib.SMTP) -> None:
            client.login(AGENT.id, password)

        rows = [
            ("a mail on a kept connection", kept_connection(port, login, client_tls), kept_connection(bare_port, _no_login, client_tls)),
            ("a mail on a new TLS connection", new_connections(port, login, client_tls), new_connections(bare_port, _no_login, client_tls)),
        ]  # fmt: skip
        run(gateway.stop())
        bare.close()
        ledger.close()
    print(f"{'':34} {'gateway':>12} {'aiosmtpd':>12} {'ratio':>6}")
    for name, ours, theirs in rows:
        print(f"{name:34} {1 / ours:>10.0f}/s {1 / theirs:>10.0f}/s {ours / theirs:>6.2f}")
    check = each(_CHECKS, lambda number: checked_message(message(number), AGENT))
    check_in = each(LOGINS, lambda _number: authenticate(book, roots, AGENT.id, password, Scope.SEND))
    scrypt = each(3, lambda _number: hashlib.scrypt(b"x", salt=b"y" * 16, n=2**17, r=8, p=1, maxmem=2**28))
    print(f"{'header check':34} {check * 1e6:>10.0f} µs")
    print(
        f"{'login among 10,000 agents':34} {check_in * 1e6:>10.1f} µs, {scrypt / check_in:,.0f} times cheaper than scrypt"
    )
    derive = each(1, lambda _number: [roots.password(f"bot-{n}") for n in range(10_000)])
    print(f"{'10,000 passwords derived':34} {derive:>10.3f} s")
    loop.call_soon_threadsafe(loop.stop)
    return 0


def _no_login(_client: smtplib.SMTP) -> None:
    """A bare server has no agents."""


if __name__ == "__main__":
    raise SystemExit(main())
