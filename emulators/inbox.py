"""The platform's inbox (`azmail inbox`) of the embedded default, on SQLite.

It takes what the emulated Mailjet delivers, and hands each mail on to whatever platform listens behind the tunnel, for as long
as it takes until one does.
"""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

from emulators.azmail_process import AzmailProcess, Part
from emulators.gateway import GatewayFolder
from emulators.sockets import LOOPBACK
from emulators.state_folder import StateFolder

WEBHOOK_PATH = "/api/webhooks/mailjet/inbound"
"""The platform's."""
_FOR_EVER = 1_000_000


class InboxFolder:
    """What the inbox has below a state folder."""

    def __init__(self, folder: StateFolder) -> None:
        self.database = folder.path / "inbox.sqlite"
        self.database_url = f"sqlite:///{self.database}"

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
            environment={"AZMAIL_GATEWAY_DATABASE": gateway.database_url, "AZMAIL_INBOX_DATABASE": place.database_url},
            sockets=(http,),
            is_wanted=lambda: _has_webhook(gateway),
            database=place.database,
        )
    )


def _has_webhook(gateway: GatewayFolder) -> bool:
    """Whether the stack that wrote the gateway's file has an inbox."""
    try:
        found = json.loads(gateway.file.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return False
    return isinstance(found, dict) and "webhook" in found
