"""Importing exports: nobody in the file ever moves, and a pull request shows only the agents concerned."""

from __future__ import annotations

import difflib
import json
import os
import stat
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from mailboxes.addresses import addresses, without_first_choice
from mailboxes.merging import Merge, MergeError, WriteError, merge_export
from mailboxes.naming import NamingError, digits_in_order
from mailboxes.population import PopulationError, PopulationSource, load_population
from mailboxes.rewriting import LayoutError, yaml_flow_mapping
from tests.profiles import examples

FIXTURES = Path(__file__).parents[2] / "fixtures"
FIRST_SECOND = "20241005123045"
NOW = datetime(2024, 11, 6, 8, 0, 0, tzinfo=UTC)
NOW_SECOND = "20241106080000"
VECTOR = "538605c0-4728-53d9-b533-76e2b3da240c"


def clock() -> datetime:
    return NOW


def export_agent(agent_id: str, name: str = "Maria Nunez", **more: Any) -> dict[str, Any]:
    return {
        "id": agent_id,
        "name": name,
        "username_hint": f"hint_{agent_id}",
        "age": 30,
        "interests": ["chess"],
        **more,
    }


def crowd(*numbers: int) -> list[dict[str, Any]]:
    return [export_agent(f"agent-{number:05}") for number in numbers]


class Files:
    """An export and a population file in one folder."""

    def __init__(self, folder: Path, name: str = "prod.yaml") -> None:
        self.folder = folder
        self.file = folder / name

    def export(self, agents: Sequence[dict[str, Any]], name: str = "export.json", seed: str = "s") -> Path:
        export = self.folder / name
        export.write_text(json.dumps({"seed": seed, "count": len(agents), "agents": agents}))
        return export

    def merge(self, agents: Sequence[dict[str, Any]] | Path, **options: Any) -> Merge:
        export = agents if isinstance(agents, Path) else self.export(agents)
        merge = merge_export(export, self.file, now=clock, **options)
        merge.write()
        return merge

    def write(self, text: str) -> None:
        self.file.write_bytes(text.encode())

    @property
    def text(self) -> str:
        return self.file.read_bytes().decode()

    def addresses(self) -> dict[str, str]:
        return addresses([load_population(self.file, now=clock)], "agents.example")

    def diff(self, before: str) -> list[str]:
        lines = difflib.unified_diff(before.splitlines(), self.text.splitlines(), n=0, lineterm="")
        return [line for line in lines if not line.startswith(("---", "+++", "@@"))]


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


COMMENTED = """\
# Agents of Madrid.

seed: s            # never change this
created_at: 20241005123045

agents:  # one a line
  # the first one
  - {id: a1, name: Ana Sol}   # likes chess
  - id: a2
    # a block of her own
    name: "Bea Luz"
    bio: |
      line
      # no comment
  # between
  - {id: a3,
     name: 'Carla Mar',
     interests: [x, y]}
  # at the end

# after everything
"""


