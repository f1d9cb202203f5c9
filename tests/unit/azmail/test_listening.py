"""The listener of `azmail inbox serve`: what a stranger can hold of it."""

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest
import requests
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from azmail.listening import Limits, listener

REQUEST = b"GET / HTTP/1.1\r\nHost: localhost\r\nAccept: */*\r\n\r\n"


@contextmanager
def listening(limits: Limits) -> Iterator[tuple[str, int]]:
    started = threading.Event()

    async def home(_: object) -> PlainTextResponse:
        return PlainTextResponse("here")

    server = listener(Starlette(routes=[Route("/", home)]), host="127.0.0.1", port=0, limits=limits)
    bound = socket.create_server(("127.0.0.1", 0))

    async def serve() -> None:
        serving = asyncio.create_task(server.serve(sockets=[bound]))
        while not server.started and not serving.done():
            await asyncio.sleep(0)
        started.set()
        await serving

    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    try:
        assert started.wait(60)
        yield bound.getsockname()[:2]
    finally:
        server.should_exit = True
        thread.join(60)
        bound.close()


@pytest.fixture(scope="module")
def impatient() -> Iterator[tuple[str, int]]:
    with listening(Limits(head_seconds=0.1)) as address:
        yield address


def until_closed(connection: socket.socket) -> bytes:
    received = b""
    try:
        while more := connection.recv(65536):
            received += more
    except ConnectionResetError:
        return received
    return received


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(sent=st.integers(0, len(REQUEST) - 1), requests_before=st.integers(0, 2))
def test_a_head_that_does_not_end_ends_the_connection(
    impatient: tuple[str, int], sent: int, requests_before: int
) -> None:
    """After any number of bytes, on a fresh connection and on one that was used."""
    with socket.create_connection(impatient, timeout=60) as connection:
        for _ in range(requests_before):
            connection.sendall(REQUEST)
            while b"here" not in connection.recv(65536):
                pass
        connection.sendall(REQUEST[:sent])
        assert b"200 OK" not in until_closed(connection)


def test_one_byte_at_a_time_does_not_prolong_it(impatient: tuple[str, int]) -> None:
    with socket.create_connection(impatient, timeout=60) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nX-Slow: ")
        connection.settimeout(0.02)
        with pytest.raises(ConnectionError):
            _crawl(connection)


def _crawl(connection: socket.socket) -> None:
    """A byte now and then. Raises ConnectionError once the other end has had enough."""
    while True:
        connection.sendall(b"x")
        try:
            if connection.recv(1) == b"":
                raise ConnectionResetError
        except TimeoutError:
            continue  # still open: the next byte


def test_connections_are_bounded() -> None:
    with listening(Limits(connections=5, head_seconds=60)) as address, ExitStack() as stack:
        held = [stack.enter_context(socket.create_connection(address, timeout=60)) for _ in range(5)]
        for connection in held:
            connection.sendall(REQUEST)
            assert b"200 OK" in connection.recv(65536)
        with socket.create_connection(address, timeout=60) as one_more:
            assert until_closed(one_more) == b""
        held[0].close()
        for _ in range(100):  # the server may see the end a moment later
            try:
                assert requests.get("http://{}:{}/".format(*address), timeout=60).text == "here"
                return
            except requests.ConnectionError:
                continue
        pytest.fail("no connection was free again")
