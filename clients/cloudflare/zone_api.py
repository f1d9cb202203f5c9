"""Cloudflare's REST API, as far as an adoption needs it: a zone's records and an account's tunnels.

https://developers.cloudflare.com/api/resources/dns/subresources/records/
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from clients.cloudflare.client import CloudflareClient, CloudflareError
from mailboxes import remedies

ATTEMPTS = 4
_WRITTEN = ("name", "type", "content", "ttl", "proxied", "priority", "comment", "tags", "settings", "data")

Fields = Mapping[str, Any]
T = TypeVar("T")


class CloudflareRefusedError(Exception):
    """Cloudflare refused a request, or gave no answer; with what mends it."""

    def __init__(self, error: CloudflareError) -> None:
        if error.refused:
            remedy = (
                "expected a token with Zone.DNS Edit (and Account.Cloudflare Tunnel Edit for a tunnel); "
                f"set it with: {remedies.set_secret('cloudflare:apiToken')}, or in the environment as CLOUDFLARE_API_TOKEN"
            )
        elif error.status is None:
            remedy = (
                "check the network and cloudflare:baseUrl; for the embedded default start the emulators with: "
                f"{remedies.emulators('up')}"
            )
        else:
            remedy = "mend it and run the command again: it goes on from here"
        super().__init__(f"{error}; {remedy}")


@dataclass(frozen=True, kw_only=True)
class AccountTunnel:
    """A tunnel as the account has it."""

    id: str
    name: str
    remotely_managed: bool = True
    """Whether its ingress is kept by Cloudflare (`config_src: cloudflare`), as ours is."""
    created_at: str = ""


class ZoneApi:
    """One zone. Whatever Cloudflare refuses is told with what mends it."""

    def __init__(self, url: str, token: str, zone_id: str, *, wait: Callable[[float], None] = time.sleep) -> None:
        self._client = CloudflareClient(url, token, attempts=ATTEMPTS, wait=wait)
        self._zone = f"zones/{zone_id}/dns_records"
        self.zone_id = zone_id

    def close(self) -> None:
        """Give the connections back."""
        self._client.close()

    def records(self) -> list[dict[str, Any]]:
        """Every record of the zone, as Cloudflare shows it."""
        return _told(lambda: list(self._client.pages(self._zone, "listing the zone's records")))

    def record(self, record_id: str) -> dict[str, Any] | None:
        """The record as it is now; None where it is gone."""
        return _told(lambda: self._client.found_or_none(f"{self._zone}/{record_id}", f"reading the record {record_id}"))

    def set_comment(self, record_id: str, comment: str) -> None:
        self._write(
            "PATCH", f"{self._zone}/{record_id}", f"setting the comment of the record {record_id}", {"comment": comment}
        )

    def create(self, fields: Fields) -> None:
        self._write("POST", self._zone, f"creating {_brief(fields)}", writable(fields))

    def overwrite(self, record_id: str, fields: Fields) -> None:
        self._write("PUT", f"{self._zone}/{record_id}", f"writing {_brief(fields)}", writable(fields))

    def delete(self, record_id: str) -> None:
        """Delete; a record that is gone already is as wanted."""
        self._delete(f"{self._zone}/{record_id}", f"deleting the record {record_id}")

    def tunnels(self, account_id: str, name: str) -> list[AccountTunnel]:
        """The account's live tunnels of exactly this name."""
        found = _told(
            lambda: list(
                self._client.pages(
                    f"accounts/{account_id}/cfd_tunnel",
                    f"looking for the tunnel {name!r}",
                    {"name": name, "is_deleted": "false"},
                )
            )
        )
        return [
            AccountTunnel(
                id=str(fields["id"]),
                name=str(fields["name"]),
                remotely_managed=bool(fields.get("remote_config", fields.get("config_src") == "cloudflare")),
                created_at=str(fields.get("created_at") or ""),
            )
            for fields in found
            if fields.get("name") == name and not fields.get("deleted_at")
        ]

    def delete_tunnel(self, account_id: str, tunnel_id: str) -> None:
        self._delete(f"accounts/{account_id}/cfd_tunnel/{tunnel_id}", f"deleting the tunnel {tunnel_id}")

    def _write(self, method: str, path: str, doing: str, body: Fields | None = None) -> None:
        _told(lambda: self._client.ask(method, path, doing, body=body))

    def _delete(self, path: str, doing: str) -> None:
        try:
            self._client.ask("DELETE", path, doing)
        except CloudflareError as error:
            if error.status != 404:
                raise CloudflareRefusedError(error) from None


def _told(call: Callable[[], T]) -> T:
    try:
        return call()
    except CloudflareError as error:
        raise CloudflareRefusedError(error) from None


def writable(fields: Fields) -> dict[str, Any]:
    """The part of a listed record that a write takes; a structured record is written by its `data`."""
    body = {key: fields[key] for key in _WRITTEN if fields.get(key) not in (None, [], {})}
    body["comment"] = fields.get("comment")
    if "data" in body:
        body.pop("content", None)
    return body


def _brief(fields: Fields) -> str:
    return f"{fields.get('name')} {fields.get('type')}"
