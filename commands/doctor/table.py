"""The findings as a table for a terminal, and as JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence

from commands.cli.console import wrapped
from commands.doctor.finding import Finding, Status

_COLOURS = {Status.OK: "32", Status.WARNING: "33", Status.ERROR: "31"}
_NARROWEST = 40
"""Columns that the sentences get even in the narrowest terminal."""


WIDEST_STATUS = max(len(status) for status in Status)
WIDEST_CHECK = len("configuration")
"""Of all checks: rows are shown one by one, before the next check is made."""


def as_table(findings: Sequence[Finding], *, columns: int = 120, colour: bool = False) -> str:
    """A row for each finding, `SUBJECT: SENTENCE` wrapped in the last column, then the totals."""
    status = max(len("STATUS"), *(len(item.status) for item in findings), 0)
    check = max(len("CHECK"), *(len(item.check) for item in findings), 0)
    lines = [heading(status=status, check=check)]
    lines += [row(item, columns=columns, colour=colour, status=status, check=check) for item in findings]
    return "\n".join([*lines, "", totals(findings)]) + "\n"


def heading(*, status: int = WIDEST_STATUS, check: int = WIDEST_CHECK) -> str:
    """The table's first line; `status` and `check`: the width of these columns."""
    return f"{'STATUS':<{status}}  {'CHECK':<{check}}  FINDING"


def row(item: Finding, *, columns: int, colour: bool, status: int = WIDEST_STATUS, check: int = WIDEST_CHECK) -> str:
    """One finding, of one line or more."""
    margin = status + check + 4
    shown = f"{item.status:<{status}}"
    if colour:
        shown = f"\x1b[{_COLOURS[item.status]}m{shown}\x1b[0m"
    head, *rest = wrapped(f"{item.subject}: {item.sentence}", max(columns - margin, _NARROWEST))
    return "\n".join([f"{shown}  {item.check:<{check}}  {head}", *(" " * margin + line for line in rest)])


def totals(findings: Sequence[Finding]) -> str:
    """`12 ok, 1 warning, 2 errors`."""
    counts = {status: sum(item.status is status for item in findings) for status in Status}
    plural = {status: "" if counts[status] == 1 else "s" for status in Status}
    rest = [f"{counts[status]} {status}{plural[status]}" for status in (Status.WARNING, Status.ERROR)]
    return ", ".join([f"{counts[Status.OK]} ok", *rest])


def as_json(stack: str, findings: Sequence[Finding]) -> str:
    """`{"stack", "counts", "findings"}`, for other programs."""
    counts = {str(status): sum(item.status is status for item in findings) for status in Status}
    shown = {"stack": stack, "counts": counts, "findings": [item.public() for item in findings]}
    return json.dumps(shown, indent=2, ensure_ascii=False)
