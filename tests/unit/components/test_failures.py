"""Cloudflare's refusals of a write as sentences: what, why, and what to do."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clients.cloudflare.client import CloudflareError
from clients.cloudflare.refusals import write_sentence

URL = "https://api.cloudflare.com/client/v4/zones/0f/dns_records"
RECORD = {"zoneId": "0f", "name": "dev.agents.example", "type": "MX", "content": "parse.mailjet.com"}
TUNNEL = {"accountId": "00", "name": "agentmail-prod"}


def answered(status: str, code: int, message: str) -> str:
    """The plugin's own text."""
    body = f'{{"result":null,"success":false,"errors":[{{"code":{code},"message":"{message}"}}],"messages":[]}}'
    return f'failed to make http request: POST "{URL}": {status} {body}'


def sentence(
    text: str,
    operation: str = "create",
    inputs: Mapping[str, object] = RECORD,
    resource: str = "mail-mx-parse.mailjet.com",
) -> str:
    return write_sentence(text, operation=operation, resource=resource, inputs=inputs, stack="prod")


@pytest.mark.parametrize(
    ("status", "code", "refused"),
    [
        ("403 Forbidden", 10000, True),
        ("403 Forbidden", 9109, True),
        ("400 Bad Request", 6003, True),
        ("400 Bad Request", 6111, True),
        ("400 Bad Request", 1000, True),
        ("401 Unauthorized", 1001, True),
        ("500 Internal Server Error", 1000, False),
        ("400 Bad Request", 81057, False),
    ],
)
def test_the_token_is_blamed_for_its_own_refusals_only(status: str, code: int, refused: bool) -> None:
    """By reads and by writes alike."""
    error = CloudflareError("listing", status=int(status[:3]), code=code, said="")
    assert error.about_token is refused
    assert ("does not let this API token" in sentence(answered(status, code, "told"))) is refused


@pytest.mark.parametrize("operation", ["create", "update", "delete"])
def test_a_token_without_the_right_is_told_which_one(operation: str) -> None:
    said = sentence(answered("403 Forbidden", 10000, "Authentication error"), operation)
    assert said.startswith(
        f"Cloudflare does not let this API token {operation} mail-mx-parse.mailjet.com (dev.agents.example MX), code 10000"
    )
    assert "the permission Zone.DNS Edit for this zone" in said
    assert said.endswith("./mail apply prod")
    assert "{" not in said


def test_of_a_tunnel_it_is_another_right() -> None:
    said = sentence(answered("403 Forbidden", 10000, "Authentication error"), inputs=TUNNEL, resource="api-tunnel")
    assert "api-tunnel (agentmail-prod)" in said
    assert "Account.Cloudflare Tunnel Edit" in said


@pytest.mark.parametrize(
    ("code", "found"),
    [
        (81045, "the zone has as many records as its plan allows; delete records that nobody needs"),
        (81053, "an A, AAAA or CNAME record stands at that name"),
        (89018, "NS records delegate that name, or one above it"),
        (81058, "take it into the state with: ./mail adopt prod"),
        (81057, "take it into the state with: ./mail adopt prod"),
    ],
)
def test_what_stands_in_the_way_is_named(code: int, found: str) -> None:
    said = sentence(answered("400 Bad Request", code, "whatever"))
    assert f"code {code}: " in said
    assert found in said
    assert "whatever" not in said


def test_a_connected_tunnel() -> None:
    said = sentence(answered("400 Bad Request", 1022, "x"), "delete", TUNNEL, "api-tunnel")
    assert "a cloudflared is still connected to the tunnel; stop the cloudflared beside the platform" in said


def test_a_reason_that_nobody_has_met_is_quoted_without_its_json() -> None:
    said = sentence(answered("400 Bad Request", 9999, 'Something \\\\"new\\\\"'))
    assert "Something" in said
    assert ", code 9999; expected it to; mend what it names" in said
    assert "errors" not in said


@pytest.mark.parametrize(
    "text",
    [
        f'failed to make http request: POST "{URL}": dial tcp 127.0.0.1:9: connect: connection refused',
        'Post "https://api.cloudflare.com": EOF',
        "context deadline exceeded (Client.Timeout exceeded while awaiting headers)",
    ],
)
def test_no_answer_is_no_refusal(text: str) -> None:
    assert "gave no answer when asked to create mail-mx-parse.mailjet.com" in sentence(text)


@pytest.mark.parametrize("status", ["429 Too Many Requests", "503 Service Unavailable", "500 Internal Server Error"])
def test_what_passes_is_tried_again_by_a_person(status: str) -> None:
    assert "for the moment, after ten repetitions" in sentence(f'failed: POST "{URL}": {status} <html>')


def test_values_that_are_not_known_stay_out() -> None:
    assert "(dev" not in sentence("x", inputs={**RECORD, "name": object()})
    assert sentence("").startswith("Cloudflare did not create")


@given(st.text())
def test_cloudflares_own_words_are_told_as_it_has_written_them(words: str) -> None:
    """Whatever JSON escapes of them, quotes above all."""
    body = json.dumps({"success": False, "errors": [{"code": 4242, "message": words}], "messages": []})
    said = sentence(f'failed to make http request: POST "{URL}": 400 Bad Request {body}')
    assert (f"said {words!r}, code 4242" if words else "said 4242;") in said
