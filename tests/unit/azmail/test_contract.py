"""The stack output contract: what is read, in which forms, and what wrong outputs are told."""

import base64
import json
import re
import stat
import uuid
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from azmail import (
    ContractError,
    ContractVersionError,
    Mailbox,
    MailStack,
    StackOutputsError,
    UnknownMailboxError,
)
from azmail.contract import PlatformEnv, StackOutputs, schema_text
from tests.unit.azmail.conftest import (
    ADDRESS_A,
    ADDRESS_B,
    AGENT_A,
    AGENT_B,
    packed,
    packed_mailboxes,
    shared,
    stack_outputs,
)
from tests.unit.azmail.servers import PASSWORD, USER

EIGHT_KEYS = [
    "agent_id",
    "address",
    "smtp_host",
    "smtp_port",
    "smtp_username",
    "smtp_password",
    "inbound_url",
    "inbound_secret",
]

NOBODY = packed_mailboxes(shared(), {})

# Section 2.1 of the platform's own documentation: every variable its code reads.
PLATFORM_VARIABLES = {
    *("MAILJET_API", "MAILJET_API_KEY", "MAILJET_API_SECRET", "MAILJET_SMTP_HOST", "MAILJET_SMTP_PORT"),
    *("MAILJET_SMTP_USER", "MAILJET_SMTP_PASS", "MAILJET_INBOUND_URL", "MAILJET_INBOUND_SECRET"),
    *("MAILJET_MX_HOSTS", "MAILJET_SPF_INCLUDE", "AZT3KNET_DOMAIN", "AZT3KNET_AGENT_MAIL_PREFIX"),
    *("AZT3KNET_MAIL_TTL", "AZT3KNET_DEFAULT_SEED", "CLOUDFLARE_API", "CLOUDFLARE_API_TOKEN"),
    *("CLOUDFLARE_ZONE_ID", "CLOUDFLARE_ZONE_NAME", "CLOUDFLARE_TUNNEL_TOKEN", "CLOUDFLARE_TUNNEL_HOSTNAME"),
    *("CLOUDFLARE_TUNNEL_SERVICE", "CLOUDFLARE_TUNNEL_CNAME", "CLOUDFLARE_TUNNEL_SUBDOMAIN"),
    "CLOUDFLARE_TUNNEL_CNAME_TTL",
}


class TestSchema:
    def test_the_packaged_schema_is_the_models_schema(self) -> None:
        packaged = Path(__file__).parents[3] / "azmail" / "outputs.schema.json"
        assert packaged.read_text(encoding="utf-8") == schema_text(), (
            "run `azmail schema --output azmail/outputs.schema.json`"
        )

    def test_it_names_every_output_and_marks_the_secret_ones(self) -> None:
        properties = json.loads(schema_text())["properties"]
        assert set(properties) == {
            *("contractVersion", "mailboxes", "mailboxCount", "platformEnv", "domain", "expectedRecords"),
            *("dkimStatus", "spfStatus", "tunnelHostname", "tunnelToken", "webhookUrl", "gatewayEnv", "inboxEnv"),
        }
        assert {name for name, value in properties.items() if value.get("x-secret")} == {
            "mailboxes",
            "platformEnv",
            "gatewayEnv",
            "inboxEnv",
            "tunnelToken",
        }

    def test_a_mailbox_has_exactly_the_eight_keys_in_order(self) -> None:
        mailbox = Mailbox.model_json_schema()
        assert mailbox["required"] == EIGHT_KEYS
        assert mailbox["additionalProperties"] is False
        assert list(Mailbox.model_fields) == EIGHT_KEYS

    def test_the_platform_variables_are_those_of_the_platform(self) -> None:
        assert set(PlatformEnv.model_fields) == PLATFORM_VARIABLES


