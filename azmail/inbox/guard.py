"""Bodies are read only of those who may send them, and only so far: the framework reads a body before it asks who sent it."""

from __future__ import annotations

import asyncio

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from azmail.gateway.credentials import Scope as CredentialScope
from azmail.gateway.ledger import LedgerError
from azmail.gateway.submission import Sources
from azmail.inbox.access import Gate, admitted
from azmail.inbox.problems import ApiRefusalError, problem

MAX_BODY_OCTETS = 24 * 1024 * 1024
"""A mail of 15 MB in base64, and its texts."""
CHALLENGE = {"WWW-Authenticate": 'Basic realm="azmail inbox"'}


class BodyGuard:
    """Stands before the API; whatever has no body goes through."""

    def __init__(self, app: ASGIApp, *, gate: Gate, sources: Sources) -> None:
        self._app = app
        self._gate = gate
        self._sources = sources

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].startswith("/v1/") or scope["method"] in ("GET", "HEAD"):
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        length = headers.get("content-length", "0")
        if length.isdigit() and int(length) > MAX_BODY_OCTETS:
            refusal = problem(413, f"the body has more than {MAX_BODY_OCTETS} octets", {"Connection": "close"})
            await refusal(scope, receive, send)
            return
        wanted = CredentialScope.SEND if scope["method"] == "POST" else CredentialScope.INBOX
        try:
            viewer = await asyncio.to_thread(admitted, self._gate, headers.get("authorization", ""), wanted)
        except LedgerError:
            await problem(503, "credentials cannot be checked now, try again", {"Retry-After": "5"})(
                scope, receive, send
            )
            return
        if viewer is None:
            client = scope.get("client")
            await asyncio.sleep(self._sources.failed(client[0] if client else "?"))
            await problem(401, f"expected an agent's id or address with its {wanted.value} credential", CHALLENGE)(
                scope, receive, send
            )
            return
        await self._app(scope, _bounded(receive), send)


def _bounded(receive: Receive) -> Receive:
    """Raises ApiRefusalError, which the framework tells as a body that cannot be read."""
    taken = 0

    async def bounded() -> Message:
        nonlocal taken
        message = await receive()
        taken += len(message.get("body", b""))
        if taken > MAX_BODY_OCTETS:
            raise ApiRefusalError(413, f"the body has more than {MAX_BODY_OCTETS} octets")
        return message

    return bounded
