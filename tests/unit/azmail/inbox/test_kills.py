"""A small size of `make chaos CHAOS=inbox`: replicas, workers and PostgreSQL are killed while mail comes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chaos.inbox import run_inbox
from tests.postgres import PostgresServerOfTests

pytestmark = pytest.mark.slow


@pytest.fixture
def postgres() -> Iterator[PostgresServerOfTests]:
    server = PostgresServerOfTests()
    yield server
    server.close()


def test_nothing_is_lost_and_nothing_runs_again_after_its_mark(tmp_path: Path, postgres: PostgresServerOfTests) -> None:
    outcome = run_inbox(postgres.url, tmp_path, mails=80, kills=2, seed=4, postgres=postgres)
    assert outcome.is_well, outcome
    assert outcome.kills.total() == 2
    assert outcome.kills["PostgreSQL"] == 1
