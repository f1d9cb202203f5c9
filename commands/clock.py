"""Whose clock an import compares its own with: that of the Mailjet API of the stacks that have the population file."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml

from clients.clock_reference import served_moment
from clients.mailjet.client import DEFAULT_API_URL


def clock_of(file: Path, project: Path) -> datetime | None:
    """The moment that the first of them names that answers; None for a file of no stack. Nothing secret is sent."""
    answers = (served_moment(url) for url in dict.fromkeys(_api_urls(file, project)))
    return next((moment for moment in answers if moment is not None), None)


def _api_urls(file: Path, project: Path) -> Iterator[str]:
    for stack in sorted(project.glob("Pulumi.*.yaml")):
        try:
            document: Any = yaml.safe_load(stack.read_text(encoding="utf-8"))
        except (OSError, ValueError, yaml.YAMLError):
            # Whoever uses that stack is told what is wrong with its file; here it only names no clock.
            continue
        config = (document.get("config") if isinstance(document, dict) else None) or {}
        entries = config.get("agentmail:populations") or []
        names = [str(entry.get("file", "")) for entry in entries if isinstance(entry, dict)]
        if any((project / name).resolve() == file.resolve() for name in names):
            yield str(config.get("agentmail:mailjetApiUrl") or DEFAULT_API_URL)
