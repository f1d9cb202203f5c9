"""DomainVerification against the emulator and a real name server on loopback."""

from __future__ import annotations

import json
from typing import Any

import pytest

from clients.mailjet.errors import MailjetError, NotVerifiableError, VerificationFailedError
from providers.mailjet.domain_verification import DomainVerificationProvider
from providers.mailjet.plugin import PluginProcess
from providers.mailjet.sender_domain import SenderDomainProvider
from tests.unit.providers.emulated import DOMAIN, Mailjet, RecordingEngine, VirtualClock, outs_of

ALL_OK = {"dkim_status": "OK", "spf_status": "OK", "ownership_status": "OK"}
UNCHECKED = {"dkim_status": "Not checked", "spf_status": "Not checked", "ownership_status": "Not checked"}
SPF = "v=spf1 include:spf.mailjet.com ~all"

provider = DomainVerificationProvider()


@pytest.fixture
def props(process: PluginProcess, mailjet: Mailjet) -> dict[str, Any]:
    """Inputs as the engine gives them for a sender domain that exists."""
    sender = outs_of(SenderDomainProvider().create({"domain": DOMAIN, "delete_sender": False}))
    records = [
        {"name": sender["dkim_name"], "type": "TXT", "content": _quoted(sender["dkim_value"])},
        {"name": sender["ownership_name"], "type": "TXT", "content": _quoted(sender["ownership_token"])},
        {"name": DOMAIN, "type": "TXT", "content": _quoted(SPF)},
        {"name": DOMAIN, "type": "MX", "content": "parse.mailjet.com"},
    ]
    mailjet.forget_requests()
    return {
        "domain": DOMAIN,
        "sender_id": float(sender["sender_id"]),
        "dns_id": float(sender["dns_id"]),
        "records": json.dumps(records),
        "mode": "require",
        "timeout_seconds": 600.0,
    }


def _quoted(value: str) -> str:
    return " ".join(f'"{value[at : at + 255]}"' for at in range(0, len(value), 255))


def publish(mailjet: Mailjet, props: dict[str, Any]) -> None:
    mailjet.publish(mailjet.api("GET", f"/v3/REST/dns/{int(props['dns_id'])}").json()["Data"][0])


@pytest.mark.parametrize("validate_answer", ["unwrapped", "wrapped"])
def test_published_records_verify(mailjet: Mailjet, props: dict[str, Any], validate_answer: str) -> None:
    mailjet.switch(validate_answer=validate_answer)
    publish(mailjet, props)
    created = provider.create(props)
    assert outs_of(created) == {**props, **ALL_OK}
    assert created.id == DOMAIN
    assert mailjet.sender(f"*@{DOMAIN}")["Status"] == "Active"


def test_it_waits_for_slow_dns_and_shows_it(
    mailjet: Mailjet, props: dict[str, Any], clock: VirtualClock, engine: RecordingEngine
) -> None:
    mailjet.switch(dns_lag=6)
    publish(mailjet, props)
    started = clock.now
    assert outs_of(provider.create(props)) == {**props, **ALL_OK}
    assert clock.now - started > 1
    waits = [wait for wait in clock.slept if wait > 0]
    assert waits == sorted(waits)
    assert engine.progress_lines[0] == (
        f"waiting for Mailjet to see {DOMAIN}: DKIM Error, SPF Not found, ownership Error (0 of 600 s)"
    )


def test_an_already_active_sender_is_no_error(mailjet: Mailjet, props: dict[str, Any], next_run: Any) -> None:
    publish(mailjet, props)
    provider.create(props)
    next_run()
    assert outs_of(provider.update("id", {**props, **ALL_OK}, props)) == {**props, **ALL_OK}
    assert mailjet.writes() == [f"POST /v3/REST/dns/{int(props['dns_id'])}/check"]


