"""Tables of properties, and what can be done with any table: check, compare, send and read.

A table names each property as Pulumi does (camelCase) and as Cloudflare's API does. The functions here are pure.
"""

from __future__ import annotations

import copy
import enum
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from engine.cloudflare.properties import UNKNOWN, Properties, whole


class Kind(enum.StrEnum):
    """What a property holds. JSON is JSON text in Pulumi and any value in the API; SCALAR a string or a number."""

    STRING = "string"
    NUMBER = "number"
    INTEGER = "integer"
    BOOLEAN = "boolean"
    OBJECT = "object"
    LIST = "list"
    JSON = "json"
    SCALAR = "scalar"


class Role(enum.StrEnum):
    """Who decides a property: the program, or the API, or the API where the program says nothing."""

    REQUIRED = "required"
    OPTIONAL = "optional"
    COMPUTED_OPTIONAL = "computed optional"
    COMPUTED = "computed"


class Change(enum.StrEnum):
    ADD = "add"
    UPDATE = "update"
    DELETE = "delete"


@dataclass(frozen=True)
class Failure:
    """Why an input is refused. `property` is a path such as `config.ingresses[0].service`."""

    property: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class Field:
    """One property.

    `api` defaults to the snake_case of `name`. `of` are the members of an OBJECT, or of each item of a LIST; a LIST
    without them holds strings. `is_set` lists have no order. `in_path` properties stand in the URL, never in a body.
    """

    name: str
    kind: Kind
    role: Role = Role.OPTIONAL
    api: str = ""
    of: tuple[Field, ...] = ()
    is_set: bool = False
    in_path: bool = False
    replaces: bool = False
    secret: bool = False

    @property
    def key(self) -> str:
        return self.api or snake_case(self.name)

    @property
    def is_input(self) -> bool:
        return self.role is not Role.COMPUTED


Table = Sequence[Field]


def snake_case(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])([A-Z])", r"_\1", name).lower()


def inputs_of(table: Table) -> tuple[Field, ...]:
    return tuple(field for field in table if field.is_input)


# Checking what a program gives


def check(table: Table, inputs: Mapping[str, Any], path: str = "") -> Iterator[Failure]:
    """Every unknown, missing or mistyped property. Unknown values pass; no value is ever quoted."""
    known = {field.name: field for field in inputs_of(table)}
    for name in inputs:
        if name not in known and not name.startswith("__"):
            yield Failure(
                path + name,
                f"Property '{path + name}' is not supported by this stand-in for the Cloudflare plugin: expected one "
                f"of {', '.join(sorted(known))}.",
            )
    for name, field in known.items():
        value = inputs.get(name)
        if value is UNKNOWN:
            continue
        if value is None:
            if field.role is Role.REQUIRED:
                yield Failure(path + name, f"Missing required property '{path + name}'.")
        else:
            yield from _check_value(field, value, path + name)


def _check_value(field: Field, value: Any, path: str) -> Iterator[Failure]:
    if not _fits(field.kind, value):
        yield Failure(path, f"Property '{path}' must be {_described(field.kind)}, got {_found(value)}.")
    elif field.kind is Kind.OBJECT:
        yield from check(field.of, value, f"{path}.")
    elif field.kind is Kind.LIST:
        for index, item in enumerate(value):
            if item is UNKNOWN:
                continue
            where = f"{path}[{index}]"
            wanted = Kind.OBJECT if field.of else Kind.STRING
            if not _fits(wanted, item):
                yield Failure(where, f"Property '{where}' must be {_described(wanted)}, got {_found(item)}.")
            elif field.of:
                yield from check(field.of, item, f"{where}.")


def _fits(kind: Kind, value: Any) -> bool:
    if kind in (Kind.STRING, Kind.JSON):
        return isinstance(value, str)
    if kind is Kind.BOOLEAN:
        return isinstance(value, bool)
    if kind is Kind.OBJECT:
        return isinstance(value, dict)
    if kind is Kind.LIST:
        return isinstance(value, list)
    if isinstance(value, bool):
        return False
    if kind is Kind.INTEGER:
        return isinstance(value, int) or (isinstance(value, float) and value.is_integer())
    if kind is Kind.SCALAR:
        return isinstance(value, str | int | float)
    return isinstance(value, int | float)


def _described(kind: Kind) -> str:
    return {
        Kind.INTEGER: "a whole number",
        Kind.OBJECT: "an object",
        Kind.SCALAR: "a string or a number",
        Kind.JSON: "JSON text",
    }.get(kind, f"a {kind}")


def _found(value: Any) -> str:
    for kind in (Kind.STRING, Kind.BOOLEAN, Kind.OBJECT, Kind.LIST, Kind.NUMBER):
        if _fits(kind, value):
            return _described(kind)
    return "null"


# Comparing state with what is planned


