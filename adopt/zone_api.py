"""Cloudflare's REST API, as far as an adoption needs it: a zone's records and an account's tunnels.

https://developers.cloudflare.com/api/resources/dns/subresources/records/
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import requests

from adopt.errors import CloudflareError
from adopt.plan import Tunnel

DEFAULT_URL = "https://api.cloudflare.com/client/v4"
PAGE = 1000
TIMEOUT_SECONDS = (5.0, 30.0)
"""To connect, and between two bytes of the answer."""
ATTEMPTS = 4
_PASSING = frozenset({408, 429, 500, 502, 503, 504})
_WRITTEN = ("name", "type", "content", "ttl", "proxied", "priority", "comment", "tags", "settings", "data")

Fields = Mapping[str, Any]


class ZoneApi:
    """One zone. Reads are repeated after a passing failure; a write only after 429, which says that nothing happened."""

    def __init__(self, url: str, token: str, zone_id: str, *, wait: Callable[[float], None] = time.sleep) -> None:
        self._url = (url or DEFAULT_URL).rstrip("/")
        self._zone = f"zones/{zone_id}/dns_records"
        self._wait = wait
        self._session = requests.Session()
        self._session.headers["Authorization"] = f"Bearer {token}"
        self.zone_id = zone_id

    def close(self) -> None:
        """Give the connections back."""
        self._session.close()

    def records(self) -> list[dict[str, Any]]:
        """Every record of the zone, as Cloudflare shows it."""
        return list(self._pages(self._zone, "listing the zone's records", {}))

    def record(self, record_id: str) -> dict[str, Any] | None:
        """The record as it is now; None where it is gone."""
        try:
            found: dict[str, Any] = self._ask("GET", f"{self._zone}/{record_id}", f"reading the record {record_id}")[
                "result"
            ]
        except CloudflareError as error:
            if error.status == 404:
                return None
            raise
        return found

    def set_comment(self, record_id: str, comment: str) -> None:
        self._ask(
            "PATCH", f"{self._zone}/{record_id}", f"setting the comment of the record {record_id}", {"comment": comment}
        )

    def create(self, fields: Fields) -> None:
        self._ask("POST", self._zone, f"creating {_brief(fields)}", writable(fields))

    def overwrite(self, record_id: str, fields: Fields) -> None:
        self._ask("PUT", f"{self._zone}/{record_id}", f"writing {_brief(fields)}", writable(fields))

    def delete(self, record_id: str) -> None:
        """Delete; a record that is gone already is as wanted."""
        self._delete(f"{self._zone}/{record_id}", f"deleting the record {record_id}")

    def tunnels(self, account_id: str, name: str) -> list[Tunnel]:
        """The account's live tunnels of exactly this name."""
        found = self._pages(
            f"accounts/{account_id}/cfd_tunnel",
            f"looking for the tunnel {name!r}",
            {"name": name, "is_deleted": "false"},
        )
        return [
            Tunnel(
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

    # -- HTTP --------------------------------------------------------------------------------------------------

    def _pages(self, path: str, doing: str, query: Mapping[str, str]) -> Iterator[dict[str, Any]]:
        page = 1
        while True:
            answer = self._ask("GET", path, doing, query={**query, "per_page": str(PAGE), "page": str(page)})
            result = answer["result"] or []
            yield from result
            pages = (answer.get("result_info") or {}).get("total_pages")
            if not result or (pages is not None and page >= int(pages)):
                return
            page += 1

    def _delete(self, path: str, doing: str) -> None:
        try:
            self._ask("DELETE", path, doing)
        except CloudflareError as error:
            if error.status != 404:
                raise

    def _ask(
        self, method: str, path: str, doing: str, body: Fields | None = None, *, query: Mapping[str, str] | None = None
    ) -> dict[str, Any]:
        for attempt in range(1, ATTEMPTS + 1):
            try:
                answer = self._session.request(
                    method, f"{self._url}/{path}", json=body, params=query, timeout=TIMEOUT_SECONDS
                )
            except requests.RequestException as error:
                failure = CloudflareError(doing, status=None, code=None, said=_cause(error))
                passing = method == "GET"
            else:
                if answer.ok:
                    return _json(answer, doing)
                failure = _refusal(answer, doing)
                passing = answer.status_code == 429 or (method == "GET" and answer.status_code in _PASSING)
            if not passing or attempt == ATTEMPTS:
                raise failure
            self._wait(_pause(answer if failure.status else None, attempt))
        raise AssertionError("unreachable: the last attempt returns or raises")


def writable(fields: Fields) -> dict[str, Any]:
    """The part of a listed record that a write takes; a structured record is written by its `data`."""
    body = {key: fields[key] for key in _WRITTEN if fields.get(key) not in (None, [], {})}
    body["comment"] = fields.get("comment")
    if "data" in body:
        body.pop("content", None)
    return body


def _brief(fields: Fields) -> str:
    return f"{fields.get('name')} {fields.get('type')}"


def _cause(error: requests.RequestException) -> str:
    return "the time was up" if isinstance(error, requests.Timeout) else "no connection"


def _json(answer: requests.Response, doing: str) -> dict[str, Any]:
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


def _pause(answer: requests.Response | None, attempt: int) -> float:
    """`Retry-After` in seconds where it is given, else one second that doubles; a minute at most."""
    given = answer.headers.get("Retry-After", "") if answer is not None else ""
    return min(float(given) if given.isdigit() else 2.0 ** (attempt - 1), 60.0)