class TestNewFile:
    def test_the_whole_file(self, files: Files) -> None:
        files.merge(FIXTURES / "population-3.json", created_at=FIRST_SECOND)

        assert files.text == (
            "# Mailboxes of a population, from the platform's export population-3.json.\n"
            "# New agents: ./mail agents import EXPORT FILE, which keeps every line and so every address.\n"
            "# created_at: the UTC second in all addresses but those of agents with one of their own.\n"
            'seed: "20241005"\n'
            'created_at: "20241005123045"\n'
            "agents:\n"
            "  - {id: 538605c0-4728-53d9-b533-76e2b3da240c, name: Vector Aurora, username_hint: vector_aurora_mexico6939}\n"
            "  - {id: e1f8a769-dac9-5019-a3cf-40de98ff6020, name: Glyph Glyph, username_hint: glyph_glyph_mexico3629}\n"
            "  - {id: aa5f8d18-82f1-5c4f-94de-d405b8bee17c, name: Glyph Vector, username_hint: glyph_vector_mexico2746}\n"
        )
        assert files.addresses()[VECTOR] == "vector.aurora.164.20241005123045@agents.example"

    def test_stamped_with_the_present_second(self, files: Files) -> None:
        files.merge(crowd(1))

        assert load_population(files.file, now=clock).created_at == NOW_SECOND

    def test_bare_array_of_the_cli(self, files: Files) -> None:
        export = files.folder / "cli.json"
        export.write_text((FIXTURES / "population-5-array.json").read_text() + "\n[stub] Persistence is off.\n")

        merge = files.merge(export, seed="cli-5")

        assert len(merge.added) == 5
        assert load_population(files.file, now=clock).seed == "cli-5"

    def test_without_a_seed(self, files: Files) -> None:
        with pytest.raises(MergeError, match=r"population-5-array\.json: has no seed, .* give one as --seed$"):
            files.merge(FIXTURES / "population-5-array.json")
        assert not files.file.exists()

    def test_comments_of_an_otherwise_blank_file_stay(self, files: Files) -> None:
        files.write("# Agents of Madrid.\r\n\r\n# Ask Ana.")

        files.merge(crowd(1))

        assert files.text.startswith(
            '# Agents of Madrid.\r\n\r\n# Ask Ana.\r\nseed: s\r\ncreated_at: "20241106080000"\r\n'
        )
        assert len(files.addresses()) == 1

    def test_an_empty_export(self, files: Files) -> None:
        files.merge([])

        assert files.text.endswith("agents: []\n")
        assert files.addresses() == {}

    def test_a_crowd(self, files: Files) -> None:
        merge = files.merge(crowd(*range(1000)))

        assert len(set(files.addresses().values())) == 1000
        assert without_first_choice([load_population(files.file, now=clock)]) == {}
        assert {agent.agent_id for agent in merge.added if agent.is_pinned}

    def test_one_too_many(self, files: Files) -> None:
        with pytest.raises(NamingError, match="agent agent-01000: all 1,000 local parts"):
            files.merge(crowd(*range(1001)))
        assert not files.file.exists()

    def test_names_that_yaml_would_misread(self, files: Files) -> None:
        names = ["No", "null", "0123", "1e3", "a: b", "# x", "- x", "x #y", "O'Neil 'x'", '"q" r', "[x] {y}", "@x &y", "tab\ty",
                 "new\nline", "é\u2028x", "\ufeffx y", "x, y", "x ", " x", "王 小明", "😀 😎", "a\\b", "\u0085 x", "2024-10-05",
                 "y", "%x y", "x:", "?", "=", "<<", "\u200bx y", "é\u0301 z"]  # fmt: skip
        agents = [export_agent(f"{number}e3", name) for number, name in enumerate(names)]

        files.merge(agents)

        population = load_population(files.file, now=clock)
        assert [agent.name for agent in population.agents] == names
        assert [agent.id for agent in population.agents] == [agent["id"] for agent in agents]

    def test_other_yaml_readers_see_the_same_text(self, files: Files) -> None:
        names = ["No", "Null", "True On", "0x1F", "12:30", "2024-10-05", "1e3 y", "Maria Nunez"]

        files.merge([export_agent(f"{number}e3", name) for number, name in enumerate(names)])

        document = yaml.safe_load(files.text)
        assert [agent["name"] for agent in document["agents"]] == names
        assert [agent["id"] for agent in document["agents"]] == [f"{number}e3" for number in range(len(names))]
        assert document["created_at"] == NOW_SECOND


