"""`./mail emulators …`: Mailjet and Cloudflare on loopback."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from typer import BadParameter, Option, Typer

from commands.cli.console import SOON, working
from commands.cli.options import EMULATORS, Json
from commands.cli.options import StateFolder as StateDir

if TYPE_CHECKING:
    from emulators.ports import Choice
    from emulators.state_folder import StateFolder

app = Typer(
    no_args_is_help=True, help="Mailjet and Cloudflare on this machine's loopback.", rich_help_panel="Underneath"
)


FreePorts = Annotated[
    bool, Option("--free-ports", help="Listen on free ports instead of the fixed ones; a restart keeps them.")
]
FixedPorts = Annotated[
    bool, Option("--fixed-ports", help="Go back to the fixed ones; the next up of each stack follows.")
]


def _choice(*, free: bool, fixed: bool) -> Choice:
    from emulators.ports import Choice

    if free and fixed:
        raise BadParameter("only one of them", param_hint="--free-ports, --fixed-ports")
    return Choice.FREE if free else Choice.FIXED if fixed else Choice.USUAL


def _folder(path: Path) -> StateFolder:
    from emulators.state_folder import StateFolder

    return StateFolder(path)


@app.command()
def up(state_dir: StateDir = EMULATORS, free_ports: FreePorts = False, fixed_ports: FixedPorts = False) -> int:
    """Start them in the background. A fixed port that is taken is replaced, and its holder named."""
    from emulators.commands import up as run

    choice = _choice(free=free_ports, fixed=fixed_ports)
    with working("Starting the emulators", after=SOON):
        said = run(_folder(state_dir), choice)
    print(said)
    return 0


@app.command()
def down(state_dir: StateDir = EMULATORS) -> int:
    """End them; what they hold stays."""
    from emulators.commands import down as run

    with working("Ending the emulators", after=SOON):
        said = run(_folder(state_dir))
    print(said)
    return 0


@app.command()
def status(state_dir: StateDir = EMULATORS, json: Json = False) -> int:
    """Whether they run, and where."""
    from emulators.commands import status as run

    run(_folder(state_dir), json=json)
    return 0


@app.command()
def reset(state_dir: StateDir = EMULATORS) -> int:
    """Forget everything that was written to them; credentials and ports stay."""
    from emulators.commands import reset as run

    run(_folder(state_dir))
    return 0


@app.command()
def serve(state_dir: StateDir = EMULATORS, free_ports: FreePorts = False, fixed_ports: FixedPorts = False) -> int:
    """Run them in the foreground, until Ctrl-C."""
    from emulators.commands import serve as run

    run(_folder(state_dir), _choice(free=free_ports, fixed=fixed_ports))
    return 0


@app.command("open")
def open_(state_dir: StateDir = EMULATORS) -> int:
    """Open the page in a browser and say where it is: mails live, agents, DNS, requests, faults."""
    from commands.mails import open_page

    return open_page(state_dir)
