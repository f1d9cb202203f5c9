"""The digest of a preview for people, as terminal text or Markdown: deletions on top, names before counts."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from commands.report.preview import Changes, RecordChange
from commands.report.protection import protected_sentence, refused_name
from mailboxes.wording import shortened

FIRST = 20
"""How many items of a list are named; the rest is counted."""
LONGEST_TEXT = 4_000
"""Characters of an error or warning; a table of conflicts fits."""
MARKDOWN_LIMIT = 60_000
"""GitHub refuses a comment of more than 65,536 characters."""


@dataclass(frozen=True)
class Section:
    """A heading with its items."""

    title: str
    items: tuple[str, ...]
    total: int
    verbatim: bool = False
    """Whether an item is a text of several lines rather than a name."""

    @property
    def hidden(self) -> int:
        return self.total - len(self.items)


def sections(changes: Changes, *, refused: Sequence[str] = (), first: int = FIRST) -> list[Section]:
    """The digest's sections, deletions before everything else, empty ones left out."""

    def section(title: str, items: Sequence[str], *, verbatim: bool = False) -> Section:
        return Section(f"{title} ({len(items)})", tuple(items[:first]), len(items), verbatim)

    deleted = [item for item in changes.resources if item.operation.startswith("delete")]
    replaced = [
        item for item in changes.resources if "replace" in item.operation and not item.operation.startswith("delete")
    ]
    other = [item for item in changes.resources if item not in deleted and item not in replaced]
    settings = [item for item in changes.settings if item.old is not None]
    found = [
        section("Errors", _errors(changes), verbatim=True),
        section("Deletions without their switch", refused, verbatim=True),
        section(
            "Mailboxes removed",
            [f"{address}  agent {agent}" for agent, address in changes.mailboxes_removed.items()],
        ),
        section("Records removed", [_record(item) for item in changes.records_removed]),
        section("Resources removed", [f"{item.name}  {_kind(item.type)}" for item in deleted]),
        section("Resources replaced", [f"{item.name}  {_kind(item.type)}" for item in replaced]),
        section(
            "Mailboxes renamed",
            [f"{move.old} -> {move.new}  agent {move.agent_id}" for move in changes.mailboxes_moved],
        ),
        section(
            "What agents may do",
            [f"{item.address}: {item.old} -> {item.new}  agent {item.agent_id}" for item in changes.policies],
        ),
        section("Settings changed", [f"{item.name}: {item.old} -> {item.new}" for item in settings]),
        section("Settings", [f"{item.name}: {item.new}" for item in changes.settings if item.old is None]),
        section("Records changed", [_record(item) for item in changes.records_changed]),
        section(
            "Mailboxes added",
            [f"{address}  agent {agent}" for agent, address in changes.mailboxes_added.items()],
        ),
        section("Records added", [_record(item) for item in changes.records_added]),
        section(
            "Other resources",
            [
                f"{item.operation} {item.name}  {_kind(item.type)}"
                + (f"  ({', '.join(item.properties)})" if item.properties else "")
                for item in other
            ],
        ),
        section("Warnings", changes.warnings, verbatim=True),
    ]
    return [item for item in found if item.total]


def _kind(token: str) -> str:
    return token.rsplit(":", 1)[-1]


def _record(change: RecordChange) -> str:
    later = f"known after {'the tunnel' if change.type == 'CNAME' else 'the sender domain'} exists"
    name = change.name or f"(name {later})"
    old, new = (value if value is None else _short(value) for value in (change.old, change.new))
    value = new or old or f"(value {later})"
    if old is not None and change.changed and old != new:
        value = f"{old} -> {new or f'({later})'}"
    if change.properties:
        value += f"  ({', '.join(change.properties)})"
    return f"{change.type:<5} {name}  {value}"


def _short(value: str, limit: int = 100) -> str:
    return shortened(value, limit)


def _errors(changes: Changes) -> list[str]:
    """One for everything that is protected, and the others as they came."""
    names = [name for error in changes.errors if (name := refused_name(error))]
    others = [error for error in changes.errors if not refused_name(error)]
    if not names:
        return others
    again = "make the change again (take it back first, or that apply is refused as well)"
    return [protected_sentence(list(dict.fromkeys(names)), stack=changes.stack, doing=again), *others]


