"""Edits to the text of a population file that leave the rest of it as it is, comments and layout included.

A YAML file is spliced, never written anew, so that a pull request shows the lines of the agents concerned and no
others. Whoever edits reads the result again and compares: what a splice cannot do is refused, not guessed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any, Protocol

from mailboxes import remedies
from mailboxes.document import TOP_KEYS, Document, Entry, Mark
from mailboxes.errors import MailboxError

_RESERVED_WORDS = frozenset({"null", "true", "false", "yes", "no", "on", "off", "y", "n", "nan"})
_PLAIN_PUNCTUATION = " ._'-/"
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_ESCAPED = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")


class LayoutError(MailboxError):
    """A population file whose layout cannot be edited in place."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(
            f"{path} {reason}; that cannot be edited without risk, and nothing was written. Make a new file of it "
            f"with `{remedies.import_agents(path, 'NEW.yaml')}`, then import into that"
        )


class PopulationText(Protocol):
    """A population file under edit."""

    def set_value(self, key: str, value: str) -> None:
        """Writes a value at the top: seed, created_at or agents_file."""

    def set_field(self, entry: Entry, key: str, value: str) -> None:
        """Writes a value of an agent who is in the file."""

    def add(self, fields: Mapping[str, str]) -> None:
        """Appends an agent to the file's list, in the style of its last one."""

    def remove(self, entry: Entry) -> None:
        """Takes an agent out; comments on lines of their own stay."""

    def text(self) -> str:
        """The file with all edits."""


def text_of(document: Document) -> PopulationText:
    """The editor for this document, which must have been read in detail."""
    return JsonText(document) if document.is_json else YamlText(document)


def yaml_scalar(text: str) -> str:
    """`text` as a YAML scalar that every reader takes for this text, plain where that is certain."""
    plain = (
        text[:1].isalpha()
        and text[-1:] != " "
        and text.lower() not in _RESERVED_WORDS
        and all(character.isalnum() or character in _PLAIN_PUNCTUATION for character in text)
    )
    if plain or _UUID.fullmatch(text):
        return text
    quoted = json.dumps(text, ensure_ascii=False)
    return _ESCAPED.sub(lambda found: f"\\u{ord(found[0]):04x}", quoted)


def yaml_flow_mapping(fields: Mapping[str, str]) -> str:
    """`{id: a1, name: Nexus Signal}`"""
    return "{" + ", ".join(f"{key}: {yaml_scalar(value)}" for key, value in fields.items()) + "}"


