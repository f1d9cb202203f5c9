"""Hooks over stored mail, on both databases: at least once, never again after the mark, in order where asked."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import func, select, update

from azmail.errors import TryAgainError
from azmail.events import parse_events
from azmail.inbox import queue
from azmail.inbox.database import Database, InboxDatabaseError
from azmail.inbox.parcels import received_parcel
from azmail.inbox.queue import HookQueue, QueueState
from azmail.inbox.removal import delete_mail, erase, expire
from azmail.inbox.store import MailStore
from azmail.inbox.tables import JOBS
from azmail.inbox.worker import Hook, HookWorker
from tests.unit.azmail.inbox.mails import ME, YOU, mail
from tests.waiting import wait_until

DAY = 86_400_000


def bring(store: MailStore, *numbers: int, agent: str = ME) -> None:
    for number in numbers:
        store.store(received_parcel(mail(number), agent))


def shift(database: Database, milliseconds: int) -> None:
    """As if the database's clock had been set by so much: what stands in it is that much further away."""
    with database.writing() as connection:
        connection.execute(update(JOBS).values(due_at=JOBS.c.due_at - milliseconds))


def first_end(database: Database) -> int:
    """When the first of the leases ends, in milliseconds."""
    with database.reading() as connection:
        return int(connection.execute(select(func.min(JOBS.c.due_at)).where(JOBS.c.lease.is_not(None))).scalar_one())


class Heard:
    """What hooks were called with; `wait` until there are so many."""

    def __init__(self) -> None:
        self.calls: list[Any] = []
        self._changed = threading.Condition()

    def __call__(self, mail: Any, agent: str | None) -> None:
        with self._changed:
            self.calls.append((mail, agent))
            self._changed.notify_all()

    def wait(self, count: int) -> list[Any]:
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.calls) >= count, 30)
            return list(self.calls)


@pytest.fixture
def run(database: Database) -> Iterator[Callable[..., HookWorker]]:
    running: list[HookWorker] = []

    def start(hook: Any, **options: Any) -> HookWorker:
        hook = hook if isinstance(hook, Hook) else Hook(on_mail=hook, on_event=hook)
        worker = HookWorker(database, {"work": hook}, **({"poll_seconds": 0.01} | options))
        worker.start()
        running.append(worker)
        return worker

    yield start
    for worker in running:
        worker.stop()


def until_empty(database: Database) -> None:
    """The marks come after the calls."""
    found = HookQueue(database)
    wait_until(lambda: not found.state().waiting)


class TestQueue:
    def test_each_job_is_one_callers_alone(self, database: Database, store: MailStore) -> None:
        bring(store, *range(20))
        queues = [HookQueue(database) for _ in range(4)]
        taken: list[int] = []

        def take(mine: HookQueue) -> None:
            while jobs := mine.take(["work"], 3):
                taken.extend(job.position for job in jobs)

        threads = [threading.Thread(target=take, args=(one,)) for one in queues]
        for one in threads:
            one.start()
        for one in threads:
            one.join()
        # SKIP LOCKED can leave a taker with nothing while others are at it; what is left is for the next look.
        take(queues[0])
        assert len(taken) == len(set(taken)) == 20

    def test_a_lease_ends(self, database: Database, store: MailStore) -> None:
        bring(store, 1)
        mine = HookQueue(database, lease_seconds=60)
        (job,) = mine.take(["work"], 5)
        assert mine.take(["work"], 5) == []
        shift(database, 50_000)
        mine.renew([job])
        shift(database, 50_000)
        assert mine.take(["work"], 5) == []
        shift(database, 11_000)
        (again,) = mine.take(["work"], 5)
        assert (again.position, again.attempts) == (job.position, 2)
        assert again.lease != job.lease
        # The first worker was only slow: what it has to say of a failure no longer counts, what is done is done.
        mine.put_off(job, "late")
        assert mine.take(["work"], 5) == []
        mine.done(job)
        assert mine.state().waiting == 0

    @pytest.mark.parametrize("days", [8, -1, -30])
    def test_a_clock_that_jumps_blocks_nothing_for_long(self, database: Database, store: MailStore, days: int) -> None:
        bring(store, 1)
        mine = HookQueue(database)
        mine.take(["work"], 1)
        shift(database, days * DAY)
        assert len(mine.take(["work"], 1)) == 1

    def test_pauses_double_and_the_last_is_dead(self, database: Database, store: MailStore) -> None:
        bring(store, 1)
        mine = HookQueue(database)
        pauses = []
        for attempt in range(1, 6):
            (job,) = mine.take(["work"], 1)
            with database.reading() as connection:
                before = database.time(connection)
            assert mine.put_off(job, "no", most_attempts=5) == (attempt == 5)
            with database.reading() as connection:
                due = connection.execute(select(JOBS.c.due_at)).scalar_one()
            pauses.append(round((due - before) / 1000))
            shift(database, (due - before) + 1000)
        assert pauses[:4] == [5, 10, 20, 40]
        assert mine.take(["work"], 1) == []
        (dead,) = mine.dead()
        assert (dead.error, dead.about, dead.attempts) == ("no", "Subject 1", 5)
        assert mine.state().dead == 1
        assert mine.retry(dead.position + 1) == 0
        assert mine.retry(dead.position) == 1
        (job,) = mine.take(["work"], 1)
        mine.put_off(job, "no", most_attempts=1)
        assert not mine.drop(job.position + 1)
        assert mine.drop(job.position)
        assert mine.retry() == 0

    def test_in_order(self, database: Database, store: MailStore) -> None:
        bring(store, 1, 2)
        bring(store, 3, agent=YOU)
        mine = HookQueue(database)
        first = mine.take(["work"], 9, ordered=["work"])
        assert [job.agent for job in first] == [ME, YOU]
        assert mine.take(["work"], 9, ordered=["work"]) == []
        mine.put_off(first[0], "no")
        assert mine.take(["work"], 9, ordered=["work"]) == []
        shift(database, 6_000)
        (again,) = mine.take(["work"], 9, ordered=["work"])
        mine.put_off(again, "no", most_attempts=1)
        (second,) = mine.take(["work"], 9, ordered=["work"])
        assert second.position > again.position


