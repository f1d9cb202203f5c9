"""What a person reads before and after an environment is written. No secret is shown."""

from __future__ import annotations

import json
from collections.abc import Iterator

from commands.environments.draft import BASE_URL, VARIABLES, Draft, full
from mailboxes import remedies


def notes_text(draft: Draft) -> str:
    """What became of each imported variable."""
    width = max((len(note.variable) for note in draft.notes), default=0)
    return "\n".join(f"  {note.variable:<{width}}  {note.outcome}" for note in draft.notes)


def plan_text(draft: Draft, *, file: str, stack: str, keep_secrets: bool) -> str:
    """What is to be written where."""
    return "\n".join([f"To be written to {file} and the stack {stack!r}:", *_plan(draft, keep_secrets=keep_secrets)])


def _plan(draft: Draft, *, keep_secrets: bool) -> Iterator[str]:
    for key, value in draft.plain.items():
        yield f"  {full(key)} = {value if isinstance(value, str) else json.dumps(value)}"
    if draft.cloudflare_url:
        yield f"  {BASE_URL} = {draft.cloudflare_url}"
    if not keep_secrets:
        yield f"  and no secret: whoever runs Pulumi has {', '.join(VARIABLES.values())} in the environment"
        return
    for key in draft.secrets:
        yield f"  {full(key)}: secret{', newly made' if key in draft.made else ''}"


def next_text(draft: Draft, *, stack: str) -> str:
    """The commands to go on with."""
    lines = [f"The environment {stack!r} is made. Next:"]
    if not draft.plain.get("populations"):
        file = f"populations/{stack}.yaml"
        lines += [
            f"  {remedies.import_agents('EXPORT.json', file)}",
            f"  {remedies.set_value('populations[0].file', file, stack=stack, path=True)}",
        ]
    lines += [
        f"  {remedies.preview(stack)}",
        f"  {remedies.apply(stack)}",
        f"  {remedies.doctor(stack)}",
    ]
    return "\n".join(lines)
