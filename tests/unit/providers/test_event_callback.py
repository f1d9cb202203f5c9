"""EventCallback against the emulator."""

from __future__ import annotations

from typing import Any

import pytest

from clients.mailjet.errors import AlreadyExistsError, ForeignCallbackError
from providers.mailjet.event_callback import EventCallbackProvider
from providers.mailjet.plugin import PluginProcess
from tests.unit.providers.emulated import Mailjet, outs_of

URL = "https://agentmail-dev:s3cretpassword@hooks.agents.example/events"
ROTATED = "https://agentmail-dev:0therpassword@hooks.agents.example/events"
THEIRS = "https://crm:theirpassword@crm.corp.example/mailjet"

provider = EventCallbackProvider()
pytestmark = pytest.mark.usefixtures("process")


def props(event_type: str = "bounce", url: str = URL, **more: Any) -> dict[str, Any]:
    return {"event_type": event_type, "url": url, "version": 2.0, "take_over": False, **more}


def callbacks(mailjet: Mailjet) -> dict[str, tuple[str, int, str]]:
    rows = mailjet.api("GET", "/v3/REST/eventcallbackurl?Limit=1000").json()["Data"]
    return {row["EventType"]: (row["Url"], row["Version"], row["Status"]) for row in rows}


def add(mailjet: Mailjet, event_type: str, url: str, **more: Any) -> int:
    answer = mailjet.api("POST", "/v3/REST/eventcallbackurl", {"EventType": event_type, "Url": url, **more})
    assert answer.status_code == 201, answer.text
    mailjet.forget_requests()
    return int(answer.json()["Data"][0]["ID"])


@pytest.mark.parametrize("event_type", ["bounce", "blocked", "spam"])
def test_create(mailjet: Mailjet, event_type: str) -> None:
    created = provider.create(props(event_type))
    assert callbacks(mailjet) == {event_type: (URL, 2, "alive")}
    outs = outs_of(created)
    assert outs.pop("callback_id") > 0
    assert outs == {**props(event_type), "status": "alive"}
    assert created.id == event_type


def test_create_adopts_ours_and_sets_url_and_version(mailjet: Mailjet) -> None:
    callback_id = add(mailjet, "bounce", ROTATED)
    assert outs_of(provider.create(props()))["callback_id"] == callback_id
    assert callbacks(mailjet) == {"bounce": (URL, 2, "alive")}
    assert mailjet.writes() == [f"PUT /v3/REST/eventcallbackurl/{callback_id}"]


def test_somebody_elses_callback_is_an_error(mailjet: Mailjet) -> None:
    add(mailjet, "bounce", THEIRS)
    with pytest.raises(ForeignCallbackError, match=r"https://crm@crm\.corp\.example/mailjet") as caught:
        provider.create(props())
    assert "theirpassword" not in str(caught.value)
    assert mailjet.writes() == []
    provider.create(props(take_over=True))
    assert callbacks(mailjet) == {"bounce": (URL, 2, "alive")}


def test_somebody_elses_backup_is_no_obstacle(mailjet: Mailjet) -> None:
    add(mailjet, "bounce", THEIRS, IsBackup=True)
    provider.create(props())
    assert len(mailjet.writes()) == 1


@pytest.mark.parametrize("kind", ["429", "500-after", "reset-before", "reset-after"])
def test_failing_writes_converge(mailjet: Mailjet, next_run: Any, kind: str) -> None:
    mailjet.faults({"method": "POST|PUT|DELETE", "path": "*", "kind": kind, "times": 1})
    outs = outs_of(provider.create(props()))
    assert callbacks(mailjet) == {"bounce": (URL, 2, "alive")}
    next_run()
    mailjet.faults({"method": "POST|PUT|DELETE", "path": "*", "kind": kind, "times": 1})
    outs = outs_of(provider.update("id", outs, props(url=ROTATED)))
    assert callbacks(mailjet) == {"bounce": (ROTATED, 2, "alive")}
    next_run()
    mailjet.faults({"method": "POST|PUT|DELETE", "path": "*", "kind": kind, "times": 1})
    provider.delete("id", outs)
    assert callbacks(mailjet) == {}


def test_refresh_sees_a_suspended_callback_and_the_next_up_revives_it(mailjet: Mailjet, next_run: Any) -> None:
    outs = outs_of(provider.create(props()))
    mailjet.api("PUT", f"/v3/REST/eventcallbackurl/{outs['callback_id']}", {"Status": "dead"})
    next_run()
    read = provider.read("id", dict(outs))
    assert outs_of(read)["status"] == "dead"
    assert provider.diff("id", outs_of(read), props()).changes is True
    assert outs_of(provider.update("id", outs_of(read), props())) == outs
    assert callbacks(mailjet) == {"bounce": (URL, 2, "alive")}


def test_refresh_of_an_untouched_callback(next_run: Any) -> None:
    outs = outs_of(provider.create(props()))
    next_run()
    read = provider.read("id", dict(outs))
    assert read.outs == outs
    assert provider.diff("id", outs_of(read), props()).changes is False


def test_refresh_sees_another_password_and_a_foreign_url_is_a_loss(mailjet: Mailjet, next_run: Any) -> None:
    outs = outs_of(provider.create(props()))
    mailjet.api("PUT", f"/v3/REST/eventcallbackurl/{outs['callback_id']}", {"Url": ROTATED})
    next_run()
    assert outs_of(provider.read("id", dict(outs)))["url"] == ROTATED
    mailjet.api("PUT", f"/v3/REST/eventcallbackurl/{outs['callback_id']}", {"Url": THEIRS})
    assert provider.read("id", dict(outs)).outs == {}


def test_an_update_meets_a_callback_that_is_gone(mailjet: Mailjet, next_run: Any) -> None:
    outs = outs_of(provider.create(props()))
    mailjet.api("DELETE", f"/v3/REST/eventcallbackurl/{outs['callback_id']}")
    next_run()
    provider.update("id", outs, props(url=ROTATED))
    assert callbacks(mailjet) == {"bounce": (ROTATED, 2, "alive")}


def test_a_callback_that_vanishes_under_a_change_is_made_anew(mailjet: Mailjet) -> None:
    add(mailjet, "bounce", ROTATED)
    mailjet.faults({"method": "PUT", "path": "*", "kind": "404"})
    with pytest.raises(AlreadyExistsError):
        provider.create(props())
    assert callbacks(mailjet) == {"bounce": (ROTATED, 1, "alive")}


def test_delete_leaves_somebody_elses_and_what_this_run_holds(mailjet: Mailjet, next_run: Any) -> None:
    outs = outs_of(provider.create(props()))
    provider.delete("id", outs)
    assert callbacks(mailjet) == {"bounce": (URL, 2, "alive")}
    mailjet.api("PUT", f"/v3/REST/eventcallbackurl/{outs['callback_id']}", {"Url": THEIRS})
    next_run()
    provider.delete("id", outs)
    assert mailjet.writes() == []


def test_another_event_type_replaces(process: PluginProcess) -> None:
    assert provider.diff("id", props(), props("spam")).replaces == ["event_type"]


@pytest.mark.parametrize("wrong", [{"event_type": "party"}, {"version": 3.0}, {"url": "https://hooks.example/x"}])
def test_bad_inputs(wrong: dict[str, Any]) -> None:
    failures = provider.check({}, {**props(), **wrong}).failures
    assert [failure.property for failure in failures] == [""]
    assert "expected" in failures[0].reason
