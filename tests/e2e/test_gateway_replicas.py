"""A small fixed part of `make chaos CHAOS=gateway`: replicas as processes while four agents send by both doors."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chaos.gateway import GatewayOutcome, SentMail, kills, rotations_and_a_revocation
from tests.postgres import PostgresServerOfTests
from tests.profiles import FULL
from tests.unit.azmail.databases import empty_database


@pytest.fixture(scope="module")
def postgres() -> Iterator[PostgresServerOfTests]:
    server = PostgresServerOfTests()
    yield server
    server.close()


def test_rotations_leave_no_gap_and_a_revocation_counts_on_both(
    postgres: PostgresServerOfTests, tmp_path: Path
) -> None:
    with empty_database(postgres.plain_url) as url:
        outcome = rotations_and_a_revocation(tmp_path, url, mails=160 if FULL else 80, seed=1)
    assert outcome.is_well, outcome
    assert outcome.told("unknown") == 0


def test_kills_and_a_database_that_goes_away(postgres: PostgresServerOfTests, tmp_path: Path) -> None:
    outcome = kills(tmp_path, postgres.url, mails=96 if FULL else 64, seed=1, count=2, postgres=postgres)
    assert outcome.is_well, outcome
    assert outcome.answers["left"] > 0
    assert outcome.answers["451"] + outcome.answers["503"] > 0


def test_one_replica_on_sqlite_is_killed(tmp_path: Path) -> None:
    outcome = kills(tmp_path, f"sqlite:///{tmp_path}/ledger.sqlite", mails=48 if FULL else 32, seed=2, count=1)
    assert outcome.is_well, outcome


def test_the_checks_see_what_is_wrong() -> None:
    mails = [SentMail(f"mail-{number}", 0, True, False, "accepted") for number in range(2)]
    lost = GatewayOutcome(mails=mails, got=["mail-0"])
    twice = GatewayOutcome(mails=mails, got=["mail-0", "mail-1", "mail-1"])
    assert (lost.lost, twice.twice) == (["mail-1"], ["mail-1"])
    assert not lost.is_well
    assert not twice.is_well
    assert not GatewayOutcome(sent_while_away=1).is_well
    assert not GatewayOutcome(accepted_too_late=["mail-0"]).is_well
