"""An exported state read in clear."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from commands.state_values import in_clear, outputs

SECRET = {"4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270"}

plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
)


def hidden(value: Any) -> dict[str, str]:
    return {**SECRET, "plaintext": json.dumps(value)}


@given(plain, plain)
def test_secrets_at_any_depth(first: Any, second: Any) -> None:
    assert in_clear(hidden(first)) == first
    assert in_clear([{"a": hidden(first), "b": [second]}]) == [{"a": first, "b": [second]}]
    assert in_clear(hidden([hidden(first), second])) == [first, second]


def test_what_is_no_secret_stays() -> None:
    other = {"plaintext": '"x"'}
    encrypted = {**SECRET, "ciphertext": "v1:abc"}
    assert in_clear(other) == other
    assert in_clear(encrypted) == encrypted


def test_outputs_are_those_of_the_stack() -> None:
    stack = {"type": "pulumi:pulumi:Stack", "outputs": {"token": hidden("t"), "agents": 3}}
    other = {"type": "azt3knet:mail:ApiTunnel", "outputs": {"token": "another"}}
    assert outputs({"deployment": {"resources": [other, stack]}}) == {"token": "t", "agents": 3}


def test_a_stack_before_its_first_up_has_none() -> None:
    assert outputs({"deployment": {}}) == outputs({"deployment": None}) == {}
    assert outputs({"deployment": {"resources": [{"type": "pulumi:pulumi:Stack"}]}}) == {}
