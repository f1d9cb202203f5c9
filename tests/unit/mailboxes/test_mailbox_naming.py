"""The naming rule. The golden values are live mailboxes: if one changes, people are renamed."""

from __future__ import annotations

import itertools
import os
import re
import subprocess
import sys
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailboxes.naming import (
    CHOICES,
    LocalPartError,
    NamingError,
    NamingInput,
    UnusableNameError,
    assign_local_parts,
    bumped,
    check_local_part,
    digits_in_order,
    first_choice,
    legacy_local_part,
    name_segments,
)

SECOND = "20241005123045"
SHAPE = re.compile(r"[a-z0-9]{1,16}\.[a-z0-9]{1,16}\.[0-9]{3}\.[0-9]{14}")
ROOT = Path(__file__).parents[3]

seeds = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=8)
agent_ids = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=8)
# Few names and seconds, so that groups form; many scripts, so that transliteration works.
crowd_names = st.sampled_from(["Maria Nunez", "María Núñez", "Ma Ria Nunez", "王 小明", "Glyph", ""])
seconds = st.sampled_from([SECOND, "20241005123046"])


@st.composite
def crowds(draw: st.DrawFn, max_size: int = 40) -> list[NamingInput]:
    ids = draw(st.lists(agent_ids, unique=True, max_size=max_size))
    return [
        NamingInput(
            agent_id=agent_id,
            seed=draw(st.sampled_from(["a", "b"])),
            name=draw(crowd_names),
            username_hint="hint",
            created_at=draw(seconds),
        )
        for agent_id in ids
    ]


def crowd_of(count: int, prefix: str = "agent") -> list[NamingInput]:
    """Agents who share name and second."""
    return [
        NamingInput(agent_id=f"{prefix}-{number:05}", seed="crowd", name="Maria Nunez", created_at=SECOND)
        for number in range(count)
    ]


TAKEN = {f"maria.nunez.{digits:03}.{SECOND}": "earlier" for digits in range(975)}
"""All but 25 of the local parts of one name and second, so that a few agents are enough for a scramble."""


@st.composite
def scrambles(draw: st.DrawFn) -> list[NamingInput]:
    ids = draw(st.lists(st.integers(0, 10**6), unique=True, max_size=25))
    return [NamingInput(agent_id=f"{number:x}", seed="s", name="Maria Nunez", created_at=SECOND) for number in ids]


