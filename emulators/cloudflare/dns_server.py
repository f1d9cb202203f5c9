"""DNS over UDP and TCP on one port, in a thread of its own."""

from __future__ import annotations

import asyncio
import logging
import socket
import struct
import threading
from collections.abc import Callable
from typing import Protocol, cast

_log = logging.getLogger(__name__)

# RFC 7766 6.2.3: how long an idle TCP connection is kept, in seconds.
_IDLE = 10.0
_PORT_TRIES = 64
# The rest of a header after the id: an answer, code 2, four empty sections.
_SERVFAIL = bytes([0x80, 0x02]) + bytes(8)


class Answering(Protocol):
    def answer(self, dns_query: bytes, *, udp: bool) -> bytes: ...


class PortTakenError(OSError):
    """The port cannot be had for both UDP and TCP."""

    def __init__(self, host: str, port: int, reason: OSError) -> None:
        super().__init__(
            reason.errno,
            f"cannot serve DNS at {host}:{port} over UDP and TCP: {reason.strerror or reason};"
            " stop what listens there or choose another port",
        )


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, ask: Callable[[bytes, bool], bytes]) -> None:
        self._ask = ask
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # Before Python 3.12 the transport is one in all but its class.
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str | object, int]) -> None:
        reply = self._ask(data, True)
        if reply and self._transport is not None:
            self._transport.sendto(reply, addr)


class DnsServer:
    """A running server. `close` stops it and waits for its thread."""

    def __init__(self, emulator: Answering, host: str, port: int) -> None:
        self._emulator = emulator
        self.host = host
        self._udp, self._tcp = _bound(host, port)
        self.port: int = self._udp.getsockname()[1]
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._ready = threading.Event()
        self._conversations: dict[socket.socket, asyncio.Task[None]] = {}
        self._thread = threading.Thread(target=self._run, name=f"dns-{self.port}", daemon=True)
        self._thread.start()
        self._ready.wait()

    def close(self) -> None:
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join()

    def _run(self) -> None:
        try:
            self._loop.run_until_complete(self._serve())
        finally:
            self._loop.close()

    async def _serve(self) -> None:
        datagrams, _ = await self._loop.create_datagram_endpoint(lambda: _Datagrams(self._ask), sock=self._udp)
        self._loop.add_reader(self._tcp, self._accept)
        self._ready.set()
        await self._stop.wait()
        self._loop.remove_reader(self._tcp)
        self._tcp.close()
        datagrams.close()
        conversations = dict(self._conversations)
        for task in conversations.values():
            task.cancel()
        await asyncio.gather(*conversations.values(), return_exceptions=True)
        for connection in conversations:
            connection.close()
        # The transport closes its socket one turn of the loop after it was told to.
        await asyncio.sleep(0)

    def _ask(self, query: bytes, udp: bool) -> bytes:
        try:
            return self._emulator.answer(query, udp=udp)
        except Exception:  # noqa: BLE001 - logged and answered
            # The server goes on after a query that breaks it: the client gets SERVFAIL, the log the reason.
            _log.exception("no answer to a DNS query of %d octets", len(query))
            return query[:2] + _SERVFAIL

    # Not asyncio.start_server: when it closes, it loses connections that are just being accepted.
    def _accept(self) -> None:
        try:
            connection, _ = self._tcp.accept()
        except (BlockingIOError, ConnectionError):
            # The client was gone before its turn.
            return
        connection.setblocking(False)
        self._conversations[connection] = self._loop.create_task(self._converse(connection))

    async def _converse(self, connection: socket.socket) -> None:
        try:
            while True:
                async with asyncio.timeout(_IDLE):
                    (length,) = struct.unpack("!H", await self._exactly(connection, 2))
                    query = await self._exactly(connection, length)
                reply = self._ask(query, False)
                if not reply:
                    return
                await self._loop.sock_sendall(connection, struct.pack("!H", len(reply)) + reply)
        except (TimeoutError, EOFError, ConnectionError):
            # The client is gone or has nothing more to ask.
            return
        finally:
            self._conversations.pop(connection, None)
            connection.close()

    async def _exactly(self, connection: socket.socket, count: int) -> bytes:
        received = b""
        while len(received) < count:
            piece = await self._loop.sock_recv(connection, count - len(received))
            if not piece:
                raise EOFError
            received += piece
        return received


def _bound(host: str, port: int) -> tuple[socket.socket, socket.socket]:
    """A UDP and a listening TCP socket on the same port; port 0 takes one that is free for both."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    tries = _PORT_TRIES if port == 0 else 1
    while True:
        tries -= 1
        # Named, because asyncio turns Nagle's algorithm off only where the protocol is.
        tcp = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        udp = socket.socket(family, socket.SOCK_DGRAM)
        try:
            tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            tcp.bind((host, port))
            udp.bind((host, tcp.getsockname()[1]))
            tcp.listen(128)
        except OSError as reason:
            tcp.close()
            udp.close()
            if tries == 0:
                raise PortTakenError(host, port, reason) from reason
            continue
        for one in (tcp, udp):
            one.setblocking(False)
        return udp, tcp


def serve_dns(emulator: Answering, host: str = "127.0.0.1", port: int = 0) -> DnsServer:
    """Serve the emulator's zones over UDP and TCP; the handle has `port` and `close()`."""
    return DnsServer(emulator, host, port)
