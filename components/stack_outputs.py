"""The stack's outputs, the contract with the agent platform (`azmail/outputs.schema.json`)."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, TypeVar

import pulumi

from components.agent_mailboxes import Addressed, AgentMailboxes
from components.api_tunnel import ApiTunnel
from components.gateway_outputs import gateway_file, inbound_secret, inbox_access, passwords, platform_login
from components.mail_domain import MailDomain
from components.shared_domain import SharedDomain
from mailboxes.packed_map import packed_columns
from settings.model import Settings

CONTRACT_VERSION = "2.0"

T = TypeVar("T")


def mailboxes(settings: Settings, agents: Addressed) -> str:
    """The agents' mailboxes as JSON text: `{"shared": {…}, "packed": columns}`; `azmail` gives the platform eight keys each.

    The columns are ids, addresses and, with a gateway, passwords; an agent's user name is its id. Without one all log in as the
    account, and `shared` says how. What this form costs, and others: decision records 004 and 131.
    """
    shared: dict[str, Any] = {
        "smtp_host": settings.smtp_host,
        "smtp_port": settings.smtp_port,
        "inbound_url": settings.public_webhook_url,
        "inbound_secret": inbound_secret(settings),
    }
    columns = [list(agents.addresses), list(agents.addresses.values())]
    if settings.has_gateway:
        columns.append(list(passwords(settings, agents).values()))
    else:
        shared |= {"smtp_username": settings.mailjet_api_key, "smtp_password": settings.mailjet_api_secret}
    return json.dumps({"shared": shared, "packed": packed_columns(*columns)}, separators=(",", ":"))


def platform_environment(
    settings: Settings, agents: Addressed, *, tunnel_token: str, tunnel_target: str
) -> dict[str, str]:
    """Every variable that the platform reads, as text (its compose file interpolates: no value has `$` or quotes).

    With a gateway the account's key is in none: the platform logs in as the first of `mailjetSenders`, for its own mail,
    or not at all. The Cloudflare token is that of `platformCloudflareToken`, never the one this program writes DNS with.
    """
    subdomain = settings.tunnel_hostname.removesuffix(f".{settings.zone_name}") if settings.zone_name else ""
    user, password = (
        platform_login(settings, agents)
        if settings.has_gateway
        else (settings.mailjet_api_key, settings.mailjet_api_secret)
    )
    return {
        "MAILJET_API": settings.send_api_url,
        "MAILJET_API_KEY": user,
        "MAILJET_API_SECRET": password,
        "MAILJET_SMTP_HOST": settings.smtp_host,
        "MAILJET_SMTP_PORT": str(settings.smtp_port),
        "MAILJET_SMTP_USER": user,
        "MAILJET_SMTP_PASS": password,
        "MAILJET_INBOUND_URL": settings.public_webhook_url,
        "MAILJET_INBOUND_SECRET": inbound_secret(settings),
        "MAILJET_MX_HOSTS": ",".join(settings.mailjet_mx_hosts),
        "MAILJET_SPF_INCLUDE": settings.mailjet_spf_include,
        "AZT3KNET_DOMAIN": settings.domain,
        "AZT3KNET_AGENT_MAIL_PREFIX": settings.agent_mail_prefix,
        "AZT3KNET_MAIL_TTL": str(settings.ttl),
        "AZT3KNET_DEFAULT_SEED": settings.platform_default_seed,
        "CLOUDFLARE_API": "https://api.cloudflare.com/client/v4",
        "CLOUDFLARE_API_TOKEN": settings.platform_cloudflare_token,
        "CLOUDFLARE_ZONE_ID": settings.zone_id,
        "CLOUDFLARE_ZONE_NAME": settings.zone_name,
        "CLOUDFLARE_TUNNEL_TOKEN": tunnel_token,
        "CLOUDFLARE_TUNNEL_HOSTNAME": settings.tunnel_hostname,
        "CLOUDFLARE_TUNNEL_SERVICE": settings.tunnel_service,
        "CLOUDFLARE_TUNNEL_CNAME": tunnel_target,
        "CLOUDFLARE_TUNNEL_SUBDOMAIN": subdomain,
        "CLOUDFLARE_TUNNEL_CNAME_TTL": str(settings.ttl),
    }


def stack_outputs(
    settings: Settings,
    agents: Addressed,
    domain: MailDomain,
    tunnel: ApiTunnel,
    boxes: AgentMailboxes,
) -> dict[str, pulumi.Input[Any]]:
    """Name -> value of every stack output; what holds a credential is secret, and no plain output grows with the agents."""
    environment = pulumi.Output.all(token=tunnel.token, target=tunnel.target, accepted=boxes.accepted).apply(
        lambda known: platform_environment(settings, agents, tunnel_token=known["token"], tunnel_target=known["target"])
    )
    return {
        "contractVersion": CONTRACT_VERSION,
        "domain": domain.domain,
        "mailboxCount": boxes.count,
        "mailboxes": _once_accepted(boxes, lambda: mailboxes(settings, agents)),
        "gatewayEnv": _once_accepted(boxes, lambda: gateway_file(settings, agents)),
        "inboxEnv": _once_accepted(boxes, lambda: inbox_access(settings, agents)),
        "platformEnv": pulumi.Output.secret(environment),
        "expectedRecords": pulumi.Output.all(domain.expected_records, tunnel.expected_records).apply(
            lambda parts: [record.public() for records in parts for record in records]
        ),
        "dkimStatus": domain.dkim_status,
        "spfStatus": domain.spf_status,
        "tunnelHostname": tunnel.hostname,
        "tunnelToken": tunnel.token,
        "webhookUrl": settings.public_webhook_url,
        "ownerTag": settings.tag,
    }


def shared_domain_outputs(
    settings: Settings, agents: Addressed, shared: SharedDomain, boxes: AgentMailboxes
) -> dict[str, pulumi.Input[Any]]:
    """The same outputs for a stack on another stack's domain: the platform reads both kinds alike.

    Records and tunnel are that stack's to tell, its token above all.
    """
    return {
        "contractVersion": CONTRACT_VERSION,
        "domain": shared.domain,
        "mailboxCount": boxes.count,
        "mailboxes": _once_accepted(boxes, lambda: mailboxes(settings, agents)),
        "gatewayEnv": _once_accepted(boxes, lambda: gateway_file(settings, agents)),
        "inboxEnv": _once_accepted(boxes, lambda: inbox_access(settings, agents)),
        "platformEnv": _once_accepted(
            boxes, lambda: platform_environment(settings, agents, tunnel_token="", tunnel_target="")
        ),
        "expectedRecords": [],
        "dkimStatus": shared.dkim_status,
        "spfStatus": shared.spf_status,
        "tunnelHostname": shared.tunnel_hostname,
        "tunnelToken": pulumi.Output.secret(""),
        "webhookUrl": settings.public_webhook_url,
        "ownerTag": settings.tag,
    }


def _once_accepted(agents: AgentMailboxes, shown: Callable[[], T]) -> pulumi.Output[T]:
    """A secret output with Mailjet's key in it: none before Mailjet has accepted that."""
    return pulumi.Output.secret(agents.accepted.apply(lambda _: shown()))
