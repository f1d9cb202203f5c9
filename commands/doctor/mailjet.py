"""Mailjet's opinion of the domain, and its inbound routes against the stack's outputs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from urllib.parse import unquote, urlsplit

from clients.mailjet.api import DnsRow, EventCallbackRow, MailjetApi, ParseRoute, RecordStatus, SenderRow, SenderStatus
from clients.mailjet.route_identity import RouteIdentity, shown
from clients.mailjet.route_listing import RouteListing
from clients.mailjet.workers import Workers
from commands.doctor.finding import Check, Finding
from commands.doctor.stack import ExaminedStack
from mailboxes import remedies
from mailboxes.wording import counted, first_few

MAILJET = Check("mailjet")
ROUTES = Check("routes")

READERS = 8
"""Questions under way at once: as many as the doctor's client has connections."""


def status_findings(examined: ExaminedStack, sender: SenderRow | None, dns: DnsRow | None) -> Iterator[Finding]:
    """Sender, DKIM and SPF as Mailjet last saw them."""
    domain = examined.settings.domain
    again = examined.again
    if sender is None or sender.status is SenderStatus.DELETED:
        found = "has no sender" if sender is None else "has deleted the sender"
        yield MAILJET.error(
            f"sender *@{domain}", f"Mailjet {found} *@{domain}, so agents cannot send: create it again with: {again}"
        )
        return
    if sender.status is not SenderStatus.ACTIVE:
        yield MAILJET.error(
            f"sender *@{domain}",
            f"Mailjet has not validated *@{domain} ({sender.status}), expected Active: mend the ownership record "
            f"above, then {again}",
        )
    else:
        yield MAILJET.ok(f"sender *@{domain}", "Active.")
    if dns is None:
        yield MAILJET.error(f"DNS {domain}", f"Mailjet has no DNS entry for {domain}: wait a minute, then {again}")
        return
    for what, status in (("DKIM", dns.dkim_status), ("SPF", dns.spf_status)):
        label = f"{what} {domain}"
        if status is RecordStatus.OK:
            yield MAILJET.ok(label, "OK.")
        elif status is RecordStatus.NOT_CHECKED:
            yield MAILJET.warning(label, f"Mailjet has not looked at {what} yet: {again} makes it look.")
        else:
            yield MAILJET.error(
                label,
                f"Mailjet says {status!s} of {what}, expected OK: mend the record that the lines above name, then "
                f"{again} makes it look again.",
            )


def named_sender_findings(examined: ExaminedStack, find: Callable[[str], SenderRow | None]) -> Iterator[Finding]:
    """The platform's own addresses; `find` looks one up."""
    for named_sender in examined.settings.mailjet_senders:
        email = named_sender.email
        sender = find(email)
        if sender is not None and sender.status is SenderStatus.ACTIVE:
            yield MAILJET.ok(f"sender {email}", "Active.")
            continue
        found = "does not know it" if sender is None else f"says {sender.status}"
        yield MAILJET.error(
            f"sender {email}",
            f"Mailjet {found}, expected Active: {examined.again} makes it again; "
            f"an address outside {examined.settings.domain} must also confirm a mail from Mailjet.",
        )


def event_findings(examined: ExaminedStack, callbacks: Iterable[EventCallbackRow]) -> Iterator[Finding]:
    """Bounces and the like: does Mailjet report them, here, and still?"""
    settings = examined.settings
    ours = RouteIdentity.of(settings.events_url)
    at = {callback.event_type: callback for callback in callbacks if not callback.is_backup}
    again = examined.again
    for event in settings.mailjet_events:
        label, callback = f"{event} events", at.get(event)
        if callback is None:
            yield MAILJET.error(label, f"Mailjet reports them nowhere, expected {ours}: {again}")
        elif RouteIdentity.of(callback.url) != ours:
            yield MAILJET.error(
                label,
                f"Mailjet reports them to {shown(callback.url)}, expected {ours}; an account has one callback for "
                "each event: remove that one in Mailjet, or take mailjetEvents out of one of the stacks.",
            )
        elif callback.status != "alive":
            yield MAILJET.error(
                label,
                f"Mailjet has suspended the callback ({callback.status}), after errors for a day: {again} revives it.",
            )
        else:
            yield MAILJET.ok(label, f"Reported to {ours}.")


