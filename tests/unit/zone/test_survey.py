"""What counts as a foreign record in the way."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zone.spf_lookups import NoAnswerError
from zone.survey import (
    ForeignRecordsError,
    Place,
    SupersededRecordsError,
    SurveyedRecord,
    UnknownToTheStateError,
    WrongZoneError,
    ZoneNeeds,
    already_there,
    conflicts,
    hidden_email_routing,
    place_of,
    survey,
    wildcard_warnings,
)

OURS = "managed by pulumi: agentmail-dev"
CLAIM = ZoneNeeds(domain="dev.agents.example", tunnel_hostname="api-dev.agents.example")


def record(name: str, type_: str, content: str, comment: str = "") -> SurveyedRecord:
    return SurveyedRecord(id="f" * 32, name=name, type=type_, content=content, comment=comment)


IN_THE_WAY = [
    ("dev.agents.example", "MX", "mx.corp.example"),
    ("dev.agents.example", "TXT", "v=spf1 -all"),
    ("dev.agents.example", "TXT", '"v=spf1 " "include:x.example -all"'),
    ("dev.agents.example", "CNAME", "elsewhere.example"),
    ("_dmarc.dev.agents.example", "TXT", '"v=DMARC1; p=reject"'),
    ("_dmarc.dev.agents.example", "CNAME", "dmarc.example"),
    ("mailjet._domainkey.dev.agents.example", "TXT", "k=rsa; p=x"),
    ("mailjet._domainkey.dev.agents.example", "CNAME", "dkim.example"),
    ("mailjet._0a1b2c3d.dev.agents.example", "TXT", "token"),
    ("api-dev.agents.example", "A", "192.0.2.1"),
    ("api-dev.agents.example", "AAAA", "2001:db8::1"),
    ("api-dev.agents.example", "CNAME", "x.example"),
]
LEFT_ALONE = [
    ("dev.agents.example", "TXT", "google-site-verification=abc"),
    ("dev.agents.example", "TXT", "v=spf10 not spf"),
    ("dev.agents.example", "A", "192.0.2.1"),
    ("agents.example", "MX", "mx.corp.example"),
    ("agents.example", "TXT", "v=spf1 -all"),
    ("_dmarc.agents.example", "TXT", "v=DMARC1; p=reject"),
    ("mailjet._domainkey.agents.example", "TXT", "k=rsa; p=x"),
    ("other._domainkey.dev.agents.example", "TXT", "k=rsa; p=x"),
    ("*.agents.example", "CNAME", "x.example"),
    ("api-dev.agents.example", "TXT", "note"),
    ("notdev.agents.example", "MX", "mx.corp.example"),
    ("*.dev.agents.example", "MX", "mx.corp.example"),
    ("mailjet._domainkey.sub.dev.agents.example", "TXT", "k=rsa; p=x"),
    ("mailjet._0a1b2c3d.sub.dev.agents.example", "TXT", "token"),
    ("_dmarc.dev.agents.example", "TXT", "some-verification=1"),
    ("_smtp._tls.dev.agents.example", "TXT", "v=TLSRPTv1; rua=mailto:x@y.example"),
]


class TestConflicts:
    @pytest.mark.parametrize(("name", "type_", "content"), IN_THE_WAY)
    def test_in_the_way(self, name: str, type_: str, content: str) -> None:
        assert len(conflicts([record(name, type_, content)], CLAIM, comment=OURS)) == 1

    @pytest.mark.parametrize(("name", "type_", "content"), LEFT_ALONE)
    def test_left_alone(self, name: str, type_: str, content: str) -> None:
        assert conflicts([record(name, type_, content)], CLAIM, comment=OURS) == []

    @pytest.mark.parametrize(("name", "type_", "content"), IN_THE_WAY)
    def test_ours_by_the_exact_comment_only(self, name: str, type_: str, content: str) -> None:
        assert conflicts([record(name, type_, content, OURS)], CLAIM, comment=OURS) == []
        for other in ("managed by pulumi: agentmail-de", OURS + " ", OURS.upper(), "managed by pulumi"):
            assert conflicts([record(name, type_, content, other)], CLAIM, comment=OURS)

    def test_without_a_tunnel_its_host_is_free(self) -> None:
        assert (
            conflicts(
                [record("api-dev.agents.example", "A", "192.0.2.1")],
                ZoneNeeds(domain="dev.agents.example"),
                comment=OURS,
            )
            == []
        )

    def test_tls_reports_are_claimed_only_where_we_publish_them(self) -> None:
        needs = ZoneNeeds(domain="dev.agents.example", tls_reports=True)
        for type_ in ("TXT", "CNAME"):
            assert len(conflicts([record("_smtp._tls.dev.agents.example", type_, "x")], needs, comment=OURS)) == 1

    def test_adopted_records_are_no_conflict_any_more(self) -> None:
        foreign = record("dev.agents.example", "MX", "mx.corp.example")
        assert conflicts([foreign], CLAIM, comment=OURS, adopted={foreign.id}) == []

    def test_another_stack_s_record_says_whose_it_is(self) -> None:
        [found] = conflicts(
            [record("dev.agents.example", "MX", "m.example", "managed by pulumi: agentmail-prod")], CLAIM, comment=OURS
        )
        assert found.why.endswith("it belongs to the stack with the ownerTag 'agentmail-prod'")

    @pytest.mark.parametrize(
        ("name", "type_", "content", "place"),
        [
            ("dev.agents.example", "MX", "m.example", Place.MX),
            ("dev.agents.example", "TXT", '"v=spf1" " -all"', Place.SPF),
            ("_dmarc.dev.agents.example", "TXT", "v=DMARC1;p=none", Place.DMARC),
            ("_dmarc.dev.agents.example", "CNAME", "d.example", Place.ALIAS),
            ("mailjet._domainkey.dev.agents.example", "CNAME", "k.example", Place.DKIM),
            ("mailjet._0a1b2c3d.dev.agents.example", "TXT", "token", Place.OWNERSHIP),
            ("api-dev.agents.example", "AAAA", "2001:db8::1", Place.TUNNEL_HOST),
            ("www.agents.example", "A", "192.0.2.1", None),
        ],
    )
    def test_places(self, name: str, type_: str, content: str, place: Place | None) -> None:
        assert place_of(record(name, type_, content), CLAIM) is place

    def test_the_table_names_record_value_reason_and_command(self) -> None:
        found = conflicts([record("dev.agents.example", "MX", "mx.corp.example")], CLAIM, comment=OURS)
        message = str(ForeignRecordsError(found, adopt="./mail adopt dev"))
        assert "1 record that this program did not make" in message
        assert "dev.agents.example  MX    mx.corp.example  mail for the domain would go to both" in message
        assert message.endswith("./mail adopt dev")


class TestSurvey:
    def test_reads_cloudflares_listing(self) -> None:
        [found] = survey(
            [
                {
                    "id": "1",
                    "name": "A.Agents.example",
                    "type": "mx",
                    "content": "m.example",
                    "priority": 5.0,
                    "comment": None,
                }
            ],
            zone_name="agents.example",
            zone_id="2",
        )
        assert (found.name, found.type, found.priority, found.comment) == ("a.agents.example", "MX", 5, "")

    def test_a_record_of_another_zone_betrays_a_wrong_id(self) -> None:
        with pytest.raises(
            WrongZoneError,
            match=r"zoneName is 'agents\.example', but the zone with the id 2 holds the record 'x\.example'",
        ):
            survey([{"id": "1", "name": "x.example", "type": "A"}], zone_name="agents.example", zone_id="2")

    @given(st.lists(st.sampled_from(IN_THE_WAY + LEFT_ALONE)))
    def test_conflicts_are_a_selection_in_order(self, rows: list[tuple[str, str, str]]) -> None:
        records = [record(*row) for row in rows]
        found = [conflict.record for conflict in conflicts(records, CLAIM, comment=OURS)]
        assert found == [item for item, row in zip(records, rows, strict=True) if row in IN_THE_WAY]


class TestCreating:
    """A record that is about to be created although the zone has it."""

    ZONE = (
        record("dev.agents.example", "MX", "parse.mailjet.com", OURS),
        record("dev.agents.example", "TXT", '"v=spf1 -all"', OURS),
        record("dev.agents.example", "TXT", '"site-verification=1"'),
        record("_dmarc.dev.agents.example", "TXT", '"v=DMARC1; p=none"', OURS),
        record("www.agents.example", "A", "192.0.2.1"),
    )

    def find(self, type_: str, name: str, content: str) -> SurveyedRecord | None:
        return already_there(self.ZONE, CLAIM, type_=type_, name=name, content=content)

    def test_a_place_for_one_record_is_taken_whatever_the_content(self) -> None:
        assert self.find("TXT", "dev.agents.example", '"v=spf1 include:spf.mailjet.com ~all"') == self.ZONE[1]
        assert self.find("TXT", "_dmarc.dev.agents.example", '"v=DMARC1; p=reject"') == self.ZONE[3]

    def test_an_mx_is_there_only_with_its_host(self) -> None:
        assert self.find("MX", "dev.agents.example", "Parse.Mailjet.com.") == self.ZONE[0]
        assert self.find("MX", "dev.agents.example", "second.example") is None

    def test_other_places_and_other_names_are_free(self) -> None:
        assert self.find("TXT", "mailjet._domainkey.dev.agents.example", "k=rsa") is None
        assert self.find("CNAME", "api-dev.agents.example", "x.cfargotunnel.com") is None
        assert self.find("A", "www.agents.example", "192.0.2.2") is None

    def test_the_sentence_names_record_state_and_command(self) -> None:
        message = str(UnknownToTheStateError("mail-spf", self.ZONE[1], adopt="./mail adopt prod"))
        assert "mail-spf would be created, but the zone already holds dev.agents.example TXT" in message
        assert message.endswith("./mail adopt prod")

    def test_the_sentence_on_consent_names_both_ways(self) -> None:
        message = str(
            SupersededRecordsError(
                [record("dev.agents.example", "MX", "m.example")],
                consent="./mail adopt prod --replace-mx",
                keep="./mail adopt prod --forget",
            )
        )
        assert "The up deletes 1 foreign record (dev.agents.example MX m.example)" in message
        assert "./mail adopt prod --replace-mx" in message
        assert "./mail adopt prod --forget" in message


def listed(name: str, type_: str, content: str, **fields: object) -> SurveyedRecord:
    """A record from Cloudflare's listing."""
    return SurveyedRecord.parse({"id": f"{name} {type_}", "name": name, "type": type_, "content": content, **fields})


