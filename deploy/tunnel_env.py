"""Write the tunnel's token, read from standard input, into an environment file for cloudflared.

    ./mail pulumi stack output tunnelToken --show-secrets --stack STACK | python deploy/tunnel_env.py deploy/tunnel.env

The token goes through a pipe and into a file that only its owner may read: never on a command line.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

_TOKEN = re.compile(r"[A-Za-z0-9+/=_-]{20,}")


class NoTunnelTokenError(Exception):
    """The stack has no tunnel of its own, or its output is something else."""

    def __init__(self, found: str) -> None:
        super().__init__(
            f"The stack output tunnelToken is {found}; expected the token of a tunnel that this stack creates; "
            "set accountId and tunnelHostname, then run: pulumi up"
        )


def write_environment(path: Path, token: str) -> None:
    """Replace the file in one step, mode 0600 from its first byte. Raises NoTunnelTokenError."""
    token = token.strip()
    if not _TOKEN.fullmatch(token):
        raise NoTunnelTokenError("empty" if not token else "no tunnel token")
    new = path.with_name(f"{path.name}.new")
    new.unlink(missing_ok=True)
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(f"TUNNEL_TOKEN={token}\n")
    new.replace(path)


def main(arguments: Sequence[str], source: TextIO) -> int:
    """The command line; returns the exit status."""
    if len(arguments) != 1:
        print("usage: python deploy/tunnel_env.py FILE < TOKEN", file=sys.stderr)
        return 2
    path = Path(arguments[0])
    try:
        write_environment(path, source.read())
    except NoTunnelTokenError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"{path} holds the tunnel's token (mode 0600)")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], sys.stdin))