class TestWorker:
    def test_mails_and_events_reach_the_hook(
        self, database: Database, store: MailStore, run: Callable[..., HookWorker]
    ) -> None:
        heard = Heard()
        bring(store, 1)
        events = parse_events(
            [{"event": "spam", "MessageID": 5, "Payload": json.dumps({"agent_id": YOU})}, {"event": "blocked"}]
        )
        store.store_events(events)
        run(heard)
        calls = heard.wait(3)
        until_empty(database)
        assert sorted((str(agent) for _, agent in calls)) == ["None", ME, YOU]
        assert mail(1) in [found for found, _ in calls]
        assert set(events) <= {found for found, _ in calls if found in events}

    def test_async_hooks_share_a_loop(
        self, database: Database, store: MailStore, run: Callable[..., HookWorker]
    ) -> None:
        loops: list[Any] = []

        async def hook(_mail: Any, _agent: str) -> None:
            await asyncio.sleep(0)
            loops.append(asyncio.get_running_loop())

        bring(store, 1, 2)
        run(hook)
        until_empty(database)
        assert len(loops) == 2
        assert loops[0] is loops[1]

    def test_a_failing_hook_is_called_again_and_then_dead(
        self, database: Database, store: MailStore, run: Callable[..., HookWorker], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(queue, "FIRST_PAUSE_SECONDS", 0.0)
        heard = Heard()

        def hook(found: Any, agent: str) -> None:
            heard(found, agent)
            raise TryAgainError("not \0 now \ud800")

        bring(store, 1)
        worker = run(hook, most_attempts=3)
        heard.wait(3)
        wait_until(lambda: worker.queue.state().dead)
        assert len(heard.calls) == 3
        assert "TryAgainError: not \ufffd now" in worker.queue.dead()[0].error

    @pytest.mark.slow
    def test_more_hooks_than_threads_and_two_workers(
        self, database: Database, store: MailStore, run: Callable[..., HookWorker]
    ) -> None:
        """Leases of a fraction of the hooks' time are renewed, so that nothing runs twice."""
        heard, gate = Heard(), threading.Event()

        def hook(found: Any, agent: str) -> None:
            heard(found, agent)
            assert gate.wait(30)

        bring(store, *range(12))
        for _ in range(2):
            run(hook, threads=3, lease_seconds=1.5)
        heard.wait(6)
        began = first_end(database)
        wait_until(lambda: first_end(database) > began + 2000, "a lease to pass, and a third of another")
        assert len(heard.calls) == 6
        gate.set()
        until_empty(database)
        assert len(heard.calls) == 12

    def test_a_job_that_killed_its_workers_dies(
        self, database: Database, store: MailStore, run: Callable[..., HookWorker]
    ) -> None:
        heard = Heard()
        bring(store, 1)
        with database.writing() as connection:
            connection.execute(update(JOBS).values(attempts=4))
        worker = run(heard, most_attempts=4)
        wait_until(lambda: worker.queue.state().dead)
        assert heard.calls == []

    def test_deleted_before_its_turn(
        self, database: Database, store: MailStore, run: Callable[..., HookWorker]
    ) -> None:
        heard = Heard()
        bring(store, 1, 2)
        delete_mail(database, ME, received_parcel(mail(1), ME).id)
        run(heard)
        until_empty(database)
        assert [found.subject for found, _ in heard.calls] == ["Subject 2"]

    @pytest.mark.parametrize("remove", [lambda database: erase(database, ME), lambda database: expire(database, -1)])
    @pytest.mark.parametrize("error", [None, TryAgainError])
    def test_taken_out_while_its_hook_runs(
        self,
        database: Database,
        store: MailStore,
        run: Callable[..., HookWorker],
        remove: Callable[[Database], int],
        error: type[Exception] | None,
    ) -> None:
        """Whatever the hook ends with, nothing of the mail comes back."""
        runs, may_end = threading.Event(), threading.Event()

        def hook(_mail: Any, _agent: str | None) -> None:
            runs.set()
            assert may_end.wait(30)
            if error is not None:
                raise error

        bring(store, 1)
        worker = run(hook)
        assert runs.wait(30)
        assert remove(database) == 1
        may_end.set()
        wait_until(lambda: sum(worker.counts.values()))
        assert worker.queue.state() == QueueState(0, 0, 0.0)

    def test_the_database_goes_and_comes_back(
        self, database: Database, store: MailStore, run: Callable[..., HookWorker], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A hook that has returned is not called again though the mark failed at first."""
        heard, away = Heard(), threading.Event()
        worker = run(heard, lease_seconds=60)
        real = HookQueue.done
        failures: list[int] = []

        def done(self: HookQueue, job: Any) -> None:
            if not away.is_set():
                failures.append(job.position)
                if len(failures) >= 2:
                    away.set()
                raise InboxDatabaseError(OSError("away"))
            real(self, job)

        monkeypatch.setattr(HookQueue, "done", done)
        bring(store, 1)
        worker.nudge()
        until_empty(database)
        assert len(heard.calls) == 1
        assert len(failures) == 2
