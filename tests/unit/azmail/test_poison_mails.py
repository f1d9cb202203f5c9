"""Mails that break readers: each can be read and written, and what is out of bounds is kept and told."""

import base64
from email import message_from_bytes
from email.policy import default
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from azmail import InboundMail, parse_inbound
from azmail.encoded_words import decode_words
from tests.profiles import examples
from tests.unit.azmail.conftest import ADDRESS_A

BROKEN = "=?utf-8?Q?Gr=FC=DFe_aus_K=C3=B6ln_und_noch_viel_mehr_Text_hier_drin?="
CHARSETS = ["utf-8", "gb2312", "iso-8859-1", "shift_jis", "utf-7", "idna", "hex", "nonsense", "utf-8*en", "\x80"]


def parsed(**values: Any) -> InboundMail:
    return parse_inbound({"Sender": "a@b.example", "Recipient": ADDRESS_A, "Headers": {}, "Parts": []} | values)


def words() -> st.SearchStrategy[str]:
    content = st.text(st.sampled_from("=_ABCFabf0123+/ é"), max_size=120)
    word = st.tuples(st.sampled_from(CHARSETS), st.sampled_from("bBqQ"), content)
    return st.lists(word.map(lambda parts: "=?{}?{}?{}?=".format(*parts)) | st.text(max_size=20)).map(" ".join)


def nested(depth: int) -> bytes:
    return b"Content-Type: message/rfc822\r\n\r\n" * depth + b"Subject: inmost\r\n\r\nhello\r\n"


@pytest.mark.parametrize("name", ["Subject", "From", "To", "X-Note", "Content-Description", "References"])
def test_a_long_broken_word_can_be_written(name: str) -> None:
    mail = parsed(Headers={name: BROKEN})
    message_from_bytes(mail.message.as_bytes(), policy=default).as_bytes()
    assert mail.header(name) == BROKEN


@settings(max_examples=examples(200), deadline=None, database=None)
@given(words(), st.sampled_from(["Subject", "From", "To", "X-Note", "Message-ID", "Date"]))
def test_any_header_can_be_read_and_written(value: str, name: str) -> None:
    mail = parsed(Headers={name: value})
    mail.message.as_bytes()
    assert mail.subject.isascii() or mail.subject.encode()


@pytest.mark.parametrize(("depth", "whole"), [(3, True), (1_000, False), (20_000, False)])
def test_nested_messages(depth: int, whole: bool) -> None:
    content = nested(depth)
    part = {"ContentRef": "Attachment1", "Headers": {"Content-Type": "message/rfc822"}}
    mail = parsed(Parts=[part], Attachment1=base64.b64encode(content).decode())
    assert mail.attachments[0].content == content
    assert (mail.defects == ()) is whole
    assert b"inmost" in mail.message.as_bytes() or content in [p.get_payload(decode=True) for p in mail.message.walk()]


@pytest.mark.slow
def test_ten_thousand_attachments() -> None:
    mail = parsed(**{f"Attachment{number}": "YQ==" for number in range(1, 10_001)})
    assert len(mail.attachments) == 10_000
    assert len(list(mail.message.iter_attachments())) == 1_000
    assert "10000 attachments" in mail.defects[0]


def test_nothing_is_lost_silently() -> None:
    unknown = parsed(Parts=[{"ContentRef": "Calendar-part"}], **{"Calendar-part": "BEGIN", "Text-part": "hi\0"})
    assert unknown.text == "hi\ufffd"
    assert "'Calendar-part'" in unknown.defects[0]
    assert unknown.payload["Calendar-part"] == "BEGIN"
    assert parsed(Attachment1="YQ").attachments[0].content == b"a"
    broken = parsed(Attachment1="no base64!")
    assert broken.attachments[0].content == b"no base64!"
    assert "'attachment1'" in broken.defects[0]


@pytest.mark.parametrize(
    ("odd", "told"),
    [
        ({"Parts": [{"ContentRef": "Attachment7"}]}, "Parts[0].ContentRef: found nothing at 'Attachment7'"),
        ({"Parts": [{}, {"ContentRef": "InlineAttachment1"}]}, "Parts[1].ContentRef: found nothing"),
        ({"ContentRef": "Attachment1"}, "ContentRef: found nothing"),
        ({"Attachment1": ["YQ=="]}, "attachment1: found a list"),
        ({"Attachment1": None, "Parts": [{"ContentRef": "Attachment1"}]}, "Parts[0].ContentRef: found nothing"),
        ({"Html-part": {"a": 1}}, "html-part: found an object"),
        ({"Parts": [{"ContentRef": 5}]}, "Parts[0].ContentRef: found a number"),
        ({"Parts": [{"ContentRef": ["Text-part"]}]}, "Parts[0].ContentRef: found a list"),
    ],
)
def test_a_part_that_is_missing_costs_itself_alone(odd: dict[str, Any], told: str) -> None:
    mail = parsed(**{"Text-part": "hi", "Attachment2": "YQ==", **odd})
    assert (mail.text, [file.content for file in mail.attachments]) == ("hi", [b"a"])
    assert len(mail.defects) == 1
    assert mail.defects[0].startswith(told)
    assert "payload" in mail.defects[0]
    assert b"hi" in mail.message.as_bytes()


