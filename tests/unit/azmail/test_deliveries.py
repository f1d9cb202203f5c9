"""Claims on deliveries: the same rules for memory and SQLite."""

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from azmail import ClaimResult, DeliveryStore, MemoryDeliveries, SqliteDeliveries, WebhookConfigError

LEASE = 60.0
RETENTION = 1000.0


class Clock:
    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, clock: Clock, tmp_path: Path) -> Iterator[DeliveryStore]:
    if request.param == "memory":
        yield MemoryDeliveries(retention_seconds=RETENTION, clock=clock)
    else:
        sqlite = SqliteDeliveries(tmp_path / "deliveries.sqlite", retention_seconds=RETENTION, clock=clock)
        yield sqlite
        sqlite.close()


def test_a_claim_excludes_others_until_done(store: DeliveryStore) -> None:
    assert store.claim("k", "one", LEASE) is ClaimResult.GRANTED
    assert store.claim("k", "two", LEASE) is ClaimResult.BUSY
    assert store.claim("other", "two", LEASE) is ClaimResult.GRANTED
    store.done("k", "one")
    assert store.claim("k", "two", LEASE) is ClaimResult.DONE
    assert store.claim("k", "one", LEASE) is ClaimResult.DONE


def test_a_released_claim_is_free(store: DeliveryStore) -> None:
    store.claim("k", "one", LEASE)
    store.release("k", "two")
    assert store.claim("k", "two", LEASE) is ClaimResult.BUSY
    store.release("k", "one")
    assert store.claim("k", "two", LEASE) is ClaimResult.GRANTED


def test_the_claim_of_a_dead_owner_ends_with_its_lease(store: DeliveryStore, clock: Clock) -> None:
    store.claim("k", "one", LEASE)
    clock.now += LEASE - 1
    assert store.claim("k", "two", LEASE) is ClaimResult.BUSY
    store.renew("k", "one", LEASE)
    store.renew("k", "two", 9 * LEASE)
    clock.now += LEASE - 1
    assert store.claim("k", "two", LEASE) is ClaimResult.BUSY
    clock.now += 2
    assert store.claim("k", "two", LEASE) is ClaimResult.GRANTED


def test_a_late_owner_who_finishes_marks_it_done(store: DeliveryStore, clock: Clock) -> None:
    store.claim("k", "one", LEASE)
    clock.now += LEASE + 1
    store.claim("k", "two", LEASE)
    store.done("k", "one")
    store.release("k", "two")
    assert store.claim("k", "three", LEASE) is ClaimResult.DONE


def test_done_is_forgotten_after_the_retention(store: DeliveryStore, clock: Clock) -> None:
    store.claim("k", "one", LEASE)
    store.done("k", "one")
    clock.now += RETENTION - 1
    assert store.claim("k", "two", LEASE) is ClaimResult.DONE
    clock.now += 2
    assert store.claim("k", "two", LEASE) is ClaimResult.GRANTED


def test_one_of_many_threads_gets_the_claim(store: DeliveryStore) -> None:
    start = threading.Barrier(16)

    def claim(owner: int) -> ClaimResult:
        start.wait(10)
        return store.claim("k", str(owner), LEASE)

    with ThreadPoolExecutor(16) as threads:
        claims = list(threads.map(claim, range(16)))
    assert sorted(claims) == [ClaimResult.BUSY] * 15 + [ClaimResult.GRANTED]


def test_memory_keeps_a_bounded_number(clock: Clock) -> None:
    store = MemoryDeliveries(most=3, clock=clock)
    for key in "abcde":
        store.claim(key, "one", LEASE)
        store.done(key, "one")
    assert [store.claim(key, "two", LEASE) for key in "ae"] == [ClaimResult.GRANTED, ClaimResult.DONE]


