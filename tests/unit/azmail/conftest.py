"""Certificates, servers and stack outputs that the tests of this folder share."""

import base64
import datetime
import ipaddress
import json
import ssl
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from azmail import Mailbox, MailStack
from tests.postgres import PostgresServerOfTests
from tests.unit.azmail.databases import empty_database
from tests.unit.azmail.servers import PASSWORD, SWITCHBOARD, USER, HttpServer, SmtpServer, http_server, smtp_server

AGENT_A = "538605c0-4728-53d9-b533-76e2b3da240c"
AGENT_B = "e1f8a769-dac9-5019-a3cf-40de98ff6020"
ADDRESS_A = "vector.aurora.292.20241005123045@dev.agents.example"
ADDRESS_B = "glyph.glyph.017.20241005123045@dev.agents.example"
INBOUND_SECRET = "s3cretS3cretS3cretS3cretS3cret99"


@dataclass(frozen=True)
class Certificates:
    """A certificate authority in a PEM file and a TLS context for a server at 127.0.0.1 and localhost."""

    ca_file: Path
    server: ssl.SSLContext
    other_name: ssl.SSLContext


def _usage(*, signs: bool) -> x509.KeyUsage:
    unused = ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "encipher_only")
    return x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=signs,
        crl_sign=signs,
        decipher_only=False,
        **dict.fromkeys(unused, False),
    )


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """The PostgreSQL server of these tests."""
    server = PostgresServerOfTests()
    yield server.plain_url
    server.close()


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of an empty database."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/database.sqlite"
        return
    with empty_database(request.getfixturevalue("postgres_url")) as url:
        yield url


@pytest.fixture(scope="session", autouse=True)
def _asgi() -> Iterator[None]:
    with SWITCHBOARD.running():
        yield


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    folder = tmp_path_factory.mktemp("tls")
    now = datetime.datetime.now(datetime.UTC)

    def issue(name: str, alternative: list[x509.GeneralName], issuer: Any = None) -> Any:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer[0].subject if issuer else subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(hours=1))
            .not_valid_after(now + datetime.timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
            # From 3.13 on Python verifies strictly (RFC 5280, 4.2.1): it wants both identifiers and a key's usage.
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key((issuer[1] if issuer else key).public_key()),
                critical=False,
            )
            .add_extension(_usage(signs=issuer is None), critical=True)
        )
        if alternative:
            builder = builder.add_extension(x509.SubjectAlternativeName(alternative), critical=False)
        return builder.sign(issuer[1] if issuer else key, hashes.SHA256()), key

    def context(name: str, alternative: list[x509.GeneralName]) -> ssl.SSLContext:
        certificate, key = issue(name, alternative, authority)
        pem = folder / f"{name}.pem"
        pem.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
            + certificate.public_bytes(serialization.Encoding.PEM)
        )
        made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        made.load_cert_chain(pem)
        return made

    authority = issue("test authority", [])
    ca_file = folder / "ca.pem"
    ca_file.write_bytes(authority[0].public_bytes(serialization.Encoding.PEM))
    loopback = [x509.IPAddress(ipaddress.ip_address("127.0.0.1")), x509.DNSName("localhost")]
    return Certificates(
        ca_file, context("localhost", loopback), context("elsewhere", [x509.DNSName("elsewhere.example")])
    )


@pytest.fixture
def smtp(certificates: Certificates) -> Iterator[SmtpServer]:
    with smtp_server(certificates.server) as server:
        yield server


@pytest.fixture
def http() -> Iterator[HttpServer]:
    with http_server() as server:
        yield server


ADDRESSES = {AGENT_A: ADDRESS_A, AGENT_B: ADDRESS_B}


def shared() -> dict[str, Any]:
    """What all mailboxes of the stack have in common."""
    return {
        "smtp_host": "in-v3.mailjet.com",
        "smtp_port": 587,
        "smtp_username": USER,
        "smtp_password": PASSWORD,
        "inbound_url": "https://api-dev.agents.example/api/webhooks/mailjet/inbound",
        "inbound_secret": "",
    }


def packed(*columns: object) -> str:
    """Columns as the output has them."""
    return base64.b64encode(zlib.compress(json.dumps(columns).encode())).decode()


def packed_mailboxes(
    common: Mapping[str, Any], addresses: Mapping[str, str], passwords: Mapping[str, str] | None = None
) -> str:
    """The output `mailboxes`; with `passwords`, which are by agent, `common` has no login."""
    columns = [list(addresses), list(addresses.values())]
    if passwords is not None:
        columns.append([passwords[agent] for agent in addresses])
    return json.dumps({"shared": common, "packed": packed(*columns)})


def stack_outputs(credentials: Mapping[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
    """Outputs of a stack with two agents, as `pulumi stack output --json --show-secrets` prints them.

    `credentials`: what the mailboxes share, where it is not as in `shared`.
    """
    outputs: dict[str, Any] = {
        "contractVersion": "2.0",
        "mailboxes": packed_mailboxes({**shared(), **(credentials or {})}, ADDRESSES),
        "mailboxCount": 2,
        "platformEnv": {
            "MAILJET_API_KEY": USER,
            "MAILJET_API_SECRET": PASSWORD,
            "AZT3KNET_DOMAIN": "dev.agents.example",
        },
        "domain": "dev.agents.example",
        "expectedRecords": [
            {
                "name": "dev.agents.example",
                "type": "MX",
                "content": "parse.mailjet.com",
                "priority": 10,
                "ttl": 300,
                "proxied": False,
                "why": "mail for the agents goes to Mailjet",
            }
        ],
        "dkimStatus": "OK",
        "spfStatus": "OK",
        "tunnelHostname": "api-dev.agents.example",
        "tunnelToken": "eyJhIjoiMDAxMTIyMzM0NDU1NjY3Nzg4OTlhYWJiY2NkZGVlZmYifQ==",
        "webhookUrl": "https://api-dev.agents.example/api/webhooks/mailjet/inbound",
    }
    return outputs | changes


@pytest.fixture
def stack() -> MailStack:
    return MailStack(stack_outputs())


@pytest.fixture
def mailbox(smtp: SmtpServer) -> Mailbox:
    """Agent A's mailbox with the loopback server's address."""
    return Mailbox(
        agent_id=AGENT_A,
        address=ADDRESS_A,
        smtp_host=smtp.host,
        smtp_port=smtp.port,
        smtp_username=USER,
        smtp_password=PASSWORD,
        inbound_url="https://api-dev.agents.example/api/webhooks/mailjet/inbound",
        inbound_secret="",
    )