class TestMailboxes:
    def test_eight_keys_for_each(self) -> None:
        found = [mailbox.model_dump() for mailbox in MailStack(stack_outputs()).mailboxes]
        assert [list(mailbox) for mailbox in found] == [EIGHT_KEYS, EIGHT_KEYS]
        assert found[1] == {"agent_id": AGENT_B, "address": ADDRESS_B, **shared()}

    @given(
        st.dictionaries(
            st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12),
            st.from_regex(r"[a-z0-9.]{1,20}@[a-z]{1,9}\.example", fullmatch=True),
        )
    )
    def test_every_one_is_as_valid_as_if_it_stood_alone(self, addresses: dict[str, str]) -> None:
        text = packed_mailboxes(shared(), addresses)
        parsed = StackOutputs.model_validate(stack_outputs(mailboxes=text))
        assert parsed.mailboxes.expand() == tuple(
            Mailbox(agent_id=agent_id, address=address, **shared()) for agent_id, address in addresses.items()
        )

    def test_ten_thousand_agents(self) -> None:
        addresses = {str(uuid.UUID(int=n)): f"a.b.{n % 1000:03}.{n:014}@dev.agents.example" for n in range(10_000)}
        text = packed_mailboxes(shared(), addresses)
        stack = MailStack(stack_outputs(mailboxes=text, mailboxCount=len(addresses)))
        assert len(stack) == 10_000
        assert stack.mailbox(uuid.UUID(int=9_999)).address == addresses[str(uuid.UUID(int=9_999))]

    def test_an_empty_population_is_a_stack_too(self) -> None:
        stack = MailStack(stack_outputs(mailboxes=NOBODY, mailboxCount=0))
        assert stack
        assert len(stack) == 0


class TestAnAgentsOwnLogin:
    """What a stack with a gateway hands out: the user name is the agent's id."""

    @pytest.fixture
    def common(self) -> dict[str, Any]:
        found = shared()
        del found["smtp_username"], found["smtp_password"]
        return found

    def test_eight_keys_for_each(self, common: dict[str, Any]) -> None:
        passwords = {AGENT_A: "azm1.r1.0.aaa", AGENT_B: "azm1.r1.0.bbb"}
        text = packed_mailboxes(common, {AGENT_A: ADDRESS_A, AGENT_B: ADDRESS_B}, passwords)
        first, second = MailStack(stack_outputs(mailboxes=text)).mailboxes
        assert list(first.model_dump()) == EIGHT_KEYS
        assert (first.smtp_username, first.smtp_password) == (AGENT_A, "azm1.r1.0.aaa")
        assert (second.address, second.smtp_username, second.smtp_password) == (ADDRESS_B, AGENT_B, "azm1.r1.0.bbb")

    @pytest.mark.parametrize(
        ("columns", "problem"),
        [
            ("no base64!", "mailboxes.packed: Value error, expected base64 of zlib of a JSON list of lists"),
            (base64.b64encode(b"x").decode(), "expected base64 of zlib"),
            (packed(), "expected 2 or 3 columns of one length"),
            (packed(["a"], ["a@b.example"], ["p"], ["q"]), "expected 2 or 3 columns"),
            (packed(["a"], [], ["p"]), "expected 2 or 3 columns of one length"),
            (packed(["a"], ["a@b.example"], [7]), "Input should be a valid string"),
            (packed(["a"], ["a@b.example"], [""]), "expected texts, none of them empty"),
            (packed(["a"], ["nobody"], ["p"]), "expected addresses in the second column"),
            (packed(["a", "a"], ["a@b.example", "c@b.example"], ["p", "q"]), "expected each agent once"),
            (packed(["a"], ["a@b.example"]), "expected either smtp_username and smtp_password"),
            (packed("ab", "cd"), "expected base64 of zlib of a JSON list of lists"),
        ],
    )
    def test_wrong_columns_are_named(self, common: dict[str, Any], columns: str, problem: str) -> None:
        with pytest.raises(ContractError, match=re.escape(problem)):
            MailStack(stack_outputs(mailboxes=json.dumps({"shared": common, "packed": columns})))

    def test_a_login_for_all_and_one_for_each_is_a_contradiction(self) -> None:
        text = packed_mailboxes(shared(), {AGENT_A: ADDRESS_A}, {AGENT_A: "azm1.r1.0.aaa"})
        with pytest.raises(ContractError, match="expected either smtp_username") as caught:
            MailStack(stack_outputs(mailboxes=text))
        assert PASSWORD not in str(caught.value)


