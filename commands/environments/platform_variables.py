"""The platform's `.env` as configuration of a stack: every variable of its `.env.example`, by name.

What has no counterpart is ignored with the reason, never silently.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Mapping
from urllib.parse import unquote, urlsplit

from commands.environments.draft import Draft, Note
from settings.credentials import API_TOKEN, MAILJET_KEY, MAILJET_SECRET
from zone.names import canonical, is_within, tunnel_host
from zone.records import SUBMISSION_RELAYS

CLOUDFLARE_API = "https://api.cloudflare.com/client/v4"
PREFIXES = ("MAILJET_", "CLOUDFLARE_", "AZT3KNET_")
"""How the variables begin that are spoken of; others are the platform's own affair."""
_USABLE_SECRET = re.compile(r"[A-Za-z0-9_-]{16,128}")

_PLAIN = {
    "CLOUDFLARE_ZONE_ID": "zoneId",
    "CLOUDFLARE_ZONE_NAME": "zoneName",
    "CLOUDFLARE_ACCOUNT_ID": "accountId",
    "CLOUDFLARE_TUNNEL_SERVICE": "tunnelService",
    "MAILJET_API": "mailjetApiUrl",
    "MAILJET_SMTP_HOST": "mailjetSmtpHost",
    "MAILJET_SMTP_PORT": "mailjetSmtpPort",
    "AZT3KNET_DOMAIN": "domain",
    "AZT3KNET_AGENT_MAIL_PREFIX": "agentMailPrefix",
    "AZT3KNET_MAIL_TTL": "ttl",
    "AZT3KNET_DEFAULT_SEED": "platformDefaultSeed",
}
_SECRET = {one.variable: one.name for one in (API_TOKEN, MAILJET_KEY, MAILJET_SECRET)}
_HANDLED = {
    "CLOUDFLARE_API",
    "CLOUDFLARE_API_KEY",
    "CLOUDFLARE_EMAIL",
    "CLOUDFLARE_TUNNEL_TOKEN",
    "CLOUDFLARE_TUNNEL_HOSTNAME",
    "CLOUDFLARE_TUNNEL_CNAME",
    "CLOUDFLARE_TUNNEL_SUBDOMAIN",
    "CLOUDFLARE_TUNNEL_CNAME_TTL",
    "MAILJET_MX_HOSTS",
    "MAILJET_SPF_INCLUDE",
    "MAILJET_INBOUND_URL",
    "MAILJET_INBOUND_SECRET",
    "MAILJET_SMTP_USER",
    "MAILJET_SMTP_PASS",
}
_LOGIN = ("MAILJET_API", "MAILJET_API_KEY", "MAILJET_API_SECRET", "MAILJET_SMTP_HOST", "MAILJET_SMTP_PORT")
_OF_THE_GATEWAY = "azm1."
"""How a password of the gateway begins."""
KNOWN = frozenset({*_PLAIN, *_SECRET, *_HANDLED})


def import_variables(values: Mapping[str, str], draft: Draft) -> None:
    """Take every variable into the draft, or say why not."""
    values = dict(values)
    if any(values.get(name, "").startswith(_OF_THE_GATEWAY) for name in ("MAILJET_API_SECRET", "MAILJET_SMTP_PASS")):
        for variable in (*_LOGIN, "MAILJET_SMTP_USER", "MAILJET_SMTP_PASS"):
            if values.pop(variable, None) is not None:
                draft.ignore(variable, "it leads to the gateway of an environment; the account's own key is asked for")
    for variable, key in _PLAIN.items():
        value = values.get(variable, "")
        value = canonical(value) if key in {"domain", "zoneName"} else value
        if value:
            draft.take(variable, key, value)
    for variable, key in _SECRET.items():
        if variable in values:
            draft.hide(variable, key, values[variable])
    _names(draft)
    _cloudflare_api(values, draft)
    _smtp(values, draft)
    _mx_and_spf(values, draft)
    _tunnel(values, draft)
    _webhook(values, draft)
    told = {note.variable for note in draft.notes}
    for variable in sorted(values):
        if variable.startswith(PREFIXES) and variable not in KNOWN:
            draft.ignore(variable, "this program has no such setting")
        elif variable in KNOWN and values[variable] and variable not in told:
            draft.ignore(variable, "its value names nothing")


