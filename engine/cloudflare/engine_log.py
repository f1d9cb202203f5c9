"""Messages to the engine, which shows them beside the resource they belong to."""

from __future__ import annotations

import sys
import threading

import grpc
from pulumi.runtime.proto import engine_pb2
from pulumi.runtime.proto.engine_pb2_grpc import EngineStub

_DEADLINE_SECONDS = 5.0


class EngineLog:
    """The engine's log. An engine that cannot be reached leaves the message on standard error."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._lock = threading.Lock()

    def moved_to(self, address: str) -> None:
        with self._lock:
            self._address = address or self._address

    def warn(self, urn: str, message: str) -> None:
        """Show a warning; an empty message shows nothing."""
        self._say("warning", engine_pb2.LogRequest(severity=engine_pb2.WARNING, urn=urn, message=message))

    def error(self, message: str) -> None:
        """Show an error, which by itself does not make the run fail."""
        self._say("error", engine_pb2.LogRequest(severity=engine_pb2.ERROR, message=message))

    def _say(self, kind: str, request: engine_pb2.LogRequest) -> None:
        if not request.message:
            return
        with self._lock:
            address = self._address
        if not (address and _logged(address, request)):
            print(f"{kind}: {request.message}", file=sys.stderr, flush=True)


def _logged(address: str, request: engine_pb2.LogRequest) -> bool:
    try:
        with grpc.insecure_channel(address) as channel:
            EngineStub(channel).Log(request, timeout=_DEADLINE_SECONDS)
    except grpc.RpcError:
        return False
    return True
