"""The doctor at a stack that is up: nothing to find, then three planted faults, then mended by what it says."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

import pytest

from commands.state_values import outputs
from tests.e2e.stack import ROOT, Emulators, Finished, Stack, mail

DOMAIN = "dev.agents.example"


@pytest.fixture(scope="module")
def port() -> int:
    """A port that nobody listens at, for the platform behind the tunnel."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        found: int = probe.getsockname()[1]
        return found


@pytest.fixture(scope="module")
def sick(emulators: Emulators, tmp_path_factory: pytest.TempPathFactory, port: int) -> Stack:
    """A small stack whose tunnel leads to `port`."""
    made = Stack.create(tmp_path_factory.mktemp("doctor"), emulators, population=ROOT / "populations" / "prod.yaml")
    made.configure(tunnelService=f"http://127.0.0.1:{port}", inboundAuth="basic")
    return made


def doctor(stack: Stack, *options: str | Path) -> Finished:
    arguments = [
        "doctor",
        stack.name,
        "-C",
        stack.folder,
        "--emulators",
        stack.emulators.folder,
        *options,
    ]
    done = mail(*arguments, env=stack.environment, check=False)
    assert "Traceback" not in done.text, done.text
    for secret in stack.emulators.credentials.values():
        assert secret not in done.text
    return done


def examined(stack: Stack, *options: str) -> tuple[int, list[dict[str, Any]]]:
    done = doctor(stack, "--json", *options)
    findings: list[dict[str, Any]] = json.loads(done.out)["findings"]
    return done.code, findings


def errors(findings: list[dict[str, Any]]) -> set[tuple[str, str]]:
    return {(item["check"], item["subject"]) for item in findings if item["status"] == "error"}


