"""`./mail apply` does what was shown and approved, or nothing: on the real engine, one stack's life after the other step."""

from __future__ import annotations

import json
import os
import pty
import subprocess
from pathlib import Path

import pytest

from tests.e2e.stack import ROOT, Emulators, Finished, Stack, mail

AGENTS = [{"id": f"00000000-0000-4000-8000-{number:012d}", "name": f"Agent {number}"} for number in range(4)]


class World:
    """A stack with a population of its own, and a place for plans."""

    def __init__(self, stack: Stack, folder: Path) -> None:
        self.stack = stack
        self.emulators = stack.emulators
        self.people = folder / "people.json"
        self.plan = folder / "plan.json"
        stack.configure(populations=[{"file": str(self.people)}])

    def populate(self, count: int) -> None:
        self.people.write_text(json.dumps({"seed": "plan", "created_at": "20241005123045", "agents": AGENTS[:count]}))

    def mail(self, *words: str | Path, check: bool = True, variables: dict[str, str] | None = None) -> Finished:
        environment = self.stack.environment | (variables or {})
        return mail(*words, "-C", self.stack.folder, env=environment, check=check)

    def save(self, variables: dict[str, str] | None = None) -> Finished:
        return self.mail("preview", "dev", "--save", self.plan, variables=variables)

    def apply(self, *, check: bool = True) -> Finished:
        self.emulators.forget_requests()
        return self.mail("apply", "dev", "--yes", "--plan", self.plan, check=check)

    def refused(self) -> str:
        done = self.apply(check=False)
        assert done.code == 1, done.text
        assert self.emulators.writes == 0
        return " ".join(done.text.split())


@pytest.fixture(scope="module")
def world(emulators: Emulators, tmp_path_factory: pytest.TempPathFactory) -> World:
    folder = tmp_path_factory.mktemp("plans")
    made = World(Stack.create(folder / "project", emulators), folder)
    made.populate(2)
    return made


class TestScenario:
    """The tests of this class build on each other, in order."""

    def test_a_new_stack_comes_up_as_planned(self, world: World) -> None:
        without = dict.fromkeys(("MAILJET_API_KEY", "MAILJET_API_SECRET", "MAILJET_INBOUND_SECRET"), "")
        saved = world.save(without)
        assert f"./mail apply dev --plan {world.plan}" in " ".join(saved.err.split())
        kept = world.plan.read_text()
        assert not [value for value in world.emulators.credentials.values() if value in kept]
        world.apply()
        assert len(world.emulators.routes()) == 2

    def test_what_others_changed_since_is_named_and_nothing_is_written(self, world: World) -> None:
        world.populate(3)
        world.save()
        world.stack.configure(ttl=900)
        said = world.refused()
        assert "An up of dev would no longer do what was approved" in said
        assert "update mail-spf came" in said
        assert f"./mail preview dev --save {world.plan}" in said

        world.stack.configure(ttl=300)
        world.populate(4)
        assert "agents-book: addresses" in world.refused()

    def test_the_same_again_is_applied_once(self, world: World) -> None:
        world.populate(3)
        world.apply()
        assert len(world.emulators.routes()) == 3
        assert "is gone" in world.refused()

    def test_a_question_that_took_too_long(self, world: World) -> None:
        """Somebody else changes the configuration while the question waits at a terminal."""
        world.populate(2)
        world.emulators.forget_requests()
        ours, theirs = pty.openpty()
        words = [str(ROOT / "mail"), "apply", "dev", "-C", str(world.stack.folder)]
        running = subprocess.Popen(
            words, cwd=ROOT, env=world.stack.environment, stdin=theirs, stdout=theirs, stderr=theirs
        )
        os.close(theirs)
        said = read_until(ours, b"Apply this to dev?")
        assert b"1 mailbox removed" in said
        world.stack.configure(ttl=600)
        os.write(ours, b"y\n")
        said = read_until(ours, None)
        assert running.wait(timeout=120) == 1
        os.close(ours)
        assert b"would no longer do what was approved" in b" ".join(said.split())
        assert world.emulators.writes == 0


def read_until(terminal: int, what: bytes | None) -> bytes:
    """All that is printed until `what` stands there, or until the end."""
    said = b""
    while what is None or what not in said:
        try:
            more = os.read(terminal, 65_536)
        except OSError:  # EIO: the other side is closed
            more = b""
        if not more:
            assert what is None, said
            break
        said += more
    return said
