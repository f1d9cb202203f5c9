"""The text of a population file, YAML or JSON, as agents with their lines; every scalar is text as written.

`id: 0123` is `0123` and `name: No` is `No`: no value passes through a number, date or boolean. Nothing is expanded
(aliases are refused), nesting is bounded, and no value outside the known keys is kept, so a hostile file costs no
more than its size. What is wrong with the text is collected in `Document.problems`, with lines.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from mailboxes.errors import MailboxError, Problem, quoted

MAX_BYTES = 64 * 1024 * 1024
"""Larger files are refused: about 100,000 agents of a platform export, far beyond one stack."""

MAX_DEPTH = 100

POLICY_KEYS = (
    "credential_epoch",
    "messages_an_hour",
    "messages_a_day",
    "recipients_an_hour",
    "recipients_a_day",
    "may_write_to",
)
"""What an agent may do beyond being itself (`mailboxes.policies`)."""
AGENT_KEYS = ("id", "name", "username_hint", "created_at", "local_part", *POLICY_KEYS)
TOP_KEYS = ("seed", "created_at", "agents_file", "agents")
EXPORT_KEYS = frozenset({"count", "mailboxes", "persisted"})
"""Further top-level keys of the platform's exports, which mean nothing here."""

_NULLS = frozenset({"", "~", "null", "Null", "NULL", ".nan", ".NaN", ".NAN", "NaN"})
"""What stands for nothing where it is not quoted: YAML's spellings (1.2, section 10.3.2), and what Python writes for a
number that is none, which tables have in their empty cells."""
_TYPO_LIKENESS = 0.88
_NUL_OR_SURROGATE = re.compile("[\0\ud800-\udfff]")
_NOT_YAML = re.compile("[\0-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ufffe\uffff]")
_JSON_SPACE = re.compile(r"[ \t\r\n]*")
_JSON_START = re.compile(r"[ \t\r\n]*[{\[]")
_BLANK = "is blank; expected a list of agents (for a population of nobody write `agents: []`)"
_CLI_REMARK = "[stub]"
"""How the line begins that `azt3knet populate --persist` prints after its JSON."""


# Typed Any: their marks are Optional in the stubs, though events from text always have them.
_Scalar: Any = yaml.ScalarEvent
_Alias: Any = yaml.AliasEvent
_SequenceStart: Any = yaml.SequenceStartEvent
_SequenceEnd: Any = yaml.SequenceEndEvent
_MappingStart: Any = yaml.MappingStartEvent
_MappingEnd: Any = yaml.MappingEndEvent
_StreamEnd: Any = yaml.StreamEndEvent
_STARTS = (_SequenceStart, _MappingStart)
_ENDS = (_SequenceEnd, _MappingEnd)


class Shape(NamedTuple):
    """A list or mapping where text belongs, for the message."""

    name: str


class Mark(NamedTuple):
    """Where a value stands in the text: its line (from 1) and its span of characters."""

    line: int
    start: int
    end: int
    block: bool = False
    """A literal or folded block scalar (`|`, `>`)."""


@dataclass(slots=True)
class Entry:
    """One agent as written."""

    line: int
    fields: dict[str, str | Shape] = field(default_factory=dict)
    marks: dict[str, Mark] = field(default_factory=dict)
    """Values of known keys, for YAML only and if asked for."""
    start: int = 0
    end: int = 0
    """The span of the whole mapping; for YAML without trailing comments and blank lines."""
    inner_end: int = 0
    """Where its last key or value ends."""
    column: int = 0
    flow: bool = True


