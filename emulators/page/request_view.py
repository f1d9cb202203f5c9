"""The logs of both APIs as one list, the newest first."""

from __future__ import annotations

import heapq
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from urllib.parse import urlencode

from emulators.request_log import LoggedRequest, RequestLog

PAGE = 100


@dataclass(frozen=True, kw_only=True)
class Filter:
    """Which requests; empty values say nothing. `failed`: answered with 400 or more, or cut by a fault."""

    text: str = ""
    service: str = ""
    method: str = ""
    failed: bool = False

    def admits(self, service: str, entry: LoggedRequest) -> bool:
        """Whether it is shown."""
        if self.service not in ("", service) or self.method not in ("", entry.method):
            return False
        if self.failed and entry.fault is None and (entry.status or 0) < 400:
            return False
        return not self.text or self.text.lower() in f"{entry.path}?{entry.query}".lower()

    def query(self, **more: object) -> str:
        """The same as a query string."""
        pairs = {"q": self.text, "service": self.service, "method": self.method, "failed": "1" if self.failed else ""}
        return urlencode({name: value for name, value in {**pairs, **more}.items() if value})


@dataclass(frozen=True)
class ShownRequest:
    """One request, with the API that answered it."""

    service: str
    entry: LoggedRequest

    @property
    def body(self) -> str:
        """Its body for reading, without credentials."""
        shown = self.entry.plain()["body"]
        return (
            shown
            if isinstance(shown, str)
            else ""
            if shown is None
            else json.dumps(shown, indent=2, ensure_ascii=False)
        )


def page_of(logs: Mapping[str, RequestLog], wanted: Filter, *, skip: int) -> tuple[list[ShownRequest], bool]:
    """One page, and whether there is more behind it."""
    found = list(islice(_matching(logs, wanted), skip, skip + PAGE + 1))
    return found[:PAGE], len(found) > PAGE


def find(logs: Mapping[str, RequestLog], service: str, number: int) -> ShownRequest | None:
    """One request by its number."""
    log = logs.get(service)
    entry = None if log is None else log.entry(number)
    return None if entry is None else ShownRequest(service, entry)


def _matching(logs: Mapping[str, RequestLog], wanted: Filter) -> Iterator[ShownRequest]:
    def newest(service: str, entries: Iterable[LoggedRequest]) -> Iterator[ShownRequest]:
        return (ShownRequest(service, entry) for entry in entries if wanted.admits(service, entry))

    each = [newest(service, log.newest_first()) for service, log in logs.items()]
    return heapq.merge(*each, key=lambda shown: -shown.entry.at)
