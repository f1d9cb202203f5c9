"""Tunnels over REST, asked by the official client and by hand."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator

import cloudflare
import pytest

from emulators.cloudflare import ACCOUNT_ID
from tests.unit.emulators.cloudflare_fixtures import EmulatedCloudflare, running

TUNNELS = f"/accounts/{ACCOUNT_ID}/cfd_tunnel"
MISSING = "00000000-0000-4000-8000-000000000000"


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmulatedCloudflare]:
    with running(tmp_path_factory.mktemp("cloudflare")) as world:
        yield world


@pytest.fixture
def world(shared: EmulatedCloudflare) -> EmulatedCloudflare:
    shared.emulator.reset()
    return shared


def new_tunnel(world: EmulatedCloudflare, name: str = "agentmail-dev") -> str:
    answer = world.call("POST", TUNNELS, {"name": name, "config_src": "cloudflare"})
    assert answer.status_code == 200, answer.text
    tunnel_id: str = answer.json()["result"]["id"]
    return tunnel_id


class TestLife:
    def test_a_tunnel_looks_as_the_api_shows_it(self, world: EmulatedCloudflare) -> None:
        tunnel_id = new_tunnel(world)
        shown = world.call("GET", f"{TUNNELS}/{tunnel_id}").json()["result"]
        created_at = shown.pop("created_at")
        assert shown == {
            "id": tunnel_id,
            "account_tag": ACCOUNT_ID,
            "deleted_at": None,
            "name": "agentmail-dev",
            "connections": [],
            "conns_active_at": None,
            "conns_inactive_at": created_at,
            "tun_type": "cfd_tunnel",
            "metadata": {},
            "status": "inactive",
            "remote_config": True,
            "config_src": "cloudflare",
        }

    @pytest.mark.slow
    def test_official_client(self, world: EmulatedCloudflare) -> None:
        tunnels = world.client().zero_trust.tunnels.cloudflared
        made = tunnels.create(account_id=ACCOUNT_ID, name="one", config_src="cloudflare")
        assert made is not None
        assert made.id is not None
        renamed = tunnels.edit(made.id, account_id=ACCOUNT_ID, name="two")
        assert renamed is not None
        assert renamed.name == "two"
        assert [one.name for one in tunnels.list(account_id=ACCOUNT_ID, name="two")] == ["two"]
        deleted = tunnels.delete(made.id, account_id=ACCOUNT_ID)
        assert deleted is not None
        assert deleted.deleted_at is not None
        read = tunnels.get(made.id, account_id=ACCOUNT_ID)
        assert read is not None
        assert read.deleted_at == deleted.deleted_at

    def test_a_deleted_tunnel_is_kept_and_frees_its_name(self, world: EmulatedCloudflare) -> None:
        gone = new_tunnel(world)
        assert world.call("DELETE", f"{TUNNELS}/{gone}").status_code == 200
        again = new_tunnel(world)
        for query, ids in (
            ("", [again]),
            ("?is_deleted=false", [again]),
            ("?is_deleted=true", [gone]),
            ("?is_deleted=false&name=other", []),
            ("?include_prefix=agent&exclude_prefix=agentmail-p", [again]),
            (f"?uuid={again}", [again]),
            ("?page=2", []),
        ):
            listed = world.call("GET", TUNNELS + query).json()["result"]
            assert [one["id"] for one in listed] == ids

    def test_a_deleted_tunnel_cannot_be_used(self, world: EmulatedCloudflare) -> None:
        gone = new_tunnel(world)
        world.call("DELETE", f"{TUNNELS}/{gone}")
        for method, path, body in (
            ("DELETE", "", None),
            ("PATCH", "", {"name": "x"}),
            ("GET", "/token", None),
            ("GET", "/configurations", None),
            ("PUT", "/configurations", {"config": {}}),
        ):
            answer = world.call(method, f"{TUNNELS}/{gone}{path}", body)
            assert (answer.status_code, answer.json()["errors"][0]["code"]) == (404, 1002)

    def test_names_are_unique(self, world: EmulatedCloudflare) -> None:
        new_tunnel(world, "one")
        two = new_tunnel(world, "two")
        taken = world.call("POST", TUNNELS, {"name": "one"})
        assert (taken.status_code, taken.json()["errors"][0]["code"]) == (409, 1013)
        assert world.call("PATCH", f"{TUNNELS}/{two}", {"name": "one"}).status_code == 409
        assert world.call("PATCH", f"{TUNNELS}/{two}", {"name": "two"}).status_code == 200

    def test_active_connections_forbid_deletion(self, world: EmulatedCloudflare) -> None:
        tunnel_id = new_tunnel(world)
        connection = world.emulator.account.connect_tunnel(tunnel_id)
        shown = world.call("GET", f"{TUNNELS}/{tunnel_id}").json()["result"]
        assert (shown["status"], shown["conns_inactive_at"]) == ("healthy", None)
        assert shown["connections"][0]["id"] == connection.id
        refused = world.call("DELETE", f"{TUNNELS}/{tunnel_id}")
        assert (refused.status_code, refused.json()["errors"][0]["code"]) == (400, 1022)
        assert world.call("GET", f"{TUNNELS}/{tunnel_id}/connections").json()["result"][0]["id"] == connection.id
        assert world.call("DELETE", f"{TUNNELS}/{tunnel_id}/connections").status_code == 200
        assert world.call("GET", f"{TUNNELS}/{tunnel_id}").json()["result"]["status"] == "down"
        assert world.call("DELETE", f"{TUNNELS}/{tunnel_id}").status_code == 200

    @pytest.mark.slow
    def test_token_is_what_cloudflared_takes(self, world: EmulatedCloudflare) -> None:
        secret = base64.b64encode(b"s" * 32).decode()
        made = world.call("POST", TUNNELS, {"name": "t", "tunnel_secret": secret}).json()["result"]
        assert made["config_src"] == "local"
        token = world.client().zero_trust.tunnels.cloudflared.token.get(made["id"], account_id=ACCOUNT_ID)
        assert token == made["token"]
        assert json.loads(base64.b64decode(token)) == {"a": ACCOUNT_ID, "t": made["id"], "s": secret}
        assert made["credentials_file"]["TunnelSecret"] == secret
        assert secret not in world.call("GET", f"{TUNNELS}/{made['id']}").text

    @pytest.mark.parametrize(
        "body",
        [{}, {"name": ""}, {"name": 1}, {"name": "x", "tunnel_secret": "c2hvcnQ="}, {"name": "x", "config_src": "git"}],
    )
    def test_a_bad_tunnel(self, world: EmulatedCloudflare, body: dict[str, object]) -> None:
        answer = world.call("POST", TUNNELS, body)
        assert (answer.status_code, answer.json()["errors"][0]["code"]) == (400, 1003)

    @pytest.mark.parametrize(
        ("status", "code", "path"),
        [
            (404, 1002, f"{TUNNELS}/{MISSING}"),
            (400, 7003, f"{TUNNELS}/agentmail-dev"),
            (400, 7003, "/accounts/acme/cfd_tunnel"),
            (403, 10000, f"/accounts/{'0' * 32}/cfd_tunnel"),
        ],
    )
    def test_what_is_not_there(self, world: EmulatedCloudflare, status: int, code: int, path: str) -> None:
        answer = world.call("GET", path)
        assert (answer.status_code, answer.json()["errors"][0]["code"]) == (status, code)


class TestConfiguration:
    def test_put_replaces_and_counts(self, world: EmulatedCloudflare) -> None:
        path = f"{TUNNELS}/{new_tunnel(world)}/configurations"
        empty = world.call("GET", path).json()["result"]
        assert (empty["version"], empty["config"]) == (0, None)
        for version, service in enumerate(("http://api:8000", "http://api:9000"), start=1):
            ingress = [{"hostname": "api.agents.example", "service": service}, {"service": "http_status:404"}]
            put = world.call("PUT", path, {"config": {"ingress": ingress}}).json()["result"]
            assert put["version"] == version
            assert put["source"] == "cloudflare"
            assert put["config"] == {"ingress": ingress, "warp-routing": {"enabled": False}}
            assert world.call("GET", path).json()["result"] == put

    def test_official_client(self, world: EmulatedCloudflare) -> None:
        tunnel_id = new_tunnel(world)
        configurations = world.client().zero_trust.tunnels.cloudflared.configurations
        put = configurations.update(
            tunnel_id,
            account_id=ACCOUNT_ID,
            config={
                "ingress": [
                    {
                        "hostname": "*.agents.example",
                        "service": "https://127.0.0.1:443",
                        "path": "^/api",
                        "origin_request": {"no_tls_verify": True},
                    },
                    {"hostname": "", "service": "http_status:404"},
                ]
            },
        )
        assert put is not None
        read = configurations.get(tunnel_id, account_id=ACCOUNT_ID)
        assert read is not None
        assert read.config is not None
        assert read.config.ingress is not None
        assert read.config.ingress[0].origin_request is not None
        assert read.config.ingress[0].origin_request.no_tls_verify is True

    @pytest.mark.parametrize(
        ("ingress", "reason"),
        [
            ([], None),
            ([{"hostname": "a.example", "service": "http://x"}], "last ingress rule"),
            ([{"service": "http://x"}, {"service": "http_status:404"}], "Rule #1 matches every hostname"),
            ([{"service": "x"}], "invalid address"),
            ([{"service": "http://x/path"}], "different path"),
            ([{"service": "http_status:9999"}], "invalid HTTP status"),
            ([{"service": ""}], "invalid address"),
            ([{"hostname": "a:80", "service": "http://x"}, {"service": "http://x"}], "port"),
            ([{"hostname": "a.*.b", "service": "http://x"}, {"service": "http://x"}], "wildcard"),
            ([{"path": "(", "service": "http://x"}, {"service": "http://x"}], "invalid regex"),
            (["x"], "list of rules"),
            ([{"service": 1}], "must be texts"),
        ],
    )
    def test_ingress_rules_are_checked(
        self, world: EmulatedCloudflare, ingress: list[object], reason: str | None
    ) -> None:
        answer = world.call("PUT", f"{TUNNELS}/{new_tunnel(world)}/configurations", {"config": {"ingress": ingress}})
        if reason is None:
            assert answer.status_code == 200
            return
        (error,) = answer.json()["errors"]
        assert (answer.status_code, error["code"]) == (400, 1056)
        assert reason in error["message"]

    def test_a_configuration_is_an_object(self, world: EmulatedCloudflare) -> None:
        answer = world.call("PUT", f"{TUNNELS}/{new_tunnel(world)}/configurations", {})
        assert (answer.status_code, answer.json()["errors"][0]["code"]) == (400, 1056)

    def test_conflicting_names_are_typed_errors_of_the_official_client(self, world: EmulatedCloudflare) -> None:
        new_tunnel(world, "one")
        with pytest.raises(cloudflare.ConflictError):
            world.client().zero_trust.tunnels.cloudflared.create(account_id=ACCOUNT_ID, name="one")