class TestScenario:
    """The tests of this class build on each other, in order."""

    def test_before_the_first_up(self, sick: Stack) -> None:
        code, findings = examined(sick)
        assert code == 1
        assert "has no outputs, expected those of an up" in findings[0]["sentence"]

    def test_nothing_to_find(self, sick: Stack) -> None:
        sick.up()
        sick.start_gateway()
        state = json.loads(sick.pulumi("stack", "export", "--show-secrets", "--stack", sick.name).out)
        assert outputs(state) == sick.outputs()
        code, findings = examined(sick)
        assert (code, errors(findings)) == (0, set())
        assert {item["check"] for item in findings} == {
            "configuration", "credentials", "zone", "dns", "spf", "dkim", "dmarc", "mailjet", "routes", "tunnel", "webhook",
            "gateway", "upstream", "inbox",
        }  # fmt: skip

    def test_a_mail_goes_round(self, sick: Stack, port: int) -> None:
        code, findings = examined(sick, "--round-trip", "--timeout", "60")
        assert (code, errors(findings)) == (0, set())
        sentences = [item["sentence"] for item in findings]
        assert "Sent through Mailjet, routed, delivered, and read in the inbox." in sentences
        assert "The agent's own credential opens its mailbox." in sentences
        assert "Refused: an agent reads its own mailbox alone." in sentences
        assert "The agent's own login is taken." in sentences
        assert "Refused: an agent sends as itself alone." in sentences
        assert "Mailjet takes the login of the account behind the gateway." in sentences
        assert "A wrong one is refused, the right one is not." in sentences

    def test_what_somebody_broke_is_found(self, sick: Stack, emulators: Emulators) -> None:
        records = {f"{record['type']} {record['name']}": record for record in emulators.records()}
        dkim, dmarc = f"TXT mailjet._domainkey.{DOMAIN}", f"TXT _dmarc.{DOMAIN}"
        for label, content in ((dkim, '"k=rsa; p=MIGfMA0GCSqGSIb3DQEB"'), (dmarc, '"v=DMARC1; p=reject"')):
            changed = emulators.cloudflare("PATCH", f"/dns_records/{records[label]['id']}", json={"content": content})
            changed.raise_for_status()
        route = emulators.routes()[0]
        emulators.mailjet("DELETE", f"/v3/REST/parseroute/{route['ID']}").raise_for_status()

        code, findings = examined(sick)
        assert code == 1
        assert errors(findings) == {
            ("zone", dkim),
            ("dns", dkim),
            ("dkim", f"DKIM mailjet._domainkey.{DOMAIN}"),
            ("zone", dmarc),
            ("dns", dmarc),
            ("dmarc", f"DMARC {DOMAIN}"),
            ("routes", "missing"),
        }
        [missing] = [item["sentence"] for item in findings if item["subject"] == "missing"]
        assert f"1 of 3 mailboxes have no inbound route ({route['Email']})" in missing
        for item in findings:
            if item["status"] == "error":
                assert "./mail apply dev --refresh" in item["sentence"]

    def test_what_it_says_mends_it(self, sick: Stack) -> None:
        sick.configure(inboxService=None)
        sick.up("--refresh")
        table = doctor(sick)
        assert table.code == 0, table.out
        assert table.out.splitlines()[0].startswith("STATUS")
        assert table.out.splitlines()[-1].endswith("0 errors")

    def test_without_an_inbox_it_receives_in_the_platforms_place(self, sick: Stack, port: int) -> None:
        code, findings = examined(sick, "--round-trip", "--listen", f"127.0.0.1:{port}", "--timeout", "60")
        assert (code, errors(findings)) == (0, set())
        assert "Sent through Mailjet, routed, delivered and received." in [item["sentence"] for item in findings]
        assert "inbox" not in {item["check"] for item in findings}

    def test_a_refused_key_is_one_error_and_one_request(self, sick: Stack, emulators: Emulators) -> None:
        emulators.forget_requests()
        sick.environment["MAILJET_API_SECRET"] = "f" * 32
        try:
            code, findings = examined(sick)
        finally:
            sick.environment["MAILJET_API_SECRET"] = emulators.credentials["MAILJET_API_SECRET"]
        assert code == 1
        assert [error for error in errors(findings) if error[0] != "webhook"] == [("credentials", "Mailjet key")]
        assert sum(emulators.counts("mailjet")["by"].values()) == 1
        unasked = {
            item["check"] for item in findings if item["sentence"].startswith("Not looked at: it needs the Mailjet")
        }
        assert unasked == {"dkim", "mailjet", "routes", "upstream"}

    def test_a_refused_token_likewise(self, sick: Stack, emulators: Emulators) -> None:
        sick.environment["CLOUDFLARE_API_TOKEN"] = "x" * 40
        try:
            _, findings = examined(sick)
        finally:
            sick.environment["CLOUDFLARE_API_TOKEN"] = emulators.credentials["CLOUDFLARE_API_TOKEN"]
        assert [error for error in errors(findings) if error[0] != "webhook"] == [("credentials", "Cloudflare token")]
        unasked = {
            item["check"] for item in findings if item["sentence"].startswith("Not looked at: it needs the Cloudf")
        }
        assert unasked == {"zone", "tunnel"}

    def test_a_configuration_that_is_wrong(self, sick: Stack) -> None:
        good = sick.config_file.read_text()
        sick.configure(tunnelHostname="api.elsewhere.example")
        code, [finding] = examined(sick)
        assert code == 1
        assert "agentmail:tunnelHostname is 'api.elsewhere.example', which is outside the zone" in finding["sentence"]
        sick.config_file.write_text(good)

    def test_a_stack_that_does_not_exist(self, sick: Stack) -> None:
        done = mail("doctor", "nowhere", "-C", sick.folder, env=sick.environment, check=False)
        assert done.code == 1
        assert "no stack named 'nowhere' found" in " ".join(done.out.split())

    def test_a_resolver_that_is_none(self, sick: Stack) -> None:
        done = doctor(sick, "--resolver", "dns.google")
        assert done.code == 2
        assert "--resolver is 'dns.google', expected an IP address" in done.err
