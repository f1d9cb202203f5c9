"""SenderDomain and Sender against the emulator: create, adopt, revive, refresh, delete."""

from __future__ import annotations

from typing import Any

import pytest

from clients.mailjet.errors import AlreadyExistsError, MailjetError, NoDnsEntryError, SenderNotRevivedError
from providers.mailjet.plugin import PluginProcess
from providers.mailjet.sender import SenderProvider
from providers.mailjet.sender_domain import SenderDomainProvider
from tests.unit.providers.emulated import DOMAIN, Mailjet, RecordingEngine, VirtualClock, outs_of

PROPS = {"domain": DOMAIN, "delete_sender": False}
DISPOSABLE = {"domain": DOMAIN, "delete_sender": True}
NOTIFY = {"email": f"notify@{DOMAIN}", "display_name": "Notifications", "email_type": "transactional"}

pytestmark = pytest.mark.usefixtures("process")


def verify_domain(mailjet: Mailjet, process: PluginProcess) -> None:
    """*@domain becomes an active sender."""
    outs = outs_of(SenderDomainProvider().create(dict(PROPS)))
    mailjet.publish(mailjet.api("GET", f"/v3/REST/dns/{outs['dns_id']}").json()["Data"][0])
    mailjet.api("POST", f"/v3/REST/sender/{outs['sender_id']}/validate")
    assert mailjet.sender(f"*@{DOMAIN}")["Status"] == "Active"
    mailjet.forget_requests()


