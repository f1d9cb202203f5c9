"""The edge: what stands for Cloudflare's proxy and the cloudflared at the end of a tunnel.

Plain HTTP on loopback stands for the TLS leg. A request is routed by its Host header: proxied CNAME -> tunnel ->
ingress rule -> service. Errors are the edge's own: 1001 for a host that is not proxied here, 1033 for a tunnel that
does not exist, 502 for a service that does not answer.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from starlette.types import Receive, Scope, Send

from emulators.cloudflare.tunnels import IngressRule

if TYPE_CHECKING:
    # Imported with the first request: an eighth of what the emulators take to start.
    import httpx

_log = logging.getLogger(__name__)

# The Free plan's limit on a request body.
MAX_BODY = 100 * 1000 * 1000
# Cloudflare gives an origin 100 seconds to begin its answer (error 524).
_ANSWER_TIMEOUT = 100.0
_CONNECT_TIMEOUT = 30.0
# RFC 9110 7.6.1.
_HOP_BY_HOP = frozenset(
    {
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    }
)
# What only the edge may say about a request.
_EDGE_OWN = frozenset(
    {b"cf-connecting-ip", b"cf-ipcountry", b"cf-ray", b"cf-visitor", b"cf-warp-tag-id", b"x-forwarded-proto"}
)


class EdgeError(Exception):
    """An answer that the edge gives itself."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(f"{status} {text}")
        self.status = status
        self.text = text

    @staticmethod
    def numbered(status: int, code: int) -> EdgeError:
        return EdgeError(status, f"error code: {code}")


@dataclass(frozen=True, kw_only=True)
class Destination:
    """Where a host's requests go: the tunnel and the rule that matched."""

    tunnel_id: str
    rule: IngressRule


# Finds the destination of (hostname, path); raises EdgeError where there is none.
Routing = Callable[[str, str], Destination]


