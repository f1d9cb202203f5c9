"""`./mail state …`: the engine's own memory of a stack."""

from __future__ import annotations

from typing import Annotated

from typer import Option, Typer

from commands.cli.options import ROOT, Project, StackName, Yes

app = Typer(no_args_is_help=True, help="The state of a stack, where it was damaged.", rich_help_panel="Underneath")


@app.callback()
def _root() -> None:
    """The state of a stack, where it was damaged."""


@app.command()
def restore(
    stack: StackName,
    project: Project = ROOT,
    aside: Annotated[
        bool, Option("--aside", help="Where no copy is whole, only put the broken state under another name.")
    ] = False,
) -> int:
    """Bring back the last whole copy of a state that was cut off, as by a full disk.

    What was cut is kept beside it. The next `up --refresh` finds what happened since.
    """
    from commands.state import restore as run

    print(run(stack, project, aside=aside))
    return 0


@app.command("clear-pending")
def clear_pending(stack: StackName, project: Project = ROOT, yes: Yes = False) -> int:
    """Forget creates that killed runs have left in the state, after a look at what the services really have."""
    from commands.pending import clear

    return clear(stack, project, yes=yes)
