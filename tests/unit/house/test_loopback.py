"""Program, engine and emulators each say for themselves what this machine is, and say the same of every host."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulators.mailjet import deliveries
from engine.loopback import is_loopback
from zone.names import is_loopback_host

HERE = ["127.0.0.1", "127.1.2.3", "::1", "localhost", "api.localhost"]
ELSEWHERE = [
    "0.0.0.0",
    "192.0.2.1",
    "::",
    "2001:db8::1",
    "localhost.example",
    "127.0.0.1.example",
    "127.example",
    "notlocalhost",
    "api.mailjet.com",
]
labels = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,8}[a-z0-9])?", fullmatch=True)
hosts = st.one_of(
    st.ip_addresses(v=4).map(str),
    st.lists(st.sampled_from(["localhost", "127", "0", "1", "example"]) | labels, min_size=1, max_size=4).map(".".join),
)


def verdicts(host: str) -> set[bool]:
    shown = f"[{host}]" if ":" in host else host
    return {is_loopback_host(host), deliveries.is_loopback_host(host), is_loopback(f"http://{shown}:8811/x")}


@pytest.mark.parametrize("host", HERE)
def test_this_machine(host: str) -> None:
    assert verdicts(host) == {True}


@pytest.mark.parametrize("host", ELSEWHERE)
def test_any_other(host: str) -> None:
    assert verdicts(host) == {False}


@pytest.mark.parametrize(
    ("written", "host"), [("LOCALHOST", "localhost"), ("localhost.", "localhost"), ("[::1]", "::1")]
)
def test_spelling(written: str, host: str) -> None:
    assert is_loopback_host(written) is is_loopback_host(host) is True


@given(hosts)
def test_all_agree(host: str) -> None:
    assert len(verdicts(host)) == 1
