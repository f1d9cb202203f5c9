"""Claims on deliveries: the same rules for memory and SQLite."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from azmail import Claim, DeliveryStore, MemoryDeliveries, SqliteDeliveries, WebhookConfigError

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
    assert store.claim("k", "one", LEASE) is Claim.GRANTED
    assert store.claim("k", "two", LEASE) is Claim.BUSY
    assert store.claim("other", "two", LEASE) is Claim.GRANTED
    store.done("k", "one")
    assert store.claim("k", "two", LEASE) is Claim.DONE
    assert store.claim("k", "one", LEASE) is Claim.DONE


def test_a_released_claim_is_free(store: DeliveryStore) -> None:
    store.claim("k", "one", LEASE)
    store.release("k", "two")
    assert store.claim("k", "two", LEASE) is Claim.BUSY
    store.release("k", "one")
    assert store.claim("k", "two", LEASE) is Claim.GRANTED


def test_the_claim_of_a_dead_owner_ends_with_its_lease(store: DeliveryStore, clock: Clock) -> None:
    store.claim("k", "one", LEASE)
    clock.now += LEASE - 1
    assert store.claim("k", "two", LEASE) is Claim.BUSY
    store.renew("k", "one", LEASE)
    store.renew("k", "two", 9 * LEASE)
    clock.now += LEASE - 1
    assert store.claim("k", "two", LEASE) is Claim.BUSY
    clock.now += 2
    assert store.claim("k", "two", LEASE) is Claim.GRANTED


def test_a_late_owner_who_finishes_marks_it_done(store: DeliveryStore, clock: Clock) -> None:
    store.claim("k", "one", LEASE)
    clock.now += LEASE + 1
    store.claim("k", "two", LEASE)
    store.done("k", "one")
    store.release("k", "two")
    assert store.claim("k", "three", LEASE) is Claim.DONE


def test_done_is_forgotten_after_the_retention(store: DeliveryStore, clock: Clock) -> None:
    store.claim("k", "one", LEASE)
    store.done("k", "one")
    clock.now += RETENTION - 1
    assert store.claim("k", "two", LEASE) is Claim.DONE
    clock.now += 2
    assert store.claim("k", "two", LEASE) is Claim.GRANTED


def test_one_of_many_threads_gets_the_claim(store: DeliveryStore) -> None:
    start = threading.Barrier(16)

    def claim(owner: int) -> Claim:
        start.wait(10)
        return store.claim("k", str(owner), LEASE)

    with ThreadPoolExecutor(16) as threads:
        claims = list(threads.map(claim, range(16)))
    assert sorted(claims) == [Claim.BUSY] * 15 + [Claim.GRANTED]


def test_memory_keeps_a_bounded_number(clock: Clock) -> None:
    store = MemoryDeliveries(most=3, clock=clock)
    for key in "abcde":
        store.claim(key, "one", LEASE)
        store.done(key, "one")
    assert [store.claim(key, "two", LEASE) for key in "ae"] == [Claim.GRANTED, Claim.DONE]


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
        assert first.claim("k", "one", LEASE) is Claim.GRANTED
        assert second.claim("k", "two", LEASE) is Claim.BUSY
        first.done("k", "one")
        first.close()
        second.close()
        third = make()
        assert third.claim("k", "three", LEASE) is Claim.DONE
        third.close()
