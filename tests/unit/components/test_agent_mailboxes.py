"""What the mailboxes' component declares."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pulumi
import pytest

from components.agent_mailboxes import Addressed, AgentMailboxes, AgentMailboxesArgs, read_agents
from mailboxes.buckets import bucket_of
from mailboxes.packed_map import unpacked
from settings.loading import from_config
from settings.model import Settings
from tests.unit.components.conftest import Recorder, run_program

SECRETS = {"mailjetApiKey": "k" * 32, "mailjetApiSecret": "s" * 32, "webhookSecret": "w" * 32}
CONFIG = {
    "domain": "dev.agents.example",
    "dns": "none",
    "webhookUrl": "https://api.agents.example/in",
    **SECRETS,
}
ADDRESSES = {
    f"00000000-0000-4000-8000-{number:012d}": f"a.b.{number:03d}.20241005123045@dev.agents.example"
    for number in range(300)
}


def settings(**changes: object) -> Settings:
    return from_config({**CONFIG, **changes}, stack="dev", preview=False)


def declare(addresses: Mapping[str, str], ahead: Mapping[str, str] | None = None, **changes: object) -> None:
    """Run a program that declares the component, to its end."""

    people = Addressed(addresses=addresses, ahead=ahead or {}, policies={})

    def program() -> None:
        AgentMailboxes("agents", AgentMailboxesArgs.of(settings(**changes), people), after=[])

    run_program(program)


class TestBuckets:
    def test_every_agent_is_in_the_bucket_of_her_id_and_no_other(self, recorder: Recorder) -> None:
        declare(ADDRESSES)

        buckets = {name: json.loads(inputs["routes"]) for name, inputs in recorder.of_type("InboundRoutes").items()}
        assert {agent: box for routes in buckets.values() for agent, box in routes.items()} == ADDRESSES
        assert all(
            name == f"agents-routes-{bucket_of(agent):02d}" for name, routes in buckets.items() for agent in routes
        )
        assert sum(map(len, buckets.values())) == len(ADDRESSES)

    def test_the_text_is_sorted_and_compact(self, recorder: Recorder) -> None:
        declare(dict(reversed(ADDRESSES.items())))

        for inputs in recorder.of_type("InboundRoutes").values():
            routes = json.loads(inputs["routes"])
            assert inputs["routes"] == json.dumps(dict(sorted(routes.items())), separators=(",", ":"))

    def test_an_empty_population_has_a_book_and_no_bucket(self, recorder: Recorder) -> None:
        declare({})

        assert unpacked(recorder.of_type("AddressBook")["agents-book"]["addresses"]) == {}
        assert recorder.of_type("InboundRoutes") == {}

    def test_the_book_has_every_agent(self, recorder: Recorder) -> None:
        declare(ADDRESSES)

        assert unpacked(recorder.of_type("AddressBook")["agents-book"]["addresses"]) == ADDRESSES

    def test_the_book_knows_the_url_without_its_secret(self, recorder: Recorder) -> None:
        declare(ADDRESSES)

        book = recorder.of_type("AddressBook")["agents-book"]
        assert book["route_identity"] == "https://agentmail-dev@api.agents.example/in"
        assert not any("w" * 32 in str(value) for value in book.values())


class TestReading:
    def population(self, folder: Path, text: str) -> str:
        (folder / "p.yaml").write_text(text)
        return json.dumps([{"file": str(folder / "p.yaml")}])

    def test_addresses_of_the_files(self, tmp_path: Path) -> None:
        text = "seed: s\ncreated_at: 20241005123045\nagents:\n- {id: a1, name: Ada Lovelace, username_hint: ada}\n"
        people = read_agents(settings(populations=self.population(tmp_path, text)))
        [(agent, address)] = people.addresses.items()
        assert people.ahead == {}
        assert agent == "a1"
        assert address.startswith("ada.lovelace.")

    def test_a_problem_is_a_sentence_for_the_engine(self, tmp_path: Path) -> None:
        with pytest.raises(pulumi.RunError, match=r"p\.yaml"):
            read_agents(settings(populations=self.population(tmp_path, "agents: {")))

    def test_a_second_that_has_not_come_yet_is_told_to_the_book_and_read_nevertheless(
        self, tmp_path: Path, recorder: Recorder
    ) -> None:
        text = (
            "seed: s\ncreated_at: 29991005123045\nagents:\n- {id: a1, name: Ada Lovelace}\n"
            "- {id: a2, name: Bob Kahn, created_at: 20241005123045}\n- {id: a3, name: Eve Low, local_part: eve}\n"
        )
        people = read_agents(
            settings(populations=self.population(tmp_path, text.replace("name", "username_hint: u, name")))
        )
        assert people.ahead == {"a1": "29991005123045"}

        declare(people.addresses, people.ahead)
        assert json.loads(recorder.of_type("AddressBook")["agents-book"]["ahead"]) == people.ahead

    def test_as_a_rule_the_book_is_told_nothing_of_the_clock(self, recorder: Recorder) -> None:
        declare(ADDRESSES)
        assert recorder.of_type("AddressBook")["agents-book"].get("ahead") is None