@dataclass(slots=True)
class Document:
    """A population file as written."""

    path: str
    text: str
    is_json: bool
    fields: dict[str, str | Shape] = field(default_factory=dict)
    """The scalars at the top level that mean something here: seed, created_at, agents_file."""
    marks: dict[str, Mark] = field(default_factory=dict)
    keys: dict[str, Mark] = field(default_factory=dict)
    """Top-level keys as written, in order, for YAML only."""
    agents: list[Entry] | None = None
    """None where there is no list of agents at all."""
    agents_mark: Mark | None = None
    agents_column: int = 0
    agents_flow: bool = False
    """The list of agents stands in brackets."""
    is_flow: bool = False
    """The whole mapping stands in braces."""
    value: Any = None
    """The whole value, for JSON only and if asked for."""
    problems: list[Problem] = field(default_factory=list)
    is_partial: bool = False
    """Reading stopped before the end."""

    def complain(self, sentence: str, line: int | None = None) -> None:
        """Notes one problem of the file; reading goes on, so that all are told at once."""
        self.problems.append(Problem(sentence, self.path, line))

    def give_up(self, sentence: str, line: int | None = None) -> None:
        """Notes a problem that ends the reading."""
        self.complain(sentence, line)
        self.is_partial = True


class UnreadableFileError(MailboxError):
    """A file that is not there, too large or not text."""

    def __init__(self, path: Path | str, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.problem = Problem(reason, str(path))


def read_text(path: Path) -> str:
    """The file's text without a byte order mark, line ends as they are. Raises `UnreadableFileError`."""
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = ((isinstance(error, OSError) and error.strerror) or str(error)).lower()
        raise UnreadableFileError(path, f"cannot be read ({reason}); expected a population file") from None
    if len(content) > MAX_BYTES:
        reason = f"is larger than {MAX_BYTES // 1024**2} MiB; split the population over several files or stacks"
        raise UnreadableFileError(path, reason)
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise UnreadableFileError(path, "is UTF-16; save it as UTF-8")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        reason = f"line {line} holds byte 0x{content[error.start]:02x}, which is not UTF-8; save the file as UTF-8"
        raise UnreadableFileError(path, reason) from None


def parse_document(text: str, path: str, *, detailed: bool = False) -> Document:
    """The population file with this text; `path` is for messages. JSON is recognised by its first character.

    Whatever is wrong is in the document's problems. `detailed` keeps where each value of an
    agent stands, and the whole value of a JSON file: to point at a problem's line, and to edit.
    """
    as_json = _JSON_START.match(text) is not None
    document = Document(path=path, text=text, is_json=as_json)
    if not text.strip():
        document.give_up(_BLANK)
        return document
    pattern = _NUL_OR_SURROGATE if as_json else _NOT_YAML
    if found := pattern.search(text):
        what = "a NUL byte" if found[0] == "\0" else f"the control character U+{ord(found[0]):04X}"
        document.give_up(f"holds {what}, so it is damaged or no text file", _line_of(text, found.start()))
        return document
    if not as_json:
        _YamlReader(document, detailed).read()
        return document
    if not _JsonReader(document, detailed).read() and not path.endswith(".json") and not _NOT_YAML.search(text):
        # YAML may begin with a bracket too.
        bracketed = Document(path=path, text=text, is_json=False)
        _YamlReader(bracketed, detailed).read()
        if not bracketed.problems or path.endswith((".yaml", ".yml")):
            return bracketed
    return document


class _Refused(Exception):  # noqa: N818 - never leaves this module
    """The rest of the text cannot be read."""


class _YamlReader:
    """Reads the events of libyaml, never building more of the document than is wanted."""

    def __init__(self, document: Document, detailed: bool) -> None:
        self.document = document
        self.detailed = detailed
        self.end = 0
        """Where the content read so far ends."""
        # libyaml is in every binary package of PyYAML; without it reading is slow, not wrong.
        self.loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)(document.text)

    def read(self) -> None:
        document = self.document
        try:
            self._next()  # stream start
            event = self._next()  # document start, if there is a document
            if type(event) is not _StreamEnd:
                event = self._next()
            kind = type(event)
            if kind is _SequenceStart:
                self._agents(event)
            elif kind is _MappingStart:
                self._top(event)
            elif kind is _StreamEnd or (kind is _Scalar and not event.value):
                document.give_up(_BLANK)
                return
            else:
                document.give_up(
                    "is plain text; expected a list of agents, or a mapping with `agents`", event.start_mark.line + 1
                )
                return
            self._next()  # document end
            event = self._next()
            if type(event) is not _StreamEnd:
                document.complain(
                    "holds a second document (`---`); put each population into a file of its own",
                    event.start_mark.line + 1,
                )
        except _Refused:
            return
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            document.give_up(_yaml_sentence(error, document.text), None if mark is None else mark.line + 1)
        except yaml.YAMLError as error:
            document.give_up(f"is not readable as YAML: {' '.join(str(error).split())}")
        finally:
            self.loader.dispose()

    def _next(self) -> Any:
        event = self.loader.get_event()
        kind = type(event)
        if ((kind is _Scalar or kind in _STARTS) and event.anchor is not None) or kind is _Alias:
            self.document.give_up(
                f"uses a YAML anchor or alias ({event.anchor}); write the value out", event.start_mark.line + 1
            )
            raise _Refused
        # A scalar or flow collection ends where it ends; a block collection "ends" at the next token, comments later.
        if (kind is _Scalar or kind in _ENDS) and event.end_mark.index > event.start_mark.index:
            self.end = event.end_mark.index
        return event

    def _skip(self, event: Any) -> None:
        """Reads past the value that begins with `event`."""
        if type(event) is _Scalar:
            return
        depth = 1
        while depth:
            event = self._next()
            kind = type(event)
            if kind in _STARTS:
                depth += 1
                if depth > MAX_DEPTH:
                    self.document.give_up(f"is nested more than {MAX_DEPTH} levels deep", event.start_mark.line + 1)
                    raise _Refused
            elif kind in _ENDS:
                depth -= 1

    def _key(self, event: Any, seen: set[str], agent_line: int | None) -> str | None:
        """The text of a mapping's key; None, with a problem noted, if it is none or a duplicate."""
        if type(event) is not _Scalar:
            self.document.complain("has a key that is not text", event.start_mark.line + 1)
            self._skip(event)
            return None
        key: str = event.value
        if key in seen:
            whose = "" if agent_line is None else f" in the agent that begins on line {agent_line}"
            self.document.complain(
                f"key {quoted(key)} stands twice{whose}; keep one of them", event.start_mark.line + 1
            )
            return None
        seen.add(key)
        return key

    def _value(self, event: Any) -> tuple[str | Shape, Mark]:
        start = event.start_mark
        if type(event) is _Scalar:
            mark = Mark(start.line + 1, start.index, event.end_mark.index, event.style in ("|", ">"))
            return event.value, mark
        shape = Shape("a list" if type(event) is _SequenceStart else "a mapping")
        self._skip(event)
        return shape, Mark(start.line + 1, start.index, self.end)

    def _top(self, start: Any) -> None:
        document = self.document
        seen: set[str] = set()
        while type(event := self._next()) is not _MappingEnd:
            mark = event.start_mark
            key = self._key(event, seen, None)
            if key is None:
                self._skip(self._next())
                continue
            document.keys[key] = Mark(mark.line + 1, mark.index, event.end_mark.index)
            value = self._next()
            if key == "agents" and type(value) is _SequenceStart:
                self._agents(value)
            elif key == "agents":
                shape, place = self._value(value)
                found = f"is {shape.name}" if isinstance(shape, Shape) else "has no list"
                document.complain(
                    f"agents {found}; expected a list of agents (for a population of nobody write `agents: []`)",
                    place.line,
                )
                document.agents = []
            elif key in TOP_KEYS:
                document.fields[key], document.marks[key] = self._value(value)
            else:
                self._skip(value)
                _complain_of_top_key(document, key, mark.line + 1)
        document.is_flow = bool(start.flow_style)

    def _agents(self, start: Any) -> None:
        document = self.document
        document.agents = agents = []
        document.agents_column = start.start_mark.column
        document.agents_flow = bool(start.flow_style)
        while type(event := self._next()) is not _SequenceEnd:
            if type(event) is _MappingStart:
                agents.append(self._agent(event))
            else:
                found = "a list" if type(event) is _SequenceStart else f"the text {quoted(event.value)}"
                document.complain(
                    f"agent number {len(agents) + 1} is {found}; expected a mapping with id and name",
                    event.start_mark.line + 1,
                )
                self._skip(event)
        mark = start.start_mark
        document.agents_mark = Mark(mark.line + 1, mark.index, event.end_mark.index)

    def _agent(self, start: Any) -> Entry:
        document = self.document
        mark = start.start_mark
        entry = Entry(line=mark.line + 1, start=mark.index, column=mark.column, flow=bool(start.flow_style))
        seen: set[str] = set()
        while type(event := self._next()) is not _MappingEnd:
            line = event.start_mark.line + 1
            key = self._key(event, seen, entry.line)
            value = self._next()
            if key is None or key not in AGENT_KEYS:
                self._skip(value)
                entry.inner_end = self.end
                if key is not None and (meant := _meant(key, AGENT_KEYS)):
                    document.complain(f"unknown key {quoted(key)} of an agent; write it {meant}", line)
                continue
            entry.fields[key], place = self._value(value)
            if self.detailed:
                entry.marks[key] = place
            # Absence is absence; whoever is called so has quotes around it.
            if key in AGENT_KEYS and not getattr(value, "style", "") and entry.fields[key] in _NULLS:
                del entry.fields[key]
            entry.inner_end = self.end
        entry.end = self.end
        return entry


