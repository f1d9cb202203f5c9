"""Mails as the world sends them (found with public corpora and reports), through the whole inbox: what the API shows."""

from __future__ import annotations

import base64
import json
from email import message_from_bytes
from email.policy import SMTP
from typing import Any

import pytest

from tests.unit.azmail.inbox.desk import SECRET, Desk
from tests.unit.azmail.inbox.mails import ME, payload, with_files

EVENTS_URL = "/api/webhooks/mailjet/events"


def shown(desk: Desk, made: dict[str, Any]) -> dict[str, Any]:
    """The message as the API has it; it is in the list too, and its MIME can be read."""
    assert desk.deliver(made).json() == {"status": "accepted"}
    (listed,) = desk.get("/v1/messages", params={"limit": 1}).json()["messages"]
    found: dict[str, Any] = desk.get(f"/v1/messages/{listed['id']}").json()
    assert {name: found[name] for name in ("subject", "sender", "received_at")} == {
        name: listed[name] for name in ("subject", "sender", "received_at")
    }
    mime = desk.get(f"/v1/messages/{listed['id']}/original")
    assert mime.status_code == 200
    assert len(mime.content) == int(mime.headers["content-length"])
    assert message_from_bytes(mime.content, policy=SMTP).as_bytes()
    return found


@pytest.mark.parametrize("same", ["<3klmo@mct.example>", "<>", ""])
@pytest.mark.slow
def test_two_mails_with_one_message_id(desk: Desk, same: str) -> None:
    first = payload(1, MessageID=same)
    other = payload(2, MessageID=same, From="Eve <eve@x.example>", **{"Text-part": "other"})
    answers = [desk.deliver(made).json()["status"] for made in (first, other, first, other)]
    assert answers == ["accepted", "accepted", "duplicate", "duplicate"]
    listed = desk.get("/v1/messages").json()["messages"]
    assert [one["subject"] for one in listed] == ["Subject 2", "Subject 1"]
    assert len({one["thread"] for one in listed}) == 2


@pytest.mark.parametrize(
    ("written", "email", "name"),
    [
        ("purchasing@shop.example <do-not-reply@evil.example>", "do-not-reply@evil.example", "purchasing@shop.example"),
        ("ceo@bank.example, <mallory@evil.example>", "mallory@evil.example", "ceo@bank.example,"),
        ("n@bank.example <n@bank.example>", "n@bank.example", "n@bank.example"),
        ("Müller, Jörg <j@x.example>", "j@x.example", "Müller, Jörg"),
    ],
)
@pytest.mark.slow
def test_who_wrote(desk: Desk, written: str, email: str, name: str) -> None:
    found = shown(desk, payload(1, From=written, Headers={"Cc": f"{written}, b@y.example"}))
    assert found["sender"]["email"] == email
    assert found["sender"]["name"].rstrip(",") == name.rstrip(",")
    assert [one["email"] for one in found["cc"]][-1] == "b@y.example"
    assert email in [one["email"] for one in found["cc"]]
    for word in ("ceo", "purchasing"):
        assert not any(one["email"].startswith(word) for one in found["cc"])


def test_the_senders_clock_decides_nothing(desk: Desk) -> None:
    future = shown(desk, payload(1, Headers={"Date": "Mon, 01 Jan 2035 00:00:00 +0000"}))
    assert future["received_at"] is None
    assert future["sent_at"].startswith("2035")
    received = ["by b; Fri, 02 Jan 2026 03:04:07 +0000", "by a; Mon, 01 Jan 2035 00:00:00 +0000"]
    found = shown(desk, payload(2, Headers={"Date": "Mon, 01 Jan 1990 00:00:00 +0000", "Received": received}))
    assert found["received_at"].startswith("2026-01-02T03:04:07")
    listed = desk.get("/v1/messages").json()["messages"]
    assert [one["subject"] for one in listed] == ["Subject 2", "Subject 1"]


