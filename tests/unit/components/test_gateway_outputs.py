"""What a stack with a gateway tells: each agent its own login, the gateway everything, everybody else no key."""

import json
from pathlib import Path
from typing import Any

import pytest

from azmail.contract import expand_mailboxes
from azmail.gateway.config import GatewayConfig
from azmail.gateway.credentials import Scope, authenticate
from commands.gateway import whole_file
from components.agent_mailboxes import Addressed
from components.gateway_outputs import gateway_file
from components.stack_outputs import mailboxes, platform_environment
from mailboxes.policies import AgentPolicy
from settings.loading import from_config
from settings.model import Settings

KEY, SECRET, ROOT = "account-key-" + "k" * 20, "account-secret-" + "s" * 20, "R" * 43
PEOPLE = Addressed(
    addresses={"a1": "ana@dev.agents.example", "b1": "bo@dev.agents.example", "ü": "u@dev.agents.example"},
    ahead={},
    policies={
        "b1": AgentPolicy(credential_epoch=2, limits=(("messages_an_hour", 7),), may_write_to=("agents.example",))
    },
)


def settings(**changes: Any) -> Settings:
    config = {
        "domain": "dev.agents.example",
        "zoneName": "agents.example",
        "zoneId": "0f1e2d3c4b5a69788796a5b4c3d2e1f0",
        "accountId": "00112233445566778899aabbccddeeff",
        "tunnelHostname": "api-dev.agents.example",
        "mailjetApiKey": KEY,
        "mailjetApiSecret": SECRET,
        "webhookSecret": "w" * 32,
        "submission": "gateway",
        "gatewayRoots": f"r1:{ROOT}",
        "mailjetSenders": '[{"email": "notify@dev.agents.example", "name": "Azt3kNet"}]',
        **changes,
    }
    return from_config(
        {key: value for key, value in config.items() if value is not None},
        stack="dev",
        preview=changes.get("gatewayRoots", "") is None,
        cloudflare_api_token="t" * 40,
    )


def environment(found: Settings, people: Addressed = PEOPLE) -> dict[str, str]:
    return platform_environment(found, people, tunnel_token="eyJ", tunnel_target="x.cfargotunnel.com")


@pytest.fixture
def gateway(tmp_path: Path) -> GatewayConfig:
    file = tmp_path / "gateway.json"
    file.write_text(
        whole_file({"gatewayEnv": gateway_file(settings(), PEOPLE), "mailboxes": mailboxes(settings(), PEOPLE)})
    )
    return GatewayConfig.read(file)


class TestWhoKnowsWhat:
    def test_the_accounts_key_and_the_root_are_in_the_gateways_file_alone(self) -> None:
        found = settings()
        assert all(secret in gateway_file(found, PEOPLE) for secret in (KEY, SECRET, ROOT))
        told = (
            mailboxes(found, PEOPLE) + repr(expand_mailboxes(mailboxes(found, PEOPLE))) + json.dumps(environment(found))
        )
        told += json.dumps([box.model_dump() for box in expand_mailboxes(mailboxes(found, PEOPLE))])
        assert not any(secret in told for secret in (KEY, SECRET, ROOT))

    def test_each_agents_login_is_its_own_and_the_gateway_takes_it(self, gateway: GatewayConfig) -> None:
        boxes = expand_mailboxes(mailboxes(settings(), PEOPLE))
        assert [box.agent_id for box in boxes] == list(PEOPLE.addresses)
        assert len({box.smtp_password for box in boxes}) == 3
        for box in boxes:
            assert (box.smtp_host, box.smtp_port, box.smtp_username) == ("mail-gateway", 587, box.agent_id)
            agent = authenticate(gateway.directory(), gateway.keys(), box.smtp_username, box.smtp_password, Scope.SEND)
            assert agent is not None
            assert agent.address == box.address

    def test_policies_reach_the_gateway(self, gateway: GatewayConfig) -> None:
        agent = gateway.directory().find("b1")
        assert agent is not None
        assert agent.epoch == 2
        policy = gateway.policies()["b1"]
        # What the population file does not name is that of everybody.
        assert (policy.limits.messages_an_hour, policy.limits.messages_a_day) == (7, 0)
        assert policy.recipients == frozenset({"agents.example"})
        assert gateway.default_policy().limits.messages_an_hour == 100
        assert set(gateway.policies()) == {"b1"}

    def test_the_platforms_own_mail_has_a_login_of_its_own(self, gateway: GatewayConfig) -> None:
        env = environment(settings())
        assert env["MAILJET_API_KEY"] == env["MAILJET_SMTP_USER"] == "notify@dev.agents.example"
        agent = authenticate(
            gateway.directory(), gateway.keys(), env["MAILJET_SMTP_USER"], env["MAILJET_SMTP_PASS"], Scope.SEND
        )
        assert agent is not None
        assert agent.address == "notify@dev.agents.example"
        assert (env["MAILJET_SMTP_HOST"], env["MAILJET_SMTP_PORT"]) == ("mail-gateway", "587")

    @pytest.mark.parametrize("senders", ["[]", '[{"email": "ANA@dev.agents.example", "name": "Ana"}]'])
    def test_without_a_sender_of_its_own_the_platform_has_no_login(self, senders: str) -> None:
        """An agent's address is that agent's alone."""
        env = environment(settings(mailjetSenders=senders))
        assert {env[name] for name in env if name.endswith(("_KEY", "_SECRET", "_USER", "_PASS"))} == {""}


class TestTheSendApi:
    @pytest.mark.parametrize(
        ("changes", "url"),
        [
            ({}, ""),
            ({"gatewayService": "http://mail-gateway:8025"}, "https://api-dev.agents.example"),
            ({"gatewayApiUrl": "https://send.agents.example"}, "https://send.agents.example"),
            ({"submission": "mailjet", "gatewayRoots": None}, "https://api.mailjet.com"),
        ],
    )
    def test_where_it_is(self, changes: Any, url: str) -> None:
        assert environment(settings(**changes))["MAILJET_API"] == url


class TestWithoutAGateway:
    def test_all_log_in_as_the_account(self) -> None:
        found = settings(submission="mailjet", gatewayRoots=None)
        assert gateway_file(found, PEOPLE) == ""
        for box in expand_mailboxes(mailboxes(found, PEOPLE)):
            assert (box.smtp_host, box.smtp_username, box.smtp_password) == ("in-v3.mailjet.com", KEY, SECRET)
        assert environment(found)["MAILJET_API_SECRET"] == SECRET

    def test_a_preview_without_secrets_has_a_form_too(self) -> None:
        found = settings(gatewayRoots=None)
        assert json.loads(mailboxes(found, PEOPLE))["packed"]
        assert environment(found)["MAILJET_SMTP_PASS"] == ""
        assert json.loads(gateway_file(found, PEOPLE))["roots"] == {}


class TestNoChange:
    def test_the_same_stack_gives_the_same_texts(self) -> None:
        assert mailboxes(settings(), PEOPLE) == mailboxes(settings(), PEOPLE)
        assert gateway_file(settings(), PEOPLE) == gateway_file(settings(), PEOPLE)
