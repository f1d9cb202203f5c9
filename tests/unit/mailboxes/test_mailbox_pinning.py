"""Pinning: one field more of an entry that is there, in whatever style it is written, and nobody else moves."""

from __future__ import annotations

import json
import shlex
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailboxes import remedies
from mailboxes.addresses import addresses
from mailboxes.pinning import PinError, pin_agents, read_pins
from mailboxes.population import PopulationSource, canonical_agent_id, load_populations, same_agent
from mailboxes.rewriting import LayoutError

HEADER = "# who\nseed: s\ncreated_at: 20241005123045\n"


def clock() -> datetime:
    return datetime(2025, 1, 1, tzinfo=UTC)


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def book(*paths: Path) -> dict[str, str]:
    return addresses(load_populations(PopulationSource(path=path) for path in paths), "x.example")


def pin(paths: list[Path], **pins: str) -> None:
    for file in pin_agents(paths, pins, now=clock):
        file.write()


STYLES = {
    "in one line": (
        "agents:\n- {id: a1, name: Ada Low, username_hint: u}  # first\n- {id: a2, name: Bob Kahn}\n",
        "p.yaml",
    ),
    "in a block": ("agents:\n  - id: a1\n    name: Ada Low\n    # a word\n  - id: a2\n    name: Bob Kahn\n", "p.yaml"),
    "with another pin": (
        "agents:\n- {id: a1, name: Ada Low, local_part: other}\n- {id: a2, name: Bob Kahn}\n",
        "p.yaml",
    ),
    "with an empty pin": ("agents:\n- id: a1\n  name: Ada Low\n  local_part:\n- {id: a2, name: Bob Kahn}\n", "p.yaml"),
}


@pytest.mark.parametrize("style", STYLES)
def test_the_agent_s_own_entry_gets_the_pin(tmp_path: Path, style: str) -> None:
    text, name = STYLES[style]
    file = write(tmp_path / name, HEADER + text)
    before = book(file)
    pin([file], a1="ada.low.007.20240101000000")
    assert book(file) == before | {"a1": "ada.low.007.20240101000000@x.example"}
    assert file.read_text().startswith(HEADER)
    assert file.read_text().count("id: a1") == 1
    assert [c for c in ("# first", "# a word") if c in text] == [
        c for c in ("# first", "# a word") if c in file.read_text()
    ]
    again = file.read_text()
    assert not any(done.changes for done in pin_agents([file], {"A1": "ada.low.007.20240101000000"}, now=clock))
    assert file.read_text() == again


def test_json(tmp_path: Path) -> None:
    agents: list[dict[str, object]] = [{"id": "a1", "name": "Ada Low", "age": 3}, {"id": "a2", "name": "Bob Kahn"}]
    file = write(tmp_path / "p.json", json.dumps({"seed": "s", "created_at": "20241005123045", "agents": agents}))
    pin([file], a2="bob")
    assert json.loads(file.read_text())["agents"] == [agents[0], agents[1] | {"local_part": "bob"}]


def test_an_export_beside_the_file_stays_as_the_platform_wrote_it(tmp_path: Path) -> None:
    export = write(tmp_path / "export.json", json.dumps([{"id": "a1", "name": "Ada Low", "username_hint": "u"}]))
    file = write(tmp_path / "p.yaml", HEADER + "agents_file: export.json\n")
    before = export.read_text()
    pin([file], a1="ada")
    assert export.read_text() == before
    assert book(file) == {"a1": "ada@x.example"}


def test_each_agent_in_the_file_that_has_her(tmp_path: Path) -> None:
    one = write(tmp_path / "1.yaml", HEADER + "agents:\n- {id: a1, name: Ada Low}\n")
    two = write(tmp_path / "2.yaml", HEADER + "agents:\n- {id: a2, name: Bob Kahn}\n")
    pin([one, two, tmp_path / "." / "2.yaml"], a1="ada", a2="bob")
    assert book(one, two) == {"a1": "ada@x.example", "a2": "bob@x.example"}


