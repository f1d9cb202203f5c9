"""What is written into every stack's state, and the promises that all providers make alike."""

from __future__ import annotations

import base64
import importlib
import os
import sys
import traceback
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from pulumi.dynamic import Config, ConfigureRequest
from pulumi.dynamic.dynamic import serialize_provider
from pulumi.output import UNKNOWN

from clients.mailjet.client import DEFAULT_API_URL, Credentials
from clients.mailjet.errors import (
    CredentialsRejectedError,
    EngineGoneError,
    InvalidSettingError,
    KeyRefusedBeforeError,
    MailjetError,
    RoutesIncompleteError,
)
from clients.mailjet.workers import WORKERS
from mailboxes.remedies import STACK_VARIABLE
from providers.mailjet import base_provider, plugin
from providers.mailjet.base_provider import MailjetProvider
from providers.mailjet.plugin import PluginProcess, PluginSettings
from tests.unit.providers.emulated import (
    API_KEY,
    API_SECRET,
    Mailjet,
    RecordingEngine,
    VirtualClock,
    recorded,
    settings_for,
)

# Each of these is in the state of every stack: renaming one breaks refresh and destroy.
FROZEN = {
    ("providers.mailjet.sender_domain", "SenderDomainProvider"): "pulumi-python:dynamic/mailjet:SenderDomain",
    ("providers.mailjet.sender", "SenderProvider"): "pulumi-python:dynamic/mailjet:Sender",
    (
        "providers.mailjet.domain_verification",
        "DomainVerificationProvider",
    ): "pulumi-python:dynamic/mailjet:DomainVerification",
    ("providers.mailjet.inbound_routes", "InboundRoutesProvider"): "pulumi-python:dynamic/mailjet:InboundRoutes",
    ("providers.mailjet.address_book", "AddressBookProvider"): "pulumi-python:dynamic/mailjet:AddressBook",
    ("providers.mailjet.event_callback", "EventCallbackProvider"): "pulumi-python:dynamic/mailjet:EventCallback",
    ("providers.mailjet.footprint", "FootprintProvider"): "pulumi-python:dynamic/mailjet:Footprint",
}

PROPS: dict[str, dict[str, Any]] = {
    "SenderDomainProvider": {"domain": "agents.example", "delete_sender": True},
    "SenderProvider": {"email": "notify@agents.example", "display_name": "N", "delete_sender": True},
    "DomainVerificationProvider": {
        "domain": "agents.example",
        "sender_id": 1.0,
        "dns_id": 2.0,
        "records": "[]",
        "mode": "require",
        "timeout_seconds": 0.0,
    },
    "InboundRoutesProvider": {
        "routes": '{"a":"a@agents.example"}',
        "route_url": "https://tag:s3cretpassword@hooks.agents.example/in",
        "take_over": False,
    },
    "AddressBookProvider": {
        "addresses": '{"a":"a@agents.example"}',
        "route_identity": "https://tag@hooks.agents.example/in",
    },
    "EventCallbackProvider": {
        "event_type": "bounce",
        "url": "https://tag:s3cretpassword@hooks.agents.example/in",
        "version": 2.0,
    },
    "FootprintProvider": {
        "senders": ["*@agents.example"],
        "delete_senders": False,
        "callbacks": ["bounce"],
        "callback_identity": "https://tag@hooks.agents.example/in",
    },
}


def provider_of(module: str, name: str) -> MailjetProvider:
    provider = getattr(importlib.import_module(module), name)()
    assert isinstance(provider, MailjetProvider)
    return provider


every_provider = pytest.mark.parametrize(("module", "name"), FROZEN)


@pytest.fixture
def configured(clean_environment: pytest.MonkeyPatch) -> Any:
    """Leaves no process behind that a test has configured."""
    before = plugin.install(None)
    yield
    running = plugin.install(before)
    if running is not None:
        running.close()


