"""What the zone publishes, judged by others' tools: checkdmarc and dkimpy, without the Internet."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import checkdmarc
import dkim
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from dns.nameserver import Do53Nameserver, Nameserver

from emulators.cloudflare.txt import pieces, quoted
from tests.unit.emulators.cloudflare_fixtures import EmulatedCloudflare, running

DOMAIN = "dev.agents.example"
MESSAGE = (
    b"From: Ana <ana@dev.agents.example>\r\nTo: bob@dev.agents.example\r\nSubject: hi\r\n"
    b"Date: Thu, 01 Jan 2026 00:00:00 +0000\r\nMessage-ID: <1@dev.agents.example>\r\n\r\nHello.\r\n"
)


@pytest.fixture(scope="module")
def key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, key: rsa.RSAPrivateKey) -> Iterator[EmulatedCloudflare]:
    """A zone with everything that a mail domain at Mailjet publishes."""
    with running(tmp_path_factory.mktemp("cloudflare")) as world:
        world.create(type="MX", name=DOMAIN, content="parse.mailjet.com", priority=10, ttl=300)
        world.create(type="TXT", name=DOMAIN, content='"v=spf1 include:spf.mailjet.com ~all"', ttl=300)
        world.create(
            type="TXT",
            name=f"_dmarc.{DOMAIN}",
            content=f'"v=DMARC1; p=none; rua=mailto:postmaster@{DOMAIN}"',
            ttl=300,
        )
        published = f"k=rsa; p={public_text(key)}".encode()
        world.create(type="TXT", name=f"mailjet._domainkey.{DOMAIN}", content=quoted(pieces(published)), ttl=300)
        yield world


def public_text(key: rsa.RSAPrivateKey) -> str:
    pem = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return "".join(pem.decode().splitlines()[1:-1])


def private_pem(key: rsa.RSAPrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )


def name_servers(world: EmulatedCloudflare) -> list[Nameserver]:
    return [Do53Nameserver(world.name_server.host, world.name_server.port)]


class TestCheckdmarc:
    @pytest.mark.slow
    def test_the_whole_domain(self, world: EmulatedCloudflare) -> None:
        report: Any = checkdmarc.check_domains([DOMAIN], nameservers=name_servers(world))
        assert report["spf"]["valid"] is True, report["spf"]
        assert report["spf"]["record"] == "v=spf1 include:spf.mailjet.com ~all"
        assert report["spf"]["dns_lookups"] == 1
        assert report["spf"]["void_dns_lookups"] == 0
        assert report["spf"]["warnings"] == []
        assert report["dmarc"]["valid"] is True, report["dmarc"]
        assert report["dmarc"]["location"] == DOMAIN
        assert report["dmarc"]["tags"]["p"]["value"] == "none"
        assert [host["hostname"] for host in report["mx"]["hosts"]] == ["parse.mailjet.com"]
        assert report["mx"]["hosts"][0]["addresses"] == ["192.0.2.21", "192.0.2.22"]
        assert report["mx"]["warnings"] == []

    def test_the_apex_keeps_its_own_mail(self, world: EmulatedCloudflare) -> None:
        report: Any = checkdmarc.check_domains(["agents.example"], nameservers=name_servers(world))
        assert report["spf"]["valid"] is True, report["spf"]
        assert report["dmarc"]["tags"]["p"]["value"] == "reject"
        assert report["ns"]["hostnames"] == ["ada.ns.cloudflare.com", "bob.ns.cloudflare.com"]
        assert report["soa"]["values"]["primary_nameserver"] == "ada.ns.cloudflare.com"
        assert report["mx"]["hosts"][0]["hostname"] == "mx1.corp.example"
        assert [report[part]["warnings"] for part in ("ns", "mx", "spf", "dmarc")] == [[], [], [], []]


class TestDkimpy:
    def dnsfunc(self, world: EmulatedCloudflare, name: bytes, timeout: float = 5) -> bytes:
        (rdata,) = world.resolver().resolve(name.decode(), "TXT")
        return b"".join(rdata.strings)

    def test_a_signed_message_verifies_through_the_zone(
        self, world: EmulatedCloudflare, key: rsa.RSAPrivateKey
    ) -> None:
        header = dkim.sign(MESSAGE, b"mailjet", DOMAIN.encode(), private_pem(key))

        def dnsfunc(name: bytes, timeout: float = 5) -> bytes:
            return self.dnsfunc(world, name, timeout)

        assert len(public_text(key)) > 255
        assert dkim.verify(header + MESSAGE, dnsfunc=dnsfunc) is True
        assert dkim.verify(header + MESSAGE.replace(b"Hello", b"Hullo"), dnsfunc=dnsfunc) is False