def headline(changes: Changes, *, refused: Sequence[str] = (), drift: bool = False) -> str:
    """One line: what would happen to how many. With `drift`, the changes are what an up would put back."""
    stack = changes.stack or "the stack"
    if changes.errors:
        return f"The preview of {stack} failed; nothing would be written."
    if changes.is_empty:
        return f"No drift: {stack} is as it should be." if drift else f"No changes: {stack} stays as it is."
    counts = [
        (len(changes.mailboxes_added), "mailbox", "mailboxes", "added"),
        (len(changes.mailboxes_removed), "mailbox", "mailboxes", "removed"),
        (len(changes.mailboxes_moved), "mailbox", "mailboxes", "renamed"),
        (len(changes.policies), "agent", "agents", "allowed something else"),
        (changes.routes_rewritten, "route", "routes", "given a new URL"),
        (len(changes.records_added), "record", "records", "added"),
        (len(changes.records_removed), "record", "records", "removed"),
        (len(changes.records_changed), "record", "records", "changed"),
        (sum(item.old is not None for item in changes.settings), "setting", "settings", "changed"),
        (len(changes.resources), "other resource", "other resources", "touched"),
    ]
    told = [f"{number} {one if number == 1 else many} {what}" for number, one, many, what in counts if number]
    return f"{stack}{' has drifted; an up would put back' if drift else ''}: {', '.join(told)}.{' Refused, see below.' if refused else ''}"


def marker(stack: str) -> str:
    """The first line of a stack's comment, by which the next run finds it again."""
    return f"<!-- agentmail-preview:{stack} -->"


def as_data(changes: Changes, *, refused: Sequence[str] = (), drift: bool = False) -> str:
    """The digest for other programs: JSON with the same sections, nothing left out."""
    parts = sections(changes, refused=refused, first=sys.maxsize)
    shown = {
        "stack": changes.stack,
        "headline": headline(changes, refused=refused, drift=drift),
        "is_empty": changes.is_empty,
        "sections": [{"title": part.title.rpartition(" (")[0], "items": list(part.items)} for part in parts],
    }
    return json.dumps(shown, indent=2, ensure_ascii=False)


def as_text(changes: Changes, *, refused: Sequence[str] = (), drift: bool = False) -> str:
    """The digest for a terminal."""
    lines = [headline(changes, refused=refused, drift=drift)]
    for part in sections(changes, refused=refused):
        lines += ["", part.title, *(f"  {line}" for item in part.items for line in item.split("\n"))]
        if part.hidden:
            lines.append(f"  … and {part.hidden} more")
    return "\n".join(lines) + "\n"


def as_markdown(
    changes: Changes,
    *,
    refused: Sequence[str] = (),
    drift: bool = False,
    note: str = "",
    limit: int = MARKDOWN_LIMIT,
) -> str:
    """The digest for a pull request, never longer than `limit` characters: lists shrink before anything is cut.

    `note` stands below it, such as the commit that was looked at.
    """
    first = FIRST
    while True:
        head = headline(changes, refused=refused, drift=drift)
        text = _markdown(changes.stack, head, sections(changes, refused=refused, first=first), note=note)
        if len(text) <= limit or first == 0:
            return text[:limit]
        first //= 2


def failure_as_markdown(stack: str, reason: str, *, note: str = "") -> str:
    """The comment where there is no preview to digest."""
    return "\n".join(
        [marker(stack), f"**The preview of {_escaped(stack)} failed.**", "", *_fenced(reason), *_foot(note), ""]
    )


def _markdown(stack: str, head: str, parts: Sequence[Section], *, note: str) -> str:
    lines = [marker(stack), f"**{_escaped(head)}**"]
    for part in parts:
        lines += ["", f"#### {part.title}", ""]
        for item in part.items:
            lines += _fenced(item) if part.verbatim else [f"- {_code(item)}"]
        if part.hidden:
            lines.append(f"- … and {part.hidden} more")
    return "\n".join([*lines, *_foot(note), ""])


def _foot(note: str) -> list[str]:
    return ["", f"<sub>{_escaped(note)}</sub>"] if note else []


def _fenced(text: str) -> list[str]:
    """Text as it is, in a code block whose fence is longer than any in it (CommonMark 4.5)."""
    shown = _short(text, LONGEST_TEXT)
    fence = "`" * max(3, 1 + max((len(run) for run in _runs(shown)), default=0))
    return [f"{fence}text", *shown.split("\n"), fence]


def _escaped(text: str) -> str:
    return "".join(f"\\{character}" if character in "\\`*_[]<>#|" else character for character in text)


def _code(text: str) -> str:
    """Text as inline code; a backtick inside asks for a longer fence (CommonMark 6.1)."""
    flat = " ".join(text.splitlines())
    fence = "`" * (max((len(run) for run in _runs(flat)), default=0) + 1)
    pad = " " if "`" in flat else ""
    return f"{fence}{pad}{flat}{pad}{fence}"


def _runs(text: str) -> list[str]:
    return [run for run in "".join(character if character == "`" else " " for character in text).split(" ") if run]