@pytest.mark.parametrize(("name", "end"), [("a" * 300 + ".pdf", "a.pdf"), ("ü" * 300, "ü"), ("." + "b" * 300, "b")])
def test_a_long_name_keeps_its_extension(name: str, end: str) -> None:
    part = {"ContentRef": "Attachment1", "Headers": {"Content-Disposition": f'attachment; filename="{name}"'}}
    found = parsed(Parts=[part], Attachment1="YQ==").attachments[0].filename
    assert len(found) == 255
    assert found.endswith(end)


@pytest.mark.parametrize(
    ("sent", "read"),
    [
        ("=?gb2312?b?" + base64.b64encode("镕基".encode("gbk")).decode() + "?=", "镕基"),
        ("=?iso-8859-1?q?=93a=94_=80?=", "“a” €"),
        ("=?nonsense?q?x?= =?utf-8?q?=C3=A9?=", "=?nonsense?q?x?= é"),
        ("=?utf-8?q?=C3?= =?utf-8?q?=A9?=", "é"),
        ("=?utf-8?q?a=FF?= b", "a\ufffd b"),
        ("=?utf-8?b?w6k?=", "é"),
        ("=?utf-8?q?a?= =?iso-8859-1?q?=E9?=", "aé"),
        ("=?utf-8?q?=3D=3Futf-8=3Fq=3FA=3F=3D?=", "=?utf-8?q?A?="),
    ],
)
def test_words_are_read_one_by_one(sent: str, read: str) -> None:
    assert decode_words(sent) == read
    assert parsed(Subject="whatever Mailjet made of it", Headers={"Subject": sent}).subject == read


LITERAL = "=?utf-8?q?A?="
NARROW = "=?gb2312?b?" + base64.b64encode("镕基".encode("gbk")).decode() + "?="


@pytest.mark.parametrize(
    ("top", "sent", "read"),
    [
        (LITERAL, "=?utf-8?q?=3D=3Futf-8=3Fq=3FA=3F=3D?=", LITERAL),
        (LITERAL, LITERAL, LITERAL),
        (f"Re: {LITERAL}  b", f"Re: {LITERAL} b", f"Re: {LITERAL} b"),
        (f"{LITERAL} =?utf-8?b?w6k=?=", f"{LITERAL} =?utf-8?b?w6k=?=", f"{LITERAL} =?utf-8?b?w6k=?="),
        ("=?utf-8?q?=C3?= =?utf-8?q?=A9?=", "=?utf-8?q?=C3?= =?utf-8?q?=A9?=", "=?utf-8?q?=C3?= =?utf-8?q?=A9?="),
        (NARROW, NARROW, "镕基"),  # no strict decoder reads it: Mailjet has left it as it was sent
        (f"=?nonsense?q?x?= {LITERAL}", f"=?nonsense?q?x?= {LITERAL}", "=?nonsense?q?x?= A"),
        ("=?utf-8?b?w6k?=", "=?utf-8?b?w6k?=", "é"),
        ("Größe", "=?utf-8?q?Gr=C3=B6=C3=9Fe?=", "Größe"),
    ],
)
def test_what_arrives_decoded_is_not_decoded_again(top: str, sent: str, read: str) -> None:
    assert parsed(Subject=top, Headers={"Subject": sent}).subject == read
    author = parsed(From=f"{top} <a@b.example>", Headers={"From": f"{sent} <a@b.example>"}).from_address
    assert author is not None
    assert author.name == read
    # What the top tells of one header holds for those that are not repeated there.
    mail = parsed(Subject=top, Headers={"Subject": sent, "To": f"{sent} <a@b.example>"})
    assert mail.to[0].name == read


def test_a_header_alone_is_as_it_was_sent() -> None:
    assert parsed(Headers={"Subject": LITERAL, "Cc": f"{LITERAL} <a@b.example>"}).cc[0].name == "A"
    assert parsed(Subject=LITERAL).subject == LITERAL
