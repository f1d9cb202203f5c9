"""Single cases of a plan, each with the reason that it is as it is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import pytest

from clients.cloudflare.zone_api import AccountTunnel
from commands.adopt.other_stacks import OtherStack, has_tag
from commands.adopt.plan import AdoptionPlan, PlanInput, import_file, is_unknown, make_plan
from commands.adopt.stack_state import HeldRecord, StackState
from settings.loading import from_config
from tests.unit.commands.adopt.world import CONFIG, ZONE_ID
from zone.survey import SurveyedRecord

DOMAIN = "dev.agents.example"
OURS = "managed by pulumi: agentmail-dev"
MX = {"name": DOMAIN, "type": "MX", "content": "mx1.corp.example", "priority": 10}
SPF = {"name": DOMAIN, "type": "TXT", "content": '"v=spf1 mx -all"'}
DMARC = {"name": f"_dmarc.{DOMAIN}", "type": "TXT", "content": "v=DMARC1; p=reject"}
STAR_MX = {**MX, "name": "*.agents.example", "priority": 25}
OWN_SPF = {**SPF, "comment": OURS}


def ids(number: int) -> str:
    return f"{number:032x}"


def zone(*bodies: dict[str, Any]) -> list[SurveyedRecord]:
    return [SurveyedRecord.parse({"id": ids(number), **body}) for number, body in enumerate(bodies, start=1)]


def held(name: str, number: int, **fields: Any) -> HeldRecord:
    return HeldRecord(urn=f"urn::{name}", name=name, id=ids(number), **{"comment": OURS, **fields})


def state(*records: HeldRecord, **fields: Any) -> StackState:
    return StackState(records, **fields)


def plan(
    records: Sequence[SurveyedRecord],
    known: StackState | None = None,
    *,
    tunnels: Sequence[AccountTunnel] = (),
    discard: bool = False,
    replace: bool = False,
    stack: str = "dev",
    others: Sequence[OtherStack] = (),
    **config: object,
) -> AdoptionPlan:
    settings = from_config({**CONFIG, **config}, stack=stack, preview=True)
    situation = PlanInput(
        stack=stack, zone=records, state=known or state(), settings=settings, tunnels=tunnels, others=others
    )
    return make_plan(situation, discard=discard, replace=replace)


def names(made: AdoptionPlan) -> list[tuple[str, bool]]:
    return [(item.name, item.protect) for item in made.imports]


class TestACopiedTag:
    """A tag is a text in a file, and files are copied: what another stack holds is no record of ours."""

    ELSEWHERE: ClassVar = {**OWN_SPF, "name": "prod.agents.example"}
    TUNNEL: ClassVar = AccountTunnel(id="t1", name="agentmail-dev", remotely_managed=True)

    @pytest.mark.parametrize("discard", [False, True])
    def test_what_stands_in_another_state_is_never_ours(self, discard: bool) -> None:
        prod = OtherStack(name="prod", holds=frozenset({ids(1), "t1"}))
        made = plan(zone(OWN_SPF), tunnels=[self.TUNNEL], others=[prod], discard=discard)
        assert (made.imports, made.discards, made.tunnel_discards) == ([], [], [])
        spf, tunnel = made.blockers
        assert "stands in the state of the stack 'prod', and so is that stack's" in spf
        assert "./mail pulumi config set --stack dev ownerTag agentmail-dev-2" in spf
        assert tunnel.startswith("the tunnel 'agentmail-dev' (id t1) carries this stack's ownerTag")

    def test_what_is_in_nobody_s_way_is_left_alone(self) -> None:
        prod = OtherStack(name="prod", holds=frozenset({ids(1)}))
        made = plan(zone(self.ELSEWHERE), others=[prod])
        assert made.is_empty
        assert (made.blockers, made.left) == ([], [])
        assert "it is left alone" in made.notes[0]

    def test_a_discard_never_takes_another_stack_s_records(self) -> None:
        prod = OtherStack(name="prod", holds=frozenset({ids(1)}))
        made = plan(zone(self.ELSEWHERE), others=[prod], discard=True)
        assert made.discards == []
        assert made.blockers

    def test_the_same_tag_in_another_file_leaves_the_question_open(self) -> None:
        made = plan(
            zone({**SPF, "comment": "managed by pulumi: agentmail-prod"}),
            others=[OtherStack(name="prod", has_our_tag=True)],
            ownerTag="agentmail-prod",
        )
        [blocker] = made.blockers
        assert "which Pulumi.prod.yaml has as well, for the same zone" in blocker
        assert "./mail pulumi config set --stack dev ownerTag agentmail-dev;" in blocker

    def test_a_state_that_cannot_be_read_is_told(self) -> None:
        others = [
            OtherStack(name="prod", unread="no passphrase"),
            OtherStack(name="staging", holds=frozenset({ids(9)})),
        ]
        made = plan(zone(OWN_SPF), others=others)
        assert names(made) == [("mail-spf", False)]
        assert "The state of the stack 'prod' could not be read (no passphrase)" in made.notes[0]

    @pytest.mark.parametrize(
        ("config", "found"),
        [
            ({"agentmail:ownerTag": "agentmail-dev", "agentmail:zoneId": ids(1)}, True),
            ({"agentmail:ownerTag": "agentmail-dev", "agentmail:zoneId": ids(2)}, False),
            ({"agentmail:zoneId": ids(1)}, False),
            ({}, False),
        ],
    )
    def test_which_file_has_our_tag(self, config: dict[str, object], found: bool) -> None:
        assert has_tag(config, stack="prod", tag="agentmail-dev", zone_id=ids(1)) is found

    def test_a_stack_of_that_name_has_it_by_default(self) -> None:
        assert has_tag({"agentmail:zoneId": ids(1)}, stack="dev", tag="agentmail-dev", zone_id=ids(1))

    def test_other_stacks_are_looked_at_only_where_something_is_unknown(self) -> None:
        settings = from_config(CONFIG, stack="dev", preview=True)

        def asks(records: Sequence[SurveyedRecord], known: StackState, tunnels: Sequence[AccountTunnel] = ()) -> bool:
            return is_unknown(PlanInput(stack="dev", zone=records, state=known, settings=settings, tunnels=tunnels))

        assert not asks(zone(SPF, MX), state())
        assert not asks(zone(OWN_SPF), state(held("mail-spf", 1)))
        assert asks(zone(OWN_SPF), state())
        assert asks(zone(), state(), [self.TUNNEL])


class TestForeign:
    def test_one_of_each(self) -> None:
        made = plan(zone(MX, SPF, DMARC))
        assert names(made) == [("superseded-mx-1", True), ("mail-spf", True), ("mail-dmarc", True)]
        assert made.settings == {
            "spfMechanisms": ["a:mx1.corp.example"],
            "spfQualifier": "-",
            "dmarcPolicy": "reject",
            "mxPreference": 20,
            "adoptedRecords": [
                {"name": "mail-dmarc", "id": ids(3)},
                {"name": "mail-spf", "id": ids(2)},
                {"name": "superseded-mx-1", "id": ids(1)},
            ],
        }
        assert [made.comments, made.copies, made.discards, made.tunnel_discards] == [[], [], [], []]

    def test_an_mx_like_ours_becomes_ours(self) -> None:
        assert names(plan(zone({**MX, "content": "Parse.Mailjet.com"}))) == [("mail-mx-parse.mailjet.com", True)]

    def test_spf_mx_keeps_its_meaning_only_where_hosts_go(self) -> None:
        assert plan(zone({**MX, "content": "parse.mailjet.com"}, SPF)).settings["spfMechanisms"] == ["mx"]

    def test_of_two_dmarc_records_the_one_like_ours_is_ours(self) -> None:
        made = plan(zone({**DMARC, "content": "v=DMARC1;p=none"}, {**DMARC, "content": '"v=DMARC1; p=reject"'}))
        assert {item.id: item.name for item in made.imports} == {ids(2): "mail-dmarc", ids(1): "superseded-dmarc-1"}

    def test_beside_our_own_record_a_foreign_one_is_superseded(self) -> None:
        ours = {**DMARC, "comment": OURS, "content": '"v=DMARC1; p=none"'}
        made = plan(zone(ours, DMARC), state(held("mail-dmarc", 1)))
        assert names(made) == [("superseded-dmarc-1", True)]
        assert made.settings["dmarcPolicy"] == "reject"

    def test_superseded_numbers_go_on(self) -> None:
        known = state(held("superseded-mx-1", 1, comment="", protected=True))
        made = plan(
            zone(MX, {**MX, "content": "mx2.corp.example"}),
            known,
            adoptedRecords=[{"name": "superseded-mx-1", "id": ids(1)}],
        )
        assert names(made) == [("superseded-mx-2", True)]

    def test_a_lost_own_record_in_its_place_asks_for_a_refresh(self) -> None:
        made = plan(zone(SPF), state(held("mail-spf", 9)))
        assert made.imports == []
        assert "whose own record (id" in made.blockers[0]
        assert made.blockers[0].endswith("./mail pulumi refresh --stack dev")

    def test_the_id_of_a_wrong_hand_is_never_imported_twice(self) -> None:
        assert names(plan(zone(SPF), state(held("mail-spf", 1, comment="", protected=True)))) == []


class TestBlocked:
    @pytest.mark.parametrize(
        ("body", "sentence"),
        [
            (
                {"name": DOMAIN, "type": "CNAME", "content": "x.example"},
                "is an alias where this program's own records must stand",
            ),
            ({"name": f"_dmarc.{DOMAIN}", "type": "CNAME", "content": "x.example"}, "is an alias where"),
            ({"name": "api-dev.agents.example", "type": "A", "content": "192.0.2.1"}, "serves the tunnel's host today"),
            (
                {"name": f"mailjet._domainkey.{DOMAIN}", "type": "CNAME", "content": "x.example"},
                "Mailjet looks for a TXT record",
            ),
            (
                {**MX, "content": "route1.mx.cloudflare.net", "meta": {"email_routing": True, "read_only": True}},
                "is locked by Email Routing (read_only in its meta), so that nobody can change or delete it",
            ),
            (
                {**SPF, "meta": {"email_routing": True, "read_only": True}},
                "Email > Email Routing > Settings > Disable",
            ),
            ({"name": DOMAIN, "type": "NS", "content": "ns1.x.example"}, "delegates the name to other name servers"),
            ({"name": f"_domainkey.{DOMAIN}", "type": "NS", "content": "ns1.x.example"}, "set agentmail:dns to none"),
            (
                {**DMARC, "comment": "managed by pulumi: agentmail-prod"},
                "belongs to the stack with the ownerTag 'agentmail-prod'",
            ),
        ],
    )
    def test_what_no_program_should_decide(self, body: dict[str, object], sentence: str) -> None:
        """Each with what a person can do about it."""
        made = plan(zone(body))
        assert made.imports == []
        assert sentence in made.blockers[0]

    def test_two_spf_records_would_keep_mailjet_from_verifying(self) -> None:
        for zone_, known in (
            (zone(SPF, {**SPF, "content": "v=spf1 a ~all"}), state()),
            (zone(OWN_SPF, {**SPF, "content": "v=spf1 a ~all"}), state(held("mail-spf", 1))),
        ):
            made = plan(zone_, known)
            assert made.imports == []
            assert (
                "is one of 2 SPF records, which receivers treat as a permanent error (RFC 7208, 4.5)"
                in made.blockers[0]
            )

    def test_two_dkim_keys_and_no_way_to_tell(self) -> None:
        keys = [
            {"name": f"mailjet._domainkey.{DOMAIN}", "type": "TXT", "content": n} for n in ("k=rsa; p=A", "k=rsa; p=B")
        ]
        assert len(plan(zone(*keys)).blockers) == 2

    def test_two_ownership_tokens_and_no_way_to_tell(self) -> None:
        tokens = [{"name": f"mailjet._{n}.{DOMAIN}", "type": "TXT", "content": n} for n in ("aaaaaaaa", "bbbbbbbb")]
        assert len(plan(zone(*tokens)).blockers) == 2
        known = state(ownership_name=f"mailjet._bbbbbbbb.{DOMAIN}")
        assert names(plan(zone(*tokens), known)) == [("superseded-ownership-1", True), ("mail-ownership", True)]


class TestComments:
    def test_a_lost_comment_comes_back(self) -> None:
        made = plan(zone({**SPF, "comment": "edited"}), state(held("mail-spf", 1, content=SPF["content"])))
        assert [record.id for record in made.comments] == [ids(1)]
        assert made.imports == []

    def test_with_other_content_the_state_must_know_first(self) -> None:
        made = plan(zone({**SPF, "comment": "edited"}), state(held("mail-spf", 1, content="v=spf1 ~all")))
        assert made.comments == []
        assert made.blockers[0].endswith("./mail pulumi refresh --stack dev")

    def test_what_a_restore_gave_back_is_foreign_again(self) -> None:
        made = plan(zone(SPF), state(held("mail-spf", 1, content=SPF["content"], retained=True)))
        assert made.comments == []
        assert made.settings["adoptedRecords"] == [{"name": "mail-spf", "id": ids(1)}]

    def test_a_pending_adoption_is_no_lost_comment(self) -> None:
        made = plan(zone(SPF), state(held("mail-spf", 1, comment="", protected=True)))
        assert made.comments == []
        assert made.settings["adoptedRecords"] == [{"name": "mail-spf", "id": ids(1)}]


class TestRenamedStack:
    def test_the_old_tag_becomes_explicit(self) -> None:
        made = plan(zone(OWN_SPF), state(held("mail-spf", 1)), stack="prod")
        assert made.settings == {"ownerTag": "agentmail-dev"}
        assert (made.comments, made.imports, made.blockers) == ([], [], [])
        assert "The stack was renamed" in made.notes[0]

    def test_a_tag_changed_on_purpose_is_refused(self) -> None:
        made = plan(zone(OWN_SPF), state(held("mail-spf", 1)), ownerTag="new")
        assert (
            "agentmail:ownerTag is 'new', but the records in the stack's state carry 'agentmail-dev'"
            in made.blockers[0]
        )
        assert "ownerTag agentmail-dev" in made.blockers[0]


class TestOwnButUnknown:
    def test_comes_back_under_its_declared_name(self) -> None:
        assert names(plan(zone(OWN_SPF))) == [("mail-spf", False)]
        assert names(plan(zone(OWN_SPF), protected="true")) == [("mail-spf", True)]

    def test_what_a_destroy_kept_for_its_owner_stays_protected(self) -> None:
        made = plan(zone(OWN_SPF), adoptedRecords=[{"name": "mail-spf", "id": ids(1)}])
        assert names(made) == [("mail-spf", True)]
        assert made.settings == {}

    def test_a_twin_of_a_known_record_is_left_and_named(self) -> None:
        made = plan(zone(OWN_SPF, {**OWN_SPF, "content": "v=spf1 ~all"}), state(held("mail-spf", 1)))
        assert made.is_empty
        assert "beside the one in the state" in made.left[0]

    def test_an_own_record_without_a_place_is_left_and_named(self) -> None:
        made = plan(
            zone({"name": "old.agents.example", "type": "CNAME", "content": "x.cfargotunnel.com", "comment": OURS})
        )
        assert "the program declares no such record" in made.left[0]

    def test_discard_deletes_it_instead(self) -> None:
        made = plan(zone(OWN_SPF, SPF), discard=True)
        assert [record.id for record in made.discards] == [ids(1)]
        assert names(made) == [("mail-spf", True)]


ADOPTED_MX = state(held("superseded-mx-1", 1, comment="", protected=True))
AS_CONFIGURED: dict[str, Any] = {"adoptedRecords": [{"name": "superseded-mx-1", "id": ids(1)}], "mxPreference": 20}


class TestPreference:
    """Ours is never the better MX while one stands that the next `up` deletes last."""

    @pytest.mark.parametrize(
        ("priorities", "expected"),
        [((25,), 35), ((5, 50), 60), ((0,), None), ((65_535,), 65_535), ((65_530, 1), 65_535)],
    )
    def test_worse_than_the_worst_of_theirs(self, priorities: tuple[int, ...], expected: int | None) -> None:
        theirs = [{**MX, "content": f"mx{number}.corp.example", "priority": number} for number in priorities]
        assert plan(zone(*theirs)).settings.get("mxPreference") == expected

    @pytest.mark.parametrize("standing", [1, 10, 50])
    def test_one_like_ours_stays_as_good_as_it_is(self, standing: int) -> None:
        made = plan(zone({**MX, "priority": 25}, {**MX, "content": "parse.mailjet.com", "priority": standing}))
        assert made.settings.get("mxPreference", 10) == standing

    def test_ours_in_use_stays_where_a_foreign_one_came_later(self) -> None:
        ours = {**MX, "content": "parse.mailjet.com", "comment": OURS}
        made = plan(zone(ours, {**MX, "priority": 25}), state(held("mail-mx-parse.mailjet.com", 1)))
        assert "mxPreference" not in made.settings

    def test_alone_it_is_as_it_was(self) -> None:
        assert "mxPreference" not in plan(zone(SPF, DMARC)).settings

    def test_one_that_somebody_has_chosen_and_that_is_worse_anyway_stays(self) -> None:
        assert "mxPreference" not in plan(zone(MX), mxPreference=100).settings


GOOGLE = [f"{name}.l.google.com" for name in ("aspmx", "alt1.aspmx", "alt2.aspmx", "alt3.aspmx", "alt4.aspmx")]


class TestCostOfSpf:
    """An ordinary domain of Google's must be able to come, and no record may become one that receivers refuse."""

    WORLD: ClassVar = {
        ("_spf.google.com", "TXT"): ["v=spf1 include:_netblocks.google.com include:_netblocks2.google.com ~all"],
        ("_netblocks.google.com", "TXT"): ["v=spf1 ip4:192.0.2.0/25 ~all"],
        ("_netblocks2.google.com", "TXT"): ["v=spf1 ip6:2001:db8::/32 ~all"],
        ("spf.mailjet.com", "TXT"): ["v=spf1 ip4:198.51.100.0/24 ?all"],
    }

    def plan(
        self,
        text: str,
        addresses: tuple[str, ...] = ("192.0.2.1", "2001:db8::1"),
        more: dict[tuple[str, str], list[str]] | None = None,
    ) -> AdoptionPlan:
        world = {**self.WORLD, **(more or {})}
        for host in GOOGLE:
            world[host, "A"], world[host, "AAAA"] = [addresses[0]], [addresses[1]]
        settings = from_config(CONFIG, stack="dev", preview=True)
        records = zone(*({**MX, "content": host} for host in GOOGLE), {**SPF, "content": text})
        return make_plan(
            PlanInput(
                stack="dev",
                zone=records,
                state=state(),
                settings=settings,
                resolve=lambda name, rdtype: world.get((name, rdtype), []),
            )
        )

    def test_what_an_include_covers_is_left_out(self) -> None:
        made = self.plan("v=spf1 a mx include:_spf.google.com ~all")
        assert made.settings["spfMechanisms"] == ["a", "include:_spf.google.com"]
        assert any("is left out, since an include permits it anyway" in note for note in made.notes)
        assert made.blockers == []

    def test_what_it_does_not_cover_goes_on_as_addresses(self) -> None:
        made = self.plan("v=spf1 a mx include:_spf.google.com ~all", addresses=("203.0.113.9", "2001:db8::1"))
        assert made.settings["spfMechanisms"] == ["a", "ip4:203.0.113.9", "include:_spf.google.com"]

    def test_what_the_owner_has_written_stays_even_if_covered(self) -> None:
        made = self.plan("v=spf1 ip4:192.0.2.7 include:_spf.google.com ~all")
        assert made.settings["spfMechanisms"] == ["ip4:192.0.2.7", "include:_spf.google.com"]

    def test_what_would_break_is_refused_with_a_way_out(self) -> None:
        nested = {("many.example", "TXT"): ["v=spf1 " + " ".join(f"a:h{n}.example" for n in range(7)) + " -all"]}
        made = self.plan("v=spf1 a include:many.example a:b.example -all", more=nested)
        [blocker] = made.blockers
        assert (
            "cannot go on in ours, which would have 11 DNS lookups, nested ones counted; expected at most 10" in blocker
        )
        assert "remove from it in Cloudflare's dashboard" in blocker

    def test_a_record_of_too_many_terms_is_the_owner_s_and_not_a_key_s(self) -> None:
        made = self.plan("v=spf1 " + " ".join(f"a:h{n}.example" for n in range(10)) + " -all")
        [blocker] = made.blockers
        assert blocker.startswith("dev.agents.example TXT v=spf1 a:h0.example")
        assert "which would have 11 terms that cause a DNS lookup; expected at most 10" in blocker