def _names(draft: Draft) -> None:
    """The platform lets each of the two stand in for the other."""
    domain, zone = draft.plain.get("domain"), draft.plain.get("zoneName")
    if domain and not zone:
        draft.take("AZT3KNET_DOMAIN", "zoneName", domain)
    if zone and not domain:
        draft.take("CLOUDFLARE_ZONE_NAME", "domain", zone)


def _cloudflare_api(values: Mapping[str, str], draft: Draft) -> None:
    url = values.get("CLOUDFLARE_API", "").rstrip("/")
    if url == CLOUDFLARE_API:
        draft.ignore("CLOUDFLARE_API", "it is Cloudflare's own address, the default")
    elif url:
        draft.cloudflare_url = url
        draft.notes.append(Note("CLOUDFLARE_API", f"cloudflare:baseUrl = {url}"))
    for variable in ("CLOUDFLARE_API_KEY", "CLOUDFLARE_EMAIL"):
        if variable in values:
            draft.ignore(
                variable, "a global API key opens the whole account; this program takes scoped API tokens only"
            )


def _smtp(values: Mapping[str, str], draft: Draft) -> None:
    for variable, key in (("MAILJET_SMTP_USER", "MAILJET_API_KEY"), ("MAILJET_SMTP_PASS", "MAILJET_API_SECRET")):
        if variable not in values:
            continue
        if values[variable] == values.get(key):
            draft.ignore(variable, f"it is {key}, which is Mailjet's SMTP login")
        else:
            draft.ignore(variable, f"it differs from {key}, but Mailjet's SMTP login is the API key and its secret")


def _mx_and_spf(values: Mapping[str, str], draft: Draft) -> None:
    hosts = [canonical(host.strip()) for host in values.get("MAILJET_MX_HOSTS", "").split(",") if host.strip()]
    kept = [host for host in hosts if host not in SUBMISSION_RELAYS]
    if kept:
        draft.take("MAILJET_MX_HOSTS", "mailjetMxHosts", kept)
    relays = [host for host in hosts if host in SUBMISSION_RELAYS]
    if relays:
        draft.ignore(
            "MAILJET_MX_HOSTS",
            f"{' and '.join(relays)} take mail from senders; inbound mail for the Parse API goes to "
            f"{' and '.join(kept) or 'parse.mailjet.com'}",
        )
    include = values.get("MAILJET_SPF_INCLUDE", "")
    if include:
        draft.take("MAILJET_SPF_INCLUDE", "mailjetSpfInclude", include if ":" in include else f"include:{include}")


def _tunnel(values: Mapping[str, str], draft: Draft) -> None:
    zone = str(draft.plain.get("zoneName", ""))
    host = canonical(values.get("CLOUDFLARE_TUNNEL_HOSTNAME", ""))
    subdomain = canonical(values.get("CLOUDFLARE_TUNNEL_SUBDOMAIN", ""))
    if host:
        draft.take("CLOUDFLARE_TUNNEL_HOSTNAME", "tunnelHostname", host)
    if subdomain:
        named = subdomain if zone and is_within(subdomain, zone) else f"{subdomain}.{zone}".rstrip(".")
        if host:
            same = named == host
            draft.ignore(
                "CLOUDFLARE_TUNNEL_SUBDOMAIN",
                "it names the same host as CLOUDFLARE_TUNNEL_HOSTNAME"
                if same
                else f"CLOUDFLARE_TUNNEL_HOSTNAME says {host}, not {named}",
            )
        elif values.get("CLOUDFLARE_TUNNEL_TOKEN") or values.get("CLOUDFLARE_TUNNEL_CNAME"):
            draft.take("CLOUDFLARE_TUNNEL_SUBDOMAIN", "tunnelHostname", named)
        else:
            draft.ignore("CLOUDFLARE_TUNNEL_SUBDOMAIN", "no tunnel is named")
    if "CLOUDFLARE_TUNNEL_CNAME_TTL" in values:
        draft.ignore(
            "CLOUDFLARE_TUNNEL_CNAME_TTL", "the record is proxied, and Cloudflare sets the TTL of such records itself"
        )
    _existing_tunnel(values, draft)


