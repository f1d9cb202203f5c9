"""The zones as real DNS, asked with dnspython over UDP and TCP."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator

import dns.edns
import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.query
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.resolver
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from emulators.cloudflare import DEFAULT_ZONES, CloudflareEmulator, PortTakenError, SeedZone, serve_dns
from emulators.cloudflare.elsewhere import EDGE_ADDRESSES
from tests.profiles import examples
from tests.unit.emulators.cloudflare_fixtures import TOKEN, EmulatedCloudflare, running

# The tree of RFC 4592 section 2.2.1, of our own making.
WILD = SeedZone(
    name="wild.example",
    records=[
        {"type": "TXT", "name": "*", "content": '"this is a wildcard"'},
        {"type": "MX", "name": "*", "content": "host1.wild.example", "priority": 10},
        {"type": "TXT", "name": "sub.*", "content": '"this is not a wildcard"'},
        {"type": "A", "name": "host1", "content": "192.0.2.1"},
        {"type": "SRV", "name": "_ssh._tcp.host1", "content": "0 22 host1.wild.example", "priority": 0},
        {"type": "NS", "name": "subdel", "content": "ns.example.com"},
        {"type": "NS", "name": "subdel", "content": "ns.subdel.wild.example"},
        {"type": "A", "name": "ns.subdel", "content": "192.0.2.53"},
        {"type": "CNAME", "name": "*.alias", "content": "host1.wild.example"},
    ],
)
ALIASES = SeedZone(
    name="alias.example",
    records=[
        {"type": "CNAME", "name": "@", "content": "host1.wild.example", "ttl": 600},
        {"type": "MX", "name": "@", "content": "parse.mailjet.com", "priority": 10},
        {"type": "CNAME", "name": "one", "content": "two.alias.example"},
        {"type": "CNAME", "name": "two", "content": "host1.wild.example"},
        {"type": "CNAME", "name": "dangling", "content": "nothing.alias.example"},
        {"type": "CNAME", "name": "out", "content": "www.elsewhere.test"},
        {"type": "CNAME", "name": "loop1", "content": "loop2.alias.example"},
        {"type": "CNAME", "name": "loop2", "content": "loop1.alias.example"},
        {"type": "CNAME", "name": "flat", "content": "one.alias.example", "settings": {"flatten_cname": True}},
        {"type": "A", "name": "proxied", "content": "8.8.8.8", "proxied": True},
        {"type": "TXT", "name": "proxied", "content": '"beside"'},
        {"type": "CNAME", "name": "noway", "content": "www.elsewhere.test", "settings": {"flatten_cname": True}},
    ],
)
ZONES = (*DEFAULT_ZONES, WILD, ALIASES, SeedZone(name="deep.wild.example"))


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmulatedCloudflare]:
    with running(tmp_path_factory.mktemp("cloudflare"), zones=ZONES) as world:
        yield world


@pytest.fixture
def world(shared: EmulatedCloudflare) -> EmulatedCloudflare:
    shared.emulator.reset()
    return shared


def rcode(message: dns.message.Message) -> str:
    return dns.rcode.to_text(message.rcode())


class TestZone:
    @pytest.mark.parametrize(
        ("name", "kind", "expected"),
        [
            ("agents.example", "A", {"192.0.2.10"}),
            ("agents.example", "MX", {"10 mx1.corp.example."}),
            ("_dmarc.agents.example", "TXT", {'"v=DMARC1; p=reject; rua=mailto:postmaster@agents.example"'}),
            ("agents.example", "NS", {"ada.ns.cloudflare.com.", "bob.ns.cloudflare.com."}),
            ("_ssh._tcp.host1.wild.example", "SRV", {"0 0 22 host1.wild.example."}),
        ],
    )
    def test_what_is_published(self, world: EmulatedCloudflare, name: str, kind: str, expected: set[str]) -> None:
        assert world.published(name, kind) == expected

    def test_answers_are_authoritative_and_not_recursive(self, world: EmulatedCloudflare) -> None:
        answer = world.ask("agents.example", "A")
        assert answer.flags & dns.flags.AA
        assert not answer.flags & dns.flags.RA
        assert answer.answer[0].ttl == 3600

    def test_automatic_ttl_is_300_seconds_and_a_set_has_one_ttl(self, world: EmulatedCloudflare) -> None:
        world.create(type="A", name="x", content="192.0.2.1", ttl=1)
        assert world.ask("x.agents.example", "A").answer[0].ttl == 300
        world.create(type="A", name="x", content="192.0.2.2", ttl=120)
        (rrset,) = world.ask("x.agents.example", "A").answer
        assert (rrset.ttl, len(rrset)) == (120, 2)

    def test_case_is_kept(self, world: EmulatedCloudflare) -> None:
        name = dns.name.from_text("AgEnTs.eXample.")
        answer = dns.query.udp(
            dns.message.make_query(name, "A"), world.name_server.host, port=world.name_server.port, timeout=5
        )
        assert answer.question[0].name.to_text() == "AgEnTs.eXample."
        assert answer.answer[0].name.to_text() == "AgEnTs.eXample."

    def test_no_data_and_no_name_carry_the_soa(self, world: EmulatedCloudflare) -> None:
        for name, expected in (("agents.example", "NOERROR"), ("none.agents.example", "NXDOMAIN")):
            answer = world.ask(name, "AAAA")
            assert rcode(answer) == expected
            assert not answer.answer
            (soa,) = answer.authority
            assert soa.name.to_text() == "agents.example."
            assert soa.rdtype is dns.rdatatype.SOA
            assert soa.ttl == soa[0].minimum == 1800

    def test_the_serial_grows_with_every_change(self, world: EmulatedCloudflare) -> None:
        def serial() -> int:
            found: int = world.ask("agents.example", "SOA").answer[0][0].serial
            return found

        before = serial()
        world.create(type="A", name="x", content="192.0.2.1")
        assert serial() == before + 1

    def test_a_change_is_published_at_once(self, world: EmulatedCloudflare) -> None:
        record = world.create(type="TXT", name="x", content='"one"')
        assert world.published("x.agents.example", "TXT") == {'"one"'}
        path = f"/zones/{DEFAULT_ZONES[0].zone_id}/dns_records/{record['id']}"
        world.call("PATCH", path, {"name": "y", "content": '"two"'})
        assert rcode(world.ask("x.agents.example", "TXT")) == "NXDOMAIN"
        assert world.published("y.agents.example", "TXT") == {'"two"'}
        world.call("DELETE", path)
        assert rcode(world.ask("y.agents.example", "TXT")) == "NXDOMAIN"

    def test_the_longest_zone_answers(self, world: EmulatedCloudflare) -> None:
        assert world.ask("deep.wild.example", "SOA").answer[0].name.to_text() == "deep.wild.example."
        assert rcode(world.ask("x.deep.wild.example", "TXT")) == "NXDOMAIN"


class TestTexts:
    @pytest.mark.parametrize(
        ("content", "strings"),
        [
            ("v=spf1 -all", [b"v=spf1 -all"]),
            ('"v=spf1 -all"', [b"v=spf1 -all"]),
            ('"a" "b"', [b"a", b"b"]),
            (f'"{"k" * 255}" "{"l" * 100}"', [b"k" * 255, b"l" * 100]),
            (f'"{"k" * 300}"', [b"k" * 255, b"k" * 45]),
            ("k" * 300, [b"k" * 255, b"k" * 45]),
            (r'"say \"hi\" \\ \010"', [b'say "hi" \\ \n']),
            (r"plain \ and ;", [rb"plain \ and ;"]),
            ('""', [b""]),
        ],
    )
    def test_strings(self, world: EmulatedCloudflare, content: str, strings: list[bytes]) -> None:
        world.create(type="TXT", name="x", content=content)
        (rrset,) = world.ask("x.agents.example", "TXT").answer
        assert list(rrset[0].strings) == strings


class TestWildcards:
    @pytest.mark.parametrize(
        ("name", "kind", "expected"),
        [
            ("host3.wild.example", "MX", {"10 host1.wild.example."}),
            ("foo.bar.wild.example", "TXT", {'"this is a wildcard"'}),
            ("*.wild.example", "MX", {"10 host1.wild.example."}),
            ("sub.*.wild.example", "TXT", {'"this is not a wildcard"'}),
        ],
    )
    def test_synthesis(self, world: EmulatedCloudflare, name: str, kind: str, expected: set[str]) -> None:
        answer = world.ask(name, kind)
        assert answer.answer[0].name == dns.name.from_text(name)
        assert world.published(name, kind) == expected

    @pytest.mark.parametrize(
        ("name", "kind", "expected"),
        [
            ("host3.wild.example", "A", "NOERROR"),
            ("host1.wild.example", "MX", "NOERROR"),
            ("_tcp.host1.wild.example", "MX", "NOERROR"),
            ("_telnet._tcp.host1.wild.example", "SRV", "NXDOMAIN"),
            ("ghost.*.wild.example", "MX", "NXDOMAIN"),
        ],
    )
    def test_no_synthesis(self, world: EmulatedCloudflare, name: str, kind: str, expected: str) -> None:
        answer = world.ask(name, kind)
        assert rcode(answer) == expected
        assert not answer.answer
        assert answer.authority[0].rdtype is dns.rdatatype.SOA

    def test_a_wildcard_alias_is_followed(self, world: EmulatedCloudflare) -> None:
        alias, address = world.ask("any.alias.wild.example", "A").answer
        assert alias.to_text() == "any.alias.wild.example. 300 IN CNAME host1.wild.example."
        assert address.to_text() == "host1.wild.example. 300 IN A 192.0.2.1"


class TestDelegations:
    @pytest.mark.parametrize("name", ["subdel.wild.example", "host.subdel.wild.example"])
    def test_a_referral_is_not_authoritative_and_has_glue(self, world: EmulatedCloudflare, name: str) -> None:
        answer = world.ask(name, "A")
        assert rcode(answer) == "NOERROR"
        assert not answer.answer
        assert not answer.flags & dns.flags.AA
        assert answer.authority[0].name.to_text() == "subdel.wild.example."
        assert [rrset.to_text() for rrset in answer.additional] == ["ns.subdel.wild.example. 300 IN A 192.0.2.53"]

    def test_the_parent_answers_for_ds(self, world: EmulatedCloudflare) -> None:
        answer = world.ask("subdel.wild.example", "DS")
        assert answer.flags & dns.flags.AA
        assert answer.authority[0].rdtype is dns.rdatatype.SOA


class TestAliases:
    def test_a_chain_is_followed_across_zones(self, world: EmulatedCloudflare) -> None:
        texts = [rrset.to_text() for rrset in world.ask("one.alias.example", "A").answer]
        assert texts == [
            "one.alias.example. 300 IN CNAME two.alias.example.",
            "two.alias.example. 300 IN CNAME host1.wild.example.",
            "host1.wild.example. 300 IN A 192.0.2.1",
        ]

    def test_the_alias_itself(self, world: EmulatedCloudflare) -> None:
        assert world.published("one.alias.example", "CNAME") == {"two.alias.example."}
        assert len(world.ask("one.alias.example", "CNAME").answer) == 1

    def test_the_apex_is_flattened_and_keeps_its_other_records(self, world: EmulatedCloudflare) -> None:
        (rrset,) = world.ask("alias.example", "A").answer
        assert rrset.to_text() == "alias.example. 600 IN A 192.0.2.1"
        assert world.published("alias.example", "MX") == {"10 parse.mailjet.com."}
        assert not world.ask("alias.example", "CNAME").answer
        assert world.ask("alias.example", "SOA").answer

    def test_flattening_on_request(self, world: EmulatedCloudflare) -> None:
        (rrset,) = world.ask("flat.alias.example", "A").answer
        assert rrset.to_text() == "flat.alias.example. 300 IN A 192.0.2.1"
        assert rcode(world.ask("noway.alias.example", "A")) == "SERVFAIL"

    def test_dead_ends(self, world: EmulatedCloudflare) -> None:
        dangling = world.ask("dangling.alias.example", "A")
        assert rcode(dangling) == "NXDOMAIN"
        assert len(dangling.answer) == 1
        out = world.ask("out.alias.example", "A")
        assert (rcode(out), len(out.answer)) == ("NOERROR", 1)
        assert rcode(world.ask("loop1.alias.example", "A")) == "SERVFAIL"

    def test_a_proxied_host_answers_the_edge_and_hides_its_target(self, world: EmulatedCloudflare) -> None:
        for kind in ("A", "AAAA"):
            assert world.published("proxied.alias.example", kind) == set(EDGE_ADDRESSES[kind])
        assert world.published("proxied.alias.example", "TXT") == {'"beside"'}
        tunnel_id = world.tunnel("api.agents.example", "http://127.0.0.1:1")
        assert world.published("api.agents.example", "A") == set(EDGE_ADDRESSES["A"])
        assert not world.ask("api.agents.example", "CNAME").answer
        assert world.ask("api.agents.example", "A").answer[0].ttl == 300
        assert world.published(f"{tunnel_id}.cfargotunnel.com", "AAAA") == {"fd10:aec2:5dae::"}
        world.emulator.account.delete_tunnel(tunnel_id)
        assert rcode(world.ask(f"{tunnel_id}.cfargotunnel.com", "AAAA")) == "NXDOMAIN"


class TestElsewhere:
    def test_names_that_mail_checks_need(self, world: EmulatedCloudflare) -> None:
        (spf,) = world.published("spf.mailjet.com", "TXT")
        assert spf.startswith('"v=spf1 ip4:')
        assert world.published("parse.mailjet.com", "A")
        assert rcode(world.ask("parse.mailjet.com", "AAAA")) == "NOERROR"
        assert rcode(world.ask("nothing.mailjet.com", "A")) == "NXDOMAIN"

    @pytest.mark.parametrize("name", ["example.org", "example", "com", "mailjet.org", "."])
    def test_the_rest_of_the_world_is_refused(self, world: EmulatedCloudflare, name: str) -> None:
        answer = world.ask(name, "A")
        assert rcode(answer) == "REFUSED"
        assert not answer.flags & dns.flags.AA


class TestProtocol:
    @pytest.fixture
    def big(self, world: EmulatedCloudflare) -> EmulatedCloudflare:
        for number in range(20):
            world.create(type="TXT", name="big", content=f'"{number:02d}{"x" * 200}"')
        return world

    def test_what_does_not_fit_is_truncated_and_complete_over_tcp(self, big: EmulatedCloudflare) -> None:
        query = dns.message.make_query("big.agents.example", "TXT")
        over_udp = dns.query.udp(query, big.name_server.host, port=big.name_server.port, timeout=5)
        assert over_udp.flags & dns.flags.TC
        assert not over_udp.answer
        over_tcp = dns.query.tcp(query, big.name_server.host, port=big.name_server.port, timeout=5)
        assert not over_tcp.flags & dns.flags.TC
        assert len(over_tcp.answer[0]) == 20
        answer, fell_back = dns.query.udp_with_fallback(
            query, big.name_server.host, port=big.name_server.port, timeout=5
        )
        assert fell_back
        assert answer.answer == over_tcp.answer
        assert len(big.resolver().resolve("big.agents.example", "TXT")) == 20

    @pytest.mark.parametrize(
        ("payload", "fits"), [(None, False), (512, False), (100, False), (1232, True), (4096, True)]
    )
    def test_edns_sizes(self, world: EmulatedCloudflare, payload: int | None, fits: bool) -> None:
        for number in range(4):
            world.create(type="TXT", name="mid", content=f'"{number}{"x" * 200}"')
        query = dns.message.make_query("mid.agents.example", "TXT")
        if payload is not None:
            query.use_edns(0, payload=payload)
        answer = dns.query.udp(query, world.name_server.host, port=world.name_server.port, timeout=5)
        assert bool(answer.answer) is fits
        assert bool(answer.flags & dns.flags.TC) is not fits
        assert (answer.edns == 0) is (payload is not None)
        if payload is not None:
            assert answer.payload == 1232

    def test_no_answer_over_udp_is_larger_than_1232(self, big: EmulatedCloudflare) -> None:
        query = dns.message.make_query("big.agents.example", "TXT", use_edns=0, payload=65535)
        assert len(big.emulator.answer(query.to_wire(), udp=True)) <= 1232

    def test_several_queries_over_one_connection(self, world: EmulatedCloudflare) -> None:
        with socket.create_connection((world.name_server.host, world.name_server.port), timeout=5) as connection:
            for kind in ("A", "MX", "TXT"):
                query = dns.message.make_query("agents.example", kind)
                dns.query.send_tcp(connection, query)
                answer, _ = dns.query.receive_tcp(connection)
                assert query.is_response(answer)
                assert answer.answer

    def test_unknown_edns_version(self, world: EmulatedCloudflare) -> None:
        query = dns.message.make_query("agents.example", "A", use_edns=1)
        assert rcode(dns.query.udp(query, world.name_server.host, port=world.name_server.port, timeout=5)) == "BADVERS"

    def test_any_is_answered_shortly(self, world: EmulatedCloudflare) -> None:
        assert world.published("agents.example", "ANY") == set()
        (rrset,) = world.ask("agents.example", "ANY").answer
        assert rrset.rdtype is dns.rdatatype.HINFO

    def test_no_zone_transfer_and_no_other_class(self, world: EmulatedCloudflare) -> None:
        assert rcode(world.ask("agents.example", "AXFR")) == "REFUSED"
        chaos = dns.message.make_query("version.bind", "TXT", rdclass="CH")
        assert rcode(dns.query.udp(chaos, world.name_server.host, port=world.name_server.port, timeout=5)) == "REFUSED"

    def test_other_operations_are_not_implemented(self, world: EmulatedCloudflare) -> None:
        query = dns.message.make_query("agents.example", "SOA")
        query.set_opcode(dns.opcode.NOTIFY)
        assert rcode(dns.query.udp(query, world.name_server.host, port=world.name_server.port, timeout=5)) == "NOTIMP"

    def test_broken_queries(self, world: EmulatedCloudflare) -> None:
        wire = dns.message.make_query("agents.example", "A").to_wire()
        for broken in (wire[:-2], wire + b"junk", wire[:4] + b"\0\2" + wire[6:]):
            answer = world.emulator.answer(broken, udp=True)
            assert answer[:2] == wire[:2]
            assert answer[3] & 0xF == dns.rcode.FORMERR
        none = wire[:4] + b"\0\0" + wire[6:12]
        assert world.emulator.answer(none, udp=True)[3] & 0xF == dns.rcode.FORMERR

    def test_answers_are_not_answered(self, world: EmulatedCloudflare) -> None:
        response = world.emulator.answer(dns.message.make_query("agents.example", "A").to_wire(), udp=True)
        assert world.emulator.answer(response, udp=True) == b""
        assert world.emulator.answer(b"\0\1", udp=True) == b""

    @settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=examples(200))
    @given(st.binary(max_size=80))
    def test_no_bytes_break_the_server(self, shared: EmulatedCloudflare, junk: bytes) -> None:
        answer = shared.emulator.answer(junk, udp=True)
        assert not answer or answer[:2] == junk[:2]

    def test_a_client_that_sends_half_a_query_hurts_nobody(self, world: EmulatedCloudflare) -> None:
        with socket.create_connection((world.name_server.host, world.name_server.port), timeout=5) as connection:
            connection.sendall(struct.pack("!H", 100) + b"half")
        assert world.published("agents.example", "A")


class TestServer:
    def test_a_port_in_use_is_told(self, world: EmulatedCloudflare) -> None:
        with pytest.raises(PortTakenError, match=rf"{world.name_server.port} over UDP and TCP"):
            serve_dns(world.emulator, world.name_server.host, world.name_server.port)

    def test_a_closed_server_frees_its_port(self, world: EmulatedCloudflare) -> None:
        first = serve_dns(world.emulator)
        with socket.create_connection((first.host, first.port), timeout=5):
            first.close()
        first.close()
        second = serve_dns(world.emulator, first.host, first.port)
        assert second.port == first.port
        second.close()

    def test_a_failing_zone_is_servfail_and_the_server_goes_on(
        self, world: EmulatedCloudflare, caplog: pytest.LogCaptureFixture
    ) -> None:
        class Failing:
            def answer(self, dns_query: bytes, *, udp: bool) -> bytes:
                raise RuntimeError("broken on purpose")

        server = serve_dns(Failing())
        for _ in range(2):
            query = dns.message.make_query("agents.example", "A")
            answer = dns.query.udp(query, server.host, port=server.port, timeout=5, ignore_errors=False)
            assert rcode(answer) == "SERVFAIL"
        server.close()
        assert "broken on purpose" in caplog.text

    def test_in_memory(self) -> None:
        emulator = CloudflareEmulator(":memory:", token=TOKEN)
        query = dns.message.make_query("agents.example", "A")
        assert dns.message.from_wire(emulator.answer(query.to_wire(), udp=False)).answer
        emulator.close()
