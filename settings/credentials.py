"""The credentials of a stack: the configuration key, the variable that stands in for it, and what it is.

The one table of the program and its commands. `clients`, `engine` and `emulators` name what they need of it themselves:
they know nothing of a stack's configuration (docs/decisions/096-copies-between-rooms.md).
"""

from __future__ import annotations

from dataclasses import dataclass

from settings.values import PROJECT


@dataclass(frozen=True)
class Credential:
    """`key` with its namespace; `field` of Settings; `what` it is, in a sentence."""

    key: str
    variable: str
    field: str
    what: str

    @property
    def name(self) -> str:
        """The key as `./mail` takes it: without the project's own namespace."""
        return self.key.removeprefix(f"{PROJECT}:")


API_TOKEN = Credential("cloudflare:apiToken", "CLOUDFLARE_API_TOKEN", "cloudflare_api_token", "a Cloudflare API token")
MAILJET_KEY = Credential(f"{PROJECT}:mailjetApiKey", "MAILJET_API_KEY", "mailjet_api_key", "Mailjet's API key")
MAILJET_SECRET = Credential(
    f"{PROJECT}:mailjetApiSecret", "MAILJET_API_SECRET", "mailjet_api_secret", "Mailjet's API secret"
)
WEBHOOK_SECRET = Credential(
    f"{PROJECT}:webhookSecret", "MAILJET_INBOUND_SECRET", "webhook_secret", "the password of the inbound webhook"
)
GATEWAY_ROOTS = Credential(
    f"{PROJECT}:gatewayRoots",
    "AGENTMAIL_GATEWAY_ROOTS",
    "gateway_roots",
    "the root secret that every agent's password is made from",
)
OWN = (MAILJET_KEY, MAILJET_SECRET, WEBHOOK_SECRET, GATEWAY_ROOTS)
"""Those under the project's own namespace."""
