"""The Mailjet emulator over real HTTP on loopback, and a plugin process that talks to it without ever waiting."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import pytest

from clients.mailjet.client import RetryPolicy
from clients.mailjet.redaction import SECRETS
from emulators.mailjet import MailjetEmulator
from emulators.serving import ServerThread
from providers.mailjet import plugin
from providers.mailjet.plugin import PluginProcess
from tests.unit.providers.emulated import (
    API_KEY,
    API_SECRET,
    Mailjet,
    RecordingEngine,
    TxtZone,
    VirtualClock,
    settings_for,
)


@pytest.fixture(scope="session")
def _emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mailjet]:
    zone = TxtZone()
    emulator = MailjetEmulator(
        tmp_path_factory.mktemp("mailjet") / "mailjet.sqlite",
        api_key=API_KEY,
        api_secret=API_SECRET,
        dns=("127.0.0.1", zone.port),
    )
    with ServerThread(emulator.controlled_app) as server:
        mailjet = Mailjet(server.url, zone)
        yield mailjet
        mailjet.close()
    zone.close()
    emulator.mailjet.db.close()


@pytest.fixture
def mailjet(_emulator: Mailjet) -> Mailjet:
    """An empty account."""
    _emulator.reset()
    return _emulator


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
def engine() -> RecordingEngine:
    return RecordingEngine()


@pytest.fixture
def process(mailjet: Mailjet, clock: VirtualClock, engine: RecordingEngine) -> Iterator[PluginProcess]:
    """The plugin process of one run, configured for the emulator."""
    running = PluginProcess(settings_for(mailjet.url), engine=engine, clock=clock, retry=RetryPolicy(deadline=600))
    before = plugin.install(running)
    yield running
    plugin.install(before)
    running.close()


@pytest.fixture
def next_run(process: PluginProcess, mailjet: Mailjet, clock: VirtualClock) -> Iterator[Any]:
    """Call it to go on as the next `pulumi` command does: a new process that knows nothing of the old one."""
    started: list[PluginProcess] = []

    def start(engine: RecordingEngine | None = None, read_timeout: float = 5.0) -> PluginProcess:
        running = PluginProcess(
            settings_for(mailjet.url, read_timeout=read_timeout),
            engine=engine or RecordingEngine(),
            clock=clock,
            retry=RetryPolicy(deadline=600),
        )
        plugin.install(running)
        started.append(running)
        mailjet.forget_requests()
        return running

    yield start
    plugin.install(process)
    for running in started:
        running.close()


@pytest.fixture(autouse=True)
def _as_in_a_new_process() -> Iterator[None]:
    """Secrets that one test has learnt, and the traceback limit that configure sets, end with it."""
    limit = getattr(sys, "tracebacklimit", None)
    yield
    SECRETS.forget()
    if limit is None:
        if hasattr(sys, "tracebacklimit"):
            del sys.tracebacklimit
    else:
        sys.tracebacklimit = limit


@pytest.fixture
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for variable in ("MAILJET_API_KEY", "MAILJET_API_SECRET", "MAILJET_TIMEOUT_SECONDS", "MAILJET_CONNECTIONS"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.delenv("MAILJET_LIMITER", raising=False)
    return monkeypatch
