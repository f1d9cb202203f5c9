"""`python -m commands.demo`: the whole loop on the embedded default; one line a step."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from azmail import AzmailError, MailStack
from commands.demo.loop import Mailjet, UnexpectedError, run
from commands.demo.platform import Inboxes, NoMailError, webhook

ROOT = Path(__file__).parents[2]


def main(arguments: list[str] | None = None) -> int:
    """Exit status: 0 when every step had its outcome, else 1."""
    parser = argparse.ArgumentParser(prog="python -m commands.demo", description=__doc__)
    parser.add_argument("--state-dir", default=str(ROOT / ".state" / "emulators"), help="of the running emulators")
    parser.add_argument("--patience", type=float, default=30.0, help="seconds to wait for each mail (default: 30)")
    parser.add_argument(
        "outputs", nargs="?", default="-", help="`pulumi stack output --json --show-secrets`; - for stdin"
    )
    chosen = parser.parse_args(arguments)

    text = sys.stdin.read() if chosen.outputs == "-" else Path(chosen.outputs).read_text()
    status = _emulators(chosen.state_dir)
    if not status["running"]:
        print("The emulators are not running; start them and the stack with: ./mail up", file=sys.stderr)
        return 1
    return show(MailStack.from_json(text), status, patience=chosen.patience)


def show(stack: MailStack, status: dict[str, Any], *, patience: float) -> int:
    """Run the loop against running emulators."""
    try:
        environment = stack.platform_env
        service, secret = urlsplit(environment["CLOUDFLARE_TUNNEL_SERVICE"]), environment["MAILJET_INBOUND_SECRET"]
        inboxes = Inboxes(patience)
        with webhook(stack, inboxes, host=service.hostname or "127.0.0.1", port=service.port or 80, secret=secret):
            run(stack, inboxes, _mailjet(status), print)
    except (AzmailError, NoMailError, UnexpectedError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    print("The loop is closed: sent, signed, routed, delivered and answered.")
    return 0


def _emulators(state_dir: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "emulators", "status", "--json", "--state-dir", state_dir]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)  # noqa: S603 - our own words
    status: dict[str, Any] = json.loads(done.stdout)
    return status


def _mailjet(status: dict[str, Any]) -> Mailjet:
    def place(entry: dict[str, str]) -> tuple[str, int]:
        return entry["host"], int(entry["port"])

    return Mailjet(
        smtp_ca_file=status["mailjet"]["smtp"]["ca_file"],
        inbound=place(status["mailjet"]["inbound"]),
        edge=place(status["cloudflare"]["edge"]),
    )


if __name__ == "__main__":
    sys.exit(main())
