"""What an emulator was asked: the latest requests without credentials, and counts of all of them."""

from __future__ import annotations

import json
import re
import time
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass, field

LOG_CAPACITY = 100_000
LOGGED_BODY = 16 * 1024
LOGGED_BODIES = 64 * 1024 * 1024

_URL_PASSWORD = re.compile(r"(://[^/\s:@\"'?#]*):[^/\s@\"'?#]+@")
_QUERY_SECRET = re.compile(r"([?&](?:token|secret|key|password|sig|signature)=)[^&#\s\"']+", re.IGNORECASE)
_SECRET_KEYS = frozenset({"secretkey", "api_secret", "tunnel_secret", "password", "secret"})
_HIDDEN = "***"


@dataclass(slots=True)
class LoggedRequest:
    """One request in the log."""

    n: int
    method: str
    path: str
    query: str
    body: bytes | None
    body_size: int
    status: int | None = None
    fault: str | None = None
    ms: float | None = None
    at: float = field(default_factory=time.time)
    """When it came, in seconds since 1970: both emulators share the machine's clock."""

    def plain(self) -> dict[str, object]:
        """As the control plane shows it, without credentials."""
        return {
            "n": self.n,
            "method": self.method,
            "path": redacted(self.path),
            "query": redacted("?" + self.query)[1:],
            "body": _shown_body(self.body, self.body_size),
            "status": self.status,
            "fault": self.fault,
            "ms": self.ms,
            "at": self.at,
        }


class RequestLog:
    """The latest requests, and counts of all of them since the log was last cleared."""

    def __init__(self, capacity: int = LOG_CAPACITY) -> None:
        self._capacity = capacity
        self._next = 1
        self._clear()

    def _clear(self) -> None:
        self._entries: deque[LoggedRequest] = deque(maxlen=self._capacity)
        self._with_body: deque[LoggedRequest] = deque(maxlen=self._capacity)
        self._body_bytes = 0
        self._by: Counter[str] = Counter()
        self._faults: Counter[str] = Counter()
        self._reads = 0
        self._writes = 0

    def clear(self) -> None:
        """Forget the entries and the counts; numbering goes on."""
        self._clear()

    def add(self, method: str, path: str, query: str, folded: str, body: bytes) -> LoggedRequest:
        """Note a request as it arrives; status and time follow when it ends."""
        kept = body[:LOGGED_BODY] if body else None
        entry = LoggedRequest(self._next, method, path, query, kept, len(body))
        self._next += 1
        self._entries.append(entry)
        if kept is not None:
            self._with_body.append(entry)
            self._body_bytes += len(kept)
            while self._body_bytes > LOGGED_BODIES:
                oldest = self._with_body.popleft()
                self._body_bytes -= len(oldest.body or b"")
                oldest.body = None
        self._by[f"{method} {folded}"] += 1
        if method in ("GET", "HEAD", "OPTIONS"):
            self._reads += 1
        else:
            self._writes += 1
        return entry

    def struck(self, entry: LoggedRequest, fault: str) -> None:
        """Note that `entry` met `fault`."""
        entry.fault = fault
        self._faults[fault] += 1

    def requests(self, since: int = 0) -> list[dict[str, object]]:
        """The entries with a number above `since`, oldest first."""
        return [entry.plain() for entry in self._entries if entry.n > since]

    def newest_first(self) -> Iterator[LoggedRequest]:
        """The entries as they are now."""
        return iter(list(reversed(self._entries)))

    def entry(self, number: int) -> LoggedRequest | None:
        """The entry with this number, if it is still kept."""
        place = number - self._entries[0].n if self._entries else -1
        return self._entries[place] if 0 <= place < len(self._entries) else None

    @property
    def latest(self) -> int:
        """The number of the newest request, since the server began."""
        return self._next - 1

    def counts(self) -> dict[str, object]:
        """Reads (GET), writes (all others), and how often each method and folded path was asked."""
        return {
            "reads": self._reads,
            "writes": self._writes,
            "by": dict(sorted(self._by.items())),
            "faults": dict(sorted(self._faults.items())),
        }


def redacted(text: str) -> str:
    """`text` without passwords in URLs and secrets in query strings."""
    return _QUERY_SECRET.sub(rf"\1{_HIDDEN}", _URL_PASSWORD.sub(rf"\1:{_HIDDEN}@", text))


def _shown_body(body: bytes | None, size: int) -> object:
    if body is None:
        return None if size == 0 else f"({size} bytes, not kept)"
    text = body.decode("utf-8", "replace")
    if size > len(body):
        return redacted(text) + f"… ({size} bytes)"
    try:
        return _without_secrets(json.loads(text))
    except ValueError:
        return redacted(text)


def _without_secrets(value: object) -> object:
    if isinstance(value, dict):
        return {
            key: _HIDDEN if key.lower() in _SECRET_KEYS and isinstance(item, str) else _without_secrets(item)
            for key, item in value.items()
        }
    if isinstance(value, list):
        return [_without_secrets(item) for item in value]
    return redacted(value) if isinstance(value, str) else value
