"""Cloudflare's API over real HTTP on loopback: paging, repetition, and the sentence for each refusal."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from clients.cloudflare.zone_api import ATTEMPTS, CloudflareRefusedError, ZoneApi, writable

TOKEN = "planted-token-0123456789-planted-token-01"
ZONE = "0f1e2d3c4b5a69788796a5b4c3d2e1f0"


class Cloudflare(ThreadingHTTPServer):
    """Answers from a script, in order, and keeps what it was asked."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.script: list[tuple[int, Any, dict[str, str]]] = []
        self.asked: list[tuple[str, str, dict[str, list[str]], Any]] = []

    def answers(self, status: int, body: Any, **headers: str) -> None:
        self.script.append((status, body, {name.replace("_", "-"): value for name, value in headers.items()}))


class Handler(BaseHTTPRequestHandler):
    server: Cloudflare

    def do_any(self) -> None:
        size = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(size)) if size else None
        parts = urlsplit(self.path)
        self.server.asked.append((self.command, parts.path, parse_qs(parts.query), body))
        assert self.headers["Authorization"] == f"Bearer {TOKEN}"
        status, answer, headers = self.server.script.pop(0)
        text = answer.encode() if isinstance(answer, str) else json.dumps(answer).encode()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_any  # noqa: N815

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""


@pytest.fixture
def cloudflare() -> Iterator[Cloudflare]:
    server = Cloudflare()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()
    assert server.script == []


@pytest.fixture
def waited() -> list[float]:
    return []


@pytest.fixture
def api(cloudflare: Cloudflare, waited: list[float]) -> Iterator[ZoneApi]:
    made = ZoneApi(f"http://127.0.0.1:{cloudflare.server_port}/client/v4/", TOKEN, ZONE, wait=waited.append)
    yield made
    made.close()


def result(value: object, **info: object) -> dict[str, object]:
    return {"success": True, "errors": [], "messages": [], "result": value, **({"result_info": info} if info else {})}


def refusal(code: int, message: str) -> dict[str, object]:
    return {"success": False, "errors": [{"code": code, "message": message}], "messages": [], "result": None}


class TestReading:
    def test_every_page(self, api: ZoneApi, cloudflare: Cloudflare) -> None:
        cloudflare.answers(200, result([{"id": "1"}, {"id": "2"}], total_pages=2))
        cloudflare.answers(200, result([{"id": "3"}], total_pages=2))
        assert [fields["id"] for fields in api.records()] == ["1", "2", "3"]
        assert [query["page"] for _, _, query, _ in cloudflare.asked] == [["1"], ["2"]]
        assert {path for _, path, _, _ in cloudflare.asked} == {f"/client/v4/zones/{ZONE}/dns_records"}

    def test_without_a_page_count_an_empty_page_is_the_end(self, api: ZoneApi, cloudflare: Cloudflare) -> None:
        cloudflare.answers(200, result([{"id": "1"}]))
        cloudflare.answers(200, result([]))
        assert len(api.records()) == 1

    def test_a_record_that_is_gone(self, api: ZoneApi, cloudflare: Cloudflare) -> None:
        cloudflare.answers(404, refusal(81044, "Record does not exist."))
        assert api.record("1") is None

    def test_only_live_tunnels_of_exactly_this_name(self, api: ZoneApi, cloudflare: Cloudflare) -> None:
        tunnels = [
            {"id": "1", "name": "agentmail-dev", "remote_config": True, "deleted_at": None},
            {"id": "2", "name": "agentmail-dev-2", "remote_config": True},
            {"id": "3", "name": "agentmail-dev", "deleted_at": "2026-01-01T00:00:00Z"},
            {"id": "4", "name": "agentmail-dev", "config_src": "local"},
        ]
        cloudflare.answers(200, result(tunnels, total_pages=1))
        assert [(tunnel.id, tunnel.remotely_managed) for tunnel in api.tunnels("a", "agentmail-dev")] == [
            ("1", True),
            ("4", False),
        ]


