"""The wire of the tests counts rounds and bytes, and breaks where it is told to."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import requests

from tests.relay import Relay, total


class Store(BaseHTTPRequestHandler):
    """Answers every request with two bytes."""

    protocol_version = "HTTP/1.1"

    def do_PUT(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.do_GET()

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *_words: object) -> None:
        """Quiet."""


@pytest.fixture
def relay() -> Iterator[Relay]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Store) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        with Relay(("127.0.0.1", int(server.server_address[1]))) as wire:
            yield wire
        server.shutdown()


def test_it_counts_rounds_requests_and_bytes(relay: Relay) -> None:
    with requests.Session() as session:
        session.put(f"http://127.0.0.1:{relay.port}/a", data=b"x" * 1000, timeout=5)
        session.get(f"http://127.0.0.1:{relay.port}/a", timeout=5)
    passed = relay.forget()
    assert passed.rounds == 2
    assert (passed.requests["PUT"], passed.requests["GET"], total(passed.requests)) == (1, 1, 1)
    assert passed.sent > 1000
    assert relay.forget().rounds == 0


def test_it_breaks_at_a_request_and_mends_after_so_many_tries(relay: Relay) -> None:
    url = f"http://127.0.0.1:{relay.port}/a"
    relay.cut_at("^PUT ", 2, mended_at=1)
    assert requests.put(url, data=b"1", timeout=5).text == "ok"
    for _ in ("cut", "refused"):
        with pytest.raises(requests.ConnectionError):
            requests.put(url, data=b"2", timeout=5)
    assert relay.refused == 1
    assert requests.put(url, data=b"3", timeout=5).text == "ok"
