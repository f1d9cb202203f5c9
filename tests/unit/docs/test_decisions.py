"""Every decision record says its status and date, and stands in the index under its own title."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.unit.docs.pages import ROOT

FOLDER = ROOT / "docs" / "decisions"
RECORDS = sorted(path for path in FOLDER.glob("*.md") if path.name != "README.md")
STATUS = re.compile(r"Status: (accepted|superseded by (?P<successor>\d{3})) · \d{4}-\d{2}-\d{2}")


@pytest.mark.parametrize("record", RECORDS, ids=lambda path: path.name)
def test_a_record_says_number_status_and_date(record: Path) -> None:
    title, _, status, *_ = record.read_text().splitlines()
    assert title.startswith(f"# {record.name[:3]}: ")
    found = STATUS.fullmatch(status)
    assert found, (
        f"line 3 of {record.name} is {status!r}, expected `Status: accepted · DATE` or `Status: superseded by NUMBER · DATE`"
    )
    if successor := found["successor"]:
        assert [one.name for one in RECORDS if one.name.startswith(successor)], f"there is no record {successor}"


def test_no_number_is_given_twice() -> None:
    numbers = [record.name[:3] for record in RECORDS]
    assert len(numbers) == len(set(numbers))


def test_the_index_is_complete_and_in_order() -> None:
    wanted = [f"- [{record.read_text().splitlines()[0].removeprefix('# ')}]({record.name})" for record in RECORDS]
    listed = [line for line in (FOLDER / "README.md").read_text().splitlines() if line.startswith("- ")]
    assert listed == wanted, "docs/decisions/README.md lists every record by its title, in the order of their numbers"
