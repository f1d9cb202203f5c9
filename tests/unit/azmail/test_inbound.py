"""Every recorded variant of a Parse payload, and ten thousand that nobody recorded."""

import base64
import contextlib
import email
import encodings.aliases
import json
import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from email.policy import default
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from azmail import InboundMail, MailAddress, PayloadError, parse_inbound
from azmail.json_body import MAX_DEPTH, MAX_STRUCTURE, decode_json
from tests.profiles import FULL, examples
from tests.unit.azmail.conftest import ADDRESS_A

CODECS = encodings.aliases.aliases
PAYLOADS = Path(__file__).parent / "payloads"
NO_ALIAS = ("idna", "punycode", "undefined", "unicode_escape", "raw_unicode_escape", "utf_8_sig", "nonsense")
PDF = b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n" + bytes(range(256)) + b"\r\n%%EOF"
PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"


def load(name: str) -> dict[str, Any]:
    payload: dict[str, Any] = json.loads((PAYLOADS / f"{name}.json").read_text(encoding="utf-8"))
    return payload


def minimal(**changes: Any) -> dict[str, Any]:
    return {"Sender": "ada@example.com", "Recipient": ADDRESS_A, "Headers": {}, "Parts": []} | changes


def well_formed(mail: InboundMail) -> None:
    """What holds for whatever was parsed: the MIME message can be written, read again and searched."""
    raw = mail.message.as_bytes()
    again = email.message_from_bytes(raw, policy=default)
    assert again["Subject"] is None or isinstance(str(again["Subject"]), str)
    for part in again.walk():
        part.get_filename()
    if mail.text is not None:
        body = mail.message.get_body(("plain",))
        assert body is not None
        assert "".join(body.get_content().split()) == "".join(mail.text.split())
    carried = [part.get_payload(decode=True) for part in mail.message.walk()]
    for attachment in mail.attachments:
        if not attachment.content_type.startswith("message/"):
            assert attachment.content in carried
        assert "/" not in attachment.filename
        assert "\\" not in attachment.filename
    assert mail.received_at is None or mail.received_at.tzinfo is not None
    assert mail.sent_at is None or mail.sent_at.tzinfo is not None
    hash(mail.delivery_key)
    repr(mail)


@pytest.mark.parametrize("file", sorted(PAYLOADS.glob("*.json")), ids=lambda file: file.stem)
def test_every_variant_is_well_formed(file: Path) -> None:
    well_formed(parse_inbound(file.read_bytes()))


