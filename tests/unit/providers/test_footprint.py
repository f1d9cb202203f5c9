"""The footprint: what a killed run may have made before the engine had written it down."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from clients.mailjet.client import Credentials
from clients.mailjet.errors import KeyRefusedInWriteError
from providers.mailjet import plugin
from providers.mailjet.event_callback import EventCallbackProvider
from providers.mailjet.footprint import FootprintProvider
from providers.mailjet.plugin import PluginProcess
from providers.mailjet.sender import SenderProvider
from providers.mailjet.sender_domain import SenderDomainProvider
from tests.unit.providers.emulated import DOMAIN, Mailjet, RecordingEngine, outs_of, settings_for

URL = "https://agentmail-dev:s3cretpassword@hooks.agents.example/events"
IDENTITY = "https://agentmail-dev@hooks.agents.example/events"
THEIRS = "https://crm:theirpassword@crm.corp.example/mailjet"
WHOLE, NAMED = f"*@{DOMAIN}", f"news@{DOMAIN}"

provider = FootprintProvider()
pytestmark = pytest.mark.usefixtures("process")


def props(**changes: Any) -> dict[str, Any]:
    return {
        "senders": [WHOLE, NAMED],
        "delete_senders": True,
        "callbacks": ["bounce", "spam"],
        "callback_identity": IDENTITY,
        **changes,
    }


def make_everything() -> None:
    """What comes after the footprint, in a run that is then killed before it is written down."""
    SenderDomainProvider().create({"domain": DOMAIN, "delete_sender": True})
    SenderProvider().create({"email": NAMED, "display_name": "News", "email_type": "bulk", "delete_sender": True})
    for event in ("bounce", "spam"):
        EventCallbackProvider().create({"event_type": event, "url": URL, "version": 2, "take_over": False})


def live(mailjet: Mailjet) -> tuple[set[str], set[str]]:
    """Addresses of senders, and event types that are reported."""
    state = mailjet.control("GET", "state")
    senders = {row["Email"] for row in state["senders"] if row["Status"] != "Deleted"}
    return senders, {row["EventType"] for row in state["eventcallbackurls"]}


def test_making_it_changes_nothing(mailjet: Mailjet) -> None:
    provider.create(props())
    assert mailjet.writes() == []


def test_making_it_needs_accepted_credentials(mailjet: Mailjet) -> None:
    """So that after wrong ones nothing is in the state, and a destroy needs none."""
    wrong = Credentials(api_key="0" * 32, api_secret="1" * 32)
    running = PluginProcess(replace(settings_for(mailjet.url), credentials=wrong), engine=RecordingEngine())
    before = plugin.install(running)
    with pytest.raises(KeyRefusedInWriteError, match="rejected the API key or its secret"):
        provider.create(props())
    plugin.install(before)
    running.close()


def test_destroy_after_a_kill_removes_what_no_state_knows(mailjet: Mailjet, next_run: Any) -> None:
    outs = outs_of(provider.create(props()))
    make_everything()
    next_run()
    provider.delete("id", outs)
    assert live(mailjet) == (set(), set())


def test_what_was_there_before_stays(mailjet: Mailjet, next_run: Any) -> None:
    """A sender bears no owner's mark: one that stood there before is not known to be left over."""
    mailjet.api("POST", "/v3/REST/sender", {"Email": WHOLE})
    mailjet.api("POST", "/v3/REST/eventcallbackurl", {"EventType": "bounce", "Url": THEIRS})
    outs = outs_of(provider.create(props()))
    next_run()
    provider.delete("id", outs)
    assert live(mailjet) == ({WHOLE}, {"bounce"})
    assert mailjet.writes() == []


def test_a_sender_that_was_deleted_before_counts_as_absent(mailjet: Mailjet, next_run: Any) -> None:
    mailjet.api("POST", "/v3/REST/sender", {"Email": WHOLE})
    mailjet.api("DELETE", f"/v3/REST/sender/{WHOLE}")
    outs = outs_of(provider.create(props()))
    make_everything()
    next_run()
    provider.delete("id", outs)
    assert live(mailjet) == (set(), set())


def test_senders_stay_unless_the_stack_says_so(mailjet: Mailjet, next_run: Any) -> None:
    outs = outs_of(provider.create(props(delete_senders=False)))
    make_everything()
    next_run()
    provider.delete("id", outs)
    assert live(mailjet) == ({WHOLE, NAMED}, set())


def test_what_this_run_declares_stays(mailjet: Mailjet, next_run: Any) -> None:
    """A footprint that is replaced goes at the end of the run, when its successor has long claimed what it names."""
    outs = outs_of(provider.create(props()))
    make_everything()
    next_run()
    fewer = props(senders=[WHOLE], callbacks=["bounce"])
    assert not provider.check(props(), dict(fewer)).failures
    provider.create(dict(fewer))
    provider.delete("id", outs)
    assert live(mailjet) == ({WHOLE}, {"bounce"})


def test_more_is_an_update_and_remembers_what_was_absent_at_first(mailjet: Mailjet, next_run: Any) -> None:
    first = props(senders=[WHOLE], callbacks=[])
    outs = outs_of(provider.create(dict(first)))
    assert provider.diff("id", outs, dict(first)).changes is False
    make_everything()
    mailjet.api("DELETE", f"/v3/REST/sender/{NAMED}")
    next_run()
    diff = provider.diff("id", outs, props())
    assert (diff.changes, diff.replaces) == (True, [])
    outs = outs_of(provider.update("id", outs, props()))
    assert outs["absent"] == [WHOLE, NAMED]
    next_run()
    provider.delete("id", outs)
    assert live(mailjet) == (set(), set())


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ({"senders": [WHOLE]}, "senders"),
        ({"callbacks": ["spam"]}, "callbacks"),
        ({"callback_identity": "https://agentmail-dev@elsewhere.example/events"}, "callback_identity"),
    ],
)
def test_less_replaces_so_that_the_rest_goes_last(change: dict[str, Any], key: str) -> None:
    outs = outs_of(provider.create(props()))
    assert provider.diff("id", outs, props(**change)).replaces == [key]


def test_refresh_asks_nobody(mailjet: Mailjet, next_run: Any) -> None:
    outs = outs_of(provider.create(props()))
    next_run()
    assert provider.read("id", dict(outs)).outs == outs
    assert mailjet.requests() == []
