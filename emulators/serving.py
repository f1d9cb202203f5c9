"""Running an ASGI app with uvicorn so that a request's connection can be cut like a failing network cuts it."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import threading
from collections.abc import Iterator
from types import TracebackType
from typing import Any, Self

import uvicorn
from starlette.types import ASGIApp, Scope
from uvicorn.protocols.http.h11_impl import H11Protocol

from emulators.sockets import LOOPBACK, listen

_Ends = tuple[Any, Any]
_transports: dict[_Ends, asyncio.Transport] = {}
_served_here: set[Any] = set()


class ConnectionUnknownError(RuntimeError):
    """The request did not arrive through a server of this module."""

    def __init__(self) -> None:
        super().__init__(
            "This request's connection cannot be cut: it did not arrive over a socket of local.serving; "
            "start the app with http_server() or ServerThread."
        )


class AbortableProtocol(H11Protocol):
    """uvicorn's HTTP protocol, remembering which transport serves which pair of addresses."""

    _ends: _Ends | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._ends = (transport.get_extra_info("sockname"), transport.get_extra_info("peername"))
        _transports[self._ends] = transport
        _served_here.add(self._ends[0])

    def connection_lost(self, exc: Exception | None) -> None:
        if self._ends is not None:
            _transports.pop(self._ends, None)
        super().connection_lost(exc)


def abort_connection(scope: Scope) -> None:
    """Reset the TCP connection of the request `scope`: its client sees ECONNRESET, not an answer.

    A zero linger time makes the kernel send RST and drop what was not sent yet; a plain close would look
    like an orderly end.
    """
    ends = (tuple(scope["server"] or ()), tuple(scope["client"] or ()))
    transport = _transports.get(ends)
    if transport is None:
        if ends[0] in _served_here:
            return
        raise ConnectionUnknownError
    connection: socket.socket = transport.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


class LoopbackServer(uvicorn.Server):
    """A uvicorn server among others in one loop: the process, not each server, handles signals."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def http_server(app: ASGIApp) -> LoopbackServer:
    """A server for `app`; run it with `await server.serve(sockets=[…])`, stop it with `should_exit = True`."""
    return LoopbackServer(
        uvicorn.Config(
            app,
            loop="asyncio",
            http=AbortableProtocol,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            # Longer than any pause of a test or an `up`, so that a pooled connection is not closed under a POST.
            timeout_keep_alive=300,
            timeout_graceful_shutdown=1,
            backlog=512,
        )
    )


class LoopThread:
    """An event loop in a thread of its own, for tests that talk to servers through real sockets."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, name="emulators", daemon=True)
        self._thread.start()

    def run(self, coroutine: Any, timeout: float = 30) -> Any:
        """Run `coroutine` in the loop and return its result."""
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(timeout)

    def close(self) -> None:
        """Stop the loop and its thread."""
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(10)
        self.loop.close()


class RunningServer:
    """A server that serves in the current loop until `stop`."""

    def __init__(self, app: ASGIApp, bound: socket.socket) -> None:
        self.port: int = bound.getsockname()[1]
        self._bound = bound
        self._server = http_server(app)
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Serve; returns when the server accepts connections."""
        self._task = asyncio.create_task(self._server.serve(sockets=[self._bound]))
        while not self._server.started:
            if self._task.done():
                await self._task
                raise RuntimeError("The HTTP server ended before it had started.")
            await asyncio.sleep(0.001)

    async def stop(self) -> None:
        """Close the port and end the open requests."""
        self._server.should_exit = True
        if self._task is not None:
            await self._task


class ServerThread:
    """`with ServerThread(app) as server: requests.get(server.url)`: any ASGI app on a free loopback port."""

    def __init__(self, app: ASGIApp, port: int = 0) -> None:
        self._loop = LoopThread()
        self._server = RunningServer(app, listen(port))
        self.port = self._server.port
        self.url = f"http://{LOOPBACK}:{self.port}"
        self._loop.run(self._server.start())

    def close(self) -> None:
        """Stop the server and its thread."""
        self._loop.run(self._server.stop())
        self._loop.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
