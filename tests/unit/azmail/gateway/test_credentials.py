"""A credential belongs to one agent, one epoch, one scope, one domain and one root, and to nothing else."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from azmail.gateway.credentials import (
    AgentLogin,
    Directory,
    Password,
    RootError,
    Roots,
    Scope,
    authenticate,
    new_root,
)

ROOT = base64.urlsafe_b64encode(bytes(range(32))).rstrip(b"=").decode()
OTHER = base64.urlsafe_b64encode(bytes(range(1, 33))).rstrip(b"=").decode()
ROOTS = Roots({"r1": ROOT}, domain="agents.example")
ANA = AgentLogin("bot-1", "ana@agents.example")
BO = AgentLogin("bot-2", "bo@agents.example", epoch=3)
BOOK = Directory([ANA, BO])


def independent(agent_id: str, epoch: int, scope: str, root: bytes, domain: str) -> str:
    """The derivation written a second time, from its description."""

    def lp(text: str) -> bytes:
        return len(text.encode()).to_bytes(4, "big") + text.encode()

    prk = hmac.new(b"\0" * 32, root, hashlib.sha256).digest()
    key = hmac.new(prk, lp("azmail v1") + lp(domain) + lp(scope) + b"\x01", hashlib.sha256).digest()
    mac = hmac.new(key, lp(agent_id) + lp(str(epoch)), hashlib.sha256).digest()
    return base64.urlsafe_b64encode(mac).decode().rstrip("=")


def login(user: str, password: str, scope: Scope = Scope.SEND, roots: Roots = ROOTS) -> AgentLogin | None:
    return authenticate(BOOK, roots, user, password, scope)


class TestDerivation:
    @given(st.text(min_size=1), st.integers(0, 999_999_999), st.sampled_from(list(Scope)))
    def test_it_is_what_the_description_says(self, agent_id: str, epoch: int, scope: Scope) -> None:
        tag = independent(agent_id, epoch, scope.value, bytes(range(32)), "agents.example")
        assert ROOTS.password(agent_id, epoch, scope) == f"azm1.r1.{epoch}.{tag}"

    def test_the_vectors_of_the_documentation(self) -> None:
        page = (Path(__file__).parents[4] / "docs" / "gateway.md").read_text()
        vectors = re.findall(r"\| 00 01 … 1f \| (\S+) \| (\S+) \| (\S+) \| (\d+) \| `(\S+)` \|", page)
        assert len(vectors) == 3
        for domain, scope, agent_id, epoch, password in vectors:
            tag = independent(agent_id, int(epoch), scope, bytes(range(32)), domain)
            assert password == f"azm1.r1.{epoch}.{tag}" == ROOTS.password(agent_id, int(epoch), Scope(scope))

    def test_the_domain_counts_in_any_case_and_with_a_final_dot(self) -> None:
        assert Roots({"r1": ROOT}, domain="Agents.Example.").password("a") == ROOTS.password("a")

    @given(st.text(max_size=80))
    def test_any_text_parses_to_itself_or_not_at_all(self, text: str) -> None:
        parsed = Password.parse(text)
        assert parsed is None or str(parsed) == text


class TestLogin:
    @pytest.mark.parametrize("user", ["bot-1", "ana@agents.example", "ANA@Agents.Example"])
    def test_by_id_or_address(self, user: str) -> None:
        assert login(user, ROOTS.password("bot-1")) is ANA

    def test_ids_are_exact(self) -> None:
        assert login("BOT-1", ROOTS.password("bot-1")) is None

    @pytest.mark.parametrize(
        ("user", "password"),
        [
            ("bot-2", ROOTS.password("bot-1")),
            ("bot-1", ROOTS.password("bot-2", 3)),
            ("bot-2", ROOTS.password("bot-2", 2)),
            ("bot-1", ROOTS.password("bot-1", scope=Scope.INBOX)),
            ("bot-1", Roots({"r1": ROOT}, domain="other.example").password("bot-1")),
            ("bot-1", Roots({"r1": OTHER}, domain="agents.example").password("bot-1")),
            ("bot-1", Roots({"r2": ROOT}, domain="agents.example").password("bot-1")),
            ("bot-3", ROOTS.password("bot-3")),
            ("", ROOTS.password("")),
            ("bot-1", ROOTS.password("bot-1")[:-1]),
            ("bot-1", ROOTS.password("bot-1") + "="),
            ("bot-1", ROOTS.password("bot-1") + "\n"),
            ("bot-1", " " + ROOTS.password("bot-1")),
            ("bot-1", ROOTS.password("bot-1").swapcase()),
            ("bot-1", ROOTS.password("bot-1").replace("azm1", "azm2")),
            ("bot-1", ROOTS.password("bot-1").replace(".0.", ".00.")),
            ("bot-1", ""),
        ],
    )
    def test_nothing_else_opens(self, user: str, password: str) -> None:
        assert login(user, password) is None

    @given(st.integers(10, 52), st.sampled_from("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"))
    def test_no_character_may_differ(self, place: int, character: str) -> None:
        """Beyond the last: base64url of 32 octets leaves two bits of it unused, so only its canonical form is good."""
        good = ROOTS.password("bot-1")
        changed = good[:place] + character + good[place + 1 :]
        assert (login("bot-1", changed) is ANA) == (changed == good)

    def test_an_epoch_ahead_of_the_directory_is_good(self) -> None:
        """The population file has moved on, and this replica has not read it yet."""
        assert login("bot-1", ROOTS.password("bot-1", 1)) is ANA

    def test_both_roots_are_good_while_all_credentials_rotate(self) -> None:
        both = Roots({"r2": OTHER, "r1": ROOT}, domain="agents.example")
        assert both.password("bot-1").startswith("azm1.r2.")
        assert login("bot-1", ROOTS.password("bot-1"), roots=both) is ANA
        assert login("bot-1", both.password("bot-1"), roots=both) is ANA
        assert login("bot-1", both.password("bot-1")) is None


class TestRoots:
    @pytest.mark.parametrize(
        ("roots", "said"),
        [
            ({}, "there is no root secret"),
            ({"r1": "c2hvcnQ"}, "root secret r1 has 5 octets, expected at least 32"),
            ({"r1": "not base64!"}, "root secret r1 is no base64url"),
            ({"r1": "ü" * 50}, "root secret r1 is no base64url"),
            ({"R 1": ROOT}, "the key id of a root secret is 'R 1'"),
            ({"r1": ""}, "root secret r1 has 0 octets"),
        ],
    )
    def test_a_bad_one_is_refused_with_the_way_to_make_a_good_one_and_never_shown(
        self, roots: dict[str, str], said: str
    ) -> None:
        with pytest.raises(RootError, match=said) as refusal:
            Roots(roots, domain="agents.example")
        assert all(len(text) < 6 or text not in str(refusal.value) for text in roots.values())

    def test_a_new_one_is_good(self) -> None:
        assert Roots({"r1": new_root()}, domain="d.example").kids == {"r1"}

    def test_no_repr_shows_a_secret(self) -> None:
        password = ROOTS.password("bot-1")
        shown = repr((ROOTS, Password.parse(password)))
        assert ROOT not in shown
        assert password.rpartition(".")[2] not in shown
