"""What a preview refuses, in words that name the way out."""

from __future__ import annotations

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
        assert (refuse_removal(old, without(old, gone), limit=LIMIT, allowed=0) is not None) is refused

    def test_a_wholly_new_population_is_a_removal_of_everybody(self) -> None:
        assert refuse_removal(book(3), book(3, start=3), limit=LIMIT, allowed=0) is not None

    def test_the_sentence(self) -> None:
        old = book(1000)
        assert refuse_removal(old, without(old, 412), limit=LIMIT, allowed=0) == (
            "412 of 1,000 mailboxes would be removed (41 %, above the limit of 30 % and 10): agent-0000 "
            "(ana.lopez.000.20250101120000@agents.example), agent-0001 (ana.lopez.001.20250101120000@agents.example), "
            "agent-0002 (ana.lopez.002.20250101120000@agents.example), and 409 more; restore them in the population "
            "file, or, if they are to go, run `pulumi config set allowMassRemoval 412`, which allows exactly this "
            "number."
        )

    def test_the_switch_takes_the_exact_count(self) -> None:
        old = book(100)
        new = without(old, 50)
        assert refuse_removal(old, new, limit=LIMIT, allowed=50) is None
        for left_on in (49, 51, 100):
            sentence = refuse_removal(old, new, limit=LIMIT, allowed=left_on)
            assert sentence is not None
            assert f"(it is {left_on} now)" in sentence

    def test_limits_can_be_set(self) -> None:
        old = book(100)
        strict = RemovalLimit(percent=0, count=0)
        assert refuse_removal(old, without(old, 1), limit=strict, allowed=0) is not None

    def test_a_first_book_is_never_refused(self) -> None:
        assert refusals({}, book(500), limit=LIMIT, allow_mass_removal=None) == []


class TestMoves:
    def test_the_sentence_pins_the_old_address(self) -> None:
        old = book(3)
        new = {**old, "agent-0001": "ana.lopez.777.20250101120000@agents.example"}
        sentence = refuse_moves(old, new)
        assert sentence is not None
        assert sentence.startswith("1 of 3 mailboxes would get another address, of 0 allowed (agent-0001: ")
        assert sentence.endswith("\n  - id: agent-0001\n    local_part: ana.lopez.001.20250101120000")

    def test_many_moves_print_some_pins_and_the_cause(self) -> None:
        old = book(1000)
        new = {agent: f"x{address}" for agent, address in old.items()}
        sentence = refuse_moves(old, new)
        assert sentence is not None
        assert sentence.count("local_part:") == 20
        assert "980 more" in sentence
        assert "seed" in sentence

    def test_another_domain_has_its_own_way_out(self) -> None:
        sentence = refuse_moves(book(5), book(5, domain="other.example"))
        assert sentence is not None
        assert "set `domain` back to agents.example" in sentence
        assert "local_part:" not in sentence

    def test_no_switch_allows_a_move(self) -> None:
        assert refusals(book(2), book(2, domain="x.example"), limit=LIMIT, allow_mass_removal=2)


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
    if refusals(old, new, limit=LIMIT, allow_mass_removal=None):
        return
    for agent in old.keys() & new.keys():
        assert old[agent] == new[agent]
    for agent in new.keys() - old.keys():
        assert new[agent] not in old.values()
    assert not old or old.keys() & new.keys()


@given(old=books)
def test_no_change_is_never_refused(old: dict[str, str]) -> None:
    assert refusals(old, dict(reversed(old.items())), limit=LIMIT, allow_mass_removal=None) == []


@given(old=books, new=books)
def test_counts_add_up(old: dict[str, str], new: dict[str, str]) -> None:
    stay = {agent for agent in old if old.get(agent) == new.get(agent)}
    assert len(removed(old, new)) + len(moved(old, new)) + len(stay) == len(old)
    assert {heir for _, _, heir in inherited(old, new)} <= new.keys() - old.keys()
