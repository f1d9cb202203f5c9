"""What `./mail emulators` does: start, end, look, reset, and run in the foreground. What a function returns is for people."""

from __future__ import annotations

import asyncio
import logging
import sys
import time
from collections.abc import Callable
from typing import Any

from emulators import lifecycle
from emulators.lifecycle import ResetError, StartError, StopError
from emulators.ports import Choice, PortError
from emulators.state_folder import StateFolder, StateFolderError
from emulators.store import StateFileError

EXPECTED = (PortError, StartError, StopError, ResetError, StateFolderError, StateFileError)
"""Whose messages are for people."""


def up(folder: StateFolder, choice: Choice = Choice.USUAL) -> str:
    """Start them in the background; what a person is told."""
    began = time.monotonic()
    found, started = lifecycle.up(folder, choice=choice)
    seconds = time.monotonic() - began
    said = f"The emulators are up ({seconds:.1f} s)." if started else "The emulators are already up."
    return "\n".join([said, *(found.get("moved", []) if started else []), table(found)])


def down(folder: StateFolder) -> str:
    """End them; what a person is told."""
    ended = lifecycle.down(folder)
    return "The emulators are down." if ended else "The emulators were not running."


def status(folder: StateFolder, *, json: bool = False) -> None:
    """Whether they run, and where."""
    found = lifecycle.status(folder)
    if json:
        print(lifecycle.as_json(found))
    elif found["running"]:
        print(f"The emulators are up (pid {found['pid']}).")
        print(table(found))
    else:
        print("The emulators are not running; start them with `./mail emulators up`.")


def reset(folder: StateFolder) -> None:
    """Forget everything that was written to them."""
    lifecycle.reset(folder)
    print("The emulators are as they were at the start.")


def serve(folder: StateFolder, choice: Choice, *, ready: Callable[[], None] | None = None) -> None:
    """Run them in this process until it is asked to stop; without `ready` says where they are."""
    from emulators.server import serve as run

    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    for noisy in ("uvicorn", "mail.log", "httpx", "asyncio"):
        logging.getLogger(noisy).setLevel(logging.WARNING)

    def say() -> None:
        print(table(lifecycle.status(folder)), flush=True)

    asyncio.run(run(folder, choice=choice, ready=ready or say))


def table(found: dict[str, Any]) -> str:
    """Where everything is, a line each."""

    def at(address: dict[str, Any]) -> str:
        return f"{address['host']}:{address['port']}"

    mailjet, cloudflare = found["mailjet"], found["cloudflare"]
    rows = (
        ("Page", found["page"]),
        ("Mailjet REST", mailjet["url"]),
        ("Mailjet SMTP", at(mailjet["smtp"])),
        ("Mailjet inbound", at(mailjet["inbound"])),
        ("Cloudflare REST", cloudflare["url"]),
        ("Tunnel entrance", at(cloudflare["edge"])),
        ("Platform expected at", at(found["platform"])),
        ("DNS of " + cloudflare["zone_name"], at(cloudflare["dns"])),
        # Emulators of before there were these may still run.
        *([("Mail gateway", at(found["gateway"]))] if "gateway" in found else []),
        *([("Inbox", found["inbox"]["url"])] if "inbox" in found else []),
        ("Credentials", found["env_file"]),
    )
    return "\n".join(f"  {title:<22} {value}" for title, value in rows)
