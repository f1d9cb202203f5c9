"""Arguments and options that several commands share, each with its words once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from typer import Argument, Option

ROOT = Path(__file__).resolve().parents[2]
EMULATORS = ROOT / ".state" / "emulators"


def _stacks(incomplete: str) -> list[str]:
    """The stacks that have a file here, for completion."""
    names = (file.name.removeprefix("Pulumi.").removesuffix(".yaml") for file in ROOT.glob("Pulumi.?*.yaml"))
    return sorted(name for name in names if name.startswith(incomplete))


StackName = Annotated[
    str, Argument(metavar="STACK", help="The stack's name, as in Pulumi.STACK.yaml.", autocompletion=_stacks)
]
DevStack = Annotated[
    str, Argument(metavar="[STACK]", help="The stack's name, as in Pulumi.STACK.yaml.", autocompletion=_stacks)
]
Stack = Annotated[str, Option("--stack", "-s", metavar="STACK", help="Of which stack.", autocompletion=_stacks)]
Project = Annotated[Path, Option("-C", "--cwd", metavar="DIR", help="The Pulumi project's folder.", show_default=False)]
Json = Annotated[bool, Option("--json", help="For programs.")]
Yes = Annotated[bool, Option("--yes", "-y", help="Do not ask.")]
StateFolder = Annotated[
    Path,
    Option("--state-dir", metavar="DIR", help="The emulators' folder (default: .state/emulators).", show_default=False),
]
