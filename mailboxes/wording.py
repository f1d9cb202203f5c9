"""Counts, lists and long values as a sentence has them; the one place for `a, b and 7 more` and for the ellipsis."""

from __future__ import annotations

from collections.abc import Sequence

_SHOWN = 3


def first_few(names: Sequence[str], shown: int = _SHOWN) -> str:
    """`a, b, c and 7 more`."""
    listed = ", ".join(names[:shown])
    return listed if len(names) <= shown else f"{listed} and {len(names) - shown:,} more"


def counted(number: int, noun: str) -> str:
    """`1 route`, `1,240 mailboxes`."""
    if number == 1:
        return f"1 {noun}"
    return f"{number:,} {noun}{'es' if noun.endswith(('s', 'x')) else 's'}"


def shortened(text: str, limit: int) -> str:
    """`text` in at most `limit` characters; what is cut off leaves an ellipsis."""
    return text if len(text) <= limit else text[: limit - 1] + "…"
