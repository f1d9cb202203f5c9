"""The inbound routes of one bucket of mailboxes: every address to the stack's webhook.

One resource for many routes, since the engine's cost grows with the square of their number. A batch that fails keeps
what it did and names what is left; the next `pulumi up` finds that and goes on.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
from pulumi.dynamic import CheckResult, CreateResult, DiffResult, ReadResult, Resource, UpdateResult

from clients.mailjet.errors import MailjetError
from clients.mailjet.route_identity import RouteIdentity, learn_password, require_route_url
from mailboxes.address_map import parse_address_map, recorded_address_map, render_address_map
from mailboxes.buckets import BUCKET_COUNT
from mailboxes.errors import InvalidAddressMapError
from mailboxes.packed_map import packed, unpacked
from providers.mailjet import plugin
from providers.mailjet.base_provider import (
    MailjetProvider,
    Props,
    check_result,
    declared,
    flag,
    known,
    own,
    text,
    unchanged_or,
    url_changed,
    vanished,
)
from providers.mailjet.route_plan import is_ours
from providers.mailjet.route_writes import RouteWriter, owners_of

_INPUTS = ("routes", "route_url", "take_over")
_OUTPUTS = ("held", "route_url", "take_over", "drift")
_TELLING = 4
"""Addresses in a bucket, from which on their number says something about the other buckets."""


@dataclass(frozen=True, kw_only=True)
class InboundRoutesArgs:
    """`routes`: JSON text of {agent id: address}. `route_url`: https://OWNERTAG:SECRET@host/path, always kept
    secret. `take_over`: redirect routes at these addresses that belong to somebody else."""

    routes: pulumi.Input[str]
    route_url: pulumi.Input[str]
    take_over: pulumi.Input[bool] = False


class InboundRoutesProvider(MailjetProvider):
    """Ours is a route whose URL has our host, path and user; the same address elsewhere is somebody else's."""

    def check(self, _olds: Props, news: Props) -> CheckResult:
        wrong = []
        for key, parse in (("routes", parse_address_map), ("route_url", require_route_url)):
            if known(news.get(key)):
                try:
                    parse(text(news, key))
                except (InvalidAddressMapError, MailjetError) as error:
                    wrong.append(str(error))
        if not wrong:
            plugin.claim(routes=_routes(news).values())
        return check_result(news, wrong)

    def diff(self, _id: str, _olds: Props, _news: Props) -> DiffResult:
        """The book, which buckets depend on, has had its update by now."""
        found = url_changed(_olds, _news, "route_url")
        olds = _held(_olds)
        if (
            not known(_news.get("routes"))
            or olds != _routes(_news)
            or (not found and plugin.address_book_changes().affects(olds.values()))
        ):
            found.append("routes")
        return unchanged_or(found)

    def create(self, props: Props) -> CreateResult:
        process = plugin.current()
        url, routes = text(props, "route_url"), _routes(props)
        owners = owners_of(url) | process.address_book_changes.former
        writer = RouteWriter(process, url=url, owners=owners, take_over=flag(props, "take_over"))
        writer.ensure(routes.values())
        return CreateResult(_resource_id(url, routes), _outputs(props, routes))

    def read(self, id_: str, props: Props) -> ReadResult:
        """Says what is true of one URL: routes that are missing or go elsewhere leave the map, a second route of ours
        enters it under a telling name, and a password that all routes agree on shows as another `route_url`. Each
        is a change for the next preview. Where all is as expected, the engine keeps the inputs that it has."""
        process = plugin.current()
        url, expected = text(props, "route_url"), _held(props)
        learn_password(url)
        owners = owners_of(url)
        process.routes.look_up(expected.values(), standing=True, beside=_elsewhere(expected))
        found = {
            agent: [route for route in process.routes.at(address) if is_ours(route, owners)]
            for agent, address in expected.items()
        }
        urls = [route.url for routes in found.values() for route in routes]
        for live_url in urls:
            learn_password(live_url)
        if expected and not urls:
            return vanished()
        shown_url = url if url in urls or not urls else urls[0]
        live: dict[str, str] = {}
        for agent, routes in found.items():
            if any(route.url == shown_url for route in routes):
                live[agent] = expected[agent]
                live |= {f"{agent} (route {route.id}, one too many)": route.email for route in routes[1:]}
        if (shown_url, live) == (url, expected):
            return ReadResult(id_, own(props, (*_OUTPUTS, *_INPUTS)))
        inputs = own(props, _INPUTS) | {"routes": render_address_map(live), "route_url": shown_url}
        return ReadResult(id_, {**_outputs(inputs, live), **_drift(expected, live)}, inputs)

    def update(self, _id: str, _olds: Props, _news: Props) -> UpdateResult:
        process = plugin.current()
        url, routes, held = text(_news, "route_url"), _routes(_news), _held(_olds)
        learn_password(text(_olds, "route_url"))
        changes = process.address_book_changes
        writer = RouteWriter(
            process,
            url=url,
            owners=owners_of(url, _olds.get("route_url")) | changes.former,
            take_over=flag(_news, "take_over"),
        )
        dropped = sorted(set(held.values()) - set(routes.values()))
        if url != _olds.get("route_url") or changes.former:
            writer.ensure(set(routes.values()), dropped=dropped, beside=_elsewhere(routes))
        else:
            if len(set(held.values())) < len(held):
                process.routes.load()  # a refresh has found two routes at one address, of which a question gives one
            changed = _changed(held, routes) | changes.again(routes.values())
            if not changed and not dropped:
                changed = set(routes.values())  # no reason is known here: look at all of it
            writer.ensure(changed, dropped=dropped, of=len(routes))
        return UpdateResult(_outputs(_news, routes))

    def delete(self, _id: str, _props: Props) -> None:
        url, held = text(_props, "route_url"), _held(_props)
        writer = RouteWriter(plugin.current(), url=url, owners=owners_of(url))
        writer.release(sorted(set(held.values())), beside=_elsewhere(held))


