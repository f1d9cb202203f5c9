"""The records of a mail domain, and the text forms that DNS asks for."""

from typing import Any

import dns.rdata
import pytest
from dns.rdtypes.ANY.TXT import TXT
from hypothesis import given
from hypothesis import strategies as st

from zone.dmarc import DmarcPolicy, report_warnings
from zone.errors import RecordError
from zone.names import a_labels, host_beside, is_within
from zone.records import Record, certificate_warnings, configured_records, mailjet_records, mx_warnings, tunnel_record
from zone.spf import is_spf, spf_record
from zone.txt import joined, quoted

DOMAIN = "dev.agents.example"


def configured(**changes: Any) -> list[Record]:
    arguments = {
        "domain": DOMAIN,
        "mx_hosts": ["parse.mailjet.com"],
        "spf_include": "include:spf.mailjet.com",
        "spf_mechanisms": [],
        "spf_qualifier": "~",
        "dmarc": DmarcPolicy(),
        "tls_reports": [],
        "ttl": 300,
    }
    return configured_records(**{**arguments, **changes})


class TestConfiguredRecords:
    def test_the_default_set(self) -> None:
        facts = [(record.key, record.name, record.type, record.content, record.priority) for record in configured()]
        assert facts == [
            ("mx-parse.mailjet.com", DOMAIN, "MX", "parse.mailjet.com", 10),
            ("spf", DOMAIN, "TXT", '"v=spf1 include:spf.mailjet.com ~all"', None),
            ("dmarc", f"_dmarc.{DOMAIN}", "TXT", '"v=DMARC1; p=none"', None),
        ]

    def test_priorities_follow_the_order_of_the_hosts(self) -> None:
        records = configured(mx_hosts=["Parse.Mailjet.com.", "second.example"])
        assert [(r.content, r.priority) for r in records if r.type == "MX"] == [
            ("parse.mailjet.com", 10),
            ("second.example", 20),
        ]

    def test_a_host_keeps_its_name_whatever_its_position(self) -> None:
        names = {
            record.content: record.key
            for record in configured(mx_hosts=["a.example", "b.example"])
            if record.type == "MX"
        }
        moved = {record.content: record.key for record in configured(mx_hosts=["b.example"]) if record.type == "MX"}
        assert moved == {"b.example": names["b.example"]}

    def test_a_host_listed_twice_is_one_record(self) -> None:
        assert len([r for r in configured(mx_hosts=["a.example", "A.example."]) if r.type == "MX"]) == 1

    def test_tls_reports_go_by_mail_or_https(self) -> None:
        record = configured(tls_reports=["https://tls.example/a,b", "t@ágents.example"])[-1]
        assert record.content == '"v=TLSRPTv1; rua=https://tls.example/a%2Cb,mailto:t@xn--gents-wqa.example"'
        with pytest.raises(RecordError, match="agentmail:tlsReports has 'ftp://x'"):
            configured(tls_reports=["ftp://x"])

    def test_tls_reports_are_optional(self) -> None:
        record = configured(tls_reports=["tls@agents.example"])[-1]
        assert (record.name, record.content) == (
            f"_smtp._tls.{DOMAIN}",
            '"v=TLSRPTv1; rua=mailto:tls@agents.example"',
        )

    def test_every_record_says_what_it_is_for(self) -> None:
        assert all(record.why.endswith(".") for record in configured(tls_reports=["a@b.example"]))

    def test_what_the_output_shows(self) -> None:
        assert configured()[0].public() == {
            "name": DOMAIN,
            "type": "MX",
            "content": "parse.mailjet.com",
            "priority": 10,
            "ttl": 300,
            "proxied": False,
            "why": "Inbound mail for every agent goes to Mailjet's Parse API.",
        }


class TestDmarc:
    def test_all_tags_in_order(self) -> None:
        policy = DmarcPolicy(
            p="quarantine", sp="reject", adkim="s", aspf="r", rua=["a@x.example"], ruf=["mailto:b@x.example"], fo="1:d"
        )
        assert (
            policy.text()
            == "v=DMARC1; p=quarantine; sp=reject; adkim=s; aspf=r; rua=mailto:a@x.example; ruf=mailto:b@x.example; fo=1:d"
        )

    def test_commas_and_exclamation_marks_are_encoded(self) -> None:
        assert DmarcPolicy(rua=["a,b!c@x.example"]).text() == "v=DMARC1; p=none; rua=mailto:a%2Cb%21c@x.example"

    def test_reports_to_another_domain_need_its_consent(self) -> None:
        [warning] = report_warnings(DOMAIN, DmarcPolicy(rua=["d@reports.example", "d@agents.example"]))
        assert f'{DOMAIN}._report._dmarc.reports.example TXT "v=DMARC1"' in warning


