"""The v4 REST API under `/client/v4`: zones, DNS records, tunnels, token verification."""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route

from emulators.cloudflare import listing
from emulators.cloudflare.account import Account
from emulators.cloudflare.errors import (
    ApiProblem,
    AuthenticationError,
    CannotRouteError,
    MalformedBodyError,
    MalformedTokenError,
    MethodNotAllowedError,
    MissingTokenError,
    RequestRefusedError,
    TokenNotVerifiedError,
    UnauthorizedError,
    UnknownKeyError,
    UnknownTokenError,
)
from emulators.cloudflare.names import spoken
from emulators.cloudflare.records import ZonePlan
from emulators.cloudflare.tokens import TOKEN_FORM, Permission, Token, rights_of
from emulators.cloudflare.tunnels import StoredTunnel
from emulators.cloudflare.zone import EmulatedZone

BASE = "/client/v4"
_HEX_ID = re.compile(r"[0-9a-f]{32}\Z")
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\Z")

Endpoint = Callable[[Request], Awaitable[Response]]


def fold_path(path: str) -> str:
    """A path with its ids replaced by `{id}`, for request counts."""
    segments = ("{id}" if _HEX_ID.match(segment) or _UUID.match(segment) else segment for segment in path.split("/"))
    return "/".join(segments)


def _answer(
    result: object,
    *,
    messages: list[dict[str, object]] | None = None,
    info: Mapping[str, int] | None = None,
) -> JSONResponse:
    body: dict[str, object] = {"result": result, "success": True, "errors": [], "messages": messages or []}
    if info is not None:
        body["result_info"] = dict(info)
    return JSONResponse(body)


async def _body(request: Request) -> dict[str, object]:
    try:
        body = json.loads(await request.body())
    except ValueError:
        raise MalformedBodyError from None
    if not isinstance(body, dict):
        raise MalformedBodyError
    return body


