"""The way to the platform: the tunnel by Cloudflare's API, and the webhook as somebody on the internet meets it."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import requests

from clients.cloudflare.lookups import Cloudflare
from commands.doctor.finding import Check, Finding
from commands.doctor.stack import ExaminedStack
from mailboxes import remedies
from settings.values import PROJECT, InboundAuth, TunnelKind

TUNNEL = Check("tunnel")
WEBHOOK = Check("webhook")
TIMEOUT_SECONDS = (5.0, 20.0)
TUNNEL_URN = (
    "urn:pulumi:{stack}::{project}::azt3knet:mail:ApiTunnel"
    "$cloudflare:index/zeroTrustTunnelCloudflared:ZeroTrustTunnelCloudflared::api-tunnel"
)
"""Of the tunnel that a stack makes; a test reads the state for it."""
_EDGE_ERRORS = frozenset({502, 503, 504, 520, 521, 522, 523, 524, 525, 526, 530})
"""What Cloudflare answers for a tunnel or a service that is not there (530 comes with error 1033)."""


def tunnel_findings(examined: ExaminedStack, api: Cloudflare, *, emulated: bool = False) -> Iterator[Finding]:
    """Nothing for a tunnel that this stack did not make: its account is not known here.

    `emulated`: the edge of the embedded default forwards by itself, without any cloudflared.
    """
    settings = examined.settings
    if settings.tunnel_kind is not TunnelKind.CREATED or not examined.tunnel_id:
        return
    label = settings.tunnel_hostname
    tunnel = api.tunnel(settings.account_id, examined.tunnel_id)
    if tunnel is None:
        urn = TUNNEL_URN.format(stack=settings.stack, project=PROJECT)
        forget = remedies.forget_resource(urn, examined.stack)
        yield TUNNEL.error(
            label,
            f"The tunnel {examined.tunnel_id} is gone from the account, but the state cannot see that, since Cloudflare goes on "
            f"showing it: forget it with: {forget} && {remedies.adopt(examined.stack, '--yes')} && "
            f"{remedies.apply(examined.stack)}, which makes another, then give cloudflared the new token.",
        )
        return
    yield TUNNEL.ok(label, "It exists; the emulated edge needs no cloudflared.") if emulated else _health(label, tunnel)
    rules = api.ingress(settings.account_id, examined.tunnel_id)
    leads_to = next(
        (
            rule.get("service")
            for rule in rules
            if rule.get("hostname") == settings.tunnel_hostname and not rule.get("path")
        ),
        None,
    )
    if leads_to == settings.tunnel_service:
        yield TUNNEL.ok(f"{label} ingress", f"It leads to {settings.tunnel_service}.")
    else:
        yield TUNNEL.error(
            f"{label} ingress",
            f"It leads to {leads_to or 'nothing'}, expected {settings.tunnel_service}: put it back with: "
            + examined.again,
        )
    if settings.inbox_service:
        yield _to_the_inbox(examined, rules)


def _to_the_inbox(examined: ExaminedStack, rules: Sequence[Mapping[str, Any]]) -> Finding:
    """Whether mail and events are kept before anything else gets them; the first rule that fits is the one."""
    settings = examined.settings
    label = f"{settings.tunnel_hostname} deliveries"
    for path in settings.delivery_paths:
        service = next(
            (
                rule.get("service")
                for rule in rules
                if rule.get("hostname") == settings.tunnel_hostname and re.search(str(rule.get("path") or ""), path)
            ),
            None,
        )
        if service != settings.inbox_service:
            return TUNNEL.error(
                label,
                f"{path} leads to {service or 'nothing'}, expected the inbox at {settings.inbox_service}: put it back with: "
                + examined.again,
            )
    return TUNNEL.ok(label, f"They lead to the inbox at {settings.inbox_service}.")


def _health(label: str, tunnel: Mapping[str, Any]) -> Finding:
    status, connections = str(tunnel.get("status") or "unknown"), len(tunnel.get("connections") or [])
    if status == "healthy":
        return TUNNEL.ok(label, f"Healthy, {connections} connection{'' if connections == 1 else 's'}.")
    if status == "degraded":
        return TUNNEL.warning(label, f"Degraded, {connections} connections: look into the log of cloudflared.")
    return TUNNEL.error(
        label,
        f"The tunnel is {status}, expected healthy: no cloudflared is connected; start it beside the platform with "
        "the output tunnelToken (docker compose --profile cloudflare up).",
    )


@dataclass(frozen=True, kw_only=True)
class WebhookProbe:
    """How the webhook is reached: by its public URL, or through an emulated edge on loopback."""

    url: str
    edge: str = ""
    """`HOST:PORT` that stands for Cloudflare's proxy, without TLS."""

    def request(self, method: str, **options: Any) -> requests.Response:
        """Raises requests.RequestException."""
        if not self.edge:
            return requests.request(method, self.url, timeout=TIMEOUT_SECONDS, allow_redirects=False, **options)
        parts = urlsplit(self.url)
        headers = {"Host": parts.netloc.rpartition("@")[2], **options.pop("headers", {})}
        with requests.Session() as session:
            session.trust_env = False
            return session.request(
                method,
                f"http://{self.edge}{parts.path}",
                headers=headers,
                timeout=TIMEOUT_SECONDS,
                allow_redirects=False,
                **options,
            )