class TestVariants:
    def test_documented(self) -> None:
        mail = parse_inbound(load("documented"))
        assert (mail.envelope_sender, mail.envelope_recipient) == ("ada@example.com", ADDRESS_A)
        assert mail.from_address == MailAddress("ada@example.com", "Ada Lovelace")
        assert mail.to == (MailAddress(ADDRESS_A),)
        assert mail.message_id == "<engine-1@example.com>"
        assert (mail.in_reply_to, mail.references) == (None, ())
        assert mail.subject == "The engine"
        assert mail.text == "It can do whatever we know how to order it.\n"
        assert mail.html == "<p>It can do <i>whatever</i> we know how to order it.</p>\n"
        assert mail.spam_score == 0.602
        assert mail.received_at == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
        assert mail.sent_at == datetime(2026, 1, 2, 4, 4, tzinfo=timezone(timedelta(hours=1)))
        assert (mail.custom_id, mail.event_payload) == ("order-7", "{'topic': 'engine'}")
        assert mail.attachments == ()
        assert not mail.is_automatic
        message = mail.message
        assert message["Message-ID"] == "<engine-1@example.com>"
        assert message["From"].addresses[0].addr_spec == "ada@example.com"
        assert message.get_content_type() == "multipart/alternative"
        assert [part.get_content_type() for part in message.iter_parts()] == ["text/plain", "text/html"]
        assert message.get_all("Content-Type") == [message["Content-Type"]]

    def test_containers_folds_inline_images_and_base64_in_lines(self) -> None:
        mail = parse_inbound(load("containers"))
        assert mail.from_address == MailAddress("zoe@example.com", "Zoë")
        assert mail.subject == "Größe und Bild"
        assert mail.text == "Die Größe, Zoë: 5 €\n"
        assert mail.references == ("<engine-1@example.com>", "<engine-2@example.com>")
        assert mail.in_reply_to == "<engine-2@example.com>"
        assert mail.to == (MailAddress(ADDRESS_A, "Vector"), MailAddress("jane@example.com", "Doe, Jane"))
        assert mail.cc == (MailAddress("carol@example.com"),)
        assert mail.reply_to == (MailAddress("desk@example.com", "Desk"),)
        assert mail.spam_score == -1.9
        assert mail.sent_at == datetime(2026, 1, 2, 3, 4, tzinfo=UTC)
        image, plan = mail.attachments
        assert (image.filename, image.content_type, image.content) == ("logo.png", "image/png", PNG)
        assert (image.content_id, image.inline) == ("logo@example.com", True)
        assert (plan.filename, plan.content_type, plan.content) == ("plän.pdf", "application/pdf", PDF)
        assert not plan.inline
        assert [part.get_content_type() for part in mail.message.walk()] == [
            *("multipart/mixed", "multipart/alternative", "text/plain", "multipart/related", "text/html", "image/png"),
            "application/pdf",
        ]
        assert str(mail.message["Subject"]) == "Größe und Bild"
        assert len(mail.message.get_all("Received", [])) == 2

    def test_a_single_text_part_at_the_root(self) -> None:
        mail = parse_inbound(load("single_text"))
        assert (mail.text, mail.html, mail.attachments) == ("Only text.\r\n", None, ())
        assert mail.message.get_content_type() == "text/plain"

    def test_a_single_html_part_at_the_root(self) -> None:
        mail = parse_inbound(load("single_html"))
        assert (mail.text, mail.html) == (None, "<p>Only <b>markup</b></p>")
        assert mail.message.get_content_type() == "text/html"

    def test_a_single_attachment_at_the_root(self) -> None:
        mail = parse_inbound(load("single_attachment"))
        assert (mail.text, mail.html) == (None, None)
        assert [(a.filename, a.content) for a in mail.attachments] == [("fax.pdf", PDF)]

    def test_several_html_parts_are_one_document(self) -> None:
        mail = parse_inbound(load("several_html"))
        assert mail.html == "<p>one</p>\n<p>two</p>\n<p>four</p>"
        assert [(a.filename, a.content) for a in mail.attachments] == [("a.png", PNG)]

    def test_a_body_that_came_as_inline_attachment(self) -> None:
        mail = parse_inbound(load("body_as_inline_attachment"))
        assert mail.text == "Heute: 5 größte Neuigkeiten\n"
        assert mail.html == "<h1>Heute: 5 €</h1>"
        assert mail.attachments == ()
        assert mail.is_automatic

    def test_header_names_in_any_case_and_filenames_of_any_form(self) -> None:
        mail = parse_inbound(load("odd_headers"))
        assert mail.message_id == "<odd@example.com>"
        assert mail.subject == ""
        assert mail.spam_score is None
        assert [a.filename for a in mail.attachments] == ["annual report 2025.xlsx", "listé.csv", "passwd"]
        assert [a.content for a in mail.attachments] == [b"PK\x03\x04\x00\xff", "é;1\r\n".encode(), b"root"]
        assert mail.attachments[1].content_type == "text/csv"
        assert mail.header("AUTO-SUBMITTED") == "auto-replied"
        assert mail.is_automatic
        assert mail.message["message-id"] == "<odd@example.com>"

    def test_a_bounce_carries_the_report_and_the_original(self) -> None:
        mail = parse_inbound(load("bounce"))
        assert mail.envelope_sender == ""
        assert mail.is_automatic
        status, original = mail.attachments
        assert status.content_type == "message/delivery-status"
        assert b"Status: 5.1.1" in status.content
        assert original.content_type == "message/rfc822"
        inner = next(part for part in mail.message.walk() if part.get_content_type() == "message/rfc822")
        assert inner.get_content()["Message-ID"] == "<lost@dev.agents.example>"