ZONED = ZoneNeeds(
    domain="dev.agents.example", tunnel_hostname="api-dev.agents.example", tls_reports=True, zone_name="agents.example"
)


class TestLocked:
    """What a service of Cloudflare's keeps for itself, as the API's object or the plugin's text says."""

    @pytest.mark.parametrize(
        ("meta", "locked_by"),
        [
            ({"email_routing": True, "read_only": True}, "Email Routing"),
            ('{"email_routing":true,"read_only":true}', "Email Routing"),
            ({"r2_bucket": "x", "read_only": True}, "Cloudflare itself"),
            ({"email_routing": True, "read_only": False}, ""),
            ({}, ""),
            ("no JSON", ""),
            ("[1]", ""),
            (None, ""),
        ],
    )
    def test_it_is_told_who_holds_it(self, meta: dict[str, object] | str | None, locked_by: str) -> None:
        mx = listed("dev.agents.example", "MX", "route1.mx.cloudflare.net", meta=meta)
        assert mx.locked_by == locked_by
        [conflict] = conflicts([mx], ZONED, comment=OURS)
        assert conflict.why.endswith(f"; {locked_by} has locked it" if locked_by else "would go to both")


class TestAlias:
    @pytest.mark.parametrize(
        "fields",
        [{"proxied": True}, {"settings": {"flatten_cname": True}}, {"settings": {"flattenCname": True}}],
    )
    def test_what_answers_for_itself_is_in_nobody_s_way(self, fields: dict[str, object]) -> None:
        assert place_of(listed("dev.agents.example", "CNAME", "site.pages.dev", **fields), ZONED) is None

    def test_nor_is_one_at_the_apex(self) -> None:
        apex = ZoneNeeds(domain="agents.example", zone_name="agents.example")
        assert place_of(listed("agents.example", "CNAME", "site.pages.dev"), apex) is None

    @pytest.mark.parametrize("name", ["dev", "_dmarc.dev", "_smtp._tls.dev"])
    def test_any_other_is(self, name: str) -> None:
        bare = listed(f"{name}.agents.example", "CNAME", "x.example", settings={"flatten_cname": False})
        assert place_of(bare, ZONED) is Place.ALIAS


