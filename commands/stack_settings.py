"""A stack's settings as its configuration has them, for every command that looks at a stack."""

from __future__ import annotations

from commands.stack_commands import Pulumi
from settings import credentials
from settings.loading import from_config, own_values, stored_in_plain_text
from settings.model import Settings


def read_settings(pulumi: Pulumi, *, for_up: bool = False) -> tuple[Settings, str]:
    """The settings, and where Cloudflare's API is.

    `for_up` asks for everything that an up needs: all credentials, and none of them in plain text. Raises SettingsError
    and PulumiFailedError.
    """
    entries = pulumi.entries()
    values = {key: str(entry.get("value") or "") for key, entry in entries.items()}
    hidden = {key for key, entry in entries.items() if entry.get("secret")}
    settings = from_config(
        own_values(values),
        stack=pulumi.stack.rsplit("/", 1)[-1],
        preview=not for_up,
        cloudflare_api_token=values.get(credentials.API_TOKEN.key, ""),
        in_plain_text=stored_in_plain_text(values, hidden.__contains__) if for_up else (),
        environment=pulumi.environment,
    )
    return settings, values.get("cloudflare:baseUrl") or pulumi.environment.get("CLOUDFLARE_BASE_URL", "")