class YamlText:
    """A YAML file in which each agent is an item (`- `) of a block list, herself a mapping of either style."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self._text = document.text
        self._line_end = "\r\n" if "\r\n" in document.text else "\n"
        self._splices: list[tuple[int, int, str]] = []
        self._values: dict[str, str] = {}
        self._added: list[Mapping[str, str]] = []
        self._removed: set[int] = set()
        self._entries = document.agents or []
        if document.is_flow or (document.agents_flow and self._entries):
            raise LayoutError(document.path, "keeps its agents in brackets")

    def set_value(self, key: str, value: str) -> None:
        mark = self._document.marks.get(key)
        if mark is None:
            self._values[key] = value
        else:
            self._replace(mark, value)

    def set_field(self, entry: Entry, key: str, value: str) -> None:
        mark = entry.marks.get(key)
        if mark is not None:
            self._replace(mark, value)
            return
        if entry.flow:
            self._splice(entry.inner_end, entry.inner_end, f", {key}: {yaml_scalar(value)}")
            return
        candidates = [mark for mark in entry.marks.values() if mark.end > mark.start and not mark.block]
        if not candidates:
            raise LayoutError(self._document.path, f"has an agent (line {entry.line}) without a plain value")
        self._insert_line_after(
            max(mark.end for mark in candidates), f"{' ' * entry.column}{key}: {yaml_scalar(value)}"
        )

    def add(self, fields: Mapping[str, str]) -> None:
        self._added.append(fields)

    def remove(self, entry: Entry) -> None:
        column = self._document.agents_column
        start = self._line_start(entry.start)
        while not re.match(rf" {{{column}}}-(?=\s)", self._text[start : entry.start + 1]) and start > 0:
            start = self._line_start(start - 1)
        self._splice(start, self._line_after(entry.end), "")
        self._removed.add(id(entry))

    def text(self) -> str:
        self._place_agents()
        self._place_values()
        pieces: list[str] = []
        done = 0
        # Sorting is stable: what goes to one place stays in the order of the calls.
        for start, end, replacement in sorted(self._splices, key=lambda splice: splice[:2]):
            pieces += (self._text[done:start], replacement)
            done = max(done, end)
        return "".join([*pieces, self._text[done:]])

    def _place_agents(self) -> None:
        document = self._document
        is_emptied = bool(self._entries) and len(self._removed) == len(self._entries)
        if not self._added:
            if is_emptied and "agents" in document.keys:
                colon = self._text.index(":", document.keys["agents"].end) + 1
                self._splice(colon, colon, " []")
            return
        block = bool(self._entries) and not self._entries[-1].flow
        indent = " " * document.agents_column if self._entries else "  "
        lines = [line for fields in self._added for line in self._agent_lines(fields, indent, block)]
        if self._entries:
            self._insert_line_after(self._entries[-1].end, self._line_end.join(lines))
        elif document.agents is not None and document.agents_mark is not None:
            mark = document.agents_mark
            colon = self._text.index(":", document.keys["agents"].end) + 1
            if self._text[colon : mark.end].strip() != "[]" or "\n" in self._text[colon : mark.end]:
                raise LayoutError(document.path, "spreads its empty list of agents over several lines")
            self._splice(colon, mark.end, "")
            self._insert_line_after(mark.end, self._line_end.join(lines))
        else:
            self._insert_line_after(len(self._text), self._line_end.join(["agents:", *lines]))

    def _place_values(self) -> None:
        document = self._document
        lines = [f"{key}: {yaml_scalar(self._values[key])}" for key in TOP_KEYS if key in self._values]
        if not lines:
            return
        if document.keys:
            first = min(mark.start for mark in document.keys.values())
        else:
            # A bare list of agents becomes the value of a key; its items may stay at the margin.
            emptied = len(self._removed) == len(self._entries) and not self._added
            lines.append("agents: []" if emptied else "agents:")
            first = self._entries[0].start
        start = self._line_start(first)
        self._splices.insert(0, (start, start, "".join(line + self._line_end for line in lines)))

    def _agent_lines(self, fields: Mapping[str, str], indent: str, block: bool) -> Iterable[str]:
        if not block:
            return [f"{indent}- {yaml_flow_mapping(fields)}"]
        margins = [f"{indent}- "] + [f"{indent}  "] * len(fields)
        return [
            f"{margin}{key}: {yaml_scalar(value)}"
            for margin, (key, value) in zip(margins, fields.items(), strict=False)
        ]

    def _replace(self, mark: Mark, value: str) -> None:
        if mark.block:
            raise LayoutError(self._document.path, f"writes a value as a block of text (line {mark.line})")
        scalar = yaml_scalar(value)
        if mark.start == mark.end:
            scalar = f" {scalar}"
        elif self._text[mark.start - 1] not in " \n" and not scalar.startswith('"'):
            scalar = json.dumps(value)
        self._splice(mark.start, mark.end, scalar)

    def _insert_line_after(self, position: int, line: str) -> None:
        """Puts a line below the one that holds the character before `position`."""
        at = self._line_after(position)
        is_open = self._text[at - 1 : at] not in ("\n", "")
        self._splice(at, at, (self._line_end if is_open else "") + line + self._line_end)

    def _splice(self, start: int, end: int, replacement: str) -> None:
        self._splices.append((start, end, replacement))

    def _line_start(self, position: int) -> int:
        return self._text.rfind("\n", 0, position) + 1

    def _line_after(self, position: int) -> int:
        """Where the line after the one that holds the character before `position` begins."""
        found = self._text.find("\n", max(position - 1, 0))
        return len(self._text) if found < 0 else found + 1


class JsonText:
    """A JSON file, which has no comments and is written anew in its own indentation."""

    def __init__(self, document: Document) -> None:
        self._original = document.text
        # Anew, since the document has every scalar as text, and an age of 3 is to stay one.
        value: Any = json.loads(document.text)
        self._top: dict[str, Any] = value if isinstance(value, dict) else {"agents": value}
        self._is_bare = not isinstance(value, dict)
        self._agents: list[dict[str, Any]] = self._top.setdefault("agents", [])
        self._of_entry = {id(entry): agent for entry, agent in zip(document.agents or (), self._agents, strict=True)}
        self._removed: set[int] = set()

    def set_value(self, key: str, value: str) -> None:
        values = {known: self._top[known] for known in TOP_KEYS if known in self._top and known != "agents"}
        values[key] = value
        self._top = values | {other: kept for other, kept in self._top.items() if other not in values}
        self._is_bare = False

    def set_field(self, entry: Entry, key: str, value: str) -> None:
        self._of_entry[id(entry)][key] = value

    def add(self, fields: Mapping[str, str]) -> None:
        self._agents.append(dict(fields))

    def remove(self, entry: Entry) -> None:
        self._removed.add(id(self._of_entry[id(entry)]))

    def text(self) -> str:
        self._top["agents"] = [agent for agent in self._agents if id(agent) not in self._removed]
        indentation = re.search(r"\n([ \t]+)\S", self._original)
        return (
            json.dumps(
                self._top["agents"] if self._is_bare else self._top,
                ensure_ascii=self._original.isascii() and "\\u" in self._original,
                indent=indentation[1] if indentation else None,
            )
            + "\n"
        )
