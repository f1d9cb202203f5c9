"""`./mail env tunnel`: the tunnel's token into the file that cloudflared's container reads."""

from __future__ import annotations

from pathlib import Path

from commands.cli.console import working
from commands.stack_commands import Pulumi
from deploy.tunnel_env import write_environment


def write(stack: str, project: Path, file: Path) -> int:
    """Raises NoTunnelTokenError."""
    with working(f"Reading the tunnel of {stack}"):
        token = str(Pulumi(stack, project=project).outputs().get("tunnelToken") or "")
    write_environment(file, token)
    print(f"{file} holds the tunnel's token (mode 0600)")
    return 0
