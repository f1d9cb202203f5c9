"""Cloudflare's refusals as sentences: what the plugin answers is a stack of HTTP text.

Of a refused write the engine prints that text, and nothing can replace it: the sentence comes beside it, from an error
hook. A `destroy` and a refresh run without the program, and so without the hook: `./mail` says there what it reads.
"""

from __future__ import annotations

import pulumi

from clients.cloudflare.client import CloudflareError
from clients.cloudflare.refusals import write_sentence
from mailboxes import remedies
from settings.model import Settings


def cloudflare_sentence(error: CloudflareError, settings: Settings) -> str:
    """One sentence on a failed look at the zone: what was asked, what Cloudflare said, what to do."""
    zone = f"the zone {settings.zone_name!r} (agentmail:zoneId {settings.zone_id})"
    if error.about_token:
        return (
            f"Cloudflare rejected the API token while listing {zone}, code {error.code or 'unknown'}; expected a token with the permission "
            "Zone.DNS Edit (Read is enough for a preview) for this zone; "
            f"set it with: {remedies.set_secret('cloudflare:apiToken', stack=settings.stack)}, or in the environment as "
            "CLOUDFLARE_API_TOKEN"
        )
    if error.code == 7003 or error.status == 404:
        return f"Cloudflare knows no zone with the id of {zone}; expected an existing zone; correct zoneId"
    if error.status is None:
        return (
            f"Cloudflare's API does not answer while listing {zone}; expected an API at cloudflare:baseUrl; "
            "check the network, and for the embedded default start the emulators with: "
            f"{remedies.emulators('up')}"
        )
    return f"{error} of {zone}; nothing was written; run the command again"


def tunnel_token_sentence(error: CloudflareError, tunnel_name: str) -> str:
    """One sentence on a tunnel whose token cannot be read."""
    return _tunnel_sentence(
        error,
        refused=f"does not show the token of the tunnel {tunnel_name!r} to this API token",
        without="the outputs tunnelToken and platformEnv stay unknown in it",
        failed=f"gave no token for the tunnel {tunnel_name!r}",
    )


def tunnel_listing_sentence(error: CloudflareError, tunnel_name: str) -> str:
    """One sentence on a tunnel of which nobody can say whether it exists."""
    return _tunnel_sentence(
        error,
        refused=f"does not list the account's tunnels to this API token, so whether {tunnel_name!r} exists is not known",
        without="it did not look",
        failed=f"did not list the account's tunnels named {tunnel_name!r}",
    )


def _tunnel_sentence(error: CloudflareError, *, refused: str, without: str, failed: str) -> str:
    if error.about_token:
        return (
            f"Cloudflare {refused}, code {error.code or 'unknown'}; expected the permission Account.Cloudflare Tunnel Edit, "
            f"which an up needs (a preview goes on without: {without})"
        )
    return f"Cloudflare {failed}: {error}"


def refusal_hook(name: str, stack: str) -> pulumi.ErrorHook:
    """Says in a sentence what Cloudflare has refused to write, and never has it tried again: the plugin has."""

    def say(about: pulumi.ErrorHookArgs) -> bool:
        pulumi.log.error(
            write_sentence(
                about.errors[0] if about.errors else "",
                operation=about.failed_operation,
                resource=about.name,
                inputs=about.new_inputs or about.old_inputs or {},
                stack=stack,
            )
        )
        return False

    return pulumi.ErrorHook(name, say)
