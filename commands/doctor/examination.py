"""`./mail doctor STACK`: live checks of a stack, each ok, warning or error with what mends it.

Reads only: DNS as the zone and as resolvers have it, SPF, DKIM, DMARC, Mailjet's statuses, the inbound routes, the
tunnel, the webhook. `--round-trip` sends one mail from an agent to an agent.
Exit status: 0 without errors, 1 with some, 2 if it could not begin.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

from azmail.errors import AzmailError
from clients.cloudflare.client import CloudflareError
from clients.cloudflare.lookups import Cloudflare
from clients.dns import PUBLIC, Resolver
from clients.mailjet.api import MailjetApi
from clients.mailjet.errors import MailjetError
from commands.cli.console import SOON, columns, wants_colour, working
from commands.doctor.credentials import (
    CREDENTIALS,
    ZoneWanted,
    cloudflare_findings,
    mailjet_api,
    mailjet_findings,
    not_looked_at,
)
from commands.doctor.emulators import Emulators, EmulatorsDownError, find_emulators
from commands.doctor.finding import Check, Finding, Status, worst
from commands.doctor.gateway import GATEWAY, UPSTREAM, gateway_findings, upstream_findings
from commands.doctor.inbox import INBOX, inbox_findings
from commands.doctor.mailjet import (
    MAILJET,
    ROUTES,
    event_findings,
    look_at_routes,
    named_sender_findings,
    status_findings,
)
from commands.doctor.passphrase import passphrase_findings
from commands.doctor.policies import DKIM, DMARC, SPF, dkim_finding, dmarc_findings, first_answering, spf_finding
from commands.doctor.recorded import outdated, recorded_findings
from commands.doctor.records import DNS, ZONE, delegation_findings, resolver_findings, zone_findings
from commands.doctor.round_trip import ARRIVAL_SECONDS, ROUND_TRIP, Arrivals, Listener, ListenError, round_trip_findings
from commands.doctor.stack import ExaminedStack, NeverUpError, examine
from commands.doctor.table import as_json, heading, row, totals
from commands.doctor.tunnel import TUNNEL, WEBHOOK, WebhookProbe, tunnel_findings, webhook_findings
from commands.pending import pending_findings
from commands.stack_commands import ROOT, Pulumi, PulumiFailedError
from commands.stack_settings import plain_values, settings_from
from commands.state_values import outputs
from engine.loopback import is_loopback
from mailboxes import remedies
from settings.loading import SettingsError
from settings.values import Dns
from zone.spf_lookups import NoAnswerError, Resolve
from zone.survey import WrongZoneError, survey

CONFIGURATION = Check("configuration")
FATAL_ERRORS = (SettingsError, PulumiFailedError, NeverUpError, AzmailError, EmulatorsDownError)
CHECK_ERRORS = (CloudflareError, MailjetError, NoAnswerError, WrongZoneError)
"""What one check may end in without keeping the others from running."""

NamedCheck = tuple[Check, Callable[[], Iterable[Finding]]]


@dataclass(frozen=True, kw_only=True)
class DoctorOptions:
    """What was asked for."""

    stack: str
    cwd: Path = ROOT
    json: bool = False
    resolvers: Sequence[str] = ()
    """ADDRESS[:PORT] of those to ask; by default public ones, for a stack on loopback that of the emulators."""
    emulators: Path | None = None
    every_route: bool = False
    """List the whole account, also where the stack's own addresses take fewer reads."""
    round_trip: bool = False
    listen: str = ""
    """HOST:PORT to receive the round trip's mail at, instead of the platform."""
    timeout: float = ARRIVAL_SECONDS
    ca_file: str = ""
    inbox: str = ""
    """Where the inbox is reached from here, if not where its readers reach it."""


def doctor(given: DoctorOptions) -> int:
    """Show each finding as it is made. Exit status: 0 without errors, 1 with some. Raises ResolverError."""
    resolvers = [Resolver.parse(text) for text in given.resolvers]
    found: list[Finding] = []
    if not given.json:
        print(heading(), flush=True)
    findings = _findings(given, resolvers)
    while True:
        with working(f"Examining {given.stack}", after=SOON):
            finding = next(findings, None)
        if finding is None:
            break
        found.append(finding)
        if not given.json:
            print(row(finding, columns=columns(), colour=wants_colour()), flush=True)
    print(as_json(given.stack, found) if given.json else f"\n{totals(found)}")
    return 1 if worst(found) is Status.ERROR else 0


