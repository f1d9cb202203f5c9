"""What is asked of Cloudflare: token, zone, records, tunnels. Only `try_to_write` writes, and takes it back."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from clients.cloudflare.client import CloudflareClient, CloudflareError
from zone.names import a_labels, u_labels

ATTEMPTS = 2


@dataclass(frozen=True, kw_only=True)
class Zone:
    """A zone as its owner sees it, its name with A-labels: the API tells it in Unicode, other than a record's."""

    id: str
    name: str
    status: str
    name_servers: tuple[str, ...]
    account_id: str

    @classmethod
    def parse(cls, fields: Mapping[str, Any]) -> Zone:
        return cls(
            id=str(fields.get("id") or ""),
            name=_a_labels(str(fields.get("name") or "")),
            status=str(fields.get("status") or ""),
            name_servers=tuple(str(name).lower() for name in fields.get("name_servers") or ()),
            account_id=str((fields.get("account") or {}).get("id") or ""),
        )


def _a_labels(name: str) -> str:
    """A name that has no such form is nobody's zone, and is told as it came."""
    try:
        return a_labels(name)
    except ValueError:
        return name.lower()


class Cloudflare:
    """One token's view. Every question is asked twice at most."""

    def __init__(self, url: str, token: str, *, wait: Callable[[float], None] = time.sleep) -> None:
        self._client = CloudflareClient(url, token, attempts=ATTEMPTS, wait=wait)

    def verify_token(self, account_id: str = "", zone_id: str = "") -> dict[str, Any]:
        """`status` and, where it has an end, `expires_on`. An account's own token is known to its account only.

        Where no account is given, the zone tells which one it belongs to.
        """
        try:
            return self._client.found("user/tokens/verify", "verifying the API token")
        except CloudflareError as error:
            if error.status is None or not (account_id or zone_id):
                raise
            refusal = error
        if not account_id:
            try:
                account_id = self.zone(zone_id).account_id
            except CloudflareError:
                raise refusal from None
        return self._client.found(f"accounts/{account_id}/tokens/verify", "verifying the API token")

    def zone(self, zone_id: str) -> Zone:
        return Zone.parse(self._client.found(f"zones/{zone_id}", f"reading the zone {zone_id}"))

    def zones(self) -> list[Zone]:
        """Every zone that the token may see, in the order of their names."""
        rows = self._client.pages("zones", "listing the token's zones", size=50)
        return sorted((Zone.parse(row) for row in rows), key=lambda zone: zone.name)

    def zones_named(self, name: str) -> list[Zone]:
        """The zones of this name, which may be written either way; Cloudflare finds an international one by its Unicode."""
        rows = [
            row
            for form in dict.fromkeys([u_labels(name), _a_labels(name)])
            for row in self._client.pages("zones", f"looking for the zone {name!r}", {"name": form}, size=50)
        ]
        return list({zone.id: zone for zone in map(Zone.parse, rows)}.values())

    def records(self, zone_id: str) -> list[dict[str, Any]]:
        """Every record of the zone, as Cloudflare shows it."""
        return list(self._client.pages(f"zones/{zone_id}/dns_records", "listing the zone's records"))

    def peek_at_records(self, zone_id: str) -> None:
        """Raises CloudflareError where the token may not read the zone's DNS."""
        self._peek(f"zones/{zone_id}/dns_records", "listing the zone's records")

    def peek_at_tunnels(self, account_id: str) -> None:
        """Raises CloudflareError where the token may not read the account's tunnels."""
        self._peek(f"accounts/{account_id}/cfd_tunnel", "listing the account's tunnels")

    def tunnel(self, account_id: str, tunnel_id: str) -> dict[str, Any] | None:
        """None for one that is gone; Cloudflare keeps showing deleted ones."""
        found = self._client.found_or_none(
            f"accounts/{account_id}/cfd_tunnel/{tunnel_id}", f"reading the tunnel {tunnel_id}"
        )
        return None if found is None or found.get("deleted_at") else found

    def ingress(self, account_id: str, tunnel_id: str) -> list[dict[str, Any]]:
        """The tunnel's ingress rules, first match first."""
        found = self._client.found(
            f"accounts/{account_id}/cfd_tunnel/{tunnel_id}/configurations",
            f"reading the configuration of the tunnel {tunnel_id}",
        )
        return [dict(rule) for rule in (found.get("config") or {}).get("ingress") or []]

    def try_to_write(self, zone_id: str, name: str) -> None:
        """Write a TXT record of no meaning at this name and remove it again; one that is left from before counts as written.

        Raises CloudflareError, which says at which of the two it failed.
        """
        records = f"zones/{zone_id}/dns_records"
        body = {"type": "TXT", "name": name, "content": '"a test whether this token may write"', "ttl": 60}
        left = [row for row in self.records(zone_id) if (row["name"], row["type"]) == (name, "TXT")]
        row = left[0] if left else self._client.ask("POST", records, f"trying to write {name} TXT", body=body)["result"]
        self._client.ask("DELETE", f"{records}/{row['id']}", f"removing the record of the test, {name} TXT")

    def _peek(self, path: str, doing: str) -> None:
        self._client.ask("GET", path, doing, query={"per_page": "1"})
