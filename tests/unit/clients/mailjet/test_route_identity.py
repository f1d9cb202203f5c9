"""Whose a route is, and what of its URL may be shown."""

from __future__ import annotations

import pytest

from clients.mailjet.errors import InvalidRouteUrlError
from clients.mailjet.redaction import redact
from clients.mailjet.route_identity import (
    RouteIdentity,
    lacks_only_the_password_of,
    learn_password,
    require_route_url,
    shown,
)

URL = "https://agentmail-dev:s3cretpassword@hooks.agents.example/api/inbound"


@pytest.mark.parametrize(
    "same",
    [
        "https://agentmail-dev:0ther@hooks.agents.example/api/inbound",
        "https://agentmail-dev@hooks.agents.example/api/inbound",
        "https://agentmail-dev:x@HOOKS.agents.example:443/api/inbound",
        "http://agentmail-dev:x@hooks.agents.example/api/inbound",
        "https://agentmail%2Ddev:x@hooks.agents.example./api/inbound?v=2",
    ],
)
def test_the_same_stack(same: str) -> None:
    assert RouteIdentity.of(same) == RouteIdentity.of(URL)


@pytest.mark.parametrize(
    "other",
    [
        "https://agentmail-prod:s3cretpassword@hooks.agents.example/api/inbound",
        "https://agentmail-dev:s3cretpassword@hooks2.agents.example/api/inbound",
        "https://agentmail-dev:s3cretpassword@hooks.agents.example/api/inbound2",
        "https://agentmail-dev:s3cretpassword@hooks.agents.example:8443/api/inbound",
        "https://AGENTMAIL-DEV:s3cretpassword@hooks.agents.example/api/inbound",
        "https://hooks.agents.example/api/inbound",
    ],
)
def test_somebody_else(other: str) -> None:
    assert RouteIdentity.of(other) != RouteIdentity.of(URL)


@pytest.mark.parametrize("text", ["", "hooks.agents.example", "mailto:a@b.example", "https://", "https://h:99999/p"])
def test_no_url_has_no_owner(text: str) -> None:
    assert RouteIdentity.of(text) is None


def test_what_is_shown_has_no_password() -> None:
    assert shown(URL) == "https://agentmail-dev@hooks.agents.example/api/inbound"
    assert shown("s3cretpassword") == "[secret]"


def test_a_learnt_password_is_redacted_alone_and_as_basic_credentials() -> None:
    learn_password(URL)
    assert redact("s3cretpassword") == "[secret]"
    assert redact("Basic YWdlbnRtYWlsLWRldjpzM2NyZXRwYXNzd29yZA==") == "Basic [secret]"


def test_a_usable_url() -> None:
    assert require_route_url(URL) == RouteIdentity("hooks.agents.example", "/api/inbound", "agentmail-dev")


@pytest.mark.parametrize("password", ["per%25cent", "ha%23sh", "%41bc"])
def test_passwords_that_mailjet_cannot_send(password: str) -> None:
    with pytest.raises(InvalidRouteUrlError, match="letters, digits") as caught:
        require_route_url(f"https://tag:{password}@hooks.agents.example/in")
    assert password not in str(caught.value)


KNOWN = "https://tag:secret@api.example/in"


@pytest.mark.parametrize(
    "url", ["https://tag:@api.example/in", "https://tag@api.example/in", "https://tag:@API.example:443/in"]
)
def test_a_url_without_its_password_is_the_same(url: str) -> None:
    assert lacks_only_the_password_of(url, KNOWN)


@pytest.mark.parametrize(
    "url",
    [KNOWN, "https://tag:other@api.example/in", "https://other:@api.example/in", "https://tag:@api.example/out",
     "https://tag:@other.example/in", "http://tag:@api.example/in", "https://tag:@api.example/in?x=1",
     "https://tag:@api.example:8443/in", "", "tag"],
)  # fmt: skip
def test_any_other_url_is_another(url: str) -> None:
    assert not lacks_only_the_password_of(url, KNOWN)