def _existing_tunnel(values: Mapping[str, str], draft: Draft) -> None:
    """With an account id the stack makes its own tunnel; otherwise the one that runs today goes on."""
    cname = canonical(values.get("CLOUDFLARE_TUNNEL_CNAME", ""))
    token = values.get("CLOUDFLARE_TUNNEL_TOKEN", "")
    if draft.plain.get("accountId"):
        for variable, value in (("CLOUDFLARE_TUNNEL_CNAME", cname), ("CLOUDFLARE_TUNNEL_TOKEN", token)):
            if value:
                draft.ignore(
                    variable, "with CLOUDFLARE_ACCOUNT_ID the stack makes a tunnel of its own, with a token of its own"
                )
        return
    if cname:
        draft.take("CLOUDFLARE_TUNNEL_CNAME", "tunnelCname", cname)
    if token:
        tunnel = _tunnel_of(token)
        if tunnel and not cname:
            draft.take("CLOUDFLARE_TUNNEL_TOKEN", "tunnelCname", tunnel_host(tunnel))
        draft.ignore(
            "CLOUDFLARE_TUNNEL_TOKEN",
            "the token of an existing tunnel stays with the cloudflared that has it; this program only needs the "
            "tunnel's name",
        )


def _tunnel_of(token: str) -> str:
    """The tunnel id in a connector token (base64 of JSON with the keys a, t and s); empty for anything else."""
    try:
        content = json.loads(base64.b64decode(token + "=" * (-len(token) % 4), validate=True))
    except (binascii.Error, ValueError):
        return ""
    tunnel = str(content.get("t", "")) if isinstance(content, dict) else ""
    return tunnel if re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", tunnel) else ""


def _webhook(values: Mapping[str, str], draft: Draft) -> None:
    in_url = _webhook_address(values.get("MAILJET_INBOUND_URL", ""), draft)
    secret = values.get("MAILJET_INBOUND_SECRET", "") or in_url
    if not secret:
        return
    variable = "MAILJET_INBOUND_SECRET" if values.get("MAILJET_INBOUND_SECRET") else "MAILJET_INBOUND_URL"
    if _USABLE_SECRET.fullmatch(secret):
        draft.secrets["webhookSecret"] = secret
        told = (
            "the platform is told it only with inboundAuth basic or forwarder, today's refuses every delivery otherwise"
        )
        draft.notes.append(Note(variable, f"agentmail:webhookSecret, secret; {told}"))
    else:
        draft.ignore(
            variable,
            "Mailjet can send only 16 to 128 of A-Z a-z 0-9 _ - as a route's password, so a new webhookSecret is "
            "made instead",
        )


def _webhook_address(url: str, draft: Draft) -> str:
    """Take it without the password in it, and give that; empty where there is none."""
    if not url:
        return ""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        draft.ignore("MAILJET_INBOUND_URL", "it is no URL")
        return ""
    host = canonical(parts.hostname or "")
    at_the_tunnel = parts.scheme == "https" and host and host == draft.plain.get("tunnelHostname")
    if at_the_tunnel and not parts.query and port is None:
        draft.take("MAILJET_INBOUND_URL", "webhookPath", parts.path or "/")
    else:
        bare = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
        draft.take("MAILJET_INBOUND_URL", "webhookUrl", bare)
    return unquote(parts.password or "")
