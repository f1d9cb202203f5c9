"""Population files: what is accepted, and what a person is told about the rest."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailboxes.addresses import addresses
from mailboxes.document import MAX_BYTES
from mailboxes.population import (
    Agent,
    Population,
    PopulationError,
    PopulationSource,
    agents_ahead,
    canonical_agent_id,
    load_population,
    load_populations,
    stamps_ahead,
)
from mailboxes.stamp import canonical_stamp

FIXTURES = Path(__file__).parents[2] / "fixtures"
SECOND = "20241005123045"
UUID = "538605c0-4728-53d9-b533-76e2b3da240c"
HEADER = "seed: s\ncreated_at: 20241005123045\n"


def clock() -> datetime:
    return datetime(2025, 1, 1, 12, 0, 0, tzinfo=UTC)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "prod.yaml"


def load(file: Path, text: str | bytes) -> Population:
    file.write_bytes(text.encode() if isinstance(text, str) else text)
    return load_population(file, now=clock)


def complaints(file: Path, text: str | bytes) -> list[str]:
    """What is said about a file with this text, the path left out."""
    with pytest.raises(PopulationError) as caught:
        load(file, text)
    assert len(caught.value.problems) == len(set(caught.value.problems))
    return [str(problem).replace(str(file), "FILE") for problem in caught.value.problems]


class TestShapes:
    def test_export(self) -> None:
        population = load_population(FIXTURES / "population-3.json", created_at=SECOND)

        assert population.seed == "20241005"
        assert [agent.name for agent in population.agents] == ["Vector Aurora", "Glyph Glyph", "Glyph Vector"]
        assert addresses([population], "agents.example")[UUID] == "vector.aurora.164.20241005123045@agents.example"

    def test_export_with_mailboxes(self, file: Path) -> None:
        export = json.loads((FIXTURES / "population-3.json").read_text())
        export |= {"mailboxes": [{"agent_id": UUID, "address": "x@y.example"}], "persisted": 3, "later": {"a": []}}

        file.write_text(json.dumps(export))

        assert (
            load_population(file, created_at=SECOND).agents
            == load_population(FIXTURES / "population-3.json", created_at=SECOND).agents
        )

    def test_bare_array(self) -> None:
        population = load_population(FIXTURES / "population-5-array.json", "cli-5", SECOND)

        assert (population.seed, population.created_at, len(population.agents)) == ("cli-5", SECOND, 5)

    def test_bare_array_with_the_remark_of_the_cli(self, tmp_path: Path) -> None:
        file = tmp_path / "export.json"
        text = (FIXTURES / "population-5-array.json").read_text()
        file.write_text(text + "\n[stub] Persistence is not implemented yet.\n")

        assert len(load_population(file, "cli-5", SECOND).agents) == 5

    def test_yaml(self, file: Path) -> None:
        population = load(
            file,
            HEADER + "agents:\n- {id: a1, name: María José Núñez, local_part: maria.nunez.007.20241106080000}\n"
            "- id: a2\n  bio: >\n    long\n    text\n  interests: [chess]\n  name: 王 小明\n"
            "  created_at: 20241106080000\n",
        )

        assert population.agents == (
            Agent(id="a1", name="María José Núñez", local_part="maria.nunez.007.20241106080000"),
            Agent(id="a2", name="王 小明", created_at="20241106080000"),
        )

    def test_yaml_that_is_a_bare_list(self, file: Path) -> None:
        file.write_text(f"---\n- id: a1\n  name: Maria Nunez\n  created_at: {SECOND}\n...\n")

        assert load_population(file, seed="s").agents[0].id == "a1"

    @pytest.mark.parametrize("text", ["{seed: s, agents: [{id: a1, local_part: bot}]}", "[{id: a1, local_part: bot}]"])
    def test_yaml_in_brackets(self, file: Path, text: str) -> None:
        assert load(file, text).agents == (Agent(id="a1", local_part="bot"),)

    @pytest.mark.parametrize("text", ["agents: []", '{"agents": []}', "[]", "{ }", HEADER + "agents: []\n"])
    def test_a_population_of_nobody(self, file: Path, text: str) -> None:
        if text == "{ }":
            assert "has no agents" in complaints(file, text)[0]
        else:
            assert load(file, text).agents == ()

    @pytest.mark.parametrize("name", ["x.yaml", "x.json", "x"])
    def test_a_byte_order_mark(self, tmp_path: Path, name: str) -> None:
        text = b'\xef\xbb\xbf{"seed": "s", "created_at": "20241005123045", "agents": [{"id": "a1", "name": "B C"}]}'

        assert load(tmp_path / name, text).agents[0].name == "B C"

    def test_windows_line_ends(self, file: Path) -> None:
        assert load(file, (HEADER + "agents:\n- id: a1\n  name: B C\n").replace("\n", "\r\n")).agents[0].name == "B C"


class TestScalars:
    """Every scalar is the text that stands there."""

    @pytest.mark.parametrize(
        "text",
        [
            "0123",
            "1e3",
            "0x1F",
            "No",
            "yes",
            "true",
            "1_000",
            "12:30:45",
            "2024-10-05",
            ".5",
            "~x",
            "1.0",
        ],
    )
    def test_yaml(self, file: Path, text: str) -> None:
        agent = load(file, HEADER + f"agents:\n- id: {text}\n  name: {text} {text}\n  username_hint: {text}\n").agents[
            0
        ]

        assert (agent.id, agent.name, agent.username_hint) == (text, f"{text} {text}", text)

    def test_json(self, file: Path) -> None:
        agent = load(
            file,
            '{"seed": 7, "created_at": 20241005123045, "agents": [{"id": 12345678901234567890123, "name": 1.50,'
            ' "username_hint": true, "created_at": null, "local_part": null}]}',
        ).agents[0]

        assert agent == Agent(id="12345678901234567890123", name="1.50", username_hint="true")

    @pytest.mark.parametrize("nothing", ["", "~", "null", "Null", "NULL", ".nan", ".NaN", "NaN"])
    def test_what_is_not_there_is_no_name(self, file: Path, nothing: str) -> None:
        """As a table's empty cells come out; it became the address null.null."""
        row = f"agents:\n- id: a1\n  name: {nothing}\n  username_hint: {nothing}\n"
        assert complaints(file, HEADER + row)[0].startswith(
            "FILE:4: agent a1: name '' and username_hint '' give no address"
        )
        assert complaints(file, HEADER + f"agents:\n- id: {nothing}\n  name: B C\n")[0].startswith("FILE:4: has no id")
        named = load(file, HEADER + f"agents:\n- id: a1\n  name: x{nothing} C\n").agents[0]
        assert named.name == f"x{nothing} C"

    @pytest.mark.parametrize("quoted", ['"null"', "'NaN'"])
    def test_a_name_that_is_quoted_is_one(self, file: Path, quoted: str) -> None:
        found = load(file, HEADER + f"agents:\n- {{id: {quoted}, name: B C, username_hint: {quoted}}}\n").agents[0]
        assert (found.id, found.username_hint) == (quoted[1:-1], quoted[1:-1])

    @pytest.mark.parametrize("nothing", ["null", "NaN", "-Infinity"])
    def test_json_s_nothing(self, file: Path, nothing: str) -> None:
        agents = f'[{{"id": "a1", "name": {nothing}, "username_hint": {nothing}}}, {{"id": {nothing}, "name": "B C"}}]'
        said = complaints(file, f'{{"seed": "s", "created_at": {SECOND}, "agents": {agents}}}')
        assert any(
            "agent a1: name '' and username_hint '' give no address" in text or "has no id" in text for text in said
        )
        assert any("has no id" in text for text in said)

    def test_the_seed_and_the_stamp(self, file: Path) -> None:
        population = load(file, "seed: 007\ncreated_at: 20241005123045\nagents: []\n")

        assert (population.seed, population.created_at) == ("007", SECOND)

    @pytest.mark.parametrize("value", ["", "~", "null"])
    def test_an_optional_value_left_empty(self, file: Path, value: str) -> None:
        text = HEADER + f"agents:\n- id: a1\n  created_at: {value}\n  local_part: {value}\n  name: B C\n"

        assert load(file, text).agents == (Agent(id="a1", name="B C"),)


