"""`environments new` killed before and after each of its steps: never half made, and the same command goes on."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from commands.environments import creation
from commands.environments.creation import create
from commands.environments.draft import Draft
from commands.environments.errors import AlreadyMadeError, StackWriteError
from commands.environments.stack_file import EditedStackFile
from commands.stack_commands import Pulumi, PulumiFailedError
from mailboxes.merging import replace_file

SECRETS = {"mailjetApiKey": "k" * 32, "mailjetApiSecret": "s" * 32, "webhookSecret": "w" * 32}
DRAFT = Draft(plain={"domain": "a.example"}, secrets=SECRETS)
MOST_STEPS = 24


class KilledError(BaseException):
    """As SIGKILL: nothing of the program runs after it."""


class Machine:
    """The disk's and the engine's moments, any of which can be the last."""

    def __init__(self) -> None:
        self.stacks: set[str] = set()
        self.left: int | None = None
        self.passed = 0

    def moment(self) -> None:
        self.passed += 1
        if self.left is not None:
            self.left -= 1
            if self.left < 0:
                raise KilledError


class Engine(Pulumi):
    """What `stack init`, `stack rm` and `config set` do to the backend and to the file in the project's folder."""

    machine: Machine
    term_at: int | None = None

    def run(self, *arguments: str, stdin: str | None = None) -> str:
        self.machine.moment()
        if self.term_at is not None and self.machine.passed > self.term_at:
            self.term_at = None
            os.kill(os.getpid(), signal.SIGTERM)
        file = self.project / f"Pulumi.{self.stack}.yaml"
        document = yaml.safe_load(file.read_text()) if file.exists() else {"config": {}}
        if arguments[:2] == ("stack", "init"):
            if self.stack in self.machine.stacks:
                raise PulumiFailedError("stack init", f"error: stack '{self.stack}' already exists")
            self.machine.stacks.add(self.stack)
            self.machine.moment()
            document["encryptionsalt"] = "v1:salt"
        elif arguments[:2] == ("stack", "rm"):
            if self.stack not in self.machine.stacks:
                raise PulumiFailedError("stack rm", f"error: no stack named '{self.stack}' found")
            self.machine.stacks.remove(self.stack)
        else:
            assert arguments[:3] == ("config", "set", "--secret")
            document["config"][f"agentmail:{arguments[3]}"] = {"secure": stdin}
        file.write_text("")  # in place, as the engine does
        self.machine.moment()
        file.write_text(yaml.safe_dump(document))
        self.machine.moment()
        return ""


def engine(project: Path, machine: Machine) -> Engine:
    made = Engine("staging", project=project, environment={})
    made.machine = machine
    return made


def new(project: Path, machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, real in (("replace_file", replace_file),):

        def watched(*arguments: object, real: object = real) -> None:
            machine.moment()
            assert callable(real)
            real(*arguments)
            machine.moment()

        monkeypatch.setattr(creation, name, watched)
    create(
        engine(project, machine), EditedStackFile.of(project, "staging"), DRAFT, secrets_provider="", keep_secrets=True
    )


def is_whole(project: Path) -> bool:
    document = yaml.safe_load((project / "Pulumi.staging.yaml").read_text())
    config = document["config"]
    secrets = {key: config.get(f"agentmail:{key}", {}).get("secure") for key in SECRETS}
    return (
        document.get("encryptionsalt") == "v1:salt" and secrets == SECRETS and config["agentmail:domain"] == "a.example"
    )


@pytest.mark.slow
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(kills=st.lists(st.integers(0, MOST_STEPS), min_size=1, max_size=3), example=st.booleans())
def test_the_same_command_goes_on(tmp_path_factory: pytest.TempPathFactory, kills: list[int], example: bool) -> None:
    project, machine = tmp_path_factory.mktemp("project"), Machine()
    file = project / "Pulumi.staging.yaml"
    before = "# an example\nconfig:\n  agentmail:ttl: 60\n" if example else None
    if before:
        file.write_text(before)
    for kill in kills:
        with pytest.MonkeyPatch.context() as patch:
            machine.left = kill
            with suppress(KilledError, AlreadyMadeError):
                new(project, machine, patch)
            if file.exists() and file.read_text() != before:
                assert is_whole(project), "half made"
    machine.left = None
    with pytest.MonkeyPatch.context() as patch:
        try:
            new(project, machine, patch)
        except AlreadyMadeError:
            assert is_whole(project)
    assert is_whole(project)
    assert machine.stacks == {"staging"}
    assert [path.name for path in project.iterdir()] == ["Pulumi.staging.yaml"]


@pytest.mark.parametrize("step", range(4))
def test_sigterm_takes_everything_back(project: Path, step: int) -> None:
    machine = Machine()
    pulumi = engine(project, machine)
    pulumi.term_at = step * 3
    with pytest.raises(KeyboardInterrupt):
        create(pulumi, EditedStackFile.of(project, "staging"), DRAFT, secrets_provider="", keep_secrets=True)
    assert list(project.iterdir()) == []
    assert machine.stacks == set()


def test_a_stack_that_others_made_is_not_touched(project: Path) -> None:
    """Without the folder that our own run leaves, a stack of this name is somebody's."""
    machine = Machine()
    machine.stacks.add("staging")
    with pytest.raises(StackWriteError, match="already exists"):
        create(
            engine(project, machine),
            EditedStackFile.of(project, "staging"),
            DRAFT,
            secrets_provider="",
            keep_secrets=True,
        )
    assert machine.stacks == {"staging"}
    assert list(project.iterdir()) == []
