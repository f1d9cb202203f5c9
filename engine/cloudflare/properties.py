"""Property values as the engine sends them over gRPC, and as plain Python.

A value is None, bool, int, float, str, list, dict, `UNKNOWN` (a preview does not know it yet) or a `Secret` around
another value. In the protobuf Struct, unknowns are strings and secrets are objects with reserved contents.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from google.protobuf.struct_pb2 import ListValue, Struct, Value

_SIGNATURE: Final = "4dabf18193072939515e22adb298388d"
_SECRET: Final = "1b47061264138c4ac30d75fd1eb44270"  # noqa: S105
_UNKNOWN: Final = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
_UNKNOWNS: Final = frozenset(
    {
        _UNKNOWN,
        "1c4a061d-8072-4f0a-a4cb-0ff528b18fe7",  # boolean
        "3eeb2bf0-c639-47a8-9e75-3b44932eb421",  # number
        "6a19a0b0-7e62-4c92-b797-7f8e31da9cc2",  # array
        "dd056dcd-154b-4c76-9bd3-c8f88648b5ff",  # object
    }
)


class Unknown(enum.Enum):
    """A value that a preview cannot know."""

    UNKNOWN = "unknown"


UNKNOWN: Final = Unknown.UNKNOWN


@dataclass(frozen=True)
class Secret:
    """A value that the engine encrypts in state and hides on the terminal."""

    value: Any = field(repr=False)


Properties = dict[str, Any]


def from_struct(struct: Struct) -> Properties:
    """Decode what the engine sent; null properties are left out, whole numbers become int."""
    return _from_fields(struct)


def to_struct(properties: Mapping[str, Any]) -> Struct:
    """Encode for the engine; properties that are None are left out."""
    struct = Struct()
    for key, value in properties.items():
        if value is not None:
            struct.fields[key].CopyFrom(_to_value(value))
    return struct


def plain(value: Any) -> Any:
    """The value without its secret marks, at any depth."""
    if isinstance(value, Secret):
        return plain(value.value)
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return value


def marked_like(value: Any, marked: Any) -> Any:
    """The plain value with secret marks wherever `marked` has them.

    A list whose length differs from its counterpart's becomes a secret as a whole if that has a secret anywhere:
    its items cannot be told apart.
    """
    if value is None or not _has_secret(marked):
        return value
    if isinstance(marked, Secret):
        return Secret(value)
    if isinstance(value, dict) and isinstance(marked, dict):
        return {key: marked_like(item, marked.get(key)) for key, item in value.items()}
    if isinstance(value, list) and isinstance(marked, list) and len(value) == len(marked):
        return [marked_like(item, like) for item, like in zip(value, marked, strict=True)]
    return Secret(value)


def _has_secret(value: Any) -> bool:
    if isinstance(value, Secret):
        return True
    if isinstance(value, dict):
        return any(_has_secret(item) for item in value.values())
    if isinstance(value, list):
        return any(_has_secret(item) for item in value)
    return False


def _from_fields(struct: Struct) -> Properties:
    return {key: _from_value(value) for key, value in struct.fields.items() if value.WhichOneof("kind") != "null_value"}


def _from_value(value: Value) -> Any:
    kind = value.WhichOneof("kind")
    if kind == "struct_value":
        fields = value.struct_value.fields
        if _SIGNATURE in fields and fields[_SIGNATURE].string_value == _SECRET:
            return Secret(_from_value(fields["value"]) if "value" in fields else None)
        return _from_fields(value.struct_value)
    if kind == "list_value":
        return [_from_value(item) for item in value.list_value.values]
    if kind == "string_value":
        return UNKNOWN if value.string_value in _UNKNOWNS else value.string_value
    if kind == "number_value":
        return whole(value.number_value)
    if kind == "bool_value":
        return value.bool_value
    return None


def whole(number: float) -> int | float:
    """The number without decimals if it has none: the API gets 300, not 300.0."""
    return int(number) if math.isfinite(number) and number == int(number) else number


def _to_value(value: Any) -> Value:
    if value is None:
        return Value(null_value=0)
    if value is UNKNOWN:
        return Value(string_value=_UNKNOWN)
    if isinstance(value, Secret):
        return _to_value({_SIGNATURE: _SECRET, "value": value.value})
    if isinstance(value, bool):
        return Value(bool_value=value)
    if isinstance(value, int | float):
        return Value(number_value=value)
    if isinstance(value, str):
        return Value(string_value=value)
    if isinstance(value, dict):
        return Value(struct_value=to_struct(value))
    return Value(list_value=ListValue(values=[_to_value(item) for item in value]))
