"""The Parse payload, shape by shape as documented and recorded."""

from __future__ import annotations

import base64
import email
import email.policy
import json
from datetime import UTC, datetime
from email.message import EmailMessage
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulators.mailjet.mime import Raw, decoded, with_crlf
from emulators.mailjet.parse_payload import Style, parse_payload

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
PIXEL = base64.b64decode("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7")


def payload_of(message: bytes | EmailMessage, style: Style | None = None) -> dict[str, Any]:
    octets = message if isinstance(message, bytes) else message.as_bytes(policy=email.policy.SMTP)
    found = parse_payload(octets, sender="env@x.example", recipient="box@m.example", received=NOW, style=style)
    json.dumps(found, ensure_ascii=False).encode()
    return found


def letter(**headers: str) -> EmailMessage:
    message = EmailMessage()
    message["From"] = "Ann <ann@x.example>"
    message["To"] = "box@m.example"
    message["Subject"] = "Hi"
    message["Date"] = "Fri, 10 Apr 2015 18:06:38 +0200"
    message["Message-ID"] = "<m1@x.example>"
    for name, value in headers.items():
        message[name.replace("_", "-")] = value
    return message


def test_envelope_and_headers() -> None:
    message = letter(In_Reply_To="<m0@x.example>", Cc="c@x.example", X_Priority="1")
    message["Received"] = "by a.example"
    message["Received"] = "by b.example"
    message.set_content("Hello\n")
    found = payload_of(message)
    assert found["Sender"] == "env@x.example"
    assert found["Recipient"] == "box@m.example"
    assert found["Date"] == "20150410T160638"
    assert found["From"] == "Ann <ann@x.example>"
    assert found["Subject"] == "Hi"
    assert found["SpamAssassinScore"] == "0.602"
    headers = found["Headers"]
    for name in ("Date", "From", "To", "Cc", "Subject", "Message-ID", "In-Reply-To"):
        assert isinstance(headers[name], str), name
    assert headers["Received"] == ["by a.example", "by b.example"]
    assert headers["X-Priority"] == ["1"]
    assert "CustomID" not in found
    assert "Payload" not in found


def test_one_part_stands_at_the_root() -> None:
    message = letter()
    message.set_content("Grüße\n", cte="quoted-printable")
    found = payload_of(message)
    assert found["Parts"] == []
    assert found["ContentRef"] == "Text-part"
    assert found["Text-part"] == "Grüße\r\n"
    assert found["Headers"]["Content-Transfer-Encoding"] == ["quoted-printable"]


def test_one_html_part_likewise() -> None:
    message = letter()
    message.set_content("<p>Grüße</p>", subtype="html", charset="iso-8859-1")
    found = payload_of(message)
    assert found["ContentRef"] == "Html-part"
    assert found["Html-part"].strip() == "<p>Grüße</p>"


def test_a_bare_attachment_likewise() -> None:
    message = letter()
    message.set_content(b"%PDF", maintype="application", subtype="pdf")
    found = payload_of(message)
    assert found["ContentRef"] == "Attachment1"
    assert base64.b64decode(found["Attachment1"]) == b"%PDF"


def full() -> EmailMessage:
    message = letter()
    message.set_content("text\n")
    message.add_alternative("<img src='cid:p'>", subtype="html")
    html = message.get_body(("html",))
    assert isinstance(html, EmailMessage)
    html.add_related(PIXEL, "image", "gif", cid="<p>", filename="p.gif", disposition="inline")
    message.add_attachment(b"a,b\r\n", maintype="text", subtype="csv", filename="a b.csv")
    message.add_attachment("note", subtype="plain", filename="note.txt")
    return message


def test_parts_come_in_order_containers_without_content() -> None:
    found = payload_of(full())
    kinds = [(part["Headers"]["Content-Type"][0].partition(";")[0], part.get("ContentRef")) for part in found["Parts"]]
    assert kinds == [
        ("multipart/alternative", None),
        ("text/plain", "Text-part"),
        ("multipart/related", None),
        ("text/html", "Html-part"),
        ("image/gif", "InlineAttachment1"),
        ("text/csv", "Attachment1"),
        ("text/plain", "Attachment2"),
    ]
    assert base64.b64decode(found["InlineAttachment1"]) == PIXEL
    assert base64.b64decode(found["Attachment1"]) == b"a,b\r\n"
    assert base64.b64decode(found["Attachment2"]).strip() == b"note"
    assert "ContentRef" not in found
    assert "\n" not in found["InlineAttachment1"]


def test_part_headers_as_documented_on_request() -> None:
    part = payload_of(full(), Style(part_headers="strings"))["Parts"][1]
    assert part["Headers"]["Content-Type"].startswith("text/plain")


def test_base64_in_lines_on_request() -> None:
    message = letter()
    message.set_content(bytes(200), maintype="application", subtype="octet-stream")
    found = payload_of(message, Style(base64_lines=True))
    assert found["Attachment1"].count("\n") == 4
    assert base64.b64decode(found["Attachment1"]) == bytes(200)


