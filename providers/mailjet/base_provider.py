"""The CRUD contract of a dynamic provider, written down once: when the engine calls what, and what it does with it.

Providers have no state of their own and no constructor arguments: the SDK pickles them into the state by reference,
some 70 bytes, and a change of their code shows no diff. What they share is in `plugin.py`.
"""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields
from functools import wraps
from typing import TYPE_CHECKING, Any

from pulumi.dynamic import (
    CheckFailure,
    CheckResult,
    ConfigureRequest,
    CreateResult,
    DiffResult,
    ReadResult,
    ResourceProvider,
    UpdateResult,
)
from pulumi.dynamic.dynamic import PROVIDER_KEY
from pulumi.output import Unknown
from pulumi.runtime import rpc

from clients.mailjet.client import KEY_REFUSED
from clients.mailjet.errors import (
    KeyRefusedBeforeError,
    KeyRefusedInRefreshError,
    KeyRefusedInWriteError,
    RoutesIncompleteError,
)
from clients.mailjet.route_identity import lacks_only_the_password_of
from providers.mailjet import plugin

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Props = dict[str, Any]


class MailjetProvider(ResourceProvider, ABC):
    """Base of every provider here."""

    serialize_as_secret_always = False  # nothing secret is inside, and encryption per resource is slow

    def __init_subclass__(cls, **options: Any) -> None:
        """What each call does where Mailjet refuses the key, which is one fault of the run and not one of a resource."""
        super().__init_subclass__(**options)
        for name, once in (("read", _looked_at_once), *((each, _told_once) for each in ("create", "update", "delete"))):
            if name in vars(cls):
                setattr(cls, name, once(vars(cls)[name]))

    def configure(self, req: ConfigureRequest) -> None:
        """Once per kind of provider and run, before its first other call, previews included.

        `req.config` holds all stack config, secrets in plain text. Never raises: a preview needs no credential, so
        what is missing is told by the first call to Mailjet.
        """
        sys.tracebacklimit = 0  # the engine shows what a provider raises: one sentence, no traceback
        plugin.configure(req.config.get)

    @abstractmethod
    def check(self, _olds: Props, news: Props) -> CheckResult:
        """For every resource of every preview and up, before `diff`. No network.

        `_olds`: the inputs in the state, empty for a new resource. `news`: the program's inputs, where a preview may
        have `Unknown` objects. Failures are shown and stop the run before anything is written. A failure that names a
        property makes the engine print its whole value, so large or secret ones are named in the sentence only.
        """

    @abstractmethod
    def diff(self, _id: str, _olds: Props, _news: Props) -> DiffResult:
        """For every resource of every preview and up that exists already. No network.

        `_olds`: the *outputs* in the state, which a refresh may have changed. `changes` None would have the engine
        compare inputs only, and drift would go unnoticed.
        """

    @abstractmethod
    def create(self, props: Props) -> CreateResult:
        """In an up, for a new or replaced resource. Never in a preview.

        An exception leaves nothing in the state, although writes may have happened: the next up calls `create`
        again, which has to find and adopt them. The outputs returned are all that the state will hold.
        """

    @abstractmethod
    def read(self, id_: str, props: Props) -> ReadResult:
        """In a refresh. `props`: the outputs in the state.

        Returns full outputs *and* full inputs, so that the next preview shows drift, or `vanished()` for an object
        that is gone: the next up creates it again.
        """

    @abstractmethod
    def update(self, _id: str, _olds: Props, _news: Props) -> UpdateResult:
        """In an up, where `diff` saw changes but no replacement.

        `_olds`: outputs. Returns all outputs: one that is left out is dropped from the state. An exception leaves
        the old outputs in the state.
        """

    @abstractmethod
    def delete(self, _id: str, _props: Props) -> None:
        """In an up for a resource that left the program or was replaced (after its successor's `create`), and in a
        destroy. `_props`: outputs. An exception keeps the resource in the state."""


