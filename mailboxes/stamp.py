"""Creation stamps: a UTC second, as 14 digits (`YYYYMMDDHHMMSS`) in addresses, those or ISO 8601 in files."""

from __future__ import annotations

import re
from calendar import monthrange
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache

from mailboxes.errors import quoted

CLOCK_SKEW = timedelta(minutes=5)
"""A stamp this far ahead is not "in the future": another machine's clock may have made it a moment ago."""

Clock = Callable[[], datetime]

_STAMP = re.compile(r"([0-9]{4})([0-9]{2})([0-9]{2})([0-9]{2})([0-9]{2})([0-9]{2})")
# ISO 8601 in extended or basic form, as RFC 3339 and as databases print it: a blank instead of the T, a short offset.
_ISO = re.compile(
    r"([0-9]{4})(?P<dash>-?)([0-9]{2})(?P=dash)([0-9]{2})[Tt ]([0-9]{2})(?P<colon>:?)([0-9]{2})(?P=colon)([0-9]{2})"
    r"(?:[.,][0-9]+)? ?(?P<zone>[Zz]|UTC|(?P<sign>[+-])(?P<hours>[0-9]{2})(?::?(?P<minutes>[0-9]{2}))?)?"
)
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_EXPECTED = "expected a UTC second, YYYYMMDDHHMMSS or as ISO 8601, 2024-10-05T12:30:45Z"


def utc_now() -> datetime:
    """The present moment, in UTC."""
    return datetime.now(UTC)


def format_stamp(moment: datetime) -> str:
    """The stamp of an aware moment."""
    return moment.astimezone(UTC).strftime("%Y%m%d%H%M%S").rjust(14, "0")


def canonical_stamp(text: str) -> str:
    """The 14 digits of a stamp in either spelling; an offset is converted to UTC, a fraction of a second dropped.
    Raises ValueError."""
    return format_stamp(stamp_moment(text))


@lru_cache(maxsize=4096)
def stamp_moment(stamp: str) -> datetime:
    """The moment that a stamp means, in UTC. Raises ValueError."""
    stamp = stamp.strip()
    if found := _STAMP.fullmatch(stamp):
        return _moment(stamp, found.groups(), timedelta())
    found = _ISO.fullmatch(stamp)
    if found is None:
        why = "has no time of day" if _DATE.fullmatch(stamp) else "is no stamp"
        raise ValueError(f"created_at {quoted(stamp)} {why}; {_EXPECTED}")
    if found["zone"] is None:
        raise ValueError(f"created_at {quoted(stamp)} does not say that it is UTC; if it is, write Z behind it")
    hours, minutes = int(found["hours"] or 0), int(found["minutes"] or 0)
    if hours > 23 or minutes > 59:
        raise ValueError(f"created_at {quoted(stamp)} is no real moment (no such offset); {_EXPECTED}")
    offset = timedelta(hours=hours, minutes=minutes)
    return _moment(stamp, found.group(1, 3, 4, 5, 7, 8), -offset if found["sign"] == "-" else offset)


def _moment(stamp: str, parts: Sequence[str], offset: timedelta) -> datetime:
    year, month, day, hour, minute, second = (int(part) for part in parts)
    if wrong := _out_of_range(year, month, day, hour, minute, second):
        raise ValueError(f"created_at {quoted(stamp)} is no real moment ({wrong}); {_EXPECTED}")
    try:
        return datetime(year, month, day, hour, minute, second, tzinfo=UTC) - offset
    except OverflowError:
        raise ValueError(
            f"created_at {quoted(stamp)} is no real moment (in UTC it is not in the years 1 to 9999); {_EXPECTED}"
        ) from None


def _out_of_range(year: int, month: int, day: int, hour: int, minute: int, second: int) -> str:
    """Which part no calendar or clock has: in words of our own, for Python's differ from version to version."""
    days = monthrange(year, month)[1] if 1 <= year <= 9999 and 1 <= month <= 12 else 31
    for name, found, first, last in (
        ("year", year, 1, 9999),
        ("month", month, 1, 12),
        ("day", day, 1, days),
        ("hour", hour, 0, 23),
        ("minute", minute, 0, 59),
        ("second", second, 0, 59),
    ):
        if not first <= found <= last:
            return f"{name} {found}, of {first} to {last}"
    return ""


def is_ahead(stamp: str, now: datetime) -> bool:
    """Whether a stamp lies in the future, a little clock skew allowed. Raises ValueError."""
    return stamp_moment(stamp) > now + CLOCK_SKEW


def check_passed(stamp: str, now: datetime) -> None:
    """Raises ValueError if the stamp lies after `now`, a little clock skew allowed."""
    if is_ahead(stamp, now):
        raise ValueError(
            f"created_at {quoted(stamp)} lies in the future (it is now {format_stamp(now)} UTC); "
            "expected the UTC second in which the agents were created"
        )
