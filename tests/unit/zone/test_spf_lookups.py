"""What an SPF record costs, counted over a DNS in memory (RFC 7208, 4.6.4)."""

from collections.abc import Mapping
from typing import NoReturn

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.profiles import examples
from zone.spf_lookups import NoAnswerError, Resolve, cost_warnings, spf_cost

DOMAIN = "dev.agents.example"
MAILJET = {("spf.mailjet.com", "TXT"): ["v=spf1 ip4:192.0.2.0/24 ~all"]}


class MemoryDns:
    """A DNS that knows these answers and nothing else; `asked` is what it was asked."""

    def __init__(self, answers: Mapping[tuple[str, str], list[str]]) -> None:
        self.answers = answers
        self.asked: list[tuple[str, str]] = []

    def __call__(self, name: str, rdtype: str) -> list[str]:
        self.asked.append((name, rdtype))
        return self.answers.get((name, rdtype), [])


def no_dns(name: str, rdtype: str) -> NoReturn:
    raise NoAnswerError(name, rdtype, "Timeout")


class TestCount:
    def test_nested_includes_count_too(self) -> None:
        cost = spf_cost(
            "v=spf1 include:a.example mx ip4:192.0.2.1 -all",
            DOMAIN,
            MemoryDns(
                {
                    ("a.example", "TXT"): ["other text", "v=spf1 include:b.example a:c.example ?all"],
                    ("b.example", "TXT"): ["v=spf1 exists:%{i}.b.example -all"],
                    ("c.example", "AAAA"): ["2001:db8::1"],
                    (DOMAIN, "MX"): ["10 mx.example."],
                }
            ),
        )
        assert (cost.lookups, cost.void, cost.broken, cost.unresolved, cost.errors) == (5, [], [], [], [])

    def test_the_target_of_a_bare_mechanism_is_the_record_s_own_domain(self) -> None:
        resolve = MemoryDns({("a.example", "TXT"): ["v=spf1 mx/24 a//64 -all"]})
        spf_cost("v=spf1 include:a.example -all", DOMAIN, resolve)
        assert ("a.example", "MX") in resolve.asked
        assert ("a.example", "A") in resolve.asked

    def test_a_redirect_counts_unless_there_is_an_all(self) -> None:
        answers = MemoryDns({("r.example", "TXT"): ["v=spf1 -all"]})
        assert spf_cost("v=spf1 redirect=r.example", DOMAIN, answers).lookups == 1
        assert spf_cost("v=spf1 redirect=r.example -all", DOMAIN, answers).lookups == 0

    def test_eleven_are_one_too_many(self) -> None:
        answers = {(f"s{number}.example", "TXT"): ["v=spf1 -all"] for number in range(11)}
        terms = [f"include:s{number}.example" for number in range(11)]
        assert spf_cost(f"v=spf1 {' '.join(terms[:10])} -all", DOMAIN, MemoryDns(answers)).errors == []
        assert spf_cost(f"v=spf1 {' '.join(terms)} -all", DOMAIN, MemoryDns(answers)).errors == [
            "it costs 11 DNS lookups, and 10 are allowed"
        ]

    def test_three_void_lookups_are_one_too_many(self) -> None:
        assert spf_cost("v=spf1 a:x.example mx:y.example -all", DOMAIN, MemoryDns({})).errors == []
        assert spf_cost("v=spf1 a:x.example mx:y.example exists:z.example -all", DOMAIN, MemoryDns({})).errors == [
            "3 of its lookups find nothing (a:x.example, mx:y.example, exists:z.example), and 2 are allowed"
        ]

    def test_an_include_of_no_spf_record_breaks_it(self) -> None:
        assert spf_cost(
            "v=spf1 include:x.example -all", DOMAIN, MemoryDns({("x.example", "TXT"): ["text"]})
        ).errors == ["it includes x.example, which publishes no SPF record"]
        two = MemoryDns({("x.example", "TXT"): ["v=spf1 -all", "v=spf1 ~all"]})
        assert "publishes 2 SPF records" in spf_cost("v=spf1 include:x.example -all", DOMAIN, two).errors[0]

    def test_records_that_include_each_other_end(self) -> None:
        cost = spf_cost(
            "v=spf1 include:x.example -all",
            DOMAIN,
            MemoryDns({("x.example", "TXT"): ["v=spf1 include:x.example include:x.example -all"]}),
        )
        assert "it costs at least 30 DNS lookups" in cost.errors[0]

    @settings(max_examples=examples(50))
    @given(st.lists(st.lists(st.integers(0, 5), max_size=3), min_size=6, max_size=6))
    def test_any_web_of_includes_ends(self, web: list[list[int]]) -> None:
        answers = {
            (f"n{index}.example", "TXT"): [
                "v=spf1 " + " ".join(f"include:n{target}.example" for target in targets) + " -all"
            ]
            for index, targets in enumerate(web)
        }
        assert 1 <= spf_cost("v=spf1 include:n0.example -all", DOMAIN, MemoryDns(answers)).lookups <= 30


class TestWarnings:
    def warn(self, record: str, resolve: Resolve) -> list[str]:
        return cost_warnings(record, DOMAIN, "include:spf.mailjet.com", resolve)

    def test_a_good_record_is_quiet(self) -> None:
        assert self.warn("v=spf1 include:spf.mailjet.com ~all", MemoryDns(MAILJET)) == []

    def test_a_broken_record_is_named_with_its_remedy(self) -> None:
        [warning] = self.warn("v=spf1 include:spf.mailjet.com include:x.example ~all", MemoryDns(MAILJET))
        assert warning == (
            "The SPF record of dev.agents.example is a permanent error for its receivers (RFC 7208, 4.6.4): "
            "it includes x.example, which publishes no SPF record; correct agentmail:spfMechanisms"
        )

    def test_a_dns_without_the_internet_is_no_witness(self) -> None:
        [warning] = self.warn("v=spf1 include:spf.mailjet.com include:x.example ~all", MemoryDns({}))
        assert warning.endswith(
            "was not checked for lookups: this machine's DNS knows no SPF record at spf.mailjet.com"
        )

    def test_no_dns_at_all(self) -> None:
        [warning] = self.warn("v=spf1 include:spf.mailjet.com ~all", no_dns)
        assert "was not checked for lookups: The DNS gave no answer to spf.mailjet.com TXT (Timeout)" in warning

    def test_a_part_that_does_not_answer(self) -> None:
        def resolve(name: str, rdtype: str) -> list[str]:
            return MAILJET.get((name, rdtype)) or no_dns(name, rdtype)

        [warning] = self.warn("v=spf1 include:spf.mailjet.com mx:slow.example ~all", resolve)
        assert "could not be followed to its end: The DNS gave no answer to slow.example MX" in warning
