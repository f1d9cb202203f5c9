"""The digest of a preview for people, as terminal text or Markdown: deletions on top, names before counts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from report.preview import Changes, RecordChange

FIRST = 20
"""How many items of a list are named; the rest is counted."""
MARKDOWN_LIMIT = 60_000
"""GitHub cuts a comment at 65,536 characters; this leaves room for what an action adds."""


@dataclass(frozen=True)
class Section:
    """A heading with its items."""

    title: str
    items: tuple[str, ...]
    total: int

    @property
    def hidden(self) -> int:
        return self.total - len(self.items)


def sections(changes: Changes, *, first: int = FIRST) -> list[Section]:
    """The digest's sections, deletions before everything else, empty ones left out."""

    def section(title: str, items: Sequence[str]) -> Section:
        return Section(f"{title} ({len(items)})", tuple(items[:first]), len(items))

    deleted = [item for item in changes.resources if item.operation.startswith("delete")]
    replaced = [
        item for item in changes.resources if "replace" in item.operation and not item.operation.startswith("delete")
    ]
    other = [item for item in changes.resources if item not in deleted and item not in replaced]
    found = [
        section("Errors", changes.errors),
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
        section("Warnings", changes.warnings),
    ]
    return [item for item in found if item.total]


def _kind(token: str) -> str:
    return token.rsplit(":", 1)[-1]


def _record(change: RecordChange) -> str:
    name = change.name or "(name known after the sender domain exists)"
    old, new = (value if value is None else _short(value) for value in (change.old, change.new))
    if old is not None and new is not None and old != new:
        value = f"{old} -> {new}"
    else:
        value = new or old or "(value known after the sender domain exists)"
    return f"{change.type:<5} {name}  {value}"


def _short(value: str, limit: int = 100) -> str:
    return value if len(value) <= limit else value[: limit - 1] + "…"


def headline(changes: Changes) -> str:
    """One line: what would happen to how many."""
    if changes.errors:
        return f"The preview of {changes.stack or 'the stack'} failed; nothing would be written."
    if changes.nothing:
        return f"No changes: {changes.stack or 'the stack'} stays as it is."
    counts = [
        (len(changes.mailboxes_added), "mailbox", "mailboxes", "added"),
        (len(changes.mailboxes_removed), "mailbox", "mailboxes", "removed"),
        (len(changes.mailboxes_moved), "mailbox", "mailboxes", "renamed"),
        (changes.routes_rewritten, "route", "routes", "given a new URL"),
        (len(changes.records_added), "record", "records", "added"),
        (len(changes.records_removed), "record", "records", "removed"),
        (len(changes.records_changed), "record", "records", "changed"),
        (len(changes.resources), "other resource", "other resources", "touched"),
    ]
    told = [f"{number} {one if number == 1 else many} {what}" for number, one, many, what in counts if number]
    return f"{changes.stack}: " + ", ".join(told) + "."


def as_text(changes: Changes) -> str:
    """The digest for a terminal."""
    return _render(
        headline(changes),
        sections(changes),
        lambda title: f"\n{title}",
        lambda item: f"  {item}",
        lambda hidden: f"  … and {hidden} more",
    )


def as_markdown(changes: Changes, *, limit: int = MARKDOWN_LIMIT) -> str:
    """The digest for a pull request, never longer than `limit` characters: lists shrink before anything is cut."""
    first = FIRST
    while True:
        text = _render(
            f"**{_escaped(headline(changes))}**",
            sections(changes, first=first),
            lambda title: f"\n#### {title}\n",
            lambda item: f"- {_code(item)}",
            lambda hidden: f"- … and {hidden} more",
        )
        if len(text) <= limit or first == 0:
            return text[:limit]
        first //= 2


def _render(
    head: str,
    parts: Iterable[Section],
    title: Callable[[str], str],
    item: Callable[[str], str],
    more: Callable[[int], str],
) -> str:
    lines = [head]
    for part in parts:
        lines.append(title(part.title))
        lines += [item(text) for text in part.items]
        if part.hidden:
            lines.append(more(part.hidden))
    return "\n".join(lines) + "\n"


def _escaped(text: str) -> str:
    return "".join(f"\\{character}" if character in "\\`*_[]<>#|" else character for character in text)


def _code(text: str) -> str:
    """Text as inline code; a backtick inside asks for a longer fence (CommonMark 6.1)."""
    flat = " ".join(text.split("\n"))
    fence = "`" * (max((len(run) for run in _runs(flat)), default=0) + 1)
    pad = " " if "`" in flat else ""
    return f"{fence}{pad}{flat}{pad}{fence}"


def _runs(text: str) -> list[str]:
    return [run for run in "".join(character if character == "`" else " " for character in text).split(" ") if run]
