"""The webhook under uvicorn, with bounds on what strangers can hold: connections, and the time for a request's head.

A body's deadline is the app's (`create_app(body_seconds=)`). uvicorn has a time limit between requests and none within
one: a client that sends a byte a second would be kept for ever.
"""

import asyncio
import logging
from dataclasses import dataclass
from typing import Any

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

log = logging.getLogger("azmail.webhook")


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one listener grants."""

    connections: int = 500
    """At once; one more is closed without an answer."""
    head_seconds: float = 10.0
    """From the connection, or the last answer on it, to the end of the next request's head."""


def listener(app: ASGIApp, *, host: str, port: int, limits: Limits | None = None) -> uvicorn.Server:
    """A server to `run`, or to `serve` in a loop. No access log: with --auth path the secret would be in it."""
    return uvicorn.Server(
        uvicorn.Config(
            app,
            host=host,
            port=port,
            http=protocol(limits or Limits()),
            access_log=False,
            server_header=False,
            ws="none",
            lifespan="off",
        )
    )


def protocol(limits: Limits) -> type[asyncio.Protocol]:
    """uvicorn's protocol class, with these limits."""

    class Bounded(H11Protocol):
        _head_deadline: asyncio.TimerHandle | None = None

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            if len(self.connections) > limits.connections:
                log.warning("a connection was closed: %d are open, which is the limit", limits.connections)
                transport.abort()
                return
            self._await_head()

        def connection_lost(self, exc: Exception | None) -> None:
            self._stop_waiting()
            super().connection_lost(exc)

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            if self._answering:
                self._stop_waiting()

        def on_response_complete(self) -> None:
            super().on_response_complete()
            # A pipelined request may have begun within the call.
            if not self.transport.is_closing() and not self._answering:
                self._await_head()

        @property
        def _answering(self) -> bool:
            return self.cycle is not None and not self.cycle.response_complete

        def _await_head(self) -> None:
            self._stop_waiting()
            self._head_deadline = self.loop.call_later(limits.head_seconds, self._head_is_late)

        def _stop_waiting(self) -> None:
            if self._head_deadline is not None:
                self._head_deadline.cancel()
                self._head_deadline = None

        def _head_is_late(self) -> None:
            if not self._answering:
                self.transport.abort()

    return Bounded
