"""A small fixed part of `make chaos CHAOS=impostors`: every door of a gateway process, over the wire."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chaos.impostors import Outcome, impostors
from tests.unit.azmail.gateway.attempts import BOSS, ME
from tests.unit.azmail.gateway.parsers import is_from_nobody_else

pytestmark = pytest.mark.slow


def test_nobody_sends_as_somebody_else_and_honest_mail_passes(tmp_path: Path) -> None:
    outcomes = list(impostors(tmp_path, count=60, honest_count=30, seed=1))
    assert [outcome for outcome in outcomes if not outcome.is_well] == []
    assert all(outcome.refused > outcome.tried / 2 for outcome in outcomes if not outcome.must_pass)


@pytest.mark.parametrize(
    "octets",
    [
        f"From: {BOSS}\r\n\r\nx",
        f"From: {ME}\r\nFrom: {BOSS}\r\n\r\nx",
        f"From: {ME}\r\n\r\nx\n.\nMAIL FROM:<{BOSS}>",
        f'From: "{BOSS}" <{ME}>\r\n\r\nx',
        f"From: =?utf-8?q?boss=40d.example?= <{ME}>\r\n\r\nx",
        f"From: {ME}\r\nSender: {BOSS}\r\n\r\nx",
    ],
)
def test_the_judge_sees_what_is_wrong(octets: str) -> None:
    assert not is_from_nobody_else(octets.encode(), ME, victim=BOSS)


def test_what_is_not_well() -> None:
    assert not Outcome("x", tried=1, forwarded=2).is_well
    assert not Outcome("x", succeeded=[b"x"]).is_well
    assert not Outcome("x", tried=1, must_pass=True).is_well
