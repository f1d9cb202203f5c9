"""Configuration: which values are accepted, which win, and what a request looks like for them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pulumi.runtime.proto import provider_pb2

from engine.cloudflare import configuration
from engine.cloudflare.errors import BaseUrlError
from engine.cloudflare.properties import Secret, to_struct
from tests.profiles import examples
from tests.unit.engine.cloudflare_driver import (
    GET_ZONE,
    TOKEN,
    ZONE,
    Plugin,
    RecordingApi,
    RefusedError,
    recording_api,
    running_plugin,
)

# Other tests may keep the machine busy: no example has a deadline.
steady = settings(deadline=None, max_examples=examples(50))

DEFAULT = "urn:pulumi:dev::agentmail::pulumi:providers:cloudflare::default_6_23_1"


@pytest.fixture(scope="module")
def plugin() -> Iterator[Plugin]:
    with running_plugin() as process:
        yield Plugin(process.stub)


@pytest.fixture(scope="module")
def running_api() -> Iterator[RecordingApi]:
    with recording_api() as api:
        yield api


@pytest.fixture
def api(running_api: RecordingApi) -> RecordingApi:
    running_api.reset()
    return running_api


def headers_of_one_request(plugin: Plugin, api: RecordingApi) -> dict[str, str]:
    api.will_answer({"id": ZONE})
    plugin.invoke(GET_ZONE, {"zoneId": ZONE})
    [request] = api.seen()
    return dict(request.headers)


class TestCheckConfig:
    def test_every_key_of_the_official_plugin_passes(self, plugin: Plugin) -> None:
        config: dict[str, Any] = {
            "baseUrl": "http://127.0.0.1:1/client/v4",
            "apiToken": Secret(TOKEN),
            "email": "a@example.com",
        }
        more = {"apiKey": "k" * 37, "apiUserServiceKey": "v1.0-x", "userAgentOperatorSuffix": "x", "version": "6.23.1"}
        inputs, failures = plugin.check_config(config | more)
        assert failures == []
        assert inputs["apiToken"] == Secret(TOKEN)
        assert inputs["apiKey"] == Secret("k" * 37)
        assert inputs["apiUserServiceKey"] == Secret("v1.0-x")
        assert inputs["baseUrl"] == config["baseUrl"]

    def test_an_unknown_key_is_refused(self, plugin: Plugin) -> None:
        _, failures = plugin.check_config({"zoneId": ZONE})
        assert failures == [
            (
                "zoneId",
                "could not validate provider configuration: Invalid or unknown key. "
                "Check `./mail pulumi config get cloudflare:zoneId --stack STACK`.",
            )
        ]

    def test_an_explicit_provider_is_named_instead(self, plugin: Plugin) -> None:
        _, [(_, reason)] = plugin.check_config({"zoneId": ZONE}, "eu")
        assert reason.endswith("Invalid or unknown key. Examine values at 'eu.zoneId'.")

    @pytest.mark.parametrize("token", ["t" * 39, "t" * 81, "t" * 39 + "!", "", "t" * 40 + "\n"])
    def test_a_configured_token_has_40_to_80_characters(self, plugin: Plugin, token: str) -> None:
        _, [(where, reason)] = plugin.check_config({"apiToken": Secret(token)})
        assert where == "apiToken"
        assert "40 to 80 characters" in reason
        assert not token or token not in reason

    @steady
    @given(st.from_regex(r"[0-9A-Za-z\-_]{40,80}", fullmatch=True))
    def test_every_token_of_that_form_passes(self, token: str) -> None:
        assert list(configuration.check(DEFAULT, {"apiToken": token})) == []

    @steady
    @given(st.text(max_size=90))
    def test_no_failure_quotes_the_token(self, token: str) -> None:
        for failure in configuration.check(DEFAULT, {"apiToken": f"hunter2{token}"}):
            assert "hunter2" not in failure.reason

    def test_a_key_needs_its_form_and_an_email(self, plugin: Plugin) -> None:
        _, failures = plugin.check_config({"apiKey": "short"})
        assert [where for where, _ in failures] == ["apiKey", "apiKey"]
        assert "37 to 60 characters" in failures[0][1]
        assert "needs `email`" in failures[1][1]


class TestDiffConfig:
    def test_changed_keys_are_named_and_nothing_is_replaced(self, plugin: Plugin) -> None:
        request = provider_pb2.DiffRequest(
            olds=to_struct({"apiToken": Secret(TOKEN), "baseUrl": "http://a.example", "version": "6.23.1"}),
            news=to_struct({"apiToken": Secret("B" * 40), "email": "a@example.com", "version": "6.23.1"}),
        )
        answer = plugin.stub.DiffConfig(request)
        assert answer.changes == provider_pb2.DiffResponse.DIFF_SOME
        assert list(answer.diffs) == ["apiToken", "baseUrl", "email"]
        assert list(answer.replaces) == []

    def test_the_same_configuration_is_no_change(self, plugin: Plugin) -> None:
        config = to_struct({"apiToken": Secret(TOKEN)})
        answer = plugin.stub.DiffConfig(provider_pb2.DiffRequest(olds=config, news=config))
        assert answer.changes == provider_pb2.DiffResponse.DIFF_NONE


class TestSettings:
    def test_the_default_is_cloudflare_itself(self) -> None:
        assert configuration.settings({}, {}).base_url == "https://api.cloudflare.com/client/v4"

    @pytest.mark.parametrize("key", list(configuration.ENVIRONMENT))
    def test_config_wins_over_the_environment(self, key: str) -> None:
        environment = {configuration.ENVIRONMENT[key]: "http://environment.example"}
        email = {"email": "a@example.com"} if key != "email" else {"apiKey": "k"}
        ours = configuration.settings(email | {key: "http://config.example"}, environment)
        theirs = configuration.settings(email, environment)
        assert "http://config.example" in str((ours, ours.signature))
        assert "http://environment.example" not in str((ours, ours.signature))
        assert "http://environment.example" in str((theirs, theirs.signature))

    def test_a_token_from_the_environment_is_not_checked(self) -> None:
        settings = configuration.settings({}, {"CLOUDFLARE_API_TOKEN": "short"})
        assert settings.signature == {"Authorization": "Bearer short"}

    @pytest.mark.parametrize("base_url", ["127.0.0.1:8811/client/v4", "ftp://example.com", "http://", "client/v4"])
    def test_a_base_url_is_http(self, base_url: str) -> None:
        with pytest.raises(BaseUrlError, match="expected an http or https URL with its path"):
            configuration.settings({"baseUrl": base_url}, {})

    def test_credentials_are_in_no_repr(self) -> None:
        assert TOKEN not in repr(configuration.settings({"apiToken": TOKEN}, {}))


class TestConfigure:
    def test_it_makes_no_request(self, plugin: Plugin, api: RecordingApi) -> None:
        plugin.configure(api)
        assert api.seen() == []

    def test_a_wrong_base_url_is_one_sentence(self, plugin: Plugin) -> None:
        with pytest.raises(RefusedError, match=r"`cloudflare:baseUrl` \(or CLOUDFLARE_BASE_URL\) is 'nonsense'"):
            plugin.configure(baseUrl="nonsense")

    @pytest.mark.parametrize("slash", ["", "/"])
    def test_a_trailing_slash_does_not_matter(self, plugin: Plugin, api: RecordingApi, slash: str) -> None:
        plugin.configure(baseUrl=api.base_url + slash)
        api.will_answer({"id": ZONE})
        plugin.invoke(GET_ZONE, {"zoneId": ZONE})
        assert [request.path for request in api.seen()] == [f"/zones/{ZONE}"]

    @pytest.mark.parametrize(
        ("config", "signature"),
        [
            ({"apiToken": Secret(TOKEN)}, {"authorization": f"Bearer {TOKEN}"}),
            ({"apiKey": "k", "email": "a@b.c"}, {"x-auth-key": "k", "x-auth-email": "a@b.c"}),
            ({"apiUserServiceKey": "v1"}, {"x-auth-user-service-key": "v1"}),
            ({}, {}),
        ],
    )
    def test_requests_are_signed_with_what_is_configured(
        self, plugin: Plugin, api: RecordingApi, config: dict[str, Any], signature: dict[str, str]
    ) -> None:
        plugin.configure(api, **({"apiToken": None} | config))
        headers = headers_of_one_request(plugin, api)
        names = ("authorization", "x-auth-key", "x-auth-email", "x-auth-user-service-key")
        assert {name: headers[name] for name in names if name in headers} == signature

    def test_headers_say_who_asks(self, plugin: Plugin, api: RecordingApi) -> None:
        plugin.configure(api, userAgentOperatorSuffix="azt3knet/1")
        headers = headers_of_one_request(plugin, api)
        assert headers["accept"] == "application/json"
        assert "content-type" not in headers
        assert headers["user-agent"] == "azmail-cloudflare/6.23.1 azt3knet/1"
        assert headers["x-stainless-retry-count"] == "0"

    @pytest.mark.slow
    def test_the_environment_of_the_process_counts(self, api: RecordingApi) -> None:
        environment = {
            "CLOUDFLARE_API_TOKEN": "short",
            "CLOUDFLARE_BASE_URL": api.base_url,
            # A token decides, whatever else the client finds in its environment.
            "CLOUDFLARE_EMAIL": "a@example.com",
            "CLOUDFLARE_API_KEY": "k",
            # A proxy cannot reach this machine's loopback.
            "HTTP_PROXY": "http://192.0.2.1:9",
        }
        with running_plugin(environment=environment) as process:
            plugin = Plugin(process.stub)
            plugin.configure(apiToken=None)
            headers = headers_of_one_request(plugin, api)
        assert headers["authorization"] == "Bearer short"
        assert "x-auth-email" not in headers