class _JsonReader:
    """Reads agent by agent with the standard decoder, noting where each begins."""

    def __init__(self, document: Document, detailed: bool) -> None:
        self.document = document
        self.text = document.text
        self.detailed = detailed
        self.top: dict[str, Any] = {}
        self.values: list[Any] = []
        self.duplicates: list[str] = []
        self.decoder = json.JSONDecoder(
            object_pairs_hook=self._object, parse_int=str, parse_float=str, parse_constant=_nothing
        )

    def read(self) -> bool:
        """False if the text is no JSON at all."""
        document = self.document
        try:
            at = self._space(0)
            is_bare = self.text[at] == "["
            at = self._agents(at) if is_bare else self._top(at)
            if self.detailed:
                document.value = self.values if is_bare else self.top
            rest = self._space(at)
            remarks = (line.strip() for line in self.text[rest:].splitlines())
            if any(remark and not remark.startswith(_CLI_REMARK) for remark in remarks):
                document.give_up("has more text after the end of the JSON", self._line(rest))
        except json.JSONDecodeError as error:
            document.give_up(f"is not readable as JSON: {_lower_first(error.msg)}, column {error.colno}", error.lineno)
            return False
        except RecursionError:
            document.give_up("is nested too deeply")
        return True

    def _object(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        value = dict(pairs)
        if len(value) != len(pairs):
            keys = [key for key, _ in pairs]
            self.duplicates += sorted({key for key in keys if keys.count(key) > 1})
        return value

    def _decode(self, at: int) -> tuple[Any, int]:
        try:
            return self.decoder.raw_decode(self.text, at)
        except StopIteration as error:
            raise json.JSONDecodeError("a value is missing", self.text, error.value) from None

    def _space(self, at: int) -> int:
        found = _JSON_SPACE.match(self.text, at)
        return at if found is None else found.end()

    def _line(self, at: int) -> int:
        return _line_of(self.text, at)

    def _first(self, at: int, close: str) -> tuple[int, bool]:
        """Where the first item of the list or object that opens at `at` begins; or its end, and True, if empty."""
        at = self._space(at + 1)
        return (at + 1, True) if self.text[at : at + 1] == close else (at, False)

    def _following(self, at: int, close: str) -> tuple[int, bool]:
        """Where the item after the one that ends at `at` begins; or the end of the list or object, and True."""
        at = self._space(at)
        follows = self.text[at : at + 1]
        if follows == close:
            return at + 1, True
        if follows != ",":
            raise json.JSONDecodeError(f"expecting ',' or '{close}'", self.text, at)
        return self._space(at + 1), False

    def _top(self, at: int) -> int:
        document = self.document
        begin, closed = self._first(at, "}")
        while not closed:
            if self.text[begin : begin + 1] != '"':
                raise json.JSONDecodeError("expecting a key in double quotes", self.text, begin)
            key, end = self._decode(begin)
            end = self._space(end)
            if self.text[end : end + 1] != ":":
                raise json.JSONDecodeError("expecting ':'", self.text, end)
            end = self._space(end + 1)
            if key in self.top:
                document.complain(f"key {quoted(key)} stands twice; keep one of them", self._line(begin))
            if key == "agents" and self.text[end : end + 1] == "[":
                self.top[key] = self.values
                end = self._agents(end)
            else:
                place = end
                value, end = self._decode(end)
                self.duplicates.clear()
                self.top[key] = value if self.detailed else None
                if key == "agents":
                    found = "null" if value is None else _json_text(value)
                    found = found.name if isinstance(found, Shape) else quoted(found)
                    document.complain(f"agents is {found}; expected a list of agents", self._line(place))
                    document.agents = []
                elif key in TOP_KEYS and value is not None:
                    document.fields[key] = _json_text(value)
                    document.marks[key] = Mark(self._line(place), place, end)
                elif meant := _meant(key, TOP_KEYS):
                    # Other unknown keys are the platform's business: its exports are taken unchanged.
                    document.complain(f"unknown key {quoted(key)}; write it {meant}", self._line(begin))
            begin, closed = self._following(end, "}")
        return begin

    def _agents(self, at: int) -> int:
        document = self.document
        document.agents = agents = []
        document.agents_flow = True
        line, counted = 1, 0
        begin, closed = self._first(at, "]")
        while not closed:
            line += self.text.count("\n", counted, begin)
            counted = begin
            value, end = self._decode(begin)
            if isinstance(value, dict):
                entry = Entry(line=line, start=begin, end=end)
                for key, content in value.items():
                    if key in AGENT_KEYS:
                        if content is not None:
                            entry.fields[key] = _json_text(content)
                    elif meant := _meant(key, AGENT_KEYS):
                        document.complain(f"unknown key {quoted(key)} of an agent; write it {meant}", line)
                for key in self.duplicates:
                    document.complain(f"key {quoted(key)} stands twice in one agent; keep one of them", line)
                agents.append(entry)
                if self.detailed:
                    self.values.append(value)
            else:
                found = "null" if value is None else _json_text(value)
                found = found.name if isinstance(found, Shape) else quoted(found)
                document.complain(
                    f"agent number {len(agents) + 1} is {found}; expected an object with id and name", line
                )
            self.duplicates.clear()
            begin, closed = self._following(end, "]")
        return begin


def _nothing(_constant: str) -> None:
    """NaN and Infinity are no JSON (RFC 8259, section 6); Python writes them for what is not there."""


def _json_text(value: Any) -> str | Shape:
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    return Shape("a list" if isinstance(value, list) else "a mapping")


def _complain_of_top_key(document: Document, key: str, line: int) -> None:
    if key in EXPORT_KEYS:
        return
    if meant := _meant(key, TOP_KEYS):
        document.complain(f"unknown key {quoted(key)}; write it {meant}", line)
    else:
        document.complain(f"unknown key {quoted(key)}; expected {', '.join(TOP_KEYS)}", line)


@lru_cache(maxsize=1024)
def _meant(key: str, known: tuple[str, ...]) -> str | None:
    """The known key that `key` misspells: `createdAt`, `create_at`, `local-part`; short keys have no likeness."""
    plain = _plain(key)
    for candidate in known:
        other = _plain(candidate)
        if len(other) >= len("agents") and (
            plain == other or SequenceMatcher(None, plain, other).ratio() >= _TYPO_LIKENESS
        ):
            return candidate
    return None


def _plain(key: str) -> str:
    return "".join(character for character in key.lower() if character.isalnum())


def _line_of(text: str, at: int) -> int:
    return text.count("\n", 0, at) + 1


def _lower_first(sentence: str) -> str:
    return sentence[:1].lower() + sentence[1:]


def _yaml_sentence(error: yaml.MarkedYAMLError, text: str) -> str:
    mark = error.problem_mark
    if mark is not None and text[mark.index : mark.index + 1] == "\t":
        return f"has a tab at column {mark.column + 1}, where YAML allows only spaces; replace it"
    parts = [part for part in (error.context, error.problem) if part]
    column = "" if mark is None else f", column {mark.column + 1}"
    return f"is not readable as YAML: {', '.join(parts)}{column}"
