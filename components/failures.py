"""Cloudflare's refusals as sentences: what the plugin answers is a stack of HTTP text.

Of a refused write the engine prints that text, and nothing can replace it: the sentence comes beside it, from an error
hook. A `destroy` runs without the program, and so without the hook (docs/troubleshooting.md has its codes).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import pulumi

from clients.cloudflare.client import CloudflareError, is_about_token
from mailboxes import remedies
from settings.model import Settings

_STATUS = re.compile(r'"code":\s*(\d+)')
_MESSAGE = re.compile(r'"message":\s*"((?:[^"\\\\]|\\\\.)*)"')
_ANSWERED = re.compile(r'": (\d{3})\b')


def cloudflare_sentence(error: CloudflareError, settings: Settings) -> str:
    """One sentence on a failed look at the zone: what was asked, what Cloudflare said, what to do."""
    zone = f"the zone {settings.zone_name!r} (agentmail:zoneId {settings.zone_id})"
    if error.about_token:
        return (
            f"Cloudflare rejected the API token while listing {zone}, code {error.code or 'unknown'}; expected a token with the permission "
            "Zone.DNS Edit (Read is enough for a preview) for this zone; "
            f"set it with: {remedies.set_secret('cloudflare:apiToken', stack=settings.stack)}, or in the environment as "
            "CLOUDFLARE_API_TOKEN"
        )
    if error.code == 7003 or error.status == 404:
        return f"Cloudflare knows no zone with the id of {zone}; expected an existing zone; correct zoneId"
    if error.status is None:
        return (
            f"Cloudflare's API does not answer while listing {zone}; expected an API at cloudflare:baseUrl; "
            "check the network, and for the embedded default start the emulators with: "
            f"{remedies.emulators('up')}"
        )
    return f"{error} of {zone}; nothing was written; run the command again"


def tunnel_token_sentence(error: CloudflareError, tunnel_name: str) -> str:
    """One sentence on a tunnel whose token cannot be read."""
    return _tunnel_sentence(
        error,
        refused=f"does not show the token of the tunnel {tunnel_name!r} to this API token",
        without="the outputs tunnelToken and platformEnv stay unknown in it",
        failed=f"gave no token for the tunnel {tunnel_name!r}",
    )


def tunnel_listing_sentence(error: CloudflareError, tunnel_name: str) -> str:
    """One sentence on a tunnel of which nobody can say whether it exists."""
    return _tunnel_sentence(
        error,
        refused=f"does not list the account's tunnels to this API token, so whether {tunnel_name!r} exists is not known",
        without="it did not look",
        failed=f"did not list the account's tunnels named {tunnel_name!r}",
    )


def _tunnel_sentence(error: CloudflareError, *, refused: str, without: str, failed: str) -> str:
    if error.about_token:
        return (
            f"Cloudflare {refused}, code {error.code or 'unknown'}; expected the permission Account.Cloudflare Tunnel Edit, "
            f"which an up needs (a preview goes on without: {without})"
        )
    return f"Cloudflare {failed}: {error}"


def refusal_hook(name: str, stack: str) -> pulumi.ErrorHook:
    """Says in a sentence what Cloudflare has refused to write, and never has it tried again: the plugin has."""

    def say(about: pulumi.ErrorHookArgs) -> bool:
        pulumi.log.error(
            write_sentence(
                about.errors[0] if about.errors else "",
                operation=about.failed_operation,
                resource=about.name,
                inputs=about.new_inputs or about.old_inputs or {},
                stack=stack,
            )
        )
        return False

    return pulumi.ErrorHook(name, say)


def write_sentence(text: str, *, operation: str, resource: str, inputs: Mapping[str, Any], stack: str) -> str:
    """One sentence on a create, update or delete that failed: what, why, what to do."""
    _, code = _said(Exception(text))
    message = match.group(1) if (match := _MESSAGE.search(text)) else ""
    of_zone = "zoneId" in inputs
    named = [str(inputs[key]) for key in ("name", "type") if isinstance(inputs.get(key), str)]
    what = resource + (f" ({' '.join(named)})" if named else "")
    again = f"then run again, which goes on from here: {remedies.apply(stack)}"
    if _is_refusal(text, code):
        right = "Zone.DNS Edit for this zone" if of_zone else "Account.Cloudflare Tunnel Edit for this account"
        return (
            f"Cloudflare does not let this API token {operation} {what}, code {code or 'unknown'}; expected a token with the "
            f"permission {right}; give it that in Cloudflare's dashboard, or set another with: "
            f"{remedies.set_secret('cloudflare:apiToken', stack=stack)}, {again}"
        )
    if code in _WHY_REFUSED:
        found, what_helps = _WHY_REFUSED[code]
        remedy = what_helps.format(
            adopt=remedies.adopt(stack), refresh=remedies.refresh(stack), doctor=remedies.doctor(stack)
        )
        return f"Cloudflare did not {operation} {what}, code {code}: {found}; {remedy}, {again}"
    if not code and _is_silence(text):
        return (
            f"Cloudflare's API gave no answer when asked to {operation} {what}; expected one; check the network and "
            f"cloudflare:baseUrl, {again}"
        )
    if re.search(r"\b(408|429|5\d\d)\b", text.partition("{")[0]):
        return (
            f"Cloudflare could not {operation} {what} for the moment, after ten repetitions; expected it to; "
            f"look at https://www.cloudflarestatus.com, {again}"
        )
    said = f"{message!r}, code {code}" if message and code else code or _first_line(Exception(text))
    return f"Cloudflare did not {operation} {what} and said {said}; expected it to; mend what it names, {again}"


_WHY_REFUSED = {
    "81045": (
        "the zone has as many records as its plan allows",
        "delete records that nobody needs in Cloudflare's dashboard, or change the zone's plan",
    ),
    "1022": (
        "a cloudflared is still connected to the tunnel",
        "stop the cloudflared beside the platform (docker compose --profile cloudflare down) and wait a minute",
    ),
    "1013": ("the account has a tunnel of that name already", "take it into the state with: {adopt}"),
    "81053": (
        "an A, AAAA or CNAME record stands at that name",
        "take it over, or see what must be settled, with: {adopt}",
    ),
    "81054": ("a CNAME stands at that name", "take it over, or see what must be settled, with: {adopt}"),
    "81056": (
        "NS records delegate that name to other name servers",
        "delete them in Cloudflare's dashboard, or choose another name",
    ),
    "89018": (
        "NS records delegate that name, or one above it, to other name servers",
        "delete them in Cloudflare's dashboard, or choose another name",
    ),
    "81057": ("the zone has this very record already", "take it into the state with: {adopt}"),
    "81058": ("the zone has this very record already", "take it into the state with: {adopt}"),
    "81044": ("somebody has deleted the record", "tell the state so with: {refresh}"),
    "1002": ("somebody has deleted the tunnel", "see what is left of it with: {doctor}"),
}
"""Code -> what was found, and what to do. The plugin takes no 404 of a delete for success."""


def _is_silence(text: str) -> bool:
    return bool(
        re.search(
            r"connection refused|connect(ion)? (error|reset)|nothing listens|no such host|dial tcp|name resolution|timeout|EOF",
            text,
            re.IGNORECASE,
        )
    )


def _said(error: Exception) -> tuple[str, str]:
    """The plugin's text, and Cloudflare's error code in it, empty where there is none."""
    text = str(error)
    return text, match.group(1) if (match := _STATUS.search(text)) else ""


def _is_refusal(text: str, code: str) -> bool:
    """Whether it is a matter of the token."""
    status = _ANSWERED.search(text)
    return is_about_token(int(status[1]) if status else None, int(code) if code else None)


def _first_line(error: Exception) -> str:
    text = str(error).strip()
    return text.splitlines()[0] if text else type(error).__name__
