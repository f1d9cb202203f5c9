"""Plugin processes end with the engine that started them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.struct_pb2 import Struct
from pulumi.dynamic import ResourceProvider
from pulumi.dynamic.dynamic import serialize_provider
from pulumi.runtime.proto.provider_pb2 import CreateRequest
from pulumi.runtime.proto.provider_pb2_grpc import ResourceProviderStub

from tests.processes import killed_at_the_end
from tests.unit.engine.machines import ROOT, alive
from tests.waiting import wait_until

WATCHING = """
import os, sys, threading
from engine import lifetime
lifetime.when_engine_ends(lambda: os._exit(5))
print(os.getpid(), flush=True)
threading.Event().wait()
"""

# Starts a watching process whose stdin is no pipe, tells its id, and lives until its own stdin ends.
PARENT = f"""
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", {WATCHING!r}], stdin=subprocess.DEVNULL, stdout=sys.stdout)
sys.stdin.read()
"""


@pytest.mark.parametrize("written", [b"", b"something"])
def test_the_end_of_stdin_is_the_end_of_the_engine(written: bytes) -> None:
    """What is written there is no end."""
    with killed_at_the_end(
        subprocess.Popen([sys.executable, "-c", WATCHING], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT)
    ) as watching:
        assert watching.stdout is not None
        assert watching.stdin is not None
        watching.stdout.readline()
        watching.stdin.write(written)
        watching.stdin.flush()
        assert watching.poll() is None
        watching.stdin.close()
        assert watching.wait(20) == 5


@pytest.mark.slow
def test_without_a_pipe_the_death_of_the_parent_is_noticed() -> None:
    with killed_at_the_end(
        subprocess.Popen([sys.executable, "-c", PARENT], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT)
    ) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        parent.kill()
        parent.wait(20)
        wait_until(lambda: not alive(pid), seconds=20)


class Hanging(ResourceProvider):
    def create(self, props: Any) -> Any:
        Path(props["started"]).touch()
        threading.Event().wait()


@pytest.mark.slow
def test_an_interrupted_host_of_dynamic_providers_waits_for_no_call(tmp_path: Path) -> None:
    """The engine gives a plugin five seconds, in which the next one's Cancel runs out of time: that one is called broken then."""
    program = str(ROOT / "engine" / "__main__.py")
    command = [sys.executable, "-u", program, "plugin", "pulumi-python", "127.0.0.1:1"]
    environment = os.environ | {"PULUMI_RUNTIME_VIRTUALENV": sys.prefix}
    started = tmp_path / "started"
    properties = Struct()
    properties.update({"__provider": serialize_provider(Hanging()), "started": str(started)})
    with killed_at_the_end(
        subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    ) as host:
        assert host.stdout is not None
        with grpc.insecure_channel(f"127.0.0.1:{host.stdout.readline().strip()}") as channel:
            creating = ResourceProviderStub(channel).Create.future(CreateRequest(properties=properties))
            wait_until(started.exists, seconds=20)
            host.send_signal(signal.SIGINT)
            assert host.wait(20) == 0
            assert creating.code() is grpc.StatusCode.UNAVAILABLE
