"""Whatever a person gets wrong: one sentence, a non-zero exit, and nothing written anywhere."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.stack import Emulators, Finished, Stack

SHORT_API_KEY = "0" * 32


@pytest.fixture(scope="module")
def empty_stack(emulators: Emulators, tmp_path_factory: pytest.TempPathFactory) -> Stack:
    """One stack for all cases: none of them ever creates anything in it."""
    return Stack.create(tmp_path_factory.mktemp("bad-input"), emulators)


@pytest.fixture
def stack(empty_stack: Stack) -> Iterator[Stack]:
    """The stack, with its configuration restored afterwards."""
    good = empty_stack.config_file.read_text()
    empty_stack.emulators.forget_requests()
    yield empty_stack
    empty_stack.config_file.write_text(good)


def assert_refused(done: Finished, emulators: Emulators, *sentences: str) -> None:
    assert done.code != 0
    assert "Traceback" not in done.text
    for sentence in sentences:
        assert sentence in " ".join(done.text.split()), done.text
    assert emulators.writes == 0


def population(tmp_path: Path, text: str) -> list[dict[str, str]]:
    file = tmp_path / "population.yaml"
    file.write_text(text)
    return [{"file": str(file)}]


AGENT = "{id: 538605c0-4728-53d9-b533-76e2b3da240c, name: Vector Aurora, username_hint: va}"


class TestConfiguration:
    def test_a_missing_key(self, stack: Stack, emulators: Emulators) -> None:
        stack.configure(zoneId=None)
        assert_refused(
            stack.up(check=False), emulators, "agentmail:zoneId is not set; expected the id of the Cloudflare zone"
        )

    def test_a_wrong_value(self, stack: Stack, emulators: Emulators) -> None:
        stack.configure(domain="dev.elsewhere.example")
        assert_refused(
            stack.preview(check=False),
            emulators,
            "agentmail:domain is 'dev.elsewhere.example', which is outside the zone 'agents.example'",
        )

    def test_a_value_of_the_wrong_type(self, stack: Stack, emulators: Emulators) -> None:
        stack.configure(ttl="soon")
        assert_refused(stack.preview(check=False), emulators, "configuration key 'ttl' must be of type 'integer'")

    def test_an_unknown_key(self, stack: Stack, emulators: Emulators) -> None:
        stack.configure(tunelHostname="api.agents.example")
        assert_refused(
            stack.preview(check=False),
            emulators,
            "agentmail:tunelHostname is not a configuration key",
            "did you mean tunnelHostname?",
        )

    def test_a_secret_in_plain_text(self, stack: Stack, emulators: Emulators) -> None:
        stack.configure(mailjetApiSecret="planted-secret-0123456789")
        done = stack.preview(check=False)
        assert_refused(
            done,
            emulators,
            "agentmail:mailjetApiSecret is stored in plain text",
            "./mail pulumi config set --stack dev --secret agentmail:mailjetApiSecret",
        )
        assert "planted-secret" not in done.text

    def test_the_wrong_zone(self, stack: Stack, emulators: Emulators) -> None:
        stack.configure(zoneName="example", domain="dev.agents.example")
        stack.configure(zoneName="dev.agents.example", tunnelHostname="api.dev.agents.example")
        assert_refused(
            stack.preview(check=False),
            emulators,
            "agentmail:zoneName is 'dev.agents.example', but the zone with the id",
        )


class TestPopulation:
    def test_no_such_file(self, stack: Stack, emulators: Emulators) -> None:
        stack.configure(populations=[{"file": "populations/nowhere.yaml"}])
        assert_refused(stack.preview(check=False), emulators, "populations/nowhere.yaml")

    def test_malformed(self, stack: Stack, emulators: Emulators, tmp_path: Path) -> None:
        stack.configure(populations=population(tmp_path, "agents: [\n"))
        assert_refused(stack.preview(check=False), emulators, "population.yaml")

    def test_a_duplicate_agent(self, stack: Stack, emulators: Emulators, tmp_path: Path) -> None:
        text = f"seed: s\ncreated_at: 20241005123045\nagents:\n- {AGENT}\n- {AGENT.replace('538605c0', '538605C0')}\n"
        stack.configure(populations=population(tmp_path, text))
        assert_refused(stack.preview(check=False), emulators, "538605c0-4728-53d9-b533-76e2b3da240c")

    def test_an_agent_without_a_usable_name(self, stack: Stack, emulators: Emulators, tmp_path: Path) -> None:
        text = 'seed: s\ncreated_at: 20241005123045\nagents:\n- {id: nobody, name: "!!!", username_hint: "---"}\n'
        stack.configure(populations=population(tmp_path, text))
        assert_refused(stack.preview(check=False), emulators, "nobody")


class TestCredentials:
    def test_none_at_all_stops_an_up_but_no_preview(self, stack: Stack, emulators: Emulators) -> None:
        nothing = dict.fromkeys(
            ("MAILJET_API_KEY", "MAILJET_API_SECRET", "CLOUDFLARE_API_TOKEN", "MAILJET_INBOUND_SECRET"), ""
        )
        done = stack.up(check=False, **nothing)
        assert_refused(
            done,
            emulators,
            "agentmail:mailjetApiKey is not set",
            "agentmail:mailjetApiSecret is not set",
            "agentmail:webhookSecret is not set",
            "cloudflare:apiToken is not set",
        )
        assert stack.preview(check=True, **nothing).code == 0

    def test_wrong_mailjet_key(self, stack: Stack, emulators: Emulators) -> None:
        done = stack.up(check=False, MAILJET_API_KEY=SHORT_API_KEY)
        assert_refused(done, emulators, "Mailjet", "mailjetApiKey")
        assert SHORT_API_KEY not in done.text

    def test_wrong_cloudflare_token(self, stack: Stack, emulators: Emulators) -> None:
        done = stack.up(check=False, CLOUDFLARE_API_TOKEN="x" * 40)
        assert_refused(done, emulators, "Cloudflare rejected the API token", "CLOUDFLARE_API_TOKEN")
        assert "x" * 40 not in done.text


class TestNothingListens:
    def test_cloudflare(self, stack: Stack, emulators: Emulators) -> None:
        stack.configure(**{"cloudflare:baseUrl": "http://127.0.0.1:9/client/v4"})
        assert_refused(stack.up(check=False), emulators, "Cloudflare's API does not answer", "./mail emulators up")

    def test_mailjet(self, stack: Stack, emulators: Emulators) -> None:
        stack.configure(mailjetApiUrl="http://127.0.0.1:9")
        assert_refused(stack.up(check=False), emulators, "127.0.0.1:9", "./mail emulators up")


class TestForeignRecords:
    def test_an_spf_record_of_somebody_else_stops_preview_and_up(self, stack: Stack, emulators: Emulators) -> None:
        foreign = {
            "type": "TXT",
            "name": "dev.agents.example",
            "content": '"v=spf1 include:_spf.corp.example -all"',
            "ttl": 300,
        }
        made = emulators.cloudflare("POST", "/dns_records", json=foreign).json()["result"]
        emulators.forget_requests()
        for done in (stack.preview(check=False), stack.up(check=False)):
            assert_refused(
                done,
                emulators,
                "1 record that this program did not make",
                "_spf.corp.example",
                "./mail adopt dev",
            )
        assert made["id"] in {record["id"] for record in emulators.records()}
        emulators.cloudflare("DELETE", f"/dns_records/{made['id']}")
