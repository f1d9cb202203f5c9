"""Where Mailjet reports what became of a mail: bounces, blocks, spam complaints. One callback per event type and
API key; without an answer of 200 it is retried for a day and then suspended, and a new URL revives it."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
from pulumi.dynamic import CheckResult, CreateResult, DiffResult, ReadResult, Resource, UpdateResult

from clients.mailjet.api import EventCallbackRow
from clients.mailjet.errors import ForeignCallbackError, MailjetError, NotFoundError
from clients.mailjet.route_identity import RouteIdentity, learn_password, require_route_url, shown
from providers.mailjet import plugin
from providers.mailjet.base_provider import (
    MailjetProvider,
    Props,
    changed,
    check_result,
    declared,
    flag,
    integer,
    known,
    own,
    text,
    unchanged_or,
    url_changed,
    vanished,
)
from providers.mailjet.route_plan import Owners
from providers.mailjet.route_writes import owners_of

EVENT_TYPES = ("open", "click", "bounce", "spam", "blocked", "unsub", "sent")
ALIVE = "alive"

_INPUTS = ("event_type", "url", "version", "take_over")


@dataclass(frozen=True, kw_only=True)
class EventCallbackArgs:
    """`url`: https://OWNERTAG:SECRET@host/path, always kept secret. `version` 2 groups events in an array.
    `take_over`: replace a callback that belongs to somebody else."""

    event_type: pulumi.Input[str]
    url: pulumi.Input[str]
    version: pulumi.Input[int] = 2
    take_over: pulumi.Input[bool] = False


class EventCallbackProvider(MailjetProvider):
    """Ours is a callback whose URL has our host, path and user, as with inbound routes."""

    def check(self, _olds: Props, news: Props) -> CheckResult:
        wrong = []
        event_type, version = news.get("event_type"), news.get("version")
        if known(event_type) and event_type not in EVENT_TYPES:
            wrong.append(f"event_type is {event_type!r}, expected one of {', '.join(EVENT_TYPES)}: correct it.")
        if known(version) and version not in (1, 2):
            wrong.append(f"version of the {event_type} callback is {version!r}, expected 1 or 2: correct it.")
        if known(news.get("url")):
            try:
                require_route_url(text(news, "url"))
            except MailjetError as error:
                wrong.append(str(error))
        plugin.claim(callbacks=[text(news, "event_type")])
        return check_result(news, wrong)

    def diff(self, _id: str, _olds: Props, _news: Props) -> DiffResult:
        found = changed(_olds, _news, ("event_type", "version")) + url_changed(_olds, _news, "url")
        if _olds.get("status", ALIVE) != ALIVE:
            found.append("status")
        return unchanged_or(found, replaces=["event_type"])

    def create(self, props: Props) -> CreateResult:
        return CreateResult(text(props, "event_type"), _ensure(props, owners_of(text(props, "url"))))

    def read(self, id_: str, props: Props) -> ReadResult:
        url = text(props, "url")
        learn_password(url)
        row = _find(plugin.current(), text(props, "event_type"))
        if row is None or RouteIdentity.of(row.url) not in owners_of(url):
            return vanished()
        learn_password(row.url)
        inputs = own(props, _INPUTS) | {"url": row.url, "version": row.version}
        return ReadResult(id_, {**inputs, "callback_id": row.id, "status": row.status}, inputs)

    def update(self, _id: str, _olds: Props, _news: Props) -> UpdateResult:
        learn_password(text(_olds, "url"))
        return UpdateResult(_ensure(_news, owners_of(text(_news, "url"), _olds.get("url"))))

    def delete(self, _id: str, _props: Props) -> None:
        url = text(_props, "url")
        learn_password(url)
        delete_callback(plugin.current(), text(_props, "event_type"), owners_of(url))


class EventCallback(Resource, module="mailjet", name="EventCallback"):
    """A callback for one event type. `url` is secret in the state and in every preview."""

    event_type: pulumi.Output[str]
    url: pulumi.Output[str]
    version: pulumi.Output[int]
    callback_id: pulumi.Output[int]
    status: pulumi.Output[str]

    def __init__(self, name: str, args: EventCallbackArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        props = declared(args, "callback_id", "status") | {"url": pulumi.Output.secret(args.url)}
        super().__init__(EventCallbackProvider(), name, props, opts)


def _find(process: plugin.PluginProcess, event_type: str) -> EventCallbackRow | None:
    rows = process.api.event_callbacks()
    return next((row for row in rows if row.event_type == event_type and not row.is_backup), None)


def delete_callback(process: plugin.PluginProcess, event_type: str, owners: Owners) -> None:
    """Deletes the callback if it belongs to one of `owners`, unless this run has claimed it."""
    with process.callback_claims.deleting(event_type) as allowed:
        row = _find(process, event_type) if allowed else None
        if row is None or RouteIdentity.of(row.url) not in owners:
            return
        callback_id = row.id

        def gone() -> bool:
            now = _find(process, event_type)
            return now is None or now.id != callback_id

        process.client.remove(delete=lambda: process.api.delete_event_callback(callback_id), gone=gone)


def _ensure(props: Props, owners: Owners) -> Props:
    """One live callback of ours for the event type; the outputs to record."""
    process = plugin.current()
    event_type, url, version = text(props, "event_type"), text(props, "url"), integer(props, "version") or 2
    learn_password(url)
    process.callback_claims.claim([event_type])

    def as_wanted(row: EventCallbackRow | None) -> EventCallbackRow | None:
        settled = row is not None and (row.url, row.version, row.status) == (url, version, ALIVE)
        return row if settled else None

    def look() -> EventCallbackRow | None:
        return _find(process, event_type)

    def create() -> EventCallbackRow:
        return process.api.create_event_callback(event_type, url, version=version)

    row = look() or process.client.ensure(write=create, look=look)
    if as_wanted(row) is None:
        if not flag(props, "take_over") and RouteIdentity.of(row.url) not in owners:
            raise ForeignCallbackError(event_type, shown(row.url), ours=shown(url))
        callback_id = row.id

        def change() -> EventCallbackRow:
            process.api.change_event_callback(callback_id, url, version=version)
            return EventCallbackRow(
                id=callback_id, event_type=event_type, url=url, version=version, status=ALIVE, is_backup=False
            )

        try:
            row = process.client.ensure(write=change, look=lambda: as_wanted(look()))
        except NotFoundError:
            row = process.client.ensure(write=create, look=lambda: as_wanted(look()))
    return {**own(props, _INPUTS), "callback_id": row.id, "status": ALIVE}
