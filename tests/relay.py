"""A wire between a client and a server: it can be slow, it can be cut, and it counts what passes."""

from __future__ import annotations

import re
import socket
import threading
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Self

_REQUEST = re.compile(rb"([A-Z]{3,7}) (\S+) HTTP/1")
_PIECE = 1 << 18

Address = tuple[str, int] | str
"""A host and a port, or the path of a socket."""


@dataclass
class Passed:
    """What has gone over the wire since it was last forgotten."""

    rounds: int = 0
    """Times that the client spoke after the server had: each costs one latency."""
    requests: Counter[str] = field(default_factory=Counter)
    """HTTP's methods; empty for another protocol."""
    sent: int = 0
    """Bytes, from client to server."""
    received: int = 0


class Relay:
    """Listens on a free port of 127.0.0.1. `latency_ms` is added to each round; `cut` ends every connection."""

    def __init__(self, server: Address, *, latency_ms: float = 0) -> None:
        self.latency_ms = latency_ms
        self.passed = Passed()
        self.refused = 0
        """Connections that were tried while the wire was cut."""
        self._server = server
        self._cut_at: tuple[re.Pattern[bytes], int] | None = None
        self._mended_at: int | None = None
        self._is_cut = threading.Event()
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._never = threading.Event()
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._listening.listen(64)
        threading.Thread(target=self._accept, name="relay", daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    @property
    def port(self) -> int:
        return int(self._listening.getsockname()[1])

    def forget(self) -> Passed:
        """Count anew; what was counted."""
        with self._lock:
            passed, self.passed = self.passed, Passed()
        return passed

    def cut(self) -> None:
        """End every connection, and each new one at once."""
        self._is_cut.set()
        with self._lock:
            opened = list(self._open)
        for each in opened:
            _end(each)

    def cut_at(self, request: str, times: int, *, mended_at: int | None = None) -> None:
        """Cut instead of passing on what matches `request` for the so many-th time; mend it after so many refused."""
        self._cut_at = (re.compile(request.encode()), times)
        self._mended_at = mended_at

    def mend(self) -> None:
        self._cut_at = None
        self._is_cut.clear()

    def close(self) -> None:
        self.cut()
        _end(self._listening)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listening.accept()
            except OSError:
                return
            if self._is_cut.is_set():
                self.refused += 1
                client.close()
                if self._mended_at is not None and self.refused >= self._mended_at:
                    self.mend()
                continue
            try:
                server = _connected(self._server)
            except OSError:
                client.close()
                continue
            with self._lock:
                self._open |= {client, server}
            spoken = threading.Event()
            spoken.set()
            for pump in (self._upwards, self._downwards):
                threading.Thread(target=pump, args=(client, server, spoken), daemon=True).start()

    def _upwards(self, client: socket.socket, server: socket.socket, spoken: threading.Event) -> None:
        with suppress(OSError):
            while data := client.recv(_PIECE):
                if spoken.is_set():
                    spoken.clear()
                    self._count(data)
                    self._never.wait(self.latency_ms / 1000)
                if self._is_cut.is_set():
                    break
                with self._lock:
                    self.passed.sent += len(data)
                server.sendall(data)
        self._finish(client, server)

    def _downwards(self, client: socket.socket, server: socket.socket, spoken: threading.Event) -> None:
        with suppress(OSError):
            while data := server.recv(_PIECE):
                spoken.set()
                with self._lock:
                    self.passed.received += len(data)
                client.sendall(data)
        self._finish(client, server)

    def _count(self, data: bytes) -> None:
        with self._lock:
            self.passed.rounds += 1
            if match := _REQUEST.match(data):
                self.passed.requests[match[1].decode()] += 1
            reached = False
            if self._cut_at is not None and self._cut_at[0].search(data[:4096]):
                pattern, left = self._cut_at
                self._cut_at = (pattern, left - 1)
                reached = left == 1
        if reached:
            self.cut()

    def _finish(self, *both: socket.socket) -> None:
        with self._lock:
            self._open -= set(both)
        for each in both:
            _end(each)


def _connected(server: Address) -> socket.socket:
    if isinstance(server, str):
        made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        made.connect(server)
        return made
    return socket.create_connection(server)


def _end(either: socket.socket) -> None:
    with suppress(OSError):
        either.shutdown(socket.SHUT_RDWR)
    either.close()


def total(requests: Counter[str], methods: Sequence[str] = ("PUT", "POST", "DELETE")) -> int:
    """How many of these were writes."""
    return sum(requests[method] for method in methods)
