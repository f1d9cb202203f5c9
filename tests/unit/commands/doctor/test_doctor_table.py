"""What a person and what a program gets to read."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from commands.doctor.finding import Check, Status, worst
from commands.doctor.table import as_json, as_table, totals
from mailboxes.wording import first_few

ZONE = Check("zone")
FINDINGS = [
    ZONE.ok("MX a.example", "There."),
    ZONE.warning("TXT a.example", "It is long. " * 20),
    Check("webhook").error("https://a.example", "Nobody answers: start it."),
]
words = st.text(alphabet="abc é:/.", min_size=1, max_size=80)


class TestTable:
    def test_rows_in_columns(self) -> None:
        lines = as_table(FINDINGS, columns=80).splitlines()
        assert lines[0] == "STATUS   CHECK    FINDING"
        assert lines[1] == "ok       zone     MX a.example: There."
        assert lines[-1] == "1 ok, 1 warning, 1 error"
        assert max(map(len, lines)) <= 80

    def test_colour_is_for_terminals(self) -> None:
        assert "\x1b[" not in as_table(FINDINGS)
        assert "\x1b[31merror  \x1b[0m" in as_table(FINDINGS, colour=True)

    def test_nothing_found(self) -> None:
        assert as_table([]) == "STATUS  CHECK  FINDING\n\n0 ok, 0 warnings, 0 errors\n"

    @given(st.lists(st.tuples(words, words)), st.integers(min_value=20, max_value=200))
    def test_nothing_is_lost(self, pairs: list[tuple[str, str]], columns: int) -> None:
        table = as_table([ZONE.ok(subject, sentence) for subject, sentence in pairs], columns=columns)
        for subject, sentence in pairs:
            for word in f"{subject}: {sentence}".split():
                assert word in table

    def test_totals(self) -> None:
        assert totals(FINDINGS * 2) == "2 ok, 2 warnings, 2 errors"


def test_json() -> None:
    shown = json.loads(as_json("dev", FINDINGS))
    assert shown["stack"] == "dev"
    assert shown["counts"] == {"ok": 1, "warning": 1, "error": 1}
    assert shown["findings"][0] == {"check": "zone", "subject": "MX a.example", "status": "ok", "sentence": "There."}


def test_the_worst_counts() -> None:
    assert worst([]) is Status.OK
    assert worst(FINDINGS[:2]) is Status.WARNING
    assert worst(FINDINGS) is Status.ERROR


def test_names_are_cut() -> None:
    assert first_few(["a", "b"]) == "a, b"
    assert first_few(list("abcde")) == "a, b, c and 2 more"
