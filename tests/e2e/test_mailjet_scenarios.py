"""Every scenario of the Mailjet resources through the real engine, in a program of nothing but them."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.e2e.stack import ROOT, Emulators, Stack

DOMAIN = "box.agents.example"
SECRET, ROTATED = "first-secret-of-routes", "second-secret-of-routes"
BOX = {"agent-1": f"ana@{DOMAIN}", "agent-2": f"bob@{DOMAIN}", "agent-3": f"eve@{DOMAIN}"}
PROGRAM = """
import json

import pulumi

from providers.mailjet.address_book import AddressBook, AddressBookArgs
from providers.mailjet.domain_verification import DomainVerification, DomainVerificationArgs
from providers.mailjet.event_callback import EventCallback, EventCallbackArgs
from providers.mailjet.inbound_routes import InboundRoutes, InboundRoutesArgs
from providers.mailjet.sender import Sender, SenderArgs
from providers.mailjet.sender_domain import SenderDomain, SenderDomainArgs

config = pulumi.Config("agentmail")
domain, box = config.require("domain"), config.require("box")
url = f"https://test-owner:{config.require('routeSecret')}@hooks.agents.example/inbound"
sender = SenderDomain("domain", SenderDomainArgs(domain=domain, delete_sender=True))
verification = DomainVerification(
    "verification",
    DomainVerificationArgs(
        domain=domain, sender_id=sender.sender_id, dns_id=sender.dns_id, records="[]",
        mode=config.require("verification"), timeout_seconds=20,
    ),
)
after = pulumi.ResourceOptions(depends_on=[verification])
Sender(
    "news",
    SenderArgs(email=f"news@{domain}", display_name=config.require("displayName"), delete_sender=True),
    after,
)
book = AddressBook(
    "book",
    AddressBookArgs(
        addresses=box, route_identity="https://test-owner@hooks.agents.example/inbound",
        allow_mass_removal=config.get("allowMassRemoval") or "",
    ),
    after,
)
InboundRoutes(
    "routes",
    InboundRoutesArgs(routes=box, route_url=url, take_over=config.get_bool("takeOver") or False),
    pulumi.ResourceOptions(depends_on=[book]),
)
EventCallback("bounce", EventCallbackArgs(event_type="bounce", url=url), after)
for name in ("dkim_name", "dkim_value", "ownership_name", "ownership_token"):
    pulumi.export(name, getattr(sender, name))
pulumi.export("status", verification.dkim_status)
"""


class Account:
    """The emulated account and the stack of the small program on it."""

    def __init__(self, emulators: Emulators, stack: Stack) -> None:
        self.emulators = emulators
        self.stack = stack

    def switch(self, **switches: object) -> None:
        requests.put(self.emulators.control("mailjet", "switches"), json=switches, timeout=10).raise_for_status()

    def senders(self) -> dict[str, str]:
        return {row["Email"]: row["Status"] for row in self.emulators.state("mailjet")["senders"]}

    def routes(self) -> dict[str, str]:
        """{address: URL}; fails where an address has two."""
        rows = self.emulators.state("mailjet")["parseroutes"]
        assert len({row["Email"] for row in rows}) == len(rows), rows
        return {row["Email"]: row["Url"] for row in rows}

    def ids(self) -> dict[str, int]:
        return {row["Email"]: row["ID"] for row in self.emulators.state("mailjet")["parseroutes"]}

    def writes(self) -> dict[str, int]:
        counted = self.emulators.counts("mailjet")["by"]
        return {call: times for call, times in counted.items() if not call.startswith("GET ")}

    def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        answer = self.emulators.mailjet("POST", path, json=body)
        assert answer.status_code == 201, answer.text
        row: dict[str, Any] = answer.json()["Data"][0]
        return row

    def set_box(self, **agents: str) -> None:
        self.stack.configure(box=json.dumps(agents))

    def up(self, *options: str, **kwargs: Any) -> Any:
        self.emulators.forget_requests()
        return self.stack.up(*options, **kwargs)


def url(secret: str = SECRET) -> str:
    return f"https://test-owner:{secret}@hooks.agents.example/inbound"


@pytest.fixture(scope="module")
def emulators(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulators]:
    """Others than the rest's: they are stopped here, and their databases changed behind their backs."""
    own = Emulators.start(tmp_path_factory.mktemp("emulators"))
    yield own
    own.stop()


