"""Cloudflare's refusals as sentences: what the plugin answers is a stack of HTTP text."""

from __future__ import annotations

import re

from settings.model import Settings

_STATUS = re.compile(r'"code":\s*(\d+)')
_REFUSED_TOKEN = frozenset({"10000", "9109", "6003", "1001", "6111"})


def cloudflare_sentence(error: Exception, settings: Settings) -> str:
    """One sentence on a failed look at the zone: what was asked, what Cloudflare said, what to do."""
    text, code = _said(error)
    zone = f"the zone {settings.zone_name!r} (agentmail:zoneId {settings.zone_id})"
    if _is_refusal(text, code):
        return (
            f"Cloudflare rejected the API token while listing {zone}, code {code or 'unknown'}; expected a token with the permission "
            "Zone.DNS Edit (Read is enough for a preview) for this zone; "
            "set it with: pulumi config set --secret cloudflare:apiToken, or in the environment as CLOUDFLARE_API_TOKEN"
        )
    if code == "7003" or " 404 " in text:
        return f"Cloudflare knows no zone with the id of {zone}; expected an existing zone; correct zoneId"
    if re.search(
        r"connection refused|connect(ion)? error|nothing listens|no such host|dial tcp|name resolution",
        text,
        re.IGNORECASE,
    ):
        return (
            f"Cloudflare's API does not answer while listing {zone}; expected an API at cloudflare:baseUrl; "
            "check the network, and for the embedded default start the emulators with: python -m emulators up"
        )
    return f"Cloudflare refused to list {zone}: {_first_line(error)}"


def tunnel_token_sentence(error: Exception, tunnel_name: str) -> str:
    """One sentence on a tunnel whose token cannot be read."""
    return _tunnel_sentence(
        error,
        refused=f"does not show the token of the tunnel {tunnel_name!r} to this API token",
        without="the outputs tunnelToken and platformEnv stay unknown in it",
        failed=f"gave no token for the tunnel {tunnel_name!r}",
    )


def tunnel_listing_sentence(error: Exception, tunnel_name: str) -> str:
    """One sentence on a tunnel of which nobody can say whether it exists."""
    return _tunnel_sentence(
        error,
        refused=f"does not list the account's tunnels to this API token, so whether {tunnel_name!r} exists is not known",
        without="it did not look",
        failed=f"did not list the account's tunnels named {tunnel_name!r}",
    )


def _tunnel_sentence(error: Exception, *, refused: str, without: str, failed: str) -> str:
    text, code = _said(error)
    if _is_refusal(text, code):
        return (
            f"Cloudflare {refused}, code {code or 'unknown'}; expected the permission Account.Cloudflare Tunnel Edit, "
            f"which an up needs (a preview goes on without: {without})"
        )
    return f"Cloudflare {failed}: {_first_line(error)}"


def _said(error: Exception) -> tuple[str, str]:
    """The plugin's text, and Cloudflare's error code in it, empty where there is none."""
    text = str(error)
    return text, match.group(1) if (match := _STATUS.search(text)) else ""


def _is_refusal(text: str, code: str) -> bool:
    """Whether it is a matter of the token."""
    return code in _REFUSED_TOKEN or " 401 " in text or " 403 " in text


def _first_line(error: Exception) -> str:
    text = str(error).strip()
    return text.splitlines()[0] if text else type(error).__name__