class Edge:
    """ASGI application. Its HTTP clients belong to the event loop that serves it."""

    def __init__(self, route: Routing, *, max_body: int = MAX_BODY) -> None:
        self._route = route
        self._max_body = max_body
        self._clients: dict[bool, httpx.AsyncClient] = {}
        self._loop: asyncio.AbstractEventLoop | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        elif scope["type"] == "http":
            await self._http(scope, receive, send)
        else:
            await send({"type": "websocket.close", "code": 1008})

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                await send({"type": "lifespan.startup.complete"})
            else:
                await self.aclose()
                await send({"type": "lifespan.shutdown.complete"})
                return

    async def aclose(self) -> None:
        for client in self._clients.values():
            await client.aclose()
        self._clients = {}

    def _client(self, *, verify: bool) -> httpx.AsyncClient:
        import httpx

        loop = asyncio.get_running_loop()
        if self._loop is not loop:
            # What another loop made is of no use here.
            self._clients, self._loop = {}, loop
        if verify not in self._clients:
            self._clients[verify] = httpx.AsyncClient(
                verify=verify,
                trust_env=False,
                timeout=httpx.Timeout(_ANSWER_TIMEOUT, connect=_CONNECT_TIMEOUT),
                # A new connection each time: one that its service closed meanwhile would lose a request.
                limits=httpx.Limits(max_connections=None, max_keepalive_connections=0),
            )
        return self._clients[verify]

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        import httpx

        ray = f"{secrets.token_hex(8)}-LO"
        try:
            destination, request = self._forwarded(scope, receive, ray)
            response = await self._asked(destination, request)
        except EdgeError as error:
            await _reply(send, error.status, error.text, ray)
            return
        try:
            headers = [
                (name, value)
                for name, value in response.headers.raw
                if name.lower() not in _HOP_BY_HOP and name.lower() != b"server"
            ]
            headers += [(b"server", b"cloudflare"), (b"cf-ray", ray.encode())]
            await send({"type": "http.response.start", "status": response.status_code, "headers": headers})
            async for piece in response.aiter_raw():
                await send({"type": "http.response.body", "body": piece, "more_body": True})
            await send({"type": "http.response.body", "body": b""})
        except httpx.TransportError as reason:
            # The beginning is sent: the client must see the connection break, not a short answer.
            _log.warning("tunnel %s: the answer broke off: %s", destination.tunnel_id, reason)
        finally:
            await response.aclose()

    async def _asked(self, destination: Destination, request: httpx.Request) -> httpx.Response:
        import httpx

        client = self._client(verify=destination.rule.verify_tls)
        try:
            return await client.send(request, stream=True)
        except httpx.TransportError as reason:
            _log.warning("tunnel %s: %s does not answer: %s", destination.tunnel_id, destination.rule.service, reason)
            raise EdgeError(
                status=HTTPStatus.BAD_GATEWAY,
                text=f"Unable to reach the origin service {destination.rule.service}. The service may be down"
                " or it may not be responding to traffic from cloudflared",
            ) from reason

    def _forwarded(self, scope: Scope, receive: Receive, ray: str) -> tuple[Destination, httpx.Request]:
        import httpx

        headers: list[tuple[bytes, bytes]] = [(name.lower(), value) for name, value in scope["headers"]]
        host = next((value for name, value in headers if name == b"host"), b"").decode("latin-1")
        length = next((value for name, value in headers if name == b"content-length"), b"0")
        if length.isdigit() and int(length) > self._max_body:
            raise EdgeError.numbered(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, 413)
        path: str = scope["path"]
        destination = self._route(hostname_of(host), path)
        rule = destination.rule
        if rule.fixed_status is not None:
            raise EdgeError(rule.fixed_status, "")
        target = urlsplit(rule.service)
        if target.scheme not in {"http", "https"}:
            raise EdgeError(
                status=HTTPStatus.BAD_GATEWAY,
                text=f"the emulated edge forwards to http and https services only, not to {rule.service}",
            )
        raw_path: bytes = scope.get("raw_path") or path.encode()
        query: bytes = scope.get("query_string") or b""
        url = httpx.URL(
            scheme=target.scheme,
            host=target.hostname or "",
            port=target.port,
            raw_path=raw_path + (b"?" + query if query else b""),
        )
        client = scope.get("client")
        sent = list(_sent_headers(headers, client[0] if client else "127.0.0.1", ray))
        sent.insert(0, (b"host", (rule.host_header or host).encode("latin-1")))
        has_body = any(name in {b"content-length", b"transfer-encoding"} for name, _ in headers)
        request = httpx.Request(scope["method"], url, headers=sent, content=self._body(receive) if has_body else None)
        if rule.connect_timeout is not None:
            request.extensions["timeout"] = {
                "connect": rule.connect_timeout,
                "read": _ANSWER_TIMEOUT,
                "write": _ANSWER_TIMEOUT,
                "pool": _ANSWER_TIMEOUT,
            }
        return destination, request

    async def _body(self, receive: Receive) -> AsyncIterator[bytes]:
        seen = 0
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            piece: bytes = message.get("body", b"")
            seen += len(piece)
            if seen > self._max_body:
                raise EdgeError.numbered(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, 413)
            if piece:
                yield piece
            if not message.get("more_body", False):
                return


def hostname_of(host_header: str) -> str:
    """The host of a Host header, lower-case, without port and final dot."""
    host = host_header.rpartition(":")[0] if host_header.rpartition(":")[2].isdigit() else host_header
    return host.strip().rstrip(".").lower()


def _sent_headers(headers: Iterable[tuple[bytes, bytes]], client: str, ray: str) -> Iterable[tuple[bytes, bytes]]:
    forwarded_for = [client.encode()]
    for name, value in headers:
        if name == b"x-forwarded-for":
            forwarded_for.insert(-1, value)
        elif name not in _HOP_BY_HOP | _EDGE_OWN | {b"host", b"cdn-loop"}:
            yield name, value
    yield b"cf-connecting-ip", client.encode()
    yield b"cf-ipcountry", b"XX"
    yield b"cf-ray", ray.encode()
    yield b"cf-visitor", b'{"scheme":"https"}'
    yield b"cdn-loop", b"cloudflare; loops=1"
    yield b"x-forwarded-for", b", ".join(forwarded_for)
    yield b"x-forwarded-proto", b"https"


async def _reply(send: Send, status: int, text: str, ray: str) -> None:
    body = text.encode()
    headers = [
        (b"content-type", b"text/plain; charset=UTF-8"),
        (b"content-length", str(len(body)).encode()),
        (b"server", b"cloudflare"),
        (b"cf-ray", ray.encode()),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
