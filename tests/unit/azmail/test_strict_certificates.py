"""Every certificate that is made here holds where Python verifies strictly, which it does from 3.13 on."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest

from azmail.gateway.certificate import own_certificate
from emulators.mailjet.certificate import Certificates as EmulatorCertificates
from tests.unit.azmail.conftest import Certificates


def handshake(server: ssl.SSLContext, ca_file: Path) -> str | None:
    """Over buffers in memory; the protocol that both agreed on. Raises SSLError."""
    client = ssl.create_default_context(cafile=str(ca_file))
    client.verify_flags |= ssl.VERIFY_X509_STRICT | ssl.VERIFY_X509_PARTIAL_CHAIN
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ours = client.wrap_bio(to_client, to_server, server_hostname="localhost")
    theirs = server.wrap_bio(to_server, to_client, server_side=True)
    waiting = [ours, theirs]
    for _ in range(10):
        for side in list(waiting):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
            waiting.remove(side)
        if not waiting:
            return ours.version()
    return None


def test_of_these_tests(certificates: Certificates) -> None:
    assert handshake(certificates.server, certificates.ca_file) == "TLSv1.3"


def test_of_the_emulated_smtp_servers(tmp_path: Path) -> None:
    made = EmulatorCertificates(tmp_path / "tls")
    assert handshake(made.context(), made.ca_file) == "TLSv1.3"


def test_of_the_gateway(tmp_path: Path) -> None:
    context = own_certificate(tmp_path, ["localhost", "127.0.0.1"])
    assert handshake(context, tmp_path / "ca.pem") == "TLSv1.3"


def test_the_flag_is_what_refuses_the_others(tmp_path: Path, certificates: Certificates) -> None:
    other = EmulatorCertificates(tmp_path)
    other.context()
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(certificates.server, other.ca_file)