def _findings(given: DoctorOptions, resolvers: Sequence[Resolver]) -> Iterator[Finding]:
    """Of a stack that cannot be examined, the reasons."""
    yield from passphrase_findings(given.stack, given.cwd)
    try:
        yield from _examination(given, resolvers)
    except FATAL_ERRORS as error:
        for sentence in _sentences(error):
            yield CONFIGURATION.error(given.stack, sentence)


def _sentences(error: Exception) -> list[str]:
    return error.problems if isinstance(error, SettingsError) else [str(error)]


@dataclass(frozen=True, kw_only=True)
class _CheckContext:
    """What the checks ask."""

    examined: ExaminedStack
    mailjet: MailjetApi
    cloudflare: Cloudflare
    resolvers: Sequence[Resolver]
    probe: WebhookProbe
    ca_file: str
    """Of the authority of what agents send through."""
    mailjet_ca_file: str
    every_route: bool

    @property
    def is_without_file(self) -> bool:
        """Whether gateway and inbox are those of an embedded default that has not been given its file."""
        return bool(self.probe.edge and not self.ca_file)

    @property
    def sees_zone(self) -> bool:
        settings = self.examined.settings
        return settings.dns is Dns.CLOUDFLARE and bool(settings.cloudflare_api_token)


def _examination(given: DoctorOptions, resolvers: Sequence[Resolver]) -> Iterator[Finding]:
    """Raises what FATAL_ERRORS lists, before the first finding."""
    pulumi = Pulumi(given.stack, project=given.cwd)
    entries = pulumi.entries()
    settings, cloudflare_url = settings_from(pulumi, entries)
    state = pulumi.export(show_secrets=True)
    old = outdated(state, plain_values(entries))
    examined = examine(
        given.stack,
        settings,
        outputs(state),
        cloudflare_url=cloudflare_url,
        inbox_elsewhere=given.inbox,
        outdated=old,
    )
    emulators = _emulators(given, cloudflare_url)
    context = _CheckContext(
        examined=examined,
        mailjet=mailjet_api(settings.mailjet_api_url, settings.mailjet_api_key, settings.mailjet_api_secret),
        cloudflare=Cloudflare(cloudflare_url, settings.cloudflare_api_token),
        resolvers=resolvers or ([emulators.resolver] if emulators else [Resolver.parse(address) for address in PUBLIC]),
        probe=WebhookProbe(url=examined.settings.public_webhook_url, edge=emulators.edge if emulators else ""),
        ca_file=given.ca_file or _ca_file(emulators, gateway=settings.has_gateway),
        mailjet_ca_file=_ca_file(emulators, gateway=False),
        every_route=given.every_route,
    )
    yield from pending_findings(given.stack, state)
    yield from recorded_findings(given.stack, old)
    yield CONFIGURATION.ok(given.stack, f"Valid; {settings.domain}, {len(examined.mailboxes):,} mailboxes.")
    yield from _all(_checks(context), given.stack)
    arrivals = Arrivals()
    try:
        with Listener(given.listen, examined, arrivals) if given.listen else nullcontext():
            yield from _all(
                [(WEBHOOK, lambda: webhook_findings(examined, context.probe, without_file=context.is_without_file))],
                given.stack,
            )
            if given.round_trip:
                yield from round_trip_findings(
                    examined, arrivals, listen=given.listen, ca_file=context.ca_file, seconds=given.timeout
                )
    except ListenError as error:
        yield ROUND_TRIP.error(given.stack, str(error))


def _all(checks: Iterable[NamedCheck], stack: str) -> Iterator[Finding]:
    """Every check, also after one that could not be made."""
    found: list[Finding] = []
    for check, findings in checks:
        if unasked := not_looked_at(check, stack, found):
            yield unasked
            continue
        try:
            for finding in findings():
                found.append(finding)
                yield finding
        except CHECK_ERRORS as error:
            yield check.error(stack, str(error))


