"""Are the tokens and keys good, and for what? Only questions that change nothing, unless a write is asked for.

What no question can tell is said instead of guessed: a token's right to *write* DNS or tunnels, and whether Mailjet's
plan includes inbound routes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from clients.cloudflare.client import CloudflareError
from clients.cloudflare.lookups import Cloudflare, Zone
from clients.mailjet.api import PARSE_ROUTE, SENDER, MailjetApi
from clients.mailjet.client import Credentials, MailjetClient, RetryPolicy
from clients.mailjet.errors import MailjetError, NotAllowedError
from commands.doctor.finding import Check, Finding, Status
from commands.doctor.policies import DKIM
from mailboxes import remedies

CREDENTIALS = Check("credentials")

_TOKENS_PAGE = "Cloudflare's dashboard under My Profile > API Tokens"


@dataclass(frozen=True, kw_only=True)
class ZoneWanted:
    """What a Cloudflare token is asked about. An empty id or name leaves that question out."""

    zone_id: str
    zone_name: str
    account_id: str = ""
    write_test: str = ""
    """A name in the zone where a TXT record may be written and removed, to see whether the token may; empty without."""


DEPENDENT = {
    "zone": "Cloudflare token",
    "tunnel": "Cloudflare token",
    "mailjet": "Mailjet key",
    "routes": "Mailjet key",
    DKIM.name: "Mailjet key",
    "upstream": "Mailjet key",
}
"""Check -> the subject of the finding on credentials without which nothing can be looked at."""


def not_looked_at(check: Check, stack: str, findings: Iterable[Finding]) -> Finding | None:
    """For a check whose token or key has been found not to work: told once, and nobody is asked again."""
    needed = DEPENDENT.get(check.name)
    broken = any(
        finding.check == CREDENTIALS.name and finding.subject == needed and finding.status is Status.ERROR
        for finding in findings
    )
    return check.warning(stack, f"Not looked at: it needs the {needed} named above.") if broken else None


def mailjet_api(url: str, key: str, secret: str) -> MailjetApi:
    """A client that asks twice at most: Mailjet blocks an address that keeps trying a wrong key."""
    return MailjetApi(
        MailjetClient(
            base_url=url,
            credentials=Credentials(api_key=key, api_secret=secret),
            retry=RetryPolicy(attempts=2, deadline=30),
        )
    )


def cloudflare_findings(api: Cloudflare, wanted: ZoneWanted) -> Iterator[Finding]:
    """On the token, the zone and, where the stack makes a tunnel, the account."""
    try:
        token = api.verify_token(wanted.account_id, wanted.zone_id)
    except CloudflareError as error:
        if not (wanted.zone_id and error.status is not None and _works(api, wanted.zone_id)):
            yield CREDENTIALS.error("Cloudflare token", token_sentence(error))
            return
        # An account's own token that may not read the zone: nobody tells which account could verify it, but it works.
        token = {"status": "active"}
    status, ends = str(token.get("status") or "unknown"), str(token.get("expires_on") or "")
    if status != "active":
        yield CREDENTIALS.error(
            "Cloudflare token",
            f"The token is {status}, expected active: renew it in {_TOKENS_PAGE}, then store it with: "
            f"{remedies.set_secret('cloudflare:apiToken')}",
        )
        return
    yield CREDENTIALS.ok(
        "Cloudflare token",
        f"The token is active{f' until {ends}' if ends else ''}. If it is a new one, apply once without --refresh before anything "
        "refreshes, and revoke the old one only then: a refresh asks with the token of the last run.",
    )
    if wanted.zone_id:
        zone = None
        try:
            zone = api.zone(wanted.zone_id)
        except CloudflareError as error:
            yield _zone_not_read(error, wanted)
            if not error.refused:
                return
        if zone is not None:
            yield _zone(zone, wanted)
        yield _records(api, wanted)
        if wanted.account_id and zone is not None and zone.account_id not in {"", wanted.account_id}:
            yield CREDENTIALS.warning(
                "Cloudflare account",
                f"The zone belongs to the account {zone.account_id}, the tunnel to accountId {wanted.account_id}; "
                "expected one account, since a CNAME leads only to tunnels of its own account: correct accountId.",
            )
    if wanted.account_id:
        yield _tunnels(api, wanted.account_id)
    if wanted.zone_id and wanted.write_test:
        yield _writes(api, wanted)
        return
    yield CREDENTIALS.ok(
        "Cloudflare writes",
        "Not to be seen without writing: an up needs Zone.DNS Edit"
        + (" and Account.Cloudflare Tunnel Edit" if wanted.account_id else "")
        + "; an up that lacks one says which, has done what comes before by then, and goes on from there once it is given.",
    )


def _works(api: Cloudflare, zone_id: str) -> bool:
    """Whether Cloudflare answers to the token at all."""
    try:
        api.peek_at_records(zone_id)
    except CloudflareError:
        return False
    return True


def token_sentence(error: CloudflareError) -> str:
    """Why a token does not do, and where to get one that does."""
    if error.status is None:
        return f"{error}: check the network and cloudflare:baseUrl."
    if error.token_unknown or error.refused:
        return (
            f"Cloudflare does not accept the token (code {error.code or error.status}): copy it again, or make a new "
            f"one, in {_TOKENS_PAGE}, then store it with: {remedies.set_secret('cloudflare:apiToken')}"
        )
    return f"{error}: run this again in a minute."


def _zone_not_read(error: CloudflareError, wanted: ZoneWanted) -> Finding:
    if error.refused:
        return CREDENTIALS.warning(
            "Cloudflare zone",
            f"The token may not read the zone {wanted.zone_id}, so nobody compared its name with zoneName "
            f"{wanted.zone_name!r}: correct zoneId, or add the permission Zone.Zone Read if you want that.",
        )
    if error.status is None:
        return CREDENTIALS.error("Cloudflare zone", f"{error}: check the network and cloudflare:baseUrl.")
    return CREDENTIALS.error(
        "Cloudflare zone",
        f"Cloudflare knows no zone with the id {wanted.zone_id} (code {error.code or error.status}): copy the Zone "
        f"ID from the zone's overview page and set it with: {remedies.set_value('zoneId')}",
    )


def _zone(zone: Zone, wanted: ZoneWanted) -> Finding:
    if wanted.zone_name and zone.name != wanted.zone_name:
        return CREDENTIALS.error(
            "Cloudflare zone",
            f"zoneId {wanted.zone_id} is the zone {zone.name!r}, expected zoneName {wanted.zone_name!r}: correct the "
            f"one that is wrong with: {remedies.set_value('zoneId')} or: {remedies.set_value('zoneName', zone.name)}",
        )
    if zone.status and zone.status != "active":
        servers = " and ".join(zone.name_servers) or "the ones that its overview page names"
        return CREDENTIALS.error(
            "Cloudflare zone",
            f"The zone {zone.name} is {zone.status}, expected active: nobody sees its records before the registrar "
            f"of the domain names its name servers, {servers}.",
        )
    return CREDENTIALS.ok("Cloudflare zone", f"The id belongs to the zone {zone.name}.")


def _records(api: Cloudflare, wanted: ZoneWanted) -> Finding:
    try:
        api.peek_at_records(wanted.zone_id)
    except CloudflareError as error:
        if error.refused:
            return CREDENTIALS.error(
                "Cloudflare DNS",
                f"The token may not read the DNS of {wanted.zone_name or wanted.zone_id} (code "
                f"{error.code or error.status}): give it the permission Zone.DNS Edit for this zone (Read is enough "
                f"for previews) in {_TOKENS_PAGE}.",
            )
        return CREDENTIALS.error("Cloudflare DNS", f"{error}: run this again in a minute.")
    return CREDENTIALS.ok("Cloudflare DNS", "The token may read the zone's records.")


def _writes(api: Cloudflare, wanted: ZoneWanted) -> Finding:
    """A tunnel is not tried: one would have to be made in the account."""
    try:
        api.try_to_write(wanted.zone_id, wanted.write_test)
    except CloudflareError as error:
        if error.refused:
            return CREDENTIALS.error(
                "Cloudflare writes",
                f"{error}: expected the permission Zone.DNS Edit for this zone, without which an up stops half done; give it in "
                f"{_TOKENS_PAGE}.",
            )
        return CREDENTIALS.error("Cloudflare writes", f"{error}: mend what it names, and run this again.")
    return CREDENTIALS.ok(
        "Cloudflare writes", f"A TXT record at {wanted.write_test} was written and removed: the token may write DNS."
    )


def _tunnels(api: Cloudflare, account_id: str) -> Finding:
    try:
        api.peek_at_tunnels(account_id)
    except CloudflareError as error:
        if error.refused or error.status in {400, 404}:
            return CREDENTIALS.error(
                "Cloudflare tunnels",
                f"The token may not read the tunnels of the account {account_id} (code "
                f"{error.code or error.status}): give it the permission Account.Cloudflare Tunnel Edit in "
                f"{_TOKENS_PAGE}, or correct accountId.",
            )
        return CREDENTIALS.error("Cloudflare tunnels", f"{error}: run this again in a minute.")
    return CREDENTIALS.ok("Cloudflare tunnels", "The token may read the account's tunnels.")


def mailjet_findings(api: MailjetApi) -> Iterator[Finding]:
    """On the key and on what the account has shown to be able to."""
    try:
        api.client.get(SENDER, {"Limit": 1})
    except MailjetError as error:
        yield CREDENTIALS.error("Mailjet key", str(error))
        return
    yield CREDENTIALS.ok("Mailjet key", "Mailjet accepts the key and its secret.")
    try:
        routes = api.client.get(PARSE_ROUTE, {"Limit": 1}).rows
    except NotAllowedError as error:
        yield CREDENTIALS.error("Mailjet plan", str(error))
        return
    except MailjetError as error:
        yield CREDENTIALS.warning("Mailjet plan", str(error))
        return
    yield CREDENTIALS.ok(
        "Mailjet plan",
        "The account has inbound routes."
        if routes
        else "Not to be seen before the first route: inbound mail (the Parse API) needs a paid plan.",
    )
