"""Running emulators for the tests of this folder, and a zone and a webhook that a test can steer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import requests

from emulators.embedded import EmbeddedMailjet
from tests.unit.emulators.tiny_zone import TinyZone
from tests.unit.emulators.webhook import Webhook, WebhookServer

DOMAIN = "mail.example"


class Api:
    """Mailjet's REST API as the account of `mailjet` sees it."""

    def __init__(self, mailjet: EmbeddedMailjet, auth: tuple[str, str] | None = None) -> None:
        self.url = mailjet.url
        self.session = requests.Session()
        self.session.trust_env = False
        self.session.auth = auth or mailjet.auth

    def call(self, method: str, path: str, body: object = None, **options: Any) -> requests.Response:
        """One request; `path` is below the root."""
        return self.session.request(method, self.url + path, json=body, timeout=10, **options)

    def get(self, path: str, **query: object) -> requests.Response:
        """GET below /v3/REST."""
        return self.call("GET", f"/v3/REST/{path}", params=query)

    def post(self, path: str, body: object = None) -> requests.Response:
        """POST below /v3/REST."""
        return self.call("POST", f"/v3/REST/{path}", body)

    def put(self, path: str, body: object) -> requests.Response:
        """PUT below /v3/REST."""
        return self.call("PUT", f"/v3/REST/{path}", body)

    def delete(self, path: str) -> requests.Response:
        """DELETE below /v3/REST."""
        return self.call("DELETE", f"/v3/REST/{path}")

    def row(self, answer: requests.Response) -> dict[str, Any]:
        """The only row of an answer."""
        found = answer.json()
        assert found["Count"] == len(found["Data"]) == 1, answer.text
        row: dict[str, Any] = found["Data"][0]
        return row


@pytest.fixture(scope="session")
def _zone() -> Iterator[TinyZone]:
    with TinyZone(DOMAIN, "corp.example", "mailjet.com") as running:
        yield running


@pytest.fixture
def zone(_zone: TinyZone) -> TinyZone:
    """DNS of mail.example and of what stands for the rest of the world, empty."""
    _zone.records.clear()
    _zone.queries.clear()
    return _zone


@pytest.fixture(scope="session")
def _mailjet(tmp_path_factory: pytest.TempPathFactory, _zone: TinyZone) -> Iterator[EmbeddedMailjet]:
    with EmbeddedMailjet(tmp_path_factory.mktemp("mailjet"), dns=_zone.address) as running:
        yield running


@pytest.fixture
def mailjet(_mailjet: EmbeddedMailjet, zone: TinyZone) -> EmbeddedMailjet:
    """An emulator as new, which asks `zone`, with short pauses between deliveries and quickly made keys."""
    _mailjet.control.reset()
    _mailjet.control.switches(retry_seconds=0.02, delivery_seconds=5.0, dkim_bits=1024)
    return _mailjet


@pytest.fixture
def api(mailjet: EmbeddedMailjet) -> Iterator[Api]:
    """The account's view."""
    found = Api(mailjet)
    with found.session:
        yield found


@pytest.fixture(scope="session")
def _webhooks() -> Iterator[WebhookServer]:
    running = WebhookServer()
    yield running
    running.close()


@pytest.fixture
def webhook(_webhooks: WebhookServer) -> Webhook:
    """Somebody's endpoint."""
    return _webhooks.fresh()


@pytest.fixture
def published(api: Api, zone: TinyZone) -> dict[str, Any]:
    """The domain's `dns` row, with all of its records in the zone, MX included."""
    api.post("sender", {"Email": f"*@{DOMAIN}"})
    row = api.row(api.get(f"dns/{DOMAIN}"))
    zone.txt(row["DKIMRecordName"].rstrip("."), row["DKIMRecordValue"])
    zone.txt(row["OwnerShipTokenRecordName"].rstrip("."), row["OwnerShipToken"])
    zone.txt(DOMAIN, "v=spf1 include:spf.mailjet.com ~all")
    zone.mx(DOMAIN, "parse.mailjet.com")
    return row


@pytest.fixture
def verified(api: Api, published: dict[str, Any]) -> dict[str, Any]:
    """The domain's `dns` row once the domain may send and receive."""
    assert api.post(f"sender/*@{DOMAIN}/validate").json()["ValidationMethod"] == "DNS"
    return published
