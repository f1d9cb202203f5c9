"""The emulators as `./mail up` starts them, with a route for an agent, and an agent's webhook."""

from __future__ import annotations

import smtplib
from collections.abc import Iterator
from dataclasses import dataclass
from email.message import EmailMessage
from typing import Any

import pytest
import requests

from emulators import lifecycle
from emulators.ports import Choice
from emulators.state_folder import StateFolder
from tests.unit.emulators.webhook import Webhook, WebhookServer
from tests.unit.page import chromium
from tests.waiting import wait_until

collect_ignore = [chromium.TESTS] if chromium.missing() else []

BOB = "bob@agents.example"


@dataclass(frozen=True)
class World:
    """What a test needs of them."""

    page: str
    mailjet: str
    inbound: tuple[str, int]
    auth: tuple[str, str]
    webhook: Webhook
    folder: str

    def get(self, path: str = "", **options: Any) -> requests.Response:
        """A page."""
        return requests.get(self.page + path, timeout=10, **options)

    def post(self, path: str, fields: dict[str, str] | None = None, **options: Any) -> requests.Response:
        """A form, as a browser sends it from a page of its own."""
        headers = {"Origin": self.page.rstrip("/"), **options.pop("headers", {})}
        return requests.post(self.page + path, data=fields or {}, headers=headers, timeout=10, **options)

    def arrives(self, message: EmailMessage, to: str = BOB) -> None:
        """A mail comes in by SMTP."""
        with smtplib.SMTP(*self.inbound, timeout=10) as client:
            client.sendmail("ada@example.com", [to], message.as_bytes())

    def latest(self) -> dict[str, Any]:
        """The newest letter."""
        letters: list[dict[str, Any]] = self.get("letters?after=0").json()["letters"]
        return letters[-1]

    def settled(self) -> dict[str, Any]:
        """The newest letter, once the webhook has answered."""
        return wait_until(lambda: one if (one := self.latest())["outcome"].startswith("delivered") else None)


def letter(subject: str = "Hello", html: str = "", **headers: str) -> EmailMessage:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "Ada <ada@example.com>", BOB, subject
    for name, value in headers.items():
        message[name.replace("_", "-")] = value
    message.set_content("Hello Bob\n")
    if html:
        message.add_alternative(html, subtype="html")
    return message


@pytest.fixture(scope="session")
def _emulators(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    folder = StateFolder(tmp_path_factory.mktemp("emulators"))
    found, _ = lifecycle.up(folder, choice=Choice.FREE)
    yield {**found, **folder.credentials()}
    lifecycle.down(folder)


@pytest.fixture(scope="session")
def _server() -> Iterator[WebhookServer]:
    server = WebhookServer()
    yield server
    server.close()


@pytest.fixture
def world(_emulators: dict[str, Any], _server: WebhookServer) -> World:
    """An account as new, with one route."""
    webhook = _server.fresh()
    mailjet = _emulators["mailjet"]
    auth = (_emulators["MAILJET_API_KEY"], _emulators["MAILJET_API_SECRET"])

    def call(method: str, path: str, body: object = None) -> None:
        requests.request(method, mailjet["url"] + path, json=body, auth=auth, timeout=10).raise_for_status()

    call("POST", "/_emulator/reset")
    call("DELETE", "/_emulator/faults")
    call("DELETE", "/_emulator/requests")
    call("PUT", "/_emulator/switches", {"route_needs_verified_domain": False, "retry_seconds": 0.02})
    call("POST", "/v3/REST/parseroute", {"Email": BOB, "Url": webhook.url("/in", "owner:hush")})
    inbound = mailjet["inbound"]
    return World(
        _emulators["page"], mailjet["url"], (inbound["host"], inbound["port"]), auth, webhook, _emulators["state_dir"]
    )
