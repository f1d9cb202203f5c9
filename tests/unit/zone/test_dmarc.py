"""DMARC: our policy, and one that is at least as strict as a foreign one (RFC 9989)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zone.dmarc import STRICTNESS, DmarcPolicy, is_dmarc, keep_dmarc, report_warnings
from zone.errors import RecordError

DOMAIN = "dev.agents.example"
policies = st.sampled_from(STRICTNESS)
ours = st.builds(
    DmarcPolicy,
    p=policies,
    sp=st.sampled_from(["", *STRICTNESS]),
    adkim=st.sampled_from(["", "r", "s"]),
    rua=st.lists(st.sampled_from(["a@agents.example", "b@agents.example"]), max_size=2, unique=True).map(tuple),
)
foreign = st.builds(
    lambda parts, gap: f"v=DMARC1;{gap}" + f";{gap}".join(f"{tag}={value}" for tag, value in parts.items()),
    st.fixed_dictionaries(
        {},
        optional={
            "p": st.one_of(policies, st.just("bogus")),
            "sp": policies,
            "adkim": st.sampled_from("rs"),
            "aspf": st.sampled_from("rs"),
            "rua": st.sampled_from(
                ["mailto:x@corp.example", "mailto:x@corp.example!10m,mailto:a@agents.example", "junk"]
            ),
            "ruf": st.just("mailto:f@corp.example"),
            "fo": st.sampled_from(["1", "0:d", "x"]),
            "pct": st.integers(0, 100),
            "ri": st.just(86400),
        },
    ),
    st.sampled_from(["", " "]),
)


class TestText:
    def test_addresses_of_international_domains(self) -> None:
        assert DmarcPolicy(rua=["a@ágents.example"]).text() == "v=DMARC1; p=none; rua=mailto:a@xn--gents-wqa.example"

    @pytest.mark.parametrize(
        "address", ["", "nobody", "a@b@c", "a b@x.example", "a@x.example; p=none", "ñ@x.example", "https://x.example"]
    )
    def test_what_is_no_address(self, address: str) -> None:
        with pytest.raises(RecordError, match=r"agentmail:dmarcAggregateReports has .*; expected a mail address"):
            DmarcPolicy(rua=[address]).text()
        with pytest.raises(RecordError, match="agentmail:dmarcFailureReports"):
            DmarcPolicy(ruf=[address]).text()

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("v=DMARC1; p=none", True),
            ("v=dmarc1;p=none", True),
            ("v = DMARC1 ; p=x", True),
            ("v=DMARC10; p=x", False),
            ("dmarc", False),
        ],
    )
    def test_recognised_by_its_version(self, text: str, expected: bool) -> None:
        assert is_dmarc(text) is expected


class TestConsent:
    def test_only_other_organizations_must_consent(self) -> None:
        policy = DmarcPolicy(rua=["a@agents.example", "b@reports.agents.example", "c@corp.example", "c@corp.example"])
        [warning] = report_warnings(DOMAIN, policy, zone_name="agents.example")
        assert warning.endswith('dev.agents.example._report._dmarc.corp.example TXT "v=DMARC1"')

    def test_without_a_known_zone_siblings_must_consent(self) -> None:
        assert len(report_warnings(DOMAIN, DmarcPolicy(ruf=["b@reports.agents.example"]))) == 1


class TestKept:
    def test_the_stricter_of_each(self) -> None:
        kept = keep_dmarc(
            DmarcPolicy(p="none", rua=["ours@agents.example"]),
            ["v=DMARC1; p=reject; sp=none; adkim=s; pct=20; rua=mailto:Theirs@corp.example!5m; fo=1"],
        )
        assert kept.policy == DmarcPolicy(
            p="reject", sp="none", adkim="s", rua=("ours@agents.example", "Theirs@corp.example"), fo="1"
        )
        assert kept.notes == (
            "DMARC: 'pct=20' is not kept; RFC 9989 has removed it: the policy holds for all mail.",
            "DMARC: '!5m' is not kept; RFC 9989 knows no size limit of a report; mailto:Theirs@corp.example is kept.",
        )

    def test_a_subdomain_policy_is_never_weakened_by_ours(self) -> None:
        assert keep_dmarc(DmarcPolicy(p="none", sp="none"), ["v=DMARC1; p=reject"]).policy.for_subdomains == "reject"

    def test_an_unknown_tag_is_named(self) -> None:
        assert "'np=reject' is not kept" in keep_dmarc(DmarcPolicy(), ["v=DMARC1; p=none; np=reject"]).notes[0]

    @given(ours, st.lists(foreign, max_size=3))
    def test_never_laxer_than_any(self, mine: DmarcPolicy, texts: list[str]) -> None:
        kept = keep_dmarc(mine, texts).policy
        assert STRICTNESS.index(kept.p) >= STRICTNESS.index(mine.p)
        assert STRICTNESS.index(kept.for_subdomains) >= STRICTNESS.index(mine.for_subdomains)
        for text in texts:
            for strict in ("p=reject", "p=quarantine"):
                if f";{strict}" in text.replace(" ", ""):
                    assert STRICTNESS.index(kept.p) >= STRICTNESS.index(strict[2:])
        assert set(mine.rua) <= set(kept.rua)
        assert is_dmarc(kept.text())

    @given(ours, st.lists(foreign, max_size=3))
    def test_keeping_what_is_kept_changes_nothing(self, mine: DmarcPolicy, texts: list[str]) -> None:
        once = keep_dmarc(mine, texts).policy
        assert keep_dmarc(once, [once.text()]).policy == once
        assert keep_dmarc(once, texts).policy == once


class TestNamed:
    """What an adoption cannot keep it names, down to the last address."""

    @pytest.mark.parametrize(
        ("text", "lost"),
        [
            ("v=DMARC1; p=none; rua=dmarc@x.example", ["rua=dmarc@x.example"]),
            ("v=DMARC1; p=none; rua=https://x.example/r", ["rua=https://x.example/r"]),
            (
                "v=DMARC1; p=none; rua=dmarc@x.example, https://x.example,mailto:a@x.example",
                ["rua=dmarc@x.example", "rua=https://x.example"],
            ),
            ("v=DMARC1; p=none; ruf=mailto:nobody", ["ruf=mailto:nobody"]),
            ("v=DMARC1; p=none; rua=mailto:a@x.example!10m", ["!10m"]),
            ("v=DMARC1; p=block", ["p=block"]),
            ("v=DMARC1; p=none; sp=strict; adkim=x", ["sp=strict", "adkim=x"]),
            ("v=DMARC1; p=none; fo=2", ["fo=2"]),
            ("v=DMARC1; p=none; p=reject", ["p=reject"]),
            ("v=DMARC1; p=none; nonsense", ["nonsense"]),
            ("v=DMARC1; p=none; np=reject; t=y", ["np=reject", "t=y"]),
            ("v=DMARC1; p=none; rua=mailto:a@x.example; fo=1:d", []),
        ],
    )
    def test_each_of_it(self, text: str, lost: list[str]) -> None:
        kept = keep_dmarc(DmarcPolicy(), [text])
        assert [note.split("'")[1] for note in kept.notes] == lost

    def test_options_that_give_way_to_ours(self) -> None:
        [note] = keep_dmarc(DmarcPolicy(fo="1"), ["v=DMARC1; p=none; fo=s"]).notes
        assert note == "DMARC: 'fo=s' is not kept; ours is '1'."
