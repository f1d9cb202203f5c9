"""One inbound route as a resource: the obvious form, kept here to be measured against the buckets."""

from __future__ import annotations

from typing import Any

import pulumi
from pulumi.dynamic import (
    CheckResult,
    ConfigureRequest,
    CreateResult,
    DiffResult,
    ReadResult,
    Resource,
    ResourceProvider,
    UpdateResult,
)

from providers.mailjet import plugin

Props = dict[str, Any]


class MailboxProvider(ResourceProvider):
    """The same HTTP client as the program's, a call for every resource."""

    serialize_as_secret_always = False

    def configure(self, req: ConfigureRequest) -> None:
        plugin.configure(req.config.get)

    def check(self, _olds: Props, news: Props) -> CheckResult:
        return CheckResult(news, [])

    def diff(self, _id: str, _olds: Props, _news: Props) -> DiffResult:
        return DiffResult(changes=any(_olds.get(key) != _news.get(key) for key in ("address", "url")))

    def create(self, props: Props) -> CreateResult:
        route = plugin.current().api.create_route(props["address"], props["url"])
        return CreateResult(str(route.id), {"address": props["address"], "url": props["url"]})

    def read(self, id_: str, props: Props) -> ReadResult:
        route = plugin.current().api.route(int(id_))
        return ReadResult(None, {}) if route is None else ReadResult(id_, {**props, "url": route.url})

    def update(self, _id: str, _olds: Props, _news: Props) -> UpdateResult:
        plugin.current().api.redirect_route(int(_id), _news["url"])
        return UpdateResult({"address": _news["address"], "url": _news["url"]})

    def delete(self, _id: str, _props: Props) -> None:
        plugin.current().api.delete_route(int(_id))


class Mailbox(Resource, module="bench", name="Mailbox"):
    """The route of one address."""

    def __init__(self, name: str, address: str, url: pulumi.Input[str]) -> None:
        super().__init__(MailboxProvider(), name, {"address": address, "url": url})
