"""DNS records over REST, asked by the official client and by hand."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cloudflare
import pytest

from emulators.cloudflare import DEFAULT_ZONES, ZONE_ID, SeedZone, ZonePlan
from tests.unit.emulators.cloudflare_fixtures import TOKEN, EmulatedCloudflare, running

APEX = "agents.example"
ENTERPRISE = SeedZone(name="big.example", plan=ZonePlan.ENTERPRISE)
MISSING = "0" * 32


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmulatedCloudflare]:
    with running(tmp_path_factory.mktemp("cloudflare"), zones=(*DEFAULT_ZONES, ENTERPRISE)) as world:
        yield world


@pytest.fixture
def world(shared: EmulatedCloudflare) -> EmulatedCloudflare:
    shared.emulator.reset()
    return shared


class TestShapes:
    def test_a_record_looks_as_the_api_shows_it(self, world: EmulatedCloudflare) -> None:
        record = world.create(type="MX", name="dev", content="parse.mailjet.com", priority=10, ttl=300, comment="ours")
        assert set(record) == {
            "id", "name", "type", "content", "proxiable", "proxied", "ttl", "settings", "meta", "comment",
            "tags", "created_on", "modified_on", "priority", "comment_modified_on",
        }  # fmt: skip
        assert len(record["id"]) == 32
        assert int(record["id"], 16) >= 0
        assert record["name"] == "dev.agents.example"
        assert (record["proxiable"], record["proxied"], record["ttl"]) == (False, False, 300)
        assert (record["settings"], record["meta"], record["tags"]) == ({}, {}, [])
        assert record["created_on"] == record["modified_on"] == record["comment_modified_on"]
        assert len(record["created_on"]) == len("2026-07-01T00:00:00.000000Z")
        assert record["created_on"].endswith("Z")

    def test_no_comment_is_null_and_has_no_time(self, world: EmulatedCloudflare) -> None:
        for given in ({}, {"comment": None}, {"comment": ""}):
            record = world.create(type="A", name=f"a{len(given)}{given.get('comment')}", content="192.0.2.1", **given)
            assert record["comment"] is None
            assert "comment_modified_on" not in record

    def test_an_envelope_has_all_its_fields(self, world: EmulatedCloudflare) -> None:
        answer = world.call("GET", f"/zones/{ZONE_ID}/dns_records").json()
        assert set(answer) == {"result", "success", "errors", "messages", "result_info"}
        assert answer["result_info"] == {
            "page": 1,
            "per_page": 100,
            "count": 6,
            "total_count": 6,
            "total_pages": 1,
        }


class TestOfficialClient:
    def test_create_read_change_delete(self, world: EmulatedCloudflare) -> None:
        records = world.client().dns.records
        made = records.create(zone_id=ZONE_ID, type="TXT", name="dev", content='"v=spf1 -all"', ttl=300)
        assert made is not None
        read = records.get(made.id, zone_id=ZONE_ID)
        assert read == made
        put = records.update(
            made.id, zone_id=ZONE_ID, type="TXT", name="dev", content='"v=spf1 ~all"', ttl=600, comment="c"
        )
        assert put is not None
        assert (put.content, put.ttl, put.comment) == ('"v=spf1 ~all"', 600, "c")
        assert put.created_on == made.created_on
        assert put.modified_on > made.modified_on
        patched = records.edit(made.id, zone_id=ZONE_ID, type="TXT", name="dev", ttl=60)
        assert patched is not None
        assert (patched.content, patched.ttl, patched.comment) == ('"v=spf1 ~all"', 60, "c")
        assert patched.comment_modified_on == put.comment_modified_on
        deleted = records.delete(made.id, zone_id=ZONE_ID)
        assert deleted is not None
        assert deleted.id == made.id
        with pytest.raises(cloudflare.NotFoundError) as gone:
            records.get(made.id, zone_id=ZONE_ID)
        assert gone.value.errors[0].code == 81044

    def test_put_forgets_what_it_does_not_name(self, world: EmulatedCloudflare) -> None:
        made = world.create(type="A", name="a", content="8.8.8.8", ttl=1, proxied=True, comment="c")
        body = {"type": "A", "name": "a", "content": "8.8.8.8", "ttl": 300}
        put = world.call("PUT", f"/zones/{ZONE_ID}/dns_records/{made['id']}", body).json()["result"]
        assert (put["comment"], put["proxied"], put["ttl"]) == (None, False, 300)

    def test_every_page_of_a_large_zone_is_listed_once(self, world: EmulatedCloudflare) -> None:
        bodies = [{"type": "A", "name": f"h{n}", "content": "192.0.2.1"} for n in range(250)]
        world.emulator.reseed([SeedZone(id=ZONE_ID, name=APEX, records=bodies)])
        names = [record.name for record in world.client().dns.records.list(zone_id=ZONE_ID, per_page=100)]
        assert len(names) == len(set(names)) == 250
        beyond = world.call("GET", f"/zones/{ZONE_ID}/dns_records?page=4").json()
        assert beyond["result"] == []
        assert beyond["success"] is True
        world.emulator.reseed((*DEFAULT_ZONES, ENTERPRISE))

    def test_batch_is_all_or_nothing(self, world: EmulatedCloudflare) -> None:
        before = world.emulator.state()
        first = before["zones"][0]["records"][0]["id"]
        with pytest.raises(cloudflare.BadRequestError):
            world.client().dns.records.batch(
                zone_id=ZONE_ID,
                deletes=[{"id": first}],
                posts=[{"type": "A", "name": "x", "content": "no address", "ttl": 1}],
            )
        assert world.emulator.state() == before
        done = world.client().dns.records.batch(
            zone_id=ZONE_ID,
            deletes=[{"id": first}],
            posts=[{"type": "A", "name": "x", "content": "192.0.2.7", "ttl": 1}],
        )
        assert done is not None
        assert done.deletes is not None
        assert done.deletes[0].id == first
        assert done.posts is not None
        assert done.posts[0].name == "x.agents.example"

    def test_export_is_a_zone_file(self, world: EmulatedCloudflare) -> None:
        text = world.client().dns.records.export(zone_id=ZONE_ID)
        assert "agents.example.\t3600\tIN\tMX\t10 mx1.corp.example." in text


class TestFilters:
    @pytest.mark.parametrize(
        ("query", "names"),
        [
            ("type=MX", ["agents.example"]),
            ("name=www.agents.example", ["www.agents.example"]),
            ("name.exact=WWW.agents.example", ["www.agents.example"]),
            ("name.exact=www.agents.example&type=A", []),
            ("name.startswith=_dmarc", ["_dmarc.agents.example"]),
            ("name.contains=ww", ["www.agents.example"]),
            ("name.endswith=dmarc.agents.example", ["_dmarc.agents.example"]),
            ("content=192.0.2.10", ["agents.example"]),
            ("content.contains=V=SPF1", ["agents.example"]),
            ("comment.present=", []),
            ("match=any&type=MX&name=www.agents.example", ["www.agents.example", "agents.example"]),
            ("search=dmarc1", ["_dmarc.agents.example"]),
            ("proxied=true", []),
            ("order=name&direction=desc&type=TXT&name.contains=_dmarc", ["_dmarc.agents.example"]),
        ],
    )
    def test_a_filter_finds_what_it_names(self, world: EmulatedCloudflare, query: str, names: list[str]) -> None:
        result = world.call("GET", f"/zones/{ZONE_ID}/dns_records?{query}").json()["result"]
        assert [record["name"] for record in result] == names

    def test_comments(self, world: EmulatedCloudflare) -> None:
        world.create(type="A", name="ours", content="192.0.2.1", comment="managed by pulumi: agentmail-dev")
        for query, count in (
            ("comment.exact=Managed%20by%20pulumi:%20agentmail-dev", 1),
            ("comment.startswith=managed", 1),
            ("comment.absent=", 6),
            ("comment.contains=nobody", 0),
        ):
            assert len(world.call("GET", f"/zones/{ZONE_ID}/dns_records?{query}").json()["result"]) == count

    @pytest.mark.parametrize("query", ["page=0", "page=x", "per_page=0", "type=NOPE", "match=some", "order=id"])
    def test_a_bad_query_is_refused(self, world: EmulatedCloudflare, query: str) -> None:
        answer = world.call("GET", f"/zones/{ZONE_ID}/dns_records?{query}")
        assert answer.status_code == 400
        assert query.partition("=")[0] in answer.json()["errors"][0]["message"]


class TestNames:
    def test_a_name_outside_of_the_zone_gets_the_zone_appended(self, world: EmulatedCloudflare) -> None:
        assert world.create(type="A", name="www.other.com", content="192.0.2.1")["name"] == (
            "www.other.com.agents.example"
        )

    def test_case_dots_and_unicode(self, world: EmulatedCloudflare) -> None:
        assert world.create(type="A", name="WWW2.Agents.Example.", content="192.0.2.1")["name"] == (
            "www2.agents.example"
        )
        assert world.create(type="A", name="bücher", content="192.0.2.1")["name"] == ("xn--bcher-kva.agents.example")
        found = world.call("GET", f"/zones/{ZONE_ID}/dns_records?name=bücher.agents.example").json()["result"]
        assert len(found) == 1

    def test_what_is_no_name(self, world: EmulatedCloudflare) -> None:
        assert world.refused(type="A", name="a..b", content="192.0.2.1") == [9000]
        assert world.refused(type="A", content="192.0.2.1") == [9000]


class TestValidation:
    @pytest.mark.parametrize(
        ("code", "body"),
        [
            (9005, {"type": "A", "content": "2001:db8::1"}),
            (9005, {"type": "A", "content": "300.1.1.1"}),
            (9005, {"type": "A"}),
            (9006, {"type": "AAAA", "content": "192.0.2.1"}),
            (9007, {"type": "CNAME", "content": "192.0.2.1"}),
            (9007, {"type": "CNAME", "content": "a b"}),
            (9039, {"type": "CNAME", "content": "x.agents.example."}),
            (9009, {"type": "MX", "content": "192.0.2.1", "priority": 10}),
            (9100, {"type": "MX", "content": "mx.example.com"}),
            (9102, {"type": "MX", "content": "mx.example.com", "priority": 70000}),
            (9102, {"type": "MX", "content": "mx.example.com", "priority": "10"}),
            (9008, {"type": "NS", "content": "192.0.2.1"}),
            (9051, {"type": "TXT", "content": '"open'}),
            (9051, {"type": "TXT", "content": ""}),
            (9015, {"type": "TXT", "content": "x" * 4097}),
            (9020, {"type": "SPF", "content": "v=spf1 -all"}),
            (9020, {"content": "192.0.2.1"}),
            (9021, {"type": "A", "content": "192.0.2.1", "ttl": 59}),
            (9021, {"type": "A", "content": "192.0.2.1", "ttl": 86401}),
            (9021, {"type": "A", "content": "192.0.2.1", "ttl": "300"}),
            (9021, {"type": "A", "content": "192.0.2.1", "ttl": 300.5}),
            (9021, {"type": "A", "content": "192.0.2.1", "ttl": True}),
            (9003, {"type": "A", "content": "10.0.0.1", "proxied": True}),
            (9003, {"type": "A", "content": "8.8.8.8", "proxied": "yes"}),
            (9004, {"type": "TXT", "content": '"x"', "proxied": True}),
            (9004, {"type": "MX", "content": "mx.example.com", "priority": 1, "proxied": True}),
            (9313, {"type": "A", "content": "192.0.2.1", "comment": "c" * 101}),
            (9300, {"type": "A", "content": "192.0.2.1", "tags": ["owner:us"]}),
            (9101, {"type": "SRV", "priority": 1, "data": {"weight": 1}}),
            (9101, {"type": "CAA", "content": "letsencrypt.org"}),
        ],
    )
    def test_a_bad_field_has_its_own_code(self, world: EmulatedCloudflare, code: int, body: dict[str, Any]) -> None:
        assert code in world.refused(**{"name": "x", **body})
        assert not world.emulator.account.zone_of(APEX).exists("x.agents.example")  # type: ignore[union-attr]

    def test_all_problems_are_told_at_once(self, world: EmulatedCloudflare) -> None:
        assert world.refused(type="MX", name="x", content="192.0.2.1", ttl=2, comment="c" * 101) == [
            9100,
            9009,
            9021,
            9313,
        ]

    def test_the_body_must_be_an_object(self, world: EmulatedCloudflare) -> None:
        answer = world.call("POST", f"/zones/{ZONE_ID}/dns_records", [1])
        assert (answer.status_code, answer.json()["errors"][0]["code"]) == (400, 6007)

    def test_a_paid_plan_has_tags_longer_comments_and_shorter_ttls(self, world: EmulatedCloudflare) -> None:
        record = world.create(
            ENTERPRISE.zone_id,
            type="A",
            name="x",
            content="192.0.2.1",
            ttl=30,
            tags=["b:2", "a:1"],
            comment="c" * 500,
        )
        assert record["tags"] == ["a:1", "b:2"]
        assert record["tags_modified_on"] == record["created_on"]
        assert world.refused(ENTERPRISE.zone_id, type="A", name="y", content="192.0.2.1", ttl=29) == [9021]
        found = world.call("GET", f"/zones/{ENTERPRISE.zone_id}/dns_records?tag=A:1&tag.absent=c").json()
        assert [one["id"] for one in found["result"]] == [record["id"]]

    def test_until_2024_problems_came_in_a_chain(self, tmp_path: Path) -> None:
        with running(tmp_path, legacy_errors=True) as world:
            answer = world.call("POST", f"/zones/{ZONE_ID}/dns_records", {"type": "A", "name": "x", "content": "x"})
            assert answer.json()["errors"] == [
                {
                    "code": 1004,
                    "message": "DNS Validation Error",
                    "error_chain": [{"code": 9005, "message": "Content for A record must be a valid IPv4 address."}],
                }
            ]
            assert world.refused(type="A", name="@", content="192.0.2.10") == [81057]


class TestContent:
    @pytest.mark.parametrize(
        ("kind", "given", "expected"),
        [
            ("AAAA", "2001:0DB8::0001", "2001:db8::1"),
            ("CNAME", "Target.Example.COM.", "target.example.com"),
            ("CNAME", "@", "agents.example"),
            ("NS", "NS1.Example.com.", "ns1.example.com"),
            ("TXT", "v=spf1 -all", "v=spf1 -all"),
            ("TXT", '"v=spf1 -all"', '"v=spf1 -all"'),
            ("TXT", '"a"  "b"', '"a"  "b"'),
            ("TXT", f'"{"a" * 300}"', f'"{"a" * 255}" "{"a" * 45}"'),
            ("TXT", "a" * 300, "a" * 300),
            ("CAA", '0 issue "letsencrypt.org"', '0 issue "letsencrypt.org"'),
        ],
    )
    def test_content_is_kept_or_spelled_canonically(
        self, world: EmulatedCloudflare, kind: str, given: str, expected: str
    ) -> None:
        assert world.create(type=kind, name="x", content=given)["content"] == expected

    def test_mx_target_loses_its_final_dot_and_may_be_null(self, world: EmulatedCloudflare) -> None:
        record = world.create(type="MX", name="x", content="Parse.Mailjet.com.", priority=0)
        assert (record["content"], record["priority"]) == ("parse.mailjet.com", 0)
        assert world.create(type="MX", name="nomail", content=".", priority=0)["content"] == "."

    def test_structured_data_makes_the_content(self, world: EmulatedCloudflare) -> None:
        caa = world.create(type="CAA", name="x", data={"flags": 0, "tag": "issue", "value": "letsencrypt.org"}, ttl=1)
        assert caa["content"] == '0 issue "letsencrypt.org"'
        assert caa["data"] == {"flags": 0, "tag": "issue", "value": "letsencrypt.org"}
        srv = world.create(
            type="SRV",
            name="_submission._tcp",
            data={"priority": 5, "weight": 0, "port": 587, "target": "in-v3.mailjet.com"},
        )
        assert (srv["content"], srv["priority"]) == ("0 587 in-v3.mailjet.com", 5)

    def test_a_patch_keeps_data_content_and_priority_together(self, world: EmulatedCloudflare) -> None:
        data = {"priority": 5, "weight": 0, "port": 587, "target": "a.example"}
        srv = world.create(type="SRV", name="_submission._tcp", data=data)
        path = f"/zones/{ZONE_ID}/dns_records/{srv['id']}"
        for change, priority, shown, content in (
            ({"ttl": 120}, 5, data, "0 587 a.example"),
            ({"priority": 7}, 7, data | {"priority": 7}, "0 587 a.example"),
            ({"data": data | {"port": 25}}, 5, data | {"port": 25}, "0 25 a.example"),
            ({"content": "1 26 b.example"}, 5, None, "1 26 b.example"),
        ):
            patched = world.call("PATCH", path, change).json()["result"]
            assert (patched["priority"], patched.get("data"), patched["content"]) == (priority, shown, content)

    def test_a_proxied_record_has_automatic_ttl(self, world: EmulatedCloudflare) -> None:
        record = world.create(type="A", name="x", content="8.8.8.8", proxied=True, ttl=300)
        assert (record["ttl"], record["proxied"], record["proxiable"]) == (1, True, True)
        assert world.create(type="A", name="y", content="10.0.0.1")["proxiable"] is False


class TestConflicts:
    def test_an_identical_record(self, world: EmulatedCloudflare) -> None:
        assert world.refused(type="A", name="@", content="192.0.2.10", ttl=60) == [81058]
        assert world.refused(type="TXT", name="@", content="v=spf1 include:_spf.corp.example -all") == [81058]
        assert world.refused(type="MX", name="@", content="MX1.corp.example.", priority=10) == [81058]
        world.create(type="MX", name="@", content="mx1.corp.example", priority=20)

    def test_an_alias_stands_alone_among_addresses(self, world: EmulatedCloudflare) -> None:
        assert world.refused(type="CNAME", name="@", content="x.example.com") == [81053]
        assert world.refused(type="CNAME", name="www", content="x.example.com") == [81053]
        assert world.refused(type="A", name="www", content="192.0.2.1") == [81054]
        assert world.refused(type="AAAA", name="www", content="2001:db8::1") == [81054]
        world.create(type="TXT", name="www", content='"beside an alias"')

    def test_delegations(self, world: EmulatedCloudflare) -> None:
        world.create(type="NS", name="sub", content="ns1.example.com")
        world.create(type="NS", name="sub", content="ns2.example.com")
        assert world.refused(type="A", name="sub", content="192.0.2.1") == [81056]
        assert world.refused(type="NS", name="www", content="ns1.example.com") == [81053]

    def test_what_a_delegation_hides_is_refused(self, world: EmulatedCloudflare) -> None:
        world.create(type="NS", name="del", content="ns1.example.com")
        for name, kind, content in (
            ("del", "TXT", '"x"'),
            ("x.del", "TXT", '"x"'),
            ("a.b.del", "CNAME", "x.example.com"),
            ("del", "MX", "mx.example.com"),
        ):
            priority: dict[str, Any] = {"priority": 10} if kind == "MX" else {}
            assert world.refused(type=kind, name=name, content=content, **priority) == [89018], name
        world.create(type="A", name="ns1.del", content="192.0.2.53")

    def test_what_a_service_has_locked(self, world: EmulatedCloudflare) -> None:
        locked = world.create(type="MX", name="lock", content="route1.mx.cloudflare.net", priority=13)
        path = f"/zones/{ZONE_ID}/dns_records/{locked['id']}"
        meta = {"email_routing": True, "read_only": True}
        world.http.put(f"{world.server.url}/_emulator{path}/meta", json=meta).raise_for_status()
        assert world.call("GET", path).json()["result"]["meta"] == meta
        for method, body in (("DELETE", None), ("PATCH", {"comment": "mine"}), ("PUT", {**locked, "priority": 5})):
            assert world.call(method, path, body).status_code == 400, method
        world.http.put(f"{world.server.url}/_emulator{path}/meta", json={}).raise_for_status()
        assert world.call("DELETE", path).status_code == 200

    def test_a_zone_is_full_at_its_quota(self, world: EmulatedCloudflare) -> None:
        made = world.create(type="TXT", name="full", content="x")
        quota = len(world.call("GET", f"/zones/{ZONE_ID}/dns_records?per_page=5000").json()["result"])
        path = f"{world.server.url}/_emulator/zones/{ZONE_ID}"
        world.http.patch(path, json={"record_quota": quota}).raise_for_status()
        assert world.refused(type="TXT", name="more", content="x") == [81045]
        same = {"type": "TXT", "name": "full", "content": "y", "ttl": 300}
        assert world.call("PUT", f"/zones/{ZONE_ID}/dns_records/{made['id']}", same).status_code == 200
        world.http.patch(path, json={"record_quota": 3_500}).raise_for_status()

    def test_a_change_is_checked_too(self, world: EmulatedCloudflare) -> None:
        other = world.create(type="A", name="other", content="192.0.2.1")
        path = f"/zones/{ZONE_ID}/dns_records/{other['id']}"
        for method, body in (
            ("PATCH", {"name": "www"}),
            ("PUT", {"type": "A", "name": "www", "content": "192.0.2.1", "ttl": 1}),
        ):
            answer = world.call(method, path, body)
            assert (answer.status_code, answer.json()["errors"][0]["code"]) == (400, 81054)
        assert world.call("GET", path).json()["result"] == other
        same = world.call("PUT", path, {"type": "A", "name": "other", "content": "192.0.2.1", "ttl": 300})
        assert same.status_code == 200

    def test_texts_of_one_name_have_a_common_limit(self, world: EmulatedCloudflare) -> None:
        world.create(type="TXT", name="x", content="a" * 4000)
        world.create(type="TXT", name="x", content="b" * 4000)
        assert world.refused(type="TXT", name="x", content="c" * 200) == [83011]


class TestRouting:
    @pytest.mark.parametrize(
        ("status", "code", "method", "path"),
        [
            (404, 81044, "GET", f"/zones/{ZONE_ID}/dns_records/{MISSING}"),
            (404, 81044, "PUT", f"/zones/{ZONE_ID}/dns_records/{MISSING}"),
            (404, 81044, "PATCH", f"/zones/{ZONE_ID}/dns_records/{MISSING}"),
            (404, 81044, "DELETE", f"/zones/{ZONE_ID}/dns_records/{MISSING}"),
            (400, 7003, "GET", f"/zones/{ZONE_ID}/dns_records/agents.example"),
            (400, 7003, "GET", "/zones/agents.example"),
            (400, 7003, "POST", "/zones/agents.example/dns_records"),
            (403, 10000, "GET", f"/zones/{MISSING}/dns_records"),
            (403, 9109, "GET", f"/zones/{MISSING}"),
            (404, 7003, "GET", "/nothing"),
            (405, 7001, "PATCH", "/zones"),
            (405, 7001, "DELETE", f"/zones/{ZONE_ID}/dns_records"),
        ],
    )
    def test_what_is_not_there(self, world: EmulatedCloudflare, status: int, code: int, method: str, path: str) -> None:
        body: object = {} if method in {"PUT", "PATCH", "POST"} else None
        answer = world.call(method, path, body)
        assert (answer.status_code, answer.json()["errors"][0]["code"]) == (status, code)
        if code == 7003:
            assert answer.json()["errors"][0]["message"] == (
                f"Could not route to /client/v4{path}, perhaps your object identifier is invalid?"
            )


class TestZones:
    def test_list_by_name_and_get(self, world: EmulatedCloudflare) -> None:
        client = world.client()
        assert [zone.name for zone in client.zones.list()] == [APEX, "big.example"]
        (found,) = client.zones.list(name=APEX)
        assert found.id == ZONE_ID
        zone = client.zones.get(zone_id=ZONE_ID)
        assert zone is not None
        assert (zone.name, zone.status, zone.type) == (APEX, "active", "full")
        assert zone.account.id == world.emulator.account.id
        assert zone.plan.legacy_id == "free"
        assert len(zone.name_servers) == 2
        assert list(client.zones.list(name="other.example")) == []

    def test_an_international_one_is_named_and_found_in_unicode(self, world: EmulatedCloudflare) -> None:
        made = world.call("POST", "/zones", {"name": "bücher.example"}).json()["result"]
        assert made["name"] == "bücher.example"
        for name, found in (("bücher.example", [made["id"]]), ("xn--bcher-kva.example", [])):
            listed = world.http.get(
                f"{world.base}/zones", params={"name": name}, headers={"Authorization": f"Bearer {TOKEN}"}
            )
            assert [zone["id"] for zone in listed.json()["result"]] == found, name
        assert world.create(made["id"], type="A", name="@", content="192.0.2.1")["name"] == "xn--bcher-kva.example"
        world.call("DELETE", f"/zones/{made['id']}")

    def test_one_that_the_registrar_does_not_know_yet(self, world: EmulatedCloudflare) -> None:
        path = f"{world.server.url}/_emulator/zones/{ZONE_ID}"
        world.http.patch(path, json={"status": "pending"}).raise_for_status()
        assert world.call("GET", f"/zones/{ZONE_ID}").json()["result"]["status"] == "pending"
        world.http.patch(path, json={"status": "active"}).raise_for_status()

    def test_create_and_delete(self, world: EmulatedCloudflare) -> None:
        client = world.client()
        zone = client.zones.create(account={"id": world.emulator.account.id}, name="New.example")
        assert zone is not None
        world.create(zone.id, type="A", name="@", content="192.0.2.1")
        assert world.published("new.example", "A") == {"192.0.2.1"}
        with pytest.raises(cloudflare.BadRequestError, match="already exists"):
            client.zones.create(account={"id": world.emulator.account.id}, name="new.example")
        client.zones.delete(zone_id=zone.id)
        assert [one.name for one in client.zones.list()] == [APEX, "big.example"]
