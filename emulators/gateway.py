"""The platform's mail gateway (`azmail gateway`) of the embedded default."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

from emulators.azmail_process import AzmailProcess, Part
from emulators.sockets import LOOPBACK
from emulators.state_folder import StateFolder


class GatewayFolder:
    """What the gateway has below a state folder."""

    def __init__(self, folder: StateFolder) -> None:
        self.path = folder.path / "gateway"
        self.file = self.path / "gateway.json"
        """What gateway and inbox are started with, and follow; secret."""
        self.certificates = self.path / "tls"
        self.ca_file = self.certificates / "ca.pem"
        self.database = self.path / "ledger.sqlite"
        self.database_url = f"sqlite:///{self.database}"
        self._seen: tuple[int, int, int] | None = None
        self._names_inbox = False

    def names_inbox(self) -> bool:
        """Whether the stack that wrote the file has an inbox. It holds all agents and is asked about every second: it is read
        anew only where it has changed."""
        try:
            found = self.file.stat()
            seen = found.st_ino, found.st_mtime_ns, found.st_size
            if seen != self._seen:
                self._names_inbox, self._seen = _names_inbox(self.file.read_text(encoding="utf-8")), seen
        except FileNotFoundError:
            return False
        return self._names_inbox

    def described(self, *, port: int, api_port: int, api_tls_port: int) -> dict[str, Any]:
        """As `./mail emulators status --json` shows it."""
        return {
            "host": LOOPBACK,
            "port": port,
            "api_url": f"http://{LOOPBACK}:{api_port}",
            "api_tls_url": f"https://{LOOPBACK}:{api_tls_port}",
            "ca_file": str(self.ca_file),
            "file": str(self.file),
        }


def _names_inbox(text: str) -> bool:
    try:
        found = json.loads(text)
    except ValueError:
        return False
    return isinstance(found, dict) and "webhook" in found


def gateway_process(
    place: GatewayFolder,
    *,
    smtp: socket.socket,
    api: socket.socket,
    api_tls: socket.socket,
    upstream_ca: Path,
    inbox_url: Callable[[], str],
) -> AzmailProcess:
    """`inbox_url`: the inbox's database, where what agents send is kept too; "" while the stack has no inbox, which is when
    that database is forgotten."""
    words = ["gateway", "serve", "--config", str(place.file), "--tls-port", "none"]
    words += ["--starttls-port", f"fd:{smtp.fileno()}", "--http-port", f"fd:{api.fileno()}"]
    words += ["--https-port", f"fd:{api_tls.fileno()}"]
    words += ["--tls-folder", str(place.certificates), "--upstream-ca", str(upstream_ca)]
    return AzmailProcess(
        Part(
            name="gateway",
            words=words,
            environment=lambda: {"AZMAIL_GATEWAY_DATABASE": place.database_url, "AZMAIL_INBOX_DATABASE": inbox_url()},
            sockets=(smtp, api, api_tls),
            is_wanted=place.file.exists,
            database=place.database,
        )
    )
