"""What is asked about an account's tunnels: whether one that is about to be created exists already, and its token.

The first is asked only when a tunnel is about to be created.

Cloudflare allows one tunnel of a name and answers 409 to a second; its plugin asks ten times more, for minutes, before
it says so. A run that was killed leaves such a tunnel, which the state does not know (docs/decisions/022-guard-before-create.md).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

import pulumi

from clients.cloudflare.client import CloudflareError
from components.cloudflare_questions import CloudflareQuestions
from components.failures import refusal_hook, tunnel_listing_sentence
from mailboxes import remedies

Answer = TypeVar("Answer")


class TunnelExistsError(Exception):
    """The account has a tunnel of this name already."""

    def __init__(self, resource: str, name: str, *, tunnel_id: str, created_at: str, stack: str) -> None:
        super().__init__(
            f"{resource} would be created, but the account already has a tunnel {name!r} (id {tunnel_id}, created "
            f"{created_at}), expected none, since Cloudflare allows one of a name; if a killed run of this stack left "
            f"it, take it into the state with: {remedies.adopt(stack)}; if it is somebody else's, set another ownerTag"
        )


async def ask_about_tunnels(
    question: Callable[[], Answer], *, told: Callable[[CloudflareError], str], preview: bool
) -> Answer | None:
    """The answer to a question about tunnels, asked in a thread.

    What Cloudflare refuses is `told` in a sentence: a preview, whose token may have no right to tunnels, warns and goes
    on with None; an `up` raises RunError.
    """
    try:
        return await asyncio.to_thread(question)
    except CloudflareError as error:
        sentence = told(error)
        if not preview:
            raise pulumi.RunError(sentence) from None
        pulumi.log.warn(sentence)
        return None


def tunnel_guard(
    questions: CloudflareQuestions, *, account_id: str, tunnel_name: str, stack: str, preview: bool
) -> pulumi.ResourceHookBinding:
    """Refuses to create a tunnel whose name is taken, in a preview too; says what Cloudflare has refused to write."""

    async def refuse_a_second(about: pulumi.ResourceHookArgs) -> None:
        listing = await ask_about_tunnels(
            lambda: questions.tunnels(account_id, tunnel_name),
            told=lambda error: tunnel_listing_sentence(error, tunnel_name),
            preview=preview,
        )
        for found in listing or ():
            raise TunnelExistsError(
                about.name,
                tunnel_name,
                tunnel_id=str(found["id"]),
                created_at=str(found.get("created_at") or "at an unknown time"),
                stack=stack,
            )

    return pulumi.ResourceHookBinding(
        before_create=[
            pulumi.ResourceHook("tunnel-survey", refuse_a_second, pulumi.ResourceHookOptions(on_dry_run=True))
        ],
        on_error=[refusal_hook("cloudflare-tunnel-refusals", stack)],
    )
