"""What any sender can make the webhook take: memory is a small multiple of the body, for every body."""

import gc
import json
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from azmail import InvalidMailError, PayloadError, parse_events, parse_inbound
from azmail.mail import MailAddress
from azmail.smtp import dot_stuffed
from emulators.mailjet.mime import Raw, with_crlf
from tests.profiles import examples

SIZE = 200_000
MULTIPLE = 10
"""Of the body: itself, its text (four bytes a character where one is beyond U+FFFF), its values, one copy of the longest."""
ROOM = 4_000_000
"""Bytes, whatever the body's size: the structure is bounded, and so are header values that are parsed."""

UNITS = [
    '\\n', '\\r', '\\r\\n', '\\r\\n ', '\\"', '"', '\\\\', "\\", "\\u0000", "\\u2028", "\\ud800", "[", "{", "]", "}", ":", ",", "1", "9e",
    "é", "€", "\U0001f600x", " ", "\\t", " \\n", "A\\n", "AB\\n", "QUJD", "=", "<a>", "<a", "a@b.c,", "a@b.c <d@e.f>,", "=?x?q?a?= ",
    "=?utf-8?b?YQ==?=", "(", ")", ";a=b", ";a*0=b", "[a@b]", '"x":', '"",',
]  # fmt: skip
PLACES = [
    "", "Text-part", "Html-part2", "Subject", "From", "Sender", "Recipient", "Attachment1", "Date", "Payload", "SpamAssassinScore",
    "Headers.From", "Headers.To", "Headers.References", "Headers.Message-ID", "Headers.Date", "Headers.Content-Type",
    "Headers.Content-Disposition", "Headers.Received", "Headers.X-Any",
]  # fmt: skip


def body_of(place: str, value: str) -> bytes:
    if not place:
        text = value
    elif place.startswith("Headers."):
        text = (
            '{"Recipient": "a@b.c", "ContentRef": "Attachment1", "Attachment1": "QQ==", '
            f'"Headers": {{"{place.removeprefix("Headers.")}": "{value}"}}}}'
        )
    else:
        text = f'{{"Recipient": "a@b.c", "{place}": "{value}"}}'
    return text.encode("utf-8", "surrogatepass")


def peak(call: object, argument: object) -> int:
    assert callable(call)
    gc.collect()
    tracemalloc.start()
    try:
        call(argument)
    except PayloadError:
        pass  # refused, which is the best of answers
    finally:
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    return most


@pytest.mark.slow
@settings(max_examples=examples(40), deadline=None)
@given(
    units=st.lists(st.sampled_from(UNITS), min_size=1, max_size=3),
    place=st.sampled_from(PLACES),
    ending=st.sampled_from(["", "x", '"', "\\", "]"]),
)
def test_a_body_of_anything_repeated(units: list[str], place: str, ending: str) -> None:
    unit = "".join(units)
    body = body_of(place, unit * (SIZE // len(unit.encode("utf-8", "surrogatepass"))) + ending)
    assert peak(parse_inbound, body) < MULTIPLE * len(body) + ROOM
    assert peak(parse_events, body) < MULTIPLE * len(body) + ROOM


@pytest.mark.slow
@pytest.mark.parametrize("unit", ["\\n", '\\"', "\\\\", '"', "[", "1", '"",'])
def test_twelve_megabytes(unit: str) -> None:
    """The attack at full size, without the room that small bodies need."""
    body = body_of("Text-part", unit * (12_000_000 // len(unit)))
    assert peak(parse_inbound, body) < 5 * len(body)


@pytest.mark.slow
@pytest.mark.parametrize("line", [b"\n", b"\r", b"\r\n", b"\n.", b"a\n", b"a:\n"])
def test_lines_of_a_mail(line: bytes) -> None:
    message = line * (1_000_000 // len(line))
    assert peak(with_crlf, message) < 6 * len(message)
    assert peak(dot_stuffed, message) < 6 * len(message)
    assert peak(Raw.parse, message[:20_000]) < ROOM


@given(st.text(alphabet=' <>a@."\n', max_size=12))
def test_an_address_of_anything_is_split_or_refused(text: str) -> None:
    """With spaces that took an expression minutes."""
    try:
        parsed = MailAddress.parse(text + " " * 20_000)
    except InvalidMailError:
        return
    assert parsed.email in text


def test_what_json_means_stays_what_it_was() -> None:
    value = {"a": ["\\", '"', "\n", {"b": [1, 2.5, None, True]}], "é😀": "}]"}
    with pytest.raises(PayloadError, match="event"):
        parse_events(json.dumps([value]).encode())
