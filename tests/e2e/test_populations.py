"""People's mistakes with population files, met by guards that a preview shows; and several populations in one stack."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.stack import ROOT, Emulators, Stack, mail

STAMP = "20241005123045"
DOMAIN = "dev.agents.example"


def agents(count: int, *, start: int = 0) -> list[dict[str, str]]:
    return [
        {
            "id": f"00000000-0000-4000-8000-{number:012d}",
            "name": f"Agent Number{number}",
            "username_hint": f"agent_{number}",
        }
        for number in range(start, start + count)
    ]


class TwoPopulations:
    """A stack of forty agents in one file and three in another."""

    def __init__(self, stack: Stack, folder: Path) -> None:
        self.stack = stack
        self.crowd = folder / "crowd.json"
        self.guests = folder / "guests.json"

    def write(self, crowd: list[dict[str, str]], guests: list[dict[str, str]]) -> None:
        self.crowd.write_text(json.dumps({"seed": "crowd", "created_at": STAMP, "agents": crowd}))
        self.guests.write_text(json.dumps({"seed": "guests", "created_at": STAMP, "agents": guests}))


@pytest.fixture(scope="module")
def deployed(emulators: Emulators, tmp_path_factory: pytest.TempPathFactory) -> TwoPopulations:
    folder = tmp_path_factory.mktemp("populations")
    world = TwoPopulations(Stack.create(folder / "project", emulators), folder)
    world.write(agents(40), agents(3, start=500))
    world.stack.configure(
        populations=[{"file": str(world.crowd)}, {"file": str(world.guests)}], agentMailboxes=["operator-1"]
    )
    world.stack.up()
    return world


@pytest.fixture
def world(deployed: TwoPopulations) -> Iterator[TwoPopulations]:
    """As deployed: no test of this module changes anything at Mailjet or Cloudflare."""
    deployed.write(agents(40), agents(3, start=500))
    configuration = deployed.stack.config_file.read_text()
    yield deployed
    deployed.stack.config_file.write_text(configuration)


def refused(world: TwoPopulations) -> str:
    done = world.stack.preview(check=False)
    assert done.code != 0
    assert "Traceback" not in done.text
    return " ".join(done.text.split())


def digest(world: TwoPopulations) -> str:
    return mail("preview", "--from", "-", stdin=world.stack.preview("--json").out, check=False).out


def test_all_populations_and_single_mailboxes_are_one_book(world: TwoPopulations, emulators: Emulators) -> None:
    routed = {route["Email"] for route in emulators.routes()}
    assert len(routed) == 44
    assert f"agent_operator-1@{DOMAIN}" in routed
    assert digest(world).startswith("No changes")


def test_a_changed_legal_name_is_refused_with_the_pin_that_mends_it(world: TwoPopulations) -> None:
    renamed = agents(40)
    renamed[7]["name"] = "Ada Lovelace"
    world.write(renamed, agents(3, start=500))
    sentence = refused(world)
    assert "1 of 44 mailboxes would get another address" in sentence
    pin = re.search(r"\./mail agents pin \S+=(\S+)", sentence)
    assert pin

    renamed[7]["local_part"] = pin.group(1)
    world.write(renamed, agents(3, start=500))
    assert digest(world).startswith("No changes")


def test_a_display_name_in_the_export_moves_nobody(world: TwoPopulations) -> None:
    shown = [{**agent, "bio": "Another story", "tone": "formal"} for agent in agents(40)]
    world.write(shown, agents(3, start=500))
    assert digest(world).startswith("No changes")


def test_a_mass_removal_needs_its_exact_number(world: TwoPopulations) -> None:
    world.write(agents(20), agents(3, start=500))
    sentence = refused(world)
    assert "20 of 44 mailboxes would be removed (45 %, above the limit of 30 % and 10)" in sentence
    assert "./mail pulumi config set --stack dev allowMassRemoval '20 of 44'" in sentence

    for other in ("19 of 44", "20 of 45", "all of 44"):
        world.stack.configure(allowMassRemoval=other)
        assert f"(it is {other} now)" in refused(world)
    world.stack.configure(allowMassRemoval="20")
    assert "expected both numbers of the removal that is meant" in refused(world)
    world.stack.configure(allowMassRemoval="20 of 44")
    assert "20 mailboxes removed" in digest(world)


def test_what_a_guard_refuses_stops_an_up_before_its_first_write(world: TwoPopulations, emulators: Emulators) -> None:
    world.write(agents(20), agents(3, start=500))
    world.stack.configure(dmarcPolicy="quarantine", mailjetEvents=["bounce"])
    emulators.forget_requests()
    done = world.stack.pulumi("up", "--stack", world.stack.name, "--yes", check=False)
    assert done.code != 0
    assert "20 of 44 mailboxes would be removed" in " ".join(done.text.split())
    assert emulators.writes == 0


def test_thresholds_come_from_configuration(world: TwoPopulations) -> None:
    world.write(agents(20), agents(3, start=500))
    world.stack.configure(massRemovalPercent=50)
    assert "20 mailboxes removed" in digest(world)


def test_removing_everybody_is_always_refused(world: TwoPopulations) -> None:
    world.write([], [])
    world.stack.configure(agentMailboxes=[], massRemovalPercent=100)
    assert "nobody of before would be left" in refused(world)
    world.stack.configure(allowMassRemoval="44 of 44")
    assert "allowMassRemoval 'all of 44'" in refused(world)
    world.stack.configure(allowMassRemoval="all of 44")
    assert "44 mailboxes removed" in digest(world)


def test_an_address_never_passes_to_another_agent(world: TwoPopulations) -> None:
    swapped = agents(40)
    swapped[3]["id"] = "00000000-0000-4000-8000-999999999999"
    old = json.loads(mail("agents", "addresses", world.crowd, "--domain", DOMAIN).out)[
        "00000000-0000-4000-8000-000000000003"
    ]
    swapped[3]["local_part"] = old.split("@")[0]
    world.write(swapped, agents(3, start=500))
    assert "1 address would pass to a new agent id" in refused(world)


def test_the_same_agent_in_two_files_is_refused(world: TwoPopulations) -> None:
    world.write(agents(40), agents(3, start=38))
    assert "00000000-0000-4000-8000-000000000038" in refused(world)


def test_a_second_that_has_not_come_yet_is_refused_to_newcomers_only(world: TwoPopulations) -> None:
    newcomer = agents(1, start=700)[0] | {"created_at": "2999-10-05T12:30:45+02:00"}
    world.write([*agents(40), newcomer], agents(3, start=500))
    assert "1 new mailbox would have a created_at in the future, of 0 allowed" in refused(world)
    newcomer["created_at"] = "2024-10-05T14:30:45+02:00"
    world.write([*agents(40), newcomer], agents(3, start=500))
    assert ".20241005123045@" in digest(world)


def test_an_export_unchanged_is_a_population(emulators: Emulators) -> None:
    found = json.loads(
        mail("agents", "addresses", ROOT / "tests/fixtures/population-5-array.json",
            "--domain", DOMAIN, "--seed", "cli-5", "--created-at", STAMP,
        ).out
    )  # fmt: skip
    assert len(found) == 5
