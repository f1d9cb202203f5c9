"""Versions, for a report of a fault."""

from __future__ import annotations

import platform
import sys
from importlib.metadata import version

from commands.stack_commands import ROOT


def version_text() -> str:
    """This program's version and those of its parts; asks no network and builds nothing."""
    import tomllib

    own = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    parts = ", ".join(f"{name} {version(name)}" for name in ("pulumi", "pulumi-cloudflare"))
    return f"mail {own} ({parts}, Python {sys.version.split()[0]}, {platform.system()} {platform.machine()})"
