"""The public passphrase: who may have it, and which files were encrypted with it."""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Mapping
from pathlib import Path

from engine.errors import PackageMissingError

# Public on purpose: it encrypts nothing but throw-away credentials of emulators that listen on loopback.
LOOPBACK_PASSPHRASE = "loopback-only"  # noqa: S105

# How Pulumi makes a key of a passphrase (pkg/secrets/passphrase, sdk/go/common/resource/config/crypt.go).
_ROUNDS = 1_000_000
_KEY_BYTES = 32
_MARK = b"pulumi"


def own_passphrase(environment: Mapping[str, str]) -> bool:
    """Whether the user has set a passphrase (an empty one counts, as it does for Pulumi)."""
    return "PULUMI_CONFIG_PASSPHRASE" in environment or "PULUMI_CONFIG_PASSPHRASE_FILE" in environment


def gives_public_passphrase(environment: Mapping[str, str]) -> bool:
    """Whether what the user has set is the public one."""
    if "PULUMI_CONFIG_PASSPHRASE" in environment:
        return environment["PULUMI_CONFIG_PASSPHRASE"] == LOOPBACK_PASSPHRASE
    file = environment.get("PULUMI_CONFIG_PASSPHRASE_FILE")
    if not file:
        return False
    try:
        return Path(file).read_text(encoding="utf-8").strip() == LOOPBACK_PASSPHRASE
    except (OSError, UnicodeDecodeError):
        return False  # Pulumi itself says what is wrong with the file.


def is_public(salt: str) -> bool:
    """Whether a stack file's `encryptionsalt` belongs to the public passphrase: whoever has a clone reads its secrets.

    `v1:SALT:v1:NONCE:TEXT`, the words in base64; TEXT is `pulumi` in AES-256-GCM. Takes about half a second of CPU.
    Raises PackageMissingError where the virtualenv has no `cryptography`.
    """
    try:
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM
    except ModuleNotFoundError:
        raise PackageMissingError("cryptography", Path(__file__).resolve().parent.parent / ".venv") from None

    parts = salt.split(":")
    if len(parts) != 5 or (parts[0], parts[2]) != ("v1", "v1"):
        return False
    try:
        seed, nonce, sealed = (base64.b64decode(parts[place], validate=True) for place in (1, 3, 4))
    except binascii.Error:
        return False
    key = hashlib.pbkdf2_hmac("sha256", LOOPBACK_PASSPHRASE.encode(), seed, _ROUNDS, _KEY_BYTES)
    try:
        return AESGCM(key).decrypt(nonce, sealed, None) == _MARK
    except (InvalidTag, ValueError):
        return False