class TestGoldenValues:
    @pytest.mark.parametrize(
        ("name", "username_hint", "segments"),
        [
            ("Vector Aurora", "vector_aurora_mexico6939", ("vector", "aurora")),
            ("María José Núñez", "", ("maria", "nunez")),
            ("O'Neil Smith-Jones", "", ("oneil", "smithjones")),
            ("Madonna", "Performer42", ("madonna", "performer42")),
            ("", "Performer42", ("performer42", "performer42")),
            ("- – —", "hint_9", ("hint9", "hint9")),
            ("\u200b\u200d", "hint", ("hint", "hint")),
            ("007 42", "", ("007", "42")),
            ("Agent 0042", "", ("agent", "0042")),
            ("No", "Null", ("no", "null")),
            ("Ana\u00a0Sol\u3000Rey", "", ("ana", "rey")),
            ("Wolfeschlegelsteinhausen Bergerdorff", "", ("wolfeschlegelste", "bergerdorff")),
            ("Ægir Þórsson", "", ("aegir", "thorsson")),
            ("Straße Weiß", "", ("strasse", "weiss")),
            ("İbrahim IŞIK", "", ("ibrahim", "isik")),
            ("Αλέξανδρος Παπαδόπουλος", "", ("alexandros", "papadopoylos")),
            ("Иван Петрович Сидоров", "", ("ivan", "sidorov")),
            ("王小明", "xiaoming_1", ("wangxiaoming", "xiaoming1")),
            ("王 小明", "", ("wang", "xiaoming")),
            ("محمد علي", "", ("mhmd", "ly")),
            ("한글 이름", "", ("hangeul", "ileum")),
            ("नरेन्द्र मोदी", "", ("nrendr", "modi")),
            ("がく さくら", "", ("gaku", "sakura")),
            ("😀 😎", "", ("grinning", "sunglasses")),
            ("\u0301\u0308", "combining", ("combining", "combining")),
            ("½ ﬁ", "", ("12", "fi")),
            ("x", "Æ_é 王", ("x", "aeewang")),
        ],
    )
    def test_names(self, name: str, username_hint: str, segments: tuple[str, str]) -> None:
        assert name_segments(name, username_hint) == segments

    @pytest.mark.parametrize(
        ("seed", "agent_id", "order"),
        [
            ("20241005", "538605c0-4728-53d9-b533-76e2b3da240c", [164, 17, 870, 723]),
            ("madrid-100", "447ceb38-2be4-5501-8a98-f6ca15bb0edb", [694, 643, 592, 541]),
            ("s", "a1", [237, 898, 559, 220]),
            ("", "a1", [261, 894, 527, 160]),
            ("ñ", "é", [339, 186, 33, 880]),
        ],
    )
    def test_digits(self, seed: str, agent_id: str, order: list[int]) -> None:
        assert list(itertools.islice(digits_in_order(seed, agent_id), 4)) == order

    def test_local_part(self) -> None:
        entry = NamingInput(
            agent_id="538605c0-4728-53d9-b533-76e2b3da240c", seed="20241005", name="Vector Aurora", created_at=SECOND
        )

        assert first_choice(entry) == "vector.aurora.164.20241005123045"

    def test_crowd(self) -> None:
        """Who is bumped, and where to, is as frozen as a first choice."""
        assigned = assign_local_parts(crowd_of(100))

        assert bumped(crowd_of(100), assigned) == {
            "agent-00078": "maria.nunez.428.20241005123045",
            "agent-00080": "maria.nunez.610.20241005123045",
            "agent-00088": "maria.nunez.465.20241005123045",
            "agent-00090": "maria.nunez.773.20241005123045",
            "agent-00098": "maria.nunez.306.20241005123045",
            "agent-00099": "maria.nunez.746.20241005123045",
        }


class TestNames:
    @given(name=st.text(max_size=40))
    def test_both_unicode_spellings_agree(self, name: str) -> None:
        composed, decomposed = (unicodedata.normalize(form, name) for form in ("NFC", "NFD"))

        assert name_segments(composed, "hint") == name_segments(decomposed, "hint")

    @pytest.mark.parametrize(("name", "username_hint"), [("", ""), ("Madonna", ""), ("...", "___"), ("\u200b", " ")])
    def test_too_little_for_an_address(self, name: str, username_hint: str) -> None:
        with pytest.raises(UnusableNameError, match="give the agent a first and a last name"):
            name_segments(name, username_hint)

    @given(name=st.text(max_size=60), username_hint=st.text(max_size=60))
    def test_every_address_has_the_shape(self, name: str, username_hint: str) -> None:
        entry = NamingInput(agent_id="a1", seed="s", name=name, username_hint=username_hint + "x", created_at=SECOND)

        local_part = first_choice(entry)

        assert SHAPE.fullmatch(local_part)
        assert check_local_part(local_part) == local_part


class TestDigits:
    @given(seed=seeds, agent_id=agent_ids)
    def test_every_agent_has_a_permutation(self, seed: str, agent_id: str) -> None:
        assert sorted(digits_in_order(seed, agent_id)) == list(range(CHOICES))

    def test_seed_and_id_do_not_run_together(self) -> None:
        assert list(digits_in_order("ab", "c")) != list(digits_in_order("a", "bc"))

    def test_the_seed_decides(self) -> None:
        assert next(digits_in_order("one", "a1")) != next(digits_in_order("two", "a1"))