@pytest.fixture
def account(emulators: Emulators, tmp_path: Path) -> Account:
    emulators.reset()
    folder = tmp_path / "project"
    (folder / "backend").mkdir(parents=True)
    for part in (".venv", "clients", "mailboxes", "providers", "settings", "zone"):
        (folder / part).symlink_to(ROOT / part)
    (folder / "__main__.py").write_text(PROGRAM)
    (folder / "Pulumi.yaml").write_text("name: agentmail\nruntime: {name: python, options: {virtualenv: .venv}}\n")
    stack = Stack.create(folder, emulators, name="dev")
    stack.configure(domain=DOMAIN, routeSecret=SECRET, displayName="News", verification="off", box=json.dumps(BOX))
    made = Account(emulators, stack)
    made.switch(route_needs_verified_domain=False, dkim_bits=1024)
    return made


def test_create_noop_update_delete_and_create_after_delete(account: Account) -> None:
    account.up()
    assert account.routes() == dict.fromkeys(BOX.values(), url())
    assert set(account.senders()) == {f"*@{DOMAIN}", f"news@{DOMAIN}"}

    account.up("--expect-no-changes")
    assert account.writes() == {}

    kept = account.ids()
    account.set_box(**{"agent-1": BOX["agent-1"], "agent-2": BOX["agent-2"], "agent-4": f"ida@{DOMAIN}"})
    account.stack.configure(displayName="Renamed")
    account.up()
    assert set(account.routes()) == {BOX["agent-1"], BOX["agent-2"], f"ida@{DOMAIN}"}
    assert {address: number for address, number in account.ids().items() if address in kept}.items() <= kept.items()
    assert account.writes() == {
        "POST /v3/REST/parseroute": 1,
        "DELETE /v3/REST/parseroute/{id}": 1,
        "PUT /v3/REST/sender/{id}": 1,
        "POST /v3/REST/sender/{id}/validate": 1,
    }

    account.stack.destroy()
    assert account.routes() == {}
    assert account.senders() == {f"*@{DOMAIN}": "Deleted", f"news@{DOMAIN}": "Deleted"}
    assert account.emulators.state("mailjet")["eventcallbackurls"] == []

    account.up()
    assert "Deleted" not in account.senders().values()
    assert len(account.routes()) == 3
    account.up("--expect-no-changes")


def test_verification_waits_for_the_records(account: Account) -> None:
    account.up()
    outputs = account.stack.outputs()
    assert outputs["status"] == "Not checked"
    for name, content in (
        (outputs["dkim_name"], outputs["dkim_value"]),
        (outputs["ownership_name"], outputs["ownership_token"]),
        (DOMAIN, "v=spf1 include:spf.mailjet.com ~all"),
    ):
        quoted = " ".join(f'"{content[at : at + 255]}"' for at in range(0, len(content), 255))
        record = {"type": "TXT", "name": name, "content": quoted, "ttl": 60}
        account.emulators.cloudflare("POST", "/dns_records", json=record).raise_for_status()
    account.switch(dns_lag=2)
    account.stack.configure(verification="require")
    account.up()
    assert account.stack.outputs()["status"] == "OK"
    assert account.senders()[f"*@{DOMAIN}"] == "Active"


def test_refresh_sees_drift_and_up_mends_it(account: Account) -> None:
    account.up()
    missing, moved = account.ids()[BOX["agent-1"]], account.ids()[BOX["agent-2"]]
    account.emulators.mailjet("DELETE", f"/v3/REST/parseroute/{missing}").raise_for_status()
    elsewhere = {"Url": url("somebody-typed-another")}
    account.emulators.mailjet("PUT", f"/v3/REST/parseroute/{moved}", json=elsewhere).raise_for_status()
    account.emulators.mailjet("DELETE", f"/v3/REST/sender/news@{DOMAIN}").raise_for_status()

    found = account.stack.pulumi("refresh", "--stack", "dev", "--yes", "--skip-preview", "--diff").out
    told = [line for line in found.splitlines() if line.strip().startswith("+ agent-")]
    assert [BOX[agent] in line for agent, line in zip(("agent-1", "agent-2"), told, strict=True)] == [True, True]
    assert f"id=news@{DOMAIN}" in found
    account.up()
    assert account.routes() == dict.fromkeys(BOX.values(), url())
    assert account.senders()[f"news@{DOMAIN}"] != "Deleted"
    account.up("--refresh", "--expect-no-changes")
    assert account.writes() == {}


