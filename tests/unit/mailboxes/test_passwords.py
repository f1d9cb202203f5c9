"""The program derives what the gateway checks: the documentation's vectors, the library's own reading, and bad roots."""

import base64
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from azmail.gateway.credentials import AgentLogin, Directory, Roots, Scope, authenticate
from mailboxes.passwords import RootSecretError, agent_passwords, parse_roots, render_roots, with_new_root
from tests.profiles import examples

ROOT = Path(__file__).parents[3]
OCTETS = base64.urlsafe_b64encode(bytes(range(32))).rstrip(b"=").decode()


class TestVectors:
    def test_those_of_the_documentation(self) -> None:
        page = (ROOT / "docs/gateway.md").read_text()
        vectors = re.findall(r"\| 00 01 … 1f \| (\S+) \| send \| (\S+) \| (\d+) \| `(\S+)` \|", page)
        assert len(vectors) >= 2
        for domain, agent_id, epoch, password in vectors:
            assert agent_passwords({"r1": OCTETS}, domain, {agent_id: int(epoch)}) == {agent_id: password}

    @settings(max_examples=examples(60))
    @given(
        st.binary(min_size=32, max_size=70),
        st.sampled_from(["r1", "x", "0123456789abcdef"]),
        st.from_regex(r"[A-Za-z]{1,9}\.example\.?", fullmatch=True),
        st.dictionaries(st.text(min_size=1, max_size=40), st.integers(0, 999_999_999), min_size=1, max_size=4),
    )
    def test_the_gateway_takes_every_one_for_its_agent_alone(
        self, octets: bytes, kid: str, domain: str, epochs: dict[str, int]
    ) -> None:
        roots = {kid: base64.urlsafe_b64encode(octets).rstrip(b"=").decode()}
        directory = Directory(
            AgentLogin(agent, f"{n}@{domain}", epoch) for n, (agent, epoch) in enumerate(epochs.items())
        )
        checks = Roots(roots, domain=domain)
        made = agent_passwords(roots, domain, epochs)
        assert made.keys() == epochs.keys()
        for agent, password in made.items():
            assert checks.password(agent, epochs[agent]) == password
            for other in epochs:
                found = authenticate(directory, checks, other, password, Scope.SEND)
                assert (found is not None) == (other == agent)
            assert authenticate(directory, checks, agent, password, Scope.INBOX) is None


class TestRoots:
    def test_there_and_back(self) -> None:
        roots = {"r2": "b" * 43, "r1": "a" * 43}
        assert parse_roots(render_roots(roots)) == roots
        assert list(parse_roots(f" r2:{'b' * 43} , r1:{'a' * 43} ")) == ["r2", "r1"]

    def test_a_new_one_comes_first_and_the_one_before_stays(self) -> None:
        first = with_new_root({})
        assert list(first) == ["r1"]
        second = with_new_root(first)
        assert list(second) == ["r2", "r1"]
        assert second["r1"] == first["r1"]
        third = with_new_root(second)
        assert list(third) == ["r3", "r2"]
        assert len(set(third.values()) | {first["r1"]}) == 3
        assert parse_roots(render_roots(third)) == third

    @pytest.mark.parametrize(
        ("text", "problem"),
        [
            ("", "expected r1:SECRET"),
            (OCTETS, "expected r1:SECRET"),
            ("R1:" + OCTETS, "expected r1:SECRET"),
            ("r1:", "of 0 octets; expected at least 32"),
            ("r1:" + OCTETS[:-3], "of 30 octets; expected at least 32"),
            ("r1:" + OCTETS[:-1] + "!", "no base64url"),
            (f"r1:{OCTETS},r1:{OCTETS}", "key id r1 twice"),
            (f"r1:{OCTETS},r2:{OCTETS},r3:{OCTETS}", "holds 3 root secrets"),
        ],
    )
    def test_what_cannot_be_used_says_why_and_shows_nothing(self, text: str, problem: str) -> None:
        with pytest.raises(RootSecretError, match=re.escape(problem)) as caught:
            parse_roots(text)
        assert OCTETS[:10] not in str(caught.value)
