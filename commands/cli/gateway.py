"""`./mail gateway …`: what agents' passwords are made from, and what the gateway is started with."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from typer import Option, Typer

from commands.cli.options import ROOT, Project, Stack

app = Typer(no_args_is_help=True, help="The gateway: agents' passwords, and the file it is started with.")
FILE = ROOT / "deploy" / "gateway" / "gateway.json"
"""What deploy/docker-compose.yml reads."""


@app.command()
def rotate(stack: Stack = "dev", project: Project = ROOT) -> int:
    """Make a new root secret, so that every agent gets another password; the old ones stay good until `retire`.

    The first one of a stack is made by it too. It is stored encrypted in the stack's configuration and shown nowhere.
    """
    from commands.gateway import rotate as run

    return run(stack, project)


@app.command()
def retire(stack: Stack = "dev", project: Project = ROOT) -> int:
    """Forget the old root secret: with the next up, passwords made from it are refused."""
    from commands.gateway import retire as run

    return run(stack, project)


@app.command()
def file(
    stack: Stack = "dev",
    project: Project = ROOT,
    to: Annotated[Path, Option("--file", metavar="FILE", help="The file to write.", show_default=False)] = FILE,
) -> int:
    """The gateway's file for deploy/docker-compose.yml, which only its owner may read. A running gateway takes it anew."""
    from commands.gateway import write_file

    return write_file(stack, project, to)
