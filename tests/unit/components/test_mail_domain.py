"""What the mail domain declares."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import pulumi
import pytest

from settings.loading import from_config
from tests.unit.components.conftest import Recorder, run_program
from zone.survey import SurveyedRecord

with warnings.catch_warnings():
    # The generated SDK warns of its own old names.
    warnings.simplefilter("ignore", DeprecationWarning)
    from components.configured_records import read_records
    from components.mail_domain import MailDomain, MailDomainArgs
    from components.zone_survey import ZoneSurvey

DOMAIN = "dev.agents.example"
CONFIG = {
    "domain": DOMAIN,
    "zoneName": "agents.example",
    "zoneId": "0f1e2d3c4b5a69788796a5b4c3d2e1f0",
    "webhookUrl": "https://hooks.example/in",
    "mailjetApiKey": "k" * 32,
    "mailjetApiSecret": "s" * 32,
    "webhookSecret": "w" * 32,
}
FACTS = {
    "sender_id": 1,
    "dns_id": 2,
    "dkim_name": f"mailjet._domainkey.{DOMAIN}",
    "dkim_value": "k=rsa; p=" + "A" * 400,
    "spf_value": "v=spf1 include:spf.mailjet.com ~all",
    "ownership_name": f"mailjet._0a1b2c3d.{DOMAIN}",
    "ownership_token": "0a1b2c3d" * 4,
}


class Declared:
    """A finished program: the component, and the options of everything in it."""

    def __init__(self, recorder: Recorder, records: Sequence[SurveyedRecord] = (), **config: object) -> None:
        self.options: dict[str, Any] = {}
        self.outputs: dict[str, Any] = {}
        recorder.computed["SenderDomain"] = FACTS
        settings = from_config({**CONFIG, **config}, stack="dev", preview=False, cloudflare_api_token="t" * 40)

        def remember(args: pulumi.ResourceTransformationArgs) -> None:
            self.options[args.name] = args.opts

        def program() -> pulumi.Output[None]:
            after = [pulumi.CustomResource("test:index:Route", "route")]
            zone = ZoneSurvey(
                records=tuple(records), needs=settings.zone_needs, stack="dev", looked=settings.dns == "cloudflare"
            )
            args = MailDomainArgs.of(settings, read_records(settings, lambda _name, _type: []), zone)
            made = MailDomain("mail", args, pulumi.ResourceOptions(transformations=[remember]))
            made.open_for_mail(after=after)
            return made.expected_records.apply(lambda found: self.outputs.update(records=found))

        run_program(program)
        self.records = recorder.of_type("DnsRecord")


class TestFootprint:
    def test_the_sender_is_in_the_state_before_mailjet_makes_it(self, recorder: Recorder) -> None:
        found = Declared(recorder, mailjetDeleteSender=True)
        [(name, inputs)] = recorder.of_type("Footprint").items()
        assert (inputs["senders"], inputs["delete_senders"], inputs["callbacks"]) == ([f"*@{DOMAIN}"], True, [])
        kinds = [args.typ.rpartition(":")[2] for args in recorder.resources if "dynamic" in args.typ]
        assert kinds.index("Footprint") < kinds.index("SenderDomain")
        assert [entry._name for entry in found.options["mail-sender"].depends_on] == [name]

    def test_it_is_never_protected_so_that_it_can_be_replaced(self, recorder: Recorder) -> None:
        found = Declared(recorder, protected=True)
        assert found.options["mail-sender"].protect is True
        assert not found.options["mail-footprint"].protect


class TestRecords:
    def test_every_record_is_marked_and_named_for_its_role(self, recorder: Recorder) -> None:
        found = Declared(recorder)
        assert {name: (inputs["type"], inputs["name"]) for name, inputs in found.records.items()} == {
            "mail-mx-parse.mailjet.com": ("MX", DOMAIN),
            "mail-spf": ("TXT", DOMAIN),
            "mail-dmarc": ("TXT", f"_dmarc.{DOMAIN}"),
            "mail-dkim": ("TXT", f"mailjet._domainkey.{DOMAIN}"),
            "mail-ownership": ("TXT", f"mailjet._0a1b2c3d.{DOMAIN}"),
        }
        assert {inputs["comment"] for inputs in found.records.values()} == {"managed by pulumi: agentmail-dev"}
        assert {inputs["zoneId"] for inputs in found.records.values()} == {CONFIG["zoneId"]}

    def test_a_long_key_is_declared_as_cloudflare_keeps_it(self, recorder: Recorder) -> None:
        content = Declared(recorder).records["mail-dkim"]["content"]
        assert content.startswith('"k=rsa; p=')
        assert content.count('" "') == 1

    def test_a_zone_elsewhere_gets_no_record_but_is_told_all_of_them(self, recorder: Recorder) -> None:
        found = Declared(recorder, dns="none", zoneId="", zoneName="")
        assert found.records == {}
        assert [record.key for record in found.outputs["records"]] == [
            "mx-parse.mailjet.com",
            "spf",
            "dmarc",
            "dkim",
            "ownership",
        ]

    def test_verification_looks_at_every_record_but_the_mx(self, recorder: Recorder) -> None:
        found = Declared(recorder)
        [verification] = recorder.of_type("DomainVerification").values()
        assert len(json.loads(verification["records"])) == len(found.records) - 1
        assert "MX" not in verification["records"]


class TestOptions:
    def test_nothing_is_written_before_mailjet_has_answered(self, recorder: Recorder) -> None:
        found = Declared(recorder)
        for name in set(found.records) - {"mail-mx-parse.mailjet.com"}:
            assert [type(resource).__name__ for resource in found.options[name].depends_on] == ["SenderDomain"], name

    def test_the_mx_waits_for_the_verified_domain_and_for_all_that_takes_its_mail(self, recorder: Recorder) -> None:
        found = Declared(recorder)
        waited_for = found.options["mail-mx-parse.mailjet.com"].depends_on
        assert [entry._name for entry in waited_for] == ["mail-verification", "route"]

    def test_protected_where_the_configuration_says_so(self, recorder: Recorder) -> None:
        free = Declared(recorder)
        assert not any(free.options[name].protect for name in free.records)

    def test_and_then_all_of_it(self, recorder: Recorder) -> None:
        guarded = Declared(recorder, protected="true")
        assert all(guarded.options[name].protect for name in ["mail-sender", "mail-verification", *guarded.records])

    def test_only_adopted_spf_and_dmarc_outlive_a_destroy(self, recorder: Recorder) -> None:
        adopted = [{"name": name, "id": "f" * 32} for name in ("mail-spf", "mail-dmarc", "mail-mx-parse.mailjet.com")]
        found = Declared(recorder, adoptedRecords=adopted)
        kept = {name for name in found.records if found.options[name].retain_on_delete}
        assert kept == {"mail-spf", "mail-dmarc"}

    def test_without_adoption_nothing_outlives_it(self, recorder: Recorder) -> None:
        found = Declared(recorder)
        assert not any(found.options[name].retain_on_delete for name in found.records)


class TestGuard:
    """The hook that the engine calls before it creates a record."""

    def refuse(self, recorder: Recorder, *, records: Sequence[SurveyedRecord], inputs: Mapping[str, object]) -> None:
        found = Declared(recorder, records)
        [hook] = found.options["mail-spf"].hooks.before_create
        assert hook.opts.on_dry_run
        hook.callback(
            pulumi.ResourceHookArgs(
                urn="urn", id="", name="mail-spf", type="cloudflare:index/dnsRecord:DnsRecord", new_inputs=inputs
            )
        )

    SPF = SurveyedRecord(id="f" * 32, name=DOMAIN, type="TXT", content='"v=spf1 -all"')

    def test_a_second_spf_record_is_refused(self, recorder: Recorder) -> None:
        with pytest.raises(
            Exception, match=r"mail-spf would be created, but the zone already holds dev\.agents\.example TXT"
        ):
            self.refuse(
                recorder, records=[self.SPF], inputs={"name": DOMAIN, "type": "TXT", "content": '"v=spf1 ~all"'}
            )

    def test_what_is_not_there_is_created(self, recorder: Recorder) -> None:
        self.refuse(
            recorder,
            records=[self.SPF],
            inputs={"name": f"_dmarc.{DOMAIN}", "type": "TXT", "content": "v=DMARC1; p=none"},
        )

    def test_what_a_preview_does_not_know_yet_is_let_through(self, recorder: Recorder) -> None:
        unknown = pulumi.output.UNKNOWN
        self.refuse(recorder, records=[self.SPF], inputs={"name": unknown, "type": "TXT", "content": unknown})

    def test_a_zone_that_was_not_looked_at_has_no_guard(self) -> None:
        assert (
            ZoneSurvey(
                records=(), needs=from_config(CONFIG, stack="dev", preview=True).zone_needs, stack="dev", looked=False
            ).guard
            is None
        )


class TestWarnings:
    def test_relays_and_foreign_report_addresses(self, recorder: Recorder, caplog: pytest.LogCaptureFixture) -> None:
        Declared(recorder, mailjetMxHosts='["in-v3.mailjet.com"]', dmarcAggregateReports='["d@corp.example"]')
        said = " ".join(record.getMessage() for record in caplog.records)
        assert "which is Mailjet's relay for sending" in said
        assert f"{DOMAIN}._report._dmarc.corp.example" in said

    @pytest.mark.parametrize(
        ("config", "sentence"),
        [
            ({"spfMechanisms": '["ptr"]'}, r"agentmail:spfMechanisms has 'ptr'"),
            ({"dmarcAggregateReports": '["nobody"]'}, r"agentmail:dmarcAggregateReports has 'nobody'"),
        ],
    )
    def test_what_cannot_be_published_is_one_sentence(
        self, recorder: Recorder, config: dict[str, Any], sentence: str
    ) -> None:
        with pytest.raises(pulumi.RunError, match=sentence):
            Declared(recorder, **config)


class TestSuperseded:
    """Where this run deletes somebody's MX, ours must have come about first."""

    SUPERSEDED: ClassVar = [{"name": "superseded-mx-1", "id": "f" * 32, "protected": False}]

    def test_a_run_whose_mx_was_published_ends_well(self, recorder: Recorder) -> None:
        assert "mail-mx-parse.mailjet.com" in Declared(recorder, adoptedRecords=self.SUPERSEDED).records

    def test_one_whose_mx_was_not_ends_with_an_error(self, recorder: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
        async def nothing_is_known(_output: object) -> bool:
            return False

        monkeypatch.setattr(pulumi.Output, "is_known", nothing_is_known)
        with pytest.raises(Exception, match=r"The MX parse\.mailjet\.com of dev\.agents\.example was not published"):
            Declared(recorder, adoptedRecords=self.SUPERSEDED)
