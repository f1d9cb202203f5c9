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
        if not message:
            return
        request = engine_pb2.LogRequest(severity=engine_pb2.WARNING, urn=urn, message=message)
        with self._lock:
            address = self._address
        if not (address and _logged(address, request)):
            print(f"warning: {message}", file=sys.stderr, flush=True)


def _logged(address: str, request: engine_pb2.LogRequest) -> bool:
    try:
        with grpc.insecure_channel(address) as channel:
            EngineStub(channel).Log(request, timeout=_DEADLINE_SECONDS)
    except grpc.RpcError:
        return False
    return True
