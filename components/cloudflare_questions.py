"""What the program asks Cloudflare itself, before and beside the resources that its plugin makes.

Not through the plugin: that logs every refusal as an error of the run, even one that a preview tolerates, and asks an
API that does not answer ten times more, without a word for minutes (docs/decisions/090-own-questions.md).
"""

from __future__ import annotations

import os
from contextlib import closing
from typing import Any

import pulumi

from clients.cloudflare.client import CloudflareClient

ATTEMPTS = 4
"""Where nothing listens that takes some seven seconds."""
TIMEOUT_SECONDS = (3.0, 8.0)
SILENCE_SECONDS = 8.0
"""An API that takes a question and never answers is asked twice, some seventeen seconds in all."""


class CloudflareQuestions:
    """One token's questions. Each raises `clients.cloudflare.client.CloudflareError`."""

    def __init__(self, token: str) -> None:
        self._token = token
        self._url = pulumi.Config("cloudflare").get("baseUrl") or os.environ.get("CLOUDFLARE_BASE_URL", "")

    def records(self, zone_id: str) -> list[dict[str, Any]]:
        """Every record of the zone."""
        with self._client() as client:
            return list(client.pages(f"zones/{zone_id}/dns_records", "listing the zone's records"))

    def tunnels(self, account_id: str, name: str) -> list[dict[str, Any]]:
        """The account's live tunnels of exactly this name."""
        wanted = {"name": name, "is_deleted": "false"}
        with self._client() as client:
            rows = list(client.pages(f"accounts/{account_id}/cfd_tunnel", "listing the account's tunnels", wanted))
        return [row for row in rows if row.get("name") == name and not row.get("deleted_at")]

    def tunnel_token(self, account_id: str, tunnel_id: str) -> str:
        """The token that cloudflared runs the tunnel with; a secret."""
        path = f"accounts/{account_id}/cfd_tunnel/{tunnel_id}/token"
        with self._client() as client:
            return str(client.ask("GET", path, f"reading the token of the tunnel {tunnel_id}")["result"])

    def _client(self) -> closing[CloudflareClient]:
        client = CloudflareClient(
            self._url, self._token, attempts=ATTEMPTS, timeout=TIMEOUT_SECONDS, silence=SILENCE_SECONDS
        )
        return closing(client)