@pytest.mark.slow
def test_at_the_deadline_each_record_is_named_with_what_is_seen_and_what_it_should_be(
    mailjet: Mailjet, props: dict[str, Any], clock: VirtualClock
) -> None:
    publish(mailjet, props)
    dkim_name, dkim_value = f"mailjet._domainkey.{DOMAIN}", json.loads(props["records"])[0]["content"]
    token_name = json.loads(props["records"])[1]["name"]
    token = json.loads(props["records"])[1]["content"].strip('"')
    mailjet.zone.records[dkim_name] = ["k=rsa; p=somebodyelses"]
    mailjet.zone.records[DOMAIN] = ["v=spf1 include:_spf.corp.example -all"]
    del mailjet.zone.records[token_name]
    started = clock.now
    with pytest.raises(VerificationFailedError) as caught:
        provider.create(props)
    assert clock.now - started == pytest.approx(600)
    lead, dkim, spf, ownership = str(caught.value).split("\n")
    assert lead.startswith(f"Mailjet has not verified {DOMAIN} after 600 s")
    assert dkim.startswith(f"  - DKIM, TXT {dkim_name}: Mailjet sees `k=rsa; p=somebodyelses`")
    assert dkim.endswith(f"it should be `{dkim_value.replace(chr(34) + ' ' + chr(34), '').strip(chr(34))}`")
    assert spf.startswith(f"  - SPF, TXT {DOMAIN}: Mailjet sees `v=spf1 include:_spf.corp.example -all`")
    assert spf.endswith(f"it should be `{SPF}`")
    assert ownership.startswith(f"  - ownership, TXT {token_name}: Mailjet says `")
    assert "no TXT record" in ownership
    assert ownership.endswith(f"it should be `{token}`")


def test_a_record_that_is_not_there_is_seen_as_nothing(mailjet: Mailjet, props: dict[str, Any]) -> None:
    publish(mailjet, props)
    del mailjet.zone.records[f"mailjet._domainkey.{DOMAIN}"]
    with pytest.raises(VerificationFailedError, match="Mailjet sees nothing") as caught:
        provider.create({**props, "timeout_seconds": 0.0})
    assert "SPF" not in str(caught.value)
    assert "ownership" not in str(caught.value)


def test_warn_goes_on_and_says_so(mailjet: Mailjet, props: dict[str, Any], engine: RecordingEngine) -> None:
    outs = outs_of(provider.create({**props, "mode": "warn", "timeout_seconds": 30.0}))
    assert (outs["dkim_status"], outs["ownership_status"]) == ("Error", "Error")
    assert len(engine.warnings) == 1
    assert "Mailjet sees nothing" in engine.warnings[0]
    assert provider.diff("id", outs, {**props, "mode": "warn"}).changes is False


def test_off_asks_nothing(mailjet: Mailjet, props: dict[str, Any]) -> None:
    off = {**props, "mode": "off"}
    outs = outs_of(provider.create(off))
    assert outs == {**off, **UNCHECKED}
    assert outs_of(provider.read("id", outs)) == outs
    assert provider.diff("id", outs, {**off, "records": "[]"}).changes is False
    provider.delete("id", outs)
    assert mailjet.requests() == []


@pytest.mark.parametrize("kind", ["429", "500", "503", "reset-before", "reset-after"])
def test_a_failing_check_is_repeated_by_the_next_poll(mailjet: Mailjet, props: dict[str, Any], kind: str) -> None:
    publish(mailjet, props)
    mailjet.faults({"method": "POST", "path": "*", "kind": kind, "times": 3})
    assert outs_of(provider.create(props)) == {**props, **ALL_OK}


def test_mailjet_that_never_answers_is_told_as_such(mailjet: Mailjet, props: dict[str, Any]) -> None:
    mailjet.faults({"method": "POST", "path": "*", "kind": "503"})
    with pytest.raises(MailjetError, match="failed with 503"):
        provider.create({**props, "timeout_seconds": 20.0})


def test_warn_goes_on_without_an_answer_too(mailjet: Mailjet, props: dict[str, Any], engine: RecordingEngine) -> None:
    mailjet.faults({"method": "POST", "path": "*", "kind": "503"})
    outs = outs_of(provider.create({**props, "mode": "warn", "timeout_seconds": 20.0}))
    assert {key: outs[key] for key in UNCHECKED} == UNCHECKED
    assert "failed with 503" in engine.warnings[0]


