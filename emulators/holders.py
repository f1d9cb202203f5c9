"""Who listens on a port of this machine, as far as the operating system tells."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

_PROC = Path("/proc")
_TABLES = ("tcp", "tcp6", "udp", "udp6")
_LISTENING = {"tcp": "0A", "tcp6": "0A", "udp": "07", "udp6": "07"}
_WORDS = 120
"""How many characters of a command are shown."""


def holder(port: int, *, proc: Path = _PROC) -> str:
    """`pid 4711 (python server.py)`; empty where nobody can tell (no /proc, another user's process).

    Linux only: `net/tcp` names the inode of a listening socket, `PID/fd` who has it open.
    """
    inodes = set(_inodes(port, proc))
    if not inodes:
        return ""
    found = sorted({pid for pid, inode in _sockets(proc) if inode in inodes})
    # A child inherits its parent's sockets: the oldest of them is the one to look at.
    return f"pid {found[0]} ({_command(found[0], proc)})" if found else "a process of another user"


def _inodes(port: int, proc: Path) -> Iterator[str]:
    for table in _TABLES:
        try:
            rows = (proc / "net" / table).read_text().splitlines()[1:]
        except OSError:
            continue
        for row in rows:
            fields = row.split()
            if int(fields[1].rpartition(":")[2], 16) == port and fields[3] == _LISTENING[table]:
                yield fields[9]


def _sockets(proc: Path) -> Iterator[tuple[int, str]]:
    """Every open socket of every process that may be looked at, as (pid, inode)."""
    for folder in proc.iterdir():
        if not folder.name.isdigit():
            continue
        try:
            files = list((folder / "fd").iterdir())
        except OSError:
            continue  # Another user's, or gone since.
        for file in files:
            try:
                match = re.fullmatch(r"socket:\[(\d+)\]", str(file.readlink()))
            except OSError:
                continue  # Closed since.
            if match:
                yield int(folder.name), match[1]


def _command(pid: int, proc: Path) -> str:
    try:
        words = (proc / str(pid) / "cmdline").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        return "it has ended since"
    text = "".join(letter if letter.isprintable() else "?" for letter in " ".join(words).strip())
    return f"{text[:_WORDS].rstrip()}…" if len(text) > _WORDS else text
