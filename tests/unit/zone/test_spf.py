"""SPF: what our record may say, and what of a foreign one goes on in it (RFC 7208)."""

from collections.abc import Sequence
from typing import ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zone.errors import RecordError
from zone.spf import KeptSpf, is_spf, keep_spf, length_warnings, normal_term, spf_record, stricter_qualifier

DOMAIN = "dev.agents.example"
INCLUDE = "include:spf.mailjet.com"

labels = st.from_regex(r"[a-z][a-z0-9]{0,6}", fullmatch=True)
names = st.lists(labels, min_size=2, max_size=3).map(".".join)
mechanisms = st.one_of(
    names.map(lambda name: f"include:{name}"),
    names.map(lambda name: f"a:{name}"),
    st.sampled_from(
        ["a", "mx", "mx/24", "a:%{i}.example", "exists:%{i}._spf.example", "ip6:2001:db8::/32", "MX", "+a"]
    ),
    st.integers(0, 255).map(lambda last: f"-ip4:192.0.2.{last}"),
)
foreign_records = st.builds(
    lambda terms, end: " ".join(["v=spf1", *terms, *end]),
    st.lists(mechanisms, max_size=3),
    st.sampled_from(
        [[], ["-all"], ["~all"], ["?all"], ["+all"], ["all"], ["redirect=_spf.example"], ["exp=why.example", "-all"]]
    ),
)


def keep(*texts: str, superseded_mx: Sequence[str] = ()) -> KeptSpf:
    return keep_spf(texts, domain=DOMAIN, superseded_mx=superseded_mx)


class TestRecord:
    def test_international_names_become_a_labels(self) -> None:
        assert (
            spf_record(INCLUDE, ["include:ágents.example", "a:Ñandú.example/24"], "~")
            == f"v=spf1 {INCLUDE} include:xn--gents-wqa.example a:xn--and-6ma2c.example/24 ~all"
        )

    def test_equal_terms_are_written_once(self) -> None:
        assert spf_record(INCLUDE, ["Include:SPF.mailjet.com", "+a", "A"], "-") == f"v=spf1 {INCLUDE} a -all"

    def test_macros_stay_as_they_are(self) -> None:
        assert "exists:%{i}._SPF.example" in spf_record(INCLUDE, ["exists:%{i}._SPF.example"], "-")

    def test_too_long_to_publish(self) -> None:
        with pytest.raises(RecordError, match=r"the SPF record is \d+ bytes long; expected at most 2048"):
            spf_record(INCLUDE, [f"ip6:2001:db8:0:0:0:0:{number:x}:0" for number in range(100)], "-")

    def test_long_records_are_advised_against(self) -> None:
        short = spf_record(INCLUDE, ["ip4:192.0.2.1"], "-")
        long = spf_record(INCLUDE, [f"ip4:192.0.2.{number}" for number in range(40)], "-")
        assert length_warnings(short) == []
        assert "bytes long; RFC 7208 (3.4) advises 450 at most" in length_warnings(long)[0]


class TestKept:
    def test_mechanisms_in_order_and_the_qualifier(self) -> None:
        kept = keep("v=spf1 a include:_spf.corp.example ip4:192.0.2.0/24 a -all")
        assert kept.mechanisms == ("a", "include:_spf.corp.example", "ip4:192.0.2.0/24")
        assert (kept.qualifier, kept.notes) == ("-", ())

    def test_several_records_together(self) -> None:
        assert keep("v=spf1 a ~all", "v=spf1 ip4:192.0.2.1 a -all").mechanisms == ("a", "ip4:192.0.2.1")

    def test_mx_means_the_hosts_that_are_about_to_go(self) -> None:
        kept = keep(
            "v=spf1 mx/28 mx:dev.agents.example mx:other.example -all",
            superseded_mx=["mx1.corp.example", "mx2.corp.example"],
        )
        assert kept.mechanisms == (
            "a:mx1.corp.example/28",
            "a:mx2.corp.example/28",
            "a:mx1.corp.example",
            "a:mx2.corp.example",
            "mx:other.example",
        )
        assert len(kept.notes) == 2

    def test_mx_stays_where_no_host_goes(self) -> None:
        assert keep("v=spf1 mx -all").mechanisms == ("mx",)

    def test_a_redirect_becomes_an_include_and_says_so(self) -> None:
        kept = keep("v=spf1 redirect=_spf.corp.example")
        assert kept.mechanisms == ("include:_spf.corp.example",)
        assert "'redirect=_spf.corp.example' becomes 'include:_spf.corp.example'" in kept.notes[0]

    @pytest.mark.parametrize("term", ["ptr", "ptr:corp.example", "exp=why.example", "ip4:x/y", "nonsense"])
    def test_what_cannot_be_kept_is_named(self, term: str) -> None:
        kept = keep(f"v=spf1 {term} -all")
        assert kept.mechanisms == ()
        assert repr(term) in kept.notes[0]

    @given(st.lists(foreign_records, max_size=2), st.sampled_from("+?~-"))
    def test_whatever_is_kept_makes_one_valid_record(self, texts: list[str], ours: str) -> None:
        kept = keep(*texts)
        qualifier = stricter_qualifier(ours, kept.qualifier)
        record = spf_record(INCLUDE, kept.mechanisms, qualifier)
        assert is_spf(record)
        assert record.endswith(f"{qualifier}all")
        assert set(kept.mechanisms) <= set(keep(record).mechanisms)

    @given(st.lists(foreign_records, max_size=3))
    def test_every_term_is_kept_or_named(self, texts: list[str]) -> None:
        kept = keep(*texts)
        said = " ".join(kept.notes)
        for text in texts:
            for term in text.split()[1:]:
                if term.lstrip("+?~-").lower() != "all":
                    normal = term.removeprefix("+")
                    assert normal in kept.mechanisms or normal.lower() in kept.mechanisms or repr(term) in said

    def test_never_laxer_than_ours(self) -> None:
        assert stricter_qualifier("~", "?") == "~"
        assert stricter_qualifier("~", "-") == "-"
        assert stricter_qualifier("~", "") == "~"


