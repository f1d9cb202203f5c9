"""The edge: from a Host header through a tunnel's ingress to a service."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response, StreamingResponse
from starlette.types import Message

from emulators.cloudflare import ACCOUNT_ID
from emulators.cloudflare.edge import Edge, hostname_of
from emulators.serving import ServerThread
from tests.unit.emulators.cloudflare_fixtures import EmulatedCloudflare, running

HOST = "api-dev.agents.example"


async def origin(scope: Any, receive: Any, send: Any) -> None:
    """A service that tells what reached it."""
    request = Request(scope, receive)
    path = request.url.path
    response: Response
    if path == "/stream":

        async def pieces() -> AsyncIterator[bytes]:
            for number in range(3):
                yield f"piece {number};".encode()

        response = StreamingResponse(pieces(), media_type="text/plain")
    elif path == "/redirect":
        response = RedirectResponse("https://api-dev.agents.example/elsewhere")
    elif path == "/cookies":
        response = Response(status_code=204)
        response.headers.append("set-cookie", "a=1")
        response.headers.append("set-cookie", "b=2")
    else:
        body = await request.body()
        response = JSONResponse(
            {
                "method": request.method,
                "path": scope["raw_path"].decode(),
                "query": scope["query_string"].decode(),
                "headers": [[name.decode(), value.decode()] for name, value in scope["headers"]],
                "length": len(body),
                "body": body[:100].decode("latin-1"),
            },
            status_code=418 if path == "/teapot" else 200,
        )
    await response(scope, receive, send)


@pytest.fixture(scope="module")
def service() -> Iterator[str]:
    with ServerThread(origin) as server:
        yield server.url


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmulatedCloudflare]:
    with running(tmp_path_factory.mktemp("cloudflare")) as world:
        yield world


@pytest.fixture(scope="module")
def edge(shared: EmulatedCloudflare) -> Iterator[httpx.Client]:
    """A client of the edge; the Host header says whose site it wants."""
    with ServerThread(shared.emulator.edge_app) as server, httpx.Client(base_url=server.url, trust_env=False) as client:
        yield client


@pytest.fixture
def world(shared: EmulatedCloudflare) -> EmulatedCloudflare:
    shared.emulator.reset()
    return shared


def through(edge: httpx.Client, path: str = "/", host: str = HOST, method: str = "GET", **more: Any) -> httpx.Response:
    headers = {"Host": host, **more.pop("headers", {})}
    return edge.request(method, path, headers=headers, **more)


def reached(answer: httpx.Response) -> dict[str, Any]:
    assert answer.status_code in {200, 418}, answer.text
    seen: dict[str, Any] = answer.json()
    return seen


class TestForwarding:
    def test_method_path_query_body_and_headers_arrive(
        self, world: EmulatedCloudflare, edge: httpx.Client, service: str
    ) -> None:
        world.tunnel(HOST, service)
        answer = through(
            edge,
            "/api/w%2Fhooks?x=1&y=%20",
            method="POST",
            content=b"payload",
            headers={"Authorization": "Basic dXNlcjpwYXNz", "X-Forwarded-For": "203.0.113.9", "CF-Ray": "forged"},
        )
        seen = reached(answer)
        headers = dict(seen["headers"])
        assert (seen["method"], seen["path"], seen["query"]) == ("POST", "/api/w%2Fhooks", "x=1&y=%20")
        assert (seen["body"], headers["content-length"]) == ("payload", "7")
        assert headers["host"] == HOST
        assert headers["authorization"] == "Basic dXNlcjpwYXNz"
        assert headers["cf-connecting-ip"] == "127.0.0.1"
        assert headers["x-forwarded-for"] == "203.0.113.9, 127.0.0.1"
        assert headers["x-forwarded-proto"] == "https"
        assert headers["cf-ray"] == answer.headers["cf-ray"] != "forged"
        assert headers["cdn-loop"].startswith("cloudflare")
        assert answer.headers["server"] == "cloudflare"

    def test_a_streamed_body_arrives_whole(self, world: EmulatedCloudflare, edge: httpx.Client, service: str) -> None:
        world.tunnel(HOST, service)

        def pieces() -> Iterator[bytes]:
            for _ in range(64):
                yield b"x" * 65536

        assert reached(through(edge, method="POST", content=pieces()))["length"] == 64 * 65536

    def test_answers_come_back_as_they_are(self, world: EmulatedCloudflare, edge: httpx.Client, service: str) -> None:
        world.tunnel(HOST, service)
        assert through(edge, "/stream").text == "piece 0;piece 1;piece 2;"
        assert through(edge, "/teapot").status_code == 418
        redirect = through(edge, "/redirect")
        assert (redirect.status_code, redirect.headers["location"]) == (307, "https://api-dev.agents.example/elsewhere")
        assert through(edge, "/cookies").headers.get_list("set-cookie") == ["a=1", "b=2"]
        assert through(edge, method="HEAD").status_code == 200

    def test_case_and_port_of_the_host_do_not_matter(
        self, world: EmulatedCloudflare, edge: httpx.Client, service: str
    ) -> None:
        world.tunnel(HOST, service)
        for host in ("API-dev.agents.example", f"{HOST}:443", f"{HOST}."):
            assert reached(through(edge, host=host))


class TestRules:
    def ingress(self, world: EmulatedCloudflare, *rules: Mapping[str, object]) -> None:
        tunnel_id = world.tunnel(HOST, "http://127.0.0.1:1")
        path = f"/accounts/{ACCOUNT_ID}/cfd_tunnel/{tunnel_id}/configurations"
        answer = world.call("PUT", path, {"config": {"ingress": list(rules)}})
        assert answer.status_code == 200, answer.text

    def test_hostname_path_and_last_rule(self, world: EmulatedCloudflare, edge: httpx.Client, service: str) -> None:
        self.ingress(
            world,
            {"hostname": HOST, "path": "^/api/", "service": service},
            {"hostname": "*.agents.example", "path": "/health$", "service": "http_status:204"},
            {"service": "http_status:404"},
        )
        assert through(edge, "/api/x").status_code == 200
        assert through(edge, "/deep/health").status_code == 204
        assert through(edge, "/other").status_code == 404
        assert world.emulator.tunnel_for(HOST, "/api/x") == service
        assert world.emulator.tunnel_for(HOST) == "http_status:404"

    def test_host_header_of_the_rule(self, world: EmulatedCloudflare, edge: httpx.Client, service: str) -> None:
        rule = {"service": service, "originRequest": {"httpHostHeader": "inner.example", "connectTimeout": 1}}
        self.ingress(world, rule)
        assert dict(reached(through(edge))["headers"])["host"] == "inner.example"

    def test_a_service_that_is_not_http(self, world: EmulatedCloudflare, edge: httpx.Client) -> None:
        self.ingress(world, {"service": "ssh://127.0.0.1:22"})
        assert through(edge).status_code == 502

    def test_a_wildcard_record_reaches_the_tunnel(
        self, world: EmulatedCloudflare, edge: httpx.Client, service: str
    ) -> None:
        tunnel_id = world.tunnel("*.agents.example", service)
        assert reached(through(edge, host="anything.agents.example"))
        assert world.emulator.tunnel_for("anything.agents.example") == service
        world.emulator.account.delete_tunnel(tunnel_id)
        assert world.emulator.tunnel_for("anything.agents.example") is None


class TestErrors:
    def test_a_host_without_a_certificate(self, world: EmulatedCloudflare, edge: httpx.Client, service: str) -> None:
        deep = HOST.replace(".", ".deep.", 1)
        world.tunnel(deep, service)
        assert through(edge, host=deep).status_code == 525
        assert world.emulator.tunnel_for(deep) is None

    def test_an_unknown_host(self, world: EmulatedCloudflare, edge: httpx.Client) -> None:
        for host in ("www.elsewhere.test", "none.agents.example", "agents.example"):
            answer = through(edge, host=host)
            assert (answer.status_code, answer.text) == (409, "error code: 1001")
            assert world.emulator.tunnel_for(host) is None

    def test_an_alias_that_is_not_proxied(self, world: EmulatedCloudflare, edge: httpx.Client, service: str) -> None:
        tunnel_id = world.tunnel("other.agents.example", service)
        world.create(type="CNAME", name=HOST, content=f"{tunnel_id}.cfargotunnel.com", proxied=False)
        assert through(edge).status_code == 409
        assert world.emulator.tunnel_for(HOST) is None

    def test_a_tunnel_that_does_not_exist(self, world: EmulatedCloudflare, edge: httpx.Client, service: str) -> None:
        tunnel_id = world.tunnel(HOST, service)
        assert world.emulator.tunnel_for(HOST) == service
        world.emulator.account.delete_tunnel(tunnel_id)
        answer = through(edge)
        assert (answer.status_code, answer.text) == (530, "error code: 1033")
        assert world.emulator.tunnel_for(HOST) is None

    def test_a_tunnel_without_rules(self, world: EmulatedCloudflare, edge: httpx.Client) -> None:
        made = world.call("POST", f"/accounts/{ACCOUNT_ID}/cfd_tunnel", {"name": "bare"}).json()["result"]
        world.create(type="CNAME", name=HOST, content=f"{made['id']}.cfargotunnel.com", proxied=True)
        assert through(edge).status_code == 503

    def test_a_service_that_does_not_answer(self, world: EmulatedCloudflare, edge: httpx.Client) -> None:
        with ServerThread(origin) as stopped:
            url = stopped.url
        world.tunnel(HOST, url)
        answer = through(edge, method="POST", content=b"x")
        assert answer.status_code == 502
        assert url in answer.text

    def test_a_service_that_breaks_off_is_tried_no_second_time(
        self, world: EmulatedCloudflare, edge: httpx.Client
    ) -> None:
        calls = []

        async def breaking(scope: Any, receive: Any, send: Any) -> None:
            calls.append(scope["path"])
            raise ConnectionAbortedError

        with ServerThread(breaking) as server:
            world.tunnel(HOST, server.url)
            assert through(edge, "/once", method="POST", content=b"x").status_code == 500
        assert calls == ["/once"]

    def test_an_answer_that_breaks_off_is_seen_to_break_off(
        self, world: EmulatedCloudflare, edge: httpx.Client
    ) -> None:
        async def breaking(scope: Any, receive: Any, send: Any) -> None:
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"100")]})
            await send({"type": "http.response.body", "body": b"half", "more_body": True})
            raise ConnectionAbortedError

        with ServerThread(breaking) as server:
            world.tunnel(HOST, server.url)
            with pytest.raises(httpx.RemoteProtocolError):
                through(edge)

    def test_an_origin_outside_of_a_tunnel(self, world: EmulatedCloudflare, edge: httpx.Client) -> None:
        world.create(type="A", name=HOST, content="8.8.8.8", proxied=True)
        assert through(edge).status_code == 523
        assert world.emulator.tunnel_for(HOST) is None

    def test_a_body_beyond_the_limit(self, world: EmulatedCloudflare, service: str) -> None:
        world.tunnel(HOST, service)
        small = Edge(world.emulator.edge_app._route, max_body=1000)
        with ServerThread(small) as server, httpx.Client(base_url=server.url, trust_env=False) as client:
            assert through(client, method="POST", content=b"x" * 1000).status_code == 200
            for content in (b"x" * 1001, iter([b"x" * 600, b"x" * 600])):
                answer = through(client, method="POST", content=content)
                assert (answer.status_code, answer.text) == (413, "error code: 413")


class TestApplication:
    def test_lifespan_and_web_sockets(self, world: EmulatedCloudflare) -> None:
        incoming: Iterator[Message] = iter([{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}])
        outgoing: list[str] = []

        async def receive() -> Message:
            return next(incoming)

        async def send(message: Message) -> None:
            outgoing.append(message["type"])

        async def run() -> None:
            edge = Edge(world.emulator.edge_app._route)
            await edge({"type": "lifespan"}, receive, send)
            await edge({"type": "websocket"}, receive, send)

        asyncio.run(run())
        assert outgoing == ["lifespan.startup.complete", "lifespan.shutdown.complete", "websocket.close"]

    @pytest.mark.parametrize(
        ("header", "host"),
        [("A.example:443", "a.example"), ("a.example.", "a.example"), ("a.example", "a.example"), ("", "")],
    )
    def test_hostname_of_a_header(self, header: str, host: str) -> None:
        assert hostname_of(header) == host
