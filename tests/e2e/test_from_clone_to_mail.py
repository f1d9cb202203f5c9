"""The scenario that everything stands on: from an export of the platform to working mailboxes, and back to nothing."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from azmail import MailStack
from tests.e2e.stack import ROOT, Emulators, Stack, mail

POPULATION = ROOT / "populations" / "dev.yaml"
NEWCOMER = {
    "id": "0b5c3a53-6c0b-5d0e-9f5e-6a3d6c1b2a10",
    "name": "Ada Lovelace",
    "username_hint": "ada_lovelace_madrid1815",
}


@pytest.fixture(scope="module")
def scenario(emulators: Emulators, tmp_path_factory: pytest.TempPathFactory) -> Stack:
    """A stack with a population file of its own, since the tests of this module edit it one after the other."""
    folder = tmp_path_factory.mktemp("scenario")
    population = folder / "population.yaml"
    shutil.copy(POPULATION, population)
    return Stack.create(folder / "project", emulators, population=population)


@pytest.fixture(scope="module")
def before(emulators: Emulators) -> dict[str, Any]:
    return emulators.state("cloudflare")


def addresses(population: Path) -> dict[str, str]:
    found: dict[str, str] = json.loads(mail("agents", "addresses", population, "--domain", "dev.agents.example").out)
    return found


def living(cloudflare: dict[str, Any]) -> dict[str, Any]:
    """Cloudflare keeps the rows of deleted tunnels; they are history, not something left behind."""
    return {**cloudflare, "tunnels": [tunnel for tunnel in cloudflare["tunnels"] if not tunnel["deleted_at"]]}


def signed_lines(diff: str) -> list[str]:
    """The lines of a `--diff` display that add or remove something inside a resource."""
    return [line.strip() for line in diff.splitlines() if re.match(r"\s+[+-] ", line)]


class TestScenario:
    """The tests of this class build on each other, in order."""

    def test_first_up(self, before: dict[str, Any], scenario: Stack, emulators: Emulators) -> None:
        emulators.forget_requests()
        done = scenario.up()
        assert "warning" not in done.text.lower()
        assert "Traceback" not in done.text

        expected = addresses(scenario.folder.parent / "population.yaml")
        assert len(expected) == 100
        assert {route["Email"] for route in emulators.routes()} == set(expected.values())

        outputs = scenario.outputs()
        assert {box.agent_id: box.address for box in MailStack(outputs)} == expected
        assert (outputs["dkimStatus"], outputs["spfStatus"], outputs["mailboxCount"]) == ("OK", "OK", 100)
        ours = [r for r in emulators.records() if r.get("comment") == "managed by pulumi: agentmail-dev"]
        assert sorted((r["type"], r["name"], r["content"]) for r in ours) == sorted(
            (r["type"], r["name"], r["content"]) for r in outputs["expectedRecords"]
        )
        assert [r["type"] for r in outputs["expectedRecords"]] == ["MX", "TXT", "TXT", "TXT", "TXT", "CNAME"]
        assert outputs["tunnelToken"]

    def test_second_up_writes_nothing(self, scenario: Stack, emulators: Emulators) -> None:
        emulators.forget_requests()
        done = scenario.up("--expect-no-changes")
        assert "unchanged" in done.out
        assert emulators.writes == 0

    def test_one_more_agent_is_one_line_and_one_write(
        self, scenario: Stack, emulators: Emulators, tmp_path: Path
    ) -> None:
        population = scenario.folder.parent / "population.yaml"
        export = json.loads((ROOT / "tests/fixtures/population-100.json").read_text())
        export["agents"].append(NEWCOMER)
        (tmp_path / "export.json").write_text(json.dumps(export))
        mail("agents", "import", tmp_path / "export.json", population)
        hers = addresses(population)[NEWCOMER["id"]]

        emulators.forget_requests()
        lines = signed_lines(scenario.preview("--diff").out)
        assert lines
        assert all(hers in line for line in lines), lines
        digest = mail("preview", "--from", "-", stdin=scenario.preview("--json").out).out
        assert digest.splitlines()[0] == "dev: 1 mailbox added."
        assert f"{hers}  agent {NEWCOMER['id']}" in digest
        assert digest.count("@") == 1
        assert emulators.writes == 0

        scenario.up()
        assert emulators.writes == 1
        assert hers in {route["Email"] for route in emulators.routes()}

    def test_removing_her_is_one_line_and_one_write(self, scenario: Stack, emulators: Emulators) -> None:
        population = scenario.folder.parent / "population.yaml"
        hers = addresses(population)[NEWCOMER["id"]]
        mail("agents", "import", ROOT / "tests/fixtures/population-100.json", population, "--prune")

        emulators.forget_requests()
        lines = signed_lines(scenario.preview("--diff").out)
        assert lines
        assert all(hers in line for line in lines), lines
        digest = mail("preview", "--from", "-", stdin=scenario.preview("--json").out).out
        assert digest.splitlines()[0] == "dev: 1 mailbox removed."
        assert digest.count("@") == 1

        scenario.up()
        assert emulators.writes == 1
        assert hers not in {route["Email"] for route in emulators.routes()}
        assert len(emulators.routes()) == 100

    def test_destroy_leaves_what_was_there_before(
        self, scenario: Stack, emulators: Emulators, before: dict[str, Any]
    ) -> None:
        scenario.destroy()
        assert emulators.routes() == []
        assert emulators.mailjet("GET", "/v3/REST/sender").json()["Data"] == []
        assert living(emulators.state("cloudflare")) == living(before)
