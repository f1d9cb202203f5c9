"""What a program declares: the inputs that reach the engine, and which of them are secret."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pulumi
import pytest
from pulumi.dynamic import Resource

from providers.mailjet.address_book import AddressBook, AddressBookArgs
from providers.mailjet.base_provider import MailjetProvider
from providers.mailjet.domain_verification import DomainVerification, DomainVerificationArgs
from providers.mailjet.event_callback import EventCallback, EventCallbackArgs
from providers.mailjet.inbound_routes import InboundRoutes, InboundRoutesArgs
from providers.mailjet.sender import Sender, SenderArgs
from providers.mailjet.sender_domain import SenderDomain, SenderDomainArgs

URL = "https://tag:s3cretpassword@hooks.agents.example/in"
IDENTITY = "https://tag@hooks.agents.example/in"


class Declared:
    """The last resource that a program declared."""

    provider: MailjetProvider
    name: str
    props: dict[str, Any]
    opts: pulumi.ResourceOptions | None


@pytest.fixture
def declared(monkeypatch: pytest.MonkeyPatch) -> Declared:
    seen = Declared()

    def keep(
        _self: object, provider: MailjetProvider, name: str, props: dict[str, Any], opts: pulumi.ResourceOptions | None
    ) -> None:
        seen.provider, seen.name, seen.props, seen.opts = provider, name, props, opts

    monkeypatch.setattr(Resource, "__init__", keep)
    return seen


def secrets_of(declared: Declared, declare: Callable[[], object]) -> set[str]:
    """Keys of the inputs that `declare` marks secret. In a thread, whose event loop concerns no other test."""

    async def ask() -> set[str]:
        declare()
        outputs = {key: value for key, value in declared.props.items() if isinstance(value, pulumi.Output)}
        return {key for key, value in outputs.items() if await value.is_secret()}

    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, ask()).result(10)


def test_sender_domain(declared: Declared) -> None:
    SenderDomain("mail-sender", SenderDomainArgs(domain="agents.example"))
    assert type(declared.provider).__name__ == "SenderDomainProvider"
    known = {key: value for key, value in declared.props.items() if value is not None}
    assert known == {"domain": "agents.example", "delete_sender": False}
    assert declared.props.keys() - known.keys() == {
        "sender_id",
        "dns_id",
        "dkim_name",
        "dkim_value",
        "spf_value",
        "ownership_name",
        "ownership_token",
    }


def test_sender(declared: Declared) -> None:
    Sender("notify", SenderArgs(email="notify@agents.example", display_name="Azt3kNet"))
    known = {key: value for key, value in declared.props.items() if value is not None}
    assert known == {
        "email": "notify@agents.example",
        "display_name": "Azt3kNet",
        "email_type": "transactional",
        "delete_sender": False,
    }


def test_domain_verification(declared: Declared) -> None:
    DomainVerification(
        "mail-verification",
        DomainVerificationArgs(domain="agents.example", sender_id=1, dns_id=2, records="[]"),
        pulumi.ResourceOptions(protect=True),
    )
    assert (declared.props["mode"], declared.props["timeout_seconds"]) == ("require", 600)
    assert {"dkim_status", "spf_status", "ownership_status"} <= declared.props.keys()
    assert declared.opts is not None
    assert declared.opts.protect is True


def test_the_url_of_routes_is_always_secret(declared: Declared) -> None:
    args = InboundRoutesArgs(routes="{}", route_url=URL)
    assert secrets_of(declared, lambda: InboundRoutes("mailboxes-routes-00", args)) == {"route_url"}
    assert declared.props.keys() == {"routes", "route_url", "take_over"}


def test_the_url_of_a_callback_is_always_secret(declared: Declared) -> None:
    args = EventCallbackArgs(event_type="bounce", url=URL)
    assert secrets_of(declared, lambda: EventCallback("bounce", args)) == {"url"}
    assert declared.props["version"] == 2


def test_the_book_hides_its_own_diff(declared: Declared) -> None:
    """The buckets show the same change, agent by agent."""
    AddressBook(
        "mailboxes-book",
        AddressBookArgs(addresses="{}", route_identity=IDENTITY),
        pulumi.ResourceOptions(protect=True),
    )
    assert declared.opts is not None
    assert (declared.opts.hide_diffs, declared.opts.protect) == (["addresses", "held", "digest", "account"], True)
    assert declared.props == {
        "addresses": "{}",
        "route_identity": IDENTITY,
        "allow_mass_removal": "",
        "removal_percent": 30,
        "removal_count": 10,
        "ahead": None,
        "policies": None,
    }
