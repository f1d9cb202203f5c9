"""Zones of every kind and the tunnel, on the real engine."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from commands.environments.files import write_tunnel
from tests.e2e.adoption import adopt, put_there, snapshot
from tests.e2e.stack import Emulators, Stack

HOST = "api-dev.agents.example"
SPF = {"type": "TXT", "name": "dev.agents.example", "content": "v=spf1 -all", "ttl": 300}
EXISTING = "6b1c97b1-9aef-4923-bbaf-69508974f8d5.cfargotunnel.com"


@pytest.fixture(scope="module")
def module_stack(emulators: Emulators, tmp_path_factory: pytest.TempPathFactory) -> Stack:
    """One stack without agents for all cases; the emulators stay as the test before has left them."""
    emulators.reset()
    stack = Stack.create(tmp_path_factory.mktemp("dns"), emulators)
    stack.configure(populations=[])
    return stack


@pytest.fixture
def stack(module_stack: Stack) -> Iterator[Stack]:
    """The stack, with its configuration restored afterwards."""
    good = module_stack.config_file.read_text()
    module_stack.emulators.forget_requests()
    yield module_stack
    module_stack.config_file.write_text(good)


def one_line(text: str) -> str:
    return " ".join(text.split())


def requests_to(emulators: Emulators, *parts: str) -> list[str]:
    """`METHOD path` of every write to Cloudflare whose path has one of these parts, in order."""
    log = requests.get(emulators.control("cloudflare", "requests"), timeout=10).json()["requests"]
    return [
        f"{entry['method']} {entry['path']}"
        for entry in log
        if entry["method"] != "GET" and any(part in entry["path"] for part in parts)
    ]


class TestConflicts:
    """Refused before anything is written, by preview and up alike."""

    def test_the_last_of_a_thousand_records(self, stack: Stack, emulators: Emulators) -> None:
        filler = [
            {"type": "TXT", "name": f"n{number}.agents.example", "content": "x", "ttl": 300} for number in range(1100)
        ]
        put_there(emulators, *filler, SPF)
        emulators.forget_requests()
        done = stack.up(check=False)
        assert "1 record that this program did not make" in done.text
        assert "v=spf1 -all" in done.text
        assert emulators.writes == 0
        emulators.reset()

    def test_the_tunnel_s_host_serves_something_else(self, stack: Stack, emulators: Emulators) -> None:
        put_there(emulators, {"type": "A", "name": HOST, "content": "192.0.2.80", "ttl": 300})
        emulators.forget_requests()
        done = stack.preview(check=False)
        assert "192.0.2.80 the place of the tunnel's CNAME" in one_line(done.text)
        assert emulators.writes == 0
        emulators.reset()

    def test_what_email_routing_has_locked(self, stack: Stack, emulators: Emulators) -> None:
        mx = {
            "type": "MX",
            "name": "dev.agents.example",
            "content": "route1.mx.cloudflare.net",
            "priority": 13,
            "ttl": 300,
        }
        [record_id] = put_there(emulators, mx)
        zone = emulators.status["cloudflare"]["zone_id"]
        requests.put(
            emulators.control("cloudflare", f"zones/{zone}/dns_records/{record_id}/meta"),
            json={"email_routing": True, "read_only": True},
            timeout=10,
        ).raise_for_status()
        assert "would go to both; Email Routing has locked it" in one_line(stack.preview(check=False).text)
        done = adopt(stack, "--replace-mx", "--yes", check=False)
        assert "is locked by Email Routing (read_only in its meta)" in done.text
        assert "Settings > Disable" in done.text
        emulators.reset()

    def test_a_delegation_above_a_place_of_ours(self, stack: Stack, emulators: Emulators) -> None:
        put_there(
            emulators,
            {"type": "NS", "name": "_domainkey.dev.agents.example", "content": "ns1.corp.example", "ttl": 300},
        )
        emulators.forget_requests()
        assert "it delegates a place of ours" in one_line(stack.up(check=False).text)
        assert emulators.writes == 0
        emulators.reset()

    def test_a_website_behind_the_proxy_stays_beside_our_records(self, stack: Stack, emulators: Emulators) -> None:
        site = {"type": "CNAME", "name": "dev.agents.example", "content": "site.pages.dev", "proxied": True, "ttl": 1}
        [record_id] = put_there(emulators, site)
        before = snapshot(emulators)[record_id]
        assert stack.preview().code == 0
        assert snapshot(emulators)[record_id] == before
        emulators.reset()

    @pytest.mark.parametrize(
        ("config", "sentence"),
        [
            (
                {"tunnelHostname": "api.elsewhere.example"},
                "agentmail:tunnelHostname is 'api.elsewhere.example', which is outside the zone",
            ),
            (
                {"tunnelHostname": "dev.agents.example"},
                "agentmail:tunnelHostname is 'dev.agents.example', the mail domain itself",
            ),
            (
                {"accountId": None, "tunnelCname": "api.corp.example"},
                "agentmail:tunnelCname is 'api.corp.example'; expected the name of a tunnel, ID.cfargotunnel.com",
            ),
        ],
    )
    def test_a_host_that_cannot_be(
        self, stack: Stack, emulators: Emulators, config: dict[str, object], sentence: str
    ) -> None:
        stack.configure(**config)
        done = stack.up(check=False)
        assert sentence in one_line(done.text)
        assert "Traceback" not in done.text
        assert emulators.writes == 0


class TestZoneElsewhere:
    def test_the_expected_records_are_told_and_cloudflare_hears_nothing(
        self, stack: Stack, emulators: Emulators
    ) -> None:
        stack.configure(dns="none", zoneId=None, zoneName=None, accountId=None, tunnelHostname=None, inboxService=None)
        stack.configure(webhookUrl="https://hooks.agents.example/in", verification="off")
        stack.up()
        records = stack.outputs()["expectedRecords"]
        assert [record["type"] for record in records] == ["MX", "TXT", "TXT", "TXT", "TXT"]
        assert all(record["why"] for record in records)
        assert emulators.counts("cloudflare")["by"] == {}
        assert stack.preview("--expect-no-changes").code == 0
        stack.destroy()


class TestTunnel:
    """The tests build on each other, in order."""

    def test_it_is_made_with_its_way_in(self, stack: Stack, emulators: Emulators) -> None:
        stack.up()
        [cname] = [record for record in emulators.records() if record["name"] == HOST]
        outputs = stack.outputs()
        assert cname["proxied"] is True
        assert outputs["tunnelHostname"] == HOST
        assert outputs["expectedRecords"][-1]["content"] == cname["content"]
        shown = json.loads(stack.pulumi("stack", "output", "--stack", "dev", "--json").out)
        assert shown["tunnelToken"] == "[secret]"
        assert outputs["tunnelToken"] not in stack.pulumi("stack", "export", "--stack", "dev").out

    def test_the_token_reaches_its_file_and_no_command_line(self, stack: Stack, tmp_path: Path) -> None:
        token = stack.pulumi("stack", "output", "tunnelToken", "--show-secrets", "--stack", "dev").out
        write_tunnel(tmp_path / "tunnel.env", token)
        assert (tmp_path / "tunnel.env").read_text() == f"TUNNEL_TOKEN={token.strip()}\n"

    def test_another_tunnel_takes_over_without_a_gap(self, stack: Stack, emulators: Emulators) -> None:
        [before] = [record for record in emulators.records() if record["name"] == HOST]
        stack.configure(accountId=None, tunnelCname=EXISTING, inboxService=None)
        emulators.forget_requests()
        stack.up()
        [after] = [record for record in emulators.records() if record["name"] == HOST]
        assert (after["id"], after["content"]) == (before["id"], EXISTING)
        done = requests_to(emulators, "dns_records", "cfd_tunnel")
        assert [line.split(" ")[0] for line in done] == ["PUT", "DELETE"]
        assert "cfd_tunnel" in done[1]

    def test_and_back_again(self, stack: Stack, emulators: Emulators) -> None:
        emulators.forget_requests()
        stack.up()
        done = requests_to(emulators, "dns_records")
        assert [line.split(" ")[0] for line in done] == ["PUT"]
        assert stack.preview("--expect-no-changes").code == 0

    def test_destroy_leaves_the_zone_as_it_was(self, stack: Stack, emulators: Emulators) -> None:
        stack.destroy()
        left = snapshot(emulators)
        emulators.reset()
        assert left == snapshot(emulators)