def look_at_routes(examined: ExaminedStack, api: MailjetApi, *, every: bool) -> Iterator[Finding]:
    """The routes of the stack's addresses, or `every` one of the account, which alone tells of surplus ones.

    As in an up, addresses are asked for one by one where listing the account takes more reads (decision record 134).
    """
    readers = Workers(READERS)
    try:
        listing = RouteListing(api.route_pages, api.route_at, readers)
        if every:
            listing.load()
        else:
            listing.look_up(examined.addresses, standing=True)
    finally:
        readers.close()
    routes = listing.everything()
    unlisted = 0 if listing.complete else (listing.total or 0) - len(routes)
    yield from route_findings(examined, routes, unlisted=unlisted)


def route_findings(examined: ExaminedStack, routes: Iterable[ParseRoute], *, unlisted: int = 0) -> Iterator[Finding]:
    """Missing, foreign, stale and surplus routes; one finding if there is nothing to say.

    `unlisted`: how many more routes the account has, of addresses that are not the stack's.
    """
    settings = examined.settings
    ours = RouteIdentity.of(settings.route_identity)
    again = examined.again
    wanted = examined.addresses
    at: dict[str, list[ParseRoute]] = {}
    for route in routes:
        at.setdefault(route.email, []).append(route)

    missing = sorted(wanted - at.keys())
    foreign = sorted(
        f"{email} to {shown(route.url)}"
        for email in wanted & at.keys()
        for route in at[email]
        if RouteIdentity.of(route.url) != ours
    )
    stale = sorted(
        email
        for email in wanted & at.keys()
        for route in at[email]
        if RouteIdentity.of(route.url) == ours
        and settings.webhook_secret
        and _password(route.url) != settings.webhook_secret
    )
    surplus = sorted(
        email for email in at.keys() - wanted for route in at[email] if RouteIdentity.of(route.url) == ours
    )
    total = counted(len(wanted), "mailbox")
    if missing:
        yield ROUTES.error(
            "missing",
            f"{len(missing):,} of {total} have no inbound route ({first_few(missing)}), so their mail bounces: {again}",
        )
    if foreign:
        yield ROUTES.error(
            "foreign",
            f"{len(foreign):,} of {total} are routed elsewhere ({first_few(foreign)}), expected "
            f"{settings.route_identity}: remove those routes in Mailjet, or take them over with: "
            f"{remedies.set_value('mailjetTakeOverRoutes', 'true', stack=examined.stack)}, then {again}",
        )
    if stale:
        yield ROUTES.error(
            "stale",
            f"{len(stale):,} of {total} have a route with another webhook password than webhookSecret "
            f"({first_few(stale)}): {again}",
        )
    if surplus:
        yield ROUTES.warning(
            "surplus",
            f"{counted(len(surplus), 'inbound route')} of this stack without a mailbox ({first_few(surplus)}): delete "
            "them in Mailjet, or give the addresses back to their agents with a local_part line each.",
        )
    if not (missing or foreign or stale or surplus):
        others = f" {_unlisted(examined.stack, unlisted)}" if unlisted else ""
        yield ROUTES.ok("inbound", f"{total}, each with its route to {settings.public_webhook_url}.{others}")


def _unlisted(stack: str, count: int) -> str:
    return (
        f"Of the account's other routes {count:,} were not listed: {remedies.doctor(stack, '--every-route')} does, and tells "
        "of those of this stack without a mailbox."
    )


def _password(url: str) -> str:
    return unquote(urlsplit(url).password or "")
