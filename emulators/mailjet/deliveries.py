"""The queue of what is posted to webhooks: Parse payloads and events, tried until the answer is 200.

It is in the database: what was accepted is delivered after a restart, too. Only loopback addresses are ever
connected to. Another host is reached if the emulated zone leads it through a tunnel, as in the real world.
"""

from __future__ import annotations

import asyncio
import base64
import ipaddress
import logging
import sqlite3
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, unquote, urlsplit

from emulators.mailjet.state import MailjetState

if TYPE_CHECKING:
    import httpx

CONCURRENT = 16
KEPT = 5000
ANSWER_KEPT = 2000
"""Octets of a webhook's answer that are kept, for people to read."""
USER_AGENT = "Mailjet"

_log = logging.getLogger(__name__)


class DeliveryKind(StrEnum):
    """What a delivery carries."""

    PARSE = "parse"
    EVENT = "event"


class State(StrEnum):
    """How far a delivery has come."""

    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"


@dataclass(frozen=True)
class EdgeLookup:
    """Cloudflare's edge: its address, and which service a host's tunnel leads to (None: no tunnel)."""

    host: str
    port: int
    tunnel_for: Callable[[str, str], str | None]


class NoRouteError(Exception):
    """A webhook's host that leads nowhere in the emulated world."""

    def __init__(self, host: str) -> None:
        super().__init__(f"{host} is neither a loopback address nor a name that the zone leads through a tunnel")


