"""SPF, DKIM and DMARC by the DNS."""

from __future__ import annotations

from collections.abc import Mapping

from commands.doctor.finding import Status
from commands.doctor.policies import dkim_finding, dmarc_findings, first_answering, spf_finding
from tests.unit.commands.doctor.test_doctor_records import DEAF
from tests.unit.commands.doctor.world import DOMAIN, Up, examined, only
from zone.spf_lookups import Resolve

SPF = "v=spf1 include:spf.mailjet.com ~all"
MAILJET = {("spf.mailjet.com", "TXT"): ["v=spf1 ip4:192.0.2.0/25 ~all"]}
KEY = "k=rsa; p=MIGfMA0GCSqGSIb3DQEB"


def ask(answers: Mapping[tuple[str, str], list[str]]) -> Resolve:
    return lambda name, rdtype: answers.get((name, rdtype), [])


class TestSpf:
    def test_as_published(self, up: Up) -> None:
        found = spf_finding(up.examined, up.resolver)
        assert (found.status, found.sentence) == (Status.OK, "One record, 1 of 10 DNS lookups.")

    def test_none(self) -> None:
        assert "has no SPF record" in spf_finding(examined(), ask({})).sentence

    def test_two(self) -> None:
        found = spf_finding(examined(), ask({(DOMAIN, "TXT"): [SPF, "v=spf1 -all", "unrelated"]}))
        assert found.status is Status.ERROR
        assert f"{DOMAIN} has 2 SPF records, expected one" in found.sentence

    def test_without_mailjet(self) -> None:
        found = spf_finding(examined(), ask({(DOMAIN, "TXT"): ["v=spf1 -all"]}))
        assert "lacks include:spf.mailjet.com" in found.sentence

    def test_too_many_lookups(self) -> None:
        record = "v=spf1 include:spf.mailjet.com " + " ".join(f"include:i{n}.example" for n in range(10)) + " ~all"
        answers = MAILJET | {(DOMAIN, "TXT"): [record]}
        answers |= {(f"i{n}.example", "TXT"): ["v=spf1 ip4:192.0.2.1 -all"] for n in range(10)}
        found = spf_finding(examined(), ask(answers))
        assert found.status is Status.ERROR
        assert "it costs 11 DNS lookups, and 10 are allowed" in found.sentence

    def test_an_include_that_is_gone(self) -> None:
        answers = MAILJET | {(DOMAIN, "TXT"): ["v=spf1 include:spf.mailjet.com include:gone.example ~all"]}
        found = spf_finding(examined(), ask(answers))
        assert found.status is Status.ERROR
        assert "gone.example, which publishes no SPF record" in found.sentence


class TestDkim:
    def test_as_published(self, up: Up) -> None:
        row = up.api.dns(DOMAIN)
        assert row is not None
        assert dkim_finding(up.examined, up.resolver, name=row.dkim_name, value=row.dkim_value).status is Status.OK

    def test_another_key(self, up: Up) -> None:
        row = up.api.dns(DOMAIN)
        assert row is not None
        up.change(f"TXT {row.dkim_name}", content='"k=rsa; p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQC7"')
        found = dkim_finding(up.examined, up.resolver, name=row.dkim_name, value=row.dkim_value)
        assert found.status is Status.ERROR
        assert "is not the one that Mailjet signs with" in found.sentence

    def test_white_space_and_version_do_not_matter(self) -> None:
        published = {("k", "TXT"): ["v=DKIM1; k=rsa;  p=MIGfMA0GCSqG SIb3DQEB"]}
        assert dkim_finding(examined(), ask(published), name="k", value=KEY).status is Status.OK

    def test_none_revoked_and_two(self) -> None:
        for texts, said in (
            ([], "There is no DKIM key at k"),
            (["v=DKIM1; p="], "is empty, which revokes it"),
            ([KEY, KEY + "x"], "There are 2 keys at k"),
        ):
            found = dkim_finding(examined(), ask({("k", "TXT"): texts}), name="k", value=KEY)
            assert found.status is Status.ERROR
            assert said in found.sentence


class TestDmarc:
    def test_as_published(self, up: Up) -> None:
        found = only(dmarc_findings(up.examined, up.resolver))
        assert found.status is Status.OK
        assert "It only watches" in found.sentence

    def test_stricter_ones_are_not_nagged(self) -> None:
        answers = {(f"_dmarc.{DOMAIN}", "TXT"): ["v=DMARC1;p=reject"]}
        assert only(dmarc_findings(examined(dmarcPolicy="reject"), ask(answers))).sentence == "p=reject, as configured."

    def test_wrong_missing_and_double(self) -> None:
        for texts, said in (
            ([], "There is no DMARC record"),
            (["v=DMARC1; p=reject"], "The DMARC record is 'v=DMARC1; p=reject', expected 'v=DMARC1; p=none'"),
            (["v=DMARC1; p=none", "v=DMARC1; p=none"], "There are 2 DMARC records"),
        ):
            found = only(dmarc_findings(examined(), ask({(f"_dmarc.{DOMAIN}", "TXT"): texts})))
            assert found.status is Status.ERROR
            assert said in found.sentence

    def test_reports_elsewhere_need_consent(self) -> None:
        elsewhere = examined(dmarcAggregateReports=["dmarc@reports.example"])
        answers = {(f"_dmarc.{DOMAIN}", "TXT"): ["v=DMARC1; p=none; rua=mailto:dmarc@reports.example"]}
        found = only(dmarc_findings(elsewhere, ask(answers)), Status.WARNING)
        assert f"{DOMAIN}._report._dmarc.reports.example" in found.sentence
        consent = {(f"{DOMAIN}._report._dmarc.reports.example", "TXT"): ["v=DMARC1"]}
        assert only(dmarc_findings(elsewhere, ask(answers | consent))).status is Status.OK


def test_the_first_resolver_that_answers_is_enough(up: Up) -> None:
    assert first_answering([DEAF, up.resolver])(DOMAIN, "MX") == ["10 parse.mailjet.com"]
