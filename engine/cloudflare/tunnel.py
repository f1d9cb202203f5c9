"""ZeroTrustTunnelCloudflared: a tunnel that cloudflared connects."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from engine.cloudflare import fields
from engine.cloudflare.fields import Failure, Field, Kind, Role, Table
from engine.cloudflare.properties import Properties
from engine.cloudflare.resource import PlannedState, Resource, path

CONFIG_SOURCES = ("local", "cloudflare")
# The API never gives these back as the program knows them.
_NOT_REFRESHED = ("configSrc", "tunnelSecret")


def _computed(*names: str) -> tuple[Field, ...]:
    return tuple(Field(name=name, kind=Kind.STRING, role=Role.COMPUTED) for name in names)


class CloudflaredTunnel(Resource):
    """A tunnel that Cloudflare has soft-deleted but still answers for counts as existing."""

    tokens: ClassVar = (
        "cloudflare:index/zeroTrustTunnelCloudflared:ZeroTrustTunnelCloudflared",
        "cloudflare:index/tunnel:Tunnel",
    )
    import_form: ClassVar = "<account_id>/<tunnel_id>"
    update_method: ClassVar = "PATCH"
    table: ClassVar[Table] = (
        Field(name="accountId", kind=Kind.STRING, role=Role.REQUIRED, in_path=True, replaces=True),
        Field(name="name", kind=Kind.STRING, role=Role.REQUIRED),
        Field(name="configSrc", kind=Kind.STRING, role=Role.COMPUTED_OPTIONAL, replaces=True),
        Field(name="tunnelSecret", kind=Kind.STRING, secret=True),
        *_computed("accountTag", "connsActiveAt", "connsInactiveAt", "createdAt", "deletedAt", "status", "tunType"),
        Field(name="remoteConfig", kind=Kind.BOOLEAN, role=Role.COMPUTED),
        Field(name="metadata", kind=Kind.JSON, role=Role.COMPUTED),
        Field(
            name="connections",
            kind=Kind.LIST,
            role=Role.COMPUTED,
            of=_computed("id", "clientId", "clientVersion", "coloName", "openedAt", "originIp", "uuid"),
        ),
    )

    def collection(self, properties: Mapping[str, Any]) -> str:
        return path("accounts", properties["accountId"], "cfd_tunnel")

    def item(self, object_id: str, properties: Mapping[str, Any]) -> str:
        return self.collection(properties) + path(object_id)

    def located(self, parent: str, object_id: str) -> Properties:
        del object_id
        return {"accountId": parent}

    def check(self, inputs: Properties) -> Iterator[Failure]:
        yield from super().check(inputs)
        yield from check_source("configSrc", inputs)

    def _planned_inputs(self, state: Properties | None, inputs: Properties) -> Properties:
        return super()._planned_inputs(state, inputs) | {"configSrc": inputs.get("configSrc", "local")}

    def _update_body(self, plan: PlannedState, state: Properties) -> Properties:
        return fields.changed_body(self.table, plan.properties, state)

    def _refreshed(self, state: Properties, result: Any) -> Properties:
        refreshed = super()._refreshed(state, result)
        for name in _NOT_REFRESHED:
            if state.get(name) is not None:
                refreshed[name] = state[name]
        return refreshed


def check_source(name: str, inputs: Properties) -> Iterator[Failure]:
    """Whether a tunnel is configured on its own machine or at Cloudflare."""
    source = inputs.get(name)
    if isinstance(source, str) and source.lower() not in CONFIG_SOURCES:
        yield Failure(
            name,
            f"Invalid Attribute Value Match. Attribute {name} value must be one of: {', '.join(CONFIG_SOURCES)}, "
            f"got: {source!r}.",
        )