class InboundRoutes(Resource, module="mailjet", name="InboundRoutes"):
    """Routes of one bucket. `route_url` is secret in the state and in every preview."""

    route_url: pulumi.Output[str]
    take_over: pulumi.Output[bool]

    def __init__(self, name: str, args: InboundRoutesArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        props = declared(args) | {"route_url": pulumi.Output.secret(args.route_url)}
        hidden = pulumi.ResourceOptions(hide_diffs=["held"])
        super().__init__(InboundRoutesProvider(), name, props, pulumi.ResourceOptions.merge(hidden, opts))


def _routes(props: Props) -> dict[str, str]:
    return recorded_address_map(text(props, "routes"))


def _held(outputs: Props) -> dict[str, str]:
    """The routes that the state holds."""
    return unpacked(text(outputs, "held"))


def _changed(held: Mapping[str, str], routes: Mapping[str, str]) -> set[str]:
    """Addresses of `routes` that the state does not hold as they are wanted: missing, another's, or twice."""
    changed = {address for _, address in held.items() ^ routes.items()}
    return changed & set(routes.values())


def _elsewhere(routes: Mapping[str, str]) -> int:
    """About how many addresses the other buckets have, judged by this one; a handful tells nothing."""
    return (BUCKET_COUNT - 1) * len(routes) if len(routes) >= _TELLING else 0


def _outputs(inputs: Props, routes: Mapping[str, str]) -> Props:
    """The map legible in the inputs, where previews compare it, and packed here, where only this module reads it."""
    return {**own(inputs, ("route_url", "take_over")), "held": packed(routes)}


def _drift(expected: Mapping[str, str], live: Mapping[str, str]) -> Props:
    """What a refresh shows to people, agent by agent, since it compares outputs and those are packed."""
    found = {agent: f"{address} has no route to us" for agent, address in expected.items() if agent not in live}
    found |= {agent: f"{address} has two" for agent, address in live.items() if agent not in expected}
    return {"drift": render_address_map(found)} if found else {}


def _resource_id(url: str, routes: Mapping[str, str]) -> str:
    """For people only: whose bucket, and which. Nothing is looked up by it."""
    identity = RouteIdentity.of(url)
    digest = hashlib.sha256(render_address_map(routes).encode()).hexdigest()[:12]
    return f"{identity.user if identity is not None else 'routes'}-{digest}"
