"""The platform's mail gateway (`azmail gateway`) beside the emulators, as a process of its own.

It is started once a file for it stands in the state folder, which `./mail up` writes there, and ends with the emulators. Its
ports are chosen and held here like all the others, so a stack can name them before it runs.
"""

from __future__ import annotations

import logging
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

from emulators.sockets import LOOPBACK
from emulators.state_folder import PROJECT, StateFolder

log = logging.getLogger("emulators.gateway")

END_SECONDS = 10.0


class GatewayFolder:
    """What the gateway has below a state folder."""

    def __init__(self, folder: StateFolder) -> None:
        self.path = folder.path / "gateway"
        self.file = self.path / "gateway.json"
        """What the gateway is started with, and follows; secret."""
        self.certificates = self.path / "tls"
        self.ca_file = self.certificates / "ca.pem"
        self.database = self.path / "ledger.sqlite"

    def described(self, *, port: int, api_port: int) -> dict[str, Any]:
        """As `./mail emulators status --json` shows it."""
        return {
            "host": LOOPBACK,
            "port": port,
            "api_url": f"http://{LOOPBACK}:{api_port}",
            "ca_file": str(self.ca_file),
            "file": str(self.file),
        }


class GatewayProcess:
    """Starts it when there is a file for it, and again with another file where it has ended by itself."""

    def __init__(self, folder: StateFolder, *, smtp: socket.socket, api: socket.socket, upstream_ca: Path) -> None:
        self._folder = GatewayFolder(folder)
        self._smtp, self._api = smtp, api
        self._upstream_ca = upstream_ca
        self._child: subprocess.Popen[bytes] | None = None
        self._started_with = 0

    def look(self) -> None:
        """Start it where it can run and does not."""
        try:
            written = self._folder.file.stat().st_mtime_ns
        except FileNotFoundError:
            return
        ended = self._child is not None and self._child.poll() is not None
        if self._child is None or (ended and written != self._started_with):
            self._started_with = written
            self._start()

    def _start(self) -> None:
        descriptors = (self._smtp.fileno(), self._api.fileno())
        command = [sys.executable, "-m", "azmail", "gateway", "serve", "--config", str(self._folder.file)]
        command += [
            "--starttls-port",
            f"fd:{descriptors[0]}",
            "--http-port",
            f"fd:{descriptors[1]}",
            "--tls-port",
            "none",
            "--https-port",
            "none",
        ]
        command += ["--tls-folder", str(self._folder.certificates), "--upstream-ca", str(self._upstream_ca)]
        command.append("--end-with-stdin")
        # Standard error and output are the emulators' log. The pipe closes when this process ends, however it ends.
        self._child = subprocess.Popen(  # noqa: S603
            command,
            cwd=PROJECT,
            stdin=subprocess.PIPE,
            env={**os.environ, "AZMAIL_GATEWAY_DATABASE": f"sqlite:///{self._folder.database}"},
            pass_fds=descriptors,
        )
        log.info("the gateway is process %d", self._child.pid)

    def stop(self) -> None:
        """End it and wait until it has ended; messages on their way are answered first."""
        if self._child is None:
            return
        self._child.terminate()
        try:
            self._child.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()
        if self._child.stdin is not None:
            self._child.stdin.close()