def _told_once(call: Callable[..., Any]) -> Callable[..., Any]:
    """A create, update or delete whose refused key is told in whole once, for all resources of the run.

    Each that the engine had under way then has to fail, or the state would say that it was done.
    """

    @wraps(call)
    def written(self: MailjetProvider, *arguments: Any) -> Any:
        try:
            return call(self, *arguments)
        except RoutesIncompleteError as incomplete:
            if not isinstance(incomplete.cause, KEY_REFUSED) or plugin.current().first_to_tell():
                raise
            raise incomplete.because(KeyRefusedBeforeError()) from None
        except KEY_REFUSED as refusal:
            if plugin.current().first_to_tell():
                raise KeyRefusedInWriteError(refusal) from None
            raise KeyRefusedBeforeError from None

    return written


def _looked_at_once(read: Callable[..., ReadResult]) -> Callable[..., ReadResult]:
    """A `read` that fails once for all resources of the run where Mailjet refuses the key.

    The one failure stops the refresh and whatever was to follow it. The others keep what the state has of them,
    unlooked at: the same sentence for each of 57 resources would hide that it is one fault.
    """

    @wraps(read)
    def looked_at(self: MailjetProvider, id_: str, props: Props) -> ReadResult:
        try:
            return read(self, id_, props)
        except KEY_REFUSED as refusal:
            if plugin.current().first_to_tell():
                raise KeyRefusedInRefreshError(refusal) from None
            return ReadResult(id_, {key: value for key, value in props.items() if key != PROVIDER_KEY})

    return looked_at


# What every resource and every provider does with its properties


def declared(args: DataclassInstance, *computed: str) -> Props:
    """A resource's inputs as `args` has them, and a place for what its provider computes."""
    return {field.name: getattr(args, field.name) for field in fields(args)} | dict.fromkeys(computed)


def known(value: object) -> bool:
    """Whether a property has a value; a preview marks what it cannot know by an object."""
    return value is not None and not isinstance(value, Unknown) and value != rpc.UNKNOWN


def text(props: Mapping[str, Any], key: str) -> str:
    """A text property, empty where absent."""
    value = props.get(key)
    return value if isinstance(value, str) and known(value) else ""


def texts(props: Mapping[str, Any], key: str) -> list[str]:
    """A list of texts, empty where absent."""
    value = props.get(key)
    return [str(entry) for entry in value] if isinstance(value, list) else []


def integer(props: Mapping[str, Any], key: str) -> int | None:
    """A number property, None where absent; the engine sends every number as a float."""
    value = props.get(key)
    if isinstance(value, str) and value.strip().isdigit():
        return int(value)
    return int(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def flag(props: Mapping[str, Any], key: str) -> bool:
    """A boolean property, false where absent."""
    return props.get(key) is True


def own(props: Mapping[str, Any], keys: Iterable[str]) -> Props:
    """The named properties that are present: without the pickled provider, which the host adds itself."""
    return {key: props[key] for key in keys if props.get(key) is not None}


def changed(olds: Mapping[str, Any], news: Mapping[str, Any], keys: Iterable[str]) -> list[str]:
    """Keys whose value differs or is not known yet."""
    return [key for key in keys if olds.get(key) != news.get(key) or (key in news and isinstance(news[key], Unknown))]


def url_changed(olds: Mapping[str, Any], news: Mapping[str, Any], key: str) -> list[str]:
    """`changed` for a URL with a password: one that has none given is no other, since no up comes so far without."""
    old, new = olds.get(key), news.get(key)
    if isinstance(old, str) and isinstance(new, str) and lacks_only_the_password_of(new, old):
        return []
    return changed(olds, news, (key,))


def unchanged_or(changes: Iterable[str], *, replaces: Iterable[str] = ()) -> DiffResult:
    """A diff of `changes`; those among `replaces` need a new object, created before the old one goes."""
    found = list(changes)
    return DiffResult(changes=bool(found), replaces=[key for key in replaces if key in found])


def check_result(news: Props, sentences: Iterable[str]) -> CheckResult:
    """Inputs as they came, with what is wrong with them. No property is named: see `MailjetProvider.check`."""
    return CheckResult(news, [CheckFailure("", sentence) for sentence in sentences])


def vanished() -> ReadResult:
    """The object is gone; the host needs the empty outputs."""
    return ReadResult(None, {})