class TestSenderDomain:
    provider = SenderDomainProvider()

    @pytest.mark.parametrize("dns_names", ["absolute", "relative-dot", "label"])
    def test_create_gives_names_in_one_form_whatever_mailjets_is(self, mailjet: Mailjet, dns_names: str) -> None:
        mailjet.switch(dns_names=dns_names, dkim_bits=2048)
        created = self.provider.create(dict(PROPS))
        row = mailjet.api("GET", f"/v3/REST/dns/{DOMAIN}").json()["Data"][0]
        token = row["OwnerShipToken"]
        assert created.id == f"*@{DOMAIN}"
        assert outs_of(created) == {
            "domain": DOMAIN,
            "delete_sender": False,
            "sender_id": mailjet.sender(f"*@{DOMAIN}")["ID"],
            "dns_id": row["ID"],
            "dkim_name": f"mailjet._domainkey.{DOMAIN}",
            "dkim_value": row["DKIMRecordValue"],
            "spf_value": "v=spf1 include:spf.mailjet.com ?all",
            "ownership_name": f"mailjet._{token[:8]}.{DOMAIN}",
            "ownership_token": token,
        }

    def test_its_first_call_is_a_get(self, mailjet: Mailjet) -> None:
        """With rejected credentials nothing is written anywhere."""
        self.provider.create(dict(PROPS))
        assert mailjet.requests()[0] == f"GET /v3/REST/sender/*@{DOMAIN}"
        assert mailjet.writes() == ["POST /v3/REST/sender"]

    def test_create_adopts_an_inactive_sender(self, mailjet: Mailjet) -> None:
        mailjet.api("POST", "/v3/REST/sender", {"Email": f"*@{DOMAIN}", "Name": "theirs"})
        mailjet.forget_requests()
        outs = outs_of(self.provider.create(dict(PROPS)))
        assert mailjet.writes() == []
        assert mailjet.sender(f"*@{DOMAIN}")["Name"] == "theirs"
        assert outs["sender_id"] == mailjet.sender(f"*@{DOMAIN}")["ID"]

    def test_create_adopts_an_active_sender(self, mailjet: Mailjet, process: PluginProcess) -> None:
        verify_domain(mailjet, process)
        self.provider.create(dict(PROPS))
        assert mailjet.writes() == []

    @pytest.mark.parametrize(
        "revived_by",
        [
            {"validate_revives_deleted_sender": True, "put_revives_deleted_sender": False},
            {"validate_revives_deleted_sender": False, "put_revives_deleted_sender": True},
        ],
    )
    @pytest.mark.parametrize("keeps_dns", [True, False])
    def test_create_revives_a_deleted_sender_whichever_way_works(
        self, mailjet: Mailjet, revived_by: dict[str, bool], keeps_dns: bool
    ) -> None:
        before = outs_of(self.provider.create(dict(PROPS)))
        mailjet.api("DELETE", f"/v3/REST/sender/{before['sender_id']}")
        mailjet.switch(**revived_by, deleted_sender_keeps_dns=keeps_dns)
        assert mailjet.sender(f"*@{DOMAIN}")["Status"] == "Deleted"
        assert outs_of(self.provider.create(dict(PROPS))) == before
        assert mailjet.sender(f"*@{DOMAIN}")["Status"] == "Inactive"

    def test_a_sender_that_stays_deleted_still_gives_its_records(self, mailjet: Mailjet) -> None:
        """Validation may need the ownership record first, and DomainVerification validates once it is there."""
        before = outs_of(self.provider.create(dict(PROPS)))
        mailjet.api("DELETE", f"/v3/REST/sender/{before['sender_id']}")
        mailjet.switch(validate_revives_deleted_sender=False)
        assert outs_of(self.provider.create(dict(PROPS))) == before

    def test_a_sender_that_stays_deleted_without_records_is_an_error(self, mailjet: Mailjet) -> None:
        before = outs_of(self.provider.create(dict(PROPS)))
        mailjet.api("DELETE", f"/v3/REST/sender/{before['sender_id']}")
        mailjet.switch(validate_revives_deleted_sender=False, deleted_sender_keeps_dns=False)
        with pytest.raises(SenderNotRevivedError, match="ask its support"):
            self.provider.create(dict(PROPS))

    @pytest.mark.parametrize("kind", ["429", "500", "500-after", "reset-before", "reset-after", "hang-after"])
    def test_a_failing_post_ends_with_one_sender(self, mailjet: Mailjet, next_run: Any, kind: str) -> None:
        next_run(read_timeout=0.3)
        mailjet.faults({"method": "POST", "path": "/v3/REST/sender", "kind": kind, "times": 1, "seconds": 2})
        self.provider.create(dict(PROPS))
        rows = mailjet.api("GET", "/v3/REST/sender?ShowDeleted=true&Limit=1000").json()["Data"]
        assert [row["Email"] for row in rows] == [f"*@{DOMAIN}"]

    def test_a_lookup_that_hides_deleted_senders_is_no_obstacle(self, mailjet: Mailjet) -> None:
        before = outs_of(self.provider.create(dict(PROPS)))
        mailjet.api("DELETE", f"/v3/REST/sender/{before['sender_id']}")
        mailjet.faults({"method": "GET", "path": f"/v3/REST/sender/*@{DOMAIN}", "kind": "404"})
        assert outs_of(self.provider.create(dict(PROPS))) == before

    def test_a_duplicate_that_nobody_can_see_is_an_error(self, mailjet: Mailjet) -> None:
        self.provider.create(dict(PROPS))
        mailjet.faults({"method": "GET", "path": "/v3/REST/sender*", "kind": "404"})
        with pytest.raises(MailjetError):
            self.provider.create(dict(PROPS))

    @pytest.mark.slow
    def test_the_sender_limit_is_a_sentence(self, mailjet: Mailjet) -> None:
        for number in range(100):
            mailjet.api("POST", "/v3/REST/sender", {"Email": f"box{number}@other.example"})
        with pytest.raises(MailjetError, match="maximum number of senders"):
            self.provider.create(dict(PROPS))

    def test_a_dns_entry_that_comes_late_is_awaited(self, mailjet: Mailjet, clock: VirtualClock) -> None:
        mailjet.faults({"method": "GET", "path": "/v3/REST/dns/*", "kind": "404", "times": 5})
        self.provider.create(dict(PROPS))
        assert clock.slept

    def test_a_dns_entry_that_never_comes_is_an_error(self, mailjet: Mailjet) -> None:
        mailjet.faults({"method": "GET", "path": "/v3/REST/dns/*", "kind": "404"})
        with pytest.raises(NoDnsEntryError, match=DOMAIN):
            self.provider.create(dict(PROPS))

    def test_refresh_of_an_untouched_sender(self, next_run: Any) -> None:
        outs = outs_of(self.provider.create(dict(PROPS)))
        next_run()
        read = self.provider.read("id", {**outs, "__provider": "…"})
        assert (read.id, read.outs, read.inputs) == ("id", outs, PROPS)

    def test_refresh_sees_a_deleted_sender_and_the_next_up_revives_it(self, mailjet: Mailjet, next_run: Any) -> None:
        outs = outs_of(self.provider.create(dict(PROPS)))
        mailjet.api("DELETE", f"/v3/REST/sender/{outs['sender_id']}")
        next_run()
        read = self.provider.read("id", dict(outs))
        assert (read.id, read.outs) == (None, {})
        assert outs_of(self.provider.create(dict(PROPS))) == outs

    def test_delete_keeps_the_sender(self, mailjet: Mailjet, next_run: Any) -> None:
        outs = outs_of(self.provider.create(dict(PROPS)))
        next_run()
        self.provider.delete("id", outs)
        assert mailjet.requests() == []
        assert mailjet.sender(f"*@{DOMAIN}")["Status"] == "Inactive"

    def test_delete_deletes_the_sender_where_it_is_told_to(self, mailjet: Mailjet, next_run: Any) -> None:
        outs = outs_of(self.provider.create(dict(DISPOSABLE)))
        next_run()
        self.provider.delete("id", outs)
        assert mailjet.sender(f"*@{DOMAIN}")["Status"] == "Deleted"
        self.provider.delete("id", outs)
        assert mailjet.writes() == [f"DELETE /v3/REST/sender/{outs['sender_id']}"]

    def test_a_replaced_sender_survives_the_delete_of_its_predecessor(self, mailjet: Mailjet) -> None:
        outs = outs_of(self.provider.create(dict(DISPOSABLE)))
        self.provider.create(dict(DISPOSABLE))
        self.provider.delete("id", outs)
        assert mailjet.sender(f"*@{DOMAIN}")["Status"] == "Inactive"

    def test_create_after_delete(self, next_run: Any) -> None:
        outs = outs_of(self.provider.create(dict(DISPOSABLE)))
        next_run()
        self.provider.delete("id", outs)
        next_run()
        assert outs_of(self.provider.create(dict(DISPOSABLE))) == outs

    def test_only_a_new_domain_replaces(self) -> None:
        other = self.provider.diff("id", dict(PROPS), {**PROPS, "domain": "other.example"})
        assert (other.changes, other.replaces) == (True, ["domain"])
        switch = self.provider.diff("id", dict(PROPS), dict(DISPOSABLE))
        assert (switch.changes, switch.replaces) == (True, [])

    def test_update_records_the_switch_and_returns_everything(self, mailjet: Mailjet, next_run: Any) -> None:
        outs = outs_of(self.provider.create(dict(PROPS)))
        next_run()
        assert outs_of(self.provider.update("id", outs, dict(DISPOSABLE))) == {**outs, "delete_sender": True}
        assert mailjet.writes() == []

    @pytest.mark.parametrize("domain", ["", "example", "Agents.example", "agents.example.", "a b.example", "*@x.com"])
    def test_a_domain_that_is_none(self, domain: str) -> None:
        failures = self.provider.check({}, {"domain": domain}).failures
        assert [failure.property for failure in failures] == [""]
        assert "expected a mail domain" in failures[0].reason


