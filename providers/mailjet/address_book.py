"""Who has which address: the memory that guards look at, and the broom behind failed runs.

The book is created before the routes and deleted after them. What it holds is therefore all that a run may have
left behind, a killed one included: its `delete`, and its `update` for dropped addresses, remove every route of ours
that is still there.

Its outputs do not repeat the map: a digest tells a later run whether the book has changed, and the packed list of the
addresses alone is what a sweep needs. A digest of the account says which key has last been accepted. The engine keeps
the inputs beside them, and hands those to `check` only.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
from pulumi.dynamic import CheckResult, CreateResult, DiffResult, ReadResult, Resource, UpdateResult

from clients.mailjet.errors import MailjetError
from clients.mailjet.route_identity import require_route_url
from mailboxes.address_map import parse_address_map, recorded_address_map, render_address_map
from mailboxes.errors import InvalidAddressMapError
from mailboxes.guards import REMOVED_COUNT, REMOVED_PERCENT, RemovalLimit, refusals
from mailboxes.packed_map import packed_list, unpacked_list
from mailboxes.policies import parse_policies, refuse_lower_epochs
from providers.mailjet import plugin
from providers.mailjet.account import account_digest, prove_account, prove_key
from providers.mailjet.base_provider import (
    MailjetProvider,
    Props,
    changed,
    check_result,
    declared,
    integer,
    known,
    own,
    text,
    unchanged_or,
)
from providers.mailjet.route_writes import RouteWriter, owners_of

_INPUTS = ("addresses", "route_identity", "allow_mass_removal", "removal_percent", "removal_count")
_OUTPUTS = ("route_identity", "digest", "held", "account", "policies")


@dataclass(frozen=True, kw_only=True)
class AddressBookArgs:
    """`addresses`: {agent id: address} as JSON text or packed, every mailbox of the stack. `route_identity`:
    https://OWNERTAG@host/path. `allow_mass_removal`: consent to one removal, `50 of 100` or `all of 50`; empty for none.
    `removal_percent`, `removal_count`: removals above both need that exception. `ahead`: {agent id: stamp} as JSON
    text, whose address has a second that has not come yet. `policies`: what single agents may do
    (`mailboxes.policies`), as JSON text; the gateway reads them elsewhere, here they are guarded."""

    addresses: pulumi.Input[str]
    route_identity: pulumi.Input[str]
    allow_mass_removal: pulumi.Input[str] = ""
    removal_percent: pulumi.Input[int] = REMOVED_PERCENT
    removal_count: pulumi.Input[int] = REMOVED_COUNT
    ahead: pulumi.Input[str] | None = None
    policies: pulumi.Input[str] | None = None


class AddressBookProvider(MailjetProvider):
    """Refuses in `check` what would cost somebody a mailbox by mistake."""

    def check(self, _olds: Props, news: Props) -> CheckResult:
        wrong = []
        if known(news.get("route_identity")):
            try:
                require_route_url(text(news, "route_identity"))
            except MailjetError as error:
                wrong.append(str(error))
        if known(news.get("addresses")):
            try:
                wrong += _refusals(_olds, news)
            except InvalidAddressMapError as error:
                wrong.append(str(error))
        if not wrong:
            plugin.claim(routes=_addresses(news).values())
        return check_result(news, wrong)

    def diff(self, _id: str, _olds: Props, _news: Props) -> DiffResult:
        """The exception and the limits are of the moment: they are no change. A key that the state does not know is one,
        since somebody has to try it."""
        found = changed(_olds, _news, ("route_identity",))
        if not known(_news.get("addresses")) or text(_olds, "digest") != _digest(_addresses(_news)):
            found.append("addresses")
        account = account_digest(plugin.configured())
        if account and account != text(_olds, "account"):
            found.append("account")
        if text(_olds, "policies") != text(_news, "policies"):
            found.append("policies")
        return unchanged_or(found)

    def create(self, props: Props) -> CreateResult:
        process = plugin.current()
        process.route_claims.claim(_addresses(props).values())
        process.routes.expect(_addresses(props).values())
        prove_key(process)
        digest = hashlib.sha256(text(props, "route_identity").encode()).hexdigest()[:12]
        return CreateResult(f"address-book-{digest}", _outputs(process, props))

    def read(self, id_: str, props: Props) -> ReadResult:
        """The book is only in the state. Without inputs in the answer, the engine keeps those that it has."""
        return ReadResult(id_, own(props, (*_OUTPUTS, *_INPUTS)))

    def update(self, _id: str, _olds: Props, _news: Props) -> UpdateResult:
        process = plugin.current()
        before, wanted = _held(_olds), set(_addresses(_news).values())
        process.route_claims.claim(wanted)
        if account_digest(process.settings) != text(_olds, "account"):
            prove_account(process, wanted)
        process.address_book_changes.gained |= {address.lower() for address in wanted - before}
        process.address_book_changes.former |= owners_of(_olds.get("route_identity")) - owners_of(
            _news.get("route_identity")
        )
        dropped = before - wanted
        process.routes.expect(before ^ wanted)
        if dropped:
            _cleanup_writer(process, _olds, _news).release(sorted(dropped))
        return UpdateResult(_outputs(process, _news))

    def delete(self, _id: str, _props: Props) -> None:
        addresses = sorted(_held(_props))
        if addresses:
            _cleanup_writer(plugin.current(), _props).release(addresses)


class AddressBook(Resource, module="mailjet", name="AddressBook"):
    """Every mailbox of the stack. A preview hides the book's own diff: the buckets show the same change."""

    route_identity: pulumi.Output[str]

    def __init__(self, name: str, args: AddressBookArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        props = declared(args)
        hidden = pulumi.ResourceOptions(hide_diffs=["addresses", "held", "digest", "account"])
        super().__init__(AddressBookProvider(), name, props, pulumi.ResourceOptions.merge(hidden, opts))


def _addresses(props: Props) -> dict[str, str]:
    return recorded_address_map(text(props, "addresses"))


def _outputs(process: plugin.PluginProcess, props: Props) -> Props:
    addresses = _addresses(props)
    held = packed_list(sorted(set(addresses.values())))
    return {
        **own(props, ("route_identity", "policies")),
        "digest": _digest(addresses),
        "held": held,
        "account": account_digest(process.settings),
    }


def _digest(addresses: Mapping[str, str]) -> str:
    return hashlib.sha256(render_address_map(addresses).encode()).hexdigest()


def _held(outputs: Props) -> set[str]:
    """Every address of the book in the state."""
    return set(unpacked_list(text(outputs, "held")))


def _refusals(olds: Props, news: Props) -> list[str]:
    percent, count = integer(news, "removal_percent"), integer(news, "removal_count")
    limit = RemovalLimit(
        percent=REMOVED_PERCENT if percent is None else percent, count=REMOVED_COUNT if count is None else count
    )
    new = parse_address_map(text(news, "addresses"))
    found = refusals(
        _addresses(olds),
        new,
        limit=limit,
        allow_mass_removal=text(news, "allow_mass_removal"),
        ahead=json.loads(text(news, "ahead") or "{}"),
    )
    lower = refuse_lower_epochs(parse_policies(text(olds, "policies")), parse_policies(text(news, "policies")), new)
    return [*found, *([lower] if lower else [])]


def _cleanup_writer(process: plugin.PluginProcess, *props: Props) -> RouteWriter:
    identities = [text(each, "route_identity") for each in props]
    return RouteWriter(process, url=identities[-1], owners=owners_of(*identities))
