"""Arguments and options that several commands share, each with its words once."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from mailboxes.remedies import STACK_VARIABLE

ROOT = Path(__file__).resolve().parents[2]
EMULATORS = ROOT / ".state" / "emulators"


def _stacks(incomplete: str) -> list[str]:
    """The stacks that have a file here, for completion."""
    names = (file.name.removeprefix("Pulumi.").removesuffix(".yaml") for file in ROOT.glob("Pulumi.?*.yaml"))
    return sorted(name for name in names if name.startswith(incomplete))


def about(stack: str) -> str:
    """Says which stack this command is about, to whoever proposes another one (mailboxes/remedies.py)."""
    if stack:
        os.environ[STACK_VARIABLE] = stack.rpartition("/")[2]
    return stack


_NAMED = "The stack's name, as in Pulumi.STACK.yaml."

StackName = Annotated[str, Argument(metavar="STACK", help=_NAMED, autocompletion=_stacks, callback=about)]
DevStack = Annotated[str, Argument(metavar="[STACK]", help=_NAMED, autocompletion=_stacks, callback=about)]
Stack = Annotated[
    str, Option("--stack", "-s", metavar="STACK", help="Of which stack.", autocompletion=_stacks, callback=about)
]
Project = Annotated[Path, Option("-C", "--cwd", metavar="DIR", help="The Pulumi project's folder.", show_default=False)]
Json = Annotated[bool, Option("--json", help="For programs.")]
Yes = Annotated[bool, Option("--yes", "-y", help="Do not ask.")]
StateFolder = Annotated[
    Path,
    Option("--state-dir", metavar="DIR", help="The emulators' folder (default: .state/emulators).", show_default=False),
]