class TestSpf:
    def test_terms_once_each(self) -> None:
        record = spf_record("include:spf.mailjet.com", ["ip4:192.0.2.0/24", "include:spf.mailjet.com"], "-")
        assert record == "v=spf1 include:spf.mailjet.com ip4:192.0.2.0/24 -all"

    @pytest.mark.parametrize("term", ["ptr", "ptr:x.example", "-all", "redirect=x.example", "ip4:x y", "mx mx", ""])
    def test_terms_that_may_not_stand_there(self, term: str) -> None:
        with pytest.raises(RecordError, match=r"agentmail:spfMechanisms has .*; expected an SPF mechanism"):
            spf_record("include:spf.mailjet.com", [term], "~")

    def test_ten_lookups_and_no_more(self) -> None:
        nine = [f"include:s{number}.example" for number in range(9)]
        assert spf_record("include:spf.mailjet.com", nine, "~")
        with pytest.raises(RecordError, match="11 terms that cause a DNS lookup; expected at most 10"):
            spf_record("include:spf.mailjet.com", [*nine, "mx"], "~")

    def test_addresses_cost_no_lookup(self) -> None:
        assert spf_record("include:spf.mailjet.com", [f"ip4:192.0.2.{n}" for n in range(30)], "~")

    @pytest.mark.parametrize(
        ("text", "expected"), [("v=spf1", True), ("V=SPF1 -all", True), ("v=spf10 -all", False), ("spf2.0/pra", False)]
    )
    def test_recognised_by_its_version(self, text: str, expected: bool) -> None:
        assert is_spf(text) is expected


FACTS: dict[str, Any] = {
    "domain": DOMAIN,
    "dkim_name": f"mailjet._domainkey.{DOMAIN}",
    "dkim_value": "k=rsa; p=" + "A" * 400,
    "ownership_name": f"mailjet._0a1b2c3d.{DOMAIN}",
    "ownership_token": "0a1b2c3d" * 4,
    "ttl": 300,
}


class TestMailjetRecords:
    def test_long_keys_are_split_into_strings_of_255_bytes(self) -> None:
        dkim, _ = mailjet_records(**FACTS)
        first, second = dkim.content.split(" ", 3)[0], dkim.content
        assert first.startswith('"k=rsa;')
        assert second.count('"') == 4
        assert joined(dkim.content) == FACTS["dkim_value"]

    def test_a_name_outside_the_domain_is_refused(self) -> None:
        with pytest.raises(RecordError, match=r"Mailjet's ownership record has the name 'mailjet\._x\.other\.example'"):
            mailjet_records(**{**FACTS, "ownership_name": "mailjet._x.other.example"})


class TestText:
    @given(st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=1200))
    def test_quoting_loses_nothing(self, text: str) -> None:
        assert joined(quoted(text)) == text

    @given(st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=256, max_size=1200))
    def test_no_string_is_longer_than_255(self, text: str) -> None:
        rdata = dns.rdata.from_text("IN", "TXT", quoted(text))
        assert isinstance(rdata, TXT)
        assert max(len(piece) for piece in rdata.strings) <= 255
        assert b"".join(rdata.strings).decode() == text

    def test_other_characters_are_refused(self) -> None:
        with pytest.raises(ValueError, match="printable ASCII"):
            quoted("ñ")

    @pytest.mark.parametrize(
        ("content", "text"),
        [("v=spf1 -all", "v=spf1 -all"), ('"a" "b"', "ab"), (r'"a\"b"', 'a"b'), ('  "x"  ', "x"), ('""', "")],
    )
    def test_unquoted_and_quoted_contents_read_alike(self, content: str, text: str) -> None:
        assert joined(content) == text


class TestNames:
    def test_within(self) -> None:
        assert is_within("A.b.example.", "B.example")
        assert is_within("b.example", "b.example.")
        assert not is_within("ab.example", "b.example")

    def test_a_labels(self) -> None:
        assert a_labels("Ágents.example.") == "xn--gents-wqa.example"
        assert a_labels("_dmarc.A.example") == "_dmarc.a.example"
        with pytest.raises(ValueError, match="is no international domain name"):
            a_labels("ñ..example")


def test_the_tunnel_s_cname_is_proxied_with_the_only_ttl_that_allows() -> None:
    record = tunnel_record(hostname="api.agents.example", target="x.cfargotunnel.com")
    assert (record.type, record.content, record.proxied, record.ttl) == ("CNAME", "x.cfargotunnel.com", True, 1)


def test_relays_for_sending_are_no_mx() -> None:
    [warning] = mx_warnings(["parse.mailjet.com", "in-v3.mailjet.com."])
    assert "'in-v3.mailjet.com.'" in warning


class TestCertificates:
    """Universal SSL covers the zone and one level below it."""

    @pytest.mark.parametrize(
        ("host", "warned"),
        [
            ("api-dev.agents.example", False),
            ("agents.example", False),
            ("api.dev.agents.example", True),
            ("a.b.c.agents.example", True),
            ("api.elsewhere.example", False),
        ],
    )
    def test_only_what_lies_deeper(self, host: str, warned: bool) -> None:
        said = certificate_warnings(host, domain="dev.agents.example", zone_name="agents.example")
        assert bool(said) is warned
        assert not said or "such as 'api-dev.agents.example'" in said[0]

    def test_a_zone_elsewhere_has_its_own_certificates(self) -> None:
        assert certificate_warnings("api.dev.agents.example", domain="dev.agents.example", zone_name="") == []

    @pytest.mark.parametrize(
        ("domain", "zone", "host"),
        [
            ("agents.example", "agents.example", "api.agents.example"),
            ("dev.agents.example", "agents.example", "api-dev.agents.example"),
            ("mail.dev.agents.example", "agents.example", "api-mail-dev.agents.example"),
            ("dev.agents.example", "", "api.dev.agents.example"),
        ],
    )
    def test_what_is_proposed_is_covered(self, domain: str, zone: str, host: str) -> None:
        assert host_beside("api", domain, zone) == host
        assert certificate_warnings(host, domain=domain, zone_name=zone) == []