class TestAgentIds:
    @pytest.mark.parametrize(
        "text", [UUID, UUID.upper(), f" {UUID} ", f"{{{UUID}}}", f"urn:uuid:{UUID}", UUID.replace("-", "")]
    )
    def test_uuids_are_canonical(self, text: str) -> None:
        assert canonical_agent_id(text) == UUID

    @pytest.mark.parametrize("text", ["Bot 7", "0123", "é", UUID[:-1]])
    def test_others_stay(self, text: str) -> None:
        assert canonical_agent_id(text) == text

    @pytest.mark.parametrize("text", ["", " ", "a\nb", "a\u200bb", "\ud800", "x" * 256])
    def test_unusable(self, text: str) -> None:
        with pytest.raises(ValueError, match=r"^id "):
            canonical_agent_id(text)


class TestSeedAndStamp:
    AGENTS = "agents:\n- {id: a1, name: B C}\n- {id: a2, name: B C, created_at: 20241106080000}\n"

    def test_from_the_caller(self, file: Path) -> None:
        file.write_text(self.AGENTS)

        population = load_population(file, "s", SECOND)

        assert [entry.created_at for entry in population.naming_inputs()] == [SECOND, "20241106080000"]
        assert {entry.seed for entry in population.naming_inputs()} == {"s"}

    def test_the_caller_overrides_the_file(self, file: Path) -> None:
        file.write_text(HEADER + self.AGENTS)

        population = load_population(file, "other", "20241005123046")

        assert (population.seed, population.created_at) == ("other", "20241005123046")

    def test_both_missing(self, file: Path) -> None:
        assert [text[:40] for text in complaints(file, "- {id: a1, name: B C}\n")] == [
            "FILE: has no seed, on which the three di",
            "FILE: has no created_at, and none of its",
        ]

    def test_one_stamp_missing(self, file: Path) -> None:
        said = complaints(file, "seed: s\n" + self.AGENTS)

        assert len(said) == 1
        assert said[0].startswith("FILE:3: agent a1: has no created_at, and the population has none either; write")

    @pytest.mark.parametrize(
        ("stamp", "sentence"),
        [
            ("2024100512304", "'2024100512304' is no stamp; expected a UTC second, YYYYMMDDHHMMSS or as ISO 8601"),
            ("20240230000000", "'20240230000000' is no real moment (day 30, of 1 to 29); expected"),
            ("20241005123060", "'20241005123060' is no real moment (second 60, of 0 to 59); expected"),
            ("00000101000000", "'00000101000000' is no real moment (year 0, of 1 to 9999); expected"),
            ("2024-10-05 12:30:45", "does not say that it is UTC; if it is, write Z behind it"),
            ("2024-10-05T12:30:45.5", "does not say that it is UTC"),
            ("2024-10-05T12:30Z", "is no stamp; expected a UTC second"),
            ("2024-10-05T12:30:60Z", "is no real moment (second 60, of 0 to 59)"),
            ("2024-10-05T24:00:00Z", "is no real moment (hour 24, of 0 to 23)"),
            ("2024-10-05T12:30:45+24:00", "is no real moment (no such offset)"),
            ("2024-10-05T12:30:45+02:60", "is no real moment (no such offset)"),
            ("2024-1005T12:30:45Z", "is no stamp"),
            ("2024-W40-6T12:30:45Z", "is no stamp"),
            ("2024-10-05T12:30:45 CEST", "is no stamp"),
            ("0001-01-01T00:00:00+02:00", "is no real moment (in UTC it is not in the years 1 to 9999)"),
            ("2024-10-05", "has no time of day; expected a UTC second"),
            ("20241005", "'20241005' is no stamp; expected a UTC second"),
            ("yesterday", "'yesterday' is no stamp; expected"),
            ("２０２４１００５１２３０４５", "is no stamp; expected"),
        ],
    )
    def test_no_stamp(self, file: Path, stamp: str, sentence: str) -> None:
        said = complaints(
            file, f"seed: s\ncreated_at: {stamp}\nagents:\n- id: a1\n  name: B C\n  created_at: {stamp}\n"
        )

        assert len(said) == 2
        assert said[0].startswith("FILE:2: created_at ")
        assert said[1].startswith("FILE:6: agent a1: created_at ")
        assert all(sentence in text for text in said)

    @pytest.mark.parametrize(
        "spelling",
        [
            "2024-10-05T12:30:45Z",
            "2024-10-05t12:30:45z",
            "2024-10-05T12:30:45.999999Z",
            "2024-10-05T14:30:45+02:00",
            "2024-10-05 14:30:45.123+02",
            "2024-10-05T07:00:45-05:30",
            "2024-10-05 12:30:45 UTC",
            "2024-10-05T12:30:45-00:00",
            "20241005T123045Z",
            '"2024-10-05T12:30:45+00:00"',
            "20241005123045",
        ],
    )
    def test_every_spelling_of_a_second_gives_the_same_address(self, file: Path, spelling: str) -> None:
        found = load(
            file, f"seed: s\ncreated_at: {spelling}\nagents:\n- {{id: a1, name: B C, created_at: {spelling}}}\n"
        )
        assert (found.created_at, found.agents[0].created_at) == ("20241005123045", "20241005123045")
        assert {claim.created_at for claim in found.naming_inputs()} == {"20241005123045"}

    def test_the_caller_may_spell_it_likewise(self, file: Path) -> None:
        file.write_text("seed: s\nagents: []\n")
        assert load_population(file, created_at="2024-10-05T14:30:45+02:00").created_at == "20241005123045"

    @given(
        moment=st.datetimes(datetime(1000, 1, 3), datetime(9998, 12, 30)),
        minutes=st.integers(-23 * 60 - 59, 23 * 60 + 59),
        blank=st.sampled_from("T "),
    )
    def test_iso_8601_is_read_as_python_reads_it(self, moment: datetime, minutes: int, blank: str) -> None:
        there = moment.replace(tzinfo=timezone(timedelta(minutes=minutes)))
        assert canonical_stamp(there.isoformat(blank)) == f"{there.astimezone(UTC):%Y%m%d%H%M%S}"

    @given(st.text(alphabet="0123456789-:T+Z. ", max_size=30))
    def test_what_is_taken_for_a_stamp_is_a_real_moment(self, text: str) -> None:
        try:
            stamp = canonical_stamp(text)
        except ValueError:
            return
        assert re.fullmatch(r"[0-9]{14}", stamp)
        assert canonical_stamp(stamp) == stamp

    def test_a_second_that_has_not_come_yet_is_read_and_told(self, file: Path) -> None:
        """Whether it may be, only the book can say: an address that is in use stays."""
        text = (
            "seed: s\ncreated_at: 29991231235959\nagents:\n- {id: a1, name: B C}\n"
            "- {id: a2, name: B C, created_at: 2025-01-01T12:05:01Z}\n- {id: a3, name: B C, created_at: 20250101120459}\n"
            "- {id: a4, name: D E, local_part: d}\n"
        )
        population = load(file, text)
        assert agents_ahead([population], now=clock) == {"a1": "29991231235959", "a2": "20250101120501"}
        told = [str(problem) for problem in stamps_ahead([PopulationSource(path=file)], now=clock)]
        assert [line.replace(str(file), "FILE").partition(" (it is now")[0] for line in told] == [
            "FILE:5: agent a2: created_at '20250101120501' lies in the future",
            "FILE:2: created_at '29991231235959' lies in the future",
        ]

    def test_a_little_clock_skew_is_allowed(self, file: Path) -> None:
        assert load(file, "created_at: 20250101120459\nagents: []").created_at == "20250101120459"

    def test_a_bad_stamp_from_the_caller_has_no_line(self, file: Path) -> None:
        file.write_text(HEADER + self.AGENTS)

        with pytest.raises(PopulationError, match=re.escape(f"{file}: created_at 'soon' is no stamp")):
            load_population(file, created_at="soon")
        with pytest.raises(PopulationError, match=re.escape(f"{file}: seed is empty")):
            load_population(file, seed=" ")


