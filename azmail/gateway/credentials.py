"""An agent's credential: derived from one root secret, checked without a table of passwords.

A password is `azm1.KID.EPOCH.TAG`; the tag is the unpadded base64url of

    HMAC-SHA256(K, lp(agent id) ‖ lp(EPOCH))      K = HKDF-SHA256(root[KID], info=lp("azmail v1") ‖ lp(domain) ‖ lp(scope))

where `lp` is a text's UTF-8 octets behind their number as four octets, big-endian; so no two inputs read alike. HKDF
(RFC 5869) has no salt: roots are random. docs/gateway.md has test vectors for other languages.

Nothing is stored, so nothing can be stolen from a table: 10,000 agents are one secret. One agent's password is withdrawn
by its epoch, all of them by another root.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
import secrets
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Self

PREFIX = "azm1"
"""Lets secret scanners find a credential, and says how to read the rest of it."""
ROOT_OCTETS = 32
KEY_ID = re.compile(r"[a-z0-9]{1,16}")
_PASSWORD = re.compile(r"azm1\.([a-z0-9]{1,16})\.(0|[1-9][0-9]{0,8})\.([A-Za-z0-9_-]{43})")
_MAKE_ONE = "make one with: python3 -c 'import secrets; print(secrets.token_urlsafe(32))'"


class Scope(StrEnum):
    """What a credential opens. Each scope has a key of its own, so one scope's password tells nothing of another's."""

    SEND = "send"
    INBOX = "inbox"
    PLATFORM = "platform"
    """Every mailbox of the stack, to read; made for `PLATFORM`, who is no agent."""


PLATFORM = "platform"
"""In the place of an agent's id in the password of scope `platform`."""


class RootError(Exception):
    """A root secret that cannot be used. The secret itself is never shown."""


@dataclass(frozen=True, slots=True)
class Password:
    """The parts of a password; `tag` proves them."""

    kid: str
    epoch: int
    tag: str = field(repr=False)

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """None for anything that is not of the form; nothing is trimmed or folded."""
        match = _PASSWORD.fullmatch(text)
        return cls(match[1], int(match[2]), match[3]) if match else None

    def __str__(self) -> str:
        return f"{PREFIX}.{self.kid}.{self.epoch}.{self.tag}"


class Roots:
    """The root secrets by key id; the first is the one that new passwords are made from.

    Two are held while all credentials rotate: passwords of both are good, new ones come from the first.
    """

    def __init__(self, roots: Mapping[str, str], *, domain: str) -> None:
        """`roots`: key id to the unpadded base64url of at least 32 octets. Raises RootError."""
        if not roots:
            raise RootError(f"there is no root secret, expected one under a key id such as 'r1'; {_MAKE_ONE}")
        self.domain = domain.lower().rstrip(".")
        self.current = next(iter(roots))
        self._keys = {
            (kid, scope): _extract_and_expand(
                _octets_of(kid, text), b"".join(_prefixed(part) for part in ("azmail v1", self.domain, scope))
            )
            for kid, text in roots.items()
            for scope in Scope
        }

    def password(self, agent_id: str, epoch: int = 0, scope: Scope = Scope.SEND, *, kid: str | None = None) -> str:
        """The agent's password, of the current root unless `kid` names another. Raises KeyError for an unknown `kid`."""
        kid = kid or self.current
        return password_of(kid, self._keys[kid, scope], agent_id, epoch)

    def proves(self, password: Password, agent_id: str, scope: Scope) -> bool:
        """Whether the password was made from one of the roots for this agent, epoch and scope.

        Takes the same time whatever is wrong: an unknown key id costs an HMAC too.
        """
        key = self._keys.get((password.kid, scope))
        expected = _tag(key or _NO_KEY, agent_id, password.epoch)
        return hmac.compare_digest(expected, password.tag) and key is not None

    @property
    def kids(self) -> frozenset[str]:
        return frozenset(kid for kid, _ in self._keys)

    def __repr__(self) -> str:
        return f"Roots({', '.join(sorted(self.kids))}; domain={self.domain!r})"


@dataclass(frozen=True, slots=True)
class AgentLogin:
    """Who may log in: its id, its address, and the lowest epoch that is still good."""

    id: str
    address: str
    epoch: int = 0


class Directory:
    """The agents of a stack, found by id or by address."""

    def __init__(self, agents: Iterable[AgentLogin]) -> None:
        self._by_id = {agent.id: agent for agent in agents}
        self._by_address = {agent.address.lower(): agent for agent in self._by_id.values()}

    def find(self, user: str) -> AgentLogin | None:
        """By id, exactly; or by address, in which case does not matter."""
        return self._by_id.get(user) or self._by_address.get(user.lower())

    def __len__(self) -> int:
        return len(self._by_id)

    def __iter__(self) -> Iterator[AgentLogin]:
        return iter(self._by_id.values())


_NOBODY = AgentLogin("", "")


def password_of(kid: str, key: bytes, agent_id: str, epoch: int) -> str:
    """The password that a scope's key makes for an agent."""
    return str(Password(kid, epoch, _tag(key, agent_id, epoch)))


def authenticate(
    directory: Directory,
    roots: Roots,
    user: str,
    secret: str,
    scope: Scope,
    *,
    revoked: Mapping[str, int] = MappingProxyType({}),
) -> AgentLogin | None:
    """The agent whose credential this is, or None; the caller says the same words for every reason.

    `revoked`: agent id and the lowest epoch that is still good, where it is above the directory's.

    A password of a later epoch than the directory's is good too: the population file has moved on, and this process
    has not read it yet. An unknown agent costs what a known one does.
    """
    agent = directory.find(user)
    password = Password.parse(secret)
    proved = roots.proves(password or _NO_PASSWORD, (agent or _NOBODY).id, scope)
    if agent is None or password is None or not proved:
        return None
    return agent if password.epoch >= max(agent.epoch, revoked.get(agent.id, 0)) else None


def new_root() -> str:
    """A root secret: 32 random octets as base64url."""
    return secrets.token_urlsafe(ROOT_OCTETS)


def _octets_of(kid: str, text: str) -> bytes:
    if not KEY_ID.fullmatch(kid):
        raise RootError(f"the key id of a root secret is {kid!r}, expected 1 to 16 of a-z and 0-9, such as 'r1'")
    try:
        octets = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        octets = None
    if octets is None:
        raise RootError(f"root secret {kid} is no base64url, expected at least {ROOT_OCTETS} octets of it; {_MAKE_ONE}")
    if len(octets) < ROOT_OCTETS:
        raise RootError(f"root secret {kid} has {len(octets)} octets, expected at least {ROOT_OCTETS}; {_MAKE_ONE}")
    return octets


def _prefixed(text: str) -> bytes:
    octets = text.encode()
    return len(octets).to_bytes(4) + octets


def _extract_and_expand(secret: bytes, info: bytes) -> bytes:
    """HKDF-SHA256 (RFC 5869) without salt, 32 octets: one block of the expansion."""
    extracted = hmac.digest(bytes(hashlib.sha256().digest_size), secret, "sha256")
    return hmac.digest(extracted, info + b"\x01", "sha256")


def _tag(key: bytes, agent_id: str, epoch: int) -> str:
    mac = hmac.digest(key, _prefixed(agent_id) + _prefixed(str(epoch)), "sha256")
    return base64.urlsafe_b64encode(mac).rstrip(b"=").decode()


_NO_KEY = bytes(32)
_NO_PASSWORD = Password("", 0, "A" * 43)