def test_a_sender_that_is_gone_cannot_be_verified(props: dict[str, Any]) -> None:
    with pytest.raises(NotVerifiableError, match=r"apply STACK --refresh"):
        provider.create({**props, "sender_id": 1.0})


def test_an_engine_that_dies_ends_the_wait(
    mailjet: Mailjet, props: dict[str, Any], engine: RecordingEngine, clock: VirtualClock
) -> None:
    def die_later() -> None:
        engine.is_alive = len(clock.slept) < 3

    clock.before_sleep = die_later
    with pytest.raises(MailjetError, match="is gone"):
        provider.create(props)
    assert len(clock.slept) == 4


class TestDiff:
    def olds(self, props: dict[str, Any], **changes: Any) -> dict[str, Any]:
        return {**props, **ALL_OK, **changes}

    def test_nothing_changed(self, props: dict[str, Any]) -> None:
        assert provider.diff("id", self.olds(props), props).changes is False

    def test_a_changed_record_verifies_again(self, props: dict[str, Any]) -> None:
        records = json.loads(props["records"])
        records[2]["content"] = '"v=spf1 -all"'
        assert provider.diff("id", self.olds(props), {**props, "records": json.dumps(records)}).changes is True

    def test_the_same_records_in_another_layout_do_not(self, props: dict[str, Any]) -> None:
        laid_out = json.dumps(json.loads(props["records"]), indent=2)
        assert provider.diff("id", self.olds(props), {**props, "records": laid_out}).changes is False

    def test_another_timeout_does_not(self, props: dict[str, Any]) -> None:
        assert provider.diff("id", self.olds(props), {**props, "timeout_seconds": 5.0}).changes is False

    def test_another_domain_replaces(self, props: dict[str, Any]) -> None:
        assert provider.diff("id", self.olds(props), {**props, "domain": "other.example"}).replaces == ["domain"]

    def test_drift_found_by_a_refresh_verifies_again_where_it_is_required(self, props: dict[str, Any]) -> None:
        drifted = self.olds(props, dkim_status="Error")
        assert provider.diff("id", drifted, props).changes is True
        assert provider.diff("id", drifted, {**props, "mode": "warn"}).changes is False

    def test_from_off_to_require_verifies(self, props: dict[str, Any]) -> None:
        assert provider.diff("id", {**props, **UNCHECKED, "mode": "off"}, props).changes is True


class TestRefresh:
    def test_what_mailjet_thinks_now(self, mailjet: Mailjet, props: dict[str, Any], next_run: Any) -> None:
        publish(mailjet, props)
        outs = outs_of(provider.create(props))
        mailjet.zone.records[DOMAIN] = ["v=spf1 -all"]
        mailjet.api("POST", f"/v3/REST/dns/{int(props['dns_id'])}/check")
        next_run()
        read = provider.read("id", dict(outs))
        assert outs_of(read) == {**outs, "spf_status": "Error"}
        assert read.inputs == props
        assert mailjet.writes() == []

    def test_a_sender_that_is_gone(self, props: dict[str, Any]) -> None:
        assert provider.read("id", {**props, "sender_id": 1.0}).outs == {}


@pytest.mark.parametrize(
    "wrong",
    [
        {"mode": "maybe"},
        {"timeout_seconds": -1.0},
        {"timeout_seconds": "long"},
        {"records": "no json"},
        {"records": '[{"name": "x"}]'},
    ],
)
def test_bad_inputs(wrong: dict[str, Any]) -> None:
    good = {"domain": DOMAIN, "sender_id": 1.0, "dns_id": 1.0, "records": "[]", "mode": "off", "timeout_seconds": 1.0}
    failures = provider.check({}, {**good, **wrong}).failures
    assert [failure.property for failure in failures] == [""]
    assert "expected" in failures[0].reason
