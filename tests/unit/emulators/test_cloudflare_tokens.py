"""Who may do what: token verification and rights."""

from __future__ import annotations

from collections.abc import Iterator

import cloudflare
import pytest

from emulators.cloudflare import (
    ACCOUNT_ID,
    DEFAULT_ZONES,
    DNS_READ_ONLY,
    DNS_WITHOUT_TUNNEL,
    ZONE_ID,
    Permission,
    SeedZone,
)
from tests.unit.emulators.cloudflare_fixtures import TOKEN, EmulatedCloudflare, running

SECOND = SeedZone(name="second.example")
RECORDS = f"/zones/{ZONE_ID}/dns_records"
TUNNELS = f"/accounts/{ACCOUNT_ID}/cfd_tunnel"
RECORD = {"type": "A", "name": "x", "content": "192.0.2.1"}


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmulatedCloudflare]:
    with running(tmp_path_factory.mktemp("cloudflare"), zones=(*DEFAULT_ZONES, SECOND)) as world:
        yield world


@pytest.fixture
def world(shared: EmulatedCloudflare) -> EmulatedCloudflare:
    shared.emulator.reset()
    return shared


def outcome(
    world: EmulatedCloudflare, method: str, path: str, body: object = None, *, token: str | None
) -> tuple[int, int]:
    answer = world.call(method, path, body, token=token)
    errors = answer.json()["errors"]
    return answer.status_code, errors[0]["code"] if errors else 0


class TestVerification:
    def test_a_good_token(self, world: EmulatedCloudflare) -> None:
        answer = world.call("GET", "/user/tokens/verify").json()
        assert answer["result"]["status"] == "active"
        assert answer["messages"] == [{"code": 10000, "message": "This API Token is valid and active", "type": None}]

    def test_each_kind_of_token_is_known_at_its_own_address_only(self, world: EmulatedCloudflare) -> None:
        policies = [{"effect": "allow", "resources": {}, "permission_groups": [{"name": "DNS Read"}]}]
        made = world.call("POST", f"/accounts/{ACCOUNT_ID}/tokens", {"name": "ci", "policies": policies}).json()
        of_account = made["result"]["value"]
        for path, token, expected in (
            ("/user/tokens/verify", of_account, 401),
            (f"/accounts/{ACCOUNT_ID}/tokens/verify", of_account, 200),
            (f"/accounts/{ACCOUNT_ID}/tokens/verify", TOKEN, 401),
        ):
            assert world.call("GET", path, token=token).status_code == expected, path

    def test_official_client(self, world: EmulatedCloudflare) -> None:
        verified = world.client().user.tokens.verify()
        assert verified is not None
        assert verified.status == "active"
        with pytest.raises(cloudflare.AuthenticationError) as refused:
            world.client("x" * 40).user.tokens.verify()
        assert refused.value.errors[0].code == 1000
        assert refused.value.errors[0].message == "Invalid API Token"

    def test_another_account(self, world: EmulatedCloudflare) -> None:
        assert outcome(world, "GET", f"/accounts/{'0' * 32}/tokens/verify", token=TOKEN) == (403, 10000)

    def test_no_or_malformed_token(self, world: EmulatedCloudflare) -> None:
        assert outcome(world, "GET", "/user/tokens/verify", token=None) == (400, 1001)
        assert outcome(world, "GET", "/user/tokens/verify", token="short") == (400, 6003)


class TestUnknownCredentials:
    @pytest.mark.parametrize(
        ("token", "path", "expected"),
        [
            ("x" * 40, "/zones", (403, 9109)),
            ("x" * 40, RECORDS, (403, 9109)),
            ("x" * 40, TUNNELS, (401, 10000)),
            (None, RECORDS, (400, 9106)),
            ("not a token", RECORDS, (400, 6003)),
        ],
    )
    def test_nothing_is_answered(
        self, world: EmulatedCloudflare, token: str | None, path: str, expected: tuple[int, int]
    ) -> None:
        assert outcome(world, "GET", path, token=token) == expected

    def test_a_global_key_is_unknown(self, world: EmulatedCloudflare) -> None:
        with cloudflare.Cloudflare(
            api_key="k" * 37, api_email="a@example.com", api_token="", base_url=world.base, max_retries=0
        ) as client:
            client.api_token = None
            with pytest.raises(cloudflare.PermissionDeniedError, match="9103"):
                client.zones.list()