class TestAgentsFile:
    """An export kept as it is, beside a small file with what it lacks."""

    @pytest.fixture
    def export(self, tmp_path: Path) -> Path:
        export = tmp_path / "exports" / "october.json"
        export.parent.mkdir()
        export.write_bytes((FIXTURES / "population-3.json").read_bytes())
        return export

    def test_stamps_and_pins_beside_it(self, file: Path, export: Path) -> None:
        population = load(
            file,
            "agents_file: exports/october.json\ncreated_at: 20241005123045\nagents:\n"
            f"- {{id: {UUID.upper()}, local_part: vector}}\n"
            "- {id: e1f8a769-dac9-5019-a3cf-40de98ff6020, created_at: 20241106080000}\n"
            "- {id: a4, name: Fourth Agent}\n",
        )

        assert population.seed == "20241005"
        assert [(a.id[:4], a.name, a.created_at, a.local_part) for a in population.agents] == [
            ("5386", "Vector Aurora", None, "vector"),
            ("e1f8", "Glyph Glyph", "20241106080000", None),
            ("aa5f", "Glyph Vector", None, None),
            ("a4", "Fourth Agent", None, None),
        ]

    def test_alone(self, file: Path, export: Path) -> None:
        text = f"agents_file: exports/october.json\n{HEADER}"

        assert len(load(file, text).agents) == 3
        assert load(file, text).seed == "s"

    def test_problems_of_both_files(self, file: Path, export: Path) -> None:
        export.write_text('[{"id": "a1", "name": "."},\n {"id": "a2", "name": [1]},\n {"id": "a1", "name": "B C"}]')

        said = complaints(file, f"agents_file: exports/october.json\n{HEADER}agents:\n- {{id: a9, local_part: A}}\n")

        assert [text.replace(str(export), "EXPORT")[:60] for text in said] == [
            "FILE:5: agent a9: local part 'A' is not made of a-z, 0-9, '_",
            "EXPORT:1: agent a1: name '.' and username_hint '' give no ad",
            "EXPORT:2: agent a2: name is a list; expected text",
            "EXPORT:3: agent a1: id a1 is also that of the agent on line ",
        ]

    def test_an_id_that_the_export_does_not_have(self, file: Path, export: Path) -> None:
        said = complaints(
            file, f"agents_file: exports/october.json\n{HEADER}agents:\n- {{id: a9, created_at: 20241106080000}}\n"
        )

        assert said == [
            f"FILE:5: agent a9: is not in {export}, and has no name here; correct the id, or give the agent a name"
        ]

    def test_a_file_that_is_not_there(self, file: Path) -> None:
        said = complaints(file, "agents_file: gone.json\nagents:\n- {id: a9}\n")

        assert said == [
            f"{file.parent / 'gone.json'}: cannot be read (no such file or directory); expected a population file"
        ]

    def test_a_file_that_names_another(self, file: Path, export: Path) -> None:
        export.write_text(HEADER + "agents_file: x\nagents: []")

        assert complaints(file, "agents_file: exports/october.json") == [
            f"{export}:3: names an agents_file in its turn; name the export itself"
        ]

    def test_not_text(self, file: Path) -> None:
        assert complaints(file, "agents_file: [a]\nagents: []") == ["FILE:1: agents_file is a list; expected text"]