class TestAssignment:
    @given(crowd=crowds())
    def test_everybody_has_an_address_of_her_own(self, crowd: list[NamingInput]) -> None:
        assigned = assign_local_parts(crowd)

        assert assigned.keys() == {entry.agent_id for entry in crowd}
        assert len(set(assigned.values())) == len(crowd)
        assert all(SHAPE.fullmatch(local_part) for local_part in assigned.values())

    @given(crowd=crowds(), random=st.randoms(use_true_random=False))
    def test_order_is_irrelevant(self, crowd: list[NamingInput], random: object) -> None:
        shuffled = sorted(crowd, key=lambda _: random.random())  # type: ignore[attr-defined]

        assert assign_local_parts(shuffled) == assign_local_parts(crowd)

    @given(crowd=crowds(), others=crowds(max_size=5))
    def test_only_agents_of_the_same_name_and_second_can_matter(
        self, crowd: list[NamingInput], others: list[NamingInput]
    ) -> None:
        ids = {entry.agent_id for entry in crowd}
        others = [entry for entry in others if entry.agent_id not in ids]
        touched = {(name_segments(entry.name, entry.username_hint), entry.created_at) for entry in others}

        alone, together = assign_local_parts(crowd), assign_local_parts([*crowd, *others])

        for entry in crowd:
            if (name_segments(entry.name, entry.username_hint), entry.created_at) not in touched:
                assert together[entry.agent_id] == alone[entry.agent_id]

    @given(crowd=scrambles(), data=st.data())
    def test_with_every_bumped_agent_pinned_nobody_moves_when_others_leave(
        self, crowd: list[NamingInput], data: st.DataObject
    ) -> None:
        assigned = assign_local_parts(crowd, TAKEN)
        pins = bumped(crowd, assigned)
        pinned = [
            NamingInput(
                agent_id=entry.agent_id,
                seed=entry.seed,
                name=entry.name,
                username_hint=entry.username_hint,
                created_at=entry.created_at,
                local_part=pins.get(entry.agent_id),
            )
            for entry in crowd
        ]
        stay = data.draw(st.lists(st.sampled_from(pinned), unique=True)) if pinned else []

        assert assign_local_parts(stay, TAKEN) == {entry.agent_id: assigned[entry.agent_id] for entry in stay}

    def test_who_comes_first_by_id_chooses_first(self) -> None:
        crowd = crowd_of(1000)
        assigned = assign_local_parts(crowd)
        taken: set[str] = set()

        for entry in crowd:
            choices = (f"maria.nunez.{digits:03}.{SECOND}" for digits in digits_in_order("crowd", entry.agent_id))
            assert assigned[entry.agent_id] == next(choice for choice in choices if choice not in taken)
            taken.add(assigned[entry.agent_id])

    def test_a_pin_comes_first_whatever_the_ids(self) -> None:
        usual = crowd_of(1)[0]
        thief = NamingInput(agent_id="zzz", local_part=first_choice(usual))

        assigned = assign_local_parts([usual, thief])

        assert assigned["zzz"] == first_choice(usual)
        assert assigned[usual.agent_id] != first_choice(usual)
        assert bumped([usual, thief], assigned) == {usual.agent_id: assigned[usual.agent_id]}

    def test_reserved_local_parts_are_left_alone(self) -> None:
        usual = crowd_of(1)[0]

        assert assign_local_parts([usual], {first_choice(usual): "incumbent"}) != assign_local_parts([usual])

    def test_two_agents_with_one_pin(self) -> None:
        crowd = [NamingInput(agent_id="b", local_part="bot"), NamingInput(agent_id="a", local_part="bot")]

        with pytest.raises(NamingError, match=r"^agent b: local_part bot is also that of agent a; "):
            assign_local_parts(crowd)

    def test_unusable_names_are_all_named(self) -> None:
        with pytest.raises(NamingError, match=r"2 problems:\n  agent a: name '' and .*\n  agent b: name '\.' and "):
            assign_local_parts([NamingInput(agent_id="b", name="."), NamingInput(agent_id="a")])


