"""What a stack with a gateway tells: each agent its own login, the gateway everything, everybody else no key."""

import json
from pathlib import Path
from typing import Any, ClassVar

import pytest

from azmail.contract import expand_mailboxes
from azmail.errors import NoInboxError
from azmail.gateway.config import GatewayConfig
from azmail.gateway.credentials import PLATFORM, Password, Scope, authenticate
from azmail.stack import MailStack
from commands.gateway import whole_file
from components.agent_mailboxes import Addressed
from components.gateway_outputs import gateway_file, inbox_access
from components.stack_outputs import mailboxes, platform_environment
from mailboxes.policies import AgentPolicy
from settings.loading import from_config
from settings.model import Settings
from tests.unit.azmail.conftest import stack_outputs

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


class TestTheInbox:
    """`inboxEnv` opens mailboxes, and nothing else opens any."""

    KEYS: ClassVar = {"inboxService": "http://mail-inbox:8026", "inboundAuth": "forwarder"}

    def outputs(self, **changes: Any) -> dict[str, Any]:
        found = settings(**self.KEYS, **changes)
        return stack_outputs(
            mailboxes=mailboxes(found, PEOPLE), mailboxCount=3, inboxEnv=inbox_access(found, PEOPLE),
        )  # fmt: skip

    def test_each_agent_and_the_platform_read_with_what_the_inbox_takes(self, tmp_path: Path) -> None:
        found, stack = settings(**self.KEYS), MailStack(self.outputs())
        file = tmp_path / "gateway.json"
        file.write_text(whole_file({"gatewayEnv": gateway_file(found, PEOPLE), "mailboxes": mailboxes(found, PEOPLE)}))
        config = GatewayConfig.read(file)
        for box in stack:
            own = stack.inbox_password(box.agent_id)
            assert own != box.smtp_password
            assert authenticate(config.directory(), config.keys(), box.agent_id, own, Scope.INBOX) is not None
            assert authenticate(config.directory(), config.keys(), box.agent_id, own, Scope.SEND) is None
        platform = Password.parse(stack.inbox_token)
        assert platform is not None
        assert config.keys().proves(platform, PLATFORM, Scope.PLATFORM)
        assert not config.keys().proves(platform, PLATFORM, Scope.INBOX)
        assert (config.webhook.secret, config.webhook.forward_token) == ("w" * 32, "w" * 32)
        assert config.webhook.path == "/api/webhooks/mailjet/inbound"

    @pytest.mark.parametrize(
        ("changes", "url", "is_public"),
        [
            ({}, "http://mail-inbox:8026", False),
            ({"inboxUrl": "https://read.agents.example/"}, "https://read.agents.example", False),
            ({"inboxUrl": "https://api-dev.agents.example"}, "https://api-dev.agents.example", True),
        ],
    )
    def test_where_it_is(self, changes: Any, url: str, is_public: bool) -> None:
        assert MailStack(self.outputs(**changes)).inbox_url == url
        assert settings(**self.KEYS, **changes).inbox_is_public is is_public

    def test_without_one_nothing_is_told(self) -> None:
        assert inbox_access(settings(), PEOPLE) == ""
        assert "webhook" not in json.loads(gateway_file(settings(), PEOPLE))
        stack = MailStack(stack_outputs(mailboxes=mailboxes(settings(), PEOPLE), mailboxCount=3))
        with pytest.raises(NoInboxError, match="set inboxService or inboxUrl"):
            stack.inbox("a1")

    def test_it_does_not_grow_with_the_agents(self) -> None:
        many = Addressed(addresses={f"a{n}": f"a{n}@dev.agents.example" for n in range(1000)}, ahead={}, policies={})
        assert len(inbox_access(settings(**self.KEYS), many)) < 400

    def test_a_preview_without_secrets_has_a_form_too(self) -> None:
        found = settings(**self.KEYS, gatewayRoots=None)
        assert json.loads(inbox_access(found, PEOPLE))["platform"] == ""


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
