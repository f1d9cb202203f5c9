"""Populations for measurements."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mailboxes.addresses import addresses
from mailboxes.population import load_population
from tests.bench.population import NAMES, agent, identifying_bytes, write_population


def test_the_program_accepts_them_and_everybody_has_an_address(tmp_path: Path) -> None:
    write_population(tmp_path / "p.json", 3000)
    found = addresses([load_population(tmp_path / "p.json")], "dev.agents.example")
    assert len(set(found.values())) == 3000


@pytest.mark.slow
@pytest.mark.parametrize("size", [3, 100, 1000, 2000, 10_000])
def test_one_more_agent_moves_nobody(tmp_path: Path, size: int) -> None:
    """A measured step that adds one agent must change one address and no other."""
    both = []
    for agents in (size, size + 1):
        write_population(tmp_path / "p.json", agents)
        both.append(addresses([load_population(tmp_path / "p.json")], "dev.agents.example"))
    before, after = both
    assert before.items() <= after.items()
    assert after.keys() - before.keys() == {agent(size)["id"]}


@pytest.mark.slow
def test_names_are_their_own() -> None:
    assert NAMES > 50_000
    assert len({agent(number)["name"] for number in range(NAMES)}) == NAMES


def test_the_same_agents_everywhere(tmp_path: Path) -> None:
    write_population(tmp_path / "p.json", 2)
    assert json.loads((tmp_path / "p.json").read_text())["agents"] == [agent(0), agent(1)]
    assert agent(0) == {
        "id": "92ae9fde-a5f3-53b5-947a-3b38a76fe102",
        "name": "Aurora Alvarez",
        "username_hint": "aurora_alvarez_0",
    }


def test_bytes_that_identify_a_mailbox() -> None:
    assert identifying_bytes({"ab": "c@d.e", "abcd": "x@d.e"}) == 8
    assert identifying_bytes({}) == 0