def test_a_broken_encoded_word(desk: Desk) -> None:
    broken = "=?utf-8?Q?Gr=FC=DFe_aus_K=C3=B6ln_und_noch_viel_mehr_Text_hier_drin?="
    found = shown(desk, payload(1, Subject=broken))
    assert "aus Köln und noch viel mehr Text hier drin" in found["subject"]
    assert desk.get("/v1/search", params={"q": "koln"}).json()["messages"]


def test_a_message_in_a_message_a_thousand_times(desk: Desk) -> None:
    nested = b"Content-Type: message/rfc822\r\n\r\n" * 1_000 + b"Subject: last\r\n\r\nx"
    made = with_files(1, nested)
    made["Parts"][1]["Headers"]["Content-Type"] = "message/rfc822"
    found = shown(desk, made)
    assert found["attachments"][0]["octets"] == len(nested)
    assert desk.get(f"/v1/messages/{found['id']}/attachments/1").content == nested
    assert any("too many nested parts" in one for one in found["defects"])


@pytest.mark.slow
def test_more_files_than_a_message_can_have(sqlite_desk: Desk) -> None:
    """Not read as MIME here: the standard library takes a millisecond for each file."""
    sqlite_desk.deliver(with_files(1, *(str(number).encode() for number in range(1_001))))
    (listed,) = sqlite_desk.get("/v1/messages").json()["messages"]
    found = sqlite_desk.get(f"/v1/messages/{listed['id']}").json()
    assert len(found["attachments"]) == listed["attachment_count"] == 1_001
    assert sqlite_desk.get(f"/v1/messages/{listed['id']}/attachments/1001").content == b"1000"
    assert any("1001 attachments" in one for one in found["defects"])


@pytest.mark.parametrize(
    ("written", "read"),
    [
        (f"=?gb2312?B?{base64.b64encode('朱镕基'.encode('gbk')).decode()}?=", "朱镕基"),
        ("=?nonsense?q?A?= =?utf-8?q?=C3=B6?=", "ö"),
    ],
)
def test_subjects_of_other_charsets(desk: Desk, written: str, read: str) -> None:
    assert read in shown(desk, payload(1, Subject=written))["subject"]


def test_what_arrives_decoded_is_not_decoded_again(desk: Desk) -> None:
    """Its author wrote `=?utf-8?q?A?=`, and Mailjet has decoded what the words that carried it said."""
    made = payload(1, Subject="=?utf-8?q?A?=")
    made["Headers"]["From"] = made["From"] = "Jörg <ada@x.example>"
    assert shown(desk, made)["subject"] == "=?utf-8?q?A?="


def test_nothing_is_lost_silently(desk: Desk) -> None:
    many = ", ".join(f"a{number}@y.example" for number in range(2_000))
    made = with_files(1, b"0123")
    made["Headers"]["To"] = many
    made |= {
        "Text-part": "a\0b",
        "Html-part": "<p>c\0d</p>",
        "Attachment1": base64.b64encode(b"0123").decode().rstrip("="),
    }
    made["Parts"][1]["Headers"]["Content-Disposition"] = f'attachment; filename="{"n" * 400}.pdf"'
    made["Parts"].append({"Headers": {"Content-Type": "text/plain"}, "ContentRef": "Strange7"})
    found = shown(desk, made)
    assert len(found["to"]) == 2_000
    assert (found["text"], found["html"]) == ("a\ufffdb", "<p>c\ufffdd</p>")
    (file,) = found["attachments"]
    assert file["filename"].endswith(".pdf")
    assert len(file["filename"]) <= 255
    assert desk.get(f"/v1/messages/{found['id']}/attachments/1").content == b"0123"
    assert any("Strange7" in one for one in found["defects"])


def test_two_events_of_one_second(desk: Desk) -> None:
    click = {"event": "click", "time": 1, "MessageID": 7, "Payload": json.dumps({"agent_id": ME})}
    clicks = [click | {"url": f"https://x.example/{number}"} for number in range(2)]
    for fresh in (2, 0):
        answer = desk.client.post(EVENTS_URL, json=clicks, auth=("any", SECRET))
        assert answer.json()["events"] == fresh
    assert len(desk.get("/v1/events").json()["events"]) == 2
