"""Configuration: what is accepted, and the sentence for each mistake."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from commands.environments.draft import Draft, full
from commands.environments.platform_variables import KNOWN, import_variables
from settings.loading import SECRET_KEYS, SettingsError, credential_marks, from_config, stored_in_plain_text
from settings.model import SendLimits, Settings
from settings.values import PROJECT, Dns, TunnelKind

ROOT = Path(__file__).parents[3]
GOOD = {
    "domain": "dev.agents.example",
    "zoneName": "agents.example",
    "zoneId": "0f1e2d3c4b5a69788796a5b4c3d2e1f0",
    "accountId": "00112233445566778899aabbccddeeff",
    "tunnelHostname": "api-dev.agents.example",
    "mailjetApiKey": "k" * 32,
    "mailjetApiSecret": "s" * 32,
    "webhookSecret": "w" * 32,
}


def load(
    *,
    preview: bool = False,
    token: str = "t" * 40,
    in_plain_text: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
    **changes: object,
) -> Settings:
    config = {key: value for key, value in {**GOOD, **changes}.items() if value is not None}
    return from_config(
        config,
        stack="dev",
        preview=preview,
        cloudflare_api_token=token,
        in_plain_text=in_plain_text,
        environment=environment or {},
    )


def problems(**changes: Any) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        load(**changes)
    return caught.value.problems


class TestDeclaration:
    """`Pulumi.yaml` and `Settings` say the same."""

    def declared(self) -> dict[str, Any]:
        found: dict[str, Any] = yaml.safe_load((ROOT / "Pulumi.yaml").read_text())
        return found

    def test_every_key_is_declared_and_read(self) -> None:
        read = {
            field.alias
            for name, field in Settings.model_fields.items()
            if name not in {"stack", "preview", "cloudflare_api_token"}
        }
        assert set(self.declared()["config"]) == read

    def test_every_key_has_type_description_and_default(self) -> None:
        for key, schema in self.declared()["config"].items():
            assert schema["type"], key
            assert len(schema["description"]) > 8, key
            assert "default" in schema or key == "domain"

    def test_defaults_agree(self) -> None:
        declared = self.declared()["config"]
        fields = {field.alias: field for field in Settings.model_fields.values()}
        for key, schema in declared.items():
            default = fields[key].default
            if isinstance(default, SendLimits):
                default = default.model_dump(by_alias=True, exclude_defaults=True)
            if key != "domain":
                assert schema["default"] == default, key

    def test_the_declared_defaults_are_a_valid_configuration(self) -> None:
        defaults = {
            key: {"array": "[]", "object": json.dumps(s["default"])}.get(s["type"], str(s["default"]))
            for key, s in self.declared()["config"].items()
            if "default" in s
        }
        defaults["mailjetMxHosts"] = '["parse.mailjet.com"]'
        assert from_config({**defaults, **GOOD}, stack="dev", preview=True)

    def test_the_project_is_the_namespace(self) -> None:
        assert self.declared()["name"] == PROJECT

    @pytest.mark.parametrize("path", sorted(ROOT.glob("Pulumi.*.yaml")), ids=lambda path: path.name)
    def test_every_stack_file_in_the_repository_is_valid(self, path: Path) -> None:
        config = {
            key.removeprefix(f"{PROJECT}:"): value
            for key, value in yaml.safe_load(path.read_text())["config"].items()
            if key.startswith(PROJECT)
        }
        assert from_config(config, stack=path.name.split(".")[1], preview=True)


class TestDerived:
    def test_marks_and_urls(self) -> None:
        found = load()
        assert found.tag == "agentmail-dev"
        assert found.record_comment == "managed by pulumi: agentmail-dev"
        assert found.public_webhook_url == "https://api-dev.agents.example/api/webhooks/mailjet/inbound"
        assert found.route_identity == "https://agentmail-dev@api-dev.agents.example/api/webhooks/mailjet/inbound"
        assert (
            found.route_url == f"https://agentmail-dev:{'w' * 32}@api-dev.agents.example/api/webhooks/mailjet/inbound"
        )
        assert found.tunnel_kind is TunnelKind.CREATED

    def test_an_own_tag_and_an_own_url(self) -> None:
        found = load(ownerTag="alpha", webhookUrl="https://hooks.example:8443/in")
        assert found.route_identity == "https://alpha@hooks.example:8443/in"

    def test_an_international_domain_becomes_its_a_label(self) -> None:
        assert load(domain="ágents.agents.example").domain == "xn--gents-wqa.agents.example"

    def test_secrets_are_not_in_the_repr(self) -> None:
        assert not any(GOOD[key] in repr(load()) for key in ("mailjetApiSecret", "webhookSecret", "mailjetApiKey"))

    def test_populations_come_as_json(self) -> None:
        found = load(populations='[{"file": "populations/dev.yaml", "createdAt": "20241005123045"}]')
        assert found.populations[0].created_at == "20241005123045"

    def test_a_stamp_written_as_a_number_is_text(self) -> None:
        [entry] = load(populations='[{"file": "p.yaml", "createdAt": 20241005123045, "seed": 7}]').populations
        assert (entry.created_at, entry.seed) == ("20241005123045", "7")


class TestGateway:
    ROOT = "r1:" + "R" * 43

    def test_an_up_without_a_root_is_refused_with_the_command_that_makes_one(self) -> None:
        assert problems(submission="gateway") == [
            "agentmail:gatewayRoots is not set; expected the root secret that every agent's password is made from; make one with: "
            "./mail gateway rotate --stack dev, or set it in the environment as AGENTMAIL_GATEWAY_ROOTS"
        ]
        assert load(submission="gateway", environment={"AGENTMAIL_GATEWAY_ROOTS": self.ROOT}).roots == {"r1": "R" * 43}
        assert load(submission="gateway", preview=True).roots == {}
        assert load().roots == {}

    @pytest.mark.parametrize("root", ["r1:short", "R" * 43, "r1:" + "R" * 43 + ",r1:" + "R" * 43])
    def test_a_bad_root_is_refused_in_a_preview_too_and_not_shown(self, root: str) -> None:
        [said] = problems(submission="gateway", preview=True, gatewayRoots=root)
        assert said.startswith("agentmail:gatewayRoots ")
        assert said.endswith("; make one with: ./mail gateway rotate --stack dev")
        assert root.removeprefix("r1:") not in said

    def test_what_agents_send_through(self) -> None:
        found = load(submission="gateway", gatewayRoots=self.ROOT, gatewayHost="gw.agents.example", gatewayPort="2587")
        assert (found.smtp_host, found.smtp_port, found.has_gateway) == ("gw.agents.example", 2587, True)
        assert (load().smtp_host, load().smtp_port, load().has_gateway) == ("in-v3.mailjet.com", 587, False)
        assert self.ROOT[3:] not in repr(found)

    def test_limits(self) -> None:
        found = load(gatewayAgentLimits='{"messagesAnHour": 5}', gatewayAccountLimits='{"recipientsADay": 900}')
        assert (found.gateway_agent_limits.messages_an_hour, found.gateway_agent_limits.messages_a_day) == (5, 0)
        assert found.gateway_account_limits.recipients_a_day == 900
        for wrong in ('{"messages": 5}', '{"messagesAnHour": -1}', "5", "[]"):
            assert problems(gatewayAgentLimits=wrong)[0].startswith("agentmail:gatewayAgentLimits")

    @pytest.mark.parametrize(
        "changes",
        [
            {"submission": "mailjet"},
            {"submission": "gateway", "accountId": None, "tunnelCname": "x.cfargotunnel.com"},
        ],
    )
    def test_a_way_from_the_tunnel_needs_both_ends(self, changes: dict[str, Any]) -> None:
        [said] = problems(gatewayService="http://mail-gateway:8025", gatewayRoots=self.ROOT, **changes)
        assert "remove it with: ./mail pulumi config rm --stack dev gatewayService" in said

    @pytest.mark.parametrize(
        ("key", "changes"),
        [
            ("inboxService", {"submission": "mailjet"}),
            ("inboxUrl", {"submission": "mailjet"}),
            ("inboxService", {"submission": "gateway", "accountId": None, "tunnelCname": "x.cfargotunnel.com"}),
        ],
    )
    def test_an_inbox_needs_the_root_secret_and_its_service_a_tunnel(self, key: str, changes: dict[str, Any]) -> None:
        [said] = problems(gatewayRoots=self.ROOT, **{key: "http://mail-inbox:8026"}, **changes)
        assert (
            f"remove {'it' if 'accountId' in changes else key} with: ./mail pulumi config rm --stack dev {key}" in said
        )

    def test_passwords_travel_to_an_inbox_by_https_or_within_the_network(self) -> None:
        own: dict[str, Any] = {"submission": "gateway", "gatewayRoots": self.ROOT}
        [said] = problems(**own, inboxUrl="http://read.example")
        assert "expected https, or the name of a service on the platform's network" in said
        assert load(**own, inboxUrl="http://mail-inbox:8026/").inbox_api_url == "http://mail-inbox:8026"
        assert load(**own, inboxUrl="https://read.example").inbox_api_url == "https://read.example"

    def test_an_unknown_kind(self) -> None:
        assert "agentmail:submission" in problems(submission="postfix")[0]


class TestCredentials:
    def test_a_preview_needs_none(self) -> None:
        assert load(preview=True, token="", mailjetApiKey=None, mailjetApiSecret=None, webhookSecret=None)

    def test_an_up_needs_every_one_and_says_where_it_may_come_from(self) -> None:
        found = problems(token="", mailjetApiKey=None, mailjetApiSecret=None, webhookSecret=None)
        assert [sentence.split(" ")[0] for sentence in found] == [
            "agentmail:mailjetApiKey",
            "agentmail:mailjetApiSecret",
            "agentmail:webhookSecret",
            "cloudflare:apiToken",
        ]
        assert found[1] == (
            "agentmail:mailjetApiSecret is not set; expected Mailjet's API secret; "
            "set it with: ./mail pulumi config set --stack dev --secret mailjetApiSecret, or in the environment as MAILJET_API_SECRET"
        )

    def test_the_environment_stands_in(self) -> None:
        found = load(
            mailjetApiKey=None,
            mailjetApiSecret=None,
            webhookSecret=None,
            token="",
            environment={
                "MAILJET_API_KEY": "from-env",
                "MAILJET_API_SECRET": "s",
                "MAILJET_INBOUND_SECRET": "x" * 20,
                "CLOUDFLARE_API_TOKEN": "t",
            },
        )
        assert found.mailjet_api_key == "from-env"

    def test_configuration_wins_over_the_environment(self) -> None:
        assert load(environment={"MAILJET_API_KEY": "other"}).mailjet_api_key == GOOD["mailjetApiKey"]

    def test_a_secret_in_plain_text_is_refused(self) -> None:
        [sentence] = problems(in_plain_text=["agentmail:mailjetApiSecret"])
        assert sentence.startswith("agentmail:mailjetApiSecret is stored in plain text")

    @given(hidden=st.sets(st.sampled_from(SECRET_KEYS)), present=st.sets(st.sampled_from(SECRET_KEYS)))
    def test_every_secret_in_plain_text_is_found_whatever_its_namespace(
        self, hidden: set[str], present: set[str]
    ) -> None:
        values = dict.fromkeys(present, "x") | {"agentmail:domain": "a.example", "cloudflare:baseUrl": "http://x"}
        found = stored_in_plain_text(values, hidden.__contains__)
        assert set(found) == present - hidden
        if found:
            sentences = problems(in_plain_text=found)
            assert [sentence.partition(" ")[0] for sentence in sentences] == found

    def test_what_an_environment_stores_as_a_secret_must_be_one(self) -> None:
        made = Draft()
        import_variables(dict.fromkeys(KNOWN, "x" * 24), made)
        assert len(made.secrets) > 2
        assert {full(key) for key in made.secrets} <= set(SECRET_KEYS)


class TestCredentialMarks:
    def test_another_value_has_another_mark_and_another_stack_too(self) -> None:
        one = credential_marks({"agentmail:mailjetApiSecret": "a" * 32}, "prod")
        assert one == credential_marks({"agentmail:mailjetApiSecret": "a" * 32}, "prod")
        assert one != credential_marks({"agentmail:mailjetApiSecret": "b" * 32}, "prod")
        assert one != credential_marks({"agentmail:mailjetApiSecret": "a" * 32}, "staging")
        assert [len(mark) for mark in one.values()] == [8]

    def test_every_secret_key_that_is_set_but_the_password_that_a_person_may_have_chosen(self) -> None:
        values = dict.fromkeys(SECRET_KEYS, "v" * 32) | {"agentmail:domain": "x.example"}
        keys = {key.removeprefix("agentmail:") for key in SECRET_KEYS} - {"webhookSecret"}
        assert credential_marks(values, "prod").keys() == keys
        assert credential_marks({"agentmail:mailjetApiKey": ""}, "prod") == {}


class TestMistakes:
    @pytest.mark.parametrize(
        ("changes", "expected"),
        [
            ({"domain": None}, "agentmail:domain is not set"),
            ({"domain": "no_dots"}, "agentmail:domain is 'no_dots'; expected a domain name"),
            ({"domain": "a..b.example"}, "agentmail:domain is 'a..b.example'"),
            (
                {"domain": "elsewhere.example"},
                "agentmail:domain is 'elsewhere.example', which is outside the zone 'agents.example'",
            ),
            (
                {"tunnelHostname": "api.x.example"},
                "agentmail:tunnelHostname is 'api.x.example', which is outside the zone",
            ),
            ({"tunnelHostname": "dev.agents.example"}, "the mail domain itself"),
            ({"zoneId": None}, "agentmail:zoneId is not set"),
            ({"zoneId": "agents.example"}, "agentmail:zoneId is 'agents.example'; expected 32 hexadecimal digits"),
            ({"zoneName": None}, "agentmail:zoneName is not set"),
            ({"tunnelCname": "x.cfargotunnel.com"}, "agentmail:accountId and agentmail:tunnelCname are both set"),
            ({"tunnelHostname": None}, "agentmail:tunnelHostname is not set although a tunnel is"),
            ({"webhookUrl": "https://x.example/"}, "the root of a site"),
            (
                {"webhookUrl": "ftp://x.example/a"},
                "agentmail:webhookUrl is 'ftp://x.example/a', which is no URL; expected a URL",
            ),
            ({"ownerTag": "a b"}, "agentmail:ownerTag is 'a b'; expected 1 to 63 of the characters"),
            ({"ttl": "5"}, "agentmail:ttl is not valid"),
            ({"ttl": "soon"}, "agentmail:ttl is not valid"),
            ({"dns": "route53"}, "agentmail:dns is not valid"),
            ({"verification": "maybe"}, "agentmail:verification is not valid"),
            ({"inboundAuth": "token"}, "agentmail:inboundAuth is not valid"),
            ({"populations": "[{]"}, "expected valid JSON"),
            ({"populations": '[{"path": "x"}]'}, "agentmail:populations[0].file is not set"),
            ({"mailjetMxHosts": "[]"}, "agentmail:mailjetMxHosts is not valid"),
            ({"mailjetMxHosts": "[]"}, "--path 'mailjetMxHosts[0]' VALUE"),
            ({"mailjetEvents": '["nothing"]'}, "--path 'mailjetEvents[0]' VALUE"),
            ({"ttl": "soon"}, "config set --stack dev ttl VALUE"),
            (
                {"tunelHostname": "x"},
                "agentmail:tunelHostname is not a configuration key of this project; did you mean tunnelHostname?",
            ),
        ],
    )
    def test_one_sentence_names_the_key(self, changes: dict[str, str], expected: str) -> None:
        assert any(expected in sentence for sentence in problems(**changes)), problems(**changes)

    def test_the_webhook_secret_is_never_repeated(self) -> None:
        [sentence] = problems(webhookSecret="pa%ss#word-that-is-bad")
        assert "agentmail:webhookSecret has 22 characters" in sentence
        assert "pa%ss" not in sentence

    def test_credentials_in_a_url_are_never_repeated(self) -> None:
        [sentence] = problems(webhookUrl="https://user:hunter2@x.example/a")
        assert "hunter2" not in sentence
        assert "keep the secret in webhookSecret" in sentence

    def test_all_problems_at_once(self) -> None:
        assert len(problems(zoneId="x", ttl="1", dns="y")) == 3

    def test_several_problems_are_a_list(self) -> None:
        with pytest.raises(SettingsError, match="has 2 problems:\n  - "):
            load(zoneId="x", ttl="1")

    @given(st.dictionaries(st.sampled_from(sorted(GOOD)), st.text(max_size=40)))
    def test_any_text_gives_settings_or_sentences(self, changes: dict[str, str]) -> None:
        assert all("Traceback" not in sentence for sentence in sentences_on(changes))


def sentences_on(changes: dict[str, Any]) -> list[str]:
    try:
        load(**changes)
    except SettingsError as error:
        return error.problems or ["no sentence at all: Traceback"]
    return []


def test_a_zone_elsewhere_needs_no_cloudflare() -> None:
    found = load(
        dns="none",
        token="",
        zoneId=None,
        zoneName=None,
        accountId=None,
        tunnelHostname=None,
        webhookUrl="https://h.example/in",
    )
    assert found.dns is Dns.NONE