class TestFields:
    @pytest.mark.parametrize("size", [0, 1, 2, 3, 57, 4096, 1_000_003])
    def test_attachments_are_byte_for_byte(self, size: int) -> None:
        content = random.Random(size).randbytes(size)
        encoded = base64.encodebytes(content).decode()
        mail = parse_inbound(minimal(Attachment1=encoded))
        assert [a.content for a in mail.attachments] == [content]
        assert mail.attachments[0].content_type == "application/octet-stream"

    def test_content_without_a_reference_is_not_lost(self) -> None:
        mail = parse_inbound(minimal(**{"Text-part": "t", "Html-part": "h", "Attachment2": "eA=="}))
        assert (mail.text, mail.html, [a.content for a in mail.attachments]) == ("t", "h", [b"x"])

    def test_a_body_that_is_referred_to_but_absent_is_empty(self) -> None:
        assert parse_inbound(minimal(ContentRef="Text-part")).text == ""

    def test_a_date_that_is_missing_is_taken_from_the_newest_received_header(self) -> None:
        headers = {"Received": ["from a; Fri, 02 Jan 2026 03:04:05 +0200", "from b; Thu, 01 Jan 2026 00:00:00 +0000"]}
        expected = datetime(2026, 1, 2, 1, 4, 5, tzinfo=UTC)
        for date in ({}, {"Date": ""}, {"Date": "yesterday"}):
            assert parse_inbound(minimal(Headers=headers, **date)).received_at == expected
        assert parse_inbound(minimal()).received_at is None

    @pytest.mark.parametrize(
        ("given_score", "score"), [("5", 5.0), (1.5, 1.5), ("", None), ("nan", None), (True, None)]
    )
    def test_spam_scores(self, given_score: object, score: float | None) -> None:
        assert parse_inbound(minimal(SpamAssassinScore=given_score)).spam_score == score

    def test_a_folded_header_with_its_line_breaks(self) -> None:
        mail = parse_inbound(minimal(Headers={"References": "<a@b>\r\n\t<c@d>\r\n <e@f>"}, Subject="a\r\n b"))
        assert mail.references == ("<a@b>", "<c@d>", "<e@f>")
        assert mail.subject == "a b"

    def test_a_header_cannot_smuggle_in_another_one(self) -> None:
        mail = parse_inbound(minimal(Headers={"X-Note": "a\nBcc: eve@example.com", "Bad name\nBcc": "eve@example.com"}))
        assert mail.message["Bcc"] is None
        assert b"\nBcc:" not in mail.message.as_bytes()

    def test_headers_too_long_to_be_parsed_are_set_aside(self) -> None:
        to = ", ".join(f"agent{n}@example.com" for n in range(1000))
        mail = parse_inbound(minimal(Headers={"From": "é" * 5000, "To": to, "X-Note": "x" * 1000}))
        assert len(mail.to) == 1000
        assert mail.message["To"] is None
        assert mail.message["X-Unparsed-To"].startswith("agent0@example.com, ")
        assert mail.message["X-Note"] == "x" * 1000
        assert mail.header("To") == to

    def test_halves_of_surrogate_pairs(self) -> None:
        mail = parse_inbound('{"Recipient":"a@b","Subject":"\\ud800x","Text-part":"\\udfff","Headers":{"X":"\\ud800"}}')
        assert (mail.subject, mail.text) == ("?x", "?")
        well_formed(mail)

    def test_a_repetition_has_the_same_delivery_key(self) -> None:
        headers = {"Message-ID": "<a@b>"}
        first = parse_inbound(minimal(Headers=headers)).delivery_key
        assert parse_inbound(minimal(Headers=headers, Recipient=ADDRESS_A.upper())).delivery_key == first
        assert parse_inbound(minimal(Headers={"message-id": ["<a@b>"]})).delivery_key == first

    @pytest.mark.parametrize("message_id", ["<3klmo@mct.example>", "<>", ""])
    @pytest.mark.parametrize(
        "change",
        [
            {"Sender": "eve@example.com"},
            {"Subject": "2"},
            {"From": "eve@example.com"},
            {"Date": "20260102T000000", "Headers": {"Date": "Fri, 02 Jan 2026 00:00:00 +0000"}},
            {"Text-part": "other"},
            {"Attachment1": "eA=="},
            {"Recipient": "b@example.com"},
        ],
        ids=lambda change: "-".join(change),
    )
    def test_a_reused_message_id_does_not_hide_another_mail(self, message_id: str, change: dict[str, Any]) -> None:
        first = minimal(Headers={"Message-ID": message_id}, Subject="1", **{"Text-part": "one"})
        other = first | change | {"Headers": first["Headers"] | change.get("Headers", {})}
        assert parse_inbound(first).delivery_key != parse_inbound(other).delivery_key

    def test_a_sender_cannot_set_the_time_of_receipt(self) -> None:
        forged = {"Date": "Mon, 01 Jan 2035 00:00:00 +0000"}
        assert parse_inbound(minimal(Headers=forged, Date="20350101T000000")).received_at is None
        received = ["from a; Fri, 02 Jan 2026 03:04:05 +0000"]
        mail = parse_inbound(minimal(Headers=forged | {"Received": received}, Date="20350101T000000"))
        assert mail.received_at == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)

    @pytest.mark.parametrize(
        "headers",
        [
            {"X-Autoreply": "yes"},
            {"X-Autorespond": "out of office"},
            {"X-Auto-Response-Suppress": "All"},
            {"Precedence": "auto_reply"},
            {"List-Id": "<list.example.com>"},
            {"Content-Type": "Multipart/Report; report-type=delivery-status"},
            {"Auto-Submitted": ["no", "auto-replied"]},
        ],
        ids=lambda headers: next(iter(headers)),
    )
    def test_machines(self, headers: dict[str, Any]) -> None:
        assert parse_inbound(minimal(Headers=headers)).is_automatic

    @pytest.mark.parametrize("headers", [{"Auto-Submitted": "no"}, {"X-Autoreply": "no"}, {"Precedence": "normal"}])
    def test_people(self, headers: dict[str, Any]) -> None:
        assert not parse_inbound(minimal(Headers=headers)).is_automatic

    @pytest.mark.parametrize("charset", sorted({*(CODECS if FULL else ()), *CODECS.values(), *NO_ALIAS}))
    def test_a_body_of_any_codec_that_python_knows(self, charset: str) -> None:
        described = {"Headers": {"Content-Type": f"text/plain; charset={charset}"}, "ContentRef": "InlineAttachment1"}
        for content in (b"plain", b"\xff\xfe\\x", b"-" * 70, bytes(range(256))):
            mail = parse_inbound(minimal(Parts=[described], InlineAttachment1=base64.b64encode(content).decode()))
            assert mail.text is not None
            well_formed(mail)

    def test_without_a_message_id_the_content_decides(self) -> None:
        first = parse_inbound(minimal(**{"Text-part": "a"})).delivery_key
        assert parse_inbound(minimal(**{"Text-part": "a"})).delivery_key == first
        assert parse_inbound(minimal(**{"Text-part": "b"})).delivery_key != first


