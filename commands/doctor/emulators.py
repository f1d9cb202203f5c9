"""Where the embedded default's services are, so that its stacks can be examined without the internet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clients.dns import Resolver
from emulators import lifecycle
from emulators.state_folder import StateFolder
from mailboxes import remedies


class EmulatorsDownError(Exception):
    """A stack on loopback, and nothing there."""

    def __init__(self, folder: Path) -> None:
        super().__init__(
            f"The stack's Cloudflare is on loopback, but no emulators run from {folder}: start them with: "
            f"{remedies.emulators('up')}, or name their folder with --emulators DIR"
        )


@dataclass(frozen=True, kw_only=True)
class Emulators:
    """What stands in for the internet."""

    resolver: Resolver
    edge: str
    ca_file: str
    gateway_ca_file: str
    """Empty where the gateway has not been given a file yet."""

    @classmethod
    def parse(cls, status: Mapping[str, Any]) -> Emulators:
        dns, edge = status["cloudflare"]["dns"], status["cloudflare"]["edge"]
        return cls(
            resolver=Resolver(str(dns["host"]), int(dns["port"])),
            edge=f"{edge['host']}:{edge['port']}",
            ca_file=str(status["mailjet"]["smtp"].get("ca_file") or ""),
            gateway_ca_file=_gateway_ca_file(status.get("gateway") or {}),
        )


def _gateway_ca_file(place: Mapping[str, Any]) -> str:
    return str(place["ca_file"]) if place and Path(place["file"]).exists() else ""


def find_emulators(folder: Path) -> Emulators:
    """The emulators whose state is in `folder`. Raises EmulatorsDownError."""
    status = lifecycle.status(StateFolder(folder))
    if not status["running"]:
        raise EmulatorsDownError(folder)
    return Emulators.parse(status)