def webhook_findings(examined: ExaminedStack, probe: WebhookProbe, *, without_file: bool = False) -> Iterator[Finding]:
    """Reachable, and where a password counts: a wrong one is refused, the right one is not.

    `without_file`: the inbox is that of an embedded default that has no file yet; its port says nothing, so it is not asked.
    """
    settings = examined.settings
    label = settings.public_webhook_url
    away = WEBHOOK.warning(label, f"The inbox of the embedded default does not run: start it with: {remedies.up()}")
    if without_file and settings.inbox_service and not examined.inbox_elsewhere:
        yield away
        return
    try:
        # No webhook takes a GET, so this delivers nothing: 405 is the answer of one that is there.
        met = probe.request("GET").status_code
    except requests.RequestException as error:
        if probe.edge and settings.inbox_service:
            yield away
            return
        yield WEBHOOK.error(
            label, f"Nobody answers ({_reason(error)}): check that the host resolves and that the platform runs."
        )
        return
    if met in _EDGE_ERRORS and probe.edge:
        yield WEBHOOK.warning(
            label,
            f"Nothing listens at {_behind_the_tunnel(examined)}, so the emulated edge answers {met}: start "
            f"{f'it with: {remedies.up()}' if settings.has_inbox else 'a platform there'}, or try the loop with: "
            f"{remedies.demo()}",
        )
        return
    if met in _EDGE_ERRORS:
        yield WEBHOOK.error(
            label,
            f"Cloudflare answers {met}: the tunnel or the platform behind it does not run; start cloudflared and the "
            "platform.",
        )
        return
    if met == 409:
        yield WEBHOOK.error(
            label,
            "Cloudflare's edge answers 409 (error 1001): it knows the host but no record that leads on; make it again "
            f"with: {examined.again}",
        )
        return
    if met == 404:
        yield WEBHOOK.error(
            label, "It answers 404: nothing takes mail at this path; correct agentmail:webhookPath (or webhookUrl)."
        )
        return
    if met >= 500:
        yield WEBHOOK.error(label, f"It answers {met}: look into the platform's log.")
        return
    yield WEBHOOK.ok(label, f"It is there (GET answers {met}).")
    yield from _password(examined, probe)


def _behind_the_tunnel(examined: ExaminedStack) -> str:
    """What takes deliveries."""
    settings = examined.settings
    if settings.inbox_service:
        return f"inboxService {settings.inbox_service}"
    return f"tunnelService {settings.tunnel_service}"


def _password(examined: ExaminedStack, probe: WebhookProbe) -> Iterator[Finding]:
    settings = examined.settings
    label = "webhook password"
    if settings.inbound_auth is InboundAuth.NONE:
        yield WEBHOOK.warning(
            label,
            "inboundAuth is none, so whoever finds the URL can post mail for any agent: put the agentmail webhook "
            "in front and set inboundAuth to basic or forwarder, or let a Cloudflare rule admit nobody but Mailjet.",
        )
        return
    try:
        # An empty object is no delivery: even an open webhook has nothing to take from it.
        wrong = probe.request("POST", json={}, auth=(settings.tag, secrets.token_hex(16))).status_code
        right = (
            probe.request("POST", json={}, auth=(settings.tag, settings.webhook_secret)).status_code
            if settings.webhook_secret
            else None
        )
    except requests.RequestException as error:
        yield WEBHOOK.error(
            label, f"The webhook gave no answer to a POST ({_reason(error)}): look into the platform's log."
        )
        return
    if wrong not in {401, 403}:
        yield WEBHOOK.error(
            label,
            f"A delivery with a wrong password is answered {wrong}, expected 401: run the agentmail webhook "
            f"(inboundAuth is {settings.inbound_auth}), which checks it.",
        )
    elif right in {401, 403}:
        yield WEBHOOK.error(
            label,
            f"The webhook refuses the stack's own webhookSecret ({right}), so no mail arrives: give "
            + (
                f"the inbox its present file with: {remedies.mail('gateway', 'file', '--stack', examined.stack)}, in the "
                f"embedded default with: {remedies.up()}"
                if settings.inbox_service
                else "it the MAILJET_INBOUND_SECRET of the outputs."
            ),
        )
    else:
        yield WEBHOOK.ok(label, "A wrong one is refused" + (", the right one is not." if right is not None else "."))


def _reason(error: requests.RequestException) -> str:
    if isinstance(error, requests.Timeout):
        return "the time was up"
    if isinstance(error, requests.exceptions.SSLError):
        return "its TLS certificate is not accepted"
    return "no connection"
