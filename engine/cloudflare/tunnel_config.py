"""ZeroTrustTunnelCloudflaredConfig: the ingress rules of a tunnel that is configured at Cloudflare."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from engine.cloudflare.errors import MissingTunnelConfigError, OperationError
from engine.cloudflare.fields import Failure, Field, Kind, Role, Table
from engine.cloudflare.properties import UNKNOWN, Properties
from engine.cloudflare.resource import Api, Resource, path
from engine.cloudflare.tunnel import check_source

_ACCESS: Table = (
    Field(name="audTags", kind=Kind.LIST, role=Role.REQUIRED, api="audTag"),
    Field(name="teamName", kind=Kind.STRING, role=Role.REQUIRED, api="teamName"),
    Field(name="required", kind=Kind.BOOLEAN),
)


def _origin(kind: Kind, *names: str) -> tuple[Field, ...]:
    # The API's names are Pulumi's, but for two initialisms.
    api = {"noTlsVerify": "noTLSVerify", "matchSnItoHost": "matchSNItoHost"}
    return tuple(Field(name=name, kind=kind, api=api.get(name, name)) for name in names)


_ORIGIN_REQUEST: Table = (
    Field(name="access", kind=Kind.OBJECT, of=tuple(_ACCESS)),
    *_origin(Kind.STRING, "caPool", "httpHostHeader", "originServerName", "proxyType"),
    *_origin(Kind.INTEGER, "connectTimeout", "keepAliveConnections", "keepAliveTimeout", "tcpKeepAlive", "tlsTimeout"),
    *_origin(Kind.BOOLEAN, "disableChunkedEncoding", "http2Origin", "matchSnItoHost", "noHappyEyeballs", "noTlsVerify"),
)

_INGRESS: Table = (
    Field(name="service", kind=Kind.STRING, role=Role.REQUIRED),
    Field(name="hostname", kind=Kind.STRING),
    Field(name="path", kind=Kind.STRING),
    Field(name="originRequest", kind=Kind.OBJECT, api="originRequest", of=tuple(_ORIGIN_REQUEST)),
)


class TunnelConfig(Resource):
    """Has the id of its tunnel. The API cannot delete a configuration: it goes with the tunnel."""

    tokens: ClassVar = (
        "cloudflare:index/zeroTrustTunnelCloudflaredConfig:ZeroTrustTunnelCloudflaredConfig",
        "cloudflare:index/tunnelConfig:TunnelConfig",
    )
    import_form: ClassVar = "<account_id>/<tunnel_id>"
    create_method: ClassVar = "PUT"
    create_warning: ClassVar = (
        "Cloudflare's API cannot delete a tunnel's configuration: it stays until its tunnel is deleted."
    )
    delete_warning: ClassVar = (
        "The tunnel's configuration is removed from the stack only: at Cloudflare it stays until its tunnel is deleted."
    )
    table: ClassVar[Table] = (
        Field(name="accountId", kind=Kind.STRING, role=Role.REQUIRED, in_path=True, replaces=True),
        Field(name="tunnelId", kind=Kind.STRING, role=Role.REQUIRED, in_path=True, replaces=True),
        Field(
            name="config",
            kind=Kind.OBJECT,
            of=(
                Field(name="ingresses", kind=Kind.LIST, api="ingress", of=tuple(_INGRESS)),
                Field(name="originRequest", kind=Kind.OBJECT, api="originRequest", of=tuple(_ORIGIN_REQUEST)),
            ),
        ),
        Field(name="source", kind=Kind.STRING, role=Role.COMPUTED_OPTIONAL),
        Field(name="createdAt", kind=Kind.STRING, role=Role.COMPUTED),
        Field(name="version", kind=Kind.INTEGER, role=Role.COMPUTED),
    )

    def collection(self, properties: Mapping[str, Any]) -> str:
        return path("accounts", properties["accountId"], "cfd_tunnel", properties["tunnelId"], "configurations")

    def item(self, object_id: str, properties: Mapping[str, Any]) -> str:
        del object_id
        return self.collection(properties)

    def located(self, parent: str, object_id: str) -> Properties:
        return {"accountId": parent, "tunnelId": object_id}

    def check(self, inputs: Properties) -> Iterator[Failure]:
        yield from super().check(inputs)
        yield from check_source("source", inputs)

    def _refusal(self, properties: Properties) -> OperationError | None:
        return MissingTunnelConfigError() if properties.get("config") is None else None

    def delete(self, api: Api, object_id: str, state: Properties) -> None:
        """Nothing to ask the API for."""

    def _planned_outputs(
        self, state: Properties | None, inputs: Properties, planned: Properties, *, changed: bool
    ) -> Properties:
        computed = super()._planned_outputs(state, inputs, planned, changed=changed)
        return computed | {"source": UNKNOWN} if changed and "source" not in inputs else computed

    def _id_in(self, result: Any, properties: Properties) -> str | None:
        del result
        return str(properties["tunnelId"])
