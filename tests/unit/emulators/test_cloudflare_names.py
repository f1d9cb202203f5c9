"""How the API spells record names."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulators.cloudflare.names import MAX_NAME, NameInvalidError, canonical_host, canonical_name, within

ZONE = "agents.example"
LABEL = st.from_regex(r"[a-z0-9_]([a-z0-9_-]{0,20}[a-z0-9_])?", fullmatch=True)
NAMES = st.lists(LABEL, min_size=1, max_size=4).map(".".join)


@pytest.mark.parametrize(
    ("given_name", "expected"),
    [
        ("@", ZONE),
        ("", ZONE),
        ("agents.example", ZONE),
        ("AGENTS.Example.", ZONE),
        ("www", "www.agents.example"),
        ("www.agents.example", "www.agents.example"),
        ("www.agents.example.", "www.agents.example"),
        ("WWW", "www.agents.example"),
        ("mailjet._domainkey.dev", "mailjet._domainkey.dev.agents.example"),
        ("*", "*.agents.example"),
        ("*.dev", "*.dev.agents.example"),
        ("www.other.com", "www.other.com.agents.example"),
        ("notagents.example", "notagents.example.agents.example"),
        ("bücher", "xn--bcher-kva.agents.example"),
        ("BÜCHER.agents.example", "xn--bcher-kva.agents.example"),
        ("b\u00fccher\u3002dev", "xn--bcher-kva.dev.agents.example"),
    ],
)
def test_a_name_is_taken_into_the_zone(given_name: str, expected: str) -> None:
    assert canonical_name(given_name, ZONE) == expected


@pytest.mark.parametrize(
    "given_name",
    ["a..b", ".a", "a b", "-a", "a-", "a" * 64, ".".join(["a" * 60] * 5), "a\\.b", "ä" * 70, "foo*", "@.x"],
)
def test_what_is_no_name_is_refused(given_name: str) -> None:
    with pytest.raises(NameInvalidError, match="is not a DNS name"):
        canonical_name(given_name, ZONE)


@given(NAMES)
def test_taking_a_name_into_the_zone_again_changes_nothing(name: str) -> None:
    once = canonical_name(name, ZONE)
    assert within(once, ZONE)
    assert canonical_name(once, ZONE) == once
    assert canonical_name(once.upper() + ".", ZONE) == once


@given(st.text(max_size=80))
def test_any_text_is_a_canonical_name_or_refused(text: str) -> None:
    try:
        name = canonical_name(text, ZONE)
    except NameInvalidError:
        return
    assert name.isascii()
    assert name == name.lower()
    assert len(name) <= MAX_NAME
    assert canonical_host(name) == name
