"""The platform's inbox (`azmail inbox`) of the embedded default, on SQLite.

It takes what the emulated Mailjet delivers, and hands each mail on to whatever platform listens behind the tunnel, for as long
as it takes until one does.
"""

from __future__ import annotations

import os
import socket
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emulators.azmail_process import AzmailProcess, Part
from emulators.gateway import GatewayFolder
from emulators.sockets import LOOPBACK
from emulators.state_folder import StateFolder

WEBHOOK_PATH = "/api/webhooks/mailjet/inbound"
"""The platform's."""
_FOR_EVER = 1_000_000
_HANDED_ON = """
SELECT
  (SELECT count(*) FROM inbox_mails WHERE direction = 'in') - (SELECT count(*) FROM inbox_jobs WHERE kind = 'mail'),
  (SELECT count(*) FROM inbox_jobs WHERE kind = 'mail' AND NOT dead),
  (SELECT count(*) FROM inbox_jobs WHERE kind = 'mail' AND dead),
  coalesce((SELECT error FROM inbox_jobs WHERE kind = 'mail' AND error <> '' ORDER BY position LIMIT 1), '')
"""


@dataclass(frozen=True)
class HandedOn:
    """What has become of the mails that came into the inbox: how many are at the platform, wait for it, are given up."""

    done: int
    waiting: int
    dead: int
    error: str
    """What was said at the last attempt of the first that waits or is given up; empty where it was not tried."""


class InboxFolder:
    """What the inbox has below a state folder."""

    def __init__(self, folder: StateFolder) -> None:
        self.database = folder.path / "inbox.sqlite"
        self.database_url = f"sqlite:///{self.database}"

    def mark(self) -> object:
        """What is another one when something has been written."""
        return [(found.st_ino, found.st_mtime_ns) for found in map(_stat, (self.database, self._journal)) if found]

    def handed_on(self) -> HandedOn | None:
        """As its database has it (docs/decisions/096 says why it is read here); None before there is one."""
        try:
            with closing(sqlite3.connect(f"{self.database.as_uri()}?mode=ro", uri=True, timeout=1.0)) as connection:
                return HandedOn(*connection.execute(_HANDED_ON).fetchone())
        except sqlite3.Error:
            return None

    @property
    def _journal(self) -> Path:
        return self.database.with_name(f"{self.database.name}-wal")

    def described(self, *, port: int) -> dict[str, Any]:
        """As `./mail emulators status --json` shows it."""
        return {"host": LOOPBACK, "port": port, "url": f"http://{LOOPBACK}:{port}", "database": self.database_url}


def inbox_process(
    place: InboxFolder, gateway: GatewayFolder, *, http: socket.socket, platform_port: int, upstream_ca: Path
) -> AzmailProcess:
    words = ["inbox", "serve", "--config", str(gateway.file), "--port", f"fd:{http.fileno()}"]
    words += ["--upstream-ca", str(upstream_ca)]
    words += ["--hook", f"platform=http://{LOOPBACK}:{platform_port}{WEBHOOK_PATH}", "--attempts", str(_FOR_EVER)]
    return AzmailProcess(
        Part(
            name="inbox",
            words=words,
            environment=lambda: {
                "AZMAIL_GATEWAY_DATABASE": gateway.database_url,
                "AZMAIL_INBOX_DATABASE": place.database_url,
            },
            sockets=(http,),
            is_wanted=gateway.names_inbox,
            database=place.database,
        )
    )


def _stat(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except OSError:
        return None
