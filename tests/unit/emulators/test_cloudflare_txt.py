"""Quoting of TXT content and the strings on the wire."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulators.cloudflare.txt import MAX_STRING, TxtInvalidError, is_quoted, quoted, stored, strings_of

STRINGS = st.lists(st.binary(max_size=MAX_STRING), min_size=1, max_size=5).map(tuple)
UNQUOTED = st.text(alphabet=st.characters(exclude_categories=["Cs"], exclude_characters="\r\n\0"), min_size=1).filter(
    lambda text: not is_quoted(text)
)


@given(STRINGS)
def test_quoting_round_trips(strings: tuple[bytes, ...]) -> None:
    assert strings_of(quoted(strings)) == strings


@given(STRINGS)
def test_quoted_strings_are_stored_byte_for_byte(strings: tuple[bytes, ...]) -> None:
    assert stored(quoted(strings)) == quoted(strings)


@given(UNQUOTED)
def test_unquoted_text_is_stored_as_given_and_published_literally(text: str) -> None:
    assert stored(text) == text
    strings = strings_of(text)
    assert b"".join(strings) == text.encode()
    assert all(len(string) <= MAX_STRING for string in strings)


@given(st.binary(min_size=256, max_size=1500))
def test_a_long_quoted_string_comes_back_cut(value: bytes) -> None:
    content = stored(quoted([value]))
    strings = strings_of(content)
    assert [len(string) for string in strings[:-1]] == [MAX_STRING] * (len(strings) - 1)
    assert b"".join(strings) == value
    assert stored(content) == content


def test_escapes() -> None:
    assert strings_of(r'"a\"b" "c\\d" "\101\255"') == (b'a"b', rb"c\d", b"e\xff")
    assert strings_of('""') == (b"",)
    assert strings_of('"a""b"') == (b"a", b"b")
    assert strings_of('"übung"') == ("übung".encode(),)


@pytest.mark.parametrize("content", ['"open', '"a" b', '"a\\', '"\\999"', "a\nb", '"a\r"', "\0"])
def test_what_does_not_parse_is_refused(content: str) -> None:
    with pytest.raises(TxtInvalidError):
        strings_of(content)
