"""`./mail up | down | demo`: the embedded default, which asks nobody since nothing of it leaves this machine."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from commands.cli.console import SOON, working
from commands.deployment import DESTROYING, bring_up
from commands.embedded_mail import hand_over, warm
from commands.errors import NoEmulatorsError, NoStackFileError, NotEmbeddedError
from commands.refusals import Overheard
from commands.stack_commands import ROOT, Pulumi
from emulators import commands as emulators
from emulators import lifecycle
from emulators.state_folder import StateFolder
from engine.stacks import StackFile
from mailboxes import remedies
from settings.values import PROJECT, SubmissionKind

EMULATORS = ROOT / ".state" / "emulators"


def up(stack: str, project: Path) -> int:
    """Raises NotEmbeddedError before anything is started, UpFailedError."""
    _require_embedded(stack, project, command=remedies.up(), instead=remedies.apply(stack))
    if code := _engine_ready():
        return code
    _emulators(emulators.up, "Starting the emulators")
    pulumi = Pulumi(stack, project=project)
    pulumi.run("stack", "select", "--create", stack)
    status = running_emulators(EMULATORS)
    configured = StackFile.of(project, stack).document().get("config") or {}
    if configured.get(f"{PROJECT}:submission") == SubmissionKind.GATEWAY:
        warm(status)
    outputs = bring_up(pulumi)
    hand_over(outputs, status)
    _introduce(pulumi, outputs)
    return 0


def _introduce(pulumi: Pulumi, outputs: dict[str, Any]) -> None:
    """The page knows routes, that is addresses; ids and names are the program's."""
    from azmail.stack import MailStack
    from commands.letters import LetterBox
    from commands.roster import read_names

    if "mailboxes" not in outputs:
        return
    names = read_names(pulumi)
    stack = MailStack(outputs, source=f"the outputs of stack {pulumi.stack!r}")
    box = LetterBox(running_emulators(EMULATORS)["page"])
    box.introduce((mailbox.agent_id, names.get(mailbox.agent_id, ""), mailbox.address) for mailbox in stack)


def _engine_ready() -> int:
    from engine.__main__ import main

    return main(["setup"])


def down(stack: str, project: Path) -> int:
    """Raises NotEmbeddedError and UpFailedError."""
    _require_embedded(stack, project, command=remedies.down(), instead=remedies.destroy(stack))
    _emulators(emulators.up, "Starting the emulators")
    heard = Overheard(stack)
    if code := Pulumi(stack, project=project).stream(*DESTROYING, "--stack", stack, heard=heard):
        raise heard.error(f"The destroy of {stack}", code)
    _emulators(emulators.down, "Ending the emulators")
    # It is of agents that are gone.
    lifecycle.forget_mail(StateFolder(EMULATORS))
    return 0


def _emulators(do: Callable[[StateFolder], str], what: str) -> None:
    with working(what, after=SOON):
        said = do(StateFolder(EMULATORS))
    print(said)


def _require_embedded(stack: str, project: Path, *, command: str, instead: str) -> None:
    file = StackFile.of(project, stack)
    if not file.path.is_file():
        raise NoStackFileError(file.path.name, command=command)
    if reason := file.off_loopback():
        raise NotEmbeddedError(stack, reason, command=command, instead=instead)


def demo(stack: str, project: Path, *, state_dir: Path, patience: float) -> int:
    """Raises NoEmulatorsError, and what the loop's steps raise."""
    from commands.demo.command import show
    from commands.roster import stack_of

    status = running_emulators(state_dir)
    with working(f"Reading the mailboxes of {stack}"):
        outputs = Pulumi(stack, project=project).outputs()
        mailboxes = stack_of(stack, outputs)
        hand_over(outputs, status)
    show(mailboxes, status, patience=patience)
    return 0


def running_emulators(folder: Path) -> dict[str, Any]:
    """Where they listen. Raises NoEmulatorsError."""
    status = lifecycle.status(StateFolder(folder))
    if not status["running"]:
        raise NoEmulatorsError
    return status