class TestProblems:
    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ("", "FILE: is blank; expected a list of agents (for a population of nobody write `agents: []`)"),
            ("\n# nothing yet\n\n", "FILE: is blank; "),
            ("hello", "FILE:1: is plain text; expected a list of agents, or a mapping with `agents`"),
            ("---\n", "FILE: is blank; "),
            ("gender: female\ncount: 3\n", "FILE: has no agents; expected the platform's export or a list `agents`"),
            (HEADER + "gender: female\nagents: []\n", "FILE:3: unknown key 'gender'; expected seed, created_at, ag"),
            ('{"gender": "female", "count": 3}', "FILE: has no agents; expected the platform's export or a list"),
            ("seed: s\n", "FILE: has no agents; "),
            ("agents:\n", "FILE:1: agents has no list; expected a list of agents (for a population of nobody"),
            ("agents: {a: b}\n", "FILE:1: agents is a mapping; "),
            ('{"agents": {}}', "FILE:1: agents is a mapping; "),
            ('{"agents": null}', "FILE:1: agents is 'null'; "),
            (HEADER + "agents:\n- a\n", "FILE:4: agent number 1 is the text 'a'; expected a mapping with id and name"),
            (HEADER + "agents:\n- [a]\n", "FILE:4: agent number 1 is a list; "),
            ('[{"id": "a", "local_part": "b"},\n 7, null]', "FILE:2: agent number 2 is '7'; expected an object with"),
            (HEADER + "agents:\n- name: B C\n", "FILE:4: has no id; expected the platform's id of the agent"),
            (HEADER + "agents:\n- id: ''\n  name: B C\n", "FILE:4: id is empty; "),
            (HEADER + "agents:\n- id: a1\n  name: [B, C]\n", "FILE:5: agent a1: name is a list; expected text"),
            (HEADER + "agents:\n- id: {a: b}\n  name: B C\n", "FILE:4: id is a mapping; expected text"),
            (HEADER + "agents:\n- {id: a1, name: '…'}\n", "FILE:4: agent a1: name '…' and username_hint '' give no"),
            (HEADER + "agents:\n- id: a1\n  local_part: A B\n", "FILE:5: agent a1: local part 'A B' is not made of"),
            (
                HEADER + "agents:\n- {id: A1, name: B C}\n- {id: a1, name: B C}\n",
                "FILE:5: agent a1: id a1 is also that",
            ),
            (
                HEADER
                + f"agents:\n- {{id: {UUID}, name: B C}}\n- {{id: {UUID.replace('-', '').upper()}, name: B C}}\n",
                f"FILE:5: agent {UUID}: id {UUID} is also that of the agent on line 4; keep one of them",
            ),
            (
                "agents:\n- {id: a1, local_part: bot}\n- {id: a2, local_part: bot}\n",
                "FILE:3: agent a2: local_part bot is also that of agent a1; two agents cannot have one mailbox",
            ),
            (HEADER + "create_at: 1\nagents: []\n", "FILE:3: unknown key 'create_at'; write it created_at"),
            (HEADER + "createdAt: 1\nagents: []\n", "FILE:3: unknown key 'createdAt'; write it created_at"),
            ('{"agents": [],\n "createdAt": 1}', "FILE:2: unknown key 'createdAt'; write it created_at"),
            (HEADER + "agent: []\nagents: []\n", "FILE:3: unknown key 'agent'; write it agents"),
            (
                HEADER + "agents:\n- id: a1\n  name: B C\n  local-part: bot\n",
                "FILE:6: unknown key 'local-part' of an agent; write it local_part",
            ),
            (
                '{"seed": "s", "created_at": "20241005123045", "agents": [\n{"id": "a", "name": "B C", "userNameHint": ""}]}',
                "FILE:2: unknown key 'userNameHint' of an agent; write it username_hint",
            ),
            (HEADER + "seed: t\nagents: []\n", "FILE:3: key 'seed' stands twice; keep one of them"),
            (
                HEADER + "agents:\n- id: a1\n  name: B C\n  name: D E\n",
                "FILE:6: key 'name' stands twice in the agent that begins on line 4; keep one of them",
            ),
            ('{"agents": [],\n "agents": []}', "FILE:2: key 'agents' stands twice; keep one of them"),
            (
                '[\n {"id": "a1", "local_part": "a", "local_part": "b"}]',
                "FILE:2: key 'local_part' stands twice in one agent; keep one of them",
            ),
            ("seed: [s]\nagents: []\n", "FILE:1: seed is a list; expected text"),
            ("seed: ' '\nagents: []\n", "FILE:1: seed is empty; expected the population's seed"),
            (HEADER + "? [a]\n: b\nagents: []\n", "FILE:3: has a key that is not text"),
            (HEADER + "agents: []\n---\nagents: []\n", "FILE:4: holds a second document (`---`); put each population"),
            (
                HEADER + "agents:\n\t- id: a1\n",
                "FILE:4: has a tab at column 1, where YAML allows only spaces; replace it",
            ),
            (HEADER + "agents:\n- id: a1\n name: B\n", "FILE:5: is not readable as YAML: "),
            (HEADER + "agents:\n- {id: a1, name: 'B C}\n", "is not readable as YAML: "),
            ('{"agents": [\n{"id": "a1"},\n{"id" "a2"}]}', "FILE:3: is not readable as "),
            ('{"agents": []}\n]', "FILE:2: has more text after the end of the JSON"),
            (b"agents: []\n# \xe9\n", "FILE: line 2 holds byte 0xe9, which is not UTF-8; save the file as UTF-8"),
            ("agents: []".encode("utf-16"), "FILE: is UTF-16; save it as UTF-8"),
            (b"agents:\n- {id: a\x00, name: B C}\n", "FILE:2: holds a NUL byte, so it is damaged or no text file"),
            (b'{"agents": [\n{"id": "a\x00"}]}', "FILE:2: holds a NUL byte, "),
            (b"agents: []\n# \x1b[31m\n", "FILE:2: holds the control character U+001B, so it is damaged"),
            (
                b'[{"id": "\\ud800", "local_part": "a"}]',
                "FILE:1: agent \\ud800: id '\\ud800' holds a character that can",
            ),
            (b'[{"id": "a1", "name": "\\ud800 B"}]', "FILE:1: agent a1: '\\ud800 B' holds half of a surrogate pair"),
            (
                HEADER + "agents:\n- &x {id: a1, name: B C}\n",
                "FILE:4: uses a YAML anchor or alias (x); write the value out",
            ),
            (
                HEADER + "agents:\n- {id: a1, name: *x}\n",
                "FILE:4: uses a YAML anchor or alias (x); write the value out",
            ),
            (HEADER + "x: " + "[" * 200 + "]" * 200 + "\nagents: []", "FILE:3: is nested more than 100 levels deep"),
            ('{"x": ' + "[" * 200_000 + "]" * 200_000 + ', "agents": []}', "nested"),
        ],
    )
    def test_each_is_told(self, file: Path, text: str | bytes, said: str) -> None:
        assert said in complaints(file, text)[0]

    def test_all_at_once_in_the_order_of_the_file(self, file: Path) -> None:
        said = complaints(
            file,
            "seed: s\ncreatedat: x\nagents:\n"
            "- {id: a1, name: B C, created_at: 20249999000000}\n"
            "- {id: a2, name: '.', created_at: 20241005123045}\n"
            "- {name: B C}\n"
            "- {id: A1, name: B C}\n"
            "- {id: a4, name: B C}\n"
            "- {id: a5, name: {}, local_part: '@', created_at: []}\n",
        )

        assert [text.partition(": ")[0] for text in said] == [f"FILE:{line}" for line in (2, 4, 5, 6, 7, 8, 9, 9, 9)]

    def test_twenty_are_spelt_out(self, file: Path) -> None:
        agents = "".join(f"- {{id: a{number}}}\n" for number in range(1234))

        with pytest.raises(PopulationError) as caught:
            load(file, HEADER + "agents:\n" + agents)

        assert len(caught.value.problems) == 1234
        lines = str(caught.value).splitlines()
        assert lines[0] == "1,234 problems:"
        assert lines[1].startswith(f"  {file}:4: agent a0: name '' and username_hint '' give no address")
        assert lines[-1] == "  and 1,214 more"
        assert len(lines) == 22

    def test_several_files_at_once(self, tmp_path: Path) -> None:
        for name in ("one.yaml", "two.yaml"):
            (tmp_path / name).write_text("agents:\n")

        with pytest.raises(PopulationError) as caught:
            load_populations(PopulationSource(path=tmp_path / name) for name in ("one.yaml", "two.yaml", "three.yaml"))

        assert [Path(str(problem.path)).name for problem in caught.value.problems] == [
            "one.yaml",
            "two.yaml",
            "three.yaml",
        ]

    def test_a_folder(self, tmp_path: Path) -> None:
        with pytest.raises(PopulationError, match=r"cannot be read \(is a directory\); expected a population file"):
            load_population(tmp_path)

    def test_a_file_too_large(self, file: Path) -> None:
        with file.open("wb") as sparse:
            sparse.truncate(MAX_BYTES + 1)

        with pytest.raises(PopulationError, match="is larger than 64 MiB; split the population over several files"):
            load_population(file)

    def test_a_yaml_bomb(self, file: Path) -> None:
        levels = "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 30))

        assert "uses a YAML anchor or alias" in complaints(file, "a0: &a0 lol\n" + levels + "agents: *a29\n")[0]

    def test_a_long_value_is_cut_in_the_message(self, file: Path) -> None:
        said = complaints(file, HEADER + f"agents:\n- {{id: a1, name: '{'.' * 10_000}'}}\n")

        assert len(said[0]) < 500


