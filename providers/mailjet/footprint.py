"""What a component is about to make at Mailjet, in the state before it is made: the broom behind a killed run.

A run that is killed after Mailjet has made an object, and before the engine has written that down, leaves something
that no state knows and no destroy removes. For routes the address book prevents that; for senders and event callbacks
this does. While all goes well it changes nothing: it is declared first, so that a destroy comes to it last and finds
nothing left. It is not protected, so that it can be replaced; its delete spares whatever the run has claimed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
from pulumi.dynamic import CheckResult, CreateResult, DiffResult, ReadResult, Resource, UpdateResult

from providers.mailjet import plugin
from providers.mailjet.base_provider import (
    MailjetProvider,
    Props,
    changed,
    check_result,
    declared,
    flag,
    own,
    text,
    texts,
    unchanged_or,
)
from providers.mailjet.event_callback import delete_callback
from providers.mailjet.route_writes import owners_of
from providers.mailjet.senders import delete_sender, find_live_sender

_INPUTS = ("senders", "delete_senders", "callbacks", "callback_identity")


@dataclass(frozen=True, kw_only=True)
class FootprintArgs:
    """`senders`: addresses, `*@domain` included; they are removed only with `delete_senders`. `callbacks`: event
    types. `callback_identity`: https://OWNERTAG@host/path, what makes a callback ours."""

    senders: Sequence[str] = ()
    delete_senders: bool = False
    callbacks: Sequence[str] = ()
    callback_identity: str = ""


class FootprintProvider(MailjetProvider):
    """Knows which of the senders were absent before: one that stood there already is nothing left over."""

    def check(self, _olds: Props, news: Props) -> CheckResult:
        plugin.claim(senders=texts(news, "senders"), callbacks=texts(news, "callbacks"))
        return check_result(news, [])

    def diff(self, _id: str, _olds: Props, _news: Props) -> DiffResult:
        """What leaves the lists is removed by the old footprint's delete, at the end of the run: until then the run
        may fail and its change be reverted, and then nothing has been taken away."""
        less = [key for key in ("senders", "callbacks") if set(texts(_olds, key)) - set(texts(_news, key))]
        if text(_olds, "callback_identity") and changed(_olds, _news, ["callback_identity"]):
            less.append("callback_identity")
        return unchanged_or(dict.fromkeys([*less, *changed(_olds, _news, _INPUTS)]), replaces=less)

    def create(self, props: Props) -> CreateResult:
        """The first call of a run to Mailjet, a GET: with rejected credentials not even this is in the state."""
        digest = hashlib.sha256("\n".join([*texts(props, "senders"), *texts(props, "callbacks")]).encode()).hexdigest()
        return CreateResult(f"footprint-{digest[:12]}", _outputs(props, _absent(texts(props, "senders"))))

    def read(self, id_: str, props: Props) -> ReadResult:
        """It is only in the state."""
        return ReadResult(id_, own(props, (*_INPUTS, "absent")), own(props, _INPUTS))

    def update(self, _id: str, _olds: Props, _news: Props) -> UpdateResult:
        before = texts(_olds, "senders")
        newcomers = [sender for sender in texts(_news, "senders") if sender not in before]
        return UpdateResult(_outputs(_news, [*texts(_olds, "absent"), *_absent(newcomers)]))

    def delete(self, _id: str, _props: Props) -> None:
        process = plugin.current()
        for event_type in texts(_props, "callbacks"):
            delete_callback(process, event_type, owners_of(text(_props, "callback_identity")))
        if flag(_props, "delete_senders"):
            for email in texts(_props, "absent"):
                delete_sender(process, email)


class Footprint(Resource, module="mailjet", name="Footprint"):
    """Declare it before the senders and callbacks that it names, and let them depend on it."""

    def __init__(self, name: str, args: FootprintArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        props = declared(args, "absent") | {"senders": list(args.senders), "callbacks": list(args.callbacks)}
        super().__init__(FootprintProvider(), name, props, opts)


def _absent(senders: Sequence[str]) -> list[str]:
    """Those that Mailjet does not have, or has only as deleted ones."""
    return [email for email in senders if find_live_sender(plugin.current(), email) is None]


def _outputs(props: Props, absent: Sequence[str]) -> Props:
    return {**own(props, _INPUTS), "absent": list(absent)}