class TestMerging:
    def test_a_second_import_changes_nothing(self, files: Files) -> None:
        files.merge(crowd(*range(300)))
        before, touched = files.text, files.file.stat().st_mtime_ns

        merge = files.merge(crowd(*range(300)))

        assert not merge.changes
        assert (len(merge.added), merge.kept, len(merge.gone)) == (0, 300, 0)
        assert (files.text, files.file.stat().st_mtime_ns) == (before, touched)

    def test_a_newcomer_is_one_line(self, files: Files) -> None:
        files.merge(crowd(1, 2), created_at=FIRST_SECOND)
        before = files.text

        merge = files.merge(crowd(0, 1, 2))

        assert files.diff(before) == [
            '+  - {id: agent-00000, name: Maria Nunez, username_hint: hint_agent-00000, created_at: "20241106080000"}'
        ]
        assert [(agent.agent_id, agent.local_part[-14:]) for agent in merge.added] == [("agent-00000", NOW_SECOND)]

    def test_a_newcomer_never_takes_an_incumbents_place(self, files: Files) -> None:
        files.merge(crowd(*range(500, 1000)), created_at=FIRST_SECOND)
        before = files.addresses()

        merge = files.merge(crowd(*range(1000)), created_at=FIRST_SECOND)

        after = files.addresses()
        assert {agent_id: after[agent_id] for agent_id in before} == before
        assert len(set(after.values())) == 1000
        assert merge.kept == 500

    def test_incumbents_who_were_bumped_are_pinned(self, files: Files) -> None:
        lines = "".join(f"- {yaml_flow_mapping({'id': a['id'], 'name': a['name']})}\n" for a in crowd(*range(100)))
        files.write(f"seed: s\ncreated_at: {FIRST_SECOND}\nagents:\n{lines}")
        before = files.addresses()
        unpinned = without_first_choice([load_population(files.file, now=clock)])

        merge = files.merge(files.file)

        assert unpinned
        assert merge.pinned == unpinned
        assert files.addresses() == before
        assert without_first_choice([load_population(files.file, now=clock)]) == {}

    def test_the_gone_stay_until_pruned(self, files: Files) -> None:
        files.merge(crowd(1, 2, 3), created_at=FIRST_SECOND)
        before = files.text

        merge = files.merge(crowd(2))
        assert [agent_id for agent_id, _ in merge.gone] == ["agent-00001", "agent-00003"]
        assert not merge.changes

        merge = files.merge(crowd(2), prune=True)
        assert merge.pruned
        assert [line[:22] for line in files.diff(before)] == ["-  - {id: agent-00001,", "-  - {id: agent-00003,"]
        assert list(files.addresses()) == ["agent-00002"]

        files.merge([], prune=True)
        assert files.text.endswith("agents: []\n")
        files.merge(crowd(4))
        assert list(files.addresses()) == ["agent-00004"]

    def test_a_pruned_address_is_not_given_to_a_newcomer(self, files: Files) -> None:
        files.merge(crowd(*range(990)), created_at=FIRST_SECOND)
        before = set(files.addresses().values())

        files.merge(crowd(*range(2000, 2010)), created_at=FIRST_SECOND, prune=True)

        assert not before & set(files.addresses().values())

    def test_a_renamed_agent_keeps_her_address(self, files: Files) -> None:
        files.merge(crowd(1, 2), created_at=FIRST_SECOND)
        text, before = files.text, files.addresses()

        merge = files.merge([export_agent("agent-00001", "María Gómez"), *crowd(2)])

        address = before["agent-00001"].partition("@")[0]
        assert files.addresses() == before
        assert merge.renamed == [("agent-00001", "Maria Nunez", "María Gómez")]
        assert merge.pinned == {"agent-00001": address}
        assert files.diff(text)[1] == (
            f"+  - {{id: agent-00001, name: María Gómez, username_hint: hint_agent-00001, local_part: {address}}}"
        )

    def test_a_new_middle_name_needs_no_pin(self, files: Files) -> None:
        files.merge(crowd(1), created_at=FIRST_SECOND)
        before = files.addresses()

        merge = files.merge([export_agent("agent-00001", "Maria Luz Nunez")])

        assert (merge.pinned, files.addresses()) == ({}, before)
        assert "name: Maria Luz Nunez" in files.text

    def test_an_export_that_forgets_names_changes_nothing(self, files: Files) -> None:
        files.merge(crowd(1))

        assert not files.merge([{"id": "AGENT-00001", "name": "Maria Nunez"}]).changes

    def test_stamps_and_pins_of_the_export_count_for_newcomers(self, files: Files) -> None:
        files.merge(crowd(1), created_at=FIRST_SECOND)

        files.merge([*crowd(1), export_agent("a2", created_at="20241010101010"), export_agent("a3", local_part="bot")])

        found = files.addresses()
        assert found["a2"].endswith(".20241010101010@agents.example")
        assert found["a3"] == "bot@agents.example"

    def test_a_file_of_nobody_takes_seed_and_stamp_from_the_import(self, files: Files) -> None:
        files.write("agents: []  # nobody yet\n")

        files.merge(crowd(1))

        assert files.text == (
            'seed: s\ncreated_at: "20241106080000"\nagents:  # nobody yet\n'
            "  - {id: agent-00001, name: Maria Nunez, username_hint: hint_agent-00001}\n"
        )

    def test_seed_from_the_option_is_written_down(self, files: Files) -> None:
        files.write(f"created_at: {FIRST_SECOND}\nagents:\n- {{id: a1, name: Ana Sol}}\n")
        with pytest.raises(MergeError, match="has no seed"):
            files.merge(crowd(1))

        files.merge(crowd(1), seed="t")

        assert load_population(files.file, now=clock).seed == "t"

    def test_a_seed_that_would_move_everybody(self, files: Files) -> None:
        files.merge(crowd(1))
        before = files.text

        with pytest.raises(
            MergeError, match=r"prod\.yaml:4: has another seed than --seed says; with that one everybody"
        ):
            files.merge(crowd(1, 2), seed="t")
        assert files.text == before

    def test_a_file_that_does_not_say_when_its_agents_were_created(self, files: Files) -> None:
        files.write("seed: s\nagents:\n- {id: a1, name: Ana Sol}\n")

        with pytest.raises(MergeError, match=r"prod\.yaml: has no created_at, and none of its agents \(1\)"):
            files.merge(crowd(1), created_at=FIRST_SECOND)

    def test_problems_of_export_and_file_together(self, files: Files) -> None:
        files.write("seed: s\nagents:\n- {id: a1, name: Ana Sol}\n")

        with pytest.raises(MergeError) as caught:
            files.merge([{"id": "x"}, {"name": "y"}], created_at="20991231000000")

        assert len(caught.value.problems) == 4
        assert files.text == "seed: s\nagents:\n- {id: a1, name: Ana Sol}\n"

    def test_beside_another_population(self, files: Files) -> None:
        other = Files(files.folder, "other.yaml")
        other.merge(crowd(*range(600, 1000)), created_at=FIRST_SECOND)
        beside = [PopulationSource(path=other.file)]

        files.merge(crowd(*range(600)), created_at=FIRST_SECOND, beside=beside)

        both = [load_population(file, now=clock) for file in (files.file, other.file)]
        assert len(set(addresses(both, "agents.example").values())) == 1000
        assert without_first_choice(both) == {}
        with pytest.raises(MergeError, match=r"agent agent-00600: is also in .*other\.yaml; an agent belongs to one"):
            files.merge(crowd(600), beside=beside)
        with pytest.raises(PopulationError):
            files.merge(crowd(1), beside=[PopulationSource(path=files.folder / "gone.yaml")])


