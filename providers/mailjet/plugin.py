"""What all providers of one plugin process share: account, engine, threads, claims, what is known of routes.

The SDK pickles a provider into every resource's state, so providers hold nothing; `configure` fills this module
instead, once per process (the engine starts one plugin per run).
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from clients.mailjet.api import MailjetApi
from clients.mailjet.client import DEFAULT_API_URL, Credentials, MailjetClient, RetryPolicy, Timeouts
from clients.mailjet.clock import Clock, SystemClock
from clients.mailjet.errors import InvalidSettingError, MailjetError
from clients.mailjet.limiter import AdaptiveLimiter
from clients.mailjet.route_identity import RouteIdentity
from clients.mailjet.route_listing import RouteListing
from clients.mailjet.workers import WORKERS, Workers
from providers.mailjet.engine import EngineConnection
from providers.mailjet.in_use import InUse
from providers.mailjet.progress import Progress


@dataclass(frozen=True, kw_only=True)
class PluginSettings:
    """Where Mailjet is and how hard it is used. `problem` is raised by the first call: a preview makes none."""

    api_url: str = DEFAULT_API_URL
    credentials: Credentials = field(default_factory=lambda: Credentials(api_key="", api_secret=""))
    read_timeout: float = Timeouts.read
    connections: int = WORKERS
    limiter: bool = True
    problem: MailjetError | None = field(default=None, compare=False)

    @classmethod
    def read(cls, config: Callable[[str], object], environment: Mapping[str, str]) -> PluginSettings:
        """From stack config, else from the environment. Never raises.

        `MAILJET_TIMEOUT_SECONDS` (30), `MAILJET_CONNECTIONS` (48) and `MAILJET_LIMITER=off` are for benchmarks and
        unusual networks; stack config does not know them.
        """

        def configured(key: str) -> str:
            value = config(key)
            return "" if value is None else str(value).strip()

        problem: MailjetError | None = None
        read_timeout, connections = Timeouts.read, WORKERS
        for variable, low, high in (("MAILJET_TIMEOUT_SECONDS", 0.05, 600.0), ("MAILJET_CONNECTIONS", 1, 256)):
            text = environment.get(variable, "").strip()
            if not text:
                continue
            number = _number(text)
            if number is None or not low <= number <= high:
                problem = InvalidSettingError(variable, text, f"a number from {low:g} to {high:g}")
            elif variable == "MAILJET_TIMEOUT_SECONDS":
                read_timeout = number
            else:
                connections = int(number)
        return cls(
            api_url=configured("mailjetApiUrl") or DEFAULT_API_URL,
            credentials=Credentials(
                api_key=configured("mailjetApiKey") or environment.get("MAILJET_API_KEY", "").strip(),
                api_secret=configured("mailjetApiSecret") or environment.get("MAILJET_API_SECRET", "").strip(),
            ),
            read_timeout=read_timeout,
            connections=connections,
            limiter=environment.get("MAILJET_LIMITER", "").strip().lower() != "off",
            problem=problem,
        )


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


@dataclass
class AddressBookChanges:
    """What the address book has changed in this run, before any bucket is looked at.

    A run that fails between the book and a bucket leaves a bucket whose state no longer is true. Reverting the change
    brings the bucket's inputs back to that state, so a comparison finds nothing to do; the book, which did change,
    knows better.
    """

    gained: set[str] = field(default_factory=set)
    """Addresses that the book did not have."""
    former: set[RouteIdentity] = field(default_factory=set)
    """Whose routes were ours until now: still ours, to be redirected or removed."""

    def again(self, addresses: Iterable[str]) -> set[str]:
        """Those of a bucket's `addresses` that the book did not have: what the bucket's state says of them may be no
        longer true."""
        return {address for address in addresses if address.lower() in self.gained}

    def affects(self, addresses: Iterable[str]) -> bool:
        """Whether a bucket that already holds `addresses`, and that nothing else changes, was left behind."""
        return bool(self.former) or bool(self.again(addresses))


class PluginProcess:
    """Everything shared; built without a single call to Mailjet."""

    def __init__(
        self,
        settings: PluginSettings,
        *,
        engine: EngineConnection | None = None,
        clock: Clock | None = None,
        retry: RetryPolicy | None = None,
    ) -> None:
        self.settings = settings
        self.clock: Clock = clock or SystemClock()
        self.engine = engine or EngineConnection.of_this_process()
        self.client = MailjetClient(
            base_url=settings.api_url,
            credentials=settings.credentials,
            connections=settings.connections,
            timeouts=Timeouts(connect=min(Timeouts.connect, settings.read_timeout), read=settings.read_timeout),
            retry=retry,
            clock=self.clock,
            limiter=AdaptiveLimiter(self.clock, enabled=settings.limiter),
            before_write=self.engine.require_alive,
            problem=settings.problem,
        )
        self.api = MailjetApi(self.client)
        self.workers = Workers(settings.connections)
        self.readers = Workers(settings.connections)
        self.routes = RouteListing(self.api.route_pages, self.api.route_at, self.readers)
        self.route_progress = Progress("inbound routes", clock=self.clock, say=self.engine.progress)
        self.sender_claims = InUse()
        self.route_claims = InUse()
        self.callback_claims = InUse()
        self.address_book_changes = AddressBookChanges()
        self._telling = threading.Lock()

    def first_to_tell(self) -> bool:
        """True once: for the resource that says in everybody's place that Mailjet refuses the key."""
        return self._telling.acquire(blocking=False)

    def close(self) -> None:
        """Threads and connections end; needed by tests, a plugin simply exits."""
        self.workers.close()
        self.readers.close()
        self.client.close()
        self.engine.close()


_lock = threading.Lock()
_process: PluginProcess | None = None


def configure(config: Callable[[str], object]) -> None:
    """Called for each kind of provider of a run, with the same config: only the first call counts."""
    global _process
    settings = PluginSettings.read(config, os.environ)
    with _lock:
        if _process is not None and _process.settings == settings:
            return
        _process = PluginProcess(settings)
        _process.engine.exit_with_it()


def install(process: PluginProcess | None) -> PluginProcess | None:
    """Replace what `current` gives, and return what it gave: for tests, and for programs that are no plugin."""
    global _process
    with _lock:
        previous, _process = _process, process
    return previous


def claim(*, routes: Iterable[str] = (), senders: Iterable[str] = (), callbacks: Iterable[str] = ()) -> None:
    """Keep what the program declares from every delete of this run; nothing to keep before `configure`.

    Said by each `check`, which the engine calls in a preview and an up but never in a refresh or a destroy: a resource
    that is unchanged gets no other call before the deletions that an earlier, failed `--replace` left pending.
    """
    with _lock:
        process = _process
    if process is not None:
        process.route_claims.claim(routes)
        process.sender_claims.claim(senders)
        process.callback_claims.claim(callbacks)


def address_book_changes() -> AddressBookChanges:
    """Of this run; nothing before `configure`."""
    with _lock:
        return AddressBookChanges() if _process is None else _process.address_book_changes


def configured() -> PluginSettings:
    """What `configure` has read; empty before it."""
    with _lock:
        return PluginSettings() if _process is None else _process.settings


def current() -> PluginProcess:
    """The process that `configure` has set up."""
    with _lock:
        if _process is None:
            raise LookupError("a provider was called before configure()")
        return _process
