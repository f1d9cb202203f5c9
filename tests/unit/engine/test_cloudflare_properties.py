"""Values to and from protobuf, and what tables of properties do with any value."""

from __future__ import annotations

from typing import Any

from google.protobuf import json_format
from google.protobuf.struct_pb2 import Struct
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.cloudflare import bridge_state, fields
from engine.cloudflare.dns_record import DnsRecord
from engine.cloudflare.fields import Change, Field, Kind, Role
from engine.cloudflare.properties import UNKNOWN, Secret, from_struct, marked_like, plain, to_struct, whole
from tests.profiles import examples

# Other tests may keep the machine busy: no example has a deadline.
steady = settings(deadline=None, max_examples=examples(50))


def _once_secret(value: Any) -> Any:
    return value if isinstance(value, Secret) else Secret(value)


SCALARS = st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False) | st.text()
PLAIN = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3), max_leaves=8
)
VALUES = st.recursive(
    SCALARS | st.just(UNKNOWN),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3) | inner.map(_once_secret),
    max_leaves=8,
)
PROPERTIES = st.dictionaries(st.text(), VALUES, max_size=4)


def _wholes(value: Any) -> Any:
    if isinstance(value, Secret):
        return Secret(_wholes(value.value))
    if isinstance(value, dict):
        return {key: _wholes(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_wholes(item) for item in value]
    return whole(value) if isinstance(value, float) else value


class TestProtobuf:
    @steady
    @given(PROPERTIES)
    def test_values_survive_the_way_there_and_back(self, properties: dict[str, Any]) -> None:
        assert from_struct(to_struct(properties)) == _wholes(properties)

    def test_secrets_and_unknowns_have_pulumis_form(self) -> None:
        assert json_format.MessageToDict(to_struct({"a": Secret("x"), "b": UNKNOWN, "c": None, "d": 300})) == {
            "a": {"4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270", "value": "x"},
            "b": "04da6b54-80e4-46f7-96ec-b56ff0331ba9",
            "d": 300.0,
        }

    def test_every_kind_of_unknown_is_unknown(self) -> None:
        struct = Struct()
        struct.update({"bool": "1c4a061d-8072-4f0a-a4cb-0ff528b18fe7", "text": "04da6b54", "none": None})
        assert from_struct(struct) == {"bool": UNKNOWN, "text": "04da6b54"}

    def test_whole_numbers_become_whole(self) -> None:
        found = from_struct(to_struct({"ttl": 300.0, "half": 0.5, "yes": True}))
        assert repr(found["ttl"]) == "300"
        assert found == {"ttl": 300, "half": 0.5, "yes": True}

    def test_a_secret_is_in_no_repr(self) -> None:
        assert "hunter2" not in repr(Secret("hunter2"))


class TestSecretMarks:
    @steady
    @given(VALUES)
    def test_marks_can_be_taken_off_and_put_back(self, value: Any) -> None:
        assert marked_like(plain(value), value) == _outermost(value)

    @steady
    @given(PLAIN, PLAIN)
    def test_no_marks_are_invented(self, value: Any, other: Any) -> None:
        assert marked_like(value, other) == value

    @steady
    @given(VALUES, VALUES)
    def test_marking_changes_no_value(self, value: Any, marked: Any) -> None:
        assert plain(marked_like(plain(value), marked)) == plain(value)

    def test_a_list_of_another_length_is_secret_as_a_whole(self) -> None:
        assert marked_like([1, 2], [Secret(1)]) == Secret([1, 2])


def _outermost(value: Any) -> Any:
    if isinstance(value, Secret):
        return Secret(plain(value))
    if isinstance(value, dict):
        return {key: _outermost(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_outermost(item) for item in value]
    return value


TABLE = (
    Field(name="zoneId", kind=Kind.STRING, in_path=True),
    Field(name="name", kind=Kind.STRING),
    Field(name="ttl", kind=Kind.NUMBER),
    Field(name="on", kind=Kind.BOOLEAN),
    Field(name="tags", kind=Kind.LIST, is_set=True),
    Field(name="items", kind=Kind.LIST, of=(Field(name="noTlsVerify", kind=Kind.BOOLEAN, api="noTLSVerify"),)),
    Field(name="config", kind=Kind.OBJECT, of=(Field(name="keyTag", kind=Kind.NUMBER),)),
    Field(name="seen", kind=Kind.STRING, role=Role.COMPUTED),
)
STATES = st.fixed_dictionaries(
    {},
    optional={
        "name": st.text(),
        "ttl": st.integers(0, 10**6) | st.floats(0, 10**6),
        "on": st.booleans(),
        "tags": st.lists(st.text()).map(sorted),
        "items": st.lists(st.fixed_dictionaries({}, optional={"noTlsVerify": st.booleans()}), max_size=3),
        "config": st.fixed_dictionaries({}, optional={"keyTag": st.integers(0, 255)}),
    },
)


class TestCompare:
    @steady
    @given(STATES)
    def test_a_state_equals_itself(self, state: dict[str, Any]) -> None:
        assert fields.compare(TABLE, state, dict(state)) == {}

    @steady
    @given(STATES, STATES)
    def test_changes_are_symmetric(self, one: dict[str, Any], other: dict[str, Any]) -> None:
        there, back = fields.compare(TABLE, one, other), fields.compare(TABLE, other, one)
        turned = {Change.ADD: Change.DELETE, Change.DELETE: Change.ADD, Change.UPDATE: Change.UPDATE}
        assert back == {path: turned[change] for path, change in there.items()}

    @steady
    @given(STATES, STATES)
    def test_no_change_means_the_same_request(self, one: dict[str, Any], other: dict[str, Any]) -> None:
        if not fields.compare(TABLE, one, other):
            assert fields.body(TABLE, one, {}) == fields.body(TABLE, other, {})

    @steady
    @given(STATES, STATES)
    def test_restoring_every_changed_path_leaves_no_change(self, state: dict[str, Any], wanted: dict[str, Any]) -> None:
        tops = {path.split(".")[0].split("[")[0] for path in fields.compare(TABLE, state, wanted)}
        assert fields.compare(TABLE, state, fields.restore(wanted, state, tops)) == {}

    def test_true_is_not_one(self) -> None:
        assert not fields.same(True, 1)
        assert fields.same(300, 300.0)
        assert not fields.same("a", UNKNOWN)


class TestBodyAndRead:
    @steady
    @given(STATES)
    def test_what_is_sent_reads_back(self, state: dict[str, Any]) -> None:
        assert fields.read(TABLE, fields.body(TABLE, state, {})) == _wholes(state)

    @steady
    @given(STATES, STATES)
    def test_a_changed_body_is_a_part_of_the_whole(self, state: dict[str, Any], wanted: dict[str, Any]) -> None:
        whole_body = fields.body(TABLE, wanted, state)
        changed = fields.changed_body(TABLE, wanted, state)
        assert all(whole_body[key] == value for key, value in changed.items())
        assert bool(changed) is bool(fields.compare(TABLE, state, wanted))

    @steady
    @given(PLAIN)
    def test_any_answer_can_be_read(self, answer: Any) -> None:
        assert isinstance(fields.read(DnsRecord.table, answer), dict)

    def test_paths_and_computed_properties_are_never_sent(self) -> None:
        assert fields.body(TABLE, {"zoneId": "z", "seen": "x", "name": "n"}, {}) == {"name": "n"}

    def test_unset_is_left_out_and_removed_is_null(self) -> None:
        assert fields.body(TABLE, {"name": None, "ttl": UNKNOWN}, {"name": "old", "ttl": 1}) == {"name": None}
        assert fields.body(TABLE, {"config": {}}, {"config": {"keyTag": 1}}) == {"config": {"key_tag": None}}

    @steady
    @given(st.sampled_from(DnsRecord.table))
    def test_names_of_the_api(self, field: Field) -> None:
        assert field.key == field.key.lower()


class TestCheck:
    @steady
    @given(STATES)
    def test_what_fits_passes(self, state: dict[str, Any]) -> None:
        assert list(fields.check(TABLE, state)) == []

    @steady
    @given(st.dictionaries(st.sampled_from([field.name for field in TABLE]), PLAIN | st.just(UNKNOWN)))
    def test_a_failure_never_quotes_a_value(self, inputs: dict[str, Any]) -> None:
        for failure in fields.check(TABLE, inputs):
            assert failure.property
            assert failure.reason.endswith(".")


class TestBridgeState:
    @steady
    @given(st.text(min_size=1))
    def test_the_zones_name_is_remembered(self, name: str) -> None:
        state = {bridge_state.META: bridge_state.meta({}, name)}
        assert bridge_state.zone_name(state) == name
        assert bridge_state.meta(state) == state[bridge_state.META]

    def test_it_has_the_form_of_the_official_plugin(self) -> None:
        # base64 of {"zone_name":"ImV4YW1wbGUuY29tIg=="}, that of "example.com" as JSON
        private = "eyJ6b25lX25hbWUiOiJJbVY0WVcxd2JHVXVZMjl0SWc9PSJ9"
        assert bridge_state.meta({}, "example.com") == f'{{"private_state":"{private}","schema_version":"500"}}'
        assert bridge_state.zone_name({"__meta": f'{{"private_state":"{private}"}}'}) == "example.com"

    def test_a_state_without_marks_has_no_zone(self) -> None:
        assert bridge_state.zone_name({}) is None
