"""What a failed `--replace` leaves to be deleted is deleted by the next `up`, whose live resources may be unchanged by
then: neither created nor updated, only checked. A check therefore claims as they do.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from providers.mailjet.address_book import AddressBookProvider
from providers.mailjet.base_provider import MailjetProvider
from providers.mailjet.event_callback import EventCallbackProvider
from providers.mailjet.inbound_routes import InboundRoutesProvider
from providers.mailjet.plugin import PluginProcess
from providers.mailjet.sender import SenderProvider
from providers.mailjet.sender_domain import SenderDomainProvider
from tests.unit.providers.emulated import DOMAIN, Mailjet

URL = "https://agentmail-dev:s3cretpassword@hooks.agents.example/inbound"
BOX = {"agent-1": f"ana@{DOMAIN}", "agent-2": f"bob@{DOMAIN}"}
ROUTES = {"routes": json.dumps(BOX), "route_url": URL, "take_over": False}
BOOK = {"addresses": json.dumps(BOX), "route_identity": "https://agentmail-dev@hooks.agents.example/inbound"}
CASES: dict[str, tuple[MailjetProvider, dict[str, Any]]] = {
    "routes": (InboundRoutesProvider(), ROUTES),
    "sender domain": (SenderDomainProvider(), {"domain": DOMAIN, "delete_sender": True}),
    "sender": (
        SenderProvider(),
        {"email": f"news@{DOMAIN}", "display_name": "News", "email_type": "bulk", "delete_sender": True},
    ),
    "event callback": (EventCallbackProvider(), {"event_type": "bounce", "url": URL, "version": 2, "take_over": False}),
}


def live(mailjet: Mailjet) -> tuple[list[Any], ...]:
    state = mailjet.control("GET", "state")
    senders = [row for row in state["senders"] if row["Status"] != "Deleted"]
    return senders, state["parseroutes"], state["eventcallbackurls"]


@pytest.fixture
def account(mailjet: Mailjet, process: PluginProcess) -> Mailjet:
    mailjet.switch(route_needs_verified_domain=False)
    return mailjet


@pytest.mark.parametrize(("provider", "inputs"), CASES.values(), ids=CASES.keys())
def test_an_up_that_only_checks_keeps_what_is_wanted(
    account: Mailjet, next_run: Callable[[], Any], provider: MailjetProvider, inputs: dict[str, Any]
) -> None:
    made = provider.create(dict(inputs))
    before = live(account)
    assert any(before)
    next_run()
    assert not provider.check(dict(inputs), dict(inputs)).failures
    provider.delete("replaced", dict(made.outs or {}))
    assert live(account) == before


@pytest.mark.parametrize(("provider", "inputs"), CASES.values(), ids=CASES.keys())
def test_a_destroy_checks_nothing_and_deletes(
    account: Mailjet, next_run: Callable[[], Any], provider: MailjetProvider, inputs: dict[str, Any]
) -> None:
    made = provider.create(dict(inputs))
    next_run()
    provider.read("id", dict(made.outs or {}))
    provider.delete("id", dict(made.outs or {}))
    assert live(account) == ([], [], [])


def test_the_pending_deletion_of_a_book_leaves_the_routes_that_its_successor_lists(
    account: Mailjet, next_run: Callable[[], Any]
) -> None:
    InboundRoutesProvider().create(dict(ROUTES))
    made = AddressBookProvider().create(dict(BOOK))
    next_run()
    assert not AddressBookProvider().check(dict(BOOK), dict(BOOK)).failures
    AddressBookProvider().delete("replaced", dict(made.outs or {}))
    assert account.routes() == dict.fromkeys(BOX.values(), URL)


def test_an_address_that_left_is_still_removed(account: Mailjet, next_run: Callable[[], Any]) -> None:
    made = InboundRoutesProvider().create(dict(ROUTES))
    next_run()
    fewer = {**ROUTES, "routes": json.dumps({"agent-1": BOX["agent-1"]})}
    InboundRoutesProvider().check(dict(ROUTES), dict(fewer))
    InboundRoutesProvider().delete("replaced", dict(made.outs or {}))
    assert account.routes() == {BOX["agent-1"]: URL}