class TestWrongPayloads:
    @pytest.mark.parametrize(
        ("payload", "where"),
        [
            (b"", "body"),
            (b"{", "body"),
            (b"\xff", "body"),
            (b'{"Recipient": NaN}', "body"),
            (b"[" * 100_000, "body"),
            (b'{"a":' * (MAX_DEPTH + 1) + b"1" + b"}" * (MAX_DEPTH + 1), "body"),
            (b"[" + b"1," * MAX_STRUCTURE + b"1]", "body"),
            (b'"' + b'\\"' * 100_000, "body"),
            (b"1" * 5000, "body"),
            (b"[]", "payload"),
            (b'"x"', "payload"),
            (b"{}", "Recipient"),
            (minimal(Recipient=" "), "Recipient"),
            (minimal(Recipient=7), "Recipient"),
            (minimal(Sender=["a"]), "Sender"),
            (minimal(Headers=[]), "Headers"),
            (minimal(Headers={"From": 7}), "Headers"),
            (minimal(Headers={"From": ["a", None]}), "Headers"),
            (minimal(Parts={}), "Parts"),
            (minimal(Parts=["x"]), "Parts[0]"),
            (minimal(Parts=[{"Headers": "x"}]), "Parts[0].Headers"),
        ],
    )
    def test_the_place_is_named(self, payload: Any, where: str) -> None:
        with pytest.raises(PayloadError, match="expected") as caught:
            parse_inbound(payload)
        assert caught.value.where.startswith(where)

    def test_brackets_in_texts_do_not_count(self) -> None:
        assert decode_json(json.dumps({"a": '[{"\\' * 100_000})) == {"a": '[{"\\' * 100_000}