class RestApi:
    """The endpoints over one account."""

    def __init__(self, account: Account, *, legacy_errors: bool) -> None:
        self._account = account
        self._legacy = legacy_errors

    def app(self) -> Starlette:
        zone = "/zones/{zone_id}"
        record = zone + "/dns_records/{record_id}"
        tunnels = "/accounts/{account_id}/cfd_tunnel"
        tunnel = tunnels + "/{tunnel_id}"
        routes = [
            Route("/zones", _Methods(GET=self.list_zones, POST=self.create_zone)),
            Route(zone, _Methods(GET=self.get_zone, DELETE=self.delete_zone)),
            Route(zone + "/dns_records", _Methods(GET=self.list_records, POST=self.create_record)),
            Route(zone + "/dns_records/batch", _Methods(POST=self.batch_records)),
            Route(zone + "/dns_records/export", _Methods(GET=self.export_records)),
            Route(
                record,
                _Methods(
                    GET=self.get_record,
                    PUT=self.replace_record,
                    PATCH=self.amend_record,
                    DELETE=self.delete_record,
                ),
            ),
            Route(tunnels, _Methods(GET=self.list_tunnels, POST=self.create_tunnel)),
            Route(tunnel, _Methods(GET=self.get_tunnel, PATCH=self.amend_tunnel, DELETE=self.delete_tunnel)),
            Route(tunnel + "/token", _Methods(GET=self.tunnel_token)),
            Route(
                tunnel + "/configurations",
                _Methods(GET=self.get_configuration, PUT=self.replace_configuration),
            ),
            Route(tunnel + "/connections", _Methods(GET=self.list_connections, DELETE=self.drop_connections)),
            Route("/user/tokens/verify", _Methods(GET=self.verify_token)),
            Route("/accounts/{account_id}/tokens", _Methods(POST=self.create_account_token)),
            Route("/accounts/{account_id}/tokens/verify", _Methods(GET=self.verify_token)),
            Route("/user/tokens/permission_groups", _Methods(GET=self.permission_groups)),
            Route("/user/tokens", _Methods(GET=self.list_tokens, POST=self.create_token)),
            Route("/user/tokens/{token_id}", _Methods(DELETE=self.delete_token)),
        ]
        return Starlette(
            routes=[
                Mount(BASE, routes=routes),
                Mount(
                    "/_emulator",
                    routes=[
                        Route("/zones/{zone_id}", _Methods(PATCH=self.change_zone)),
                        Route("/zones/{zone_id}/dns_records/{record_id}/meta", _Methods(PUT=self.mark_record)),
                        Route("/tunnels/{tunnel_id}/connections", _Methods(POST=self.connect_tunnel)),
                    ],
                ),
            ],
            exception_handlers={RequestRefusedError: self._refused, HTTPException: self._not_routed},
        )

    # --- errors ---

    async def _refused(self, _request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestRefusedError)  # noqa: S101 - registered for it
        if self._legacy:
            error = error.legacy()
        return JSONResponse(error.as_json(), status_code=error.status)

    async def _not_routed(self, request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)  # noqa: S101 - registered for it
        if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
            return await self._refused(request, MethodNotAllowedError(request.method))
        return await self._refused(request, CannotRouteError(request.url.path, HTTPStatus.NOT_FOUND))

    # --- who asks ---

    def _token(self, request: Request, *, verifying: bool = False) -> Token:
        header = request.headers.get("authorization")
        if header is None:
            if verifying:
                raise RequestRefusedError(ApiProblem(code=1001, message='Missing "Authorization" header'))
            raise UnknownKeyError if "x-auth-key" in request.headers else MissingTokenError
        scheme, _, value = header.partition(" ")
        if scheme.lower() != "bearer" or not TOKEN_FORM.match(value):
            raise MalformedTokenError
        token = self._account.token_of(value)
        if token is None or (token.status != "active" and not verifying):
            if verifying:
                raise TokenNotVerifiedError
            if request.url.path.startswith(f"{BASE}/accounts/"):
                raise AuthenticationError(HTTPStatus.UNAUTHORIZED)
            raise UnknownTokenError
        return token

    def _allowed_zone(self, request: Request, permission: Permission) -> EmulatedZone:
        """The zone of the path, if the token may; rights are looked at before existence, as Cloudflare does."""
        zone_id = self._identifier(request, "zone_id", _HEX_ID)
        token = self._token(request)
        zone = self._account.zone(zone_id)
        if zone is None or not token.may(permission, zone_id):
            if permission in {Permission.ZONE_READ, Permission.ZONE_WRITE}:
                raise UnauthorizedError
            raise AuthenticationError
        return zone

    def _allowed_account(self, request: Request, permission: Permission) -> None:
        account_id = self._identifier(request, "account_id", _HEX_ID)
        if account_id != self._account.id or not self._token(request).may(permission):
            raise AuthenticationError

    def _allowed_user(self, request: Request) -> None:
        if not self._token(request).may(Permission.TOKENS_WRITE):
            raise UnauthorizedError

    def _identifier(self, request: Request, name: str, form: re.Pattern[str]) -> str:
        value = str(request.path_params[name])
        if not form.match(value):
            raise CannotRouteError(request.url.path)
        return value

    # --- zones ---

    def _zone_json(self, zone: EmulatedZone) -> dict[str, object]:
        facts = zone.facts
        return {
            "id": facts.id,
            "name": spoken(facts.name),
            "status": facts.status,
            "paused": False,
            "type": "full",
            "development_mode": 0,
            "name_servers": list(facts.name_servers),
            "original_name_servers": None,
            "original_registrar": None,
            "original_dnshost": None,
            "created_on": facts.created_on,
            "modified_on": zone.modified_on,
            "activated_on": facts.created_on if facts.status == "active" else None,
            "meta": {
                "step": 2,
                "custom_certificate_quota": 0,
                "page_rule_quota": 3,
                "phishing_detected": False,
            },
            "owner": {"id": None, "type": "user", "email": None},
            "account": {"id": self._account.id, "name": "Emulated account"},
            "tenant": {"id": None, "name": None},
            "tenant_unit": {"id": None},
            "permissions": ["#dns_records:edit", "#dns_records:read", "#zone:edit", "#zone:read"],
            "plan": {
                "id": _plan_id(facts.plan),
                "name": facts.plan.label,
                "price": 0,
                "currency": "USD",
                "frequency": "",
                "is_subscribed": facts.plan is not ZonePlan.FREE,
                "can_subscribe": False,
                "legacy_id": facts.plan.value,
                "legacy_discount": False,
                "externally_managed": False,
            },
        }

    async def list_zones(self, request: Request) -> Response:
        token = self._token(request)
        query = request.query_params
        zones = [zone for zone in self._account.zones() if token.may(Permission.ZONE_READ, zone.facts.id)]
        if query.get("name"):
            zones = [zone for zone in zones if spoken(zone.name) == query["name"].lower().rstrip(".")]
        if query.get("account.id"):
            zones = [zone for zone in zones if query["account.id"] == self._account.id]
        if query.get("status"):
            zones = [zone for zone in zones if query["status"] == zone.facts.status]
        zones.sort(key=lambda zone: zone.name, reverse=query.get("direction") == "desc")
        shown, info = listing.page(zones, query, per_page=listing.ZONES_PER_PAGE, most=listing.MAX_ZONES_PER_PAGE)
        return _answer([self._zone_json(zone) for zone in shown], info=info)

    async def create_zone(self, request: Request) -> Response:
        if not self._token(request).may(Permission.ZONE_WRITE):
            raise UnauthorizedError
        body = await _body(request)
        return _answer(self._zone_json(self._account.add_zone(body.get("name"))))

    async def get_zone(self, request: Request) -> Response:
        return _answer(self._zone_json(self._allowed_zone(request, Permission.ZONE_READ)))

    async def delete_zone(self, request: Request) -> Response:
        zone = self._allowed_zone(request, Permission.ZONE_WRITE)
        self._account.drop_zone(zone.facts.id)
        return _answer({"id": zone.facts.id})

    # --- records ---

    async def list_records(self, request: Request) -> Response:
        zone = self._allowed_zone(request, Permission.DNS_READ)
        with self._account.lock:
            matching = listing.records(zone.name, zone.in_order(), request.query_params)
            shown, info = listing.page(
                matching,
                request.query_params,
                per_page=listing.RECORDS_PER_PAGE,
                most=listing.MAX_RECORDS_PER_PAGE,
            )
        return _answer([record.as_json() for record in shown], info=info)

    def _record(self, request: Request, permission: Permission) -> tuple[EmulatedZone, str]:
        record_id = self._identifier(request, "record_id", _HEX_ID)
        return self._allowed_zone(request, permission), record_id

    async def create_record(self, request: Request) -> Response:
        zone = self._allowed_zone(request, Permission.DNS_WRITE)
        return _answer(self._account.create_record(zone, await _body(request)).as_json())

    async def get_record(self, request: Request) -> Response:
        zone, record_id = self._record(request, Permission.DNS_READ)
        return _answer(self._account.record(zone, record_id).as_json())

    async def replace_record(self, request: Request) -> Response:
        zone, record_id = self._record(request, Permission.DNS_WRITE)
        return _answer(self._account.replace_record(zone, record_id, await _body(request)).as_json())

    async def amend_record(self, request: Request) -> Response:
        zone, record_id = self._record(request, Permission.DNS_WRITE)
        return _answer(self._account.amend_record(zone, record_id, await _body(request)).as_json())

    async def delete_record(self, request: Request) -> Response:
        zone, record_id = self._record(request, Permission.DNS_WRITE)
        return _answer({"id": self._account.delete_record(zone, record_id).id})

    async def batch_records(self, request: Request) -> Response:
        zone = self._allowed_zone(request, Permission.DNS_WRITE)
        done = self._account.batch(zone, await _body(request))
        return _answer({kind: [record.as_json() for record in records] for kind, records in done.items()})

    async def export_records(self, request: Request) -> Response:
        zone = self._allowed_zone(request, Permission.DNS_READ)
        with self._account.lock:
            lines = [f"{one.name}.\t{one.ttl}\tIN\t{one.type.value}\t{one.rdata.to_text()}" for one in zone.in_order()]
        return Response("\n".join([*lines, ""]), media_type="text/plain")

    # --- tunnels ---

    def _tunnel_id(self, request: Request, permission: Permission) -> str:
        tunnel_id = self._identifier(request, "tunnel_id", _UUID)
        self._allowed_account(request, permission)
        return tunnel_id

    async def list_tunnels(self, request: Request) -> Response:
        self._allowed_account(request, Permission.TUNNEL_READ)
        query = request.query_params
        # Since December 2025 deleted ones are left out unless they are asked for.
        deleted = listing.flag(query, "is_deleted") or False
        tests: list[Callable[[StoredTunnel], bool]] = [lambda one: (one.deleted_at is not None) is deleted]
        if query.get("name"):
            tests.append(lambda one: one.name == query["name"])
        if query.get("uuid"):
            tests.append(lambda one: one.id == query["uuid"])
        if query.get("status"):
            tests.append(lambda one: one.status == query["status"])
        if query.get("include_prefix"):
            tests.append(lambda one: one.name.startswith(query["include_prefix"]))
        if query.get("exclude_prefix"):
            tests.append(lambda one: not one.name.startswith(query["exclude_prefix"]))
        found = [one for one in self._account.tunnels() if all(test(one) for test in tests)]
        shown, info = listing.page(found, query, per_page=listing.TUNNELS_PER_PAGE, most=listing.TUNNELS_PER_PAGE)
        return _answer([one.as_json() for one in shown], info=info)

    async def create_tunnel(self, request: Request) -> Response:
        self._allowed_account(request, Permission.TUNNEL_WRITE)
        tunnel = self._account.create_tunnel(await _body(request))
        credentials = {
            "AccountTag": tunnel.account_id,
            "TunnelID": tunnel.id,
            "TunnelName": tunnel.name,
            "TunnelSecret": tunnel.secret,
        }
        return _answer({**tunnel.as_json(), "credentials_file": credentials, "token": tunnel.token})

    async def get_tunnel(self, request: Request) -> Response:
        return _answer(self._account.tunnel(self._tunnel_id(request, Permission.TUNNEL_READ)).as_json())

    async def amend_tunnel(self, request: Request) -> Response:
        tunnel_id = self._tunnel_id(request, Permission.TUNNEL_WRITE)
        return _answer(self._account.amend_tunnel(tunnel_id, await _body(request)).as_json())

    async def delete_tunnel(self, request: Request) -> Response:
        tunnel_id = self._tunnel_id(request, Permission.TUNNEL_WRITE)
        return _answer(self._account.delete_tunnel(tunnel_id).as_json())

    async def tunnel_token(self, request: Request) -> Response:
        tunnel_id = self._tunnel_id(request, Permission.TUNNEL_WRITE)
        return _answer(self._account.tunnel(tunnel_id, deleted=False).token)

    async def get_configuration(self, request: Request) -> Response:
        tunnel_id = self._tunnel_id(request, Permission.TUNNEL_READ)
        return _answer(self._account.tunnel(tunnel_id, deleted=False).configuration())

    async def replace_configuration(self, request: Request) -> Response:
        tunnel_id = self._tunnel_id(request, Permission.TUNNEL_WRITE)
        return _answer(self._account.configure_tunnel(tunnel_id, await _body(request)).configuration())

    async def list_connections(self, request: Request) -> Response:
        tunnel = self._account.tunnel(self._tunnel_id(request, Permission.TUNNEL_READ))
        clients: list[dict[str, object]] = [
            {
                "id": one.id,
                "arch": "linux_amd64",
                "config_version": tunnel.version,
                "conns": [one.as_json()],
                "features": [],
                "run_at": one.opened_at,
                "version": "2026.1.0",
            }
            for one in tunnel.connections
        ]
        return _answer(clients)

    async def drop_connections(self, request: Request) -> Response:
        tunnel_id = self._tunnel_id(request, Permission.TUNNEL_WRITE)
        self._account.disconnect_tunnel(tunnel_id)
        return _answer(None)

    # --- tokens ---

    async def verify_token(self, request: Request) -> Response:
        account_id = request.path_params.get("account_id")
        if account_id is not None and account_id != self._account.id:
            raise AuthenticationError
        token = self._token(request, verifying=True)
        if token.of_account is not (account_id is not None):
            # Each kind is known at its own address only.
            raise TokenNotVerifiedError
        message: dict[str, object] = {
            "code": 10000,
            "message": f"This API Token is valid and {token.status}",
            "type": None,
        }
        return _answer({"id": token.id, "status": token.status}, messages=[message])

    async def permission_groups(self, request: Request) -> Response:
        self._allowed_user(request)
        return _answer([{"id": one.id, "name": one.value, "scopes": [one.scope]} for one in Permission])

    async def list_tokens(self, request: Request) -> Response:
        self._allowed_user(request)
        shown, info = listing.page(self._account.tokens(), request.query_params, per_page=20, most=50)
        return _answer([token.as_json() for token in shown], info=info)

    async def create_token(self, request: Request) -> Response:
        self._allowed_user(request)
        body = await _body(request)
        permissions, zones = rights_of(body.get("policies"))
        token, value = self._account.add_token(permissions=permissions, zones=zones, name=str(body.get("name") or ""))
        return _answer({**token.as_json(), "value": value})

    async def create_account_token(self, request: Request) -> Response:
        self._allowed_account(request, Permission.TOKENS_WRITE)
        body = await _body(request)
        permissions, zones = rights_of(body.get("policies"))
        token, value = self._account.add_token(
            permissions=permissions, zones=zones, name=str(body.get("name") or ""), of_account=True
        )
        return _answer({**token.as_json(), "value": value})

    async def delete_token(self, request: Request) -> Response:
        token_id = self._identifier(request, "token_id", _HEX_ID)
        self._allowed_user(request)
        self._account.drop_token(token_id)
        return _answer({"id": token_id})

    # --- what no client of the real API can do ---

    async def change_zone(self, request: Request) -> Response:
        """`{"status": …, "record_quota": …}`, each as wanted."""
        zone = self._existing_zone(request)
        body = await _body(request)
        changes: dict[str, object] = {}
        if isinstance(body.get("status"), str):
            changes["status"] = body["status"]
        if isinstance(body.get("record_quota"), int):
            changes["record_quota"] = body["record_quota"]
        self._account.change_zone(zone, **changes)
        return _answer(self._zone_json(zone))

    async def mark_record(self, request: Request) -> Response:
        """The `meta` of a record, such as `{"email_routing": true, "read_only": true}`."""
        zone = self._existing_zone(request)
        record_id = self._identifier(request, "record_id", _HEX_ID)
        return _answer(self._account.mark_record(zone, record_id, await _body(request)).as_json())

    async def connect_tunnel(self, request: Request) -> Response:
        """A cloudflared that has connected."""
        tunnel_id = self._identifier(request, "tunnel_id", _UUID)
        return _answer(self._account.connect_tunnel(tunnel_id).as_json())

    def _existing_zone(self, request: Request) -> EmulatedZone:
        zone = self._account.zone(self._identifier(request, "zone_id", _HEX_ID))
        if zone is None:
            raise CannotRouteError(request.url.path, HTTPStatus.NOT_FOUND)
        return zone


class _Methods:
    """An ASGI endpoint that picks the handler by method and refuses the others as the API does."""

    def __init__(self, **handlers: Endpoint) -> None:
        self._handlers = handlers

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        request = Request(scope, receive, send)
        handler = self._handlers.get(request.method)
        if handler is None:
            raise MethodNotAllowedError(request.method)
        response = await handler(request)
        await response(scope, receive, send)


def _plan_id(plan: ZonePlan) -> str:
    return {
        ZonePlan.FREE: "0feeeeeeeeeeeeeeeeeeeeeeeeeeeeee",
        ZonePlan.PRO: "1fffffffffffffffffffffffffffffff",
        ZonePlan.BUSINESS: "2222222222222222222222222222222f",
        ZonePlan.ENTERPRISE: "94f3b7b768b0458b56d2cac4fe5ec0f9",
    }[plan]