class TestLayout:
    def test_nothing_but_the_agents_concerned_changes(self, files: Files) -> None:
        files.write(COMMENTED)

        files.merge(
            [
                export_agent("a1", "Ana Río", username_hint=""),
                export_agent("a2", "Bea Río", username_hint=""),
                export_agent("a3", "Carla Río", username_hint=""),
                export_agent("a4", "Dora Mar", username_hint=""),
            ]
        )

        pins = {agent_id: address.partition("@")[0] for agent_id, address in files.addresses().items()}
        assert files.text == (
            COMMENTED.replace("{id: a1, name: Ana Sol}", f"{{id: a1, name: Ana Río, local_part: {pins['a1']}}}")
            .replace('name: "Bea Luz"\n', f"name: Bea Río\n    local_part: {pins['a2']}\n")
            .replace("'Carla Mar'", "Carla Río")
            .replace(
                "[x, y]}\n",
                f'[x, y], local_part: {pins["a3"]}}}\n  - {{id: a4, name: Dora Mar, created_at: "20241106080000"}}\n',
            )
        )

    def test_without_libyaml(self, files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
        agents = [export_agent("a1", "Ana Río"), export_agent("a2", "Bea Río"), export_agent("a4", "Dora Mar")]
        files.write(COMMENTED)
        files.merge(agents, prune=True)
        with_libyaml = files.text

        monkeypatch.delattr(yaml, "CSafeLoader", raising=False)
        files.write(COMMENTED)
        files.merge(agents, prune=True)

        assert files.text == with_libyaml

    def test_pruning_leaves_comments(self, files: Files) -> None:
        files.write(COMMENTED)

        files.merge([export_agent("a3", "Carla Mar", username_hint="")], prune=True)

        head, _, rest = COMMENTED.partition("  - {id: a1")
        assert files.text == head + rest[rest.index("  # between") :]

    def test_pruning_everybody(self, files: Files) -> None:
        files.write(COMMENTED)

        files.merge([], prune=True)

        assert "agents: []  # one a line\n  # the first one\n  # between\n  # at the end\n\n# after" in files.text

    def test_newcomers_look_like_the_last_agent(self, files: Files) -> None:
        text = f"seed: s\r\ncreated_at: {FIRST_SECOND}\r\nagents:\r\n- id: a1\r\n  name: Ana Sol\r\n  bio: x"
        files.write(text)

        files.merge([export_agent("a1", "Ana Sol"), export_agent("a2", "Bea Luz")])

        assert files.text == text.replace("Ana Sol\r\n", "Ana Sol\r\n  username_hint: hint_a1\r\n") + (
            '\r\n- id: a2\r\n  name: Bea Luz\r\n  username_hint: hint_a2\r\n  created_at: "20241106080000"\r\n'
        )

    def test_a_bare_list_becomes_a_population(self, files: Files) -> None:
        files.write(f"# agents\n- {{id: a1, name: Ana Sol, created_at: {FIRST_SECOND}}}\n")

        files.merge([export_agent("a2", "Bea Luz")], seed="t")

        assert files.text == (
            f"# agents\nseed: t\nagents:\n- {{id: a1, name: Ana Sol, created_at: {FIRST_SECOND}}}\n"
            '- {id: a2, name: Bea Luz, username_hint: hint_a2, created_at: "20241106080000"}\n'
        )

    def test_a_byte_order_mark_stays(self, files: Files) -> None:
        files.file.write_bytes(b"\xef\xbb\xbfseed: s\ncreated_at: 20241005123045\nagents: []\n")

        files.merge(crowd(1))

        assert files.file.read_bytes().startswith(b"\xef\xbb\xbfseed: s\n")
        assert len(files.addresses()) == 1

    @pytest.mark.parametrize(
        ("text", "reason"),
        [
            ("{seed: s, created_at: 20241005123045, agents: []}", "keeps its agents in brackets"),
            (
                "seed: s\ncreated_at: 20241005123045\nagents: [{id: a1, name: Ana Sol}]\n",
                "keeps its agents in brackets",
            ),
            (
                "seed: s\ncreated_at: 20241005123045\nagents: [\n]\n",
                "spreads its empty list of agents over several lines",
            ),
            ("seed: s\ncreated_at: 20241005123045\nagents:\n- {id: a1, name: Ana Sol}\n...\n# end\n", None),
            ("seed: s\ncreated_at: 20241005123045\nagents:\n- ? id\n  : a1\n  ? name\n  : Ana Sol\n", None),
            ("--- {x: y}\n", "keeps its agents in brackets"),
        ],
    )
    def test_what_cannot_be_edited_is_refused(self, files: Files, text: str, reason: str | None) -> None:
        files.write(text)
        if reason is None:
            files.merge([export_agent("a1", "Ana Sol", username_hint=""), *crowd(1)])
            assert len(files.addresses()) == 2
            return

        with pytest.raises((LayoutError, MergeError)) as caught:
            files.merge(crowd(1))
        assert isinstance(caught.value, MergeError) or f"prod.yaml {reason}; that cannot be edited" in str(caught.value)
        assert files.text == text


class TestJsonFile:
    def test_new(self, tmp_path: Path) -> None:
        files = Files(tmp_path, "prod.json")

        files.merge([export_agent("a1", "Ana Sól")])

        assert json.loads(files.text) == {
            "seed": "s",
            "created_at": NOW_SECOND,
            "agents": [{"id": "a1", "name": "Ana Sól", "username_hint": "hint_a1"}],
        }
        assert "Sól" in files.text
        assert not files.merge([export_agent("a1", "Ana Sól")]).changes

    def test_merged(self, tmp_path: Path) -> None:
        files = Files(tmp_path, "prod.json")
        export = json.loads((FIXTURES / "population-3.json").read_text())
        files.write(json.dumps(export | {"created_at": FIRST_SECOND}, indent=4))
        before = files.addresses()
        changed = [export["agents"][0] | {"name": "Vector Polaris"}, export["agents"][1], export_agent("a4")]

        files.merge(changed, prune=True)

        after = json.loads(files.text)
        assert [agent["id"][:4] for agent in after["agents"]] == ["5386", "e1f8", "a4"]
        assert after["agents"][0]["bio"] == export["agents"][0]["bio"]
        assert files.addresses()[VECTOR] == before[VECTOR]
        assert "\n    " in files.text

    def test_bare_array(self, tmp_path: Path) -> None:
        files = Files(tmp_path, "prod.json")
        files.write(json.dumps([export_agent("a1", created_at=FIRST_SECOND)]))

        files.merge([export_agent("a1"), export_agent("a2")], seed="t")

        after = json.loads(files.text)
        assert (after["seed"], [agent["id"] for agent in after["agents"]]) == ("t", ["a1", "a2"])
        assert "created_at" not in after


class TestAgentsFile:
    """A small file beside an export that is kept as it came."""

    @pytest.fixture
    def old(self, files: Files) -> Path:
        old = files.export(crowd(*range(50, 100)), "october.json")
        files.write(f"# Madrid\nagents_file: october.json\ncreated_at: {FIRST_SECOND}\n")
        files.merge(old)
        return old

    def test_pins_of_the_first_import(self, files: Files, old: Path) -> None:
        assert files.text.startswith(f"# Madrid\nseed: s\nagents_file: october.json\ncreated_at: {FIRST_SECOND}\n")
        assert without_first_choice([load_population(files.file, now=clock)]) == {}
        assert not files.merge(old).changes

    def test_the_next_export_takes_its_place(self, files: Files, old: Path) -> None:
        before, text = files.addresses(), files.text
        (files.folder / "exports").mkdir()
        new = files.export(crowd(*range(40, 99)), "exports/november.json", seed="another")

        merge = files.merge(new)

        after = files.addresses()
        assert {agent_id: after[agent_id] for agent_id in before} == before
        assert [agent_id for agent_id, _ in merge.gone] == ["agent-00099"]
        assert len(merge.added) == 10
        assert "agents_file: exports/november.json\n" in files.text
        assert "- {id: agent-00099, name: Maria Nunez, username_hint: hint_agent-00099" in files.text
        assert '- {id: agent-00040, created_at: "20241106080000"}' in files.text
        assert len(files.diff(text)) < 20
        assert not files.merge(new).changes

        files.merge(new, prune=True)
        assert "agent-00099" not in files.addresses()

    def test_a_renamed_agent_keeps_her_address(self, files: Files, old: Path) -> None:
        before = files.addresses()
        new = files.export([export_agent("agent-00050", "Ana Sol"), *crowd(*range(51, 100))], "november.json")

        files.merge(new)

        assert files.addresses() == before


class TestWriting:
    def test_mode_and_link_stay(self, files: Files) -> None:
        real = files.folder / "real.yaml"
        real.write_text("agents: []\n")
        real.chmod(0o640)
        files.file.symlink_to(real)

        files.merge(crowd(1))

        assert files.file.is_symlink()
        assert stat.S_IMODE(real.stat().st_mode) == 0o640
        assert "agent-00001" in real.read_text()
        assert sorted(path.name for path in files.folder.iterdir()) == ["export.json", "prod.yaml", "real.yaml"]

    def test_a_new_file_obeys_the_umask(self, files: Files) -> None:
        umask = os.umask(0o027)
        try:
            files.merge(crowd(1))
        finally:
            os.umask(umask)

        assert stat.S_IMODE(files.file.stat().st_mode) == 0o640

    def test_no_folder(self, files: Files) -> None:
        files.file = files.folder / "no" / "prod.yaml"

        with pytest.raises(MergeError, match=r"no/prod\.yaml: cannot be made: its folder does not exist"):
            files.merge(crowd(1))

    def test_a_folder_in_its_place(self, files: Files) -> None:
        files.file.mkdir()

        with pytest.raises(MergeError, match=r"prod\.yaml: cannot be read \(is a directory\)"):
            files.merge(crowd(1))

    def test_a_failed_write_leaves_the_file(self, files: Files) -> None:
        files.merge(crowd(1))
        merge = merge_export(files.export(crowd(1, 2)), files.file, now=clock)
        files.file.unlink()
        files.file.mkdir()
        (files.file / "occupied").touch()

        with pytest.raises(WriteError, match=r"prod\.yaml cannot be written \(.*\); it is as it was"):
            merge.write()
        assert sorted(path.name for path in files.folder.iterdir()) == ["export.json", "prod.yaml"]


RIVALS = [
    f"a{number}" for number in range(8000) if next(digits_in_order("s", f"a{number}")) < 5
][:40]  # fmt: skip
"""Agents with five first choices between them."""


class PopulationFileOverTime(RuleBasedStateMachine):
    """Exports come and go in any order; agents leave, return, change names; people delete lines by hand."""

    folder: Path

    def __init__(self) -> None:
        super().__init__()
        self.files = Files(self.folder)
        self.files.file.unlink(missing_ok=True)
        self.given: dict[str, str] = {}
        self.later = NOW

    @rule(
        agent_ids=st.sets(st.sampled_from(RIVALS), max_size=15),
        name=st.sampled_from(["Maria Nunez", "María Núñez", "Ana Sol"]),
        prune=st.booleans(),
        created_at=st.sampled_from([FIRST_SECOND, None]),
    )
    def import_export(self, agent_ids: set[str], name: str, prune: bool, created_at: str | None) -> None:
        self.later += timedelta(seconds=1)
        export = self.files.export([export_agent(agent_id, name) for agent_id in agent_ids])

        def merge() -> Merge:
            return merge_export(export, self.files.file, created_at=created_at, prune=prune, now=lambda: self.later)

        self.files.write(merge().after)
        assert not merge().changes

    @precondition(lambda self: self.files.file.exists())
    @rule(random=st.randoms(use_true_random=False))
    def delete_lines_by_hand(self, random: Any) -> None:
        lines = self.files.text.splitlines(keepends=True)
        text = "".join(line for line in lines if not line.startswith("  - {id: ") or random.random() < 0.7)
        self.files.write(text.replace("agents:\n", "agents: []\n") if "  - {" not in text else text)

    @precondition(lambda self: self.files.file.exists())
    @invariant()
    def nobody_moves(self) -> None:
        population = load_population(self.files.file, now=lambda: self.later)
        found = addresses([population], "agents.example")
        for agent_id, address in found.items():
            assert self.given.get(agent_id, address) == address
        # Whoever has left and returns is a newcomer.
        self.given = found
        assert without_first_choice([population]) == {}


@pytest.mark.slow
def test_nobody_ever_moves(tmp_path: Path) -> None:
    machine = type("InFolder", (PopulationFileOverTime,), {"folder": tmp_path})
    run_state_machine_as_test(machine, settings=settings(max_examples=examples(40), stateful_step_count=8))


@settings(max_examples=examples(30))
@given(
    names=st.lists(st.text(max_size=12), min_size=1, max_size=6),
    hints=st.text(st.characters(exclude_categories=["Cs"]), max_size=6),
)
def test_any_name_survives_import(names: list[str], hints: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    files = Files(tmp_path_factory.getbasetemp())
    files.file.unlink(missing_ok=True)
    agents = [export_agent(f"a{number}", name, username_hint=f"x{hints}") for number, name in enumerate(names)]

    export = files.export(agents)
    files.write(merge_export(export, files.file, now=clock).after)

    population = load_population(files.file, now=clock)
    assert [agent.name for agent in population.agents] == names
    assert not merge_export(export, files.file, now=clock).changes


class TestClocks:
    """A stamp is in an address for good, and a clock may be a year off."""

    def test_a_clock_that_somebody_else_s_contradicts_stamps_nobody(self, tmp_path: Path) -> None:
        files = Files(tmp_path)
        for apart in (timedelta(days=365), timedelta(days=-365), timedelta(minutes=6)):
            with pytest.raises(MergeError) as caught:
                files.merge(crowd(1), reference=lambda apart=apart: NOW + apart)
            assert "the clock of this machine says 20241106080000 UTC and Mailjet's API says " in str(caught.value)
            assert "--created-at" in str(caught.value)
            assert not files.file.exists()

    def test_where_nobody_needs_this_clock_nobody_else_s_is_asked(self, tmp_path: Path) -> None:
        files = Files(tmp_path)

        def asked() -> datetime:
            raise AssertionError("asked")

        files.merge(crowd(1, 2), created_at=FIRST_SECOND, reference=asked)
        files.merge(crowd(1, 2), reference=asked)
        files.merge([*crowd(1, 2), export_agent("a3", created_at="20241010000000")], reference=asked)
        assert files.merge(crowd(4), reference=lambda: None).added
        assert files.merge(crowd(5), reference=lambda: NOW + timedelta(minutes=4)).added

    def test_stamps_that_were_made_by_a_clock_ahead_stay_and_are_told(self, tmp_path: Path) -> None:
        files = Files(tmp_path)
        files.write("seed: s\ncreated_at: 20251106080000\nagents:\n- {id: agent-00001, name: Maria Nunez}\n")
        before = files.addresses()
        merge = files.merge(crowd(1, 2))
        assert [agent.agent_id for agent in merge.added] == ["agent-00002"]
        assert f"{files.file}:2: created_at '20251106080000' lies in the future" in merge.ahead[0]
        after = files.addresses()
        assert after["agent-00001"] == before["agent-00001"]
        assert after["agent-00002"].endswith(f".{NOW_SECOND}@agents.example")

    def test_a_newcomer_must_not_bring_a_second_that_has_not_come_yet(self, tmp_path: Path) -> None:
        files = Files(tmp_path)
        with pytest.raises(MergeError, match="agent a1: created_at 20991231235959 lies in the future"):
            files.merge([export_agent("a1", created_at="20991231235959")])
        assert not files.file.exists()


class TestIsoStamps:
    """What a database exports: stored as the file has it."""

    def test_a_file_that_has_them_keeps_them_line_by_line(self, tmp_path: Path) -> None:
        files = Files(tmp_path)
        files.write(
            "seed: s\ncreated_at: 2024-10-05T14:30:45+02:00\nagents:\n"
            "- {id: agent-00001, name: Maria Nunez, username_hint: hint_agent-00001, created_at: 2024-10-06T00:00:00Z}\n"
        )
        before = files.text
        files.merge(crowd(1, 2))
        assert files.text.startswith(before)
        assert [line[:1] for line in files.diff(before)] == ["+"]

    def test_an_export_that_has_them(self, tmp_path: Path) -> None:
        files = Files(tmp_path)
        merge = files.merge([export_agent("a1", created_at="2024-10-05T14:30:45.25+02:00")])
        assert merge.added[0].local_part.endswith(f".{FIRST_SECOND}")
        assert not files.merge(files.folder / "export.json").changes


class TestAnotherPopulation:
    def test_an_export_of_another_seed_is_refused_without_a_word_for_it(self, tmp_path: Path) -> None:
        files = Files(tmp_path)
        files.merge(crowd(1, 2, 3))
        before = files.text
        stranger = files.export(crowd(7), name="other.json", seed="another one")
        for prune in (False, True):
            with pytest.raises(
                MergeError,
                match=r"is an export with the seed 'another one', and .* with the seed 's', of whose 3 agents it has 0",
            ):
                files.merge(stranger, prune=prune)
        assert files.text == before
        assert files.merge(stranger, seed="s").kept == 0

    def test_ids_that_became_numbers_with_a_fraction(self, tmp_path: Path) -> None:
        files = Files(tmp_path)
        files.merge([export_agent("1"), export_agent("2")])
        before = files.text
        with pytest.raises(MergeError, match=r"agent 1\.0: is 1 in .*prod\.yaml, written as a number with a fraction"):
            files.merge([export_agent("1.0"), export_agent("2.0")])
        assert files.text == before
        assert files.merge([export_agent("1"), export_agent("2"), export_agent("7.0")]).added
