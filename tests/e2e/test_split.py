"""`./mail agents split` on the real engine: a standing stack becomes three, and no route is lost or made anew."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest

from azmail import MailStack
from tests.e2e.stack import Emulators, Finished, Stack, mail

SIZE = 6
PEOPLE = 15


@pytest.fixture(scope="module")
def home(emulators: Emulators, tmp_path_factory: pytest.TempPathFactory) -> Stack:
    """A stack that owns the domain, up, with more agents than a stack is to have."""
    emulators.reset()
    folder = tmp_path_factory.mktemp("split")
    people = [{"id": f"a-{number:02d}", "name": f"Ana Lopez {number % 4}"} for number in range(PEOPLE)]
    population = folder / "project" / "populations.json"
    population.parent.mkdir()
    population.write_text(json.dumps({"seed": "s", "created_at": "20241005123045", "agents": people}))
    stack = Stack.create(folder / "project", emulators, population=population)
    stack.configure(populations=[{"file": population.name}])
    stack.up()
    return stack


def split(home: Stack, *options: str) -> Finished:
    words = ("agents", "split", home.name, "--size", str(SIZE), "-C", str(home.folder), *options)
    return mail(*words, env=home.environment, check=False)


def proposed(done: Finished) -> list[list[str]]:
    """The commands that were listed, as words after `./mail`."""
    return [shlex.split(line)[1:] for line in done.out.splitlines() if line.startswith("  ./mail ")]


def carry_out(home: Stack, command: list[str]) -> Finished:
    """As a person pastes it, in this stack's folder, with the answer to its question."""
    if command[:2] == ["agents", "split"]:
        return split(home, "--yes")
    if command[0] == "apply":
        return mail(*command, "--yes", "-C", home.folder, env=home.environment, check=False)
    return home.pulumi(*command[1:], check=False)


def routes(emulators: Emulators) -> dict[str, tuple[int, str]]:
    """{address: (id, owner tag)} of every route there is."""
    return {
        route["Email"]: (int(route["ID"]), re.findall(r"//([^:]*):", route["Url"])[0]) for route in emulators.routes()
    }


def boxes(home: Stack, name: str) -> dict[str, str]:
    stack = Stack(home.folder, home.emulators, name, home.environment)
    return {box.agent_id: box.address for box in MailStack(stack.outputs())}


@pytest.fixture(scope="module")
def before(home: Stack, emulators: Emulators) -> dict[str, tuple[int, str]]:
    """The routes of the standing stack."""
    return routes(emulators)


class TestAStandingStackIsSplit:
    """The tests of this class build on each other, in order."""

    def test_a_dry_run_says_it_and_writes_nothing(self, home: Stack, before: dict[str, tuple[int, str]]) -> None:
        files = {path.name for path in home.folder.iterdir()}
        done = split(home, "--dry-run")
        assert done.code == 0, done.text
        assert "dev-01: 6 agents, 6 of them new here (new); 6 stay in the files of dev, too" in done.out
        assert "dev-02: 3 agents" in done.out
        assert {path.name for path in home.folder.iterdir()} == files

    def test_nobody_to_ask_is_no_consent(self, home: Stack) -> None:
        done = split(home)
        assert (done.code, home.folder.joinpath("Pulumi.dev-01.yaml").exists()) == (1, False)
        assert "./mail agents split dev --size 6 --yes" in done.err

    def test_the_listed_commands_split_it(
        self, home: Stack, emulators: Emulators, before: dict[str, tuple[int, str]]
    ) -> None:
        emulators.forget_requests()
        done = split(home, "--yes")
        assert done.code == 0, done.text
        queue, calls = proposed(done), 0
        while queue:
            command = queue.pop(0)
            done = carry_out(home, command)
            assert done.code == 0, (command, done.text)
            assert routes(emulators).keys() == before.keys(), command
            if command[:2] == ["agents", "split"]:
                queue = proposed(done)
            calls += 1
            assert calls < 20
        now = routes(emulators)
        assert {address: number for address, (number, _) in now.items()} == {
            address: number for address, (number, _) in before.items()
        }
        assert emulators.counts("mailjet")["writes"] == PEOPLE - SIZE  # a PUT for each who has moved, and nothing else
        tags = [tag for _, tag in now.values()]
        assert {tag: tags.count(tag) for tag in set(tags)} == {
            "agentmail-dev": 6,
            "agentmail-dev-01": 6,
            "agentmail-dev-02": 3,
        }

    def test_everybody_has_the_address_of_before_in_one_stack(
        self, home: Stack, before: dict[str, tuple[int, str]]
    ) -> None:
        found = [boxes(home, name) for name in ("dev", "dev-01", "dev-02")]
        assert sorted(address for each in found for address in each.values()) == sorted(before)
        assert [len(each) for each in found] == [6, 6, 3]
        config = home.folder.joinpath("Pulumi.dev-01.yaml").read_text()
        assert "mailjetTakeOverRoutes" not in config
        assert "allowMassRemoval" not in home.config_file.read_text()

    def test_it_is_done_and_nothing_changes_any_more(self, home: Stack, emulators: Emulators) -> None:
        emulators.forget_requests()
        done = split(home, "--yes")
        assert (done.code, proposed(done)) == (0, [])
        assert "Nothing to write." in done.out
        for name in ("dev", "dev-01", "dev-02"):
            home.pulumi("up", "--stack", name, "--yes", "--skip-preview", "--expect-no-changes")
        assert emulators.writes == 0

    def test_a_newcomer_goes_where_there_is_room(
        self, home: Stack, emulators: Emulators, before: dict[str, tuple[int, str]]
    ) -> None:
        file = home.folder / "populations.json"
        document = json.loads(file.read_text())
        newcomer = {"id": "b-1", "name": "Eva Ruiz"}
        file.write_text(json.dumps({**document, "agents": [*document["agents"], newcomer]}))
        done = split(home, "--yes")
        assert "dev-02: 4 agents, 1 of them new here (added to)" in done.out
        assert proposed(done) == [["apply", "dev-02"]]
        emulators.forget_requests()
        assert carry_out(home, ["apply", "dev-02"]).code == 0
        counts = emulators.counts("mailjet")
        assert (counts["reads"], counts["writes"]) == (1, 1)


def test_a_part_cannot_be_split(home: Stack) -> None:
    part: Path = home.folder / "Pulumi.lone.yaml"
    part.write_text("config:\n  agentmail:domainStack: dev\n  agentmail:populations: []\n")
    done = mail("agents", "split", "lone", "-C", home.folder, env=home.environment, check=False)
    part.unlink()
    assert done.code == 1
    assert "Traceback" not in done.text