class TestAnyText:
    """Whatever a file holds, it is read or refused with a sentence."""

    @given(text=st.text(max_size=200))
    def test_any_text(self, text: str, tmp_path_factory: pytest.TempPathFactory) -> None:
        self.read(text.encode(errors="surrogatepass"), tmp_path_factory)

    @given(content=st.binary(max_size=100))
    def test_any_bytes(self, content: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
        self.read(content, tmp_path_factory)

    @given(
        value=st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
            lambda inner: (
                st.lists(inner, max_size=4)
                | st.dictionaries(
                    st.sampled_from(["id", "name", "agents", "seed", "created_at", "local_part", "agents_file", "x"]),
                    inner,
                    max_size=4,
                )
            ),
            max_leaves=15,
        )
    )
    def test_any_json(self, value: object, tmp_path_factory: pytest.TempPathFactory) -> None:
        self.read(json.dumps(value).encode(), tmp_path_factory)

    def read(self, content: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
        file = tmp_path_factory.getbasetemp() / "any.yaml"
        file.write_bytes(content)
        with suppress(PopulationError):
            population = load_population(file, now=clock)
            assert all(agent.id for agent in population.agents)


class TestYamlAndJsonAgree:
    @given(
        agents=st.lists(
            st.fixed_dictionaries(
                {"id": st.uuids().map(str), "name": st.sampled_from(["María Núñez", "No", "0123", "a: b", "'\""])},
                optional={"username_hint": st.just("hint"), "bio": st.text("abc\n#:-'\" ", max_size=20)},
            ),
            max_size=5,
            unique_by=lambda agent: agent["id"],
        )
    )
    def test_same_population(self, agents: list[dict[str, str]], tmp_path_factory: pytest.TempPathFactory) -> None:
        folder = tmp_path_factory.getbasetemp()
        agents = [agent | {"username_hint": "x"} for agent in agents]
        document = {"seed": "s", "created_at": SECOND, "agents": agents}
        (folder / "same.json").write_text(json.dumps(document, indent=2))
        # JSON is YAML; the comment makes the reader take it for that.
        (folder / "same.yaml").write_text("# yaml\n" + json.dumps(document, indent=2))

        as_json, as_yaml = (load_population(folder / name, now=clock) for name in ("same.json", "same.yaml"))

        assert as_json.agents == as_yaml.agents
        assert (as_json.seed, as_json.created_at) == (as_yaml.seed, as_yaml.created_at)
