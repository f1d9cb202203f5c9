"""DnsRecord: what is checked, planned, sent and kept, as the official plugin does."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from engine.cloudflare.dns_record import RECORD_TYPES, planned_content, planned_name, planned_tags
from engine.cloudflare.properties import UNKNOWN, Secret
from tests.profiles import examples
from tests.unit.engine.cloudflare_driver import (
    RECORD,
    ZONE,
    Answer,
    Plugin,
    RecordingApi,
    RefusedError,
    Request,
    recording_api,
    running_plugin,
)

# Other tests may keep the machine busy: no example has a deadline.
steady = settings(deadline=None, max_examples=examples(50))

RECORDS = f"/zones/{ZONE}/dns_records"
TXT = {"zoneId": ZONE, "name": "www", "type": "TXT", "content": '"v=spf1 -all"', "ttl": 300}
CNAME = {"zoneId": ZONE, "name": "api.example.com", "type": "CNAME", "content": "Target.example.net", "ttl": 300}
RESULT = {
    "id": "r1",
    "name": "www.example.com",
    "type": "TXT",
    "content": '"v=spf1 -all"',
    "ttl": 120,
    "proxied": False,
    "proxiable": False,
    "settings": {},
    "tags": [],
    "comment": None,
    "meta": {"auto_added": False},
    "created_on": "2026-07-01T00:00:00.000000Z",
    "modified_on": "2026-07-01T00:00:00.000000Z",
    "zone_name": "example.com",
}


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


def created(plugin: Plugin, api: RecordingApi, inputs: dict[str, Any], **result: Any) -> dict[str, Any]:
    """The state after a create, with what the API answered; the request is forgotten."""
    shown = {key: inputs[key] for key in ("name", "type", "content", "ttl") if key in inputs}
    api.will_answer(RESULT | shown | result)
    object_id, state = plugin.create(RECORD, inputs)
    api.seen()
    return state | {"id": object_id}


class TestCheck:
    def test_a_valid_record_passes(self, plugin: Plugin) -> None:
        assert plugin.check(RECORD, TXT) == []

    @pytest.mark.parametrize("record_type", [*RECORD_TYPES, "txt", "cName"])
    def test_every_listed_type_passes_in_any_case(self, plugin: Plugin, record_type: str) -> None:
        assert plugin.check(RECORD, TXT | {"type": record_type}) == []

    def test_another_type_is_refused(self, plugin: Plugin) -> None:
        [(where, reason)] = plugin.check(RECORD, TXT | {"type": "SPF"})
        assert where == "type"
        assert "must be one of: A, AAAA," in reason
        assert "'SPF'" in reason

    def test_content_conflicts_with_data(self, plugin: Plugin) -> None:
        [(where, reason)] = plugin.check(RECORD, TXT | {"data": {"tag": "issue"}})
        assert where == "content"
        assert '"data" cannot be specified when "content" is specified' in reason

    def test_unknown_content_is_no_conflict_yet(self, plugin: Plugin) -> None:
        assert plugin.check(RECORD, TXT | {"content": UNKNOWN, "data": {"tag": "issue"}}) == []

    @pytest.mark.parametrize("missing", ["zoneId", "name", "type", "ttl"])
    def test_a_missing_property_is_named(self, plugin: Plugin, missing: str) -> None:
        inputs = {key: value for key, value in TXT.items() if key != missing}
        assert plugin.check(RECORD, inputs) == [(missing, f"Missing required property '{missing}'.")]

    def test_unknown_values_of_a_preview_pass(self, plugin: Plugin) -> None:
        assert plugin.check(RECORD, dict.fromkeys(TXT, UNKNOWN)) == []

    @pytest.mark.parametrize(
        ("inputs", "where", "reason"),
        [
            ({"ttl": "soon"}, "ttl", "must be a number, got a string"),
            ({"content": 5}, "content", "must be a string, got a number"),
            ({"proxied": "yes"}, "proxied", "must be a boolean, got a string"),
            ({"tags": "one"}, "tags", "must be a list, got a string"),
            ({"tags": ["one", 2]}, "tags[1]", "must be a string, got a number"),
            ({"settings": {"flattenCname": 1}}, "settings.flattenCname", "must be a boolean, got a number"),
            ({"settings": {"other": True}}, "settings.other", "is not supported"),
            ({"includeShadowMetadata": True}, "includeShadowMetadata", "is not supported"),
            ({"priority": 65536}, "priority", "must be between 0 and 65535"),
            ({"priority": -1}, "priority", "must be between 0 and 65535"),
        ],
    )
    def test_what_does_not_fit_is_refused(
        self, plugin: Plugin, inputs: dict[str, Any], where: str, reason: str
    ) -> None:
        [(found_where, found_reason)] = plugin.check(RECORD, TXT | inputs)
        assert found_where == where
        assert reason in found_reason

    def test_the_value_of_a_refused_secret_is_not_quoted(self, plugin: Plugin) -> None:
        [(_, reason)] = plugin.check(RECORD, TXT | {"ttl": Secret("hunter2")})
        assert "hunter2" not in reason

    def test_secrets_stay_secret_in_the_checked_inputs(self, plugin: Plugin) -> None:
        assert plugin.checked(RECORD, TXT | {"content": Secret("x")})["content"] == Secret("x")


class TestCreate:
    def test_only_what_is_set_is_sent_and_proxied_always(self, plugin: Plugin, api: RecordingApi) -> None:
        api.will_answer(RESULT)
        object_id, state = plugin.create(RECORD, TXT)
        body = {"content": '"v=spf1 -all"', "name": "www", "proxied": False, "ttl": 300, "type": "TXT"}
        assert api.seen() == [Request("POST", RECORDS, body)]
        assert object_id == state["id"] == "r1"

    def test_everything_that_can_be_set_is_sent(self, plugin: Plugin, api: RecordingApi) -> None:
        more = {
            "comment": "",
            "priority": 0,
            "privateRouting": True,
            "proxied": True,
            "ttl": 1,
            "settings": {"ipv4Only": True},
            "tags": ["owner:b", "owner:a"],
        }
        api.will_answer(RESULT)
        plugin.create(RECORD, TXT | {"type": "A", "content": "192.0.2.1"} | more)
        [request] = api.seen()
        assert request.body == {
            "comment": "",
            "content": "192.0.2.1",
            "name": "www",
            "priority": 0,
            "private_routing": True,
            "proxied": True,
            "settings": {"ipv4_only": True},
            "tags": ["owner:a", "owner:b"],
            "ttl": 1,
            "type": "A",
        }

    def test_numbers_go_out_without_decimals(self, plugin: Plugin, api: RecordingApi) -> None:
        api.will_answer(RESULT)
        plugin.create(RECORD, TXT)
        assert type(api.seen()[0].body["ttl"]) is int

    def test_data_is_sent_in_the_names_of_the_api(self, plugin: Plugin, api: RecordingApi) -> None:
        caa = {"zoneId": ZONE, "name": "caa", "type": "CAA", "ttl": 1}
        api.will_answer(RESULT | {"content": '0 issue "letsencrypt.org"'})
        _, state = plugin.create(RECORD, caa | {"data": {"flags": 0, "tag": "issue", "value": "letsencrypt.org"}})
        [request] = api.seen()
        assert request.body == {
            "data": {"flags": 0, "tag": "issue", "value": "letsencrypt.org"},
            "name": "caa",
            "proxied": False,
            "ttl": 1,
            "type": "CAA",
        }
        assert state["content"] == '0 issue "letsencrypt.org"'

    @pytest.mark.parametrize("name", ["www", "@", "x.example.com.", "WWW", "_dmarc.mail", "ü"])
    def test_names_go_out_as_they_are(self, plugin: Plugin, api: RecordingApi, name: str) -> None:
        state = created(plugin, api, TXT | {"name": name}, name="something.example.com")
        assert state["name"] == name

    @pytest.mark.parametrize("content", ["v=spf1 -all", '"v=spf1 -all"', '"a" "b"', 'a\\"b', "ünï"])
    def test_txt_goes_out_and_stays_byte_for_byte(self, plugin: Plugin, api: RecordingApi, content: str) -> None:
        api.will_answer(RESULT | {"content": "re-quoted by the API"})
        _, state = plugin.create(RECORD, TXT | {"content": content})
        assert api.seen()[0].body["content"] == content
        assert state["content"] == content

    def test_a_proxied_record_needs_the_automatic_ttl(self, plugin: Plugin, api: RecordingApi) -> None:
        for preview in (True, False):
            with pytest.raises(
                RefusedError, match="ttl must be set to 1 when `proxied` is true: record 'www' has ttl 300"
            ):
                plugin.create(RECORD, TXT | {"proxied": True}, preview)
        assert api.seen() == []

    def test_state_keeps_the_program_and_takes_what_only_the_api_knows(self, plugin: Plugin, api: RecordingApi) -> None:
        state = created(plugin, api, TXT, ttl=120, name="www.example.com")
        assert state["name"] == "www"
        assert state["ttl"] == 300
        assert state["tags"] == []
        assert state["settings"] == {}
        assert state["meta"] == '{"auto_added":false}'
        assert state["createdOn"] == "2026-07-01T00:00:00.000000Z"
        assert "comment" not in state

    def test_missing_and_mistyped_answers_are_left_out(self, plugin: Plugin, api: RecordingApi) -> None:
        api.will_answer({"id": "r1", "tags": "none", "proxiable": "no", "created_on": 7, "unheard": "of"})
        object_id, state = plugin.create(RECORD, TXT)
        assert object_id == "r1"
        assert not {"tags", "proxiable", "createdOn", "unheard", "settings"} & set(state)

    def test_an_answer_without_an_id_is_an_error(self, plugin: Plugin, api: RecordingApi) -> None:
        api.will_answer(Answer(200, {"success": False, "result": None, "errors": []}))
        with pytest.raises(RefusedError, match=r"the answer has no `result.id`"):
            plugin.create(RECORD, TXT)

    @pytest.mark.parametrize("code", [81053, 81057, 81058])
    def test_a_conflict_is_an_error_with_the_raw_answer(self, plugin: Plugin, api: RecordingApi, code: int) -> None:
        body = f'{{"success":false,"errors":[{{"code":{code},"message":"exists"}}],"result":null}}'
        api.will_answer(Answer(400, body.encode()))
        with pytest.raises(RefusedError) as caught:
            plugin.create(RECORD, TXT)
        url = f"{api.base_url}{RECORDS}"
        assert caught.value.message == f'failed to make http request: POST "{url}": 400 Bad Request {body}'
        assert len(api.seen()) == 1

    def test_a_secret_content_is_a_secret_output(self, plugin: Plugin, api: RecordingApi) -> None:
        assert created(plugin, api, TXT | {"content": Secret("x")}, content="x")["content"] == Secret("x")


class TestPreview:
    def test_a_new_record_is_known_but_for_what_the_api_decides(self, plugin: Plugin, api: RecordingApi) -> None:
        object_id, state = plugin.create(RECORD, TXT | {"comment": "ours"}, preview=True)
        assert object_id == ""
        assert {key: state[key] for key in TXT} == TXT
        assert state["proxied"] is False
        for name in ("id", "createdOn", "modifiedOn", "commentModifiedOn", "meta", "proxiable", "tags", "settings"):
            assert state[name] is UNKNOWN
        assert api.seen() == []

    def test_an_update_keeps_known_what_it_cannot_change(self, plugin: Plugin, api: RecordingApi) -> None:
        state = created(plugin, api, TXT | {"comment": "ours"}, comment_modified_on="then")
        planned = plugin.update(RECORD, state, TXT | {"comment": "ours", "ttl": 60}, preview=True)
        assert planned["ttl"] == 60
        assert planned["modifiedOn"] is UNKNOWN
        for name in ("id", "createdOn", "meta", "proxiable", "commentModifiedOn", "tags", "settings"):
            assert planned.get(name) == state.get(name)
        assert api.seen() == []


class TestDiff:
    def test_nothing_changes_after_a_create(self, plugin: Plugin, api: RecordingApi) -> None:
        assert not plugin.diff(RECORD, created(plugin, api, TXT), TXT).changes

    @pytest.mark.parametrize(
        ("wanted", "path", "kind", "replaces"),
        [
            ({"name": "web"}, "name", "UPDATE", []),
            ({"ttl": 60}, "ttl", "UPDATE", []),
            ({"content": "v=spf1 -all"}, "content", "UPDATE", []),
            ({"proxied": True}, "proxied", "UPDATE", []),
            ({"comment": "new"}, "comment", "ADD", []),
            ({"comment": ""}, "comment", "ADD", []),
            ({"priority": 0}, "priority", "ADD", []),
            ({"tags": ["a"]}, "tags[0]", "ADD", []),
            ({"settings": {"ipv4Only": True}}, "settings.ipv4Only", "ADD", []),
            ({"type": "A"}, "type", "UPDATE_REPLACE", ["type"]),
            ({"zoneId": "f" * 32}, "zoneId", "UPDATE_REPLACE", ["zoneId"]),
            ({"zoneId": UNKNOWN}, "zoneId", "UPDATE_REPLACE", ["zoneId"]),
        ],
    )
    def test_each_change_is_named_and_only_zone_and_type_replace(
        self, plugin: Plugin, api: RecordingApi, wanted: dict[str, Any], path: str, kind: str, replaces: list[str]
    ) -> None:
        difference = plugin.diff(RECORD, created(plugin, api, TXT), TXT | wanted)
        assert difference.changes
        assert difference.paths == {path: kind}
        assert difference.replaces == replaces

    def test_the_apex_is_any_known_name_with_a_dot(self, plugin: Plugin, api: RecordingApi) -> None:
        state = created(plugin, api, TXT | {"name": "anything.example.com"})
        assert not plugin.diff(RECORD, state, TXT | {"name": "@"}).changes
        api.will_answer(RESULT)
        plugin.update(RECORD, state, TXT | {"name": "@", "ttl": 60})
        assert api.seen()[0].body["name"] == "anything.example.com"

    def test_a_short_name_equals_the_full_one_that_a_refresh_brought(self, plugin: Plugin, api: RecordingApi) -> None:
        state = created(plugin, api, TXT)
        api.will_answer(RESULT)
        _, state, _ = plugin.read(RECORD, "r1", state, TXT)
        assert state["name"] == "www.example.com"
        assert not plugin.diff(RECORD, state | {"ttl": 300}, TXT).changes

    @pytest.mark.parametrize("name", ["www.dev.example.com.", "WWW.dev.example.com", "www.dev.example.org"])
    def test_a_trailing_dot_another_case_or_zone_is_a_change(
        self, plugin: Plugin, api: RecordingApi, name: str
    ) -> None:
        state = created(plugin, api, TXT | {"name": "www.dev.example.com"})
        assert plugin.diff(RECORD, state, TXT | {"name": name}).paths == {"name": "UPDATE"}

    def test_shortening_is_seen_once_a_refresh_has_learned_the_zone(self, plugin: Plugin, api: RecordingApi) -> None:
        long = TXT | {"name": "www.dev"}
        state = created(plugin, api, long)
        assert not plugin.diff(RECORD, state, long | {"name": "www"}).changes
        api.will_answer(RESULT | {"name": "www.dev.example.com", "ttl": 300})
        _, state, _ = plugin.read(RECORD, "r1", state, long)
        assert plugin.diff(RECORD, state, long | {"name": "www"}).paths == {"name": "UPDATE"}
        assert not plugin.diff(RECORD, state, long).changes

    def test_cname_targets_differ_only_by_more_than_case(self, plugin: Plugin, api: RecordingApi) -> None:
        state = created(plugin, api, CNAME)
        assert not plugin.diff(RECORD, state, CNAME | {"content": "target.EXAMPLE.net"}).changes
        assert plugin.diff(RECORD, state, CNAME | {"content": "other.example.net"}).changes

    @pytest.mark.parametrize("record_type", ["MX", "NS", "PTR", "TXT"])
    def test_other_content_differs_by_case(self, plugin: Plugin, api: RecordingApi, record_type: str) -> None:
        inputs = TXT | {"type": record_type, "content": "Mail.example.net"}
        state = created(plugin, api, inputs)
        assert plugin.diff(RECORD, state, inputs | {"content": "mail.example.net"}).changes

    def test_flags_of_data_may_be_text_or_a_number(self, plugin: Plugin, api: RecordingApi) -> None:
        inputs = {"zoneId": ZONE, "name": "caa", "type": "CAA", "ttl": 1, "data": {"flags": "0", "tag": "issue"}}
        state = created(plugin, api, inputs)
        assert not plugin.diff(RECORD, state, inputs | {"data": {"flags": 0, "tag": "issue"}}).changes
        assert plugin.diff(RECORD, state, inputs | {"data": {"flags": 128, "tag": "issue"}}).changes

    def test_empty_settings_are_unset_ones(self, plugin: Plugin, api: RecordingApi) -> None:
        state = created(plugin, api, TXT | {"settings": {}})
        assert not plugin.diff(RECORD, state, TXT).changes
        assert not plugin.diff(RECORD, state, TXT | {"settings": {}}).changes

    def test_removed_tags_differ_for_ever_and_empty_tags_clear(self, plugin: Plugin, api: RecordingApi) -> None:
        state = created(plugin, api, TXT | {"tags": ["a"]})
        assert plugin.diff(RECORD, state, TXT).paths == {"tags": "DELETE"}
        api.will_answer(RESULT | {"tags": ["a"]})
        state = plugin.update(RECORD, state, TXT)
        assert "tags" not in api.seen()[0].body
        assert plugin.diff(RECORD, state, TXT).changes
        api.will_answer(RESULT)
        plugin.update(RECORD, state, TXT | {"tags": []})
        assert api.seen()[0].body["tags"] == []

    def test_ignored_changes_are_none(self, plugin: Plugin, api: RecordingApi) -> None:
        state = created(plugin, api, TXT | {"settings": {"ipv4Only": True}})
        wanted = TXT | {"ttl": 60, "settings": {"ipv4Only": False}, "comment": "x"}
        assert not plugin.diff(RECORD, state, wanted, ["ttl", "settings.ipv4Only", "comment"]).changes
        assert plugin.diff(RECORD, state, wanted, ["ttl", "comment"]).paths == {"settings.ipv4Only": "UPDATE"}


class TestUpdate:
    def test_the_whole_record_is_put(self, plugin: Plugin, api: RecordingApi) -> None:
        inputs = TXT | {"name": "www.example.com"}
        state = created(plugin, api, inputs)
        api.will_answer(RESULT | {"modified_on": "later", "comment_modified_on": "later"})
        state = plugin.update(RECORD, state, inputs | {"comment": "hello", "content": '"v=spf1 ~all"'})
        assert api.seen() == [
            Request(
                "PUT",
                f"{RECORDS}/r1",
                {
                    "comment": "hello",
                    "content": '"v=spf1 ~all"',
                    "name": "www.example.com",
                    "proxied": False,
                    "settings": {},
                    "tags": [],
                    "ttl": 300,
                    "type": "TXT",
                },
            )
        ]
        assert state["modifiedOn"] == state["commentModifiedOn"] == "later"
        assert state["ttl"] == 300

    def test_a_removed_comment_is_an_explicit_null(self, plugin: Plugin, api: RecordingApi) -> None:
        state = created(plugin, api, TXT | {"comment": "old"})
        assert plugin.diff(RECORD, state, TXT).paths == {"comment": "DELETE"}
        api.will_answer(RESULT)
        state = plugin.update(RECORD, state, TXT)
        assert api.seen()[0].body["comment"] is None
        assert not plugin.diff(RECORD, state, TXT).changes

    def test_an_empty_comment_differs_from_none_after_a_refresh(self, plugin: Plugin, api: RecordingApi) -> None:
        inputs = TXT | {"comment": "", "name": "www.example.com"}
        state = created(plugin, api, inputs)
        api.will_answer(RESULT | {"ttl": 300})
        _, state, _ = plugin.read(RECORD, "r1", state, inputs)
        assert plugin.diff(RECORD, state, inputs).paths == {"comment": "ADD"}

    def test_a_cname_always_puts_three_settings(self, plugin: Plugin, api: RecordingApi) -> None:
        state = created(plugin, api, CNAME)
        assert state["settings"] == {"flattenCname": False, "ipv4Only": False, "ipv6Only": False}
        assert not plugin.diff(RECORD, state, CNAME).changes
        api.will_answer(RESULT)
        plugin.update(RECORD, state, CNAME | {"ttl": 60})
        assert api.seen()[0].body["settings"] == {"flatten_cname": False, "ipv4_only": False, "ipv6_only": False}

    def test_new_data_goes_without_the_old_content(self, plugin: Plugin, api: RecordingApi) -> None:
        inputs = {"zoneId": ZONE, "name": "caa", "type": "CAA", "ttl": 1, "data": {"tag": "issue", "value": "a"}}
        state = created(plugin, api, inputs, content='0 issue "a"')
        api.will_answer(RESULT | {"content": '0 issuewild "a"'})
        state = plugin.update(RECORD, state, inputs | {"data": {"tag": "issuewild"}})
        assert api.seen()[0].body == {
            "data": {"tag": "issuewild", "value": None},
            "name": "caa",
            "proxied": False,
            "settings": {},
            "tags": [],
            "ttl": 1,
            "type": "CAA",
        }
        assert state["content"] == '0 issuewild "a"'

    def test_the_ttl_of_a_proxied_record_is_not_checked(self, plugin: Plugin, api: RecordingApi) -> None:
        state = created(plugin, api, CNAME)
        api.will_answer(RESULT)
        plugin.update(RECORD, state, CNAME | {"proxied": True})
        assert api.seen()[0].body["proxied"] is True


class TestRead:
    def test_refresh_takes_everything_from_the_api(self, plugin: Plugin, api: RecordingApi) -> None:
        state = created(plugin, api, TXT)
        api.will_answer(RESULT | {"content": "drifted", "comment": "by hand", "tags": ["b", "a"]})
        object_id, state, inputs = plugin.read(RECORD, "r1", state, TXT)
        assert api.seen() == [Request("GET", f"{RECORDS}/r1", None)]
        assert object_id == "r1"
        assert state["content"] == "drifted"
        assert state["comment"] == "by hand"
        assert state["ttl"] == 120
        assert state["tags"] == ["a", "b"]
        assert state["zoneId"] == ZONE
        assert inputs == TXT | {"name": "www.example.com", "content": "drifted", "ttl": 120}

    def test_a_vanished_record_is_dropped(self, plugin: Plugin, api: RecordingApi) -> None:
        state = created(plugin, api, TXT)
        api.will_answer(Answer(404, {"errors": [{"code": 81044}]}))
        assert plugin.read(RECORD, "r1", state, TXT) == ("", {}, {})

    def test_another_refusal_is_an_error(self, plugin: Plugin, api: RecordingApi) -> None:
        state = created(plugin, api, TXT)
        api.will_answer(Answer(403, {"errors": [{"code": 10000}]}))
        with pytest.raises(RefusedError, match="403 Forbidden"):
            plugin.read(RECORD, "r1", state, TXT)

    def test_import_asks_twice_and_has_the_bare_id(self, plugin: Plugin, api: RecordingApi) -> None:
        api.will_answer(RESULT, RESULT)
        object_id, state, inputs = plugin.import_(RECORD, f"{ZONE}/r1")
        assert api.seen() == [Request("GET", f"{RECORDS}/r1", None)] * 2
        assert object_id == state["id"] == "r1"
        assert inputs == TXT | {"name": "www.example.com", "ttl": 120}
        assert not plugin.diff(RECORD, state, inputs).changes

    def test_an_imported_cname_needs_no_settings_in_the_program(self, plugin: Plugin, api: RecordingApi) -> None:
        found = RESULT | {"type": "CNAME", "content": "a.example.net", "proxied": True, "ttl": 1, "comment": "x"}
        api.will_answer(found, found)
        _, state, inputs = plugin.import_(RECORD, f"{ZONE}/r1")
        assert sorted(inputs) == ["comment", "content", "name", "proxied", "ttl", "type", "zoneId"]
        assert not plugin.diff(RECORD, state, inputs).changes

    def test_importing_what_is_not_there_is_an_error(self, plugin: Plugin, api: RecordingApi) -> None:
        api.will_answer(Answer(404, {"errors": []}))
        with pytest.raises(RefusedError, match="404 Not Found"):
            plugin.import_(RECORD, f"{ZONE}/r1")

    @pytest.mark.parametrize("import_id", ["r1", f"{ZONE}/", f"{ZONE}/r1/more", ""])
    def test_an_import_id_has_two_parts(self, plugin: Plugin, api: RecordingApi, import_id: str) -> None:
        with pytest.raises(RefusedError, match=r"expected <zone_id>/<dns_record_id>"):
            plugin.import_(RECORD, import_id)
        assert api.seen() == []


class TestDelete:
    def test_one_request_without_a_body(self, plugin: Plugin, api: RecordingApi) -> None:
        state = created(plugin, api, TXT)
        api.will_answer({"id": "r1"})
        plugin.delete(RECORD, state)
        [request] = api.seen()
        assert request == Request("DELETE", f"{RECORDS}/r1", None)
        assert "content-type" not in request.headers

    def test_a_record_that_is_gone_is_an_error(self, plugin: Plugin, api: RecordingApi) -> None:
        state = created(plugin, api, TXT)
        api.will_answer(Answer(404, {"errors": [{"code": 81044}]}))
        with pytest.raises(RefusedError, match="404 Not Found"):
            plugin.delete(RECORD, state)


class TestHandover:
    def test_state_carries_the_official_schema_version(self, plugin: Plugin, api: RecordingApi) -> None:
        state = created(plugin, api, TXT)
        assert state["__meta"] == '{"schema_version":"500"}'
        assert state["id"] == "r1"

    def test_the_official_plugins_marks_are_kept_and_its_raw_state_is_not(
        self, plugin: Plugin, api: RecordingApi
    ) -> None:
        state = created(plugin, api, TXT)
        state |= {"__meta": '{"schema_version":"501","other":"x"}', "__pulumi_raw_state_delta": {"obj": {}}}
        assert not plugin.diff(RECORD, state, TXT).changes
        api.will_answer(RESULT)
        updated = plugin.update(RECORD, state, TXT | {"ttl": 60})
        assert updated["__meta"] == '{"other":"x","schema_version":"501"}'
        assert "__pulumi_raw_state_delta" not in updated


LABELS = st.from_regex(r"[a-z]{1,8}", fullmatch=True)
NAMES = st.lists(LABELS, min_size=1, max_size=4).map(".".join)


class TestNameEquality:
    @steady
    @given(NAMES)
    def test_a_name_is_itself(self, name: str) -> None:
        assert planned_name(name, name, None) == name

    @steady
    @given(NAMES, NAMES)
    def test_a_short_name_is_the_full_name(self, short: str, zone: str) -> None:
        full = f"{short}.{zone}"
        assert planned_name(short, full, zone) == full
        assert planned_name(short, full, None) == full

    @steady
    @given(NAMES, NAMES, st.sampled_from([None, "example.com"]))
    def test_the_plan_is_what_is_wanted_or_what_is_known(self, wanted: str, known: str, zone: str | None) -> None:
        assert planned_name(wanted, known, zone) in (wanted, known)

    @steady
    @given(NAMES, NAMES, NAMES)
    def test_a_known_zone_lets_no_other_name_pass(self, wanted: str, known: str, zone: str) -> None:
        full = f"{known}.{zone}"
        assume(wanted not in (known, full))
        assert planned_name(wanted, full, zone) == wanted

    @steady
    @given(NAMES, NAMES)
    def test_lengthening_is_a_change(self, short: str, more: str) -> None:
        assert planned_name(f"{short}.{more}", short, None) == f"{short}.{more}"


class TestContentEquality:
    @steady
    @given(st.text())
    def test_only_cname_folds_case(self, content: str) -> None:
        assert planned_content("CNAME", content.upper(), content.lower()) == (
            content.lower() if content.upper().lower() == content.lower().lower() else content.upper()
        )
        assert planned_content("TXT", content.upper(), content.lower()) == content.upper()

    @steady
    @given(st.sampled_from(["CNAME", "TXT"]), st.text(), st.text())
    def test_the_plan_is_what_is_wanted_or_what_is_known(self, record_type: str, wanted: str, known: str) -> None:
        assert planned_content(record_type, wanted, known) in (wanted, known)


class TestTagEquality:
    @steady
    @given(st.sets(st.text()), st.randoms())
    def test_order_does_not_matter(self, tags: set[str], random: Any) -> None:
        shuffled = list(tags)
        random.shuffle(shuffled)
        assert planned_tags(["x"], shuffled, is_new=False) == sorted(tags)

    @steady
    @given(st.sampled_from([None, []]), st.sampled_from([None, []]))
    def test_no_tags_are_no_change(self, known: Any, wanted: Any) -> None:
        assert planned_tags(known, wanted, is_new=False) == known