class TestDelegations:
    @pytest.mark.parametrize(
        "name", ["dev", "_domainkey.dev", "mailjet._domainkey.dev", "_dmarc.dev", "_tls.dev", "api-dev"]
    )
    def test_at_or_above_a_place_of_ours(self, name: str) -> None:
        assert place_of(listed(f"{name}.agents.example", "NS", "ns1.x.example"), ZONED) is Place.DELEGATION

    @pytest.mark.parametrize("name", ["agents.example", "other.agents.example", "x.dev.agents.example", "example"])
    def test_the_apex_and_other_names_are_free(self, name: str) -> None:
        if name != "example":
            assert place_of(listed(name, "NS", "ns1.x.example"), ZONED) is None

    def test_between_zone_and_domain(self) -> None:
        deep = ZoneNeeds(domain="mail.dev.agents.example", zone_name="agents.example")
        assert place_of(listed("dev.agents.example", "NS", "ns1.x.example"), deep) is Place.DELEGATION


STAR_MX = listed("*.agents.example", "MX", "mx1.corp.example", priority=25)
STAR_A = listed("*.agents.example", "A", "192.0.2.1")


class TestWildcards:
    """RFC 4592: a wildcard answers for names that do not exist, and ceases to once anything stands at or below them."""

    def test_its_mx_is_a_conflict(self) -> None:
        [conflict] = conflicts([STAR_A, STAR_MX], ZONED, comment=OURS)
        assert (conflict.record, conflict.place) == (STAR_MX, Place.WILDCARD)

    @pytest.mark.parametrize("name", ["dev.agents.example", "x.dev.agents.example", "a.b.dev.agents.example"])
    def test_not_where_the_name_exists(self, name: str) -> None:
        assert conflicts([STAR_MX, listed(name, "TXT", "x")], ZONED, comment=OURS) == []

    def test_not_where_a_nearer_name_exists(self) -> None:
        deep = ZoneNeeds(domain="mail.dev.agents.example", zone_name="agents.example")
        assert conflicts([STAR_MX], deep, comment=OURS)
        assert conflicts([STAR_MX, listed("dev.agents.example", "A", "192.0.2.9")], deep, comment=OURS) == []

    def test_nor_where_a_nearer_wildcard_does(self) -> None:
        deep = ZoneNeeds(domain="mail.dev.agents.example", zone_name="agents.example")
        nearer = listed("*.dev.agents.example", "MX", "mx2.corp.example", priority=5)
        assert [found.record for found in conflicts([STAR_MX, nearer], deep, comment=OURS)] == [nearer]

    def test_the_apex_always_exists(self) -> None:
        apex = ZoneNeeds(domain="agents.example", zone_name="agents.example")
        assert conflicts([STAR_MX], apex, comment=OURS) == []

    def test_others_are_announced(self) -> None:
        said = wildcard_warnings([STAR_A, STAR_MX], ZONED)
        assert [sentence.split(" answers for ")[1].split(" ")[0] for sentence in said] == [
            "dev.agents.example",
            "api-dev.agents.example",
            "api-dev.agents.example",
        ]
        assert wildcard_warnings([listed("www.agents.example", "A", "192.0.2.1")], ZONED) == []


