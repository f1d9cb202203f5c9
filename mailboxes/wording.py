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


def one_or_list(problems: Sequence[str], *, heading: str, lead: str = "") -> str:
    """The only problem after `lead`, or `heading:` and a line for each."""
    if len(problems) == 1:
        return f"{lead}{problems[0]}"
    return "\n".join([f"{heading}:", *(f"  - {problem}" for problem in problems)])


def first_lines(lines: Sequence[str], shown: int) -> list[str]:
    """Each on a line of its own, indented; the last line counts those beyond `shown`."""
    more = [f"  and {len(lines) - shown:,} more"] if len(lines) > shown else []
    return [f"  {line}" for line in lines[:shown]] + more


def shortened(text: str, limit: int) -> str:
    """`text` in at most `limit` characters; what is cut off leaves an ellipsis."""
    return text if len(text) <= limit else text[: limit - 1] + "…"
