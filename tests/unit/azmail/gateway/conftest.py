"""A gateway over real sockets: a database of its own (SQLite, PostgreSQL), TLS, and an upstream that records octets."""

from __future__ import annotations

import asyncio
import ssl
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest
import trustme

from azmail.errors import SendError
from azmail.gateway.credentials import AgentLogin, Directory, Roots, Scope, new_root
from azmail.gateway.ledger import Ledger
from azmail.gateway.relay import Relay
from azmail.gateway.submission import Sources, SubmissionServer
from tests.unit.azmail.databases import empty_database

ME, YOU = AgentLogin("bot-1", "me@d.example"), AgentLogin("bot-2", "you@d.example")
ROOTS = Roots({"r1": new_root()}, domain="d.example")
_GOOD = ROOTS.password("bot-1")
REFUSED_LOGINS = {
    "wrong": ("bot-1", "x"),
    "none": ("", ""),
    "cut": ("bot-1", _GOOD[:-1]),
    "longer": ("bot-1", _GOOD + "A"),
    "upper case": ("bot-1", _GOOD.upper()),
    "blank before": ("bot-1", f" {_GOOD}"),
    "epoch as 00": ("bot-1", _GOOD.replace(".0.", ".00.")),
    "upper case user": ("BOT-1", _GOOD),
    "another root": ("bot-1", _GOOD.replace("r1", "r2")),
    "another agent's": ("bot-2", _GOOD),
    "another scope": ("bot-1", ROOTS.password("bot-1", scope=Scope.INBOX)),
    "another domain": ("bot-1", Roots({"r1": new_root()}, domain="other.example").password("bot-1")),
    "an agent that was removed": ("bot-9", ROOTS.password("bot-9")),
    "address of another domain": ("me@other.example", _GOOD),
}
"""User and password that open no door, for every reason with the same words."""


class Recorder:
    """An upstream that keeps what it is handed, and answers or fails as it is told."""

    def __init__(self) -> None:
        self.got: list[tuple[bytes, str, tuple[str, ...]]] = []
        self.error: SendError | None = None
        self.gate: threading.Event | None = None
        self.waiting = threading.Semaphore(0)

    def hand_over(self, wire: bytes, sender: str, recipients: Sequence[str]) -> str:
        if self.gate is not None:
            self.waiting.release()
            assert self.gate.wait(30)
        if self.error is not None:
            raise self.error
        self.got.append((wire, sender, tuple(recipients)))
        return f"queued as {len(self.got)}"


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
def ledger_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of an empty database."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/ledger.sqlite"
        return
    with empty_database(request.getfixturevalue("postgres_url")) as url:
        yield url


@pytest.fixture
def ledger(ledger_url: str) -> Iterator[Ledger]:
    made = Ledger(ledger_url)
    made.create()
    yield made
    made.close()


@pytest.fixture
def sqlite_ledger(tmp_path: Path) -> Iterator[Ledger]:
    made = Ledger(f"sqlite:///{tmp_path}/ledger.sqlite")
    made.create()
    yield made
    made.close()


@pytest.fixture
def upstream() -> Recorder:
    return Recorder()


@pytest.fixture
def make_relay(sqlite_ledger: Ledger, upstream: Recorder) -> Callable[..., Relay]:
    def make(**options: Any) -> Relay:
        given: dict[str, Any] = {"directory": Directory([ME, YOU]), "roots": ROOTS}
        given |= {"ledger": sqlite_ledger, "upstream": upstream}
        return Relay(**(given | options))

    return make


class _ClockedLoop(asyncio.SelectorEventLoop):
    """Its clock can be put forward: every deadline and pause on it follows."""

    ahead = 0.0

    def time(self) -> float:
        return super().time() + self.ahead


class Loop:
    """An event loop in a thread of its own."""

    def __init__(self) -> None:
        self.loop = _ClockedLoop()
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self._thread.start()

    def run(self, coroutine: Any) -> Any:
        waiting: Future[Any] = asyncio.run_coroutine_threadsafe(coroutine, self.loop)
        return waiting.result(60)

    def advance(self, seconds: float) -> None:
        """Put its clock forward."""

        async def forward() -> None:
            self.loop.ahead += seconds

        self.run(forward())

    def close(self) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(30)
        self.loop.close()


@pytest.fixture
def loop() -> Iterator[Loop]:
    made = Loop()
    yield made
    made.close()


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="session")
def server_tls(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost", "127.0.0.1").configure_cert(context)
    return context


@pytest.fixture(scope="session")
def client_tls(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


class QuickSources(Sources):
    """Counts failures and never waits."""

    def failed(self, source: str) -> float:
        super().failed(source)
        return 0.0


class EndlessSources(Sources):
    """Have everybody wait for an hour."""

    def failed(self, source: str) -> float:
        return max(3600.0, super().failed(source))


@pytest.fixture
def servers() -> list[SubmissionServer]:
    """Those that `serve` has started."""
    return []


@pytest.fixture
def serve(loop: Loop, server_tls: ssl.SSLContext, servers: list[SubmissionServer]) -> Iterator[Callable[..., int]]:
    """Call it with a relay: the port of a submission server."""

    def start(relay: Relay, **options: Any) -> int:
        server = SubmissionServer(relay, server_tls, hostname="gw.example", **({"sources": QuickSources()} | options))
        servers.append(server)
        port: int = loop.run(server.start())
        return port

    yield start
    for server in servers:
        loop.run(server.stop())
