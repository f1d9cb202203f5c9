"""What the gateway is started with, and what each agent logs in to it with; pure, from settings and population files."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from components.agent_mailboxes import Addressed
from mailboxes.passwords import agent_passwords
from mailboxes.policies import AgentPolicy
from settings.model import SendLimits, Settings

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


def gateway_file(settings: Settings, agents: Addressed) -> str:
    """The gateway's file as JSON text, without the agents of whom there is no more to say than `mailboxes` does, whose columns
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
        "agentLimits": _limits(settings.gateway_agent_limits),
        "accountLimits": _limits(settings.gateway_account_limits),
        "agents": {sender: sender for sender in platform_senders(settings, agents)} | special,
    }
    return json.dumps(file, ensure_ascii=False, separators=(",", ":"))


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