class TestNarrowRights:
    def test_reading_dns_only(self, world: EmulatedCloudflare) -> None:
        _, token = world.emulator.add_token(permissions=DNS_READ_ONLY)
        record = world.call("GET", RECORDS).json()["result"][0]["id"]
        assert outcome(world, "GET", f"/zones/{ZONE_ID}", token=token) == (200, 0)
        assert outcome(world, "GET", RECORDS, token=token) == (200, 0)
        for method, path, body in (
            ("POST", RECORDS, RECORD),
            ("PUT", f"{RECORDS}/{record}", RECORD),
            ("PATCH", f"{RECORDS}/{record}", {}),
            ("DELETE", f"{RECORDS}/{record}", None),
            ("POST", f"{RECORDS}/batch", {}),
            ("GET", TUNNELS, None),
            ("POST", TUNNELS, {"name": "x"}),
        ):
            assert outcome(world, method, path, body, token=token) == (403, 10000)

    def test_dns_without_tunnels(self, world: EmulatedCloudflare) -> None:
        _, token = world.emulator.add_token(permissions=DNS_WITHOUT_TUNNEL)
        assert outcome(world, "POST", RECORDS, RECORD, token=token) == (200, 0)
        assert outcome(world, "POST", TUNNELS, {"name": "x"}, token=token) == (403, 10000)

    def test_reading_tunnels_gives_no_token(self, world: EmulatedCloudflare) -> None:
        _, token = world.emulator.add_token(permissions=frozenset({Permission.TUNNEL_READ}))
        tunnel = world.call("POST", TUNNELS, {"name": "x"}).json()["result"]["id"]
        assert outcome(world, "GET", f"{TUNNELS}/{tunnel}", token=token) == (200, 0)
        assert outcome(world, "GET", f"{TUNNELS}/{tunnel}/token", token=token) == (403, 10000)

    def test_no_right_to_see_zones(self, world: EmulatedCloudflare) -> None:
        _, token = world.emulator.add_token(permissions=frozenset({Permission.DNS_WRITE}))
        assert outcome(world, "GET", f"/zones/{ZONE_ID}", token=token) == (403, 9109)
        assert world.call("GET", "/zones", token=token).json()["result"] == []
        assert outcome(world, "GET", RECORDS, token=token) == (200, 0)

    def test_one_zone_only(self, world: EmulatedCloudflare) -> None:
        _, token = world.emulator.add_token(permissions=DNS_WITHOUT_TUNNEL, zones=frozenset({SECOND.zone_id}))
        assert outcome(world, "GET", RECORDS, token=token) == (403, 10000)
        assert outcome(world, "POST", f"/zones/{SECOND.zone_id}/dns_records", RECORD, token=token) == (200, 0)
        (zone,) = world.call("GET", "/zones", token=token).json()["result"]
        assert zone["name"] == "second.example"


class TestTokensOverTheApi:
    def test_a_narrow_token_is_made_used_and_revoked(self, world: EmulatedCloudflare) -> None:
        client = world.client()
        groups = {group.name: group.id for group in client.user.tokens.permission_groups.list()}
        made = client.user.tokens.create(
            name="preview",
            policies=[
                {
                    "effect": "allow",
                    "permission_groups": [{"id": groups["DNS Read"] or ""}, {"id": groups["Zone Read"] or ""}],
                    "resources": {f"com.cloudflare.api.account.zone.{ZONE_ID}": "*"},
                }
            ],
        )
        assert made is not None
        assert made.value is not None
        assert made.id is not None
        narrow = world.client(made.value)
        assert len(list(narrow.dns.records.list(zone_id=ZONE_ID))) == 6
        with pytest.raises(cloudflare.PermissionDeniedError):
            narrow.dns.records.create(zone_id=ZONE_ID, type="A", name="x", content="192.0.2.1", ttl=1)
        with pytest.raises(cloudflare.PermissionDeniedError):
            list(narrow.user.tokens.list())
        assert [token.name for token in client.user.tokens.list()] == ["owner", "preview"]
        client.user.tokens.delete(made.id)
        assert outcome(world, "GET", RECORDS, token=made.value) == (403, 9109)
        assert outcome(world, "DELETE", f"/user/tokens/{made.id}", token=TOKEN) == (404, 1003)

    @pytest.mark.parametrize(
        "policies", [None, [], ["x"], [{"effect": "deny"}], [{"permission_groups": [{"name": "Fly"}]}]]
    )
    def test_bad_policies(self, world: EmulatedCloudflare, policies: object) -> None:
        assert outcome(world, "POST", "/user/tokens", {"name": "x", "policies": policies}, token=TOKEN) == (400, 1001)

    def test_values_are_nowhere_kept(self, world: EmulatedCloudflare, tmp_path_factory: pytest.TempPathFactory) -> None:
        _, token = world.emulator.add_token(permissions=DNS_READ_ONLY, name="t")
        state = repr(world.emulator.state())
        files = b"".join(path.read_bytes() for path in tmp_path_factory.getbasetemp().rglob("cloudflare.sqlite*"))
        for value in (token, TOKEN):
            assert value not in state
            assert value.encode() not in files
