"""What Prometheus is told: what came, what was refused, what hooks did, how late they are, who gets most."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import generate_latest
from prometheus_client.registry import Collector
from sqlalchemy import func, select

from azmail.inbox.database import Database, InboxDatabaseError
from azmail.inbox.queue import HookQueue
from azmail.inbox.tables import MAILS
from azmail.inbox.worker import HookWorker

MOST_AGENTS = 10


class InboxMetrics:
    """One process's counts, and the database's state when it is asked."""

    def __init__(self, database: Database, workers: Sequence[HookWorker] = ()) -> None:
        self.registry = CollectorRegistry()
        self.accepted = Counter(
            "azmail_inbox_accepted",
            "Deliveries answered with 200: mail, event, duplicate.",
            ["kind"],
            registry=self.registry,
        )
        self.refused = Counter(
            "azmail_inbox_refused", "Deliveries answered otherwise, by status.", ["status"], registry=self.registry
        )
        self._storing = Histogram(
            "azmail_inbox_store_seconds", "From a delivery that was read to the commit.", registry=self.registry
        )
        self.registry.register(_State(database, workers))

    @contextmanager
    def storing(self) -> Iterator[None]:
        with self._storing.time():
            yield

    def text(self) -> bytes:
        """In Prometheus' text format."""
        return generate_latest(self.registry)


class _State(Collector):
    def __init__(self, database: Database, workers: Sequence[HookWorker]) -> None:
        self._database = database
        self._workers = workers

    def collect(self) -> Iterator[Metric]:
        done = GaugeMetricFamily(
            "azmail_inbox_hook_calls", "Hooks that returned, failed, or failed for the last time.", labels=["result"]
        )
        for result in ("done", "failed", "dead"):
            done.add_metric([result], sum(worker.counts[result] for worker in self._workers))
        yield done
        is_up = GaugeMetricFamily("azmail_inbox_database_up", "1 while the database answers.")
        try:
            state = HookQueue(self._database).state()
            with self._database.reading() as connection:
                most = connection.execute(
                    select(MAILS.c.agent, func.count().label("mails"))
                    .where(MAILS.c.stored_at > self._database.now - 3_600_000)
                    .group_by(MAILS.c.agent)
                    .order_by(func.count().desc(), MAILS.c.agent)
                    .limit(MOST_AGENTS)
                ).all()
        except InboxDatabaseError:
            is_up.add_metric([], 0)
            yield is_up
            return
        is_up.add_metric([], 1)
        yield is_up
        yield GaugeMetricFamily("azmail_inbox_jobs_waiting", "Hook calls that are due or put off.", state.waiting)
        yield GaugeMetricFamily("azmail_inbox_jobs_dead", "Hook calls that wait for a person.", state.dead)
        yield GaugeMetricFamily("azmail_inbox_lag_seconds", "How late the oldest due hook call is.", state.lag_seconds)
        busiest = GaugeMetricFamily(
            "azmail_inbox_agent_mails", "Mails of the last hour of the ten agents that had most.", labels=["agent"]
        )
        for row in most:
            busiest.add_metric([row.agent], row.mails)
        yield busiest
