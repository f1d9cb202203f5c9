"""Mailjet's own clients, with nothing changed but base URL and keys, against `azmail gateway serve` and the emulated Mailjet."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from mailjet_rest import Client
from mailjet_rest.config import Config
from mailjet_rest.errors import MailjetAuthError, ValidationError

from azmail.gateway.credentials import Roots, new_root
from emulators.embedded import EmbeddedMailjet
from mailboxes.packed_map import packed_columns
from tests.unit.azmail.gateway import official_clients
from tests.unit.azmail.gateway.running import A, B, Running, activate, write_config
from tests.unit.docs.pages import read

pytestmark = pytest.mark.slow

SECRET = new_root()
PASSWORD = Roots({"r1": SECRET}, domain="agents.example").password("bot-a")

Sending = Callable[[Mapping[str, Any], str, str], tuple[int, Any]]
"""Call, user and password; status and body."""


@pytest.fixture(scope="module")
def mailjet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedMailjet]:
    with EmbeddedMailjet(tmp_path_factory.mktemp("mailjet")) as running:
        for address in (A, B):
            activate(running, address)
        yield running


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory, mailjet: EmbeddedMailjet) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("gateway")
    write_config(folder, mailjet, {"bot-a": A, "bot-b": B}, {"r1": SECRET})
    running = Running(folder, mailjet.ca_file)
    yield running
    running.end()


@pytest.fixture(params=["python", *official_clients.languages()])
def sending(request: pytest.FixtureRequest, gateway: Running, monkeypatch: pytest.MonkeyPatch) -> Sending:
    host = f"127.0.0.1:{gateway.https}"
    if request.param != "python":
        client = official_clients.fetched(request.param, ca_file=gateway.ca_file)
        return lambda call, user, password: client.send(call, host=host, user=user, password=password)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(gateway.ca_file))

    def by_python(call: Mapping[str, Any], user: str, password: str) -> tuple[int, Any]:
        with Client(auth=(user, password), version="v3.1", api_url=f"https://{host}/") as client:
            try:
                answer = client.send.create(data=dict(call))
            except (MailjetAuthError, ValidationError) as refused:
                return int(refused.status_code or 0), json.loads(str(refused.response_body))
        return answer.status_code, answer.json()

    return by_python


def call(**changes: Any) -> dict[str, Any]:
    plain = {
        "From": {"Email": A, "Name": "Jörg, Bot"},
        "To": [{"Email": "x@y.example"}],
        "Subject": "grüße",
        "TextPart": "t",
    }
    return {"Messages": [plain | {"CustomID": "c-1"} | changes]}


def test_an_agent_sends_as_itself_and_as_nobody_else(sending: Sending, mailjet: EmbeddedMailjet) -> None:
    before = len(mailjet.control.outbox())
    status, body = sending(call(), "bot-a", PASSWORD)
    assert (status, body["Messages"][0]["Status"]) == (200, "success"), body
    # A CustomID of its own: another mail, although Python's client gives both calls one Idempotency-Key.
    assert sending(call(CustomID="c-2"), A, PASSWORD)[0] == 200
    sent = mailjet.control.outbox()[before:]
    assert [(one["subject"], one["from"], one["custom_id"]) for one in sent] == [
        ("grüße", A, "c-1"),
        ("grüße", A, "c-2"),
    ]
    status, body = sending(call(From={"Email": B}), "bot-a", PASSWORD)
    assert (status, body["Messages"][0]["Errors"][0]["ErrorCode"]) == (403, "send-0008")
    status, body = sending(call(Sender={"Email": B}), "bot-a", PASSWORD)
    assert status == 403
    status, body = sending(call(), "bot-b", PASSWORD)
    assert (status, body["ErrorMessage"][:34]) == (401, "API key authentication/authorizati")
    assert len(mailjet.control.outbox()) == before + 2


def test_a_sandbox_sends_nothing(sending: Sending, mailjet: EmbeddedMailjet) -> None:
    """Go's client writes the property in its own way."""
    before = len(mailjet.control.outbox())
    for name in ("SandboxMode", "SandBoxMode"):
        assert sending(call() | {name: True}, "bot-a", PASSWORD)[0] == 200
    assert len(mailjet.control.outbox()) == before


def test_pythons_client_takes_a_host_of_the_platforms_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes Mailjet's hosts and loopback alone, unless it is told which other."""
    url = "https://mail-gateway:8443/"
    with pytest.raises(ValueError, match="mail-gateway"):
        Client(auth=("bot-a", PASSWORD), api_url=url)
    monkeypatch.setattr(Config, "ALLOWED_ROOT_DOMAIN", "mail-gateway")
    with Client(auth=("bot-a", PASSWORD), api_url=url) as client:
        assert client.config.api_url == url


@pytest.mark.parametrize("node", [shutil.which(name) for name in official_clients.languages() if name == "node"])
def test_the_pages_way_to_the_passwords_without_our_library(node: str) -> None:
    page = read(Path(__file__).parents[4] / "docs" / "gateway.md")
    [program] = [block.text for block in page.blocks if block.text.startswith("const out = JSON.parse(mailboxes)")]
    columns = [["bot-a", "ü"], [A, B], [PASSWORD, "azm1.r1.0.x"]]
    script = f"const mailboxes = process.argv[1]\n{program}console.log(JSON.stringify([ids, addresses, passwords]))"
    output = json.dumps({"shared": {}, "packed": packed_columns(*columns)})
    done = subprocess.run([node, "-e", script, output], capture_output=True, text=True, timeout=60, check=True)
    assert json.loads(done.stdout) == columns


@pytest.mark.parametrize("language", ["node", "go"])
def test_what_is_said_where_a_language_is_not(language: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _name: None)
    assert official_clients.missing(language).startswith(f"There is no {language} on this machine: ")
    assert official_clients.languages() == []


def test_what_is_said_where_one_cannot_be_fetched(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(official_clients, "_install_node", _refused)
    with pytest.raises(
        official_clients.NoClientError, match=r"could not be fetched \(last words\); the first run needs"
    ):
        official_clients.fetched("node", ca_file=tmp_path)


def _refused(_source: Path, _target: Path) -> None:
    official_clients._run("node", ["sh", "-c", "echo last words >&2; exit 1"], Path())
