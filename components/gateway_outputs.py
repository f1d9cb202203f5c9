"""What the gateway is started with, and what each agent logs in to it with; pure, from settings and population files."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any

from components.agent_mailboxes import Addressed
from mailboxes.passwords import PasswordScope, agent_passwords, platform_password, scope_key
from mailboxes.policies import AgentPolicy
from settings.model import SendLimits, Settings
from settings.values import InboundAuth

_NOTHING_SPECIAL = AgentPolicy()


def passwords(settings: Settings, agents: Addressed) -> dict[str, str]:
    """{agent id: password}; empty texts in a preview that has no root secret."""
    epochs = {agent: agents.policies.get(agent, _NOTHING_SPECIAL).credential_epoch for agent in agents.addresses}
    if not settings.roots:
        return dict.fromkeys(epochs, "")
    return agent_passwords(settings.roots, settings.domain, epochs)


def platform_login(settings: Settings, agents: Addressed) -> tuple[str, str]:
    """User and password of the platform's own mail: those of the first of `mailjetSenders`; empty without any."""
    user = next(iter(platform_senders(settings, agents)), "")
    if not (user and settings.roots):
        return user, ""
    return user, agent_passwords(settings.roots, settings.domain, {user: 0})[user]


def platform_senders(settings: Settings, agents: Addressed) -> list[str]:
    """The addresses of the platform's own that may send, each its own user name; an agent's is the agent's alone."""
    taken = {name.lower() for pair in agents.addresses.items() for name in pair}
    return [sender.email for sender in settings.mailjet_senders if sender.email.lower() not in taken]


def inbox_access(settings: Settings, agents: Addressed) -> str:
    """What reads mail, as JSON text: the inbox's URL, the platform's credential, the key of the agents' own, and the epochs of
    those who have had another. Empty without an inbox."""
    if not settings.has_inbox:
        return ""
    roots = settings.roots
    kid, key = scope_key(roots, settings.domain, PasswordScope.INBOX) if roots else ("", b"")
    found = {
        "url": settings.inbox_api_url,
        "platform": platform_password(roots, settings.domain) if roots else "",
        "kid": kid,
        "key": base64.urlsafe_b64encode(key).rstrip(b"=").decode(),
        "epochs": {
            agent: policy.credential_epoch for agent, policy in agents.policies.items() if policy.credential_epoch
        },
    }
    return json.dumps(found, ensure_ascii=False, separators=(",", ":"))


def inbound_secret(settings: Settings) -> str:
    """The secret that the platform is told: empty unless something in front of it understands basic authentication.

    Today's platform looks for a token in the JSON body, where Mailjet cannot put one: a secret here would make it
    refuse every delivery.
    """
    return "" if settings.inbound_auth is InboundAuth.NONE else settings.webhook_secret


def gateway_file(settings: Settings, agents: Addressed) -> str:
    """The file of gateway and inbox as JSON text, without the agents of whom there is no more to say than `mailboxes` does, whose columns
    complete it; the state holds every address often enough (decision record 131). Empty without a gateway."""
    if not settings.has_gateway:
        return ""
    special = {agent: _entry(settings, agents, agent) for agent in agents.policies}
    file = {
        "domain": settings.domain,
        "roots": settings.roots,
        "upstream": {
            "apiKey": settings.mailjet_api_key,
            "apiSecret": settings.mailjet_api_secret,
            "smtpHost": settings.mailjet_smtp_host,
            "smtpPort": settings.mailjet_smtp_port,
            "apiUrl": settings.mailjet_api_url,
        },
        **({"webhook": _webhook(settings)} if settings.has_inbox else {}),
        "agentLimits": _limits(settings.gateway_agent_limits),
        "accountLimits": _limits(settings.gateway_account_limits),
        "agents": {sender: sender for sender in platform_senders(settings, agents)} | special,
    }
    return json.dumps(file, ensure_ascii=False, separators=(",", ":"))


def _webhook(settings: Settings) -> dict[str, str]:
    path, events_path = settings.delivery_paths
    return {
        "secret": settings.webhook_secret,
        "forwardToken": inbound_secret(settings),
        "path": path,
        "eventsPath": events_path,
    }


def _entry(settings: Settings, agents: Addressed, agent: str) -> dict[str, Any]:
    policy = agents.policies[agent]
    entry: dict[str, Any] = {"address": agents.addresses[agent], "epoch": policy.credential_epoch}
    if policy.limits:
        # What the file does not name is that of everybody.
        entry["limits"] = _limits(settings.gateway_agent_limits.model_copy(update=dict(policy.limits)))
    if policy.may_write_to is not None:
        entry["recipients"] = list(policy.may_write_to)
    return entry


def _limits(limits: SendLimits) -> Mapping[str, int]:
    return limits.model_dump(by_alias=True)