class TestHiddenEmailRouting:
    """Its MX can be missing from the listing: only the DNS shows them."""

    def said(self, records: list[SurveyedRecord], answer: list[str] | Exception) -> str:
        def resolve(name: str, rdtype: str) -> list[str]:
            if isinstance(answer, Exception):
                raise answer
            return answer if (name, rdtype) == ("dev.agents.example", "MX") else []

        return hidden_email_routing(records, ZONED, comment=OURS, resolve=resolve)

    def test_the_dns_tells(self) -> None:
        said = self.said([], ["13 Route1.MX.cloudflare.net.", "86 route2.mx.cloudflare.net"])
        assert "goes to route1.mx.cloudflare.net, route2.mx.cloudflare.net by the DNS" in said
        assert "Settings > Disable" in said

    def test_what_the_listing_shows_too_is_no_secret(self) -> None:
        shown = listed("dev.agents.example", "MX", "route1.mx.cloudflare.net")
        assert self.said([shown], ["13 route1.mx.cloudflare.net."]) == ""

    def test_beside_an_mx_of_ours_nobody_asks(self) -> None:
        ours = listed("dev.agents.example", "MX", "parse.mailjet.com", comment=OURS)
        assert self.said([ours], AssertionError("asked")) == ""

    @pytest.mark.parametrize(
        "answer", [[], ["10 mx1.corp.example."], NoAnswerError("dev.agents.example", "MX", "out of time")]
    )
    def test_otherwise_there_is_nothing_to_say(self, answer: list[str] | Exception) -> None:
        assert self.said([], answer) == ""
