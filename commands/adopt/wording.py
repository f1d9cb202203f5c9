"""Plans and restorations as text for the person who has to say yes."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from commands.adopt.backup import Fields, Restoration
from commands.adopt.plan import AdoptionPlan, Import
from commands.adopt.stack_state import HeldRecord
from mailboxes import remedies
from mailboxes.wording import first_few
from zone.survey import SurveyedRecord


def plan_text(plan: AdoptionPlan, *, config_file: str) -> str:
    """The whole plan, a section for each place that it changes."""
    return _sections(
        [
            ("Into the stack's state (the zone stays as it is)", _table(_import_rows(plan))),
            (f"Our comment again in the zone ({plan.comment!r})", _bullets(record.brief() for record in plan.comments)),
            (
                "No longer protected: the next up deletes them",
                _bullets(f"{held.name} (id {held.id})" for held in plan.releases),
            ),
            (
                "Written to Cloudflare, now (what a wildcard answers for the name today)",
                _bullets(f"{one['name']} {one['type']} {one['priority']} {one['content']}" for one in plan.copies),
            ),
            (
                "Deleted in Cloudflare, now",
                _bullets(
                    [
                        *(f"{record.brief()} (id {record.id})" for record in plan.discards),
                        *(f"tunnel {tunnel.name!r} (id {tunnel.id})" for tunnel in plan.tunnel_discards),
                    ]
                ),
            ),
            (f"Into {config_file}", _bullets(_setting(key, value) for key, value in plan.settings.items())),
            ("Left alone (delete with --discard)", _bullets(plan.left)),
            ("To know", _bullets(plan.notes)),
        ]
    )


def restoration_text(made: Restoration) -> str:
    """What a restore changes in the zone."""
    return _sections(
        [
            ("Written back", _bullets(_brief(fields) for fields in [*made.put_back, *made.replace])),
            ("Created again", _bullets(_brief(fields) for fields in made.create)),
            ("Removed: this stack's records in their places", _bullets(record.brief() for record in made.remove)),
            ("Left alone (restore them with --everything)", _bullets(made.unrelated)),
        ]
    )


def forget_text(held: Sequence[HeldRecord]) -> str:
    """What `--forget` takes out of the state."""
    return _sections([("Out of the stack's state (the zone stays as it is)", _bullets(record.name for record in held))])


def next_step(plan: AdoptionPlan, *, stack: str) -> str:
    """What comes after the plan has been carried out: consent where it is lacking, else a look."""
    waiting = [item for item in plan.imports if item.superseded and item.protect]
    if not waiting:
        return f"Done. See what the next up will change: {remedies.preview(stack)}"
    return (
        f"Done. The next up would delete {first_few([item.brief for item in waiting])}, and is refused until you agree with: "
        f"{remedies.adopt(stack, '--replace-mx')}"
    )


def _import_rows(plan: AdoptionPlan) -> list[tuple[str, str, str]]:
    return [(item.name, item.brief, _what_next(item, plan.comment)) for item in plan.imports]


def _what_next(item: Import, comment: str) -> str:
    if item.record is None or item.record.comment == comment:
        return "ours; the state knows it again"
    if not item.superseded:
        return "the next up makes it ours in place"
    if item.protect:
        return "the next up would delete it; no preview or up goes on before you agree with --replace-mx"
    return "the next up deletes it"


def _setting(key: str, value: Any) -> str:
    shown = "removed" if value is None else json.dumps(value)
    return f"agentmail:{key}: {shown}"


def _brief(fields: Fields) -> str:
    return SurveyedRecord.parse(fields).brief()


def _sections(sections: Iterable[tuple[str, list[str]]]) -> str:
    return "\n".join(
        line for title, lines in sections if lines for line in (f"{title}:", *(f"  {line}" for line in lines))
    )


def _bullets(lines: Iterable[str]) -> list[str]:
    return [f"- {line}" for line in lines]


def _table(rows: list[tuple[str, str, str]]) -> list[str]:
    if not rows:
        return []
    widths = [max(len(row[column]) for row in rows) for column in range(2)]
    return [f"- {name.ljust(widths[0])}  {brief.ljust(widths[1])}  {then}" for name, brief, then in rows]