class TestWildcardMx:
    """Mail moves only with the consent that an explicit MX needs, and in the same order."""

    def test_without_consent_it_is_told(self) -> None:
        made = plan(zone(STAR_MX))
        assert made.copies == []
        assert "agree to that with: " in made.notes[-1]
        assert made.notes[-1].startswith(
            "*.agents.example MX mx1.corp.example takes the mail of dev.agents.example today"
        )

    def test_with_it_the_domain_gets_the_same_mx_first(self) -> None:
        made = plan(zone(STAR_MX), replace=True)
        assert [(one["name"], one["priority"], one["content"]) for one in made.copies] == [
            (DOMAIN, 25, "mx1.corp.example")
        ]
        assert not made.is_empty

    def test_which_then_is_one_like_any_other(self) -> None:
        made = plan(zone(STAR_MX, {**MX, "priority": 25}), replace=True)
        assert made.copies == []
        assert names(made) == [("superseded-mx-1", False)]
        assert made.settings["mxPreference"] == 35

    def test_other_wildcards_are_named(self) -> None:
        [note] = plan(zone({"name": "*.agents.example", "type": "A", "content": "192.0.2.1"})).notes[:1]
        assert "answers for dev.agents.example and the names below it today, and not any more" in note


class TestConsent:
    def test_lifts_the_protection_and_says_so_in_the_configuration(self) -> None:
        made = plan(zone(MX), ADOPTED_MX, replace=True, **AS_CONFIGURED)
        assert [item.name for item in made.releases] == ["superseded-mx-1"]
        assert made.settings == {
            "adoptedRecords": [{"name": "superseded-mx-1", "id": ids(1), "protected": False}],
            "replaceForeignMx": True,
        }

    def test_the_switch_in_the_configuration_is_consent_to_what_was_adopted_before(self) -> None:
        made = plan(zone(MX), ADOPTED_MX, replaceForeignMx="true", **AS_CONFIGURED)
        assert [item.name for item in made.releases] == ["superseded-mx-1"]

    def test_but_not_to_what_is_adopted_now(self) -> None:
        assert names(plan(zone(MX), replaceForeignMx="true")) == [("superseded-mx-1", True)]
        assert names(plan(zone(MX), replace=True)) == [("superseded-mx-1", False)]

    def test_it_ends_with_what_it_was_given_for(self) -> None:
        made = plan([], state(), replaceForeignMx="true", **AS_CONFIGURED)
        assert made.settings == {"adoptedRecords": None, "replaceForeignMx": None}


