"""Whether a stack lives on this machine's loopback alone, by its file."""

from __future__ import annotations

from pathlib import Path

import yaml

from commands.doctor.emulators import is_loopback

SERVICES = ("cloudflare:baseUrl", "agentmail:mailjetApiUrl")
"""The keys that say where a stack's services are; one that is missing means the real service."""


def off_loopback(project: Path, stack: str) -> str:
    """What keeps the stack from being embedded, in words; empty if nothing does."""
    file = project / f"Pulumi.{stack.rsplit('/', 1)[-1]}.yaml"
    if not file.is_file():
        return f"there is no {file.name}"
    document = yaml.safe_load(file.read_text(encoding="utf-8"))
    config = (document.get("config") if isinstance(document, dict) else None) or {}
    for key in SERVICES:
        value = config.get(key)
        if not isinstance(value, str) or not is_loopback(value):
            return f"{file.name} {f'has {key}: {value}' if value else f'leaves {key} at the real service'}"
    return ""
