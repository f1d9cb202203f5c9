"""`./mail emulators up | down | status | reset`: the emulators of the embedded default."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from emulators import lifecycle
from emulators.lifecycle import ResetError, StartError, StopError
from emulators.ports import Choice, PortError
from emulators.state_folder import DEFAULT_FOLDER, StateFolder, StateFolderError
from emulators.store import StateFileError

EXPECTED = (PortError, StartError, StopError, ResetError, StateFolderError, StateFileError)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit status."""
    parser = _parser()
    given = parser.parse_args(arguments)
    try:
        folder = StateFolder(given.state_dir)
    except OSError as error:
        print(f"The state folder {given.state_dir} cannot be made: {error.strerror}.", file=sys.stderr)
        return 1
    try:
        return _run(given, folder)
    except EXPECTED as error:
        print(error, file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m emulators", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument(
        "--state-dir",
        type=Path,
        default=DEFAULT_FOLDER,
        help="folder of state, credentials and log (default: .state/emulators)",
    )
    free = argparse.ArgumentParser(add_help=False)
    ports = free.add_mutually_exclusive_group()
    ports.add_argument(
        "--free-ports",
        dest="choice",
        action="store_const",
        const=Choice.FREE,
        default=Choice.USUAL,
        help="listen on ports that happen to be free instead of the fixed ones; a restart keeps them",
    )
    ports.add_argument(
        "--fixed-ports",
        dest="choice",
        action="store_const",
        const=Choice.FIXED,
        help="go back to the fixed ones; the next up of each stack follows",
    )
    commands.add_parser("up", parents=[shared, free], help="start them in the background")
    commands.add_parser("down", parents=[shared], help="end them")
    shown = commands.add_parser("status", parents=[shared], help="say whether they run, and where")
    shown.add_argument("--json", action="store_true", help="for programs")
    commands.add_parser("reset", parents=[shared], help="forget everything that was written to them")
    serve = commands.add_parser("serve", parents=[shared, free], help="run them in the foreground")
    serve.add_argument("--ready-fd", type=int, help=argparse.SUPPRESS)
    return parser


def _run(given: argparse.Namespace, folder: StateFolder) -> int:
    match given.command:
        case "up":
            began = time.monotonic()
            found, started = lifecycle.up(folder, choice=given.choice)
            seconds = time.monotonic() - began
            print(f"The emulators are up ({seconds:.1f} s)." if started else "The emulators are already up.")
            print("\n".join([*(found.get("moved", []) if started else []), _table(found)]))
        case "down":
            ended = lifecycle.down(folder)
            print("The emulators are down." if ended else "The emulators were not running.")
        case "status":
            found = lifecycle.status(folder)
            if given.json:
                print(lifecycle.as_json(found))
            elif found["running"]:
                print(f"The emulators are up (pid {found['pid']}).")
                print(_table(found))
            else:
                print("The emulators are not running; start them with `./mail emulators up`.")
        case "reset":
            lifecycle.reset(folder)
            print("The emulators are as they were at the start.")
        case "serve":
            _serve(folder, choice=given.choice, ready_fd=given.ready_fd)
    return 0


def _table(found: dict[str, Any]) -> str:
    def at(address: dict[str, Any]) -> str:
        return f"{address['host']}:{address['port']}"

    mailjet, cloudflare = found["mailjet"], found["cloudflare"]
    rows = (
        ("Mailjet REST", mailjet["url"]),
        ("Mailjet SMTP", at(mailjet["smtp"])),
        ("Mailjet inbound", at(mailjet["inbound"])),
        ("Cloudflare REST", cloudflare["url"]),
        ("Tunnel entrance", at(cloudflare["edge"])),
        ("DNS of " + cloudflare["zone_name"], at(cloudflare["dns"])),
        ("Credentials", found["env_file"]),
    )
    return "\n".join(f"  {title:<22} {value}" for title, value in rows)


def _serve(folder: StateFolder, *, choice: Choice, ready_fd: int | None) -> None:
    from emulators.server import serve

    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    for noisy in ("uvicorn", "mail.log", "httpx", "asyncio"):
        logging.getLogger(noisy).setLevel(logging.WARNING)

    def ready() -> None:
        if ready_fd is None:
            print(_table(lifecycle.status(folder)), flush=True)
        else:
            os.write(ready_fd, b"ready\n")
            os.close(ready_fd)

    asyncio.run(serve(folder, choice=choice, ready=ready))


if __name__ == "__main__":
    sys.exit(main())
