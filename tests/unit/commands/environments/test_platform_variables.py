"""Every variable of the platform's `.env.example` becomes a key, or is ignored with the reason."""

from __future__ import annotations

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from azmail.contract import PlatformEnv
from commands.environments.draft import Draft
from commands.environments.platform_variables import KNOWN, import_variables
from commands.environments.wording import notes_text, plan_text
from settings.loading import from_config

TUNNEL = "6ff42ae2-765d-4adf-8112-31c55c1551ef"
EXAMPLE = {
    "CLOUDFLARE_API_TOKEN": "t" * 40,
    "CLOUDFLARE_ZONE_ID": "0" * 31 + "1",
    "CLOUDFLARE_ZONE_NAME": "agents.example",
    "MAILJET_API_KEY": "k" * 32,
    "MAILJET_API_SECRET": "s" * 32,
    "MAILJET_MX_HOSTS": "in.mailjet.com, in-v3.mailjet.com",
    "MAILJET_SPF_INCLUDE": "include:spf.mailjet.com",
    "MAILJET_INBOUND_URL": "https://api.agents.example/api/webhooks/mailjet/inbound",
    "MAILJET_INBOUND_SECRET": "w" * 32,
    "AZT3KNET_AGENT_MAIL_PREFIX": "bot_",
    "AZT3KNET_DOMAIN": "mail.agents.example",
    "CLOUDFLARE_TUNNEL_TOKEN": "unreadable",
    "CLOUDFLARE_TUNNEL_HOSTNAME": "api.agents.example",
    "CLOUDFLARE_TUNNEL_SERVICE": "http://api:8000",
    "CLOUDFLARE_TUNNEL_CNAME": f"{TUNNEL}.cfargotunnel.com",
}
"""The variables that the architecture document lists, and the domain."""


def imported(**values: str) -> Draft:
    draft = Draft()
    import_variables(values, draft)
    return draft


def outcome(draft: Draft, variable: str) -> list[str]:
    return [note.outcome for note in draft.notes if note.variable == variable]


class TestTheWholeExample:
    def test_what_it_becomes(self) -> None:
        draft = imported(**EXAMPLE)
        assert draft.plain == {
            "zoneId": "0" * 31 + "1",
            "zoneName": "agents.example",
            "tunnelService": "http://api:8000",
            "domain": "mail.agents.example",
            "agentMailPrefix": "bot_",
            "mailjetSpfInclude": "include:spf.mailjet.com",
            "tunnelHostname": "api.agents.example",
            "tunnelCname": f"{TUNNEL}.cfargotunnel.com",
            "webhookPath": "/api/webhooks/mailjet/inbound",
        }
        assert draft.secrets == {
            "cloudflare:apiToken": "t" * 40,
            "mailjetApiKey": "k" * 32,
            "mailjetApiSecret": "s" * 32,
            "webhookSecret": "w" * 32,
        }

    def test_it_is_a_valid_configuration(self) -> None:
        draft = imported(**EXAMPLE)
        settings = from_config(
            draft.configuration(),
            stack="prod",
            preview=False,
            cloudflare_api_token=draft.secrets["cloudflare:apiToken"],
        )
        assert settings.public_webhook_url == EXAMPLE["MAILJET_INBOUND_URL"]

    def test_every_variable_is_accounted_for(self) -> None:
        draft = imported(**EXAMPLE)
        assert {note.variable for note in draft.notes} == set(EXAMPLE)

    def test_no_secret_is_shown(self) -> None:
        draft = imported(**EXAMPLE)
        shown = notes_text(draft) + plan_text(draft, file="f", stack="s", keep_secrets=True)
        assert not any(secret in shown for secret in draft.secrets.values())


def test_every_variable_that_the_platform_gets_is_known_here() -> None:
    """What the stack exports as `platformEnv` can come back in."""
    assert set(PlatformEnv.model_fields) <= KNOWN


class TestNames:
    def test_each_stands_in_for_the_other(self) -> None:
        assert imported(CLOUDFLARE_ZONE_NAME="A.example.").plain == {"zoneName": "a.example", "domain": "a.example"}
        assert imported(AZT3KNET_DOMAIN="a.example").plain == {"zoneName": "a.example", "domain": "a.example"}


class TestMxHosts:
    def test_submission_relays_receive_nothing(self) -> None:
        draft = imported(MAILJET_MX_HOSTS="in.mailjet.com")
        assert "mailjetMxHosts" not in draft.plain
        assert "parse.mailjet.com" in outcome(draft, "MAILJET_MX_HOSTS")[0]

    def test_others_stay(self) -> None:
        draft = imported(MAILJET_MX_HOSTS="parse.mailjet.com., in-v3.mailjet.com")
        assert draft.plain["mailjetMxHosts"] == ["parse.mailjet.com"]
        assert len(outcome(draft, "MAILJET_MX_HOSTS")) == 2


