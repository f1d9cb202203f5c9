"""What a preview refuses, in words that name the way out."""

from __future__ import annotations

import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailboxes.guards import (
    RemovalLimit,
    inherited,
    moved,
    refusals,
    refuse_inheritance,
    refuse_moves,
    refuse_removal,
    removed,
)

LIMIT = RemovalLimit()


def book(agents: int, *, start: int = 0, domain: str = "agents.example") -> dict[str, str]:
    return {f"agent-{n:04}": f"ana.lopez.{n:03}.20250101120000@{domain}" for n in range(start, start + agents)}


def without(old: dict[str, str], agents: int) -> dict[str, str]:
    return dict(list(old.items())[agents:])


books = st.dictionaries(st.sampled_from("abcdefgh"), st.sampled_from([f"{n}@x.example" for n in range(9)]), max_size=8)


class TestRemoval:
    @pytest.mark.parametrize(
        ("before", "gone", "refused"),
        [
            (100, 0, False),
            (100, 30, False),
            (100, 31, True),
            (1000, 11, False),
            (20, 10, False),
            (20, 11, True),
            (10, 9, False),
            (10, 10, True),
            (1, 1, True),
            (0, 0, False),
        ],
    )
    def test_above_both_limits_or_everybody(self, before: int, gone: int, refused: bool) -> None:
        old = book(before)
        assert (refuse_removal(old, without(old, gone), limit=LIMIT, consent="") is not None) is refused

    def test_a_wholly_new_population_is_a_removal_of_everybody(self) -> None:
        assert refuse_removal(book(3), book(3, start=3), limit=LIMIT, consent="") is not None

    def test_the_sentence(self) -> None:
        old = book(1000)
        assert refuse_removal(old, without(old, 412), limit=LIMIT, consent="") == (
            "412 of 1,000 mailboxes would be removed (41 %, above the limit of 30 % and 10): agent-0000 "
            "(ana.lopez.000.20250101120000@agents.example), agent-0001 (ana.lopez.001.20250101120000@agents.example), "
            "agent-0002 (ana.lopez.002.20250101120000@agents.example) and 409 more; restore them in the population "
            "file, or, if they are to go, run `./mail pulumi config set --stack STACK allowMassRemoval '412 of 1000'`, which "
            "allows this removal alone."
        )

    def test_consent_names_this_very_removal(self) -> None:
        old = book(100)
        new = without(old, 50)
        assert refuse_removal(old, new, limit=LIMIT, consent="50 of 100") is None
        for other in ("49 of 100", "51 of 100", "50 of 101", "all of 100"):
            sentence = refuse_removal(old, new, limit=LIMIT, consent=other)
            assert sentence is not None
            assert f"(it is {other} now)" in sentence

    def test_consent_left_standing_does_not_let_the_other_half_go(self) -> None:
        old = book(100)
        half = without(old, 50)
        assert refuse_removal(old, half, limit=LIMIT, consent="50 of 100") is None
        assert refuse_removal(half, {}, limit=LIMIT, consent="50 of 100") is not None

    def test_everybody_needs_a_word_of_its_own(self) -> None:
        old = book(50)
        sentence = refuse_removal(old, {}, limit=LIMIT, consent="50 of 50")
        assert sentence is not None
        assert "allowMassRemoval 'all of 50'`" in sentence
        assert refuse_removal(old, {}, limit=LIMIT, consent="all of 50") is None
        assert refuse_removal(old, book(3, start=50), limit=LIMIT, consent="all of 50") is None
        # Where somebody stays, "all" was not meant.
        assert refuse_removal(old, without(old, 49), limit=LIMIT, consent="all of 50") is not None

    @given(
        consent=st.one_of(
            st.text(max_size=12), st.builds("{} of {}".format, st.integers(0, 60) | st.just("all"), st.integers(0, 60))
        ),
        before=st.integers(1, 60),
        kept=st.integers(0, 60),
    )
    def test_no_consent_holds_for_two_removals(self, consent: str, before: int, kept: int) -> None:
        """Whatever is left standing in the stack's file: after the removal that it allowed it allows none."""
        old, strict = book(before), RemovalLimit(percent=0, count=0)
        new = dict(list(old.items())[:kept])
        if len(new) == len(old) or refuse_removal(old, new, limit=strict, consent=consent) is not None:
            return
        for left in range(len(new)):
            assert refuse_removal(new, dict(list(new.items())[:left]), limit=strict, consent=consent) is not None

    def test_limits_can_be_set(self) -> None:
        old = book(100)
        strict = RemovalLimit(percent=0, count=0)
        assert refuse_removal(old, without(old, 1), limit=strict, consent="") is not None

    def test_a_first_book_is_never_refused(self) -> None:
        assert refusals({}, book(500), limit=LIMIT, allow_mass_removal="") == []