class TestSqlite:
    def test_a_file_that_cannot_be_used_is_named(self, tmp_path: Path) -> None:
        text = tmp_path / "notes.txt"
        text.write_text("no database, however long this text may be" * 100)
        for path in (tmp_path / "absent" / "deliveries.sqlite", text):
            with pytest.raises(WebhookConfigError, match=path.name):
                SqliteDeliveries(path)

    def test_two_processes_share_and_a_restart_remembers(self, tmp_path: Path, clock: Clock) -> None:
        file = tmp_path / "deliveries.sqlite"
        make: Callable[[], SqliteDeliveries] = lambda: SqliteDeliveries(file, clock=clock)  # noqa: E731
        first, second = make(), make()
        assert first.claim("k", "one", LEASE) is ClaimResult.GRANTED
        assert second.claim("k", "two", LEASE) is ClaimResult.BUSY
        first.done("k", "one")
        first.close()
        second.close()
        third = make()
        assert third.claim("k", "three", LEASE) is ClaimResult.DONE
        third.close()


class TestClocks:
    """Nobody's setting of the time of day gives a claim away, forgets what is done or keeps a dead owner's claim."""

    @given(jumps=st.lists(st.sampled_from([61.0, 8 * 86400.0, -86400.0, -(10.0**9), 10.0**9]), min_size=1, max_size=4))
    @settings(max_examples=15, deadline=None)
    def test_a_jump_of_the_time_of_day_changes_nothing(self, jumps: list[float]) -> None:
        with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
            wall = [time.time()]
            patch.setattr("azmail.deliveries.time.time", lambda: wall[0])
            file = Path(folder) / "deliveries.sqlite"
            one, other = SqliteDeliveries(file), SqliteDeliveries(file)
            memory = MemoryDeliveries()
            for store in (one, memory):
                assert store.claim("held", "one", LEASE) is ClaimResult.GRANTED
                assert store.claim("finished", "one", LEASE) is ClaimResult.GRANTED
                store.done("finished", "one")
            for jump in jumps:
                wall[0] += jump
                fresh = SqliteDeliveries(file)
                for another in (other, fresh, memory):
                    assert another.claim("held", "two", LEASE) is ClaimResult.BUSY
                    assert another.claim("finished", "two", LEASE) is ClaimResult.DONE
                fresh.close()
            one.close()
            other.close()

    @given(st.lists(st.tuples(st.booleans(), st.floats(0, 50)), min_size=1, max_size=20))
    @settings(max_examples=30, deadline=None)
    def test_the_files_time_is_that_of_whoever_saw_most_pass(self, steps: list[tuple[bool, float]]) -> None:
        """Two processes with clocks of different origin: a dead owner's claim ends after its lease, not before."""
        with TemporaryDirectory() as folder:
            file = Path(folder) / "deliveries.sqlite"
            passed = [0.0]
            one = SqliteDeliveries(file, clock=lambda: 5.0 + passed[0])
            two = SqliteDeliveries(file, clock=lambda: 10.0**6 + passed[0])
            one.claim("k", "dead", LEASE)
            two.claim("other", "two", LEASE)
            for first, seconds in steps:
                passed[0] += seconds
                store = one if first else two
                claim = store.claim("k", f"new {passed[0]}", LEASE)
                if passed[0] > LEASE + 0.01:
                    assert claim is ClaimResult.GRANTED
                    break
                if passed[0] < LEASE - 0.01:
                    assert claim is ClaimResult.BUSY
                else:
                    break
            one.close()
            two.close()

    def test_a_file_of_an_older_version(self, tmp_path: Path, clock: Clock) -> None:
        """Its rows are by the time of day, and one may be years ahead."""
        file = tmp_path / "deliveries.sqlite"
        with closing(sqlite3.connect(file)) as database, database:
            database.execute(
                "CREATE TABLE deliveries (key TEXT PRIMARY KEY, owner TEXT NOT NULL, done INTEGER NOT NULL, "
                "until REAL NOT NULL) WITHOUT ROWID"
            )
            rows = [("done", "a", 1, time.time() + 500), ("dead", "a", 0, time.time() + 10**9), ("old", "a", 1, 5.0)]
            database.executemany("INSERT INTO deliveries VALUES (?, ?, ?, ?)", rows)
        store = SqliteDeliveries(file, clock=clock)
        claims = [store.claim(key, "b", LEASE) for key in ("done", "dead", "old")]
        assert claims == [ClaimResult.DONE, ClaimResult.BUSY, ClaimResult.GRANTED]
        clock.now += 601
        assert store.claim("dead", "b", LEASE) is ClaimResult.GRANTED
        store.close()
