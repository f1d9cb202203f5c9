"""The Pulumi engine as its plugin process sees it: is it alive, and would it show a line of progress?

The engine starts a plugin with its own address as the last argument. A killed engine leaves its plugins running,
and they go on writing; so every write asks first. A parent process id does not answer that, because the official
launcher is a shell script that stays in between.
"""

from __future__ import annotations

import os
import re
import socket
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

import grpc
from pulumi.runtime.proto import engine_pb2, engine_pb2_grpc

from clients.mailjet.errors import EngineGoneError
from clients.mailjet.redaction import redact

_ADDRESS = re.compile(r"(?P<host>[A-Za-z0-9.\-]+|\[[0-9a-f:]+\]):(?P<port>\d{1,5})")
_PLUGIN_MODULE = ("pulumi", "dynamic", "__main__.py")
_CONNECT_SECONDS = 5.0
_CONNECT_TRIES = 3
_LOG_SECONDS = 5.0
_WATCH_SECONDS = 2.0


def engine_address(argv: Sequence[str]) -> str | None:
    """The engine's `host:port`: the last argument of a plugin, after the flags for logging and tracing."""
    if argv and _ADDRESS.fullmatch(argv[-1]):
        return argv[-1]
    return None


class EngineConnection:
    """Holds one connection to the engine open: the kernel closes it the moment the engine dies, however it dies."""

    def __init__(self, address: str | None) -> None:
        """Without an address (tests, a debugger's plugin) the engine counts as alive and logs nothing."""
        self.address = address
        self._lock = threading.Lock()
        self._connection: socket.socket | None = None
        self._channel: grpc.Channel | None = None

    @classmethod
    def of_this_process(cls) -> EngineConnection:
        """The engine that started this process as its dynamic provider plugin, if one did."""
        is_plugin = Path(sys.argv[0]).parts[-3:] == _PLUGIN_MODULE
        return cls(engine_address(sys.argv[1:]) if is_plugin else None)

    def alive(self) -> bool:
        """Whether the engine still runs."""
        if self.address is None:
            return True
        with self._lock:
            if self._connection is not None and _open(self._connection):
                return True
            self._disconnect()
            self._connection = _connect(self.address)
            return self._connection is not None

    def require_alive(self) -> None:
        """Raises EngineGoneError, so that nothing is written that no state will ever record."""
        if self.address is not None and not self.alive():
            raise EngineGoneError(self.address)

    def progress(self, text: str) -> None:
        """A line that stands beside the stack until the next one replaces it."""
        self._log(text, severity=engine_pb2.INFO, ephemeral=True)

    def warn(self, text: str) -> None:
        """A warning that stays in the summary of the run."""
        self._log(text, severity=engine_pb2.WARNING, ephemeral=False)

    def _log(self, text: str, *, severity: engine_pb2.LogSeverity.ValueType, ephemeral: bool) -> None:
        """A line that cannot be delivered is dropped: nothing depends on it."""
        if self.address is None:
            return
        with self._lock:
            if self._channel is None:
                self._channel = grpc.insecure_channel(self.address)
            channel = self._channel
        request = engine_pb2.LogRequest(
            severity=severity,
            message=redact(text),
            ephemeral=ephemeral,
        )
        try:
            engine_pb2_grpc.EngineStub(channel).Log(request, timeout=_LOG_SECONDS)
        except grpc.RpcError:
            return

    def exit_with_it(self, *, every: float = _WATCH_SECONDS) -> None:
        """End this process soon after its engine is gone: an orphan would keep the credentials in memory. Looks
        `every` so many seconds."""
        if self.address is not None:
            threading.Thread(target=self._watch, args=(every,), name="engine-watch", daemon=True).start()

    def close(self) -> None:
        """Let go of both connections."""
        with self._lock:
            self._disconnect()
            if self._channel is not None:
                self._channel.close()
                self._channel = None

    def _watch(self, every: float) -> None:
        rest = threading.Event()
        while self.alive():
            rest.wait(every)
        os._exit(1)

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _connect(address: str) -> socket.socket | None:
    """None where nobody listens any more. A busy machine may need a second try, a dead engine refuses at once."""
    host, _, port = address.rpartition(":")
    for _ in range(_CONNECT_TRIES):
        try:
            connection = socket.create_connection((host.strip("[]"), int(port)), timeout=_CONNECT_SECONDS)
        except ConnectionRefusedError:
            return None
        except OSError:
            continue
        connection.setblocking(False)
        return connection
    return None


def _open(connection: socket.socket) -> bool:
    """Reads away what the engine said (HTTP/2 settings); an end of stream or a reset means closed."""
    try:
        while connection.recv(4096):
            continue
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False
