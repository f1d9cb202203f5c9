"""What a person is asked for: only what neither a flag nor a file has said. Secrets are typed unseen."""

from __future__ import annotations

import getpass
from collections.abc import Callable
from typing import Protocol

from clients.cloudflare.client import CloudflareError
from clients.cloudflare.lookups import Cloudflare, Zone
from commands.environments.draft import API_TOKEN, Draft


class Asker(Protocol):
    """Somebody who can be asked."""

    def ask(self, prompt: str, default: str = "") -> str:
        """One line; the default for an empty one."""

    def hidden(self, prompt: str) -> str:
        """One line that does not show while it is typed."""


class Terminal:
    """The person at the terminal."""

    def ask(self, prompt: str, default: str = "") -> str:
        shown = f"{prompt} [{default}]: " if default else f"{prompt}: "
        return input(shown).strip() or default

    def hidden(self, prompt: str) -> str:
        return getpass.getpass(f"{prompt}: ").strip()


def ask_for_missing(draft: Draft, asker: Asker, find_zone: Callable[[], Zone | None]) -> None:
    """Fill the draft's gaps. `find_zone` looks the zone up by its name, with the token that is known by then."""
    plain = draft.plain

    def want(key: str, prompt: str, default: str = "") -> None:
        if not plain.get(key) and (answer := asker.ask(prompt, default)):
            plain[key] = answer

    want("domain", "Mail domain, such as mail.example.com (a subdomain leaves the mail of the domain above alone)")
    if plain.get("dns", "cloudflare") == "cloudflare":
        want("zoneName", "Cloudflare zone that holds it", ".".join(str(plain.get("domain", "")).split(".")[-2:]))
        _secret(draft, asker, API_TOKEN, "Cloudflare API token")
        zone = find_zone()
        if zone is not None:
            plain.setdefault("zoneId", zone.id)
        want("zoneId", "Zone ID, from the zone's overview page")
        if not plain.get("webhookUrl"):
            _tunnel(draft, asker, zone.account_id if zone is not None else "")
    _secret(draft, asker, "mailjetApiKey", "Mailjet API key")
    _secret(draft, asker, "mailjetApiSecret", "Mailjet API secret")
    if not plain.get("tunnelHostname"):
        want(
            "webhookUrl",
            "URL of the platform's inbound webhook, such as https://api.example.com/api/webhooks/mailjet/inbound",
        )


def _tunnel(draft: Draft, asker: Asker, account_id: str) -> None:
    plain = draft.plain
    if not plain.get("tunnelHostname"):
        host = asker.ask("Public host of the platform behind a Cloudflare tunnel (empty for none)")
        if not host:
            return
        plain["tunnelHostname"] = host
    if plain.get("accountId") or plain.get("tunnelCname"):
        return
    existing = asker.ask("An existing tunnel's ID.cfargotunnel.com (empty to have one made)")
    if existing:
        plain["tunnelCname"] = existing
    else:
        plain["accountId"] = asker.ask("Cloudflare account ID for the new tunnel", account_id)


def _secret(draft: Draft, asker: Asker, key: str, prompt: str) -> None:
    if not draft.secrets.get(key) and (answer := asker.hidden(prompt)):
        draft.secrets[key] = answer


def zone_by_name(api: Cloudflare, name: str) -> Zone | None:
    """The token's one zone of that name; None where there is none to see, or nobody to ask."""
    try:
        zones = api.zones_named(name)
    except CloudflareError:
        return None
    return zones[0] if len(zones) == 1 else None