def test_refresh_sees_a_second_route_at_an_address(account: Account) -> None:
    """Mailjet is said to refuse one; the emulator does, so its table is given another schema behind its back."""
    account.up()
    account.emulators.stop()
    with sqlite3.connect(account.emulators.folder / "mailjet.sqlite") as database:
        [(schema,)] = database.execute("SELECT sql FROM sqlite_master WHERE name = 'parseroute'").fetchall()
        database.execute("ALTER TABLE parseroute RENAME TO strict")
        database.execute(schema.replace(" UNIQUE", ""))
        database.execute("INSERT INTO parseroute SELECT * FROM strict")
        database.execute(
            "INSERT INTO parseroute (apikey_id, email, url, is_auto) SELECT apikey_id, email, url, 0 FROM strict"
            " WHERE email = ?",
            (BOX["agent-1"],),
        )
        database.execute("DROP TABLE strict")
    database.close()
    Emulators.start(account.emulators.folder)
    assert len(account.emulators.state("mailjet")["parseroutes"]) == 4

    found = account.stack.pulumi("refresh", "--stack", "dev", "--yes", "--skip-preview", "--diff").out
    assert "one too many" in found
    account.up()
    assert account.routes() == dict.fromkeys(BOX.values(), url())
    assert account.writes() == {"DELETE /v3/REST/parseroute/{id}": 1}


def test_adopts_what_exists(account: Account) -> None:
    """An active and an inactive sender, and routes that are ours already, one of them with an older password."""
    domain_sender = account.post("/v3/REST/sender", {"Email": f"*@{DOMAIN}"})
    account.post("/v3/REST/sender", {"Email": f"news@{DOMAIN}"})
    route = account.post("/v3/REST/parseroute", {"Email": BOX["agent-1"], "Url": url()})
    older = account.post("/v3/REST/parseroute", {"Email": BOX["agent-2"], "Url": url("an-older-password")})
    assert account.senders() == {f"*@{DOMAIN}": "Inactive", f"news@{DOMAIN}": "Inactive"}
    account.up()
    assert account.routes() == dict.fromkeys(BOX.values(), url())
    assert account.ids()[BOX["agent-1"]] == route["ID"]
    assert account.ids()[BOX["agent-2"]] == older["ID"]
    senders = account.emulators.state("mailjet")["senders"]
    assert len(senders) == 2
    assert domain_sender["ID"] in {row["ID"] for row in senders}
    assert account.writes()["POST /v3/REST/parseroute"] == 1


def test_adopts_an_active_domain_sender(account: Account) -> None:
    account.up()
    account.emulators.stop()
    with sqlite3.connect(account.emulators.folder / "mailjet.sqlite") as database:
        database.execute("UPDATE sender SET status = 'Active'")
    database.close()
    Emulators.start(account.emulators.folder)
    for urn in [row["urn"] for row in resources(account.stack) if row["type"].startswith("pulumi-python:")][::-1]:
        account.stack.pulumi("state", "delete", urn, "--stack", "dev", "--yes", "--force")
    before = account.ids()
    account.up()
    assert account.ids() == before
    assert set(account.senders().values()) == {"Active"}
    assert set(account.writes()) <= {"PUT /v3/REST/sender/{id}"}


def resources(stack: Stack) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(stack.pulumi("stack", "export", "--stack", "dev").out)["deployment"][
        "resources"
    ]
    return found


def test_rotation_of_both_secrets(account: Account) -> None:
    account.up()
    before = account.ids()
    account.stack.configure(routeSecret=ROTATED)
    account.up()
    assert account.routes() == dict.fromkeys(BOX.values(), url(ROTATED))
    assert account.ids() == before
    assert account.writes()["PUT /v3/REST/parseroute/{id}"] == 3
    assert "POST /v3/REST/parseroute" not in account.writes()

    key = account.emulators.credentials["MAILJET_API_KEY"]
    set_secret(account.emulators, key, "0" * 32)
    refused = account.up("--refresh", check=False)
    assert refused.code != 0
    assert "rejected the API key or its secret" in refused.text
    recorded = account.up("--refresh", MAILJET_API_SECRET="0" * 32)
    assert "1 updated" in recorded.text, "the book records which key was accepted last"
    assert account.writes() == {}
    set_secret(account.emulators, key, account.emulators.credentials["MAILJET_API_SECRET"])


def set_secret(emulators: Emulators, key: str, secret: str) -> None:
    """What the owner of the account does at Mailjet."""
    body = {"api_key": key, "api_secret": secret, "name": "Main account"}
    requests.put(emulators.control("mailjet", "apikeys"), json=body, timeout=10).raise_for_status()


def test_somebody_elses_route_is_refused_until_taken_over(account: Account) -> None:
    theirs = account.post("/v3/REST/parseroute", {"Email": BOX["agent-1"], "Url": "https://their.example/hook"})
    refused = account.up(check=False)
    assert refused.code != 0
    assert f"{BOX['agent-1']} goes to https://their.example/hook" in refused.text
    assert account.routes() == {BOX["agent-1"]: "https://their.example/hook"}
    account.stack.configure(takeOver=True)
    account.up()
    assert account.routes() == dict.fromkeys(BOX.values(), url())
    assert account.ids()[BOX["agent-1"]] == theirs["ID"]
