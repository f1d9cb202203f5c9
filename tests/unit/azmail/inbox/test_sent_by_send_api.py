"""What an agent sends by the gateway's Send API stands in its mailbox and in its thread, as what it sends by SMTP does."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from email import message_from_bytes
from email.policy import SMTP
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.testclient import TestClient
from starlette.types import Receive, Scope, Send

from azmail.gateway.credentials import Scope as Use
from azmail.gateway.sendapi import MailjetSendApi, send_api_app
from azmail.gateway.sentmail import message_octets
from azmail.inbox.parcels import sent_parcel
from emulators.serving import ServerThread
from tests.unit.azmail.inbox.desk import Desk, NoDelay, credential
from tests.unit.azmail.inbox.mails import ME

ADDRESS = "me@d.example"


class TakingMailjet:
    """Takes every message, but those whose subject says otherwise."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        call = json.loads(await Request(scope, receive).body())
        results = [{"Status": "error" if one.get("Subject") == "refuse" else "success"} for one in call["Messages"]]
        await JSONResponse({"Messages": results})(scope, receive, send)


@pytest.fixture
def door(desk: Desk) -> Iterator[TestClient]:
    with ServerThread(TakingMailjet()) as mailjet:
        api = MailjetSendApi(mailjet.url, "k", "s")
        with TestClient(send_api_app(desk.relay, api, sources=NoDelay())) as client:
            yield client
        api.close()


def message(**changes: Any) -> dict[str, Any]:
    return {
        "From": {"Email": ADDRESS},
        "To": [{"Email": "ann@y.example"}],
        "Subject": "Plan",
        "TextPart": "t",
    } | changes


def post(door: TestClient, *messages: dict[str, Any], key: str = "", **more: Any) -> None:
    answer = door.post(
        "/v3.1/send",
        json={"Messages": messages, **more},
        auth=credential(ME, Use.SEND),
        headers={"Idempotency-Key": key} if key else {},
    )
    assert answer.status_code == 200, answer.text


def listed(desk: Desk) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = desk.get("/v1/messages").json()["messages"]
    return found


def test_an_answer_joins_the_thread_of_what_it_answers(desk: Desk, door: TestClient) -> None:
    desk.bring(1)
    (received,) = listed(desk)
    post(
        door,
        message(
            Subject="Re: Subject 1",
            HTMLPart="<b>grüße</b>",
            Cc=[{"Email": "c@y.example", "Name": "Jörg, C"}],
            Bcc=[{"Email": "b@y.example"}],
            CustomID="order-1",
            Headers={"In-Reply-To": received["message_id"]},
            Attachments=[{"ContentType": "text/plain", "Filename": "ü.txt", "Base64Content": "YWJj"}],
        ),
    )
    (thread,) = desk.get("/v1/threads").json()["threads"]
    sent = next(one for one in listed(desk) if one["direction"] == "out")
    assert thread["messages"] == 2
    assert (sent["subject"], sent["snippet"], sent["custom_id"]) == ("Re: Subject 1", "t", "order-1")
    assert [one["email"] for one in sent["to"]] == ["ann@y.example", "c@y.example", "b@y.example"]
    whole = desk.get(f"/v1/messages/{sent['id']}").json()
    assert (whole["html"].strip(), whole["attachments"][0]["filename"]) == ("<b>grüße</b>", "ü.txt")
    assert desk.get(f"/v1/messages/{sent['id']}/attachments/1").content == b"abc"
    # Whoever answers the answer is found by its custom id, which Mailjet delivers with it.
    desk.bring(2, CustomID="order-1")
    assert desk.get("/v1/threads").json()["threads"][0]["messages"] == 3


def test_a_repetition_stands_once_and_each_message_of_a_call_by_itself(desk: Desk, door: TestClient) -> None:
    for _ in range(2):
        post(door, message(Subject="one"), message(Subject="two"), key="k")
    assert sorted(one["subject"] for one in listed(desk)) == ["one", "two"]


def test_what_mailjet_did_not_send_does_not_stand_there(desk: Desk, door: TestClient) -> None:
    post(door, message(Subject="refuse"), message(Subject="kept"))
    post(door, message(Subject="sandbox"), SandboxMode=True)
    assert [one["subject"] for one in listed(desk)] == ["kept"]


_TEXT = st.text(st.characters(exclude_categories=["Cc"]), max_size=60) | st.just("\ud800 half")
_FILES = st.lists(
    st.fixed_dictionaries(
        {},
        optional={
            "ContentType": st.sampled_from(["text/plain", "multipart/mixed", "message/rfc822", "x", "", "a/b; c=d"])
            | _TEXT,
            "Filename": _TEXT,
            "Base64Content": st.binary(max_size=200).map(lambda octets: base64.b64encode(octets).decode()) | _TEXT,
            "ContentID": _TEXT,
        },
    ),
    max_size=2,
)


@given(
    st.fixed_dictionaries(
        {"From": st.just({"Email": ADDRESS})},
        optional={
            "To": st.lists(st.fixed_dictionaries({"Email": st.just(".a@b.")}, optional={"Name": _TEXT}), max_size=2),
            "Subject": _TEXT,
            "TextPart": st.text(max_size=80) | st.just("\ud800"),
            "HTMLPart": _TEXT,
            "CustomID": _TEXT,
            "Headers": st.dictionaries(
                st.sampled_from(["X-A", "Content-Disposition", "In-Reply-To", "References"]), _TEXT
            ),
            "Attachments": _FILES,
            "InlinedAttachments": _FILES,
        },
    )
)
def test_whatever_mailjet_may_have_taken_can_be_kept(sent: dict[str, Any]) -> None:
    octets = message_octets(sent, date=datetime(2026, 11, 26, tzinfo=UTC))
    parcel = sent_parcel(ME, "key", octets, sender=ADDRESS, recipients=["ann@y.example"])
    assert parcel.direction == "out"
    assert len(parcel.files) == len(sent.get("Attachments", [])) + len(sent.get("InlinedAttachments", []))
    assert message_from_bytes(octets, policy=SMTP)["From"] == ADDRESS


def test_what_cannot_be_kept_was_sent_all_the_same(
    sqlite_desk: Desk, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The standard library's parser fails on an address that Mailjet may take; and whatever else may be in the way."""
    agent = sqlite_desk.relay.find(ME)
    assert agent is not None
    odd = f"From: {ADDRESS}\r\nTo: .a@b.\r\nSubject: odd\r\n\r\nt\r\n".encode()
    assert sqlite_desk.relay.submit(agent, odd, ["ann@y.example"]).code == 250
    assert [one["subject"] for one in listed(sqlite_desk)] == ["odd"]
    monkeypatch.setattr(sqlite_desk.store, "store", lambda _parcel: 1 / 0)
    assert sqlite_desk.relay.submit(agent, odd + b"more\r\n", ["ann@y.example"]).code == 250
    assert "was sent and does not stand in its mailbox" in caplog.text