SEVERAL = b"""From: a@x.example
Content-Type: multipart/mixed;
\tboundary="b"

--b
Content-Type: text/plain;
\tcharset=utf-8

one
--b
Content-Type: text/html

<p>1</p>
--b
Content-Type: text/html
Content-Disposition: inline

<p>2</p>
--b
Content-Type: text/plain
Content-Disposition: inline

two
--b
Content-Type: message/rfc822

Subject: inner

body
--b--
"""


def test_several_texts_are_numbered_and_folds_keep_their_tab() -> None:
    found = payload_of(SEVERAL)
    assert found["Headers"]["Content-Type"] == ['multipart/mixed;\tboundary="b"']
    refs = [part["ContentRef"] for part in found["Parts"]]
    assert refs == ["Text-part", "Html-part", "Html-part2", "Text-part2", "Attachment1"]
    assert found["Parts"][0]["Headers"]["Content-Type"] == ["text/plain;\tcharset=utf-8"]
    assert b"Subject: inner" in base64.b64decode(found["Attachment1"])


def test_inline_text_as_an_attachment_on_request() -> None:
    found = payload_of(SEVERAL, Style(inline_text_is_attachment=True))
    refs = [part["ContentRef"] for part in found["Parts"]]
    assert refs == ["Text-part", "Html-part", "InlineAttachment1", "InlineAttachment2", "Attachment1"]


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        (b"=?utf-8?q?=C3=9Cbung?= now", "Übung now"),
        (b"=?iso-8859-1?B?3GJ1bmc=?=", "Übung"),
        (b"=?utf-8?b?w5w=?=\r\n =?utf-8?b?YnVuZw==?=", "Übung"),
        (b"=?nonsense?q?x?=", "=?nonsense?q?x?="),
        (b"=?utf-8?b?a?=", "=?utf-8?b?a?="),
        ("schlicht ä".encode(), "schlicht ä"),
        (b"broken \xff", "broken \ufffd"),
        (b"a\r\n\tb", "a\tb"),
        (b"", ""),
    ],
)
def test_encoded_words(raw: bytes, shown: str) -> None:
    assert decoded(raw) == shown


@pytest.mark.parametrize(
    ("date", "expected"),
    [
        ("Mon, 1 May 2023 19:49:32 +0200", "20230501T174932"),
        ("Mon, 1 May 2023 17:49:32 -0000", "20230501T174932"),
        ("yesterday", "20260102T030405"),
        ("", "20260102T030405"),
    ],
)
def test_the_date_is_utc_and_never_missing(date: str, expected: str) -> None:
    assert payload_of(f"Date: {date}\r\n\r\nx".encode())["Date"] == expected


@pytest.mark.parametrize("message", [b"", b"\r\n", b"no header at all", b"Subject: only\r\n", b"\xff\xfe: x\r\n\r\n"])
def test_degenerate_messages(message: bytes) -> None:
    found = payload_of(message)
    assert found["ContentRef"] == "Text-part"


@pytest.mark.parametrize("charset", ["us-ascii", "x-unknown", "utf-8"])
def test_text_that_is_not_in_its_charset(charset: str) -> None:
    found = payload_of(f"Content-Type: text/plain; charset={charset}\r\n\r\n".encode() + b"\xe4\r\n")
    assert found["Text-part"] == "\ufffd\r\n"


@given(st.binary(max_size=400))
def test_any_octets_make_a_payload(message: bytes) -> None:
    payload_of(message)


@given(st.lists(st.binary(max_size=60), max_size=3), st.text(max_size=60), st.text(max_size=40))
def test_contents_arrive_as_they_were(attachments: list[bytes], text: str, name: str) -> None:
    message = letter()
    body = text.replace("\r", "\n").encode("utf-8", "replace").decode()
    message.set_content(body, cte="base64")
    for content in attachments:
        message.add_attachment(
            content, maintype="application", subtype="octet-stream", filename=f"f{name.encode().hex()}"
        )
    found = payload_of(message)
    assert found["Text-part"].replace("\r\n", "\n").rstrip("\n") == body.rstrip("\n")
    for number, content in enumerate(attachments, 1):
        assert base64.b64decode(found[f"Attachment{number}"]) == content


@given(st.binary(max_size=200))
def test_splitting_a_message_loses_nothing(message: bytes) -> None:
    raw = Raw.parse(message)
    assert Raw.parse(raw.octets()) == raw
    head = b"".join(field for _, field in raw.fields)
    assert with_crlf(message).startswith(head)


def test_fields_are_dropped_by_name_and_prefix() -> None:
    raw = Raw.parse(b"X-MJ-CustomID: a\r\nBcc: b@x\r\nX-Mj:\r\n fold\r\nTo: c@x\r\n\r\nbody")
    left = raw.without({"x-mj-*", "bcc"})
    assert left.octets() == b"X-Mj:\r\n fold\r\nTo: c@x\r\n\r\nbody"
    assert left.with_first("Date", "now").octets().startswith(b"Date: now\r\nX-Mj:")
    assert left.addresses("to") == ["c@x"]
