"""Laying a population out over stacks: everybody keeps the address, and nobody leaves a file too early."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from mailboxes.addresses import addresses
from mailboxes.population import PopulationSource, load_population, load_populations
from mailboxes.rewriting import LayoutError
from mailboxes.splitting import Split, SplitError, StackAgents, split_population

DOMAIN = "agents.example"
STAMP = "20241005123045"


def people(count: int, first: int = 0) -> list[dict[str, object]]:
    """Every third shares a name and a second with others, so that digits depend on who else is there."""
    return [
        {"id": f"a-{number}", "name": "Ana Lopez" if number % 3 == 0 else f"Agent Number{number}"}
        for number in range(first, first + count)
    ]


class Stacks:
    """A folder with a first stack and whatever a split has written."""

    def __init__(self, folder: Path, agents: list[dict[str, object]], *, text: str | None = None) -> None:
        self.folder = folder
        self.file = folder / ("prod.json" if text is None else "prod.yaml")
        document = {"seed": "s", "created_at": STAMP, "agents": agents}
        self.file.write_text(json.dumps(document, indent=1) if text is None else text)
        self.live: dict[str, dict[str, str]] = {}
        self.before = self.addresses("prod")

    def path(self, stack: str) -> Path:
        return self.file if stack == "prod" else self.folder / f"{stack}.json"

    def addresses(self, stack: str) -> dict[str, str]:
        return addresses([load_population(self.path(stack))], DOMAIN)

    def parts(self) -> list[str]:
        return sorted(path.stem for path in self.folder.glob("prod-*.json"))

    def up(self, stack: str) -> None:
        self.live[stack] = {agent: address.split("@")[0] for agent, address in self.addresses(stack).items()}

    def stack(self, name: str) -> StackAgents:
        source = PopulationSource(path=self.path(name))
        return StackAgents(name=name, sources=[source], live=self.live.get(name, {}))

    def split(self, *, size: int, keep: int | None = None, write: bool = True) -> Split:
        found = split_population(
            self.stack("prod"),
            [self.stack(part) for part in self.parts()],
            size=size,
            keep=size if keep is None else keep,
            folder=self.folder,
        )
        if write:
            for edit in (*found.parts, *found.home):
                edit.write()
        return found

    def everybody(self) -> dict[str, str]:
        """Who is where by the files, each agent once."""
        found: dict[str, str] = {}
        for stack in ["prod", *self.parts()]:
            mine = self.addresses(stack)
            assert not mine.keys() & found.keys()
            found |= mine
        return found


def sizes(stacks: Stacks) -> dict[str, int]:
    return {stack: len(stacks.addresses(stack)) for stack in ["prod", *stacks.parts()]}


def test_a_population_that_no_stack_has_yet_is_laid_out_at_once(tmp_path: Path) -> None:
    stacks = Stacks(tmp_path, people(25))
    found = stacks.split(size=10)
    assert sizes(stacks) == {"prod": 10, "prod-01": 10, "prod-02": 5}
    assert stacks.everybody() == stacks.before
    assert (found.waiting, found.removed, len(found.left)) == ({}, [], 15)
    again = stacks.split(size=10)
    assert not any(edit.changes for edit in (*again.parts, *again.home))


def test_nobody_leaves_a_standing_stack_before_the_part_has_the_mailbox(tmp_path: Path) -> None:
    stacks = Stacks(tmp_path, people(12))
    stacks.up("prod")
    text = stacks.file.read_text()
    found = stacks.split(size=5)
    assert stacks.file.read_text() == text
    assert found.waiting == {"prod-01": 5, "prod-02": 2}
    assert not stacks.split(size=5).left
    stacks.up("prod-01")
    half = stacks.split(size=5)
    assert (half.waiting, len(half.removed)) == ({"prod-02": 2}, 5)
    stacks.up("prod-02")
    done = stacks.split(size=5)
    assert (done.waiting, len(done.removed), len(done.left), done.kept) == ({}, 7, 2, 5)
    assert stacks.everybody() == stacks.before
    stacks.up("prod")
    assert stacks.split(size=5).removed == []


def test_newcomers_fill_parts_with_room_and_nobody_moves_twice(tmp_path: Path) -> None:
    stacks = Stacks(tmp_path, people(12))
    stacks.split(size=5)
    first = {part: stacks.addresses(part) for part in stacks.parts()}
    document = json.loads(stacks.file.read_text())
    newcomers = [
        {"id": f"new-{number}", "name": "Eva Ruiz", "local_part": f"eva.ruiz.00{number}.{STAMP}"} for number in range(6)
    ]
    stacks.file.write_text(json.dumps({**document, "agents": document["agents"] + newcomers}))
    found = stacks.split(size=5)
    assert sizes(stacks) == {"prod": 5, "prod-01": 5, "prod-02": 5, "prod-03": 3}
    assert {part: len(each.added) for each in found.parts for part in [each.stack]} == {
        "prod-01": 0,
        "prod-02": 3,
        "prod-03": 3,
    }
    for part, agents in first.items():
        assert agents.items() <= stacks.addresses(part).items()
    # A smaller size later moves nobody who has a place.
    assert not any(edit.changes for edit in stacks.split(size=3, keep=5, write=False).parts)


def test_what_an_entry_says_goes_with_the_agent(tmp_path: Path) -> None:
    agent = {"id": "a-9", "name": "Ana Lopez", "username_hint": "ana", "credential_epoch": 2, "messages_a_day": 50}
    stacks = Stacks(tmp_path, [*people(1), agent | {"may_write_to": "agents.example, ops@x.example"}])
    whole = load_population(stacks.file).agents[1]
    stacks.split(size=1)
    [moved] = load_population(stacks.path("prod-01")).agents
    assert moved.policy == whole.policy
    assert (moved.name, moved.username_hint, moved.created_at) == (whole.name, "ana", STAMP)


def test_the_first_stacks_comments_and_layout_stay(tmp_path: Path) -> None:
    head = f"seed: s  # never change this\ncreated_at: {STAMP}\nagents:\n"
    lines = [f"- {{id: a-{number}, name: Ana Lopez}}  # {number}\n" for number in range(4)]
    stacks = Stacks(tmp_path, [], text=head + "".join(lines))
    stacks.split(size=2)
    text = stacks.file.read_text()
    assert text.startswith(head)
    assert "# 0" in text
    assert "# 1" in text
    assert "a-2" not in text
    assert stacks.everybody() == stacks.before


class TestRefusals:
    """Nothing is written."""

    def refused(self, stacks: Stacks, error: type[Exception] = SplitError) -> str:
        texts = {path: path.read_text() for path in stacks.folder.iterdir()}
        with pytest.raises(error) as caught:
            stacks.split(size=2)
        assert {path: path.read_text() for path in stacks.folder.iterdir()} == texts
        return str(caught.value)

    def test_files_that_do_not_say_what_the_last_up_has_made(self, tmp_path: Path) -> None:
        stacks = Stacks(tmp_path, people(4))
        stacks.live["prod"] = {"a-1": "somewhere.else"}
        assert "agent a-1: has somewhere.else and would get agent.number1." in self.refused(stacks)

    def test_one_address_for_two_agents(self, tmp_path: Path) -> None:
        stacks = Stacks(tmp_path, people(4))
        taken = stacks.before["a-1"].split("@")[0]
        stacks.path("prod-01").write_text(json.dumps({"agents": [{"id": "b-1", "name": "B B", "local_part": taken}]}))
        assert f"agent b-1: {taken} is also that of agent a-1" in self.refused(stacks)

    def test_two_addresses_for_one_agent(self, tmp_path: Path) -> None:
        stacks = Stacks(tmp_path, people(4))
        stacks.path("prod-01").write_text(json.dumps({"agents": [{"id": "a-1", "name": "B B", "local_part": "b.b"}]}))
        assert "agent a-1: is agent.number1." in self.refused(stacks)

    def test_an_invalid_part(self, tmp_path: Path) -> None:
        stacks = Stacks(tmp_path, people(4))
        stacks.path("prod-01").write_text("{")
        assert "prod-01.json" in self.refused(stacks)

    def test_agents_that_stand_in_an_export(self, tmp_path: Path) -> None:
        stacks = Stacks(tmp_path, people(4))
        stacks.file.rename(tmp_path / "export.json")
        stacks.file.write_text(json.dumps({"agents_file": "export.json"}))
        assert "agents_file" in self.refused(stacks, LayoutError)


@pytest.mark.parametrize("size", [1, 3, 7])
def test_any_split_keeps_every_address(tmp_path: Path, size: int) -> None:
    """Names that are shared by all but a few: the digits of those who stay depend on those who leave."""
    stacks = Stacks(tmp_path, [{"id": f"a-{number}", "name": "Ana Lopez"} for number in range(60)])
    stacks.split(size=size)
    assert stacks.everybody() == stacks.before
    found: Mapping[str, str] = addresses(
        load_populations([replace(PopulationSource(path=stacks.path(each))) for each in ["prod", *stacks.parts()]]),
        DOMAIN,
    )
    assert found == stacks.before
