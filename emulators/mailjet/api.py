"""Mailjet's REST API as an ASGI app: authentication, dispatch, and errors in its shapes."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import parse_qsl
from uuid import uuid4

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from emulators.mailjet import eventcallbacks, parseroutes, senders
from emulators.mailjet.answers import (
    MethodNotAllowed,
    MissingProperty,
    NotFound,
    Refusal,
    Row,
    UnknownResource,
    blocked,
    deleted,
    is_id,
    not_modified,
    page,
    properties,
    rows,
    unauthorized,
)
from emulators.mailjet.domains import Domains
from emulators.mailjet.eventcallbacks import EventCallbacks
from emulators.mailjet.messages import Messages
from emulators.mailjet.parseroutes import ParseRoutes
from emulators.mailjet.senders import Senders
from emulators.mailjet.state import ApiKey, MailjetState

REST = "/v3/REST/"
SEND = "/v3.1/send"

_REST_PATH = re.compile(r"/v3/REST/([A-Za-z]+)(?:/([^/]+))?(?:/([A-Za-z]+))?/?")


def fold(path: str) -> str:
    """The path with an id, address or domain replaced by `{id}`."""
    match = _REST_PATH.fullmatch(path)
    if match is None:
        return path
    resource, name, action = match.groups()
    return f"{REST}{resource}" + ("/{id}" if name else "") + (f"/{action}" if action else "")


@dataclass(frozen=True)
class Call:
    """One authenticated request to a REST resource."""

    key: ApiKey
    method: str
    name: str | None
    action: str | None
    query: dict[str, str]
    body: bytes


class Collection(Protocol):
    """Rows that are listed, made, changed and deleted in the common way."""

    def find(self, key: ApiKey, name: str) -> Any: ...
    def listed(self, key: ApiKey, query: dict[str, str]) -> Sequence[Row]: ...
    def shown(self, row: Any) -> Row: ...
    def create(self, key: ApiKey, given: Row) -> Row: ...
    def change(self, key: ApiKey, row: Any, given: Row) -> Row | None: ...
    def delete(self, row: Any) -> None: ...


Extra = Callable[[Request], Awaitable[Response | None]]


class MailjetEndpoints:
    """`/v3/REST/…` and `/v3.1/send`. `send` answers the latter; `extra` paths below the control plane."""

    def __init__(
        self,
        state: MailjetState,
        *,
        domains: Domains,
        senders: Senders,
        routes: ParseRoutes,
        callbacks: EventCallbacks,
        messages: Messages,
        send: Callable[[ApiKey | None, bytes], Awaitable[Response]],
        extra: Extra,
    ) -> None:
        self._state = state
        self._domains = domains
        self._senders = senders
        self._routes = routes
        self._callbacks = callbacks
        self._messages = messages
        self._send = send
        self._extra = extra
        self._resources: dict[str, Callable[[Call], Awaitable[Response]]] = {
            "sender": self._sender,
            "dns": self._dns,
            "parseroute": self._parseroute,
            "eventcallbackurl": self._eventcallbackurl,
            "apikey": self._apikey,
            "message": self._message,
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI entry point."""
        request = Request(scope, receive)
        response = await self._respond(request)
        if not request.scope["path"].startswith("/_emulator/"):
            response.headers["X-Mj-Request-Guid"] = str(uuid4())
        await response(scope, receive, send)

    async def _respond(self, request: Request) -> Response:
        path = request.scope["path"]
        if path.startswith("/_emulator/"):
            found = await self._extra(request)
            return found if found is not None else JSONResponse({"error": f"no control {path}"}, 404)
        key = self._state.authenticate_header(request.headers.get("authorization", ""))
        if self._state.switches.blocked_account:
            return blocked()
        if path == SEND and request.method == "POST":
            return await self._send(key, await request.body())
        if key is None:
            return unauthorized()
        try:
            return await self._resource(request, key, path)
        except NotFound as missing:
            html = self._state.switches.not_found == "html"
            return missing.page() if html else missing.response("text")
        except Refusal as refusal:
            return refusal.response(self._state.switches.error_info)

    async def _resource(self, request: Request, key: ApiKey, path: str) -> Response:
        match = _REST_PATH.fullmatch(path)
        if match is None:
            raise UnknownResource(path.removeprefix(REST).strip("/"))
        resource, name, action = match.groups()
        handler = self._resources.get(resource.lower())
        if handler is None:
            raise UnknownResource(resource)
        query = {
            key.lower(): value
            for key, value in parse_qsl(request.scope["query_string"].decode("latin-1"), keep_blank_values=True)
        }
        call = Call(key, request.method, name, action and action.lower(), query, await request.body())
        return await handler(call)

    async def _sender(self, call: Call) -> Response:
        known = senders.PROPERTIES | senders.READ_ONLY
        if call.name is not None and call.action is not None:
            if call.action != "validate" or call.method != "POST":
                raise NotFound
            row = self._senders.find(call.key, call.name)
            if row is None:
                raise NotFound
            outcome = await self._senders.validate(call.key, row)
            wrapped = self._state.switches.validate_answer == "wrapped"
            return rows([outcome]) if wrapped else JSONResponse(outcome)
        return self._collection(call, self._senders, "Sender", known)

    async def _dns(self, call: Call) -> Response:
        if call.name is None:
            if call.method != "GET":
                raise MethodNotAllowed(call.method, "dns")
            return page(self._domains.listed(call.key, call.query), call.query)
        row = self._domains.find(call.key, call.name)
        if row is None:
            raise NotFound
        if call.action is None:
            if call.method != "GET":
                raise MethodNotAllowed(call.method, "dns")
            return rows([self._domains.shown(row)])
        if call.action != "check" or call.method != "POST":
            raise NotFound
        return rows([await self._domains.check(row)])

    async def _parseroute(self, call: Call) -> Response:
        return self._collection(call, self._routes, "Parseroute", parseroutes.PROPERTIES)

    async def _eventcallbackurl(self, call: Call) -> Response:
        return self._collection(call, self._callbacks, "Eventcallbackurl", eventcallbacks.PROPERTIES)

    def _collection(self, call: Call, resource: Collection, title: str, known: dict[str, type]) -> Response:
        if call.action is not None:
            raise NotFound
        if call.name is None:
            if call.method == "GET":
                return page(resource.listed(call.key, call.query), call.query)
            if call.method == "POST":
                return rows([resource.create(call.key, properties(call.body, title, known))], status=201)
            raise MethodNotAllowed(call.method, title.lower())
        row = resource.find(call.key, call.name)
        if row is None:
            raise NotFound
        if call.method == "GET":
            return rows([resource.shown(row)])
        if call.method in ("PUT", "PATCH"):
            ignore = self._state.switches.put_ignores_unknown
            given = properties(call.body, title, known, ignore_unknown=ignore)
            if ignore:
                given.pop("CreatedAt", None)
            changed = resource.change(call.key, row, given)
            return not_modified() if changed is None else rows([changed])
        if call.method == "DELETE":
            resource.delete(row)
            return deleted()
        raise MethodNotAllowed(call.method, title.lower())

    async def _message(self, call: Call) -> Response:
        if call.method != "GET":
            raise MethodNotAllowed(call.method, "message")
        if call.name is None:
            return page(self._messages.shown(call.key.id), call.query)
        found = [] if call.action or not is_id(call.name) else self._messages.shown(call.key.id, int(call.name))
        if not found:
            raise NotFound
        return rows(found)

    async def _apikey(self, call: Call) -> Response:
        if not call.key.is_master:
            raise Refusal(403, "Operation not allowed")
        if call.action is not None:
            raise NotFound
        if call.name is None:
            if call.method == "GET":
                return page([_shown_key(key) for key in self._state.api_keys()], call.query)
            if call.method != "POST":
                raise MethodNotAllowed(call.method, "apikey")
            given = properties(call.body, "Apikey", {"Name": str, "IsActive": bool})
            if not given.get("Name"):
                raise MissingProperty("Name")
            return rows([_shown_key(self._state.create_api_key(given["Name"]))], status=201)
        found = [key for key in self._state.api_keys() if call.name in (str(key.id), key.api_key)]
        if not found:
            raise NotFound
        if call.method == "GET":
            return rows([_shown_key(found[0])])
        if call.method not in ("PUT", "PATCH"):
            raise MethodNotAllowed(call.method, "apikey")
        given = properties(call.body, "Apikey", {"Name": str, "IsActive": bool})
        name, active = given.get("Name", found[0].name), given.get("IsActive", found[0].is_active)
        if (name, active) == (found[0].name, found[0].is_active):
            return not_modified()
        self._state.change_api_key(found[0].id, name=name, is_active=active)
        return rows([_shown_key(key) for key in self._state.api_keys() if key.id == found[0].id])


def _shown_key(key: ApiKey) -> Row:
    return {
        "ACL": "",
        "APIKey": key.api_key,
        "CreatedAt": key.created_at,
        "ID": key.id,
        "IsActive": key.is_active,
        "IsMaster": key.is_master,
        "Name": key.name,
        "QuarantineValue": 0,
        "RegionID": 1,
        "Runlevel": "Normal",
        "SecretKey": key.secret,
        "Skipspamd": False,
        "TrackHost": "",
        "UserID": 1,
    }
