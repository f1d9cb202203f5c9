"""The whole inbox for tests: webhook and API in this process, two agents, an upstream that records what is sent."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from starlette.testclient import TestClient

from azmail.errors import SendError
from azmail.gateway.credentials import PLATFORM, AgentLogin, Directory, Roots, Scope, new_root
from azmail.gateway.ledger import Ledger
from azmail.gateway.relay import Relay
from azmail.gateway.submission import Sources
from azmail.inbox.api import InboxService
from azmail.inbox.database import Database
from azmail.inbox.parcels import received_parcel
from azmail.inbox.serving import keeper, whole_app
from azmail.inbox.store import MailStore
from azmail.webhook import BasicAuth
from tests.unit.azmail.inbox.mails import ME, YOU, mail

SECRET = "s" * 40
ROOTS = Roots({"r1": new_root()}, domain="d.example")
TOKEN = ROOTS.password(PLATFORM, scope=Scope.PLATFORM)
AGENTS = (AgentLogin(ME, "me@d.example"), AgentLogin(YOU, "you@d.example"))
HOOK_URL = "/api/webhooks/mailjet/inbound"


class Outbox:
    """An upstream that keeps what it is handed."""

    def __init__(self) -> None:
        self.sent: list[tuple[bytes, str, tuple[str, ...]]] = []
        self.error: SendError | None = None

    def hand_over(self, wire: bytes, sender: str, recipients: Sequence[str]) -> str:
        if self.error is not None:
            raise self.error
        self.sent.append((wire, sender, tuple(recipients)))
        return f"queued as {len(self.sent)}"


class NoDelay(Sources):
    """Counts failures and never waits."""

    def failed(self, source: str) -> float:
        super().failed(source)
        return 0.0


def credential(agent: str, scope: Scope = Scope.INBOX) -> tuple[str, str]:
    return agent, ROOTS.password(agent, scope=scope)


class Desk:
    """The app, a client of it, and what stands behind."""

    def __init__(self, app: FastAPI, client: TestClient, store: MailStore, relay: Relay, outbox: Outbox) -> None:
        self.app, self.client, self.store, self.relay, self.outbox = app, client, store, relay, outbox

    def get(self, path: str, agent: str = ME, **options: Any) -> Any:
        return self.client.get(path, auth=credential(agent), **options)

    def platform(self, path: str, **options: Any) -> Any:
        return self.client.get(path, headers={"Authorization": f"Bearer {TOKEN}"}, **options)

    def post(self, path: str, json: Any, agent: str = ME, key: str = "") -> Any:
        headers = {"Idempotency-Key": key} if key else {}
        return self.client.post(path, json=json, auth=credential(agent, Scope.SEND), headers=headers)

    def deliver(self, made: dict[str, Any]) -> Any:
        return self.client.post(HOOK_URL, json=made, auth=("any", SECRET))

    def bring(self, *numbers: int, agent: str = ME, **changes: Any) -> list[str]:
        """Their ids."""
        parcels = [received_parcel(mail(number, **changes), agent) for number in numbers]
        for one in parcels:
            self.store.store(one)
        return [one.id for one in parcels]


@contextmanager
def opened_desk(database: Database, folder: Path, **options: Any) -> Iterator[Desk]:
    ledger = Ledger(f"sqlite:///{folder}/ledger.sqlite")
    ledger.create()
    store = MailStore(database, hooks=("work",))
    outbox = Outbox()
    relay = Relay(
        directory=Directory(AGENTS), roots=ROOTS, ledger=ledger, upstream=outbox, keep=keeper(store), **options
    )
    service = InboxService(database=database, gate=relay, sources=NoDelay())
    app = whole_app(service, store, agents=relay, auth=BasicAuth(SECRET))
    with TestClient(app, raise_server_exceptions=True) as client:
        yield Desk(app, client, store, relay, outbox)
    ledger.close()
