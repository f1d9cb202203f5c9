"""API tokens and what they may do, in the permission groups' own names."""

from __future__ import annotations

import enum
import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from emulators.cloudflare.errors import TokenInvalidError

# The form of a token; anything else is refused before it is looked up.
TOKEN_FORM = re.compile(r"[0-9A-Za-z_-]{40,80}\Z")


class Permission(enum.StrEnum):
    """The permission groups that the emulated endpoints ask for."""

    ZONE_READ = "Zone Read"
    ZONE_WRITE = "Zone Write"
    DNS_READ = "DNS Read"
    DNS_WRITE = "DNS Write"
    TUNNEL_READ = "Cloudflare Tunnel Read"
    TUNNEL_WRITE = "Cloudflare Tunnel Write"
    TOKENS_WRITE = "API Tokens Write"

    @property
    def id(self) -> str:
        return hashlib.sha256(self.value.encode()).hexdigest()[:32]

    @property
    def scope(self) -> str:
        if self in {Permission.TUNNEL_READ, Permission.TUNNEL_WRITE}:
            return "com.cloudflare.api.account"
        if self is Permission.TOKENS_WRITE:
            return "com.cloudflare.api.user"
        return "com.cloudflare.api.account.zone"


# A write permission includes its read permission.
_IMPLIED = {
    Permission.ZONE_WRITE: Permission.ZONE_READ,
    Permission.DNS_WRITE: Permission.DNS_READ,
    Permission.TUNNEL_WRITE: Permission.TUNNEL_READ,
}

EVERYTHING = frozenset(Permission)
# What a preview needs, and what `up` needs without a tunnel.
DNS_READ_ONLY = frozenset({Permission.ZONE_READ, Permission.DNS_READ})
DNS_WITHOUT_TUNNEL = frozenset({Permission.ZONE_READ, Permission.DNS_WRITE})


def digest(value: str) -> str:
    """How a token is stored: never itself."""
    return hashlib.sha256(value.encode()).hexdigest()


@dataclass(frozen=True, kw_only=True)
class Token:
    """A token's rights. `zones` are zone ids; None means every zone of the account."""

    id: str
    name: str
    digest: str
    permissions: frozenset[Permission]
    zones: frozenset[str] | None = None
    status: str = "active"
    issued_on: str = ""
    of_account: bool = False
    """Owned by the account, not by a user: verified at an address of its own."""

    def may(self, permission: Permission, zone_id: str | None = None) -> bool:
        granted = self.permissions | {_IMPLIED[one] for one in self.permissions if one in _IMPLIED}
        return permission in granted and (zone_id is None or self.zones is None or zone_id in self.zones)

    def as_json(self) -> dict[str, object]:
        """The token as the API lists it, without its value."""
        zones = ["*"] if self.zones is None else sorted(self.zones)
        return {
            "id": self.id,
            "name": self.name,
            "status": self.status,
            "issued_on": self.issued_on,
            "modified_on": self.issued_on,
            "policies": [
                {
                    "id": digest(self.id)[:32],
                    "effect": "allow",
                    "resources": {f"com.cloudflare.api.account.zone.{zone}": "*" for zone in zones},
                    "permission_groups": [{"id": one.id, "name": one.value} for one in sorted(self.permissions)],
                }
            ],
        }

    def stored(self) -> dict[str, object]:
        return {
            "id": self.id,
            "name": self.name,
            "digest": self.digest,
            "permissions": sorted(self.permissions),
            "zones": None if self.zones is None else sorted(self.zones),
            "status": self.status,
            "issued_on": self.issued_on,
            "of_account": self.of_account,
        }

    @staticmethod
    def from_stored(stored: Mapping[str, object]) -> Token:
        zones = stored["zones"]
        permissions = stored["permissions"]
        return Token(
            id=str(stored["id"]),
            name=str(stored["name"]),
            digest=str(stored["digest"]),
            permissions=frozenset(map(Permission, permissions if isinstance(permissions, list) else [])),
            zones=frozenset(map(str, zones)) if isinstance(zones, list) else None,
            status=str(stored["status"]),
            issued_on=str(stored["issued_on"]),
            of_account=bool(stored.get("of_account")),
        )


def rights_of(policies: object) -> tuple[frozenset[Permission], frozenset[str] | None]:
    """Permissions and zone ids (None: all) of a token request's policies. Raises TokenInvalidError."""
    if not isinstance(policies, list) or not policies:
        raise TokenInvalidError("policies is a required field")
    permissions: set[Permission] = set()
    zones: set[str] | None = set()
    for policy in policies:
        if not isinstance(policy, Mapping) or policy.get("effect", "allow") != "allow":
            raise TokenInvalidError("a policy must be an object with effect allow")
        permissions |= set(_groups(policy.get("permission_groups")))
        resources = policy.get("resources")
        for resource in resources if isinstance(resources, Mapping) else {}:
            kind, _, which = str(resource).rpartition(".")
            if kind != "com.cloudflare.api.account.zone":
                continue
            if which == "*":
                zones = None
            elif zones is not None:
                zones.add(which)
    return frozenset(permissions), None if zones is None else frozenset(zones)


def _groups(given: object) -> Iterable[Permission]:
    known = {one.id: one for one in Permission} | {one.value: one for one in Permission}
    for group in given if isinstance(given, list) else []:
        fields = group if isinstance(group, Mapping) else {}
        permission = known.get(str(fields.get("id"))) or known.get(str(fields.get("name")))
        if permission is None:
            raise TokenInvalidError(f"unknown permission group {fields.get('name') or fields.get('id')}")
        yield permission
