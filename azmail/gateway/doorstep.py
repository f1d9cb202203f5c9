"""Who has not said yet who they are: bounded in number and in time, so that no stranger keeps a place from an agent."""

from __future__ import annotations

import asyncio
import ssl
from asyncio import sslproto
from collections import OrderedDict
from collections.abc import Callable
from typing import cast

GOODBYE_SECONDS = 1.0
"""What a peer gets to take the last words; whoever reads nothing would keep its socket for ever."""


class Doorstep:
    """The connections that wait to be known. Each is ended after `seconds`; the longest waiting one when `most` are there."""

    def __init__(self, *, most: int, seconds: float) -> None:
        self._most = most
        self._seconds = seconds
        self._waiting: OrderedDict[object, tuple[asyncio.TimerHandle, Callable[[], None]]] = OrderedDict()

    def enter(self, who: object, end: Callable[[], None]) -> None:
        """Begin its time; one that waits already goes on as it was."""
        if who in self._waiting:
            return
        if len(self._waiting) >= self._most:
            self.make_room()
        self._waiting[who] = asyncio.get_running_loop().call_later(self._seconds, self._end, who), end

    def leave(self, who: object) -> None:
        """It is known, or has gone."""
        if who in self._waiting:
            self._waiting.pop(who)[0].cancel()

    def make_room(self) -> bool:
        """End the one that waits longest; whether there was one."""
        if not self._waiting:
            return False
        self._end(next(iter(self._waiting)))
        return True

    def _end(self, who: object) -> None:
        timer, end = self._waiting.pop(who)
        timer.cancel()
        end()

    def __len__(self) -> int:
        return len(self._waiting)


class TlsFirst(asyncio.Protocol):
    """TLS from the first octet for `inner`, whose handshake waits on the doorstep: asyncio's own is bounded by nothing."""

    def __init__(self, inner: asyncio.Protocol, context: ssl.SSLContext, doorstep: Doorstep) -> None:
        self._inner = inner
        self._context = context
        self._doorstep = doorstep

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        loop = asyncio.get_running_loop()
        raw = cast("asyncio.Transport", transport)
        shaken = loop.create_future()
        shaken.add_done_callback(self._shaken)
        tls = sslproto.SSLProtocol(loop, self._inner, self._context, shaken, server_side=True)
        self._doorstep.enter(self, raw.abort)
        raw.set_protocol(tls)
        tls.connection_made(raw)

    def _shaken(self, outcome: asyncio.Future[None]) -> None:
        self._doorstep.leave(self)
        outcome.exception()  # asked for, or asyncio would log that nobody did


def hang_up(transport: asyncio.Transport) -> None:
    """Close, and cut where the peer does not take what is left."""
    transport.close()
    asyncio.get_running_loop().call_later(GOODBYE_SECONDS, transport.abort)