# --- ten thousand payloads ------------------------------------------------------------------------------------

NASTY_TEXTS = [
    *(
        "",
        " ",
        "\r\n",
        "\t",
        "\0",
        "é",
        "世界",
        "\ud800",
        "=?utf-8?q?=FF?=",
        "=?x?b?a?=",
        "<>",
        "<<a@b>>",
        "a@b",
        '"',
        "\\",
    ),
    *(
        "a, b, <c",
        "()(((",
        "@@@",
        ";;=;",
        "x" * 3000,
        "a\nBcc: e@x",
        "attachment; filename=",
        "text/plain; charset=zzz",
    ),
    *("multipart/mixed", "message/rfc822", "message/delivery-status", "image/png", "text/csv; charset=utf-16"),
    *(
        'inline; filename="../a\\b/../c"',
        "attachment; filename*=utf-8''%ff%00",
        "attachment; filename*0*=x''a; filename*1=b",
    ),
    *(
        "Fri, 99 Foo 2026 99:99:99 +9999",
        "20269999T999999",
        "Mon, 01 Jan 0001 00:00:00 +2359",
        "undisclosed-recipients:;",
    ),
    *(
        "group: a@b, c@d;",
        '"a" "b" <c@d>',
        "a <b@c> d",
        "[x]",
        "=?utf-8?b?" + "A" * 200 + "?=",
        "<a@b> <c",
        "\x85\u2028\x0b",
    ),
]
HEADER_NAMES = [
    *(
        "From",
        "TO",
        "cc",
        "Reply-To",
        "Subject",
        "Date",
        "Message-ID",
        "In-Reply-To",
        "References",
        "Received",
        "Sender",
    ),
    *(
        "Content-Type",
        "Content-Disposition",
        "Content-ID",
        "Content-Transfer-Encoding",
        "MIME-Version",
        "X-Any",
        "bad name",
    ),
    *("", "é", "DKIM-Signature", "Bcc", "Auto-Submitted", "Resent-From", "List-Id"),
]
TOP_KEYS = [
    *("Sender", "Recipient", "Date", "From", "Subject", "Headers", "Parts", "ContentRef", "Text-part", "Html-part"),
    *("Html-part2", "Attachment1", "Attachment2", "InlineAttachment1", "SpamAssassinScore", "CustomID", "Payload"),
]
REFERENCES = [
    "Text-part",
    "Html-part",
    "Html-part2",
    "Attachment1",
    "Attachment2",
    "InlineAttachment1",
    "Nothing",
    "",
    None,
]


