"""The gRPC service that the engine calls: it translates between protobuf and the resources and functions."""

# gRPC names the methods and gives every one the same arguments.
# ruff: noqa: N802, ARG002

from __future__ import annotations

import functools
import json
import os
import threading
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import grpc
from google.protobuf.empty_pb2 import Empty
from pulumi.runtime.proto import plugin_pb2, provider_pb2
from pulumi.runtime.proto.provider_pb2_grpc import ResourceProviderServicer

from engine import official
from engine.cloudflare import VERSION, configuration, fields
from engine.cloudflare.api import CloudflareApi
from engine.cloudflare.dns_record import DnsRecord
from engine.cloudflare.engine_log import EngineLog
from engine.cloudflare.errors import NotConfiguredError, OperationError, StandInOffLoopbackError, UnsupportedTokenError
from engine.cloudflare.fields import Change, Failure
from engine.cloudflare.functions import Function, GetDnsRecords, GetTunnels, GetTunnelToken, GetZone
from engine.cloudflare.properties import UNKNOWN, Properties, Secret, from_struct, marked_like, plain, to_struct
from engine.cloudflare.resource import Resource
from engine.cloudflare.schema import schema
from engine.cloudflare.tunnel import CloudflaredTunnel
from engine.cloudflare.tunnel_config import TunnelConfig
from engine.loopback import is_loopback

RESOURCES: tuple[Resource, ...] = (DnsRecord(), CloudflaredTunnel(), TunnelConfig())
FUNCTIONS: tuple[Function, ...] = (GetDnsRecords(), GetZone(), GetTunnels(), GetTunnelToken())

_BY_TYPE = {token: resource for resource in RESOURCES for token in resource.tokens}
_BY_TOKEN = {function.name: function for function in FUNCTIONS}

_KINDS = {
    Change.ADD: (provider_pb2.PropertyDiff.ADD, provider_pb2.PropertyDiff.ADD_REPLACE),
    Change.UPDATE: (provider_pb2.PropertyDiff.UPDATE, provider_pb2.PropertyDiff.UPDATE_REPLACE),
    Change.DELETE: (provider_pb2.PropertyDiff.DELETE, provider_pb2.PropertyDiff.DELETE_REPLACE),
}

_Handler = TypeVar("_Handler", bound=Callable[..., Any])


def _answering_errors(handler: _Handler) -> _Handler:
    """Turn a CloudflareError into a gRPC status whose details are its sentence."""

    @functools.wraps(handler)
    def answer(self: CloudflareProvider, request: Any, context: grpc.ServicerContext) -> Any:
        try:
            return handler(self, request, context)
        except OperationError as error:
            return context.abort(grpc.StatusCode.UNKNOWN, str(error))

    return answer  # type: ignore[return-value]


