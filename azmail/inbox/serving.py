"""The inbox as one process: webhook, API and, where it is asked for, workers, until it is told to stop."""

from __future__ import annotations

import importlib
import logging
import signal
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from azmail.gateway.config import GatewayConfig
from azmail.gateway.credentials import AgentLogin
from azmail.gateway.ledger import Ledger
from azmail.gateway.relay import Keep
from azmail.gateway.serving import Gateway
from azmail.inbox.api import InboxService, inbox_api
from azmail.inbox.database import Database, InboxDatabaseError
from azmail.inbox.metrics import InboxMetrics
from azmail.inbox.parcels import sent_parcel
from azmail.inbox.queue import LEASE_SECONDS
from azmail.inbox.receiving import StoringReceiver
from azmail.inbox.store import MailStore
from azmail.inbox.worker import Hook, HookWorker
from azmail.webhook import EVENTS_PATH, INBOUND_PATH, AgentAt, WebhookAuth, receiving_app

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
    """For a gateway beside the inbox. Raises InboxSchemaError and InboxDatabaseError."""
    database = Database(url)
    database.check()
    return keeper(MailStore(database))


def whole_app(
    service: InboxService,
    store: MailStore,
    *,
    agents: AgentAt,
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

    app.mount("", _Counted(webhook, metrics))
    return app


class _Counted:
    """Counts the webhook's refusals."""

    def __init__(self, app: ASGIApp, metrics: InboxMetrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def counted(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] >= 400 and scope.get("method") == "POST":
                self._metrics.refused.labels(str(message["status"])).inc()
            await send(message)

        await self._app(scope, receive, counted)


def serve(
    config_file: Path,
    database: Database,
    ledger: Ledger,
    *,
    auth: WebhookAuth,
    host: str,
    port: int,
    hooks: Mapping[str, Hook],
    threads: int,
    lease_seconds: float = LEASE_SECONDS,
    platform_tokens: Sequence[str] = (),
    path: str = INBOUND_PATH,
    upstream_ca: Path | None = None,
    connections: int = 500,
) -> bool:
    """Serve until SIGTERM or SIGINT; SIGHUP reads the file anew. False where it could not listen.

    Raises GatewayConfigError, InboxSchemaError, InboxDatabaseError before anything listens.
    """
    GatewayConfig.read(config_file)
    database.check()
    store = MailStore(database, hooks=tuple(hooks))
    gateway = Gateway(config_file, ledger, upstream_ca=upstream_ca, keep=keeper(store))
    relay = gateway.relay
    workers = [HookWorker(database, hooks, threads=threads, lease_seconds=lease_seconds)] if hooks and threads else []
    service = InboxService(database=database, gate=relay, platform_tokens=tuple(platform_tokens))
    app = whole_app(service, store, agents=relay.agent_at, auth=auth, workers=workers, path=path)
    listening: Any = importlib.import_module("azmail.listening")
    server = listening.listener(app, host=host, port=port, limits=listening.Limits(connections=connections))
    server.config.timeout_graceful_shutdown = GRACE_SECONDS
    signal.signal(signal.SIGHUP, lambda *_: gateway.read_again())
    until_told(lambda: server.run(), workers)
    gateway.close()
    database.close()
    ledger.close()
    return bool(server.started)


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