class TestRepetition:
    def test_a_read_goes_on_after_passing_failures(
        self, api: ZoneApi, cloudflare: Cloudflare, waited: list[float]
    ) -> None:
        cloudflare.answers(500, "oops")
        cloudflare.answers(429, refusal(971, "too many"), Retry_After="7")
        cloudflare.answers(200, result({"id": "1"}))
        assert api.record("1") == {"id": "1"}
        assert waited == [1.0, 7.0]

    def test_and_gives_up_in_the_end(self, api: ZoneApi, cloudflare: Cloudflare) -> None:
        for _ in range(ATTEMPTS):
            cloudflare.answers(503, "down")
        with pytest.raises(CloudflareRefusedError, match=r"Cloudflare answered 503 .* while reading the record 1"):
            api.record("1")

    def test_a_write_is_repeated_only_when_nothing_happened(
        self, api: ZoneApi, cloudflare: Cloudflare, waited: list[float]
    ) -> None:
        cloudflare.answers(429, refusal(971, "too many"))
        cloudflare.answers(200, result({"id": "1"}))
        api.set_comment("1", "c")
        cloudflare.answers(500, "oops")
        with pytest.raises(CloudflareRefusedError, match="answered 500"):
            api.set_comment("1", "c")
        assert len(waited) == 1


class TestWriting:
    def test_bodies(self, api: ZoneApi, cloudflare: Cloudflare) -> None:
        fields = {
            "id": "1",
            "name": "a.example",
            "type": "MX",
            "content": "m.example",
            "priority": 0,
            "ttl": 300,
            "comment": None,
            "tags": [],
            "settings": {},
            "meta": {},
            "created_on": "x",
        }
        for _ in range(4):
            cloudflare.answers(200, result({"id": "1"}))
        api.create(fields)
        api.overwrite("1", fields)
        api.set_comment("1", "ours")
        api.delete("1")
        body = {"name": "a.example", "type": "MX", "content": "m.example", "priority": 0, "ttl": 300, "comment": None}
        assert [(method, sent) for method, _, _, sent in cloudflare.asked] == [
            ("POST", body),
            ("PUT", body),
            ("PATCH", {"comment": "ours"}),
            ("DELETE", None),
        ]

    def test_structured_records_are_written_by_their_data(self) -> None:
        caa = {
            "name": "a.example",
            "type": "CAA",
            "content": '0 issue "x"',
            "data": {"flags": 0, "tag": "issue", "value": "x"},
            "ttl": 1,
        }
        assert "content" not in writable(caa)

    def test_deleting_what_is_gone_is_done(self, api: ZoneApi, cloudflare: Cloudflare) -> None:
        cloudflare.answers(404, refusal(81044, "Record does not exist."))
        cloudflare.answers(404, refusal(1003, "Tunnel not found"))
        api.delete("1")
        api.delete_tunnel("a", "t")


class TestRefusals:
    def test_a_rejected_token_says_what_it_must_be_able_to(self, api: ZoneApi, cloudflare: Cloudflare) -> None:
        cloudflare.answers(403, refusal(10000, "Authentication error"))
        with pytest.raises(CloudflareRefusedError) as caught:
            api.records()
        message = str(caught.value)
        assert (
            "Cloudflare answered 403, code 10000 (Authentication error) while listing the zone's records; " in message
        )
        assert "expected a token with Zone.DNS Edit" in message
        assert TOKEN not in message

    def test_an_answer_that_is_not_cloudflare_s(self, api: ZoneApi, cloudflare: Cloudflare) -> None:
        cloudflare.answers(200, "<html>")
        with pytest.raises(CloudflareRefusedError, match="what came is not Cloudflare's JSON"):
            api.records()

    def test_nobody_there(self, waited: list[float]) -> None:
        api = ZoneApi("http://127.0.0.1:9/client/v4", TOKEN, ZONE, wait=waited.append)
        with pytest.raises(
            CloudflareRefusedError,
            match=r"did not answer \(no connection\) while listing the zone's records; check the network",
        ):
            api.records()
        api.close()
        assert len(waited) == ATTEMPTS - 1