class TestTunnel:
    def token(self, **content: object) -> str:
        return base64.b64encode(json.dumps(content).encode()).decode()

    def test_the_token_names_the_tunnel(self) -> None:
        draft = imported(CLOUDFLARE_TUNNEL_TOKEN=self.token(a="x", t=TUNNEL, s="secretsecret"))
        assert draft.plain["tunnelCname"] == f"{TUNNEL}.cfargotunnel.com"
        assert "secretsecret" not in notes_text(draft)

    def test_with_an_account_the_stack_makes_its_own(self) -> None:
        draft = imported(CLOUDFLARE_ACCOUNT_ID="a" * 32, CLOUDFLARE_TUNNEL_CNAME=f"{TUNNEL}.cfargotunnel.com")
        assert "tunnelCname" not in draft.plain
        assert "a tunnel of its own" in outcome(draft, "CLOUDFLARE_TUNNEL_CNAME")[0]

    def test_a_subdomain_is_a_host_of_the_zone(self) -> None:
        values = {"CLOUDFLARE_ZONE_NAME": "agents.example", "CLOUDFLARE_TUNNEL_SUBDOMAIN": "api"}
        assert "tunnelHostname" not in imported(**values).plain
        with_tunnel = imported(**values, CLOUDFLARE_TUNNEL_CNAME=f"{TUNNEL}.cfargotunnel.com")
        assert with_tunnel.plain["tunnelHostname"] == "api.agents.example"

    def test_two_names_for_the_host(self) -> None:
        values = {"CLOUDFLARE_ZONE_NAME": "agents.example", "CLOUDFLARE_TUNNEL_HOSTNAME": "api.agents.example"}
        same = imported(**values, CLOUDFLARE_TUNNEL_SUBDOMAIN="api")
        other = imported(**values, CLOUDFLARE_TUNNEL_SUBDOMAIN="www")
        assert "the same host" in outcome(same, "CLOUDFLARE_TUNNEL_SUBDOMAIN")[0]
        assert "not www.agents.example" in outcome(other, "CLOUDFLARE_TUNNEL_SUBDOMAIN")[0]


class TestWebhook:
    def test_elsewhere(self) -> None:
        draft = imported(MAILJET_INBOUND_URL="https://hooks.example/in")
        assert draft.plain == {"webhookUrl": "https://hooks.example/in"}

    def test_a_secret_in_the_url_is_taken_out(self) -> None:
        draft = imported(MAILJET_INBOUND_URL="https://user:passwordpassword1@hooks.example/in")
        assert draft.plain == {"webhookUrl": "https://hooks.example/in"}
        assert draft.secrets == {"webhookSecret": "passwordpassword1"}
        assert "passwordpassword1" not in notes_text(draft)

    def test_a_secret_that_mailjet_cannot_send(self) -> None:
        draft = imported(MAILJET_INBOUND_SECRET="pässword#1")
        assert not draft.secrets
        assert "a new webhookSecret is made instead" in outcome(draft, "MAILJET_INBOUND_SECRET")[0]


class TestSmtp:
    def test_the_login_is_the_key(self) -> None:
        draft = imported(MAILJET_API_KEY="k", MAILJET_SMTP_USER="k", MAILJET_SMTP_PASS="other")
        assert "it is MAILJET_API_KEY" in outcome(draft, "MAILJET_SMTP_USER")[0]
        assert "it differs from MAILJET_API_SECRET" in outcome(draft, "MAILJET_SMTP_PASS")[0]


def test_a_global_key_is_not_taken() -> None:
    assert "opens the whole account" in outcome(imported(CLOUDFLARE_API_KEY="x"), "CLOUDFLARE_API_KEY")[0]


def test_unknown_ones_are_named_and_others_are_not() -> None:
    draft = imported(AZT3KNET_DATABASE="x", DATABASE_URL="y")
    assert {note.variable for note in draft.notes} == {"AZT3KNET_DATABASE"}


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("CLOUDFLARE_API", "/"),
        ("CLOUDFLARE_TUNNEL_CNAME", "."),
        ("CLOUDFLARE_TUNNEL_HOSTNAME", "."),
        ("CLOUDFLARE_TUNNEL_SUBDOMAIN", ".."),
        ("MAILJET_MX_HOSTS", " , "),
        ("AZT3KNET_DOMAIN", "."),
    ],
)
def test_what_names_nothing_is_told(variable: str, value: str) -> None:
    draft = imported(**{variable: value})
    assert outcome(draft, variable) == ["ignored: its value names nothing"]
    assert not draft.plain


@pytest.mark.parametrize("url", ["//[", "https://hooks.example.com:99999/x", "https://hooks.example.com:port/x"])
def test_what_is_no_url(url: str) -> None:
    draft = imported(MAILJET_INBOUND_URL=url, CLOUDFLARE_TUNNEL_HOSTNAME="hooks.example.com")
    assert outcome(draft, "MAILJET_INBOUND_URL") == ["ignored: it is no URL"]


_TEXTS = st.text(min_size=1, max_size=40) | st.text(".,/:[]@ ", min_size=1, max_size=6)


@given(st.dictionaries(st.sampled_from(sorted(KNOWN)), _TEXTS))
def test_whatever_they_hold_none_is_lost_and_none_breaks_it(values: dict[str, str]) -> None:
    draft = imported(**values)
    assert {note.variable for note in draft.notes} >= set(values)