class CloudflareProvider(ResourceProviderServicer):
    """Serves one engine."""

    def __init__(self, engine_address: str) -> None:
        self._engine = EngineLog(engine_address)
        self._cancelled = threading.Event()
        self._api: CloudflareApi | None = None

    # The plugin itself

    def Handshake(
        self, request: provider_pb2.ProviderHandshakeRequest, context: grpc.ServicerContext
    ) -> provider_pb2.ProviderHandshakeResponse:
        self._engine.moved_to(request.engine_address)
        return provider_pb2.ProviderHandshakeResponse(accept_secrets=True)

    def Attach(self, request: plugin_pb2.PluginAttach, context: grpc.ServicerContext) -> Empty:
        self._engine.moved_to(request.address)
        return Empty()

    def GetPluginInfo(self, request: Empty, context: grpc.ServicerContext) -> plugin_pb2.PluginInfo:
        return plugin_pb2.PluginInfo(version=VERSION)

    def GetSchema(
        self, request: provider_pb2.GetSchemaRequest, context: grpc.ServicerContext
    ) -> provider_pb2.GetSchemaResponse:
        return provider_pb2.GetSchemaResponse(schema=json.dumps(schema(RESOURCES, FUNCTIONS)))

    def GetMapping(
        self, request: provider_pb2.GetMappingRequest, context: grpc.ServicerContext
    ) -> provider_pb2.GetMappingResponse:
        return provider_pb2.GetMappingResponse()

    def GetMappings(
        self, request: provider_pb2.GetMappingsRequest, context: grpc.ServicerContext
    ) -> provider_pb2.GetMappingsResponse:
        return provider_pb2.GetMappingsResponse()

    def Cancel(self, request: Empty, context: grpc.ServicerContext) -> Empty:
        # No more than that: what is under way may take long, and the engine interrupts the process once nothing is.
        self.cancel()
        return Empty()

    def cancel(self) -> None:
        """End every wait between tries; requests that are under way are answered."""
        self._cancelled.set()

    # Configuration

    def CheckConfig(
        self, request: provider_pb2.CheckRequest, context: grpc.ServicerContext
    ) -> provider_pb2.CheckResponse:
        inputs = plain(from_struct(request.news))
        return provider_pb2.CheckResponse(
            inputs=to_struct(configuration.with_secrets(inputs)),
            failures=_failures(configuration.check(request.urn, inputs)),
        )

    def DiffConfig(self, request: provider_pb2.DiffRequest, context: grpc.ServicerContext) -> provider_pb2.DiffResponse:
        olds, news = plain(from_struct(request.olds)), plain(from_struct(request.news))
        changed = sorted(key for key in {*olds, *news} if not fields.same(olds.get(key), news.get(key)))
        return provider_pb2.DiffResponse(changes=_changes(changed), diffs=changed)

    @_answering_errors
    def Configure(
        self, request: provider_pb2.ConfigureRequest, context: grpc.ServicerContext
    ) -> provider_pb2.ConfigureResponse:
        settings = configuration.settings(plain(from_struct(request.args)), os.environ)
        if not is_loopback(settings.base_url):
            raise StandInOffLoopbackError(settings.base_url)
        self._api = CloudflareApi(settings, self._cancelled)
        return provider_pb2.ConfigureResponse(acceptSecrets=True, supportsPreview=True)

    # Functions

    @_answering_errors
    def Invoke(self, request: provider_pb2.InvokeRequest, context: grpc.ServicerContext) -> provider_pb2.InvokeResponse:
        function = _BY_TOKEN.get(request.tok)
        if function is None:
            raise UnsupportedTokenError("function", request.tok, _BY_TOKEN)
        arguments = plain(from_struct(request.args))
        failures = list(function.check(arguments))
        if failures:
            return provider_pb2.InvokeResponse(failures=_failures(failures))
        try:
            result = function.call(self._configured(), arguments)
        except OperationError as error:
            if official.manners():
                # As Pulumi's bridge of Terraform plugins does, whatever the program makes of the error.
                self._engine.error(f"[ERROR] {str(error).removeprefix('failed to make http request: ')}")
            raise
        return provider_pb2.InvokeResponse(**{"return": to_struct(result)})

    # Resources

    @_answering_errors
    def Check(self, request: provider_pb2.CheckRequest, context: grpc.ServicerContext) -> provider_pb2.CheckResponse:
        resource = _resource(request.urn)
        inputs = from_struct(request.news)
        return provider_pb2.CheckResponse(
            inputs=to_struct(_with_secrets(resource, plain(inputs), inputs)),
            failures=_failures(resource.check(plain(inputs))),
        )

    @_answering_errors
    def Diff(self, request: provider_pb2.DiffRequest, context: grpc.ServicerContext) -> provider_pb2.DiffResponse:
        resource = _resource(request.urn)
        state = plain(from_struct(request.olds))
        inputs = fields.restore(plain(from_struct(request.news)), state, request.ignoreChanges)
        plan = resource.plan(state, inputs)
        replacing = resource.replacing(plan, inputs)
        return provider_pb2.DiffResponse(
            changes=_changes(plan.changes),
            diffs=sorted({fields.top_level(path) for path in plan.changes}),
            replaces=replacing,
            hasDetailedDiff=True,
            detailedDiff={
                path: provider_pb2.PropertyDiff(kind=_KINDS[change][fields.top_level(path) in replacing])
                for path, change in plan.changes.items()
            },
        )

    @_answering_errors
    def Create(self, request: provider_pb2.CreateRequest, context: grpc.ServicerContext) -> provider_pb2.CreateResponse:
        resource = _resource(request.urn)
        inputs = from_struct(request.properties)
        plan = resource.plan(None, plain(inputs))
        if request.preview:
            resource.require_creatable(plan.properties)
            self._engine.warn(request.urn, resource.create_warning)
            return provider_pb2.CreateResponse(properties=_outputs(resource, UNKNOWN, plan.properties, inputs))
        object_id, state = resource.create(self._configured(), plan)
        return provider_pb2.CreateResponse(id=object_id, properties=_outputs(resource, object_id, state, inputs))

    @_answering_errors
    def Read(self, request: provider_pb2.ReadRequest, context: grpc.ServicerContext) -> provider_pb2.ReadResponse:
        resource = _resource(request.urn)
        state, inputs = from_struct(request.properties), from_struct(request.inputs)
        if not state:
            return self._import(resource, request.id)
        found = resource.read(self._configured(), request.id, plain(state))
        if found is None:
            return provider_pb2.ReadResponse()
        refreshed = resource.refreshed_inputs(plain(inputs), found)
        return provider_pb2.ReadResponse(
            id=request.id,
            properties=_outputs(resource, request.id, found, state),
            inputs=to_struct(_with_secrets(resource, refreshed, inputs)),
        )

    def _import(self, resource: Resource, import_id: str) -> provider_pb2.ReadResponse:
        imported = resource.import_(self._configured(), import_id)
        if imported is None:
            return provider_pb2.ReadResponse()
        object_id, state = imported
        return provider_pb2.ReadResponse(
            id=object_id,
            properties=_outputs(resource, object_id, state, {}),
            inputs=to_struct(_with_secrets(resource, resource.imported_inputs(state), {})),
        )

    @_answering_errors
    def Update(self, request: provider_pb2.UpdateRequest, context: grpc.ServicerContext) -> provider_pb2.UpdateResponse:
        resource = _resource(request.urn)
        inputs = from_struct(request.news)
        state = plain(from_struct(request.olds))
        plan = resource.plan(state, fields.restore(plain(inputs), state, request.ignoreChanges))
        properties = plan.properties
        if not request.preview:
            properties = resource.update(self._configured(), request.id, state, plan)
        return provider_pb2.UpdateResponse(properties=_outputs(resource, request.id, properties, inputs))

    @_answering_errors
    def Delete(self, request: provider_pb2.DeleteRequest, context: grpc.ServicerContext) -> Empty:
        resource = _resource(request.urn)
        self._engine.warn(request.urn, resource.delete_warning)
        resource.delete(self._configured(), request.id, plain(from_struct(request.properties)))
        return Empty()

    def _configured(self) -> CloudflareApi:
        if self._api is None:
            raise NotConfiguredError
        return self._api


