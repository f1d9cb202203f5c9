"""`./mail env tunnel | platform`: what cloudflared's container and the agent platform read, from the stack's outputs.

Both hold credentials: they never stand in an argument, and the files have mode 0600 from their first byte.
"""

from __future__ import annotations

import re
from pathlib import Path

from azmail import MailStack
from azmail.atomic import write_private
from azmail.dotenv import render_env
from commands.cli.console import working
from commands.errors import NoTunnelTokenError
from commands.roster import read_stack
from commands.stack_commands import Pulumi

_TOKEN = re.compile(r"[A-Za-z0-9+/=_-]{20,}")


def tunnel(stack: str, project: Path, file: Path) -> int:
    """Raises NoTunnelTokenError."""
    with working(f"Reading the tunnel of {stack}"):
        token = str(Pulumi(stack, project=project).outputs().get("tunnelToken") or "")
    write_tunnel(file, token, stack=stack)
    print(f"{file} holds the tunnel's token (mode 0600)")
    return 0


def write_tunnel(path: Path, token: str, *, stack: str = "") -> None:
    """Raises NoTunnelTokenError where the stack has no tunnel of its own, or its output is something else."""
    token = token.strip()
    if not _TOKEN.fullmatch(token):
        raise NoTunnelTokenError("empty" if not token else "no tunnel token", stack)
    write_private(path, f"TUNNEL_TOKEN={token}\n")


def platform(stack: str, project: Path, file: Path) -> int:
    """Raises AzmailError where a value cannot stand in such a file."""
    with working(f"Reading the outputs of {stack}"):
        outputs: MailStack = read_stack(Pulumi(stack, project=project))
    write_private(file, render_env(outputs.platform_env))
    print(f"{file} holds the platform's variables (mode 0600)")
    return 0
