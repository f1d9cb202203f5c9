"""Drives the Cloudflare plugin as the engine does: its process over gRPC, against an HTTP server that records."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import grpc
from google.protobuf.empty_pb2 import Empty
from google.protobuf.struct_pb2 import Struct
from pulumi.runtime.proto import engine_pb2, engine_pb2_grpc, plugin_pb2, provider_pb2
from pulumi.runtime.proto.provider_pb2_grpc import ResourceProviderStub

from engine.cloudflare.properties import UNKNOWN, from_struct, plain, to_struct

ROOT = Path(__file__).resolve().parents[3]
DEADLINE_SECONDS = 30.0
PLUGIN = (sys.executable, "-u", str(ROOT / "engine" / "__main__.py"), "plugin", "cloudflare")
"""As the file does that the engine starts as the plugin."""

RECORD = "cloudflare:index/dnsRecord:DnsRecord"
TUNNEL = "cloudflare:index/zeroTrustTunnelCloudflared:ZeroTrustTunnelCloudflared"
TUNNEL_CONFIG = "cloudflare:index/zeroTrustTunnelCloudflaredConfig:ZeroTrustTunnelCloudflaredConfig"
GET_RECORDS = "cloudflare:index/getDnsRecords:getDnsRecords"
GET_ZONE = "cloudflare:index/getZone:getZone"
GET_TUNNELS = "cloudflare:index/getZeroTrustTunnelCloudflareds:getZeroTrustTunnelCloudflareds"
GET_TOKEN = "cloudflare:index/getZeroTrustTunnelCloudflaredToken:getZeroTrustTunnelCloudflaredToken"

ZONE = "023e105f4ecef8ad9ca31a8372d0c353"
ACCOUNT = "699d98642c564d2e855e9661899b7252"
TOKEN = "A" * 40


# The API


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    body: Any
    headers: Mapping[str, str] = field(default_factory=dict, compare=False)


@dataclass(frozen=True)
class Answer:
    status: int = 200
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    content_type: str = "application/json"
    drop: bool = False


class RecordingApi:
    """Answers each request with the next answer that was queued, or by `respond`, and records it."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.respond: Callable[[Request], Answer] = self._next
        self._answers: deque[Answer] = deque()
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/client/v4"

    def will_answer(self, *results: Any) -> None:
        """Queue answers: an `Answer`, or the `result` of a successful one."""
        for result in results:
            body = {"result": result, "success": True, "errors": [], "messages": []}
            self._answers.append(result if isinstance(result, Answer) else Answer(body=body))

    def seen(self) -> list[Request]:
        """What was requested since the last call, paths without the base URL's."""
        with self._lock:
            seen, self.requests = self.requests, []
        return seen

    def reset(self) -> None:
        """Forget what was requested and what would be answered."""
        self._answers.clear()
        self.respond = self._next
        self.seen()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _next(self, request: Request) -> Answer:
        return self._answers.popleft() if self._answers else Answer(418, {"errors": [{"message": "unexpected"}]})

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        api = self

        class Handler(BaseHTTPRequestHandler):
            def _serve(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                sent = self.rfile.read(length)
                request = Request(
                    self.command,
                    self.path.removeprefix("/client/v4"),
                    json.loads(sent) if sent else None,
                    {name.lower(): value for name, value in self.headers.items()},
                )
                with api._lock:
                    api.requests.append(request)
                    answer = api.respond(request)
                if answer.drop:
                    self.close_connection = True
                    return
                body = answer.body if isinstance(answer.body, bytes) else json.dumps(answer.body).encode()
                self.send_response(answer.status)
                self.send_header("Content-Type", answer.content_type)
                self.send_header("Content-Length", str(len(body)))
                for name, value in answer.headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _serve  # noqa: N815

            def log_message(self, format: str, *arguments: Any) -> None:
                """The test reads `requests`."""

        return Handler


# The engine


class RecordingEngine(engine_pb2_grpc.EngineServicer):
    """The part of the engine that a plugin calls."""

    def __init__(self) -> None:
        self.messages: list[tuple[str, str]] = []
        self._server = grpc.server(ThreadPoolExecutor(2))
        engine_pb2_grpc.add_EngineServicer_to_server(self, self._server)
        self.address = f"127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"
        self._server.start()

    def Log(self, request: engine_pb2.LogRequest, context: grpc.ServicerContext) -> Empty:  # noqa: N802
        self.messages.append((request.urn.rsplit("::", 1)[-1], request.message))
        return Empty()

    def close(self) -> None:
        self._server.stop(None).wait()


class PluginProcess:
    """The plugin as the engine starts it: its standard input stays open as long as the engine lives."""

    def __init__(self, engine_address: str = "", environment: Mapping[str, str] | None = None) -> None:
        clean = {name: value for name, value in os.environ.items() if not name.startswith("CLOUDFLARE_")}
        self.process = subprocess.Popen(
            [*PLUGIN, *([engine_address] if engine_address else [])],
            cwd=ROOT,
            env=clean | dict(environment or {}),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        self.first_line = self.process.stdout.readline()
        self.channel = grpc.insecure_channel(f"127.0.0.1:{self.first_line.strip()}")
        self.stub = ResourceProviderStub(self.channel)

    def ended(self) -> int:
        """The exit status, as soon as the process has ended."""
        return self.process.wait(DEADLINE_SECONDS)

    def close(self) -> str:
        """End the process as the engine's end does; what it wrote to standard error."""
        self.channel.close()
        _, errors = self.process.communicate(timeout=DEADLINE_SECONDS)
        return errors


@dataclass
class RefusedError(Exception):
    """A gRPC call that the plugin refused."""

    message: str


@dataclass(frozen=True)
class Difference:
    changes: bool
    paths: Mapping[str, str]
    replaces: Sequence[str]


class Plugin:
    """Calls of one plugin in plain Python."""

    def __init__(self, stub: ResourceProviderStub) -> None:
        self.stub = stub

    def configure(self, api: RecordingApi | None = None, **config: Any) -> None:
        given = {"apiToken": TOKEN} | ({"baseUrl": api.base_url} if api else {}) | config
        arguments = to_struct({key: value for key, value in given.items() if value is not None})
        _call(self.stub.Configure, provider_pb2.ConfigureRequest(args=arguments))

    def check_config(
        self, config: Mapping[str, Any], name: str = "default_6_23_1"
    ) -> tuple[dict[str, Any], list[tuple[str, str]]]:
        urn = f"urn:pulumi:dev::agentmail::pulumi:providers:cloudflare::{name}"
        answer = _call(self.stub.CheckConfig, provider_pb2.CheckRequest(urn=urn, news=to_struct(config)))
        return from_struct(answer.inputs), [(failure.property, failure.reason) for failure in answer.failures]

    def check(self, token: str, inputs: Mapping[str, Any]) -> list[tuple[str, str]]:
        request = provider_pb2.CheckRequest(urn=urn(token), news=to_struct(inputs))
        return [(failure.property, failure.reason) for failure in _call(self.stub.Check, request).failures]

    def checked(self, token: str, inputs: Mapping[str, Any]) -> dict[str, Any]:
        answer = _call(self.stub.Check, provider_pb2.CheckRequest(urn=urn(token), news=to_struct(inputs)))
        assert not answer.failures, answer.failures
        return from_struct(answer.inputs)

    def diff(
        self, token: str, state: Mapping[str, Any], inputs: Mapping[str, Any], ignored: Sequence[str] = ()
    ) -> Difference:
        request = provider_pb2.DiffRequest(
            urn=urn(token), olds=to_struct(state), news=to_struct(inputs), ignoreChanges=ignored
        )
        answer = _call(self.stub.Diff, request)
        kinds = {path: provider_pb2.PropertyDiff.Kind.Name(diff.kind) for path, diff in answer.detailedDiff.items()}
        return Difference(answer.changes == provider_pb2.DiffResponse.DIFF_SOME, kinds, list(answer.replaces))

    def create(
        self, token: str, inputs: Mapping[str, Any], preview: bool = False, name: str = "name"
    ) -> tuple[str, dict[str, Any]]:
        request = provider_pb2.CreateRequest(urn=urn(token, name), properties=to_struct(inputs), preview=preview)
        answer = _call(self.stub.Create, request)
        return answer.id, from_struct(answer.properties)

    def update(
        self,
        token: str,
        state: Mapping[str, Any],
        inputs: Mapping[str, Any],
        preview: bool = False,
        ignored: Sequence[str] = (),
    ) -> dict[str, Any]:
        request = provider_pb2.UpdateRequest(
            id=state["id"],
            urn=urn(token),
            olds=to_struct(state),
            news=to_struct(inputs),
            preview=preview,
            ignoreChanges=ignored,
        )
        return from_struct(_call(self.stub.Update, request).properties)

    def read(
        self, token: str, object_id: str, state: Mapping[str, Any], inputs: Mapping[str, Any]
    ) -> tuple[str, dict[str, Any], dict[str, Any]]:
        request = provider_pb2.ReadRequest(
            id=object_id, urn=urn(token), properties=to_struct(state), inputs=to_struct(inputs)
        )
        answer = _call(self.stub.Read, request)
        return answer.id, from_struct(answer.properties), from_struct(answer.inputs)

    def import_(self, token: str, import_id: str) -> tuple[str, dict[str, Any], dict[str, Any]]:
        return self.read(token, import_id, {}, {})

    def delete(self, token: str, state: Mapping[str, Any], name: str = "name") -> None:
        request = provider_pb2.DeleteRequest(id=state["id"], urn=urn(token, name), properties=to_struct(state))
        _call(self.stub.Delete, request)

    def invoke(self, token: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        answer = self._invoked(token, arguments)
        assert not answer.failures, answer.failures
        result: Struct = getattr(answer, "return")
        return from_struct(result)

    def invoke_failures(self, token: str, arguments: Mapping[str, Any]) -> list[tuple[str, str]]:
        return [(failure.property, failure.reason) for failure in self._invoked(token, arguments).failures]

    def _invoked(self, token: str, arguments: Mapping[str, Any]) -> provider_pb2.InvokeResponse:
        request = provider_pb2.InvokeRequest(tok=token, args=to_struct(arguments))
        answer: provider_pb2.InvokeResponse = _call(self.stub.Invoke, request)
        return answer


def urn(token: str, name: str = "name") -> str:
    return f"urn:pulumi:dev::agentmail::azt3knet:mail:MailDomain${token}::{name}"


def _call(method: Any, request: Any) -> Any:
    try:
        return method(request, timeout=DEADLINE_SECONDS)
    except grpc.RpcError as error:
        raise RefusedError(error.details() or "") from None


def plugin_version(stub: ResourceProviderStub) -> str:
    answer: plugin_pb2.PluginInfo = _call(stub.GetPluginInfo, Empty())
    return answer.version


# A stack


@dataclass(frozen=True)
class Declared:
    """A resource of a program; its inputs are made from the outputs of those before it."""

    name: str
    token: str
    inputs: Callable[[dict[str, dict[str, Any]]], dict[str, Any]]


@dataclass(frozen=True)
class Invoked:
    """A function call of a program."""

    name: str
    token: str
    arguments: Callable[[dict[str, dict[str, Any]]], dict[str, Any]]


@dataclass
class Stack:
    """What the engine does with a program, step after step."""

    plugin: Plugin
    resources: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = field(default_factory=dict)
    operations: list[str] = field(default_factory=list)

    def up(self, program: Sequence[Declared | Invoked], preview: bool = False) -> dict[str, dict[str, Any]]:
        self.operations = []
        outputs: dict[str, dict[str, Any]] = {}
        for declared in program:
            if isinstance(declared, Invoked):
                arguments = plain(declared.arguments(outputs))
                known = UNKNOWN not in arguments.values()
                outputs[declared.name] = self.plugin.invoke(declared.token, arguments) if known else {"token": UNKNOWN}
            else:
                outputs[declared.name] = self._step(declared, declared.inputs(outputs), preview)
        names = {declared.name for declared in program}
        for name in [name for name in reversed(self.resources) if name not in names]:
            self.operations.append(f"delete {name}")
            if not preview:
                self._delete(name)
        return outputs

    def refresh(self) -> None:
        for name, (token, inputs, state) in list(self.resources.items()):
            object_id, state, inputs = self.plugin.read(token, state["id"], state, inputs)
            if object_id:
                self.resources[name] = (token, inputs, state)
            else:
                del self.resources[name]

    def destroy(self) -> None:
        for name in list(reversed(self.resources)):
            self._delete(name)

    def _step(self, declared: Declared, given: dict[str, Any], preview: bool) -> dict[str, Any]:
        inputs = self.plugin.checked(declared.token, given)
        if declared.name not in self.resources:
            self.operations.append(f"create {declared.name}")
            object_id, state = self.plugin.create(declared.token, inputs, preview, declared.name)
            state["id"] = UNKNOWN if preview else object_id
        else:
            state = self.resources[declared.name][2]
            difference = self.plugin.diff(declared.token, state, inputs)
            assert not difference.replaces
            if difference.changes:
                self.operations.append(f"update {declared.name}")
                state = self.plugin.update(declared.token, state, inputs, preview)
        if not preview:
            self.resources[declared.name] = (declared.token, inputs, state)
        return state

    def _delete(self, name: str) -> None:
        token, _, state = self.resources.pop(name)
        self.plugin.delete(token, state, name)


@contextmanager
def running_plugin(engine_address: str = "", environment: Mapping[str, str] | None = None) -> Iterator[PluginProcess]:
    """A plugin that must not have written to standard error when it ends."""
    process = PluginProcess(engine_address, environment)
    said = ""
    try:
        yield process
    finally:
        said = process.close()
    assert said == "", said


@contextmanager
def recording_api() -> Iterator[RecordingApi]:
    api = RecordingApi()
    try:
        yield api
    finally:
        api.close()
