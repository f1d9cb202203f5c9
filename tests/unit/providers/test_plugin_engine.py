"""The plugin's view of its engine: alive or not, and a line to the person who runs it."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent import futures
from typing import Any

import grpc
import pytest
from google.protobuf import empty_pb2
from pulumi.runtime.proto import engine_pb2, engine_pb2_grpc

from clients.mailjet.errors import EngineGoneError
from clients.mailjet.redaction import SECRETS
from providers.mailjet.engine import EngineConnection, engine_address
from tests.processes import killed_at_the_end


class Servicer(engine_pb2_grpc.EngineServicer):
    def __init__(self) -> None:
        self.lines: list[Any] = []

    def keep(self, request: Any, context: Any) -> Any:
        self.lines.append(request)
        return empty_pb2.Empty()

    Log = keep


@pytest.fixture
def servicer() -> Servicer:
    return Servicer()


@pytest.fixture
def address(servicer: Servicer) -> Iterator[str]:
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=2))
    engine_pb2_grpc.add_EngineServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield f"127.0.0.1:{port}"
    server.stop(0).wait(5)


@pytest.mark.parametrize(
    ("argv", "address"),
    [
        (["127.0.0.1:4242"], "127.0.0.1:4242"),
        (["--logtostderr", "-v=9", "127.0.0.1:4242"], "127.0.0.1:4242"),
        (["--tracing", "http://127.0.0.1:1", "127.0.0.1:4242"], "127.0.0.1:4242"),
        (["[::1]:4242"], "[::1]:4242"),
        ([], None),
        (["--tracing", "http://127.0.0.1:1"], None),
        (["tests/unit/providers::test"], None),
    ],
)
def test_the_address_is_the_last_argument(argv: list[str], address: str | None) -> None:
    assert engine_address(argv) == address


def test_this_process_is_no_plugin() -> None:
    assert EngineConnection.of_this_process().address is None


def test_without_an_engine_every_write_is_allowed() -> None:
    engine = EngineConnection(None)
    engine.require_alive()
    engine.progress("nobody hears this")


def test_a_living_engine_is_alive_however_often_one_asks(address: str) -> None:
    engine = EngineConnection(address)
    assert all(engine.alive() for _ in range(50))
    engine.close()


def test_one_connection_serves_all_questions() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        engine = EngineConnection(f"127.0.0.1:{listener.getsockname()[1]}")
        assert all(engine.alive() for _ in range(20))
        accepted, _ = listener.accept()
        listener.settimeout(0.05)
        with pytest.raises(TimeoutError):
            listener.accept()
        accepted.close()
        engine.close()


def test_a_killed_engine_is_gone_at_once() -> None:
    """The kernel closes a killed process's sockets; nothing has to time out."""
    program = (
        "import socket, sys; s = socket.create_server(('127.0.0.1', 0));"
        "print(s.getsockname()[1], flush=True); c, _ = s.accept(); c.sendall(b'hello'); sys.stdin.read()"
    )
    with killed_at_the_end(
        subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    ) as peer:
        assert peer.stdout is not None
        engine = EngineConnection(f"127.0.0.1:{int(peer.stdout.readline())}")
        engine.require_alive()
        peer.kill()
        peer.wait(10)
        with pytest.raises(EngineGoneError, match=r"`\./mail pulumi cancel --stack STACK`, then"):
            engine.require_alive()
        engine.close()


def test_an_engine_that_merely_closed_an_idle_connection_is_alive() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        engine = EngineConnection(f"127.0.0.1:{listener.getsockname()[1]}")
        assert engine.alive()
        listener.accept()[0].close()
        assert engine.alive()
        engine.close()


def test_progress_is_fleeting_and_a_warning_stays(address: str, servicer: Servicer) -> None:
    SECRETS.learn(["s3cretvalue"])
    engine = EngineConnection(address)
    engine.progress("half done, s3cretvalue")
    engine.warn("look at this")
    assert [(line.message, line.ephemeral, line.severity, line.urn) for line in servicer.lines] == [
        ("half done, [secret]", True, engine_pb2.INFO, ""),
        ("look at this", False, engine_pb2.WARNING, ""),
    ]
    engine.close()


def test_a_line_that_cannot_be_delivered_is_dropped() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    engine = EngineConnection(f"127.0.0.1:{port}")
    engine.progress("nobody hears this")
    engine.close()


def test_threads_may_ask_at_once(address: str) -> None:
    engine = EngineConnection(address)
    answers: list[bool] = []
    threads = [threading.Thread(target=lambda: answers.extend(engine.alive() for _ in range(20))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert answers == [True] * 160
    engine.close()


@pytest.mark.slow
def test_an_orphan_ends_itself() -> None:
    """The plugin process of a killed engine."""
    program = (
        "import sys, threading; from providers.mailjet.engine import EngineConnection;"
        "EngineConnection(sys.argv[1]).exit_with_it(every=0.02); print('watching', flush=True); threading.Event().wait(60)"
    )
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(30)
        address = f"127.0.0.1:{listener.getsockname()[1]}"
        orphan = subprocess.Popen([sys.executable, "-c", program, address], stdout=subprocess.PIPE)
        assert orphan.stdout is not None
        orphan.stdout.readline()
        held, _ = listener.accept()
    held.close()
    assert orphan.wait(30) == 1
    orphan.stdout.close()