def request(**config: object) -> ConfigureRequest:
    return ConfigureRequest(Config({f"agentmail:{key}": value for key, value in config.items()}, "agentmail"))


@every_provider
class TestWhatTheStateHolds:
    def test_the_pickled_provider_is_small_and_always_the_same(self, module: str, name: str) -> None:
        serialized = serialize_provider(provider_of(module, name))
        assert len(serialized) < 200
        assert serialized == serialize_provider(provider_of(module, name))
        decoded = base64.b64decode(serialized)
        assert module.encode() in decoded
        assert name.encode() in decoded

    def test_no_credential_is_inside_whatever_the_process_knows(
        self, module: str, name: str, process: PluginProcess, clean_environment: pytest.MonkeyPatch
    ) -> None:
        before = serialize_provider(provider_of(module, name))
        clean_environment.setenv("MAILJET_API_SECRET", API_SECRET)
        provider = provider_of(module, name)
        provider.configure(request(mailjetApiUrl=process.settings.api_url, mailjetApiKey=API_KEY))
        serialized = serialize_provider(provider)
        assert serialized == before
        for secret in (API_KEY, API_SECRET):
            assert secret.encode() not in base64.b64decode(serialized)
        running = plugin.install(process)
        if running is not None and running is not process:
            running.close()

    def test_instances_have_no_state_and_are_not_encrypted(self, module: str, name: str) -> None:
        provider = provider_of(module, name)
        assert vars(provider) == {}
        assert provider.serialize_as_secret_always is False

    def test_the_type_token(self, module: str, name: str) -> None:
        resource = getattr(importlib.import_module(module), name.removesuffix("Provider"))
        assert f"pulumi-python:{resource._resource_type_name}" == FROZEN[module, name]


@every_provider
class TestEveryProvider:
    def test_it_defines_the_whole_contract(self, module: str, name: str) -> None:
        methods = vars(getattr(importlib.import_module(module), name))
        assert {"check", "diff", "create", "read", "update", "delete"} <= methods.keys()

    def test_check_and_diff_work_without_configuration_or_network(
        self, module: str, name: str, configured: None
    ) -> None:
        provider = provider_of(module, name)
        props = {**PROPS[name], "__provider": "…"}
        assert provider.check({}, dict(props)).failures == []
        assert provider.check(dict(props), dict(props)).inputs == props
        olds = {**recorded(props), "dkim_status": "OK", "spf_status": "OK", "ownership_status": "OK"}
        assert provider.diff("id", olds, dict(props)).changes is False

    def test_unknown_inputs_pass_check_and_are_a_change(self, module: str, name: str, configured: None) -> None:
        provider = provider_of(module, name)
        news: dict[str, Any] = dict.fromkeys(PROPS[name], UNKNOWN) | {"__provider": "…"}
        result = provider.check({}, news)
        assert result.failures == []
        assert result.inputs == news
        assert provider.diff("id", recorded(PROPS[name]), news).changes is True

    def test_nothing_is_written_for_an_engine_that_is_gone(
        self, module: str, name: str, mailjet: Mailjet, process: PluginProcess, engine: RecordingEngine
    ) -> None:
        engine.is_alive = False
        provider = provider_of(module, name)
        props = dict(PROPS[name])
        if name == "AddressBookProvider":  # the create of this one and the next writes nothing, their delete does
            mailjet.switch(route_needs_verified_domain=False)
            mailjet.add_route("a@agents.example", props["route_identity"])
            mailjet.forget_requests()
            with pytest.raises(MailjetError, match="is gone"):
                provider.delete("id", recorded(props))
        elif name == "FootprintProvider":
            mailjet.api(
                "POST", "/v3/REST/eventcallbackurl", {"EventType": "bounce", "Url": props["callback_identity"]}
            ).raise_for_status()
            mailjet.forget_requests()
            with pytest.raises(MailjetError, match="is gone"):
                provider.delete("id", props)
        else:
            with pytest.raises(MailjetError, match="is gone"):
                provider.create(props)
        assert mailjet.writes() == []


