"""The functions: which requests they make, page by page, and what they return."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.unit.engine.cloudflare_driver import (
    ACCOUNT,
    GET_RECORDS,
    GET_TOKEN,
    GET_TUNNELS,
    GET_ZONE,
    ZONE,
    Answer,
    Plugin,
    RecordingApi,
    RefusedError,
    recording_api,
    running_plugin,
)

RECORDS = f"/zones/{ZONE}/dns_records"


@pytest.fixture(scope="module")
def plugin() -> Iterator[Plugin]:
    with running_plugin() as process:
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


def paths(api: RecordingApi) -> list[str]:
    requests = api.seen()
    assert {request.method for request in requests} == {"GET"}
    return [request.path for request in requests]


def records(first: int, last: int) -> list[dict[str, Any]]:
    return [{"id": f"r{number}", "name": "a.example.com", "type": "A"} for number in range(first, last + 1)]


class TestGetDnsRecords:
    def test_pages_are_read_until_one_is_empty(self, plugin: Plugin, api: RecordingApi) -> None:
        api.will_answer(records(1, 100), records(101, 150), [])
        result = plugin.invoke(GET_RECORDS, {"zoneId": ZONE})
        assert paths(api) == [RECORDS, f"{RECORDS}?page=2", f"{RECORDS}?page=3"]
        assert [record["id"] for record in result["results"]] == [f"r{number}" for number in range(1, 151)]
        assert result["zoneId"] == ZONE

    def test_an_empty_zone_is_one_request(self, plugin: Plugin, api: RecordingApi) -> None:
        api.will_answer([])
        assert plugin.invoke(GET_RECORDS, {"zoneId": ZONE})["results"] == []
        assert paths(api) == [RECORDS]

    def test_max_items_ends_the_listing(self, plugin: Plugin, api: RecordingApi) -> None:
        api.will_answer(records(1, 100), records(101, 200))
        result = plugin.invoke(GET_RECORDS, {"zoneId": ZONE, "maxItems": 120})
        assert len(result["results"]) == 120
        assert paths(api) == [RECORDS, f"{RECORDS}?page=2"]

    def test_a_thousand_is_the_default_maximum(self, plugin: Plugin, api: RecordingApi) -> None:
        api.will_answer(*[records(1, 100)] * 11)
        assert len(plugin.invoke(GET_RECORDS, {"zoneId": ZONE})["results"]) == 1000
        assert len(paths(api)) == 10

    @pytest.mark.parametrize(
        ("arguments", "query"),
        [
            ({"type": "TXT"}, "type=TXT"),
            ({"name": {"exact": "a.example.com"}}, "name.exact=a.example.com"),
            ({"comment": {"absent": "true"}, "proxied": True}, "comment.absent=true&proxied=true"),
            ({"tagMatch": "any", "tag": {"startswith": "owner:x y"}}, "tag.startswith=owner%3Ax+y&tag_match=any"),
        ],
    )
    def test_a_filter_is_repeated_on_every_page(
        self, plugin: Plugin, api: RecordingApi, arguments: dict[str, Any], query: str
    ) -> None:
        api.will_answer(records(1, 1), [])
        plugin.invoke(GET_RECORDS, {"zoneId": ZONE} | arguments)
        assert paths(api) == [f"{RECORDS}?{query}", f"{RECORDS}?{query}&page=2"]

    def test_a_record_has_the_sdks_names(self, plugin: Plugin, api: RecordingApi) -> None:
        record = {
            "id": "r1",
            "name": "example.com",
            "type": "MX",
            "content": "mx.example.com",
            "comment": "managed by pulumi: dev",
            "priority": 10,
            "proxied": False,
            "proxiable": False,
            "ttl": 1,
            "tags": [],
            "settings": {"flatten_cname": False},
            "meta": {"auto_added": False},
            "data": {"matching_type": 1},
            "created_on": "then",
            "modified_on": "now",
            "zone_id": ZONE,
        }
        api.will_answer([record], [])
        [found] = plugin.invoke(GET_RECORDS, {"zoneId": ZONE})["results"]
        assert found == {
            "id": "r1",
            "name": "example.com",
            "type": "MX",
            "content": "mx.example.com",
            "comment": "managed by pulumi: dev",
            "priority": 10,
            "proxied": False,
            "proxiable": False,
            "ttl": 1,
            "tags": [],
            "settings": {"flattenCname": False},
            "meta": '{"auto_added":false}',
            "data": {"matchingType": 1},
            "createdOn": "then",
            "modifiedOn": "now",
        }

    def test_the_zone_is_required(self, plugin: Plugin) -> None:
        assert plugin.invoke_failures(GET_RECORDS, {}) == [("zoneId", "Missing required property 'zoneId'.")]

    def test_an_unknown_argument_is_refused(self, plugin: Plugin) -> None:
        [(where, reason)] = plugin.invoke_failures(GET_RECORDS, {"zoneId": ZONE, "perPage": 5})
        assert where == "perPage"
        assert "is not supported" in reason

    def test_a_refusal_is_an_error(self, plugin: Plugin, api: RecordingApi) -> None:
        api.will_answer(Answer(403, {"errors": [{"code": 9109}]}))
        with pytest.raises(RefusedError, match=r'GET ".*/dns_records": 403 Forbidden .*9109'):
            plugin.invoke(GET_RECORDS, {"zoneId": ZONE})


class TestGetZone:
    zone: dict[str, Any] = {  # noqa: RUF012
        "id": ZONE,
        "name": "example.com",
        "status": "active",
        "paused": False,
        "account": {"id": ACCOUNT, "name": "Azt3kNet"},
        "name_servers": ["a.ns", "b.ns"],
        "plan": {"legacy_id": "free", "price": 0},
        "meta": {"page_rule_quota": 3},
        "original_dnshost": None,
    }

    def test_by_id(self, plugin: Plugin, api: RecordingApi) -> None:
        api.will_answer(self.zone)
        result = plugin.invoke(GET_ZONE, {"zoneId": ZONE})
        assert paths(api) == [f"/zones/{ZONE}"]
        assert result["id"] == result["zoneId"] == ZONE
        assert result["account"] == {"id": ACCOUNT, "name": "Azt3kNet"}
        assert result["nameServers"] == ["a.ns", "b.ns"]
        assert result["plan"] == {"legacyId": "free", "price": 0}
        assert result["meta"] == {"pageRuleQuota": 3}
        assert "originalDnshost" not in result

    def test_by_filter(self, plugin: Plugin, api: RecordingApi) -> None:
        api.will_answer([self.zone], self.zone)
        result = plugin.invoke(GET_ZONE, {"filter": {"name": "example.com"}})
        assert paths(api) == ["/zones?name=example.com", f"/zones/{ZONE}"]
        assert result["zoneId"] == ZONE
        assert result["filter"] == {"name": "example.com"}

    def test_by_a_filter_with_an_account(self, plugin: Plugin, api: RecordingApi) -> None:
        api.will_answer([self.zone], self.zone)
        plugin.invoke(GET_ZONE, {"filter": {"name": "example.com", "account": {"id": ACCOUNT}, "match": "all"}})
        assert paths(api)[0] == f"/zones?account.id={ACCOUNT}&match=all&name=example.com"

    @pytest.mark.parametrize("found", [0, 2])
    def test_a_filter_matches_one_zone(self, plugin: Plugin, api: RecordingApi, found: int) -> None:
        api.will_answer([self.zone] * found)
        with pytest.raises(RefusedError, match=f"failed to find exactly one result: {found} found"):
            plugin.invoke(GET_ZONE, {"filter": {"name": "example.com"}})

    def test_it_needs_an_id_or_a_filter(self, plugin: Plugin) -> None:
        for arguments in ({}, {"zoneId": ZONE, "filter": {}}):
            [(where, reason)] = plugin.invoke_failures(GET_ZONE, arguments)
            assert where == "zoneId"
            assert "exactly one of `zoneId` and `filter`" in reason


class TestGetTunnels:
    """The requests are those of the official plugin's data source, read in its source."""

    def test_a_name_among_the_live_ones(self, plugin: Plugin, api: RecordingApi) -> None:
        tunnel = {"id": "u1", "name": "t 1", "remote_config": True, "deleted_at": None, "tun_type": "cfd_tunnel"}
        api.will_answer([tunnel], [])
        result = plugin.invoke(GET_TUNNELS, {"accountId": ACCOUNT, "name": "t 1", "isDeleted": False})
        where = f"/accounts/{ACCOUNT}/cfd_tunnel?is_deleted=false&name=t+1"
        assert paths(api) == [where, f"{where}&page=2"]
        [found] = result["results"]
        assert (found["id"], found["name"], found["remoteConfig"]) == ("u1", "t 1", True)
        assert found.get("deletedAt") is None

    def test_an_account_without_one_is_one_request(self, plugin: Plugin, api: RecordingApi) -> None:
        api.will_answer([])
        assert plugin.invoke(GET_TUNNELS, {"accountId": ACCOUNT})["results"] == []
        assert paths(api) == [f"/accounts/{ACCOUNT}/cfd_tunnel"]

    def test_the_account_is_required(self, plugin: Plugin) -> None:
        [(where, _)] = plugin.invoke_failures(GET_TUNNELS, {"name": "t1"})
        assert where == "accountId"


