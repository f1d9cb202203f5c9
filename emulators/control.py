"""The control plane of an emulator: request log and counts, latency, rate limit, faults, state, reset.

`controlled` wraps an ASGI app. Requests below `/_emulator/` are answered here (or, if unknown here, by the
app itself) without authentication, log entry, latency or fault; all others are logged and may fail as told.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl

from starlette.datastructures import Headers
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from emulators.cross_site import refused
from emulators.error_pages import error_page
from emulators.faults import STATUS_KINDS, FaultPlan
from emulators.request_log import RequestLog
from emulators.serving import abort_connection

CONTROL_PATH = "/_emulator/"
LARGEST_BODY = 64 * 1024 * 1024


def controlled(
    app: ASGIApp,
    *,
    name: str,
    state: Callable[[], dict[str, Any]],
    reset: Callable[[], None],
    fold: Callable[[str], str],
) -> Controlled:
    """Wrap the emulator `app` called `name` (`mailjet` or `cloudflare`: whose error pages faults imitate).

    `state` gives the dump behind `GET /_emulator/state`, `reset` brings back the seeded start, `fold`
    replaces the ids in a path by `{id}`.
    """
    return Controlled(app, name=name, state=state, reset=reset, fold=fold)


class Controlled:
    """An emulator with its control plane: `log` is what it was asked, `plan` what goes wrong."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        name: str,
        state: Callable[[], dict[str, Any]],
        reset: Callable[[], None],
        fold: Callable[[str], str],
    ) -> None:
        self._app = app
        self._name = name
        self._state = state
        self._reset = reset
        self._fold = fold
        self.log = RequestLog()
        self.plan = FaultPlan()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path: str = scope["path"]
        if path.startswith(CONTROL_PATH):
            # Nobody authenticates here: without this any website could reset what runs on its visitor's machine.
            reason = refused(scope["method"], Headers(scope=scope), port=int(scope["server"][1]))
            if reason:
                await JSONResponse({"error": reason}, 403)(scope, receive, send)
                return
            await self._control(path.removeprefix(CONTROL_PATH), scope, receive, send)
            return
        await self._serve(scope, receive, send)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = time.perf_counter()
        try:
            body = await _read_body(receive)
        except _ClientLeftError:
            return
        if body is None:
            await Response("Request body too large.", 413)(scope, receive, send)
            return
        method: str = scope["method"]
        path: str = scope["path"]
        folded = self._fold(path)
        entry = self.log.add(method, path, scope["query_string"].decode("latin-1"), folded, body)

        async def answering(message: Message) -> None:
            if message["type"] == "http.response.start":
                entry.status = message["status"]
            await send(message)

        async def silent(message: Message) -> None:
            if message["type"] == "http.response.start":
                entry.status = message["status"]

        try:
            plan = self.plan
            if plan.latency_ms:
                await asyncio.sleep(plan.latency_ms / 1000)
            if plan.over_limit(time.monotonic()):
                self.log.struck(entry, "rate-limit")
                await self._page(429, None)(scope, receive, answering)
                return
            rule = plan.rule_for(method, path, folded, body)
            if rule is None:
                await self._app(scope, _Replay(body, receive), answering)
                return
            self.log.struck(entry, rule.kind)
            if rule.kind.endswith("-after"):
                await self._app(scope, _Replay(body, receive), silent)
            if rule.kind.startswith("hang"):
                await _until_the_client_leaves(receive, rule.seconds)
            if rule.kind in STATUS_KINDS:
                status = int(rule.kind.removesuffix("-after"))
                await self._page(status, rule.retry_after)(scope, receive, answering)
            else:
                await _cut(scope, receive)
        finally:
            entry.ms = round((time.perf_counter() - started) * 1000, 3)

    def _page(self, status: int, retry_after: int | None) -> Response:
        headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
        return error_page(self._name, status, headers)

    async def _control(self, name: str, scope: Scope, receive: Receive, send: Send) -> None:
        method: str = scope["method"]
        handler = getattr(self, f"_{method.lower()}_{name}", None) if name.isalpha() else None
        if handler is None:
            await self._app(scope, receive, send)
            return
        try:
            body = await _read_body(receive) or b""
        except _ClientLeftError:
            return
        query = dict(parse_qsl(scope["query_string"].decode("latin-1")))
        response: Response = handler(query, body)
        await response(scope, receive, send)

    def _get_health(self, _query: Mapping[str, str], _body: bytes) -> Response:
        return JSONResponse({"name": self._name})

    def _get_requests(self, query: Mapping[str, str], _body: bytes) -> Response:
        since = query.get("since", "0")
        if not since.isdecimal():
            return _bad_request(f"since is {since!r}, expected the number of a request")
        return JSONResponse({"requests": self.log.requests(int(since))})

    def _delete_requests(self, _query: Mapping[str, str], _body: bytes) -> Response:
        self.log.clear()
        return Response(status_code=204)

    def _get_counts(self, _query: Mapping[str, str], _body: bytes) -> Response:
        return JSONResponse(self.log.counts())

    def _get_state(self, _query: Mapping[str, str], _body: bytes) -> Response:
        return JSONResponse(self._state())

    def _post_reset(self, _query: Mapping[str, str], _body: bytes) -> Response:
        self._reset()
        self.log.clear()
        self.plan = FaultPlan()
        return Response(status_code=204)

    def _get_faults(self, _query: Mapping[str, str], _body: bytes) -> Response:
        return JSONResponse(self.plan.plain())

    def _put_faults(self, _query: Mapping[str, str], body: bytes) -> Response:
        try:
            self.plan = FaultPlan.parse(json.loads(body or b"{}"))
        except ValueError as error:
            return _bad_request(str(error))
        return JSONResponse(self.plan.plain())

    def _delete_faults(self, _query: Mapping[str, str], _body: bytes) -> Response:
        self.plan = FaultPlan()
        return Response(status_code=204)


class _Replay:
    """`receive` for the wrapped app: the body that was read already, then what the connection says."""

    def __init__(self, body: bytes, receive: Receive) -> None:
        self._body: bytes | None = body
        self._receive = receive

    async def __call__(self) -> Message:
        if self._body is None:
            return await self._receive()
        body, self._body = self._body, None
        return {"type": "http.request", "body": body, "more_body": False}


class _ClientLeftError(Exception):
    """The client hung up before its request was complete."""


async def _read_body(receive: Receive) -> bytes | None:
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise _ClientLeftError
        part: bytes = message.get("body", b"")
        size += len(part)
        if size > LARGEST_BODY:
            return None
        parts.append(part)
        if not message.get("more_body", False):
            return b"".join(parts)


async def _until_disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _until_the_client_leaves(receive: Receive, seconds: float) -> None:
    try:
        await asyncio.wait_for(_until_disconnected(receive), seconds)
    except TimeoutError:
        return


async def _cut(scope: Scope, receive: Receive) -> None:
    abort_connection(scope)
    # uvicorn would answer 500 on behalf of an app that returns before its connection is gone.
    await _until_disconnected(receive)


def _bad_request(reason: str) -> Response:
    return JSONResponse({"error": reason}, 400)
