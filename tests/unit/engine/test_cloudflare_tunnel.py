"""ZeroTrustTunnelCloudflared and its configuration: requests, replacements and what is kept."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from engine.cloudflare.properties import UNKNOWN, Secret
from tests.unit.engine.cloudflare_driver import (
    ACCOUNT,
    TUNNEL,
    TUNNEL_CONFIG,
    Answer,
    Plugin,
    RecordingApi,
    RecordingEngine,
    RefusedError,
    Request,
    recording_api,
    running_plugin,
)

TUNNELS = f"/accounts/{ACCOUNT}/cfd_tunnel"
NAMED = {"accountId": ACCOUNT, "name": "t1"}
RESULT = {
    "id": "u1",
    "account_tag": ACCOUNT,
    "name": "t1",
    "config_src": "cloudflare",
    "remote_config": True,
    "status": "inactive",
    "tun_type": "cfd_tunnel",
    "created_at": "then",
    "deleted_at": None,
    "conns_active_at": None,
    "conns_inactive_at": "then",
    "connections": [{"id": "c1", "colo_name": "ams", "origin_ip": "192.0.2.1", "is_pending_reconnect": False}],
    "metadata": {},
    "token": "never kept",
}

CONFIG: dict[str, Any] = {
    "ingresses": [{"hostname": "b.example.com", "service": "https://localhost:443"}, {"service": "x"}]
}
CONFIGURED = {"accountId": ACCOUNT, "tunnelId": "u1", "config": CONFIG}
CONFIGURATIONS = f"{TUNNELS}/u1/configurations"
CONFIG_RESULT: dict[str, Any] = {
    "tunnel_id": "u1",
    "account_id": ACCOUNT,
    "version": 1,
    "source": "cloudflare",
    "created_at": "then",
    "config": {
        "ingress": [{"hostname": "b.example.com", "service": "https://localhost:443"}, {"service": "x"}],
        "warp-routing": {"enabled": False},
    },
}


@pytest.fixture(scope="module")
def engine() -> Iterator[RecordingEngine]:
    engine = RecordingEngine()
    yield engine
    engine.close()


@pytest.fixture(scope="module")
def plugin(engine: RecordingEngine) -> Iterator[Plugin]:
    with running_plugin(engine.address) as process:
        yield Plugin(process.stub)


@pytest.fixture(scope="module")
def configured_api(plugin: Plugin) -> Iterator[RecordingApi]:
    with recording_api() as api:
        plugin.configure(api)
        yield api


@pytest.fixture
def api(configured_api: RecordingApi) -> RecordingApi:
    configured_api.reset()
    return configured_api


def created(
    plugin: Plugin, api: RecordingApi, token: str, inputs: dict[str, Any], result: dict[str, Any]
) -> dict[str, Any]:
    api.will_answer(result)
    _, state = plugin.create(token, inputs)
    api.seen()
    return state


class TestTunnel:
    def test_create_sends_name_and_source(self, plugin: Plugin, api: RecordingApi) -> None:
        api.will_answer(RESULT)
        object_id, state = plugin.create(TUNNEL, NAMED | {"configSrc": "cloudflare"})
        assert api.seen() == [Request("POST", TUNNELS, {"config_src": "cloudflare", "name": "t1"})]
        assert object_id == "u1"
        assert state["connections"] == [{"id": "c1", "coloName": "ams", "originIp": "192.0.2.1"}]
        assert state["metadata"] == "{}"
        assert state["accountTag"] == ACCOUNT
        assert not {"token", "deletedAt", "connsActiveAt"} & set(state)

    def test_the_source_defaults_to_local_and_is_sent(self, plugin: Plugin, api: RecordingApi) -> None:
        api.will_answer(RESULT)
        _, state = plugin.create(TUNNEL, NAMED)
        assert api.seen()[0].body == {"config_src": "local", "name": "t1"}
        assert state["configSrc"] == "local"

    def test_the_tunnel_secret_is_sent_and_stays_secret(self, plugin: Plugin, api: RecordingApi) -> None:
        for given in (Secret("c2VjcmV0"), "c2VjcmV0"):
            inputs = plugin.checked(TUNNEL, NAMED | {"tunnelSecret": given})
            assert inputs["tunnelSecret"] == Secret("c2VjcmV0")
            api.will_answer(RESULT)
            _, state = plugin.create(TUNNEL, inputs)
            assert api.seen()[0].body["tunnel_secret"] == "c2VjcmV0"
            assert state["tunnelSecret"] == Secret("c2VjcmV0")

    @pytest.mark.parametrize("missing", ["accountId", "name"])
    def test_a_missing_property_is_named(self, plugin: Plugin, missing: str) -> None:
        inputs = {key: value for key, value in NAMED.items() if key != missing}
        assert plugin.check(TUNNEL, inputs) == [(missing, f"Missing required property '{missing}'.")]

    def test_the_source_is_local_or_cloudflare(self, plugin: Plugin) -> None:
        [(where, reason)] = plugin.check(TUNNEL, NAMED | {"configSrc": "moon"})
        assert where == "configSrc"
        assert "must be one of: local, cloudflare" in reason

    @pytest.mark.parametrize(
        ("wanted", "path", "kind", "replaces"),
        [
            ({"name": "t2"}, "name", "UPDATE", []),
            ({"tunnelSecret": "new"}, "tunnelSecret", "ADD", []),
            ({"accountId": "f" * 32}, "accountId", "UPDATE_REPLACE", ["accountId"]),
            ({"configSrc": "local"}, "configSrc", "UPDATE_REPLACE", ["configSrc"]),
            ({"configSrc": None}, "configSrc", "UPDATE", []),
        ],
    )
    def test_account_and_a_configured_source_replace(
        self, plugin: Plugin, api: RecordingApi, wanted: dict[str, Any], path: str, kind: str, replaces: list[str]
    ) -> None:
        inputs = NAMED | {"configSrc": "cloudflare"}
        state = created(plugin, api, TUNNEL, inputs, RESULT)
        assert not plugin.diff(TUNNEL, state, inputs).changes
        difference = plugin.diff(TUNNEL, state, inputs | wanted)
        assert difference.paths == {path: kind}
        assert difference.replaces == replaces

    def test_update_patches_only_what_changed(self, plugin: Plugin, api: RecordingApi) -> None:
        inputs = NAMED | {"tunnelSecret": Secret("a"), "configSrc": "cloudflare"}
        state = created(plugin, api, TUNNEL, inputs, RESULT)
        api.will_answer(RESULT | {"name": "t2", "status": "healthy"})
        state = plugin.update(TUNNEL, state, inputs | {"name": "t2"})
        assert api.seen() == [Request("PATCH", f"{TUNNELS}/u1", {"name": "t2"})]
        assert state["name"] == "t2"
        assert state["status"] == "healthy"
        assert state["tunnelSecret"] == Secret("a")

    def test_a_new_name_previews_the_other_outputs_as_unknown(self, plugin: Plugin, api: RecordingApi) -> None:
        state = created(plugin, api, TUNNEL, NAMED, RESULT)
        planned = plugin.update(TUNNEL, state, NAMED | {"name": "t2"}, preview=True)
        assert planned["id"] == "u1"
        assert planned["name"] == "t2"
        assert planned["configSrc"] == "local"
        assert planned["status"] is UNKNOWN
        assert planned["connections"] is UNKNOWN

    def test_refresh_keeps_source_and_secret(self, plugin: Plugin, api: RecordingApi) -> None:
        inputs = NAMED | {"tunnelSecret": Secret("a")}
        state = created(plugin, api, TUNNEL, inputs, RESULT)
        api.will_answer(RESULT | {"name": "by hand", "deleted_at": "then", "tunnel_secret": "x"})
        object_id, state, refreshed = plugin.read(TUNNEL, "u1", state, inputs)
        assert api.seen() == [Request("GET", f"{TUNNELS}/u1", None)]
        assert object_id == "u1"
        assert state["configSrc"] == "local"
        assert state["tunnelSecret"] == Secret("a")
        assert state["deletedAt"] == "then"
        assert refreshed == inputs | {"name": "by hand"}

    def test_only_a_404_drops_it(self, plugin: Plugin, api: RecordingApi) -> None:
        state = created(plugin, api, TUNNEL, NAMED, RESULT)
        api.will_answer(Answer(404, {"errors": []}))
        assert plugin.read(TUNNEL, "u1", state, NAMED)[0] == ""

    def test_import_takes_the_source_and_has_no_secret(self, plugin: Plugin, api: RecordingApi) -> None:
        api.will_answer(RESULT, RESULT)
        object_id, state, inputs = plugin.import_(TUNNEL, f"{ACCOUNT}/u1")
        assert api.seen() == [Request("GET", f"{TUNNELS}/u1", None)] * 2
        assert object_id == "u1"
        assert state["configSrc"] == "cloudflare"
        assert "tunnelSecret" not in state
        assert inputs == NAMED | {"configSrc": "cloudflare"}
        assert not plugin.diff(TUNNEL, state, inputs).changes

    def test_delete_is_one_request(self, plugin: Plugin, api: RecordingApi) -> None:
        state = created(plugin, api, TUNNEL, NAMED, RESULT)
        api.will_answer(RESULT)
        plugin.delete(TUNNEL, state)
        assert api.seen() == [Request("DELETE", f"{TUNNELS}/u1", None)]


class TestTunnelConfig:
    def test_create_puts_the_whole_configuration_in_the_names_of_the_api(
        self, plugin: Plugin, api: RecordingApi
    ) -> None:
        origin = {
            "connectTimeout": 10,
            "noTlsVerify": True,
            "matchSnItoHost": False,
            "http2Origin": True,
            "access": {"audTags": ["b", "a"], "teamName": "team", "required": True},
        }
        first = {"hostname": "b.example.com", "path": "/x", "service": "https://localhost:443"}
        config = {
            "ingresses": [first | {"originRequest": origin}, {"service": "http_status:404"}],
            "originRequest": {"caPool": "pool"},
        }
        api.will_answer(CONFIG_RESULT)
        object_id, state = plugin.create(TUNNEL_CONFIG, CONFIGURED | {"config": config})
        sent_origin = {
            "connectTimeout": 10,
            "noTLSVerify": True,
            "matchSNItoHost": False,
            "http2Origin": True,
            "access": {"audTag": ["b", "a"], "teamName": "team", "required": True},
        }
        sent = {
            "ingress": [first | {"originRequest": sent_origin}, {"service": "http_status:404"}],
            "originRequest": {"caPool": "pool"},
        }
        assert api.seen() == [Request("PUT", CONFIGURATIONS, {"config": sent})]
        assert object_id == state["id"] == "u1"
        assert state["config"] == config
        assert (state["version"], state["source"], state["createdAt"]) == (1, "cloudflare", "then")

    def test_the_source_is_sent_only_if_given(self, plugin: Plugin, api: RecordingApi) -> None:
        api.will_answer(CONFIG_RESULT, CONFIG_RESULT)
        _, state = plugin.create(TUNNEL_CONFIG, CONFIGURED | {"source": "local"})
        assert api.seen()[0].body["source"] == "local"
        assert state["source"] == "local"
        plugin.update(TUNNEL_CONFIG, state, CONFIGURED | {"config": {"ingresses": [{"service": "y"}]}})
        assert "source" not in api.seen()[0].body

    def test_a_secret_service_is_secret_in_the_output(self, plugin: Plugin, api: RecordingApi) -> None:
        config = {"ingresses": [{"hostname": "b", "service": Secret("unix:/s")}, {"service": "x"}]}
        state = created(plugin, api, TUNNEL_CONFIG, CONFIGURED | {"config": config}, CONFIG_RESULT)
        assert state["config"] == config

    def test_without_config_it_cannot_be_created(self, plugin: Plugin, api: RecordingApi) -> None:
        inputs = {"accountId": ACCOUNT, "tunnelId": "u1"}
        assert plugin.check(TUNNEL_CONFIG, inputs) == []
        for preview in (True, False):
            with pytest.raises(RefusedError, match=r"Value Conversion Error: Path: config"):
                plugin.create(TUNNEL_CONFIG, inputs, preview)
        assert api.seen() == []

    @pytest.mark.parametrize(
        ("wanted", "path", "kind", "replaces"),
        [
            ({"tunnelId": "u2"}, "tunnelId", "UPDATE_REPLACE", ["tunnelId"]),
            ({"tunnelId": UNKNOWN}, "tunnelId", "UPDATE_REPLACE", ["tunnelId"]),
            ({"accountId": "f" * 32}, "accountId", "UPDATE_REPLACE", ["accountId"]),
            ({"source": "local"}, "source", "UPDATE", []),
            (
                {"config": {"ingresses": [CONFIG["ingresses"][0], {"service": "y"}]}},
                "config.ingresses[1].service",
                "UPDATE",
                [],
            ),
            ({"config": CONFIG | {"originRequest": {"caPool": "p"}}}, "config.originRequest", "ADD", []),
            ({"config": {"ingresses": CONFIG["ingresses"][:1]}}, "config.ingresses[1]", "DELETE", []),
        ],
    )
    def test_tunnel_and_account_replace(
        self, plugin: Plugin, api: RecordingApi, wanted: dict[str, Any], path: str, kind: str, replaces: list[str]
    ) -> None:
        state = created(plugin, api, TUNNEL_CONFIG, CONFIGURED, CONFIG_RESULT)
        assert not plugin.diff(TUNNEL_CONFIG, state, CONFIGURED).changes
        difference = plugin.diff(TUNNEL_CONFIG, state, CONFIGURED | wanted)
        assert difference.paths == {path: kind}
        assert difference.replaces == replaces

    def test_a_removed_origin_request_is_an_explicit_null(self, plugin: Plugin, api: RecordingApi) -> None:
        inputs = CONFIGURED | {"config": CONFIG | {"originRequest": {"caPool": "p"}}}
        state = created(plugin, api, TUNNEL_CONFIG, inputs, CONFIG_RESULT)
        api.will_answer(CONFIG_RESULT | {"version": 2})
        state = plugin.update(TUNNEL_CONFIG, state, CONFIGURED)
        [request] = api.seen()
        assert request.method == "PUT"
        assert request.body == {"config": {"ingress": CONFIG["ingresses"], "originRequest": None}}
        assert state["version"] == 2

    def test_refresh_ignores_what_the_schema_does_not_have(self, plugin: Plugin, api: RecordingApi) -> None:
        state = created(plugin, api, TUNNEL_CONFIG, CONFIGURED, CONFIG_RESULT)
        api.will_answer(CONFIG_RESULT)
        object_id, state, inputs = plugin.read(TUNNEL_CONFIG, "u1", state, CONFIGURED)
        assert api.seen() == [Request("GET", CONFIGURATIONS, None)]
        assert object_id == "u1"
        assert state["config"] == CONFIG
        assert inputs == CONFIGURED
        assert not plugin.diff(TUNNEL_CONFIG, state, CONFIGURED).changes

    def test_empty_origin_requests_that_the_api_adds_differ_after_a_refresh(
        self, plugin: Plugin, api: RecordingApi
    ) -> None:
        state = created(plugin, api, TUNNEL_CONFIG, CONFIGURED, CONFIG_RESULT)
        added: dict[str, Any] = {"ingress": [item | {"originRequest": {}} for item in CONFIG["ingresses"]]}
        api.will_answer(CONFIG_RESULT | {"config": added})
        _, state, _ = plugin.read(TUNNEL_CONFIG, "u1", state, CONFIGURED)
        assert plugin.diff(TUNNEL_CONFIG, state, CONFIGURED).paths == {
            "config.ingresses[0].originRequest": "DELETE",
            "config.ingresses[1].originRequest": "DELETE",
        }

    def test_a_vanished_configuration_is_dropped(self, plugin: Plugin, api: RecordingApi) -> None:
        state = created(plugin, api, TUNNEL_CONFIG, CONFIGURED, CONFIG_RESULT)
        api.will_answer(Answer(404, {"errors": []}))
        assert plugin.read(TUNNEL_CONFIG, "u1", state, CONFIGURED)[0] == ""

    def test_import_asks_twice(self, plugin: Plugin, api: RecordingApi) -> None:
        api.will_answer(CONFIG_RESULT, CONFIG_RESULT)
        object_id, state, inputs = plugin.import_(TUNNEL_CONFIG, f"{ACCOUNT}/u1")
        assert api.seen() == [Request("GET", CONFIGURATIONS, None)] * 2
        assert object_id == "u1"
        assert inputs == CONFIGURED | {"source": "cloudflare"}
        assert not plugin.diff(TUNNEL_CONFIG, state, inputs).changes

    def test_delete_only_warns(self, plugin: Plugin, api: RecordingApi, engine: RecordingEngine) -> None:
        state = created(plugin, api, TUNNEL_CONFIG, CONFIGURED, CONFIG_RESULT)
        engine.messages.clear()
        plugin.delete(TUNNEL_CONFIG, state, "ingress")
        assert api.seen() == []
        [(name, message)] = engine.messages
        assert name == "ingress"
        assert "stays until its tunnel is deleted" in message

    def test_a_preview_of_a_new_one_warns_and_creating_it_does_not(
        self, plugin: Plugin, api: RecordingApi, engine: RecordingEngine
    ) -> None:
        engine.messages.clear()
        plugin.create(TUNNEL_CONFIG, CONFIGURED, preview=True, name="ingress")
        assert [name for name, _ in engine.messages] == ["ingress"]
        created(plugin, api, TUNNEL_CONFIG, CONFIGURED, CONFIG_RESULT)
        assert len(engine.messages) == 1
