"""Cloudflare's REST API, reading only: token, zone, records, tunnels.

https://developers.cloudflare.com/api/
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import requests

DEFAULT_URL = "https://api.cloudflare.com/client/v4"
PAGE = 1000
TIMEOUT_SECONDS = (5.0, 30.0)
"""To connect, and between two bytes of the answer."""
_AGAIN = frozenset({429, 500, 502, 503, 504})


class CloudflareError(Exception):
    """Cloudflare refused a question, or gave no answer."""

    def __init__(self, doing: str, *, status: int | None, code: int | None, said: str) -> None:
        self.status = status
        self.code = code
        if status is None:
            answer = f"did not answer ({said})"
        else:
            answer = f"answered {status}" + (f", code {code}" if code else "") + (f" ({said})" if said else "")
        super().__init__(f"Cloudflare {answer} while {doing}")

    @property
    def refused(self) -> bool:
        """Whether it is a matter of the token's rights."""
        return self.status in {401, 403} or self.code in {9109, 10000}

    @property
    def token_unknown(self) -> bool:
        """Whether the token itself is not accepted, whatever it may do."""
        return self.code in {1000, 1001, 6003, 6111} or self.status == 401


@dataclass(frozen=True, kw_only=True)
class Zone:
    """A zone as its owner sees it."""

    id: str
    name: str
    status: str
    name_servers: tuple[str, ...]
    account_id: str

    @classmethod
    def parse(cls, fields: Mapping[str, Any]) -> Zone:
        return cls(
            id=str(fields.get("id") or ""),
            name=str(fields.get("name") or "").lower(),
            status=str(fields.get("status") or ""),
            name_servers=tuple(str(name).lower() for name in fields.get("name_servers") or ()),
            account_id=str((fields.get("account") or {}).get("id") or ""),
        )


class Cloudflare:
    """One token's view. Every question is asked twice at most."""

    def __init__(self, url: str, token: str) -> None:
        self._url = (url or DEFAULT_URL).rstrip("/")
        self._session = requests.Session()
        self._session.headers["Authorization"] = f"Bearer {token}"

    def verify_token(self, account_id: str = "") -> dict[str, Any]:
        """`status` and, where it has an end, `expires_on`. An account's own token is known to its account only."""
        try:
            return self._object("user/tokens/verify", "verifying the API token")
        except CloudflareError as error:
            if not account_id or error.status is None:
                raise
        return self._object(f"accounts/{account_id}/tokens/verify", "verifying the API token")

    def zone(self, zone_id: str) -> Zone:
        return Zone.parse(self._object(f"zones/{zone_id}", f"reading the zone {zone_id}"))

    def zones_named(self, name: str) -> list[Zone]:
        return [Zone.parse(row) for row in self._pages("zones", f"looking for the zone {name!r}", {"name": name}, 50)]

    def records(self, zone_id: str) -> list[dict[str, Any]]:
        """Every record of the zone, as Cloudflare shows it."""
        return list(self._pages(f"zones/{zone_id}/dns_records", "listing the zone's records", {}, PAGE))

    def peek_at_records(self, zone_id: str) -> None:
        """Raises CloudflareError where the token may not read the zone's DNS."""
        self._ask(f"zones/{zone_id}/dns_records", "listing the zone's records", {"per_page": "1"})

    def peek_at_tunnels(self, account_id: str) -> None:
        """Raises CloudflareError where the token may not read the account's tunnels."""
        self._ask(f"accounts/{account_id}/cfd_tunnel", "listing the account's tunnels", {"per_page": "1"})

    def tunnel(self, account_id: str, tunnel_id: str) -> dict[str, Any] | None:
        """None for one that is gone; Cloudflare keeps showing deleted ones."""
        try:
            found = self._object(f"accounts/{account_id}/cfd_tunnel/{tunnel_id}", f"reading the tunnel {tunnel_id}")
        except CloudflareError as error:
            if error.status == 404:
                return None
            raise
        return None if found.get("deleted_at") else found

    def ingress(self, account_id: str, tunnel_id: str) -> list[dict[str, Any]]:
        """The tunnel's ingress rules, first match first."""
        found = self._object(
            f"accounts/{account_id}/cfd_tunnel/{tunnel_id}/configurations",
            f"reading the configuration of the tunnel {tunnel_id}",
        )
        return [dict(rule) for rule in (found.get("config") or {}).get("ingress") or []]

    def _object(self, path: str, doing: str) -> dict[str, Any]:
        found = self._ask(path, doing, {})["result"]
        if not isinstance(found, dict):
            raise CloudflareError(doing, status=200, code=None, said="what came is no object")
        return found

    def _pages(self, path: str, doing: str, query: Mapping[str, str], size: int) -> Iterator[dict[str, Any]]:
        page = 1
        while True:
            answer = self._ask(path, doing, {**query, "per_page": str(size), "page": str(page)})
            rows = answer["result"] or []
            yield from rows
            pages = (answer.get("result_info") or {}).get("total_pages")
            if not rows or (pages is not None and page >= int(pages)):
                return
            page += 1

    def _ask(self, path: str, doing: str, query: Mapping[str, str]) -> dict[str, Any]:
        for last in (False, True):
            try:
                answer = self._session.get(f"{self._url}/{path}", params=query, timeout=TIMEOUT_SECONDS)
            except requests.RequestException as error:
                said = "the time was up" if isinstance(error, requests.Timeout) else "no connection"
                failure = CloudflareError(doing, status=None, code=None, said=said)
            else:
                if answer.ok:
                    return _body(answer, doing)
                failure = _refusal(answer, doing)
                if answer.status_code not in _AGAIN:
                    raise failure
            if last:
                raise failure
        raise AssertionError("unreachable: the last attempt returns or raises")


def _body(answer: requests.Response, doing: str) -> dict[str, Any]:
    try:
        found = answer.json()
    except ValueError:
        found = None
    if not isinstance(found, dict) or "result" not in found:
        raise CloudflareError(doing, status=answer.status_code, code=None, said="what came is not Cloudflare's JSON")
    return found


def _refusal(answer: requests.Response, doing: str) -> CloudflareError:
    try:
        errors = answer.json().get("errors") or []
    except (ValueError, AttributeError):
        errors = []
    first = errors[0] if errors and isinstance(errors[0], dict) else {}
    code = first.get("code")
    return CloudflareError(
        doing,
        status=answer.status_code,
        code=code if isinstance(code, int) else None,
        said=str(first.get("message") or answer.reason or ""),
    )