def _emulators(given: DoctorOptions, cloudflare_url: str) -> Emulators | None:
    if given.emulators:
        return find_emulators(given.emulators)
    return find_emulators(ROOT / ".state" / "emulators") if is_loopback(cloudflare_url) else None


def _ca_file(emulators: Emulators | None, *, gateway: bool) -> str:
    if emulators is None:
        return ""
    return emulators.gateway_ca_file if gateway else emulators.ca_file


def _checks(context: _CheckContext) -> list[NamedCheck]:
    """In the order in which a person mends: who we are, what is published, what Mailjet thinks, the way in."""
    credentials = (CREDENTIALS, lambda: _credentials(context))
    routes = (ROUTES, lambda: look_at_routes(context.examined, context.mailjet, every=context.every_route))
    gateway = [
        (
            GATEWAY,
            lambda: gateway_findings(context.examined, ca_file=context.ca_file, without_file=context.is_without_file),
        ),
        (UPSTREAM, lambda: upstream_findings(context.examined, ca_file=context.mailjet_ca_file)),
        (INBOX, lambda: inbox_findings(context.examined, without_file=context.is_without_file)),
    ]
    if context.examined.settings.domain_stack:
        return [credentials, (CONFIGURATION, lambda: _shared_domain(context.examined)), routes, *gateway]
    ask = first_answering(context.resolvers)
    return [
        credentials,
        (ZONE, lambda: _zone(context)),
        (DNS, lambda: resolver_findings(context.examined, context.resolvers)),
        (SPF, lambda: [spf_finding(context.examined, ask)]),
        (DKIM, lambda: _dkim(context, ask)),
        (DMARC, lambda: dmarc_findings(context.examined, ask)),
        (MAILJET, lambda: _statuses(context)),
        routes,
        *gateway,
        (TUNNEL, lambda: _tunnel(context)),
    ]


def _shared_domain(examined: ExaminedStack) -> Iterator[Finding]:
    owner = examined.settings.domain_stack
    yield CONFIGURATION.ok(
        examined.settings.domain,
        f"The domain, its records and its tunnel are the stack {owner!r}'s: {remedies.doctor(owner)} looks at them.",
    )


def _credentials(context: _CheckContext) -> Iterator[Finding]:
    settings = context.examined.settings
    if settings.dns is Dns.CLOUDFLARE and not settings.domain_stack:
        wanted = ZoneWanted(zone_id=settings.zone_id, zone_name=settings.zone_name, account_id=settings.account_id)
        if settings.cloudflare_api_token:
            yield from cloudflare_findings(context.cloudflare, wanted)
        else:
            yield CREDENTIALS.warning(
                "Cloudflare token",
                "There is no token (cloudflare:apiToken or CLOUDFLARE_API_TOKEN), so zone and tunnel were not "
                "looked at: set one that may read.",
            )
    yield from mailjet_findings(context.mailjet)


def _zone(context: _CheckContext) -> Iterator[Finding]:
    settings = context.examined.settings
    if not context.sees_zone:
        return
    rows = context.cloudflare.records(settings.zone_id)
    yield from zone_findings(context.examined, survey(rows, zone_name=settings.zone_name, zone_id=settings.zone_id))
    try:
        zone = context.cloudflare.zone(settings.zone_id)
    except CloudflareError as error:
        if not error.refused:
            raise
        return
    if zone.name_servers:
        yield from delegation_findings(zone.name, zone.name_servers, context.resolvers)


def _tunnel(context: _CheckContext) -> Iterator[Finding]:
    if context.sees_zone:
        yield from tunnel_findings(context.examined, context.cloudflare, emulated=bool(context.probe.edge))


def _dkim(context: _CheckContext, ask: Resolve) -> Iterator[Finding]:
    row = context.mailjet.dns(context.examined.settings.domain)
    if row is not None:
        yield dkim_finding(context.examined, ask, name=row.dkim_name, value=row.dkim_value)


def _statuses(context: _CheckContext) -> Iterator[Finding]:
    domain, mailjet = context.examined.settings.domain, context.mailjet
    yield from status_findings(context.examined, mailjet.sender(f"*@{domain}"), mailjet.dns(domain))
    yield from named_sender_findings(context.examined, mailjet.sender)
    if context.examined.settings.mailjet_events:
        yield from event_findings(context.examined, mailjet.event_callbacks())
