"""What to do about a set of addresses, decided before anything is written. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from clients.mailjet.api import ParseRoute
from clients.mailjet.route_identity import RouteIdentity

Lookup = Callable[[str], tuple[ParseRoute, ...]]
Owners = frozenset[RouteIdentity]


@dataclass
class RoutePlan:
    """Writes that lead to exactly one route of ours at each wanted address."""

    settled: int = 0
    create: list[str] = field(default_factory=list)
    redirect: list[ParseRoute] = field(default_factory=list)
    spare: list[ParseRoute] = field(default_factory=list)
    foreign: list[ParseRoute] = field(default_factory=list)


def is_ours(route: ParseRoute, owners: Owners) -> bool:
    """Whether the route's URL belongs to one of `owners`."""
    return RouteIdentity.of(route.url) in owners


def plan_routes(addresses: Iterable[str], *, at: Lookup, url: str, owners: Owners, take_over: bool) -> RoutePlan:
    """`owners`: whose routes count as ours; with `take_over`, everybody's do."""
    plan = RoutePlan()
    for address in addresses:
        routes = at(address)
        ours = [route for route in routes if take_over or is_ours(route, owners)]
        foreign = [route for route in routes if route not in ours]
        if foreign:
            plan.foreign.extend(foreign)
            continue
        if not ours:
            plan.create.append(address)
            continue
        kept = next((route for route in ours if route.url == url), ours[0])
        if kept.url == url:
            plan.settled += 1
        else:
            plan.redirect.append(kept)
        plan.spare.extend(route for route in ours if route is not kept)
    return plan


def ours_at(addresses: Iterable[str], *, at: Lookup, owners: Owners) -> list[ParseRoute]:
    """Routes of ours at addresses that nobody wants any more."""
    return [route for address in addresses for route in at(address) if is_ours(route, owners)]
