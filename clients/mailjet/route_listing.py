"""What is known of the account's inbound routes: asked for by address or listed, whichever takes fewer reads, and kept
true by what the process writes itself.

A plugin process serves one `up`, `refresh` or `destroy`, in which up to 64 buckets and the address book need the same
routes; the doctor looks at those of one stack. One address is asked for alone. For more, the first page of the list
is read, which also tells how many routes the account has; then either the addresses are asked for one by one, or the
rest of the list is read. So k addresses cost at most about the fewer of k and one read for each thousand routes of
the account (decision record 134).

A 404 for one address is no proof that it has no route, since the reference does not say that a route can be asked for
by its address. Where a route is to be made that does no harm: Mailjet refuses a second one, and then the list is the
last word. Where one should be there, the list is read, unless this process has seen such a question answered.

What somebody else changes in the meantime shows as an error of the write that meets it (a duplicate, a 404), which
then looks afresh.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager

from clients.mailjet.api import ParseRoute, RoutePage
from clients.mailjet.client import KEY_REFUSED, PAGE_SIZE
from clients.mailjet.errors import ApiError, MailjetError, RateLimitedError
from clients.mailjet.workers import Workers

Routes = dict[str, tuple[ParseRoute, ...]]

_PLAIN = re.compile(r"[a-z0-9_.-]+@[a-z0-9.-]+")
"""Addresses that read the same before and after whatever a server does to a path (`+` may become a space)."""


class RouteListing:
    """Routes by address. Safe between threads; one asks at a time, the others wait and find what was learnt."""

    def __init__(
        self,
        pages: Callable[[], Iterator[RoutePage]],
        one: Callable[[str], ParseRoute | None],
        readers: Workers,
    ) -> None:
        """`readers` are for questions alone: whoever writes may wait for a listing, and would keep it from its threads."""
        self._pages = pages
        self._one = one
        self._readers = readers
        self._turn = threading.Lock()
        self._lock = threading.Lock()
        self._known: Routes = {}
        self._own: set[str] = set()
        self._expected: set[str] = set()
        self._rest: Iterator[RoutePage] | None = None
        self._listed: Routes = {}
        self._pages_left: int | None = None
        self._asked = 0
        self._answers_by_address: bool | None = None
        self._failures: list[MailjetError] = []
        self._complete = 0
        self.begun = 0
        """How many listings of all routes have begun."""
        self.total: int | None = None
        """How many routes the account has, as a first page told."""

    @property
    def complete(self) -> bool:
        """Whether all routes have been listed."""
        return self._complete > 0

    def expect(self, addresses: Iterable[str]) -> None:
        """This run is going to need the routes of `addresses`, bucket by bucket."""
        with self._lock:
            self._expected |= {address.lower() for address in addresses}

    def look_up(self, addresses: Iterable[str], *, standing: bool, beside: int = 0) -> None:
        """Know the routes of `addresses` from now on.

        `standing`: each should have a route. `beside`: how many more addresses this run is likely to need, beyond those
        that it expects. Raises MailjetError, also to those who have waited while somebody else's question failed.
        """
        wanted = {address.lower() for address in addresses}
        with self._lock:
            if self._complete or not wanted - self._known.keys():
                return
        with self._my_turn():
            with self._lock:
                missing = sorted(wanted - self._known.keys())
                others = max(beside, len(self._expected - self._known.keys() - wanted))
            if self._complete or not missing:
                return
            if self._fewer_one_by_one(len(missing), others) and self._ask_for(missing, standing=standing):
                return
            if not self._complete:
                self._list()

    def at(self, email: str) -> tuple[ParseRoute, ...]:
        """Every route of an address, oldest first. Mailjet allows one; the listing does not rely on it."""
        self.look_up([email], standing=True)
        with self._lock:
            return self._known.get(email.lower(), ())

    def everything(self) -> list[ParseRoute]:
        """What is known by now, of whichever address; the whole account once that is `complete`."""
        with self._lock:
            return [route for routes in self._known.values() for route in routes]

    def load(self) -> None:
        """List all routes now, unless that has been done."""
        self.list_again(0)

    def list_again(self, since: int) -> None:
        """Have a listing of all routes that began after `begun` was `since`."""
        with self._my_turn():
            if self._complete > since:
                return
            if self.begun <= since:
                self._rest = None
            self._list()

    def record(self, route: ParseRoute) -> None:
        """This process has created, changed or met `route`."""
        self._change(route, gone=False)

    def remove(self, route: ParseRoute) -> None:
        """Forget `route`: Mailjet has deleted it."""
        self._change(route, gone=True)

    def _change(self, route: ParseRoute, *, gone: bool) -> None:
        with self._lock:
            self._own.add(route.email)
            routes = {each.id: each for each in self._known.get(route.email, ())} | {route.id: route}
            if gone:
                del routes[route.id]
            self._known[route.email] = tuple(routes[route_id] for route_id in sorted(routes))

    @contextmanager
    def _my_turn(self) -> Iterator[None]:
        """A failure is raised to everybody who waits, and forgotten: in an outage each would need minutes of its own."""
        before = len(self._failures)
        with self._turn:
            if len(self._failures) > before:
                raise self._failures[-1]
            try:
                yield
            except MailjetError as error:
                self._failures.append(error)
                raise

    # One at a time from here on

    def _fewer_one_by_one(self, missing: int, others: int) -> bool:
        """Whether to ask for addresses one by one: for a lone one at once, for more as the first page tells."""
        if self._answers_by_address is False:
            return False
        needed = self._asked + missing + others
        if needed <= 1:
            return True
        if self._rest is None:
            self._first_page()
        return self._pages_left is not None and needed <= self._pages_left

    def _ask_for(self, addresses: Sequence[str], *, standing: bool) -> bool:
        """Whether Mailjet has told of each of `addresses` in a way that can be believed."""
        with self._lock:
            unknown = [address for address in addresses if address not in self._known]
        found: Routes = {}

        def ask(address: str) -> None:
            route = self._one(address)
            found[address] = () if route is None else (route,)

        outcome = self._readers.each(unknown, ask)
        self._asked += len(unknown)
        if any(found.values()):
            self._answers_by_address = True
        if outcome.cause is not None:
            if not isinstance(outcome.cause, ApiError) or isinstance(outcome.cause, (*KEY_REFUSED, RateLimitedError)):
                raise outcome.cause
            self._answers_by_address = False
            return False
        if standing and not all(routes or self._believed(address) for address, routes in found.items()):
            return False
        with self._lock:
            self._known |= {address: routes for address, routes in found.items() if address not in self._own}
        return True

    def _believed(self, address: str) -> bool:
        """Whether a 404 for an address that should have a route means that it has none."""
        return self._answers_by_address is True and _PLAIN.fullmatch(address) is not None

    def _begin(self) -> Iterator[RoutePage]:
        self.begun += 1
        self._listed = {}
        return self._pages()

    def _first_page(self) -> None:
        rest = self._begin()
        page = next(rest)
        self.total = page.total
        self._take(page)
        if page.last:
            self._finish()
            return
        self._rest = rest
        if page.total is not None:
            self._pages_left = -(-(page.total - len(page.routes)) // (PAGE_SIZE - 1))

    def _list(self) -> None:
        """All routes: the rest of a listing that has begun, else a new one."""
        rest, self._rest = self._rest or self._begin(), None
        for page in rest:
            self._take(page)
        self._finish()

    def _take(self, page: RoutePage) -> None:
        """What this process writes while a listing goes on is newer than the listing."""
        for route in page.routes:
            self._listed[route.email] = (*self._listed.get(route.email, ()), route)
        with self._lock:
            self._known |= {
                route.email: self._listed[route.email] for route in page.routes if route.email not in self._own
            }

    def _finish(self) -> None:
        with self._lock:
            own = {address: self._known.get(address, ()) for address in self._own}
            self._known = {
                address: tuple(sorted(routes, key=lambda route: route.id)) for address, routes in self._listed.items()
            } | own
            self._listed = {}
            self._complete = self.begun