class TestMoves:
    def test_the_sentence_has_the_command_that_pins_the_old_address(self) -> None:
        old = book(3)
        new = {**old, "agent-0001": "ana.lopez.777.20250101120000@agents.example"}
        sentence = refuse_moves(old, new)
        assert sentence is not None
        assert sentence.startswith("1 of 3 mailboxes would get another address, of 0 allowed (agent-0001: ")
        assert sentence.endswith("\n  ./mail agents pin agent-0001=ana.lopez.001.20250101120000")

    def test_an_id_that_a_shell_would_split_is_quoted(self) -> None:
        sentence = refuse_moves({"it's me": "a.b@x.example"}, {"it's me": "c.d@x.example"})
        assert sentence is not None
        command = sentence.rpartition("\n")[2]
        assert shlex.split(command) == ["./mail", "agents", "pin", "it's me=a.b"]

    def test_many_moves_have_one_cause(self) -> None:
        old = book(1000)
        new = {agent: f"x{address}" for agent, address in old.items()}
        sentence = refuse_moves(old, new)
        assert sentence is not None
        assert "agents pin" not in sentence
        assert "only if a seed or a created_at was changed: restore that" in sentence

    def test_another_domain_has_its_own_way_out(self) -> None:
        sentence = refuse_moves(book(5), book(5, domain="other.example"))
        assert sentence is not None
        assert "set `domain` back to agents.example" in sentence
        assert "agents pin" not in sentence

    def test_no_switch_allows_a_move(self) -> None:
        assert refusals(book(2), book(2, domain="x.example"), limit=LIMIT, allow_mass_removal="all of 2")


class TestInheritance:
    def test_an_address_under_a_new_id(self) -> None:
        old = book(3)
        address = old["agent-0001"]
        new = {"agent-0000": old["agent-0000"], "agent-0002": old["agent-0002"], "renamed": address}
        sentence = refuse_inheritance(old, new)
        assert sentence is not None
        assert f"1 address would pass to a new agent id, of 0 allowed ({address} of agent-0001 to renamed)" in sentence


@given(old=books, new=books)
def test_what_is_not_refused_loses_nobody_an_address(old: dict[str, str], new: dict[str, str]) -> None:
    if refusals(old, new, limit=LIMIT, allow_mass_removal=""):
        return
    for agent in old.keys() & new.keys():
        assert old[agent] == new[agent]
    for agent in new.keys() - old.keys():
        assert new[agent] not in old.values()
    assert not old or old.keys() & new.keys()


@given(old=books)
def test_no_change_is_never_refused(old: dict[str, str]) -> None:
    assert refusals(old, dict(reversed(old.items())), limit=LIMIT, allow_mass_removal="") == []


@given(old=books, new=books)
def test_counts_add_up(old: dict[str, str], new: dict[str, str]) -> None:
    stay = {agent for agent in old if old.get(agent) == new.get(agent)}
    assert len(removed(old, new)) + len(moved(old, new)) + len(stay) == len(old)
    assert {heir for _, _, heir in inherited(old, new)} <= new.keys() - old.keys()
