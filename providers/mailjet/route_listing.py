"""All inbound routes of the account, listed once per process and kept true by what the process writes itself.

A plugin process serves one `up`, `refresh` or `destroy`, in which up to 64 buckets and the address book need the
same list: 10,000 routes are 11 GETs instead of 700. What somebody else changes in the meantime shows as an error
of the write that meets it (a duplicate, a 404), which then looks afresh.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Future

from clients.mailjet.api import ParseRoute

Routes = dict[str, dict[int, ParseRoute]]


class RouteListing:
    """Routes by address. Safe between threads; the first who asks loads, the others wait for the same answer."""

    def __init__(self, fetch: Callable[[], Iterable[ParseRoute]]) -> None:
        self._fetch = fetch
        self._lock = threading.Lock()
        self._routes: Routes | None = None
        self._loading: Future[Routes] | None = None

    def load(self) -> None:
        """List now unless that has been done. A failure is raised to everybody who waits, and forgotten."""
        with self._lock:
            if self._routes is not None:
                return
            pending, leads = self._loading, self._loading is None
            if pending is None:
                pending = self._loading = Future()
        if leads:
            self._load(pending)
        pending.result()

    def at(self, email: str) -> tuple[ParseRoute, ...]:
        """Every route of an address, oldest first. Mailjet allows one; the listing does not rely on it."""
        self.load()
        with self._lock:
            found = (self._routes or {}).get(email.lower(), {})
            return tuple(found[route_id] for route_id in sorted(found))

    def record(self, route: ParseRoute) -> None:
        """This process has created, changed or met `route`."""
        with self._lock:
            if self._routes is not None:
                self._routes.setdefault(route.email, {})[route.id] = route

    def remove(self, route: ParseRoute) -> None:
        """Forget `route`: Mailjet has deleted it."""
        with self._lock:
            if self._routes is not None:
                self._routes.get(route.email, {}).pop(route.id, None)

    def _load(self, pending: Future[Routes]) -> None:
        routes: Routes = {}
        try:
            for route in self._fetch():
                routes.setdefault(route.email, {})[route.id] = route
        except BaseException as error:
            with self._lock:
                self._loading = None
            pending.set_exception(error)
            raise
        with self._lock:
            self._routes = routes
            self._loading = None
        pending.set_result(routes)
