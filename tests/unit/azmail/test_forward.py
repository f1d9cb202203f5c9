"""Forwarding to an endpoint that reads its token where the platform's does."""

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests

from azmail import BasicAuth, Forwarder, ForwardError, WebhookConfigError, create_app, parse_inbound
from tests.unit.azmail.conftest import ADDRESS_A, INBOUND_SECRET
from tests.unit.azmail.servers import Answer, HttpServer, Request, asgi_server, http_server

PATH = "/api/webhooks/mailjet/inbound"
PAYLOADS = Path(__file__).parent / "payloads"


def platform(secret: str) -> Any:
    """The platform's endpoint: the token is the first non-blank of four top-level keys, nothing else is read."""

    def answer(request: Request) -> Answer:
        body = request.json
        tokens = (body.get(key) for key in ("token", "Token", "x-mailjet-token", "X-Mailjet-Token"))
        token = next((value.strip() for value in tokens if isinstance(value, str) and value.strip()), None)
        if secret and token != secret:
            return Answer(401, {"detail": "invalid or missing webhook token"})
        return Answer(200, {"status": "accepted", "subject": body.get("Subject")})

    return answer


@contextmanager
def between(server: HttpServer, token: str = INBOUND_SECRET) -> Iterator[str]:
    forwarder = Forwarder(server.url + PATH, token)
    app = create_app(lambda address: address, on_mail=forwarder, auth=BasicAuth(INBOUND_SECRET))
    with asgi_server(app) as url:
        yield url + PATH
    forwarder.close()


def deliver(url: str, body: bytes, password: str = INBOUND_SECRET) -> requests.Response:
    return requests.post(url, data=body, auth=("agentmail-dev", password), timeout=20)


@pytest.mark.parametrize("file", sorted(PAYLOADS.glob("*.json")), ids=lambda file: file.stem)
def test_a_genuine_delivery_passes_todays_platform_with_a_secret(http: HttpServer, file: Path) -> None:
    http.answer = platform(INBOUND_SECRET)
    with between(http) as url:
        assert deliver(url, file.read_bytes()).status_code == 200
    (request,) = http.requests
    assert request.path == PATH
    assert request.json == json.loads(file.read_bytes()) | {"token": INBOUND_SECRET}
    assert "Authorization" not in request.headers


def test_without_the_forwarder_the_platform_refuses_it(http: HttpServer) -> None:
    http.answer = platform(INBOUND_SECRET)
    assert deliver(http.url + PATH, (PAYLOADS / "documented.json").read_bytes()).status_code == 401


def test_a_wrong_password_is_not_forwarded(http: HttpServer) -> None:
    with between(http) as url:
        assert deliver(url, (PAYLOADS / "documented.json").read_bytes(), "wrong").status_code == 401
    assert http.requests == []


def test_tokens_that_came_along_do_not_count(http: HttpServer) -> None:
    http.answer = platform(INBOUND_SECRET)
    body = {"Recipient": ADDRESS_A, "Subject": "\ud800", "Token": "x", "X-Mailjet-Token": "y", "token": "z"}
    with between(http) as url:
        assert deliver(url, json.dumps(body).encode()).status_code == 200
    assert http.requests[0].json == {"Recipient": ADDRESS_A, "Subject": "\ud800", "token": INBOUND_SECRET}


def test_without_a_token_nothing_is_added(http: HttpServer) -> None:
    http.answer = platform("")
    with between(http, token="") as url:
        assert deliver(url, (PAYLOADS / "documented.json").read_bytes()).status_code == 200
    assert "token" not in http.requests[0].json


@pytest.mark.parametrize("answer", [Answer(500), Answer(401), Answer(302, "", {"Location": "/x"}), Answer(reset=True)])
def test_what_the_platform_does_not_accept_comes_again(
    http: HttpServer, answer: Answer, caplog: pytest.LogCaptureFixture
) -> None:
    http.answers.append(answer)
    body = (PAYLOADS / "documented.json").read_bytes()
    with caplog.at_level(logging.WARNING), between(http) as url:
        assert deliver(url, body).status_code == 503
        assert deliver(url, body).status_code == 200
        assert deliver(url, body).json() == {"status": "duplicate"}
    assert len(http.requests) == 2
    assert "forwarding to" in caplog.text
    assert INBOUND_SECRET not in caplog.text


def test_a_platform_that_is_down() -> None:
    with http_server() as gone:
        url = gone.url + PATH
    forwarder = Forwarder(url, INBOUND_SECRET)
    with pytest.raises(ForwardError, match=r"ConnectionError.*check that the platform runs"):
        forwarder(parse_inbound({"Recipient": ADDRESS_A}), "agent")
    forwarder.close()
    assert INBOUND_SECRET not in repr(forwarder)


@pytest.mark.parametrize("url", ["", "api:8000/x", "ftp://api/x", "http://api:8000", "http://u:hunter2@api/x"])
def test_wrong_urls(url: str) -> None:
    with pytest.raises(WebhookConfigError) as caught:
        Forwarder(url, "t")
    assert "hunter2" not in str(caught.value)
