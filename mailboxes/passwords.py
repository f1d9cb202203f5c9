"""The agents' passwords, derived from a stack's root secrets; `azmail` checks them (docs/gateway.md has the form).

Written twice on purpose: this program may not import the platform's library, and the library ships without this program
(decision record 131). Both are held to the documentation's test vectors and to each other.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import re
import secrets
from collections.abc import Mapping
from enum import StrEnum

from mailboxes.errors import MailboxError

ROOT_OCTETS = 32
MOST_ROOTS = 2
"""One, and while all passwords change the one before it."""
PLATFORM = "platform"
"""In the place of an agent's id where the platform itself is meant."""
_KEY_ID = re.compile(r"[a-z0-9]{1,16}")
_EXAMPLE = "r1:SECRET"


class PasswordScope(StrEnum):
    """What a password is good for: sending as an agent, reading its mailbox, reading every mailbox."""

    SEND = "send"
    INBOX = "inbox"
    PLATFORM = "platform"


class RootSecretError(MailboxError):
    """A stack's root secrets cannot be used; no secret is shown."""


def parse_roots(text: str) -> dict[str, str]:
    """{key id: secret} of `r2:SECRET,r1:SECRET`, the one first that new passwords are made from.

    Raises RootSecretError; its text goes on from the name of the configuration's key.
    """
    roots: dict[str, str] = {}
    for entry in text.split(","):
        kid, colon, secret = entry.strip().partition(":")
        if not colon or not _KEY_ID.fullmatch(kid):
            raise RootSecretError(
                f"holds something else than key ids and secrets ({len(text)} characters); expected {_EXAMPLE}, the key id "
                "of 1 to 16 of a-z and 0-9"
            )
        if kid in roots:
            raise RootSecretError(f"has the key id {kid} twice; expected each once")
        roots[kid] = secret
        _octets(kid, secret)
    if len(roots) > MOST_ROOTS:
        raise RootSecretError(f"holds {len(roots)} root secrets; expected one, or two while all passwords change")
    return roots


def render_roots(roots: Mapping[str, str]) -> str:
    """The text that `parse_roots` reads."""
    return ",".join(f"{kid}:{secret}" for kid, secret in roots.items())


def with_new_root(roots: Mapping[str, str]) -> dict[str, str]:
    """A new secret in front, and the one that was there behind it, whose passwords stay good meanwhile."""
    before = next(iter(roots.items()), None)
    kid = f"r{1 + max((int(kid[1:]) for kid in roots if re.fullmatch(r'r[0-9]{1,8}', kid)), default=0)}"
    return {kid: secrets.token_urlsafe(ROOT_OCTETS), **(dict([before]) if before else {})}


def platform_password(roots: Mapping[str, str], domain: str) -> str:
    """What the platform reads every mailbox with. Raises RootSecretError."""
    return agent_passwords(roots, domain, {PLATFORM: 0}, scope=PasswordScope.PLATFORM)[PLATFORM]


def agent_passwords(
    roots: Mapping[str, str], domain: str, epochs: Mapping[str, int], scope: PasswordScope = PasswordScope.SEND
) -> dict[str, str]:
    """{agent id: password}, of the first root. `epochs`: {agent id: credential epoch}. Raises RootSecretError."""
    kid, key = scope_key(roots, domain, scope)
    found = {}
    for agent_id, epoch in epochs.items():
        mac = hmac.digest(key, _prefixed(agent_id) + _prefixed(str(epoch)), "sha256")
        found[agent_id] = f"azm1.{kid}.{epoch}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"
    return found


def scope_key(roots: Mapping[str, str], domain: str, scope: PasswordScope) -> tuple[str, bytes]:
    """Key id and key that the first root's passwords of a scope are made with. Raises RootSecretError."""
    kid, secret = next(iter(roots.items()))
    info = b"".join(map(_prefixed, ("azmail v1", domain.lower().rstrip("."), scope)))
    # HKDF-SHA256 (RFC 5869) without salt; 32 octets are one block of its expansion.
    extracted = hmac.digest(bytes(32), _octets(kid, secret), "sha256")
    return kid, hmac.digest(extracted, info + b"\x01", "sha256")


def _prefixed(text: str) -> bytes:
    octets = text.encode()
    return len(octets).to_bytes(4) + octets


def _octets(kid: str, secret: str) -> bytes:
    try:
        octets = base64.b64decode(secret + "=" * (-len(secret) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise RootSecretError(
            f"has a root secret {kid} that is no base64url; expected at least {ROOT_OCTETS} octets of it"
        ) from None
    if len(octets) < ROOT_OCTETS:
        raise RootSecretError(
            f"has a root secret {kid} of {len(octets)} octets; expected at least {ROOT_OCTETS}, so that no password can be guessed"
        )
    return octets
