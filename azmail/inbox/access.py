"""Who is asking: an agent with its `inbox` credential, or the platform with its `platform` one.

Whatever is wrong is told in the same words and costs about the same time.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from azmail.gateway.credentials import AgentLogin, Scope
from azmail.gateway.relay import Reply


class Gate(Protocol):
    """Logins and the way out; the gateway's `Relay` is one."""

    def login(self, user: str, secret: str, scope: Scope) -> AgentLogin | None:
        """The agent whose credential this is, None for whatever is wrong. Raises LedgerError."""

    def opens_all(self, secret: str) -> bool:
        """Whether it is the platform's credential, which reads every mailbox."""

    def recipient_offence(self, agent: AgentLogin, recipient: str) -> Reply | None:
        """Why the agent may not write to this address, or None."""

    def submit(
        self, agent: AgentLogin, octets: bytes, recipients: Sequence[str], *, known_as: tuple[str, str] | None = None
    ) -> Reply:
        """Judge one message and hand it on; never raises for what is wrong with it."""


@dataclass(frozen=True, slots=True)
class Viewer:
    """Who is asking; `agent` is None for the platform."""

    agent: AgentLogin | None

    @property
    def agent_id(self) -> str | None:
        return None if self.agent is None else self.agent.id


def admitted(gate: Gate, header: str, scope: Scope) -> Viewer | None:
    """None for whatever is wrong. Raises LedgerError."""
    scheme, _, value = header.partition(" ")
    if scheme.lower() == "bearer":
        # The platform does not send: every mail is some agent's.
        return Viewer(None) if gate.opens_all(value.strip()) and scope is Scope.INBOX else None
    if scheme.lower() != "basic":
        return None
    try:
        user, _, password = base64.b64decode(value.strip(), validate=True).decode().partition(":")
    except (binascii.Error, ValueError):
        return None
    agent = gate.login(user, password, scope)
    return None if agent is None else Viewer(agent)
