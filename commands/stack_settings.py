"""A stack's settings as its configuration has them, for every command that looks at a stack."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from commands.stack_commands import Pulumi
from settings import credentials
from settings.loading import from_config, own_values, stored_in_plain_text
from settings.model import Settings


def read_settings(pulumi: Pulumi, *, for_up: bool = False) -> tuple[Settings, str]:
    """The settings, and where Cloudflare's API is.

    `for_up` asks for all credentials that an up needs. None is taken in plain text, as the program takes none. Raises
    SettingsError and PulumiFailedError.
    """
    return settings_from(pulumi, pulumi.entries(), for_up=for_up)


def settings_from(
    pulumi: Pulumi, entries: Mapping[str, Mapping[str, Any]], *, for_up: bool = False
) -> tuple[Settings, str]:
    """The same from what `Pulumi.entries` has read already."""
    values = plain_values(entries)
    hidden = {key for key, entry in entries.items() if entry.get("secret")}
    settings = from_config(
        own_values(values),
        stack=pulumi.stack.rsplit("/", 1)[-1],
        preview=not for_up,
        cloudflare_api_token=values.get(credentials.API_TOKEN.key, ""),
        in_plain_text=stored_in_plain_text(values, hidden.__contains__),
        environment=pulumi.environment,
    )
    return settings, values.get("cloudflare:baseUrl") or pulumi.environment.get("CLOUDFLARE_BASE_URL", "")


def plain_values(entries: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """Key -> value, secrets in clear; structured values as JSON."""
    return {key: str(entry.get("value") or "") for key, entry in entries.items()}
