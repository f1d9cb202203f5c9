"""`./mail gateway rotate | retire | file`: the root secrets of a stack, and the file that its gateway is started with."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from azmail.atomic import write_private
from commands.cli.console import working
from commands.errors import CommandError
from commands.stack_commands import Pulumi
from mailboxes import remedies
from mailboxes.passwords import RootSecretError, parse_roots, render_roots, with_new_root
from settings.values import PROJECT

KEY = "gatewayRoots"


class RootsUnreadableError(CommandError):
    """What is stored as root secrets is none."""

    def __init__(self, stack: str, problem: str) -> None:
        super().__init__(
            f"{PROJECT}:{KEY} of {stack} {problem}; put the right one back, or, where it is lost and every agent may get a new "
            f"password at once, remove it with: {remedies.remove_value(KEY, stack=stack)} and make another"
        )


class NoGatewayError(CommandError):
    """A stack whose agents send through Mailjet itself."""

    def __init__(self, stack: str) -> None:
        super().__init__(
            f"{stack} has no gateway: its output gatewayEnv is empty; expected one that was brought up with submission gateway; "
            f"switch with: {remedies.set_value('submission', 'gateway', stack=stack)} && {remedies.new_root(stack)} && "
            f"{remedies.apply(stack)}"
        )


def rotate(stack: str, project: Path) -> int:
    """Puts a new root secret in front. Raises RootsUnreadableError and PulumiFailedError."""
    pulumi = Pulumi(stack, project=project)
    before = _roots(pulumi) or _in_use(pulumi)
    after = with_new_root(before)
    _store(pulumi, after)
    new, *rest = after
    if not rest:
        print(
            f"{stack} has the root secret {new}, which every agent's password is made from. Next: {remedies.apply(stack)}"
        )
        return 0
    print(
        f"{stack} makes passwords from the new root secret {new}; those of {rest[0]} stay good meanwhile. Next:\n"
        f"  {remedies.apply(stack)}\n"
        "  give the gateway its file and the platform its outputs anew\n"
        f"  {remedies.mail('gateway', 'retire', '--stack', stack)}, when nobody uses the old passwords any more"
    )
    return 0


def retire(stack: str, project: Path) -> int:
    """Keeps the current root secret alone. Raises RootsUnreadableError and PulumiFailedError."""
    pulumi = Pulumi(stack, project=project)
    roots = _roots(pulumi)
    if len(roots) < 2:
        print(f"{stack} has {'one root secret' if roots else 'no root secret'}; there is none to retire.")
        return 0
    current, *gone = roots
    _store(pulumi, {current: roots[current]})
    print(
        f"{stack} takes passwords of {current} alone from the next up on, none of {', '.join(gone)}. "
        f"Next: {remedies.apply(stack)}"
    )
    return 0


def write_file(stack: str, project: Path, file: Path) -> int:
    """The gateway's file from the outputs, into a file that only its owner may read. Raises NoGatewayError."""
    with working(f"Reading the gateway of {stack}"):
        text = whole_file(Pulumi(stack, project=project).outputs())
    if not text:
        raise NoGatewayError(stack)
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_private(file, text)
    print(f"{file} holds the account's key, the root secrets and the agents (mode 0600)")
    return 0


def whole_file(outputs: Mapping[str, Any]) -> str:
    """What a gateway is started with: the output gatewayEnv, and the agents as `mailboxes` has them; empty without a gateway."""
    text = str(outputs.get("gatewayEnv") or "")
    if not text:
        return ""
    return json.dumps({**json.loads(text), "packed": json.loads(outputs["mailboxes"])["packed"]}, ensure_ascii=False)


def _roots(pulumi: Pulumi) -> dict[str, str]:
    text = str(pulumi.entries().get(f"{PROJECT}:{KEY}", {}).get("value") or "").strip()
    try:
        return parse_roots(text) if text else {}
    except RootSecretError as error:
        raise RootsUnreadableError(pulumi.stack, str(error)) from None


def _in_use(pulumi: Pulumi) -> dict[str, str]:
    """Those that a variable gave to the last up, as it does in the embedded default: what agents hold is made from them."""
    text = str(pulumi.outputs().get("gatewayEnv") or "")
    roots: dict[str, str] = json.loads(text)["roots"] if text else {}
    return roots


def _store(pulumi: Pulumi, roots: dict[str, str]) -> None:
    # On standard input: an argument would show in the list of processes.
    pulumi.run("config", "set", "--secret", KEY, "--stack", pulumi.stack, stdin=render_roots(roots))