class TestCrowdOfAThousand:
    def test_a_thousand_fit(self) -> None:
        assigned = assign_local_parts(crowd_of(1000))

        assert len(set(assigned.values())) == 1000

    def test_the_next_one_is_named(self) -> None:
        message = r"^agent agent-01000: all 1,000 local parts maria\.nunez\.<3 digits>\.20241005123045 are taken; give"
        with pytest.raises(NamingError, match=message):
            assign_local_parts(crowd_of(1001))

    def test_everyone_too_many_is_named(self) -> None:
        with pytest.raises(NamingError) as caught:
            assign_local_parts(crowd_of(3000))

        assert [problem.agent for problem in caught.value.problems] == [f"agent-{n:05}" for n in range(1000, 3000)]
        assert str(caught.value).endswith("and 1,980 more")

    def test_pins_count(self) -> None:
        pin = NamingInput(agent_id="pinned", local_part=f"maria.nunez.500.{SECOND}")

        with pytest.raises(NamingError, match="agent agent-00999: all 1,000"):
            assign_local_parts([pin, *crowd_of(1000)])
        assert len(assign_local_parts([pin, *crowd_of(999)])) == 1000


class TestSameEverywhere:
    @pytest.mark.parametrize("hash_seed", ["0", "1", "4242"])
    def test_another_process_agrees(self, hash_seed: str) -> None:
        program = (
            "from mailboxes.naming import NamingInput, assign_local_parts\n"
            "from mailboxes.buckets import bucket_of\n"
            "entries = [NamingInput(agent_id=f'agent-{n:05}', seed='crowd', name='Maria Nunez',"
            " created_at='20241005123045') for n in range(300)]\n"
            "print(assign_local_parts(set(entries)) | {c.agent_id + '#': bucket_of(c.agent_id) for c in entries}"
            " == eval(input()))\n"
        )
        from mailboxes.buckets import bucket_of

        expected = assign_local_parts(crowd_of(300)) | {
            f"{entry.agent_id}#": bucket_of(entry.agent_id) for entry in crowd_of(300)
        }

        result = subprocess.run(
            [sys.executable, "-c", program],
            input=repr(expected),
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        )

        assert result.stdout == "True\n"


class TestLocalParts:
    @pytest.mark.parametrize("local_part", ["a", "agent_427", "maria.nunez.007.20241005123045", "a+b-c", "x" * 64])
    def test_allowed(self, local_part: str) -> None:
        assert check_local_part(local_part) == local_part

    @pytest.mark.parametrize("local_part", ["", ".a", "a.", "a..b", "a b", "a@b", "A", "ñ", "a/b", "a%b", '"a"', "a\n"])
    def test_forbidden_characters(self, local_part: str) -> None:
        with pytest.raises(LocalPartError, match="is not made of a-z, 0-9"):
            check_local_part(local_part)

    def test_too_long(self) -> None:
        with pytest.raises(LocalPartError, match=r"has 65 octets; at most 64 are allowed \(RFC 5321\)"):
            check_local_part("x" * 65)

    @pytest.mark.parametrize(
        ("prefix", "agent_id", "local_part"),
        [("agent_", "427", "agent_427"), ("", "bot123", "bot123"), ("Agent_", "Bot.1", "agent_bot.1")],
    )
    def test_legacy_form(self, prefix: str, agent_id: str, local_part: str) -> None:
        assert legacy_local_part(prefix, agent_id) == local_part

    @pytest.mark.parametrize(("prefix", "agent_id"), [("agent_", "a b"), ("a@", "1"), ("", ""), ("agent_", "x" * 60)])
    def test_legacy_form_that_no_mailbox_can_have(self, prefix: str, agent_id: str) -> None:
        with pytest.raises(LocalPartError):
            legacy_local_part(prefix, agent_id)
