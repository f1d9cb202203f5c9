"""A part of the platform's library (`azmail gateway`, `azmail inbox`) beside the emulators, as a process of its own.

It runs while the state folder has a file that asks for it, which `./mail up` writes there, and ends with the emulators. Its
ports are chosen and held here like all the others, so a stack can name them before it runs.
"""

from __future__ import annotations

import logging
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from emulators.state_folder import PROJECT

log = logging.getLogger("emulators.azmail")

END_SECONDS = 10.0
AGAIN_SECONDS = 5.0
"""Between two starts of one that ends by itself."""


@dataclass(frozen=True, kw_only=True)
class Part:
    """What is run, and when."""

    name: str
    words: Sequence[str]
    """Behind `azmail`."""
    environment: Callable[[], Mapping[str, str]]
    """Added to what this process has; one that changes takes a new process."""
    sockets: Sequence[socket.socket]
    """Which `words` name as `fd:N`."""
    is_wanted: Callable[[], bool]
    database: Path
    """SQLite; forgotten where it is not wanted any more."""


class AzmailProcess:
    """Starts its part where it is wanted, again where it has ended by itself, and ends it where it is not."""

    def __init__(self, part: Part) -> None:
        self._part = part
        self._child: subprocess.Popen[bytes] | None = None
        self._started = float("-inf")
        self._environment: Mapping[str, str] = {}

    def look(self) -> None:
        """To be called every second or so."""
        if not self._part.is_wanted():
            if self._child is not None:
                self.stop()
            forget_sqlite(self._part.database)
            return
        if self._runs() and self._part.environment() != self._environment:
            self.stop()
        if not self._runs() and time.monotonic() - self._started >= AGAIN_SECONDS:
            self._start()

    def _runs(self) -> bool:
        return self._child is not None and self._child.poll() is None

    def _start(self) -> None:
        self._close_pipe()
        self._started = time.monotonic()
        self._environment = self._part.environment()
        command = [sys.executable, "-m", "azmail", *self._part.words, "--end-with-stdin"]
        # Standard error and output are the emulators' log. The pipe closes when this process ends, however it ends.
        self._child = subprocess.Popen(  # noqa: S603
            command,
            cwd=PROJECT,
            stdin=subprocess.PIPE,
            env={**_environment(), **self._environment},
            pass_fds=tuple(bound.fileno() for bound in self._part.sockets),
        )
        log.info("the %s is process %d", self._part.name, self._child.pid)

    def stop(self) -> None:
        """End it and wait until it has ended; what it is at is finished first."""
        if self._child is None:
            return
        self._child.terminate()
        try:
            self._child.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()
        self._close_pipe()
        self._child = None
        self._started = float("-inf")

    def _close_pipe(self) -> None:
        if self._child is not None and self._child.stdin is not None:
            self._child.stdin.close()


def _environment() -> dict[str, str]:
    """This process's own, without what would win over the file."""
    return {
        name: value for name, value in os.environ.items() if not name.startswith(("AZMAIL_", "MAILJET_", "AGENTMAIL_"))
    }


def forget_sqlite(database: Path) -> None:
    """Delete it (only while nobody uses it)."""
    for suffix in ("", "-wal", "-shm"):
        database.with_name(database.name + suffix).unlink(missing_ok=True)
