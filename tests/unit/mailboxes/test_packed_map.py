"""Maps of addresses as the state holds them."""

from __future__ import annotations

import base64
import json
import uuid
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailboxes.address_map import parse_address_map, recorded_address_map
from mailboxes.errors import InvalidAddressMapError
from mailboxes.packed_map import NotPackedError, packed, packed_list, unpacked, unpacked_list

maps = st.dictionaries(st.text(max_size=40), st.text(max_size=60), max_size=30)


@given(maps)
def test_a_map_comes_back_whole_and_sorted(addresses: dict[str, str]) -> None:
    assert list(unpacked(packed(addresses)).items()) == sorted(addresses.items())
    assert recorded_address_map(packed(addresses)) == addresses


@given(st.lists(st.text(max_size=60)))
def test_a_list_comes_back_in_its_order(entries: list[str]) -> None:
    assert unpacked_list(packed_list(entries)) == entries


@given(maps)
def test_the_order_of_the_map_makes_no_difference(addresses: dict[str, str]) -> None:
    assert packed(dict(reversed(addresses.items()))) == packed(addresses)


@given(st.text())
def test_any_other_text_is_refused(text: str) -> None:
    with pytest.raises(NotPackedError):
        unpacked(text)


@pytest.mark.parametrize("value", [3, {}, [], [[]], [["a"], []], [["a"], "b"], [1, 2], [["a"], ["b"], ["c"]]])
def test_packed_values_of_another_shape_are_refused(value: object) -> None:
    text = base64.b64encode(zlib.compress(json.dumps(value).encode())).decode()
    with pytest.raises(NotPackedError):
        unpacked(text)


def test_a_check_reads_either_form_and_validates_both() -> None:
    book = {"agent-1": "ada.lovelace.123.20241005123045@agents.example"}
    assert parse_address_map(packed(book)) == parse_address_map(json.dumps(book)) == book
    with pytest.raises(InvalidAddressMapError, match="no mail address for agent agent-1"):
        parse_address_map(packed({"agent-1": "nowhere"}))


def test_ids_and_addresses_take_less_than_half_of_their_json() -> None:
    book = {
        str(uuid.uuid5(uuid.NAMESPACE_URL, str(n))): f"agent.{n:05d}.{n % 1000:03d}.20241005123045@dev.agents.example"
        for n in range(1000)
    }
    assert len(packed(book)) < 0.45 * len(json.dumps(book))
