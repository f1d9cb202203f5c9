"""Functions (invokes) of the plugin: what is looked up in previews and updates alike. Results are plain."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar
from urllib.parse import urlencode

from engine.cloudflare import fields
from engine.cloudflare.dns_record import DATA, SETTINGS
from engine.cloudflare.errors import UnreadableAnswerError, ZoneLookupError
from engine.cloudflare.fields import Failure, Field, Kind, Role, Table
from engine.cloudflare.properties import Properties
from engine.cloudflare.resource import Api, path

_MOST_ROWS = 1000


def _text(*names: str) -> tuple[Field, ...]:
    return tuple(Field(name=name, kind=Kind.STRING) for name in names)


def _flags(*names: str) -> tuple[Field, ...]:
    return tuple(Field(name=name, kind=Kind.BOOLEAN) for name in names)


class Function(ABC):
    """One function: `name` is its token in programs, `arguments` and `results` are its tables.

    A result also holds the arguments.
    """

    name: ClassVar[str]
    arguments: ClassVar[Table]
    results: ClassVar[Table]

    def check(self, arguments: Properties) -> Iterator[Failure]:
        yield from fields.check(self.arguments, arguments)

    @abstractmethod
    def call(self, api: Api, arguments: Properties) -> Properties:
        """The result. Raises CloudflareError."""


class Listing(Function):
    """What a collection holds, page after page until one comes empty or `maxItems` are found."""

    row: ClassVar[Table]

    def call(self, api: Api, arguments: Properties) -> Properties:
        most = arguments.get("maxItems") or 0
        most = most if most > 0 else _MOST_ROWS
        found: list[Properties] = []
        for rows in _pages(api, self.collection(arguments), _query(self, arguments)):
            found.extend(fields.read(self.row, row) for row in rows)
            if len(found) >= most:
                break
        return arguments | {"results": found[:most]}

    @abstractmethod
    def collection(self, arguments: Properties) -> str:
        """The path of what is listed."""


class GetDnsRecords(Listing):
    """The records of a zone."""

    name: ClassVar = "cloudflare:index/getDnsRecords:getDnsRecords"
    _matches: ClassVar = _text("contains", "endswith", "exact", "startswith")
    _presence: ClassVar = _text("absent", "present")
    arguments: ClassVar[Table] = (
        Field(name="zoneId", kind=Kind.STRING, role=Role.REQUIRED, in_path=True),
        Field(name="maxItems", kind=Kind.INTEGER, in_path=True),
        *_text("direction", "match", "order", "search", "shadowedByName", "shadowingName", "tagMatch", "type"),
        *_flags("includeShadowMetadata", "proxied"),
        Field(name="comment", kind=Kind.OBJECT, of=(*_matches, *_presence)),
        Field(name="content", kind=Kind.OBJECT, of=_matches),
        Field(name="name", kind=Kind.OBJECT, of=_matches),
        Field(name="tag", kind=Kind.OBJECT, of=(*_matches, *_presence)),
    )
    row: ClassVar[Table] = (
        *_text("id", "name", "type", "content", "comment", "createdOn", "modifiedOn", "commentModifiedOn"),
        *_text("tagsModifiedOn"),
        *_flags("proxied", "proxiable", "privateRouting"),
        Field(name="ttl", kind=Kind.NUMBER),
        Field(name="priority", kind=Kind.NUMBER),
        Field(name="meta", kind=Kind.JSON),
        Field(name="tags", kind=Kind.LIST, is_set=True),
        Field(name="data", kind=Kind.OBJECT, of=tuple(DATA)),
        Field(name="settings", kind=Kind.OBJECT, of=tuple(SETTINGS)),
    )
    results: ClassVar[Table] = (Field(name="results", kind=Kind.LIST, of=tuple(row)),)

    def collection(self, arguments: Properties) -> str:
        return path("zones", arguments["zoneId"], "dns_records")


class GetTunnels(Listing):
    """The tunnels of an account, deleted ones included unless `isDeleted` says otherwise."""

    name: ClassVar = "cloudflare:index/getZeroTrustTunnelCloudflareds:getZeroTrustTunnelCloudflareds"
    arguments: ClassVar[Table] = (
        Field(name="accountId", kind=Kind.STRING, role=Role.REQUIRED, in_path=True),
        Field(name="maxItems", kind=Kind.INTEGER, in_path=True),
        *_text("excludePrefix", "existedAt", "includePrefix", "name", "status", "uuid", "wasActiveAt", "wasInactiveAt"),
        *_flags("isDeleted"),
    )
    row: ClassVar[Table] = (
        *_text("id", "accountTag", "configSrc", "connsActiveAt", "connsInactiveAt", "createdAt", "deletedAt"),
        *_text("name", "status", "tunType"),
        *_flags("remoteConfig"),
        Field(name="metadata", kind=Kind.JSON),
        Field(
            name="connections",
            kind=Kind.LIST,
            of=(
                *_text("id", "clientId", "clientVersion", "coloName", "openedAt", "originIp", "uuid"),
                *_flags("isPendingReconnect"),
            ),
        ),
    )
    results: ClassVar[Table] = (Field(name="results", kind=Kind.LIST, of=tuple(row)),)

    def collection(self, arguments: Properties) -> str:
        return path("accounts", arguments["accountId"], "cfd_tunnel")


class GetZone(Function):
    """One zone, by its id or by a filter that matches one zone only."""

    name: ClassVar = "cloudflare:index/getZone:getZone"
    arguments: ClassVar[Table] = (
        Field(name="zoneId", kind=Kind.STRING, in_path=True),
        Field(
            name="filter",
            kind=Kind.OBJECT,
            of=(
                *_text("direction", "match", "name", "order", "status"),
                Field(name="account", kind=Kind.OBJECT, of=_text("id", "name")),
            ),
        ),
    )
    results: ClassVar[Table] = (
        *_text("id", "name", "status", "type", "activatedOn", "createdOn", "modifiedOn", "cnameSuffix"),
        *_text("originalDnshost", "originalRegistrar", "verificationKey"),
        *_flags("paused"),
        Field(name="developmentMode", kind=Kind.NUMBER),
        Field(name="nameServers", kind=Kind.LIST),
        Field(name="originalNameServers", kind=Kind.LIST),
        Field(name="permissions", kind=Kind.LIST),
        Field(name="vanityNameServers", kind=Kind.LIST),
        Field(name="account", kind=Kind.OBJECT, of=_text("id", "name")),
        Field(name="owner", kind=Kind.OBJECT, of=_text("id", "name", "type")),
        Field(name="tenant", kind=Kind.OBJECT, of=_text("id", "name")),
        Field(name="tenantUnit", kind=Kind.OBJECT, of=_text("id")),
        Field(
            name="meta",
            kind=Kind.OBJECT,
            of=(
                *_flags("cdnOnly", "dnsOnly", "foundationDns", "phishingDetected"),
                Field(name="customCertificateQuota", kind=Kind.INTEGER),
                Field(name="pageRuleQuota", kind=Kind.INTEGER),
                Field(name="step", kind=Kind.INTEGER),
            ),
        ),
        Field(
            name="plan",
            kind=Kind.OBJECT,
            of=(
                *_text("id", "name", "currency", "frequency", "legacyId"),
                *_flags("canSubscribe", "externallyManaged", "isSubscribed", "legacyDiscount"),
                Field(name="price", kind=Kind.NUMBER),
            ),
        ),
    )

    def check(self, arguments: Properties) -> Iterator[Failure]:
        yield from super().check(arguments)
        if (arguments.get("zoneId") is None) is (arguments.get("filter") is None):
            yield Failure("zoneId", "getZone needs exactly one of `zoneId` and `filter`.")

    def call(self, api: Api, arguments: Properties) -> Properties:
        zone_id = arguments.get("zoneId")
        if zone_id is None:
            zone_id = self._one_zone(api, arguments["filter"])
        zone = fields.read(self.results, api.send("GET", path("zones", zone_id)).get("result"))
        return arguments | zone | {"id": zone.get("id", zone_id), "zoneId": zone_id}

    def _one_zone(self, api: Api, wanted: Properties) -> str:
        where = _url("/zones", _pairs("", next(f for f in self.arguments if f.name == "filter").of, wanted))
        zones = api.send("GET", where).get("result")
        ids = [zone.get("id") for zone in zones if isinstance(zone, dict)] if isinstance(zones, list) else []
        if len(ids) != 1:
            raise ZoneLookupError(len(ids))
        return str(ids[0])


class GetTunnelToken(Function):
    """The token that cloudflared runs a tunnel with. Plain, as in the official plugin: the program marks it secret."""

    name: ClassVar = "cloudflare:index/getZeroTrustTunnelCloudflaredToken:getZeroTrustTunnelCloudflaredToken"
    arguments: ClassVar[Table] = tuple(
        Field(name=name, kind=Kind.STRING, role=Role.REQUIRED, in_path=True) for name in ("accountId", "tunnelId")
    )
    results: ClassVar[Table] = _text("token")

    def call(self, api: Api, arguments: Properties) -> Properties:
        where = path("accounts", arguments["accountId"], "cfd_tunnel", arguments["tunnelId"], "token")
        found = api.send("GET", where).get("result")
        if not isinstance(found, str):
            raise UnreadableAnswerError("GET", where, "`result` is not the tunnel's token")
        return arguments | {"token": found}


def _pages(api: Api, where: str, query: list[tuple[str, str]]) -> Iterator[list[Any]]:
    page = 1
    while True:
        numbered = query if page == 1 else [*query, ("page", str(page))]
        rows = api.send("GET", _url(where, numbered)).get("result")
        if not isinstance(rows, list) or not rows:
            return
        yield rows
        page += 1


def _query(function: Function, arguments: Properties) -> list[tuple[str, str]]:
    return _pairs("", function.arguments, arguments)


def _pairs(prefix: str, table: Table, arguments: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Query parameters in the API's names; members of objects after a dot: `name.exact`."""
    pairs: list[tuple[str, str]] = []
    for field in sorted(table, key=lambda field: field.key):
        value = arguments.get(field.name)
        if value is None or field.in_path:
            continue
        if field.kind is Kind.OBJECT:
            pairs += _pairs(f"{prefix}{field.key}.", field.of, value)
        else:
            text = str(value).lower() if isinstance(value, bool) else str(value)
            pairs.append((prefix + field.key, text))
    return pairs


def _url(where: str, query: list[tuple[str, str]]) -> str:
    return f"{where}?{urlencode(query)}" if query else where