class TestGrammar:
    """RFC 7208, 5.6 and 7.1: a term that no receiver can read makes the whole record a permanent error."""

    @pytest.mark.parametrize(
        "term",
        [
            "ip4:78.46.96.236/99",
            "ip4:78.46.96.236/033",
            "ip4:192.0.2",
            "ip4:192.0.2.256",
            "ip4:2001:db8::1",
            "ip4:192.0.2.1/",
            "ip6:2001:db8:::1",
            "ip6:2001:db8::/129",
            "ip6:fe80::1%eth0",
            "ip6:192.0.2.1",
            "include:a.example,include:b.example",
            "include:a.example;b.example",
            "include:a.example/24",
            "include:a..example",
            "include:192.0.2.1",
            "include:localhost",
            "include:",
            "a:",
            "a/33",
            "mx//129",
            "a:x.example/",
            "exists:%{c}.x.example",
            "exists:%{i.x.example",
            "include:" + "a" * 64 + ".example",
            "ip4:192.0.2.1 ip4:192.0.2.2",
            "include:x.example\n",
        ],
    )
    def test_broken(self, term: str) -> None:
        with pytest.raises(RecordError, match=r"agentmail:spfMechanisms has "):
            spf_record("include:spf.mailjet.com", [term], "~")

    @pytest.mark.parametrize(
        ("term", "normal"),
        [
            ("ip4:192.0.2.1/0", "ip4:192.0.2.1/0"),
            ("IP6:2001:DB8::/32", "ip6:2001:db8::/32"),
            ("ip6:::ffff:192.0.2.1", "ip6:::ffff:192.0.2.1"),
            ("a/24//64", "a/24//64"),
            ("MX:Corp.Example.", "mx:corp.example"),
            ("exists:%{ir}.%{v}._spf.%{d2}", "exists:%{ir}.%{v}._spf.%{d2}"),
            ("include:_spf.x-y.example", "include:_spf.x-y.example"),
        ],
    )
    def test_good(self, term: str, normal: str) -> None:
        assert normal_term(term) == normal

    def test_the_key_of_the_include_is_named(self) -> None:
        with pytest.raises(RecordError, match="agentmail:mailjetSpfInclude has 'include:nonsense,x'"):
            spf_record("include:nonsense,x", [], "~")

    @given(st.text(alphabet="aip4xm6:/.%{}0129-,; includ", max_size=30))
    def test_whatever_is_taken_is_one_term(self, text: str) -> None:
        normal = normal_term(text)
        assert normal is None or (normal.split() == [normal] and "," not in normal.partition("{")[0])


class TestEnd:
    """RFC 7208, 5.1: what stands after `all`, and a redirect beside it, has no effect and must not come to life."""

    def test_terms_after_all_are_named_and_dropped(self) -> None:
        kept = keep_spf(["v=spf1 a -all include:x.example +all ip4:192.0.2.1"], domain="d.example", superseded_mx=[])
        assert (kept.mechanisms, kept.qualifier) == (("a",), "-")
        assert [note.split("'")[1] for note in kept.notes] == ["include:x.example", "+all", "ip4:192.0.2.1"]

    @pytest.mark.parametrize("text", ["v=spf1 redirect=x.example ~all", "v=spf1 ~ALL redirect=x.example"])
    def test_so_is_a_redirect(self, text: str) -> None:
        kept = keep_spf([text], domain="d.example", superseded_mx=[])
        assert (kept.mechanisms, kept.qualifier) == ((), "~")
        assert "has no effect today" in kept.notes[0]


class TestOwnHosts:
    """What `mx` means today goes on as what costs the receiver no lookup."""

    ADDRESSES: ClassVar = {"mx1.example": ["192.0.2.1", "2001:db8::1"], "mx2.example": ["192.0.2.2"]}

    def keep(self, term: str, hosts: Sequence[str] = ("mx1.example", "mx2.example")) -> tuple[str, ...]:
        return keep_spf(
            [f"v=spf1 {term} -all"],
            domain="agents.example",
            superseded_mx=hosts,
            addresses=lambda host: self.ADDRESSES.get(host, []),
        ).mechanisms

    @pytest.mark.parametrize("term", ["mx", "+mx", "MX", "mx:agents.example", "mx:Agents.Example."])
    def test_in_every_spelling(self, term: str) -> None:
        assert self.keep(term) == ("ip4:192.0.2.1", "ip6:2001:db8::1", "ip4:192.0.2.2")

    def test_with_its_sign_and_lengths(self) -> None:
        assert self.keep("?mx/24//64") == ("?ip4:192.0.2.1/24", "?ip6:2001:db8::1/64", "?ip4:192.0.2.2/24")

    def test_a_host_that_the_dns_does_not_know_is_kept_by_name(self) -> None:
        assert self.keep("mx", ["mx9.example"]) == ("a:mx9.example",)

    def test_another_domain_s_mx_is_another_matter(self) -> None:
        assert self.keep("mx:other.example") == ("mx:other.example",)
