"""The gateway's certificate: a given one, or one of an authority that is made at first start and exported for clients."""

from __future__ import annotations

import os
import ssl
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from azmail.errors import AzmailError

VALID_FOR = timedelta(days=3650)
RENEW_BEFORE = timedelta(days=30)
CLOCKS_DIFFER = timedelta(hours=1)


class CertificateError(AzmailError):
    """No certificate to serve with."""

    def __init__(self, path: Path, problem: str) -> None:
        super().__init__(
            f"the certificate {path} cannot be used ({problem}), expected a PEM file with key and certificate"
        )


def given_certificate(certificate: Path, key: Path | None) -> ssl.SSLContext:
    """A context from PEM files. Raises CertificateError."""
    context = _context()
    try:
        context.load_cert_chain(certificate, key)
    except (OSError, ssl.SSLError) as error:
        raise CertificateError(certificate, getattr(error, "strerror", None) or str(error)) from None
    return context


def own_certificate(folder: Path, names: Sequence[str]) -> ssl.SSLContext:
    """A context for these host names and addresses, from `ca.pem` and `server.pem` in `folder`.

    Both are made where they are missing, are about to expire, or are for other names; clients trust `ca.pem`. The
    authority's key is thrown away: nobody can make another certificate that clients would trust.
    """
    authority, server = folder / "ca.pem", folder / "server.pem"
    if not _serves(server, names) or not authority.exists():
        _make(folder, authority, server, names)
    return given_certificate(server, None)


def _context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def _general_names(names: Sequence[str]) -> list[x509.GeneralName]:
    found: list[x509.GeneralName] = []
    for name in names:
        try:
            found.append(x509.IPAddress(ip_address(name)))
        except ValueError:
            found.append(x509.DNSName(name))
    return found


def _serves(server: Path, names: Sequence[str]) -> bool:
    try:
        certificate = x509.load_pem_x509_certificate(server.read_bytes())
        listed = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (OSError, ValueError, x509.ExtensionNotFound):
        return False
    in_time = certificate.not_valid_after_utc - datetime.now(UTC) > RENEW_BEFORE
    return in_time and set(_general_names(names)) <= set(listed)


def _make(folder: Path, authority_file: Path, server_file: Path, names: Sequence[str]) -> None:
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    now = datetime.now(UTC)
    authority_key, server_key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "azmail gateway authority")])
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0][:64])])
    identifier = x509.SubjectKeyIdentifier.from_public_key(authority_key.public_key())

    def builder(whose: x509.Name, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(whose)
            .issuer_name(issuer)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - CLOCKS_DIFFER)
            .not_valid_after(now + VALID_FOR)
            # Python 3.13 verifies strictly (RFC 5280, 4.2.1): without both identifiers it trusts nothing.
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier), critical=False)
        )

    authority = (
        builder(issuer, authority_key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs=True), critical=True)
        .sign(authority_key, hashes.SHA256())
    )
    server = (
        builder(subject, server_key.public_key())
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName(_general_names(names)), critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    private = server_key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    _write(server_file, private + server.public_bytes(pem), 0o600)
    _write(authority_file, authority.public_bytes(pem), 0o644)


def _usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs,
        crl_sign=signs,
        encipher_only=False,
        decipher_only=False,
    )


def _write(path: Path, content: bytes, mode: int) -> None:
    """All of it or nothing, and for others' eyes never before its mode is set."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
    beside.replace(path)
