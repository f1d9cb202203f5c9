"""Sockets on 127.0.0.1, the only address that anything here listens on."""

from __future__ import annotations

import socket

LOOPBACK = "127.0.0.1"


def listen(port: int, *, kind: socket.SocketKind = socket.SOCK_STREAM) -> socket.socket:
    """A socket bound to 127.0.0.1:`port` (0: any free port). Raises OSError when it is in use."""
    # asyncio turns Nagle's algorithm off only where the protocol is named; with it, each answer waits 40 ms.
    protocol = socket.IPPROTO_TCP if kind == socket.SOCK_STREAM else socket.IPPROTO_UDP
    bound = socket.socket(socket.AF_INET, kind, protocol)
    try:
        if kind == socket.SOCK_STREAM:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((LOOPBACK, port))
        if kind == socket.SOCK_STREAM:
            bound.listen(512)
        bound.setblocking(False)
    except OSError:
        bound.close()
        raise
    return bound
