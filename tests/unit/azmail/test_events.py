"""Bounce, blocked and spam events, alone (version 1) and grouped (version 2)."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from azmail import BlockedEvent, BounceEvent, OtherEvent, PayloadError, SpamEvent, UnsubEvent, parse_events
from tests.profiles import examples
from tests.unit.azmail.conftest import AGENT_A

LARGE_ID = 1152921527214068881  # above 2^53


def event(kind: str, **changes: Any) -> dict[str, Any]:
    return {
        "event": kind,
        "time": 1430812195,
        "MessageID": LARGE_ID,
        "Message_GUID": "1ab23cd4-e567-8901-2345-6789f0gh1i2j",
        "email": "gone@example.com",
        "mj_campaign_id": 0,
        "mj_contact_id": 0,
        "customcampaign": "",
        "CustomID": "order-7",
        "Payload": json.dumps({"agent_id": AGENT_A}),
    } | changes


def test_a_bounce() -> None:
    body = event(
        "bounce", blocked=False, hard_bounce=True, error_related_to="recipient", error="user unknown", comment="550"
    )
    (bounce,) = parse_events(json.dumps(body).encode())
    assert isinstance(bounce, BounceEvent)
    assert (bounce.hard_bounce, bounce.blocked) == (True, False)
    assert (bounce.error_related_to, bounce.error, bounce.comment) == ("recipient", "user unknown", "550")
    assert bounce.email == "gone@example.com"
    assert bounce.message_id == LARGE_ID
    assert bounce.time == datetime(2015, 5, 5, 7, 49, 55, tzinfo=UTC)
    assert bounce.custom_id == "order-7"
    assert bounce.agent_id == AGENT_A


def test_blocked_and_spam_in_one_group() -> None:
    blocked, spam = parse_events(
        [event("blocked", error_related_to="mailjet", error="preblocked"), event("spam", source="JMRPP")]
    )
    assert isinstance(blocked, BlockedEvent)
    assert (blocked.error_related_to, blocked.error, blocked.comment) == ("mailjet", "preblocked", "")
    assert isinstance(spam, SpamEvent)
    assert spam.source == "JMRPP"


def test_other_kinds_are_no_error() -> None:
    (sent,) = parse_events(event("sent", smtp_reply="250 OK"))
    assert isinstance(sent, OtherEvent)
    assert sent.payload["smtp_reply"] == "250 OK"


@pytest.mark.parametrize(
    ("value", "flag"), [(True, True), (False, False), (1, True), (0, False), ("1", True), ("", False), (None, False)]
)
def test_flags_in_every_spelling(value: object, flag: bool) -> None:
    (bounce,) = parse_events(event("bounce", hard_bounce=value))
    assert isinstance(bounce, BounceEvent)
    assert bounce.hard_bounce is flag


def test_fields_that_are_missing_or_strange() -> None:
    (bounce,) = parse_events({"event": "BOUNCE", "time": 10**30, "mj_message_id": str(LARGE_ID), "CustomID": 7})
    assert isinstance(bounce, BounceEvent)
    assert (bounce.time, bounce.message_id, bounce.custom_id, bounce.email) == (None, LARGE_ID, "7", "")
    assert bounce.agent_id is None


@pytest.mark.parametrize("payload", ["", "mine", "[]", '{"agent_id": 7}', '{"other": 1}', "[" * 100_000])
def test_a_payload_of_the_senders_own_names_no_agent(payload: str) -> None:
    assert parse_events(event("spam", Payload=payload))[0].agent_id is None


def test_the_delivery_key_is_the_events() -> None:
    (first,) = parse_events(event("bounce"))
    (again,) = parse_events([event("bounce", comment="later")])
    assert first.delivery_key == again.delivery_key
    for change in ({"event": "blocked"}, {"MessageID": 1}, {"email": "x@example.com"}, {"time": 1}):
        (other,) = parse_events(event("bounce") | change)
        assert other.delivery_key != first.delivery_key


@pytest.mark.parametrize("body", [b"", b"7", b'"x"', b"[7]", b"{}", b'{"event": 7}', b'[{"event": "bounce"}, null]'])
def test_what_is_no_event(body: bytes) -> None:
    with pytest.raises(PayloadError, match="expected"):
        parse_events(body)


@settings(max_examples=examples(300), deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(["event", "time", "MessageID", "email", "Payload", "CustomID", "hard_bounce", "comment"]),
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.text()
        | st.lists(st.text()),
    )
)
def test_any_object_is_an_event_or_a_payload_error(body: dict[str, Any]) -> None:
    try:
        events = parse_events(json.dumps([body]))
    except PayloadError:
        assert not (isinstance(body.get("event"), str) and body["event"])
    else:
        hash(events[0].delivery_key)
        assert events[0].agent_id is None or isinstance(events[0].agent_id, str)


def test_who_unsubscribed() -> None:
    (unsub,) = parse_events(event("unsub", mj_list_id="7", ip="192.0.2.7", geo="FR", agent="Browser"))
    assert isinstance(unsub, UnsubEvent)
    assert (unsub.list_id, unsub.ip, unsub.geo, unsub.agent) == (7, "192.0.2.7", "FR", "Browser")
    assert unsub.agent_id == AGENT_A
    (bare,) = parse_events({"event": "unsub"})
    assert isinstance(bare, UnsubEvent)
    assert (bare.list_id, bare.ip, bare.geo, bare.agent) == (None, "", "", "")


CLICK = {"event": "click", "time": 1433333949, "MessageID": 19421777835146490, "email": "a@b.example", "url": "a"}


def test_two_clicks_in_a_second_are_two_events_and_a_repetition_is_none() -> None:
    body = json.dumps([CLICK, {"event": "sent"}, CLICK, CLICK | {"url": "b"}, dict(reversed(CLICK.items()))])
    keys = [one.delivery_key for one in parse_events(body)]
    assert len(set(keys)) == 5
    assert [one.delivery_key for one in parse_events(body)] == keys
    assert parse_events(CLICK)[0].delivery_key == keys[0]


def test_one_bounce_told_twice_is_one_event() -> None:
    first, second = parse_events([event("bounce"), event("bounce")])
    assert first.delivery_key == second.delivery_key
