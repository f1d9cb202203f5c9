"""The inbox as one process: webhook, API and, where it is asked for, workers, until it is told to stop."""

from __future__ import annotations

import importlib
import logging
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum, auto
from queue import Empty, SimpleQueue
from typing import Any

from fastapi import FastAPI, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from azmail.gateway.credentials import AgentLogin
from azmail.gateway.ledger import Ledger
from azmail.gateway.relay import Keep
from azmail.gateway.serving import LOOK_SECONDS, Gateway, Port
from azmail.inbox.api import InboxService, inbox_api
from azmail.inbox.database import Database, InboxDatabaseError
from azmail.inbox.metrics import InboxMetrics
from azmail.inbox.parcels import sent_parcel
from azmail.inbox.queue import LEASE_SECONDS, MOST_ATTEMPTS
from azmail.inbox.receiving import StoringReceiver
from azmail.inbox.store import MailStore
from azmail.inbox.worker import Hook, HookWorker
from azmail.webhook import EVENTS_PATH, INBOUND_PATH, AgentAt, KnownAgents, WebhookAuth, receiving_app
from azmail.webhook_auth import FollowedAuth

log = logging.getLogger("azmail.inbox")

GRACE_SECONDS = 5


def keeper(store: MailStore) -> Keep:
    """What the gateway's relay calls with each message that was sent: it stands in its agent's mailbox then.

    The message has left: where the database is away it is missing there, and the log says so.
    """

    def keep(agent: AgentLogin, key: str, octets: bytes, recipients: Sequence[str]) -> None:
        try:
            store.store(sent_parcel(agent.id, key, octets, sender=agent.address, recipients=recipients))
        except InboxDatabaseError as error:
            log.error("a message of agent %s was sent and does not stand in its mailbox: %s", agent.id, error)

    return keep


def keeper_at(url: str) -> Keep:
    """For a gateway beside the inbox. Makes a SQLite's tables. Raises InboxSchemaError and InboxDatabaseError."""
    database = Database(url)
    if database.is_sqlite:
        database.migrate()
    database.check()
    return keeper(MailStore(database))


def whole_app(
    service: InboxService,
    store: MailStore,
    *,
    agents: KnownAgents | AgentAt,
    auth: WebhookAuth,
    workers: Sequence[HookWorker] = (),
    path: str = INBOUND_PATH,
    events_path: str = EVENTS_PATH,
) -> FastAPI:
    """API, webhook, `/healthz` and `/metrics`."""
    metrics = InboxMetrics(service.database, workers)

    def stored() -> None:
        for worker in workers:
            worker.nudge()

    receiver = StoringReceiver(store, metrics, stored=stored)
    webhook = receiving_app(agents, receiver, auth=auth, path=path, events_path=events_path)
    app = inbox_api(service)

    @app.get("/metrics", include_in_schema=False)
    def metrics_text() -> Response:
        return Response(metrics.text(), media_type="text/plain; version=0.0.4")

    app.add_middleware(_WebhookFirst, webhook=webhook, paths=(path, events_path, "/healthz"), metrics=metrics)
    return app


class _WebhookFirst:
    """Hands deliveries to the webhook before the API's framework looks at them, which takes longer than reading one.

    Counts the webhook's refusals.
    """

    def __init__(self, app: ASGIApp, *, webhook: ASGIApp, paths: Sequence[str], metrics: InboxMetrics) -> None:
        self._app = app
        self._webhook = webhook
        self._paths = tuple(f"{one.rstrip('/')}/" for one in paths)
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not f"{scope['path']}/".startswith(self._paths):
            await self._app(scope, receive, send)
            return

        async def counted(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] >= 400 and scope.get("method") == "POST":
                self._metrics.refused.labels(str(message["status"])).inc()
            await send(message)

        await self._webhook(scope, receive, counted)


@dataclass(frozen=True, slots=True, kw_only=True)
class Serving:
    """What one process of the inbox runs, and where."""

    host: str
    port: Port
    auth: WebhookAuth | None = None
    """None: the password in the gateway's file, which is followed."""
    hooks: Mapping[str, Hook]
    threads: int
    """Of workers; 0 stores for them only."""
    lease_seconds: float = LEASE_SECONDS
    most_attempts: int = MOST_ATTEMPTS
    path: str = INBOUND_PATH
    events_path: str = EVENTS_PATH
    connections: int = 900
    """At once; of them `MOST_WAITING` may be held by those who wait for mail."""
    with_stdin: bool = False
    """End when standard input closes, which is when the process that started this one has gone."""


def serve(gateway: Gateway, database: Database, ledger: Ledger, store: MailStore, serving: Serving) -> bool:
    """Serve until SIGTERM or SIGINT, following the gateway's file. False where it could not listen.

    Raises InboxSchemaError, InboxDatabaseError before anything listens.
    """
    database.check()
    relay, hooks = gateway.relay, serving.hooks
    workers = (
        [
            HookWorker(
                database,
                hooks,
                threads=serving.threads,
                lease_seconds=serving.lease_seconds,
                most_attempts=serving.most_attempts,
            )
        ]
        if hooks and serving.threads
        else []
    )
    app = whole_app(
        InboxService(database=database, gate=relay),
        store,
        agents=relay,
        auth=serving.auth or FollowedAuth(lambda: gateway.config.webhook.secret),
        workers=workers,
        path=serving.path,
        events_path=serving.events_path,
    )
    bound = serving.port if isinstance(serving.port, socket.socket) else None
    listening: Any = importlib.import_module("azmail.listening")
    server = listening.listener(
        app,
        host=serving.host,
        port=0 if bound else serving.port,
        limits=listening.Limits(connections=serving.connections),
    )
    server.config.timeout_graceful_shutdown = GRACE_SECONDS
    if serving.with_stdin:
        threading.Thread(target=_end_with_stdin, args=(server,), daemon=True).start()
    with _followed(gateway):
        until_told(lambda: server.run(sockets=[bound] if bound else None), workers)
    gateway.close()
    database.close()
    ledger.close()
    return bool(server.started)


def _end_with_stdin(server: Any) -> None:
    while os.read(0, 4096):
        pass
    server.should_exit = True


class _Told(Enum):
    READ_AGAIN = auto()
    STOP = auto()


@contextmanager
def _followed(gateway: Gateway) -> Iterator[None]:
    """Agents, roots, limits and secrets as the file has them, within a second or at SIGHUP."""
    # A handler of signals may take no lock, for it runs in the middle of whatever holds it: this queue has none.
    told: SimpleQueue[_Told] = SimpleQueue()

    def follow() -> None:
        while True:
            try:
                what = told.get(timeout=LOOK_SECONDS)
            except Empty:
                gateway.look()
                continue
            if what is _Told.STOP:
                return
            gateway.read_again()

    thread = threading.Thread(target=follow, name="gateway-file", daemon=True)
    thread.start()
    signal.signal(signal.SIGHUP, lambda *_: told.put(_Told.READ_AGAIN))
    try:
        yield
    finally:
        told.put(_Told.STOP)
        thread.join()


def until_told(run: Callable[[], None], workers: Sequence[HookWorker]) -> None:
    """Run the workers as long as `run` runs, and let them finish what they are at."""
    # uvicorn sends itself the signal again after it has stopped: the workers' work shall not end with that.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    for worker in workers:
        worker.start()
    try:
        run()
    finally:
        for worker in workers:
            worker.stop()