def compare(table: Table, state: Mapping[str, Any], planned: Mapping[str, Any]) -> dict[str, Change]:
    """Paths of the inputs in `table` that differ, each with what happens to it. Absent and null are the same."""
    changes: dict[str, Change] = {}
    for field in inputs_of(table):
        changes.update(_differences(field.name, state.get(field.name), planned.get(field.name)))
    return changes


def same(old: Any, new: Any) -> bool:
    return not any(_differences("", old, new))


def _differences(path: str, old: Any, new: Any) -> Iterator[tuple[str, Change]]:
    if old is None and new is None:
        return
    if old is None:
        yield path, Change.ADD
    elif new is None:
        yield path, Change.DELETE
    elif isinstance(old, dict) and isinstance(new, dict):
        for name in sorted({*old, *new}):
            yield from _differences(f"{path}.{name}", old.get(name), new.get(name))
    elif isinstance(old, list) and isinstance(new, list):
        for index in range(max(len(old), len(new))):
            yield from _differences(f"{path}[{index}]", _item(old, index), _item(new, index))
    elif isinstance(old, bool) is not isinstance(new, bool) or old != new:
        yield path, Change.UPDATE


def _item(items: list[Any], index: int) -> Any:
    return items[index] if index < len(items) else None


# Sending to the API and reading from it


def body(table: Table, planned: Mapping[str, Any], state: Mapping[str, Any]) -> Properties:
    """The JSON object that stores `planned`.

    What is unset is left out, or is an explicit null where `state` had a value; items of lists are sent whole.
    """
    sent: Properties = {}
    for field in sorted(inputs_of(table), key=lambda field: field.key):
        value, before = planned.get(field.name), state.get(field.name)
        if field.in_path or value is UNKNOWN or (value is None and before in (None, UNKNOWN)):
            continue
        sent[field.key] = None if value is None else _sent(field, value, before)
    return sent


def _sent(field: Field, value: Any, before: Any) -> Any:
    if field.kind is Kind.OBJECT:
        return body(field.of, value, before if isinstance(before, dict) else {})
    if field.kind is Kind.LIST:
        items = [body(field.of, item, {}) for item in value] if field.of else list(value)
        return sorted(items) if field.is_set else items
    return whole(value) if isinstance(value, float) else value


def changed_body(table: Table, planned: Mapping[str, Any], state: Mapping[str, Any]) -> Properties:
    """The JSON object that changes only what differs."""
    changed = [field for field in table if not same(state.get(field.name), planned.get(field.name))]
    return body(changed, planned, state)


def read(table: Table, result: Any) -> Properties:
    """The properties in an answer's `result`. Keys outside the table, nulls and mistyped values are left out."""
    if not isinstance(result, dict):
        return {}
    found: Properties = {}
    for field in table:
        if not field.in_path and (value := _read_value(field, result.get(field.key))) is not None:
            found[field.name] = value
    return found


def _read_value(field: Field, value: Any) -> Any:
    if value is None:
        return None
    if field.kind is Kind.JSON:
        return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    if not _fits(field.kind, value):
        return None
    if field.kind is Kind.OBJECT:
        return read(field.of, value)
    if field.kind is Kind.LIST:
        if field.of:
            return [read(field.of, item) for item in value if isinstance(item, dict)]
        items = [item for item in value if isinstance(item, str)]
        return sorted(items) if field.is_set else items
    return whole(value) if isinstance(value, float) else value


# Paths


def top_level(path: str) -> str:
    """The property that a path begins with: `config` of `config.ingresses[0]`."""
    return path.split(".", 1)[0].split("[", 1)[0]


_STEP = re.compile(r'([^.\[\]"]+)|\[(\d+)\]|\["((?:[^"\\]|\\.)*)"\]')


def restore(target: Properties, source: Mapping[str, Any], paths: Iterable[str]) -> Properties:
    """A copy of `target` whose values at `paths` are those of `source` (`ignoreChanges`)."""
    restored = copy.deepcopy(target)
    for path in paths:
        steps: list[str | int] = [
            int(index) if index else name or quoted.replace('\\"', '"') for name, index, quoted in _STEP.findall(path)
        ]
        _restore(restored, source, steps)
    return restored


def _restore(target: Any, source: Any, steps: list[str | int]) -> None:
    step, rest = steps[0], steps[1:]
    kept = _at(source, step)
    if rest:
        inner = _at(target, step)
        if isinstance(inner, dict | list):
            _restore(inner, kept, rest)
    elif isinstance(target, dict):
        if kept is None:
            target.pop(step, None)
        else:
            target[step] = kept
    elif isinstance(target, list) and isinstance(step, int) and step < len(target) and kept is not None:
        target[step] = kept


def _at(value: Any, step: str | int) -> Any:
    if isinstance(value, dict):
        return value.get(step)
    if isinstance(value, list) and isinstance(step, int):
        return _item(value, step)
    return None
