"""Which port each server of the emulators listens on."""

from __future__ import annotations

import errno
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeVar

from emulators.holders import holder
from emulators.sockets import LOOPBACK, listen

T = TypeVar("T")


class PortRole(StrEnum):
    """What a port is for; the value is its name in `ports.json`."""

    MAILJET = "mailjet"
    CLOUDFLARE = "cloudflare"
    EDGE = "edge"
    DNS = "dns"
    SUBMISSION = "smtp"
    SUBMISSION_TLS = "smtps"
    INBOUND = "inbound"
    GATEWAY = "gateway"
    GATEWAY_API = "gateway_api"
    GATEWAY_API_TLS = "gateway_api_tls"
    INBOX = "inbox"
    PLATFORM = "platform"
    """The agents' platform behind the tunnel, such as the demo: no server of the emulators, only an address."""
    PAGE = "page"

    @property
    def purpose(self) -> str:
        """What listens on this port, in words for a person."""
        return _PURPOSES[self]


_PURPOSES = {
    PortRole.MAILJET: "Mailjet REST",
    PortRole.CLOUDFLARE: "Cloudflare REST",
    PortRole.EDGE: "tunnel entrance",
    PortRole.DNS: "DNS",
    PortRole.SUBMISSION: "Mailjet SMTP submission",
    PortRole.SUBMISSION_TLS: "Mailjet SMTP submission over TLS",
    PortRole.INBOUND: "Mailjet inbound SMTP",
    PortRole.GATEWAY: "the mail gateway",
    PortRole.GATEWAY_API: "the mail gateway's Send API",
    PortRole.GATEWAY_API_TLS: "the mail gateway's Send API with TLS",
    PortRole.INBOX: "the inbox",
    PortRole.PLATFORM: "the platform's webhook",
    PortRole.PAGE: "the page",
}

DEFAULT_PORTS = {
    PortRole.MAILJET: 8810,
    PortRole.CLOUDFLARE: 8811,
    PortRole.EDGE: 8812,
    PortRole.DNS: 8853,
    PortRole.SUBMISSION: 8587,
    PortRole.SUBMISSION_TLS: 8465,
    PortRole.INBOUND: 8825,
    PortRole.GATEWAY: 8588,
    PortRole.GATEWAY_API: 8589,
    PortRole.GATEWAY_API_TLS: 8590,
    PortRole.INBOX: 8826,
    PortRole.PLATFORM: 8800,
    PortRole.PAGE: 8820,
}


LASTING = range(20_000, 32_768)
"""Above what services have by custom, below what systems give to outgoing connections (Linux from 32768, others from 49152)."""


def why_taken(port: int, error: OSError) -> str:
    """What keeps a port from being listened on: `held by pid 4711 (…)`."""
    if error.errno != errno.EADDRINUSE:
        return f"not to be opened on {LOOPBACK} ({error.strerror})"
    held_by = holder(port)
    return f"held by {held_by}" if held_by else "in use"


class PortError(Exception):
    """A port that cannot be listened on."""

    def __init__(self, role: PortRole, port: int, error: OSError) -> None:
        super().__init__(
            f"Port {port} for {role.purpose} is {why_taken(port, error)}; end that, or take others with: ./mail emulators up "
            "--free-ports"
        )


class Choice(StrEnum):
    """Which ports are listened on.

    Ports that were chosen once are kept, since a stack's state names them: `USUAL` and `FREE` begin with those.
    """

    USUAL = "usual"
    """The fixed ones, and a free one in the place of each that is taken."""
    FREE = "free"
    """Any that are free."""
    FIXED = "fixed"
    """The fixed ones or none; what was chosen before is forgotten."""


@dataclass
class Opening:
    """Opens one port after the other, and tells which are not the fixed ones because these were taken."""

    choice: Choice
    remembered: Mapping[str, int]
    taken: dict[str, list[str]] = field(default_factory=dict)
    """Why -> the fixed ports in whose place free ones are used."""

    def open(self, role: PortRole, listen_at: Callable[[int], T]) -> T:
        """What `listen_at` gives for the port of `role`. Raises PortError."""
        kept = None if self.choice is Choice.FIXED else self.remembered.get(role.value)
        if kept is None and self.choice is Choice.FREE:
            return _any(listen_at)
        port = DEFAULT_PORTS[role] if kept is None else kept
        try:
            return listen_at(port)
        except OSError as error:
            replaceable = self.choice is Choice.FREE or (self.choice is Choice.USUAL and kept is None)
            if not replaceable:
                raise PortError(role, port, error) from error
            self.taken.setdefault(why_taken(port, error), []).append(f"{port} ({role.purpose})")
            return _any(listen_at)

    def set_aside(self, role: PortRole) -> int:
        """A port that somebody else will listen on. Once chosen it is kept: whoever listens there may be the one meant."""
        kept = self.remembered.get(role.value)
        if self.choice is Choice.FIXED:
            return DEFAULT_PORTS[role]
        return kept if kept is not None and self.choice is Choice.USUAL else self.open(role, _try)

    @property
    def moved(self) -> list[str]:
        """A sentence for each holder of ports that were wanted."""
        return [
            f"{'Ports' if len(ports) > 1 else 'Port'} {', '.join(ports)} {'are' if len(ports) > 1 else 'is'} {why}; "
            f"listening elsewhere instead."
            for why, ports in self.taken.items()
        ]


def _any(listen_at: Callable[[int], T]) -> T:
    """At a free port that stays free while nothing listens there: what a system gives for 0 may be an outgoing connection's next."""
    for port in random.sample(LASTING, 64):
        try:
            return listen_at(port)
        except OSError:
            continue
    return listen_at(0)


def _try(port: int) -> int:
    """The port, which was free just now; 0: any. Raises OSError when it is in use."""
    with listen(port) as bound:
        return int(bound.getsockname()[1])