class Deliveries:
    """`urls(kind, target_id)` gives a target's present URL, or None once it is gone; `gave_up` is told
    when a delivery failed for good.
    """

    def __init__(
        self,
        state: MailjetState,
        *,
        urls: Callable[[DeliveryKind, int], str | None],
        gave_up: Callable[[DeliveryKind, int], None],
        edge: EdgeLookup | None,
    ) -> None:
        self._state = state
        self._db = state.db
        self._urls = urls
        self._gave_up = gave_up
        self._edge = edge
        self._busy: dict[int, asyncio.Task[None]] = {}
        self._wake = asyncio.Event()
        self._client: httpx.AsyncClient | None = None

    def add(
        self, kind: DeliveryKind, target_id: int, body: bytes, *, recipient: str, header_id: str = "", event: str = ""
    ) -> int:
        """Queue `body` for the target; the delivery's id."""
        cursor = self._db.execute(
            "INSERT INTO delivery (kind, target_id, recipient, header_id, event, body, state, due)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (kind, target_id, recipient, header_id, event, body, State.PENDING, time.time()),
        )
        self._wake.set()
        return int(cursor.lastrowid or 0)

    def listed(self, since: int = 0) -> list[dict[str, Any]]:
        """Deliveries with an id above `since`, without bodies, URLs and so without secrets."""
        shown: list[dict[str, Any]] = []
        for row in self._db.execute("SELECT * FROM delivery WHERE id > ? ORDER BY id", (since,)):
            target = "route_id" if row["kind"] == DeliveryKind.PARSE else "callback_id"
            shown.append(
                {
                    "id": row["id"],
                    "kind": row["kind"],
                    target: row["target_id"],
                    "recipient": row["recipient"],
                    "message_id": row["header_id"],
                    "event": row["event"] or None,
                    "state": row["state"],
                    "attempts": row["attempts"],
                    "status": row["status"],
                    "error": row["error"] or None,
                }
            )
        return shown

    def counts(self) -> dict[str, int]:
        """How many deliveries are in each state."""
        found = {row[0]: row[1] for row in self._db.execute("SELECT state, count(*) FROM delivery GROUP BY state")}
        return {state.value: found.get(state.value, 0) for state in State}

    def retry_now(self) -> int:
        """Make all waiting deliveries due; how many."""
        cursor = self._db.execute("UPDATE delivery SET due = 0 WHERE state = ?", (State.PENDING,))
        self._wake.set()
        return cursor.rowcount

    async def run(self) -> None:
        """Deliver until cancelled."""
        try:
            while True:
                self._wake.clear()
                for row in self._due():
                    task = asyncio.create_task(self._deliver(row))
                    self._busy[row["id"]] = task
                    task.add_done_callback(partial(self._ended, row["id"]))
                await self._until_due()
        finally:
            tasks = list(self._busy.values())
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            if self._client is not None:
                await self._client.aclose()
                self._client = None

    def _ended(self, key: int, task: asyncio.Task[None]) -> None:
        del self._busy[key]
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("delivery %d broke", key, exc_info=error)
        self._wake.set()

    def _due(self) -> list[sqlite3.Row]:
        rows = self._db.execute(
            "SELECT * FROM delivery WHERE state = ? AND due <= ? ORDER BY due, id LIMIT ?",
            (State.PENDING, time.time(), CONCURRENT + len(self._busy)),
        ).fetchall()
        idle = [row for row in rows if row["id"] not in self._busy]
        return idle[: max(CONCURRENT - len(self._busy), 0)]

    async def _until_due(self) -> None:
        timeout: float | None = None
        if len(self._busy) < CONCURRENT:
            first = self._db.execute(
                "SELECT id, due FROM delivery WHERE state = ? ORDER BY due, id LIMIT ?",
                (State.PENDING, len(self._busy) + 1),
            )
            dues = [row["due"] for row in first if row["id"] not in self._busy]
            timeout = max(dues[0] - time.time(), 0) if dues else None
        try:
            await asyncio.wait_for(self._wake.wait(), timeout)
        except TimeoutError:
            return

    async def _deliver(self, row: sqlite3.Row) -> None:
        kind = DeliveryKind(row["kind"])
        url = self._urls(kind, row["target_id"])
        if url is None:
            self._update(row["id"], State.FAILED, row["attempts"], None, "the target was deleted")
            return
        attempts = row["attempts"] + 1
        began = time.time()
        status, error, said = await self._post(url, row["body"])
        tried = self._db.execute(
            "INSERT INTO attempt (delivery_id, at, ms, status, error) VALUES (?, ?, ?, ?, ?)",
            (row["id"], began, (time.time() - began) * 1000, status, error),
        )
        if said:
            self._db.execute("INSERT INTO answer VALUES (?, ?, ?)", (tried.lastrowid, row["id"], said))
        if status == 200:
            self._update(row["id"], State.DELIVERED, attempts, status, "")
        elif attempts >= self._state.switches.retry_attempts:
            self._update(row["id"], State.FAILED, attempts, status, error)
            self._gave_up(kind, row["target_id"])
        else:
            due = time.time() + self._state.switches.retry_seconds
            self._update(row["id"], State.PENDING, attempts, status, error, due)

    def _update(self, key: int, state: State, attempts: int, status: int | None, error: str, due: float = 0) -> None:
        body = "body" if state is State.PENDING else "NULL"
        self._db.execute(
            f"UPDATE delivery SET state = ?, attempts = ?, status = ?, error = ?, due = ?, body = {body}"  # noqa: S608
            " WHERE id = ?",
            (state, attempts, status, error, due, key),
        )
        if state is not State.PENDING:
            self._db.execute("DELETE FROM delivery WHERE id <= ? AND state != ?", (key - KEPT, State.PENDING))
            self._db.execute("DELETE FROM attempt WHERE delivery_id <= ?", (key - KEPT,))
            self._db.execute("DELETE FROM answer WHERE delivery_id <= ?", (key - KEPT,))

    async def _post(self, url: str, body: bytes) -> tuple[int | None, str, str]:
        """Status, what went wrong, and how the answer begins."""
        import httpx

        parts = urlsplit(url)
        headers = {"Content-Type": "application/json", "User-Agent": USER_AGENT}
        if parts.username is not None:
            pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
            headers["Authorization"] = "Basic " + base64.b64encode(pair.encode()).decode("ascii")
        timeout = self._state.switches.delivery_seconds
        try:
            target, headers["Host"] = self._target(parts)
            if self._client is None:
                self._client = httpx.AsyncClient(trust_env=False, follow_redirects=False)
            answer = await self._client.post(target, content=body, headers=headers, timeout=timeout)
        except NoRouteError as error:
            return None, str(error), ""
        except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
            return None, f"{type(error).__name__}: no answer from {parts.hostname}", ""
        wrong = "" if answer.status_code == 200 else f"status {answer.status_code}"
        return answer.status_code, wrong, answer.content[:ANSWER_KEPT].decode("utf-8", "replace").strip()

    def _target(self, parts: SplitResult) -> tuple[str, str]:
        """(URL to connect to, Host header)."""
        host = (parts.hostname or "").rstrip(".")
        named = host if parts.port is None else f"{host}:{parts.port}"
        rest = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        if is_loopback_host(host):
            return f"{parts.scheme}://{named}{rest}", named
        if self._edge is None or self._edge.tunnel_for(host, parts.path or "/") is None:
            raise NoRouteError(host)
        return f"http://{self._edge.host}:{self._edge.port}{rest}", named


def is_loopback_host(host: str) -> bool:
    """Whether a URL's host is this machine: a loopback address, `localhost` or a name below it (RFC 6761, 6.3)."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
