"""An endpoint that keeps what is posted to it and answers as a test tells it."""

from __future__ import annotations

import base64
import json
from collections import deque
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from emulators.serving import ServerThread


@dataclass(frozen=True)
class Call:
    """One request to the webhook."""

    path: str
    host: str
    user: str | None
    password: str | None
    payload: Any


class WebhookServer:
    """Serves one webhook after the other on the same port."""

    def __init__(self) -> None:
        self.webhook: Webhook | None = None
        self._number = 0
        self._thread = ServerThread(self)
        self.port = self._thread.port

    def fresh(self) -> Webhook:
        """A webhook below a path of its own, so that nothing meant for an earlier one reaches it."""
        self._number += 1
        self.webhook = Webhook(self.port, f"/{self._number}")
        return self.webhook

    def close(self) -> None:
        """Stop serving."""
        self._thread.close()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        path = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        user, password = _credentials(request.headers.get("authorization"))
        payload = json.loads(await request.body())
        status, said = 410, ""
        if self.webhook is not None and path.startswith(f"{self.webhook.prefix}/"):
            path = path.removeprefix(self.webhook.prefix)
            self.webhook.calls.append(Call(path, request.headers["host"], user, password, payload))
            status = self.webhook.answers.popleft() if self.webhook.answers else 200
            said = self.webhook.says
        await Response(said, status_code=status)(scope, receive, send)


class Webhook:
    """`answers` are used up first; then it answers 200. It `says` that in the body."""

    def __init__(self, port: int, prefix: str) -> None:
        self.port = port
        self.prefix = prefix
        self.calls: list[Call] = []
        self.answers: deque[int] = deque()
        self.says = ""

    def url(self, path: str = "/hook", credentials: str = "") -> str:
        """Its URL, with `user:password` in it if given."""
        return f"http://{credentials + '@' if credentials else ''}127.0.0.1:{self.port}{self.prefix}{path}"


def _credentials(header: str | None) -> tuple[str | None, str | None]:
    if header is None:
        return None, None
    user, _, password = base64.b64decode(header.removeprefix("Basic ")).decode().partition(":")
    return user, password