class TestConfigure:
    def test_it_never_raises_and_asks_for_nothing(self, configured: None) -> None:
        provider_of("providers.mailjet.sender_domain", "SenderDomainProvider").configure(request())
        assert plugin.current().settings.api_url == DEFAULT_API_URL

    @pytest.mark.parametrize("url", ["nonsense", "http://[x", "http://h:99999", ""])
    def test_a_bad_url_is_told_by_the_first_call_only(self, configured: None, url: str) -> None:
        provider = provider_of("providers.mailjet.sender_domain", "SenderDomainProvider")
        provider.configure(request(mailjetApiUrl=url))
        with pytest.raises(MailjetError):
            provider.create({"domain": "agents.example"})

    def test_one_sentence_and_no_traceback(self, configured: None) -> None:
        provider = provider_of("providers.mailjet.sender_domain", "SenderDomainProvider")
        provider.configure(request())
        assert sys.tracebacklimit == 0
        try:
            provider.create({"domain": "agents.example"})
        except MailjetError:
            shown = traceback.format_exc()
        assert shown.count("\n") == 1
        assert shown.startswith("agentmail: Mailjet needs mailjetApiKey")

    def test_all_kinds_of_provider_share_one_process(self, configured: None) -> None:
        config = request(mailjetApiUrl="http://127.0.0.1:1", mailjetApiKey=API_KEY, mailjetApiSecret=API_SECRET)
        processes = []
        for module, name in FROZEN:
            provider_of(module, name).configure(config)
            processes.append(plugin.current())
        assert len(set(map(id, processes))) == 1

    def test_a_provider_before_configure_is_a_fault_of_ours(self, configured: None) -> None:
        with pytest.raises(LookupError, match="configure"):
            plugin.current()


class TestSettings:
    def test_stack_config_comes_before_the_environment(self) -> None:
        config = {"mailjetApiKey": "config-key", "mailjetApiUrl": "https://api.us.mailjet.com"}
        settings = PluginSettings.read(
            config.get, {"MAILJET_API_KEY": "env-key", "MAILJET_API_SECRET": " env-secret\n"}
        )
        assert settings.credentials.api_key == "config-key"
        assert settings.credentials.api_secret == "env-secret"
        assert settings.api_url == "https://api.us.mailjet.com"
        assert (settings.connections, settings.limiter, settings.problem) == (WORKERS, True, None)

    def test_the_environment_tunes_the_client(self) -> None:
        environment = {"MAILJET_TIMEOUT_SECONDS": "2.5", "MAILJET_CONNECTIONS": "4", "MAILJET_LIMITER": "off"}
        settings = PluginSettings.read(_nothing_configured, environment)
        assert (settings.read_timeout, settings.connections, settings.limiter) == (2.5, 4, False)

    @pytest.mark.parametrize(
        ("variable", "value"),
        [("MAILJET_TIMEOUT_SECONDS", "soon"), ("MAILJET_TIMEOUT_SECONDS", "0"), ("MAILJET_CONNECTIONS", "100000")],
    )
    def test_a_bad_tuning_is_told_by_the_first_call(self, variable: str, value: str) -> None:
        settings = PluginSettings.read(
            _nothing_configured, {variable: value, "MAILJET_API_KEY": "k", "MAILJET_API_SECRET": "s"}
        )
        running = PluginProcess(settings, engine=RecordingEngine())
        with pytest.raises(InvalidSettingError, match=variable):
            running.api.sender("x@y.example")
        running.close()

    def test_no_secret_in_the_repr(self) -> None:
        settings = PluginSettings.read({"mailjetApiSecret": API_SECRET, "mailjetApiKey": API_KEY}.get, os.environ)
        assert API_SECRET not in repr(settings)
        assert API_KEY not in repr(settings)