def _resource(urn: str) -> Resource:
    """The resource of `urn:pulumi:STACK::PROJECT::PARENT$TYPE::NAME`."""
    token = urn.split("::")[2].rsplit("$", 1)[-1]
    resource = _BY_TYPE.get(token)
    if resource is None:
        raise UnsupportedTokenError("resource", token, (known.tokens[0] for known in RESOURCES))
    return resource


def _outputs(resource: Resource, object_id: Any, state: Properties, marked: Properties) -> Any:
    return to_struct(_with_secrets(resource, state, marked) | {"id": object_id})


def _with_secrets(resource: Resource, values: Properties, marked: Properties) -> Properties:
    """The values, secret where `marked` is and where the resource's table says so."""
    secret = {field.name for field in resource.table if field.secret}
    return {
        name: Secret(value) if name in secret and value is not None else marked_like(value, marked.get(name))
        for name, value in values.items()
    }


def _failures(failures: Iterable[Failure]) -> list[provider_pb2.CheckFailure]:
    return [provider_pb2.CheckFailure(property=failure.property, reason=failure.reason) for failure in failures]


def _changes(changed: Any) -> provider_pb2.DiffResponse.DiffChanges.ValueType:
    return provider_pb2.DiffResponse.DIFF_SOME if changed else provider_pb2.DiffResponse.DIFF_NONE