class TestLookups:
    def test_by_agent_and_by_address(self, stack: MailStack) -> None:
        assert stack.mailbox(AGENT_A).address == ADDRESS_A
        assert stack.mailbox(uuid.UUID(AGENT_B)).address == ADDRESS_B
        assert stack.by_address(ADDRESS_B.upper()).agent_id == AGENT_B
        assert stack.agent_at(ADDRESS_A) == AGENT_A
        assert stack.agent_at("nobody@dev.agents.example") is None
        assert [mailbox.agent_id for mailbox in stack] == [AGENT_A, AGENT_B]

    def test_unknown_agents_and_addresses_are_named(self, stack: MailStack) -> None:
        with pytest.raises(UnknownMailboxError, match=r"agent id 'nobody'.*2 mailboxes"):
            stack.mailbox("nobody")
        with pytest.raises(LookupError, match="address 'x@y'"):
            stack.by_address("x@y")

    def test_the_credentials_are_the_platforms_keyword_arguments(self, stack: MailStack) -> None:
        assert list(stack.mailbox(AGENT_A).credentials()) == EIGHT_KEYS[1:]

    def test_everything_else_is_there(self, stack: MailStack) -> None:
        assert stack.domain == "dev.agents.example"
        assert stack.contract_version == "2.0"
        assert (stack.dkim_status, stack.spf_status) == ("OK", "OK")
        assert stack.tunnel_hostname == "api-dev.agents.example"
        assert stack.tunnel_token.startswith("eyJ")
        assert stack.webhook_url.endswith("/api/webhooks/mailjet/inbound")
        assert stack.expected_records[0].why == "mail for the agents goes to Mailjet"
        assert stack.platform_env["MAILJET_SMTP_PORT"] == "587"

    def test_a_stack_without_a_tunnel(self) -> None:
        outputs = stack_outputs(tunnelToken=None, webhookUrl="")
        del outputs["tunnelHostname"], outputs["dkimStatus"], outputs["spfStatus"]
        stack = MailStack(outputs)
        assert (stack.tunnel_hostname, stack.tunnel_token, stack.dkim_status, stack.spf_status) == ("", "", "", "")


class TestWrongOutputs:
    def test_another_major_version(self) -> None:
        with pytest.raises(ContractVersionError, match=r"contractVersion 3\.0, this azmail reads 2\.x.*newer"):
            MailStack({"contractVersion": "3.0", "somethingElse": 1})
        with pytest.raises(ContractVersionError, match=r"contractVersion 1\.0.*mail apply STACK"):
            MailStack(stack_outputs(contractVersion="1.0"))

    def test_a_later_minor_version_may_add_outputs(self) -> None:
        assert MailStack(stack_outputs(contractVersion="2.7", quota=5)).contract_version == "2.7"

    @pytest.mark.parametrize("version", ["2", "one", 2.0, "", "2.0.0"])
    def test_a_version_that_is_none(self, version: object) -> None:
        with pytest.raises(ContractError, match="contractVersion"):
            MailStack(stack_outputs(contractVersion=version))

    def test_no_outputs_and_hidden_outputs(self) -> None:
        with pytest.raises(ContractError, match=r"first with `\./mail apply STACK` in the infrastructure's clone"):
            MailStack({})
        with pytest.raises(ContractError, match=r"mailboxes, tunnelToken hidden.*--show-secrets"):
            MailStack(stack_outputs(mailboxes="[secret]", tunnelToken="[secret]"))

    def test_a_wrong_mailbox_is_named_by_agent_and_key(self) -> None:
        with pytest.raises(ContractError, match=re.escape("mailboxes.shared.smtp_port: ")):
            MailStack(stack_outputs({"smtp_port": "many"}))
        text = packed_mailboxes(shared(), {AGENT_A: ADDRESS_A, AGENT_B: "nowhere"})
        with pytest.raises(ContractError, match=r"mailboxes: .*expected addresses in the second column"):
            MailStack(stack_outputs(mailboxes=text))

    @pytest.mark.parametrize(
        ("change", "problem"),
        [
            ({"mailboxCount": 3}, "mailboxCount is 3, mailboxes has 2"),
            ({"mailboxes": 7}, "mailboxes: expected JSON text"),
            ({"mailboxes": "no json"}, "mailboxes: expected JSON text"),
            ({"mailboxes": "[" * 100_000}, "mailboxes: expected JSON text"),
            ({"mailboxes": '"text in text"'}, "mailboxes: Input should be a valid dictionary"),
            ({"mailboxes": '{"packed": ""}'}, "mailboxes.shared: Field required"),
            ({"domain": None}, "domain: "),
            ({"platformEnv": {"MAILJET_API_KEY": "k"}}, "platformEnv.MAILJET_API_SECRET: Field required"),
            ({"platformEnv": "text"}, "platformEnv: "),
        ],
    )
    def test_the_problem_is_named(self, change: dict[str, Any], problem: str) -> None:
        with pytest.raises(ContractError, match=re.escape(problem)):
            MailStack(stack_outputs(**change))

    @pytest.mark.parametrize("variable", ["MAILJET_SMTP_PORT", "AZT3KNET_MAIL_TTL", "CLOUDFLARE_TUNNEL_CNAME_TTL"])
    @pytest.mark.parametrize("value", ["", "soon", 300])
    def test_numbers_of_the_platform_are_texts_of_digits(self, variable: str, value: object) -> None:
        env = stack_outputs()["platformEnv"] | {variable: value}
        with pytest.raises(ContractError, match=f"platformEnv.{variable}: "):
            MailStack(stack_outputs(platformEnv=env))

    def test_every_variable_is_text(self) -> None:
        env = stack_outputs()["platformEnv"] | {"NEW_VARIABLE": 3}
        with pytest.raises(ContractError, match=r"platformEnv\.NEW_VARIABLE"):
            MailStack(stack_outputs(platformEnv=env))

    def test_two_agents_with_one_address(self) -> None:
        text = packed_mailboxes(shared(), {AGENT_A: ADDRESS_A, AGENT_B: ADDRESS_A.upper()})
        with pytest.raises(ContractError, match=f"belongs to agent {AGENT_A} and to agent {AGENT_B}"):
            MailStack(stack_outputs(mailboxes=text))

    def test_no_secret_in_any_error_or_representation(self) -> None:
        outputs = stack_outputs({"smtp_port": PASSWORD, "extra": PASSWORD})
        outputs["platformEnv"]["AZT3KNET_MAIL_TTL"] = PASSWORD
        with pytest.raises(ContractError) as caught:
            MailStack(outputs)
        assert PASSWORD not in str(caught.value)
        assert caught.value.__cause__ is None
        stack = MailStack(stack_outputs())
        shown = f"{stack!r} {stack.mailboxes!r} {stack._outputs!r} {stack._outputs.platform_env!s}"
        assert PASSWORD not in shown
        assert USER not in shown


