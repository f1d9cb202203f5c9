"""Which port each server of the emulators listens on."""

from __future__ import annotations

import errno
import socket
from enum import StrEnum

from emulators.sockets import LOOPBACK, listen


class Role(StrEnum):
    """What a port is for; the value is its name in `ports.json`."""

    MAILJET = "mailjet"
    CLOUDFLARE = "cloudflare"
    EDGE = "edge"
    DNS = "dns"
    SUBMISSION = "smtp"
    SUBMISSION_TLS = "smtps"
    INBOUND = "inbound"

    @property
    def purpose(self) -> str:
        """In words."""
        return _PURPOSES[self]


_PURPOSES = {
    Role.MAILJET: "Mailjet REST",
    Role.CLOUDFLARE: "Cloudflare REST",
    Role.EDGE: "tunnel entrance",
    Role.DNS: "DNS",
    Role.SUBMISSION: "Mailjet SMTP submission",
    Role.SUBMISSION_TLS: "Mailjet SMTP submission over TLS",
    Role.INBOUND: "Mailjet inbound SMTP",
}

DEFAULT_PORTS = {
    Role.MAILJET: 8810,
    Role.CLOUDFLARE: 8811,
    Role.EDGE: 8812,
    Role.DNS: 8853,
    Role.SUBMISSION: 8587,
    Role.SUBMISSION_TLS: 8465,
    Role.INBOUND: 8825,
}


class PortError(Exception):
    """A port that cannot be listened on."""

    def __init__(self, role: Role, port: int, error: OSError, *, remembered: bool) -> None:
        reason = "is in use" if error.errno == errno.EADDRINUSE else f"cannot be opened ({error.strerror})"
        remedy = (
            "stop what listens there, or delete ports.json in the state folder to have others chosen"
            if remembered
            else "stop what listens there, or run `python -m emulators up --free-ports`"
        )
        super().__init__(f"Port {port} for {role.purpose} {reason} on {LOOPBACK}; {remedy}.")


def open_port(role: Role, port: int, *, remembered: bool) -> socket.socket:
    """A listening socket for `role`; `port` 0 stands for any free one."""
    try:
        return listen(port)
    except OSError as error:
        raise PortError(role, port, error, remembered=remembered) from error
