"""Filters, order and pages of the API's listings."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeVar

from emulators.cloudflare.errors import MalformedQueryError
from emulators.cloudflare.names import NameInvalidError, canonical_name
from emulators.cloudflare.records import RecordType, StoredRecord

T = TypeVar("T")

RECORDS_PER_PAGE = 100
MAX_RECORDS_PER_PAGE = 5_000_000
ZONES_PER_PAGE = 20
MAX_ZONES_PER_PAGE = 50
TUNNELS_PER_PAGE = 1000

_TEXT_TESTS: dict[str, Callable[[str, str], bool]] = {
    "exact": lambda value, wanted: value == wanted,
    "contains": lambda value, wanted: wanted in value,
    "startswith": lambda value, wanted: value.startswith(wanted),
    "endswith": lambda value, wanted: value.endswith(wanted),
}
_ORDERS: dict[str, Callable[[StoredRecord], object]] = {
    "type": lambda record: record.type.value,
    "name": lambda record: record.name,
    "content": lambda record: record.content,
    "ttl": lambda record: record.ttl,
    "proxied": lambda record: record.proxied,
}


def flag(query: Mapping[str, str], name: str) -> bool | None:
    value = query.get(name)
    if value is None or value == "":
        return None
    if value not in {"true", "false"}:
        raise MalformedQueryError(name, "true or false")
    return value == "true"


def choice(query: Mapping[str, str], name: str, allowed: Sequence[str]) -> str:
    """The query's value of `name`, which must be one of `allowed`; the first where it is not given."""
    value = query.get(name) or allowed[0]
    if value not in allowed:
        raise MalformedQueryError(name, " or ".join(allowed))
    return value


def number(query: Mapping[str, str], name: str, default: int, most: int | None = None) -> int:
    text = query.get(name) or str(default)
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    bound = f" and at most {most}" if most is not None else ""
    if not (value >= 1 and value == math.floor(value) and (most is None or value <= most)):
        raise MalformedQueryError(name, f"a whole number of at least 1{bound}")
    return int(value)


def page(items: Sequence[T], query: Mapping[str, str], *, per_page: int, most: int) -> tuple[list[T], dict[str, int]]:
    """One page of `items` and its `result_info`; a page beyond the last is empty."""
    size = number(query, "per_page", per_page, most)
    at = number(query, "page", 1)
    shown = list(items[(at - 1) * size : at * size])
    info = {
        "page": at,
        "per_page": size,
        "count": len(shown),
        "total_count": len(items),
        "total_pages": math.ceil(len(items) / size),
    }
    return shown, info


def _text_filters(
    query: Mapping[str, str], field: str, value_of: Callable[[StoredRecord], str | None]
) -> Iterable[Callable[[StoredRecord], bool]]:
    """Filters `field=`, `field.exact=`, `field.contains=` …: case-insensitive, as the API's are."""

    def test(name: str, wanted: str) -> Callable[[StoredRecord], bool]:
        compare = _TEXT_TESTS[name]

        def passes(record: StoredRecord) -> bool:
            value = value_of(record)
            return value is not None and compare(value.lower(), wanted.lower())

        return passes

    if query.get(field):
        yield test("exact", query[field])
    for name in _TEXT_TESTS:
        if query.get(f"{field}.{name}"):
            yield test(name, query[f"{field}.{name}"])


def _tag_filters(query: Mapping[str, str]) -> Iterable[Callable[[StoredRecord], bool]]:
    def tags_of(record: StoredRecord) -> list[tuple[str, str]]:
        return [(name, value) for name, _, value in (tag.lower().partition(":") for tag in record.tags)]

    def present(name: str) -> Callable[[StoredRecord], bool]:
        return lambda record: any(tag == name.lower() for tag, _ in tags_of(record))

    def test(name: str, wanted: str) -> Callable[[StoredRecord], bool]:
        tag, _, text = wanted.lower().partition(":")
        compare = _TEXT_TESTS[name]
        return lambda record: any(one == tag and compare(value, text) for one, value in tags_of(record))

    if query.get("tag"):
        yield test("exact", query["tag"])
    for name in _TEXT_TESTS:
        if query.get(f"tag.{name}"):
            yield test(name, query[f"tag.{name}"])
    if query.get("tag.present"):
        yield present(query["tag.present"])
    if query.get("tag.absent"):
        has = present(query["tag.absent"])
        yield lambda record: not has(record)


def _named(query: Mapping[str, str], zone: str) -> dict[str, str]:
    """The query with exact names as the zone stores them, so that IDNs and upper case are found."""
    named = dict(query)
    for key in ("name", "name.exact"):
        if named.get(key):
            try:
                named[key] = canonical_name(named[key], zone)
            except NameInvalidError:
                continue
    return named


def records(zone: str, ordered: Sequence[StoredRecord], query: Mapping[str, str]) -> Sequence[StoredRecord]:
    """The records that the query asks for, in its order; `ordered` is the default order."""
    query = _named(query, zone)
    filters: list[Callable[[StoredRecord], bool]] = []
    kind = query.get("type")
    if kind:
        if kind.upper() not in RecordType.__members__:
            raise MalformedQueryError("type", "a DNS record type")
        filters.append(lambda record: record.type.value == kind.upper())
    proxied = flag(query, "proxied")
    if proxied is not None:
        filters.append(lambda record: record.proxied is proxied)
    filters += _text_filters(query, "name", lambda record: record.name)
    filters += _text_filters(query, "content", lambda record: record.content)
    filters += _text_filters(query, "comment", lambda record: record.comment)
    if "comment.present" in query:
        filters.append(lambda record: record.comment is not None)
    if "comment.absent" in query:
        filters.append(lambda record: record.comment is None)
    matching: Sequence[StoredRecord] = ordered
    combine = all if choice(query, "match", ("all", "any")) == "all" else any
    if filters:
        matching = [record for record in matching if combine(test(record) for test in filters)]
    tags = list(_tag_filters(query))
    if tags:
        combine_tags = all if choice(query, "tag_match", ("all", "any")) == "all" else any
        matching = [record for record in matching if combine_tags(test(record) for test in tags)]
    search = query.get("search", "").lower()
    if search:
        matching = [
            record
            for record in matching
            if any(search in text.lower() for text in (record.name, record.content, record.comment or ""))
        ]
    order = query.get("order")
    direction = choice(query, "direction", ("asc", "desc"))
    if order is not None:
        key = _ORDERS[choice(query, "order", tuple(_ORDERS))]
        matching = sorted(matching, key=key)  # type: ignore[arg-type]
    return list(reversed(matching)) if direction == "desc" else matching
