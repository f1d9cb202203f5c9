"""`./mail emulators …`: Mailjet and Cloudflare on loopback."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from typer import Option, Typer

from commands.cli.options import EMULATORS, Json, StateFolder

app = Typer(
    no_args_is_help=True, help="Mailjet and Cloudflare on this machine's loopback.", rich_help_panel="Underneath"
)


def _run(command: str, folder: Path, *words: str) -> int:
    from emulators.__main__ import main

    return main([command, "--state-dir", str(folder), *words])


@app.command()
def up(
    state_dir: StateFolder = EMULATORS,
    free_ports: Annotated[
        bool, Option("--free-ports", help="Listen on free ports instead of the fixed ones; a restart keeps them.")
    ] = False,
    fixed_ports: Annotated[
        bool, Option("--fixed-ports", help="Go back to the fixed ones; the next up of each stack follows.")
    ] = False,
) -> int:
    """Start them in the background. A fixed port that is taken is replaced, and its holder named."""
    ports = [*(["--free-ports"] if free_ports else []), *(["--fixed-ports"] if fixed_ports else [])]
    return _run("up", state_dir, *ports)


@app.command()
def down(state_dir: StateFolder = EMULATORS) -> int:
    """End them."""
    return _run("down", state_dir)


@app.command()
def status(state_dir: StateFolder = EMULATORS, json: Json = False) -> int:
    """Whether they run, and where."""
    return _run("status", state_dir, *(["--json"] if json else []))


@app.command()
def reset(state_dir: StateFolder = EMULATORS) -> int:
    """Forget everything that was written to them; credentials and ports stay."""
    return _run("reset", state_dir)


@app.command("open")
def open_(state_dir: StateFolder = EMULATORS) -> int:
    """Open the page of the emulated Mailjet in a browser, or say where it is."""
    from commands.mails import open_page

    return open_page(state_dir)