class TestProperties:
    def test_numbers_arrive_as_floats(self) -> None:
        assert base_provider.integer({"id": 4758666239.0}, "id") == 4758666239
        assert base_provider.integer({"id": "12"}, "id") == 12
        assert base_provider.integer({"id": UNKNOWN}, "id") is None
        assert base_provider.integer({"id": True}, "id") is None

    def test_the_pickled_provider_is_no_input(self) -> None:
        assert base_provider.own({"a": 1, "__provider": "x", "b": None}, ("a", "b")) == {"a": 1}

    def test_the_base_cannot_be_used_alone(self) -> None:
        assert MailjetProvider.__abstractmethods__ == {"check", "diff", "create", "read", "update", "delete"}


def test_engine_gone_is_an_error_of_this_package() -> None:
    assert issubclass(EngineGoneError, MailjetError)


def _nothing_configured(_key: str) -> None:
    """An empty stack config."""


class TestARefusedKey:
    """Mailjet blocks an address that keeps knocking, and nobody reads the same sentence 57 times."""

    @pytest.fixture
    def refused(self, mailjet: Mailjet) -> Iterator[PluginProcess]:
        settings = replace(settings_for(mailjet.url), credentials=Credentials(api_key=API_KEY, api_secret="f" * 32))
        running = PluginProcess(settings, engine=RecordingEngine(), clock=VirtualClock())
        before = plugin.install(running)
        mailjet.forget_requests()
        yield running
        plugin.install(before)
        running.close()

    def test_one_request_and_one_sentence_for_all_resources(
        self, refused: PluginProcess, mailjet: Mailjet, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv(STACK_VARIABLE, "prod")
        told: list[str] = []
        kept: list[str] = []
        asking = [(module, name) for module, name in FROZEN if name not in {"AddressBookProvider", "FootprintProvider"}]
        for module, name in asking * 3:
            props = {**recorded(PROPS[name]), "__provider": "gASV", "absent": None}
            try:
                found = provider_of(module, name).read("an-id", props)
            except MailjetError as error:
                told.append(str(error))
            else:
                assert (found.id, found.inputs) == ("an-id", None)
                assert found.outs == {key: value for key, value in props.items() if key != "__provider"}
                kept.append(name)
        assert len(mailjet.requests()) == 1
        assert len(told) == 1
        assert len(kept) == 3 * len(asking) - 1
        assert "rejected the API key or its secret" in told[0]
        assert "the last up recorded in the state" in told[0]
        assert "`./mail apply prod`, without --refresh" in told[0]

    def test_what_would_be_written_fails_and_the_reason_is_told_once(
        self, refused: PluginProcess, mailjet: Mailjet
    ) -> None:
        told: list[str] = []
        for module, name in FROZEN:
            if name in {"AddressBookProvider", "FootprintProvider"}:
                continue
            provider, props = provider_of(module, name), PROPS[name]
            calls: list[Callable[[], object]] = [
                partial(provider.create, props),
                partial(provider.update, "an-id", recorded(props), props),
            ]
            if name == "InboundRoutesProvider":
                calls.append(partial(provider.delete, "an-id", recorded(props)))
            for call in calls:
                with pytest.raises(MailjetError) as raised:
                    call()
                told.append(str(raised.value))
        assert len(mailjet.requests()) == 1
        assert "rejected the API key or its secret" in told[0]
        assert "--secret mailjetApiSecret" in told[0]
        assert len(told) > 8
        assert set(told[1:]) == {"not tried, since Mailjet refuses the key, as told once in this run."}

    def test_a_key_that_is_refused_half_way_is_told_once(self) -> None:
        cause = CredentialsRejectedError("https://api.example", detail="")
        incomplete = RoutesIncompleteError(["a@x.example"], done=3, cause=cause)
        assert str(incomplete.because(KeyRefusedBeforeError())) == str(incomplete).replace(
            str(cause), str(KeyRefusedBeforeError())
        )