class TestLoading:
    def test_from_a_mapping_text_and_file(self, tmp_path: Path) -> None:
        outputs = stack_outputs()
        file = tmp_path / "outputs.json"
        file.write_text(json.dumps(outputs))
        for source in (outputs, json.dumps(outputs), str(file), file):
            assert len(MailStack.load(source)) == 2

    def test_from_the_environment(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        file = tmp_path / "outputs.json"
        file.write_text(json.dumps(stack_outputs()))
        monkeypatch.setenv("AGENTMAIL_OUTPUTS_FILE", str(file))
        assert len(MailStack.load()) == 2
        monkeypatch.setenv("AGENTMAIL_OUTPUTS", json.dumps(stack_outputs(mailboxes=NOBODY, mailboxCount=0)))
        assert len(MailStack.load()) == 0
        with pytest.raises(StackOutputsError, match="AGENTMAIL_OUTPUTS_FILE"):
            MailStack.from_env({})

    @pytest.mark.parametrize("text", ["", "[1]", "{", '"x"', "[" * 100_000])
    def test_text_that_is_no_object(self, text: str) -> None:
        with pytest.raises(ContractError, match="expected one JSON object"):
            MailStack.from_json(text)

    def test_a_missing_file_says_how_to_make_it(self, tmp_path: Path) -> None:
        with pytest.raises(StackOutputsError, match="pulumi stack output --json --show-secrets"):
            MailStack.from_file(tmp_path / "absent.json")
        binary = tmp_path / "binary.json"
        binary.write_bytes(b"\xff\xfe")
        with pytest.raises(StackOutputsError, match="not UTF-8"):
            MailStack.from_file(binary)

    def test_from_the_pulumi_cli(self, tmp_path: Path) -> None:
        (tmp_path / "outputs.json").write_text(json.dumps(stack_outputs()))
        cli = program(tmp_path, 'echo "$@" > arguments; cat outputs.json')
        assert len(MailStack.load(stack="prod", pulumi=str(cli), cwd=tmp_path)) == 2
        assert (tmp_path / "arguments").read_text().split() == [
            *("stack", "output", "--json", "--show-secrets", "--non-interactive", "--stack", "prod")
        ]
        assert len(MailStack.from_cli(pulumi="./pulumi", cwd=tmp_path)) == 2

    def test_a_cli_that_fails_or_is_missing(self, tmp_path: Path) -> None:
        cli = program(tmp_path, 'echo "error: no stack named prod found" >&2; exit 255')
        with pytest.raises(StackOutputsError, match=r"stack prod \(exit 255: error: no stack named prod found\)"):
            MailStack.from_cli(stack="prod", pulumi=str(cli), cwd=tmp_path)
        with pytest.raises(StackOutputsError, match="found no program 'no-such-pulumi'"):
            MailStack.from_cli(pulumi="no-such-pulumi")


def program(folder: Path, script: str) -> Path:
    file = folder / "pulumi"
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(file.stat().st_mode | stat.S_IXUSR)
    return file
