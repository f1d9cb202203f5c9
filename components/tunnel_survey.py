"""The look at the account's tunnels when one is about to be created, and at no other time.

Cloudflare allows one tunnel of a name and answers 409 to a second; its plugin asks ten times more, for minutes, before
it says so. A run that was killed leaves such a tunnel, which the state does not know (docs/decisions/022-guard-before-create.md).
"""

from __future__ import annotations

import pulumi

from components.failures import tunnel_listing_sentence
from components.zone_survey import plugin_version


class TunnelExistsError(Exception):
    """The account has a tunnel of this name already."""

    def __init__(self, resource: str, name: str, *, tunnel_id: str, created_at: str, stack: str) -> None:
        super().__init__(
            f"{resource} would be created, but the account already has a tunnel {name!r} (id {tunnel_id}, created "
            f"{created_at}), expected none, since Cloudflare allows one of a name; if a killed run of this stack left "
            f"it, take it into the state with: python -m adopt {stack}; if it is somebody else's, set another ownerTag"
        )


def tunnel_guard(*, account_id: str, tunnel_name: str, stack: str, preview: bool) -> pulumi.ResourceHookBinding:
    """Refuses to create a tunnel whose name is taken, in a preview too.

    A preview whose token may not list tunnels warns and goes on; an `up` does not.
    """

    async def refuse_a_second(about: pulumi.ResourceHookArgs) -> None:
        try:
            listing = await pulumi.runtime.invoke_async(
                "cloudflare:index/getZeroTrustTunnelCloudflareds:getZeroTrustTunnelCloudflareds",
                {"accountId": account_id, "name": tunnel_name, "isDeleted": False},
                pulumi.InvokeOptions(version=plugin_version()),
            )
        except Exception as error:  # noqa: BLE001 - the SDK raises a bare Exception for whatever the plugin answers
            sentence = tunnel_listing_sentence(error, tunnel_name)
            if not preview:
                raise pulumi.RunError(sentence) from None
            pulumi.log.warn(sentence)
            return
        for found in listing.get("results") or []:
            if found.get("name") == tunnel_name and not found.get("deletedAt"):
                raise TunnelExistsError(
                    about.name,
                    tunnel_name,
                    tunnel_id=str(found["id"]),
                    created_at=str(found.get("createdAt") or "at an unknown time"),
                    stack=stack,
                )

    return pulumi.ResourceHookBinding(
        before_create=[
            pulumi.ResourceHook("tunnel-survey", refuse_a_second, pulumi.ResourceHookOptions(on_dry_run=True))
        ]
    )
