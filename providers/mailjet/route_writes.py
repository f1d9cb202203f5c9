"""Carries out a plan for routes: in parallel, each write exactly as often as needed, nothing rolled back."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace

from clients.mailjet.api import ParseRoute
from clients.mailjet.client import KEY_REFUSED
from clients.mailjet.errors import (
    AlreadyExistsError,
    ApiError,
    ForeignRoutesError,
    NotFoundError,
    RateLimitedError,
    RefusedError,
    RoutesIncompleteError,
)
from clients.mailjet.route_identity import RouteIdentity, learn_password, shown
from providers.mailjet.plugin import PluginProcess
from providers.mailjet.route_plan import Owners, is_ours, ours_at, plan_routes


@dataclass(frozen=True)
class _Write:
    address: str
    run: Callable[[], None]


class RouteWriter:
    """Leads addresses to one URL. `owners`: whose routes count as ours, this URL's and its predecessor's."""

    def __init__(self, process: PluginProcess, *, url: str, owners: Owners, take_over: bool = False) -> None:
        learn_password(url)
        self._process = process
        self._api = process.api
        self._url = url
        self._owners = owners
        self._take_over = take_over

    def ensure(
        self, wanted: Collection[str], *, dropped: Collection[str] = (), of: int | None = None, beside: int = 0
    ) -> None:
        """One route of ours at each of `wanted`, none at `dropped`. A foreign route stops it before any write.

        `of`: how many are to have one, with those that are not looked at since nothing changes there. `beside`: how many
        more addresses this run is likely to lead somewhere.
        """
        self._process.route_claims.claim(wanted)
        routes = self._process.routes
        routes.look_up(wanted, standing=False, beside=beside + len(dropped))
        routes.look_up(dropped, standing=True, beside=beside)
        plan = plan_routes(wanted, at=routes.at, url=self._url, owners=self._owners, take_over=self._take_over)
        if plan.foreign:
            raise self._foreign(plan.foreign)
        gone = ours_at(dropped, at=routes.at, owners=self._owners)
        writes = [_Write(address, self._creation(address)) for address in plan.create]
        writes += [_Write(route.email, self._redirection(route)) for route in plan.redirect]
        writes += [_Write(route.email, self._removal(route)) for route in plan.spare]
        writes += [_Write(route.email, self._release(route)) for route in gone]
        untouched = 0 if of is None else of - len(wanted)
        run_writes(self._process, writes, settled=plan.settled + untouched)

    def release(self, addresses: Collection[str], *, beside: int = 0) -> None:
        """No route of ours at `addresses`, unless this run has claimed the address."""
        self._process.routes.look_up(addresses, standing=True, beside=beside)
        gone = ours_at(addresses, at=self._process.routes.at, owners=self._owners)
        run_writes(self._process, [_Write(route.email, self._release(route)) for route in gone], removal=True)

    # One write each

    def _creation(self, address: str) -> Callable[[], None]:
        def create() -> None:
            self._finish(self._create(address))

        return create

    def _create(self, address: str) -> ParseRoute:
        try:
            return self._process.client.ensure(
                write=lambda: self._api.create_route(address, self._url), look=lambda: self._now_at(address)
            )
        except RefusedError as refusal:
            # A route can be asked for by address by custom, not by the reference: the list is the last word.
            if not isinstance(refusal, AlreadyExistsError) and self._process.routes.complete:
                raise
            found = self._listed_at(address)
            if found is None:
                raise
            return found

    def _now_at(self, address: str) -> ParseRoute | None:
        """Asked afresh: by address, and by a new list where Mailjet does not answer that."""
        try:
            return self._api.route_at(address)
        except (*KEY_REFUSED, RateLimitedError):
            raise
        except ApiError:
            return self._listed_at(address)

    def _listed_at(self, address: str) -> ParseRoute | None:
        routes = self._process.routes
        routes.list_again(routes.begun)
        return next(iter(routes.at(address)), None)

    def _finish(self, route: ParseRoute, *, recreate: bool = True) -> None:
        """`route` is what Mailjet has at the address: as wanted, ours with another URL, or somebody else's."""
        self._process.routes.record(route)
        if route.url == self._url:
            return
        if not self._take_over and not is_ours(route, self._owners):
            raise self._foreign([route])
        self._redirect(route, recreate=recreate)

    def _redirection(self, route: ParseRoute) -> Callable[[], None]:
        return lambda: self._redirect(route, recreate=True)

    def _redirect(self, route: ParseRoute, *, recreate: bool) -> None:
        """`recreate`: make the route anew where it has vanished in the meantime."""

        def write() -> ParseRoute:
            self._api.redirect_route(route.id, self._url)
            return replace(route, url=self._url)

        def look() -> ParseRoute | None:
            now = self._api.route(route.id)
            return now if now is not None and now.url == self._url else None

        try:
            self._process.routes.record(self._process.client.ensure(write=write, look=look))
        except NotFoundError:
            if not recreate:
                raise
            self._process.routes.remove(route)
            self._finish(self._create(route.email), recreate=False)

    def _release(self, route: ParseRoute) -> Callable[[], None]:
        remove = self._removal(route)

        def release() -> None:
            with self._process.route_claims.deleting(route.email) as allowed:
                if allowed:
                    remove()

        return release

    def _removal(self, route: ParseRoute) -> Callable[[], None]:
        def remove() -> None:
            self._process.client.remove(
                delete=lambda: self._api.delete_route(route.id), gone=lambda: self._api.route(route.id) is None
            )
            self._process.routes.remove(route)

        return remove

    def _foreign(self, routes: Collection[ParseRoute]) -> ForeignRoutesError:
        return ForeignRoutesError([(route.email, shown(route.url)) for route in routes], ours=shown(self._url))


def run_writes(process: PluginProcess, writes: list[_Write], *, settled: int = 0, removal: bool = False) -> None:
    """All of `writes`, in parallel; raises RoutesIncompleteError with what is left."""
    if not writes:
        return
    process.route_progress.expect(len(writes))
    outcome = process.workers.each(writes, lambda write: write.run(), on_done=process.route_progress.step)
    if outcome.cause is None:
        return
    left = sorted({write.address for write, _ in outcome.failed} | {write.address for write in outcome.untouched})
    raise RoutesIncompleteError(left, done=settled + len(outcome.done), cause=outcome.cause, removal=removal)


def owners_of(*urls: object) -> Owners:
    """The identities of `urls`, skipping what is none."""
    found = (RouteIdentity.of(url) for url in urls if isinstance(url, str))
    return frozenset(identity for identity in found if identity is not None)