class TestRefusals:
    """Nothing is written before every agent has been found, once."""

    def refused(self, paths: list[Path], pins: dict[str, str]) -> list[str]:
        before = [path.read_text() for path in paths]
        with pytest.raises(PinError) as caught:
            pin_agents(paths, pins, now=clock)
        assert [path.read_text() for path in paths] == before
        return [str(problem) for problem in caught.value.problems]

    def test_everything_at_once(self, tmp_path: Path) -> None:
        one = write(
            tmp_path / "1.yaml",
            HEADER + "agents:\n- {id: a1, name: Ada Low}\n- {id: a3, name: C D, local_part: taken}\n",
        )
        two = write(tmp_path / "2.yaml", HEADER + "agents:\n- {id: A1, name: Ada Low}\n- {id: a4, name: E F}\n")
        assert self.refused([one, two], {"a1": "ada", "a2": "bob", "a4": "taken"}) == [
            f"agent a1: is in {one} and {two}; name the one that is meant with --file",
            f"agent a2: is not in {one}, {two}; correct the id, or name the file with --file",
            "agent a4: local part taken is pinned to agent a3; two cannot have it",
        ]

    def test_two_agents_for_one_local_part(self, tmp_path: Path) -> None:
        file = write(tmp_path / "1.yaml", HEADER + "agents:\n- {id: a1, name: Ada Low}\n- {id: a2, name: B C}\n")
        assert self.refused([file], {"a1": "x", "a2": "x"}) == [
            "agent a2: local part x is pinned to agent a1; two cannot have it"
        ]

    def test_two_agents_may_change_places(self, tmp_path: Path) -> None:
        file = write(
            tmp_path / "1.yaml",
            HEADER + "agents:\n- {id: a1, name: A B, local_part: x}\n- {id: a2, name: B C, local_part: y}\n",
        )
        pin([file], a1="y", a2="x")
        assert book(file) == {"a1": "y@x.example", "a2": "x@x.example"}

    def test_a_broken_file(self, tmp_path: Path) -> None:
        file = write(tmp_path / "1.yaml", "agents: [")
        assert "1.yaml" in self.refused([file], {"a1": "x"})[0]
        with pytest.raises(PinError, match=r"nowhere\.yaml"):
            pin_agents([tmp_path / "nowhere.yaml"], {"a1": "x"}, now=clock)
        with pytest.raises(PinError, match="is not in no population file"):
            pin_agents([], {"a1": "x"}, now=clock)

    def test_a_layout_that_cannot_be_edited(self, tmp_path: Path) -> None:
        file = write(tmp_path / "1.yaml", HEADER + "agents: [{id: a1, name: Ada Low}]\n")
        before = file.read_text()
        with pytest.raises(LayoutError, match="that cannot be edited without risk"):
            pin_agents([file], {"a1": "x"}, now=clock)
        assert file.read_text() == before


class TestWords:
    def test_an_address_will_do_too(self) -> None:
        assert read_pins(["a1=ada.low@x.example", "a=b=c"]) == {"a1": "ada.low", "a=b": "c"}

    def test_what_is_no_pin(self) -> None:
        with pytest.raises(PinError) as caught:
            read_pins(["a1", "=x", "a2=Ada", "a3=x", "A3=y"])
        assert [str(problem) for problem in caught.value.problems] == [
            "'a1' names no local part; expected ID=LOCAL_PART, as the refusal of a preview prints it",
            "id is empty; expected the platform's id of the agent",
            "agent a2: local part 'Ada' is not made of a-z, 0-9, '_', '-', '+' and single dots between them; write what "
            "stands before the @, in lower case",
            "agent A3: is to be pinned to x and to y; choose one",
        ]

    @given(
        st.dictionaries(
            st.text(st.characters(codec="utf-8"), min_size=1).filter(lambda text: text.isprintable() and text.strip()),
            st.from_regex(r"[a-z0-9]+(\.[a-z0-9]+){0,3}", fullmatch=True).filter(lambda text: len(text) <= 64),
            min_size=1,
            max_size=5,
        )
    )
    def test_what_is_printed_can_be_pasted(self, pins: dict[str, str]) -> None:
        words = shlex.split(remedies.pin(pins.items()))
        assert words[:3] == ["./mail", "agents", "pin"]
        wanted = {same_agent(canonical_agent_id(agent)): local_part for agent, local_part in pins.items()}
        if len(wanted) == len(pins):
            assert {same_agent(agent): pin for agent, pin in read_pins(words[3:]).items()} == wanted