class TestTunnel:
    TUNNEL = AccountTunnel(id="11111111-2222-4333-8444-555555555555", name="agentmail-dev")

    def test_an_unknown_tunnel_of_our_name_comes_back(self) -> None:
        [item] = plan([], tunnels=[self.TUNNEL]).imports
        assert (item.name, item.parent, item.protect) == ("api-tunnel", "api", False)

    def test_a_known_one_is_left(self) -> None:
        assert plan([], state(tunnels={self.TUNNEL.id: "api-tunnel"}), tunnels=[self.TUNNEL]).is_empty

    def test_a_second_one_is_named(self) -> None:
        made = plan([], state(tunnels={"other": "api-tunnel"}), tunnels=[self.TUNNEL])
        assert "beside the one in the state" in made.left[0]

    def test_discard(self) -> None:
        assert plan([], tunnels=[self.TUNNEL], discard=True).tunnel_discards == [self.TUNNEL]

    def test_one_with_a_local_ingress_would_be_replaced(self) -> None:
        local = AccountTunnel(id=self.TUNNEL.id, name=self.TUNNEL.name, remotely_managed=False)
        assert "keeps its ingress in a local file" in plan([], tunnels=[local]).blockers[0]


class TestImportFile:
    def test_components_are_made_or_named(self) -> None:
        items = plan(zone(MX, SPF), tunnels=[TestTunnel.TUNNEL]).imports
        fresh = import_file(items, state(), zone_id=ZONE_ID, account_id="a" * 32, version="6.23.1")
        assert fresh == {
            "nameTable": {},
            "resources": [
                {"type": "azt3knet:mail:MailDomain", "name": "mail", "component": True},
                {"type": "azt3knet:mail:ApiTunnel", "name": "api", "component": True},
                {
                    "type": "cloudflare:index/dnsRecord:DnsRecord",
                    "name": "superseded-mx-1",
                    "id": f"{ZONE_ID}/{ids(1)}",
                    "version": "6.23.1",
                },
                {
                    "type": "cloudflare:index/dnsRecord:DnsRecord",
                    "name": "mail-spf",
                    "id": f"{ZONE_ID}/{ids(2)}",
                    "version": "6.23.1",
                    "parent": "mail",
                },
                {
                    "type": "cloudflare:index/zeroTrustTunnelCloudflared:ZeroTrustTunnelCloudflared",
                    "name": "api-tunnel",
                    "id": f"{'a' * 32}/{TestTunnel.TUNNEL.id}",
                    "version": "6.23.1",
                    "parent": "api",
                },
            ],
        }
        known = import_file(
            items, state(components={"mail": "urn:m", "api": "urn:a"}), zone_id="z", account_id="a", version="1"
        )
        assert known["nameTable"] == {"mail": "urn:m", "api": "urn:a"}
        assert not any("component" in entry for entry in known["resources"])
