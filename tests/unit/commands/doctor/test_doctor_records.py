"""The zone and the resolvers against what the stack wants."""

from __future__ import annotations

import pytest

from clients.dns import Resolver, ResolverError
from commands.doctor.finding import Status, worst
from commands.doctor.records import delegation_findings, resolver_findings, zone_findings
from tests.unit.commands.doctor.world import DOMAIN, HOST, Up, examined, only
from zone.spf_lookups import NoAnswerError

DEAF = Resolver("127.0.0.1", 1, seconds=0.05)
"""Nothing listens there."""


class Told:
    """A resolver that answers what a test tells it."""

    def __init__(self, name: str, answers: dict[tuple[str, str], list[str]]) -> None:
        self._name = name
        self._answers = answers

    def __str__(self) -> str:
        return self._name

    def __call__(self, name: str, rdtype: str) -> list[str]:
        return self._answers.get((name, rdtype), [])


class TestZone:
    def test_all_there(self, up: Up) -> None:
        findings = list(zone_findings(up.examined, up.zone))
        assert len(findings) == len(up.examined.records) == 6
        assert worst(findings) is Status.OK

    def test_a_deleted_record(self, up: Up) -> None:
        up.delete(f"MX {DOMAIN}")
        found = only(zone_findings(up.examined, up.zone), Status.ERROR)
        assert found.subject == f"MX {DOMAIN}"
        assert found.sentence == (
            "It is not in the zone, expected 10 parse.mailjet.com: put it back with: ./mail apply dev --refresh"
        )

    def test_a_changed_record(self, up: Up) -> None:
        up.change(f"TXT _dmarc.{DOMAIN}", content='"v=DMARC1; p=reject"')
        found = only(zone_findings(up.examined, up.zone), Status.ERROR)
        assert "The zone says v=DMARC1; p=reject, expected v=DMARC1; p=none; somebody has changed it" in found.sentence

    def test_a_lost_comment(self, up: Up) -> None:
        up.change(f"TXT {DOMAIN}", comment="")
        found = only(zone_findings(up.examined, up.zone), Status.WARNING)
        assert "has lost the comment 'managed by pulumi: agentmail-dev'" in found.sentence
        assert "./mail adopt dev" in found.sentence

    def test_a_foreign_record_in_the_way(self, up: Up) -> None:
        up.cloudflare.create(type="MX", name=DOMAIN, content="mx.elsewhere.example", priority=5, ttl=300)
        found = only(zone_findings(up.examined, up.zone), Status.ERROR)
        assert "mx.elsewhere.example is not this stack's and stands in the way" in found.sentence


class TestResolvers:
    def test_all_seen(self, up: Up) -> None:
        findings = list(resolver_findings(up.examined, [up.resolver]))
        assert len(findings) == 6
        assert worst(findings) is Status.OK

    def test_a_proxied_host_shows_as_addresses(self, up: Up) -> None:
        [found] = [item for item in resolver_findings(up.examined, [up.resolver]) if item.subject == f"CNAME {HOST}"]
        assert found.status is Status.OK

    def test_nobody_sees_it(self, up: Up) -> None:
        up.delete(f"MX {DOMAIN}")
        found = only(resolver_findings(up.examined, [up.resolver]), Status.ERROR)
        assert "knows no such record, expected 10 parse.mailjet.com" in found.sentence

    def test_some_see_it(self, up: Up) -> None:
        mx = [record for record in up.examined.records if record.type == "MX"]
        old = Told("9.9.9.9", {(DOMAIN, "MX"): ["10 old.example"]})
        found = only(resolver_findings(examined(mx), [up.resolver, old]))
        assert found.status is Status.WARNING
        assert found.sentence.startswith(
            "9.9.9.9 answers 10 old.example, expected 10 parse.mailjet.com, which 127.0.0.1"
        )

    def test_mail_goes_elsewhere_too(self, up: Up) -> None:
        mx = [record for record in up.examined.records if record.type == "MX"]
        both = Told("1.1.1.1", {(DOMAIN, "MX"): ["10 parse.mailjet.com", "5 mx.corp.example"]})
        found = only(resolver_findings(examined(mx), [both]))
        assert found.status is Status.ERROR
        assert "mail also goes to 5 mx.corp.example" in found.sentence

    def test_other_services_texts_do_not_count(self, up: Up) -> None:
        up.cloudflare.create(type="TXT", name=DOMAIN, content='"google-site-verification=1"', ttl=300)
        assert worst(list(resolver_findings(up.examined, [up.resolver]))) is Status.OK

    def test_no_resolver_answers(self, up: Up) -> None:
        mx = [record for record in up.examined.records if record.type == "MX"]
        found = only(resolver_findings(examined(mx), [DEAF]))
        assert found.status is Status.WARNING
        assert "name others with --resolver" in found.sentence

    def test_one_resolver_is_deaf(self, up: Up) -> None:
        mx = [record for record in up.examined.records if record.type == "MX"]
        found = only(resolver_findings(examined(mx), [up.resolver, DEAF]))
        assert found.status is Status.OK
        assert "No answer from 127.0.0.1:1." in found.sentence


class TestDelegation:
    def test_delegated(self, up: Up) -> None:
        zone = up.reader.zone(up.examined.settings.zone_id)
        assert only(delegation_findings(zone.name, zone.name_servers, [up.resolver])).status is Status.OK

    def test_elsewhere(self) -> None:
        told = Told("1.1.1.1", {("agents.example", "NS"): ["ns1.registrar.example"]})
        found = only(delegation_findings("agents.example", ["ada.ns.cloudflare.com"], [told]))
        assert found.status is Status.ERROR
        assert "answers ns1.registrar.example, expected ada.ns.cloudflare.com" in found.sentence


class TestResolverAddresses:
    @pytest.mark.parametrize(
        ("text", "host", "port"),
        [
            ("1.1.1.1", "1.1.1.1", 53),
            ("127.0.0.1:8853", "127.0.0.1", 8853),
            ("2606:4700:4700::1111", "2606:4700:4700::1111", 53),
            ("[2606:4700:4700::1111]:5353", "2606:4700:4700::1111", 5353),
        ],
    )
    def test_good(self, text: str, host: str, port: int) -> None:
        resolver = Resolver.parse(text)
        assert (resolver.host, resolver.port) == (host, port)

    @pytest.mark.parametrize("text", ["", "dns.google", "1.1.1", "1.1.1.1:", "1.1.1.1:0", "1.1.1.1:99999", "[::1"])
    def test_bad(self, text: str) -> None:
        with pytest.raises(ResolverError, match="expected an IP address"):
            Resolver.parse(text)

    def test_silence_is_an_error_that_names_the_resolver(self) -> None:
        with pytest.raises(NoAnswerError, match=r"127\.0\.0\.1:1"):
            DEAF("agents.example", "TXT")