class TestGetToken:
    def test_the_token_comes_plain(self, plugin: Plugin, api: RecordingApi) -> None:
        api.will_answer("eyJhIjoiYWNjb3VudCJ9")
        result = plugin.invoke(GET_TOKEN, {"accountId": ACCOUNT, "tunnelId": "u1"})
        assert paths(api) == [f"/accounts/{ACCOUNT}/cfd_tunnel/u1/token"]
        assert result == {"accountId": ACCOUNT, "tunnelId": "u1", "token": "eyJhIjoiYWNjb3VudCJ9"}

    def test_an_answer_that_is_no_token_is_an_error(self, plugin: Plugin, api: RecordingApi) -> None:
        api.will_answer({"unexpected": True})
        with pytest.raises(RefusedError, match="is not the tunnel's token"):
            plugin.invoke(GET_TOKEN, {"accountId": ACCOUNT, "tunnelId": "u1"})


class TestUnknownFunction:
    def test_the_error_names_what_there_is(self, plugin: Plugin) -> None:
        with pytest.raises(RefusedError) as caught:
            plugin.invoke("cloudflare:index/getAccounts:getAccounts", {})
        message = caught.value.message
        assert "no function 'cloudflare:index/getAccounts:getAccounts'" in message
        for name in (GET_RECORDS, GET_ZONE, GET_TUNNELS, GET_TOKEN):
            assert name in message
        assert "the official plugin has the rest" in message