class TestSender:
    provider = SenderProvider()

    def test_on_a_validated_domain_it_is_active_at_once(
        self, mailjet: Mailjet, process: PluginProcess, engine: RecordingEngine
    ) -> None:
        verify_domain(mailjet, process)
        created = self.provider.create(dict(NOTIFY))
        assert outs_of(created) == {
            **NOTIFY,
            "sender_id": mailjet.sender(NOTIFY["email"])["ID"],
            "status": "Active",
        }
        assert mailjet.writes() == ["POST /v3/REST/sender"]
        assert engine.warnings == []

    def test_elsewhere_it_says_that_a_mail_must_be_confirmed(self, mailjet: Mailjet, engine: RecordingEngine) -> None:
        outs = outs_of(self.provider.create(dict(NOTIFY)))
        assert outs["status"] == "Inactive"
        assert len(engine.warnings) == 1
        assert "open the link" in engine.warnings[0]
        assert NOTIFY["email"] in engine.warnings[0]

    def test_an_adopted_inactive_sender_is_activated_by_its_domain(
        self, mailjet: Mailjet, process: PluginProcess
    ) -> None:
        mailjet.api("POST", "/v3/REST/sender", {"Email": NOTIFY["email"], "Name": "Notifications"})
        verify_domain(mailjet, process)
        assert outs_of(self.provider.create(dict(NOTIFY)))["status"] == "Active"

    @pytest.mark.parametrize("kind", ["500", "reset-after"])
    def test_a_failing_activation_converges(self, mailjet: Mailjet, process: PluginProcess, kind: str) -> None:
        mailjet.api("POST", "/v3/REST/sender", {"Email": NOTIFY["email"], "Name": "Notifications"})
        verify_domain(mailjet, process)
        mailjet.faults({"method": "POST", "path": "*/validate", "kind": kind, "times": 1})
        assert outs_of(self.provider.create(dict(NOTIFY)))["status"] == "Active"

    def test_adoption_and_update_set_name_and_type(self, mailjet: Mailjet, process: PluginProcess) -> None:
        verify_domain(mailjet, process)
        mailjet.api("POST", "/v3/REST/sender", {"Email": NOTIFY["email"], "Name": "theirs", "EmailType": "bulk"})
        outs = outs_of(self.provider.create(dict(NOTIFY)))
        row = mailjet.sender(NOTIFY["email"])
        assert (row["Name"], row["EmailType"]) == ("Notifications", "transactional")
        changed = {**NOTIFY, "display_name": "Azt3kNet"}
        assert self.provider.diff("id", outs, changed).changes is True
        assert outs_of(self.provider.update("id", outs, changed)) == {**outs, "display_name": "Azt3kNet"}
        assert mailjet.sender(NOTIFY["email"])["Name"] == "Azt3kNet"

    @pytest.mark.parametrize("kind", ["500-after", "reset-after", "reset-before"])
    def test_a_failing_rename_converges(self, mailjet: Mailjet, process: PluginProcess, kind: str) -> None:
        verify_domain(mailjet, process)
        outs = outs_of(self.provider.create(dict(NOTIFY)))
        mailjet.faults({"method": "PUT", "path": "/v3/REST/sender/*", "kind": kind, "times": 1})
        self.provider.update("id", outs, {**NOTIFY, "display_name": "Azt3kNet"})
        assert mailjet.sender(NOTIFY["email"])["Name"] == "Azt3kNet"

    @pytest.mark.parametrize("where", ["ErrorMessage", "ErrorInfo"])
    def test_an_active_duplicate_is_recognised_wherever_its_text_stands(
        self, mailjet: Mailjet, process: PluginProcess, where: str
    ) -> None:
        verify_domain(mailjet, process)
        self.provider.create(dict(NOTIFY))
        mailjet.switch(active_duplicate_in=where)
        with pytest.raises(AlreadyExistsError):
            process.api.create_sender(NOTIFY["email"], name="x", email_type="unknown")

    def test_refresh_sees_another_name(self, mailjet: Mailjet, process: PluginProcess, next_run: Any) -> None:
        verify_domain(mailjet, process)
        outs = outs_of(self.provider.create(dict(NOTIFY)))
        mailjet.api("PUT", f"/v3/REST/sender/{outs['sender_id']}", {"Name": "changed by hand"})
        next_run()
        read = self.provider.read("id", dict(outs))
        assert outs_of(read)["display_name"] == "changed by hand"
        assert self.provider.diff("id", outs_of(read), dict(NOTIFY)).changes is True

    def test_refresh_records_a_confirmation(self, mailjet: Mailjet, next_run: Any) -> None:
        outs = outs_of(self.provider.create(dict(NOTIFY)))
        verify_domain(mailjet, next_run())
        mailjet.api("POST", f"/v3/REST/sender/{outs['sender_id']}/validate")
        read = self.provider.read("id", dict(outs))
        assert outs_of(read)["status"] == "Active"
        assert self.provider.diff("id", outs_of(read), dict(NOTIFY)).changes is False

    def test_a_vanished_sender_is_revived_by_the_next_up(self, mailjet: Mailjet, next_run: Any) -> None:
        outs = outs_of(self.provider.create(dict(NOTIFY)))
        mailjet.api("DELETE", f"/v3/REST/sender/{outs['sender_id']}")
        next_run()
        assert self.provider.read("id", dict(outs)).outs == {}
        assert outs_of(self.provider.create(dict(NOTIFY))) == outs

    def test_a_sender_that_stays_deleted_is_an_error(self, mailjet: Mailjet) -> None:
        outs = outs_of(self.provider.create(dict(NOTIFY)))
        mailjet.api("DELETE", f"/v3/REST/sender/{outs['sender_id']}")
        mailjet.switch(validate_revives_deleted_sender=False)
        with pytest.raises(SenderNotRevivedError):
            self.provider.create(dict(NOTIFY))

    def test_delete_follows_the_switch(self, mailjet: Mailjet, next_run: Any) -> None:
        outs = outs_of(self.provider.create({**NOTIFY, "delete_sender": True}))
        next_run()
        self.provider.delete("id", {**outs, "delete_sender": False})
        assert mailjet.sender(NOTIFY["email"])["Status"] == "Inactive"
        self.provider.delete("id", outs)
        assert mailjet.sender(NOTIFY["email"])["Status"] == "Deleted"

    @pytest.mark.parametrize(
        "wrong", [{"email": "*@x.example"}, {"email": "nobody"}, {"email_type": "spam"}, {"email": 3}]
    )
    def test_bad_inputs(self, wrong: dict[str, Any]) -> None:
        failures = self.provider.check({}, {**NOTIFY, **wrong}).failures
        assert [failure.property for failure in failures] == [""]
        assert "expected" in failures[0].reason
