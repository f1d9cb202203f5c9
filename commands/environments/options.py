"""What `./mail env new` was given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from commands.stack_commands import ROOT


@dataclass(frozen=True, kw_only=True)
class NewOptions:
    """What `new` was given."""

    name: str
    cwd: Path = ROOT
    from_env: Path | None = None
    values: Mapping[str, str] = field(default_factory=dict)
    """{key of the configuration: value} of the options that have one."""
    cloudflare_api_url: str = ""
    population: Sequence[str] = ()
    set: Sequence[str] = ()
    """KEY=VALUE, the value as YAML."""
    unprotected: bool = False
    without_inbox: bool = False
    keeps_secrets: bool = True
    """Whether credentials are stored, encrypted, in Pulumi.NAME.yaml."""
    secrets_provider: str = ""
    no_check: bool = False
    yes: bool = False