class Vandal:
    """Makes a payload out of a recorded one by a few changes that a seed decides."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def text(self) -> str:
        return self.random.choice(NASTY_TEXTS)

    def anything(self) -> Any:
        kinds: list[Callable[[], Any]] = [
            self.text,
            lambda: [self.text() for _ in range(self.random.randrange(3))],
            lambda: self.random.choice([None, True, 0, -1.5, 10**30, [], {}, [[]], {"a": {}}]),
        ]
        return self.random.choice(kinds)()

    def headers(self) -> dict[str, Any]:
        return {
            self.random.choice(HEADER_NAMES): self.text() if self.random.random() < 0.9 else self.anything()
            for _ in range(self.random.randrange(6))
        }

    def part(self) -> Any:
        return {"Headers": self.headers(), "ContentRef": self.random.choice(REFERENCES)}

    def damage(self, payload: dict[str, Any]) -> None:
        match self.random.randrange(9):
            case 0:
                payload[self.random.choice(TOP_KEYS)] = self.anything()
            case 1:
                payload.pop(self.random.choice(TOP_KEYS), None)
            case 2 if isinstance(payload.get("Headers"), dict):
                payload["Headers"] |= self.headers()
            case 3 if isinstance(payload.get("Parts"), list):
                payload["Parts"] = [*payload["Parts"], self.part()]
            case 4 if payload.get("Parts") and isinstance(payload["Parts"], list):
                self.random.shuffle(parts := list(payload["Parts"]))
                payload["Parts"] = parts[: self.random.randrange(1, len(parts) + 1)]
            case 5:
                content = self.random.randbytes(self.random.randrange(60))
                payload[self.random.choice(["Attachment1", "InlineAttachment1"])] = base64.b64encode(content).decode()
            case 6:
                payload[self.random.choice(["Text-part", "Html-part", "Html-part2", "Subject", "From"])] = self.text()
            case _:
                payload["Headers"] = self.headers()


RECORDED = [load(file.stem) for file in sorted(PAYLOADS.glob("*.json"))]


@settings(max_examples=examples(10_000), deadline=None, database=None, suppress_health_check=list(HealthCheck))
@given(seed=st.integers(min_value=0, max_value=2**63))
@pytest.mark.slow
def test_ten_thousand_payloads_parse_or_fail_with_a_payload_error(seed: int) -> None:
    vandal = Vandal(seed)
    payload = dict(vandal.random.choice(RECORDED))
    for _ in range(vandal.random.randrange(1, 6)):
        vandal.damage(payload)
    try:
        mail = parse_inbound(payload)
    except PayloadError:
        return
    if seed % 16 == 0:  # writing and reading the whole message is the slow part
        well_formed(mail)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda children: st.lists(children, max_size=4) | st.dictionaries(st.text(max_size=8), children, max_size=4),
    max_leaves=12,
)


@settings(max_examples=examples(150), deadline=None)
@given(st.dictionaries(st.sampled_from(TOP_KEYS) | st.text(max_size=8), json_values, max_size=8))
def test_any_json_object_parses_or_fails_with_a_payload_error(payload: dict[str, Any]) -> None:
    try:
        mail = parse_inbound(payload)
    except PayloadError:
        return
    well_formed(mail)


@settings(max_examples=examples(500), deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_parse_or_fail_with_a_payload_error(body: bytes) -> None:
    with contextlib.suppress(PayloadError):
        parse_inbound(body)


@settings(max_examples=examples(200), deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=200), st.binary(max_size=300))
def test_text_and_bytes_come_through_exactly(text: str, content: bytes) -> None:
    payload = json.dumps(minimal(**{"Text-part": text, "Attachment1": base64.b64encode(content).decode()}))
    mail = parse_inbound(payload)
    # NUL is no text: PostgreSQL refuses it.
    assert mail.text == text.replace("\0", "\ufffd")
    assert mail.attachments[0].content == content
    assert content in [part.get_payload(decode=True) for part in mail.message.walk()]
