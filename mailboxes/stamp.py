"""Creation stamps: a UTC second as 14 digits, `YYYYMMDDHHMMSS`."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import lru_cache

from mailboxes.errors import quoted

CLOCK_SKEW = timedelta(minutes=5)
"""A stamp this far ahead is not "in the future": another machine's clock may have made it a moment ago."""

Clock = Callable[[], datetime]

_STAMP = re.compile(r"([0-9]{4})([0-9]{2})([0-9]{2})([0-9]{2})([0-9]{2})([0-9]{2})")
_ISO_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_EXPECTED = "expected a UTC second as 14 digits, YYYYMMDDHHMMSS"


def utc_now() -> datetime:
    """The present moment, in UTC."""
    return datetime.now(UTC)


def format_stamp(moment: datetime) -> str:
    """The stamp of an aware moment."""
    return moment.astimezone(UTC).strftime("%Y%m%d%H%M%S")


@lru_cache(maxsize=4096)
def stamp_moment(stamp: str) -> datetime:
    """The moment that a stamp means. Raises ValueError, with the right spelling where the text is another one."""
    found = _STAMP.fullmatch(stamp)
    if found is None:
        raise ValueError(f"created_at {quoted(stamp)} {_why_no_stamp(stamp)}")
    year, month, day, hour, minute, second = (int(part) for part in found.groups())
    try:
        return datetime(year, month, day, hour, minute, second, tzinfo=UTC)
    except ValueError as error:
        raise ValueError(f"created_at {quoted(stamp)} is no real moment ({error}); {_EXPECTED}") from None


def check_passed(stamp: str, now: datetime) -> None:
    """Raises ValueError if the stamp lies after `now`, a little clock skew allowed."""
    if stamp_moment(stamp) > now + CLOCK_SKEW:
        raise ValueError(
            f"created_at {quoted(stamp)} lies in the future (it is now {format_stamp(now)} UTC); "
            "expected the UTC second in which the agents were created"
        )


def _why_no_stamp(text: str) -> str:
    try:
        moment = datetime.fromisoformat(text) if _ISO_DATE.match(text) else None
    except ValueError:
        moment = None
    if moment is None:
        return f"is no stamp; {_EXPECTED}"
    if len(text) == len("2024-10-05"):
        return f"has no time of day; {_EXPECTED}"
    if moment.tzinfo is None:
        return f"does not say that it is UTC; if it is, write {moment:%Y%m%d%H%M%S}"
    if moment.utcoffset():
        return f"is not UTC; write the UTC second, {format_stamp(moment)}"
    return f"is not written as a stamp; write {format_stamp(moment)}"
