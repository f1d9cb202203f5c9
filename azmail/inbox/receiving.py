"""The webhook's receiver that stores: Mailjet hears 200 after the commit, whatever the hooks do."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from anyio import CapacityLimiter, to_thread

from azmail.events import MailEvent
from azmail.inbound import InboundMail
from azmail.inbox.database import InboxDatabaseError
from azmail.inbox.metrics import InboxMetrics
from azmail.inbox.parcels import received_parcel
from azmail.inbox.store import MailStore
from azmail.once import Health

STORING_THREADS = 32
"""They wait for the disk together: one transaction writes what all of them bring."""


class StoringReceiver:
    """Takes deliveries into the store. `stored` is called after each that was not there before."""

    def __init__(self, store: MailStore, metrics: InboxMetrics, *, stored: Callable[[], None] = lambda: None) -> None:
        self._store = store
        self._metrics = metrics
        self._stored = stored
        self._threads = CapacityLimiter(STORING_THREADS)

    async def take_mail(self, mail: InboundMail, agent_id: str) -> bool:
        """Raises InboxDatabaseError, which the webhook answers with 503."""
        with self._metrics.storing():
            fresh = await to_thread.run_sync(self._take, mail, agent_id, limiter=self._threads)
        self._metrics.accepted.labels("mail" if fresh else "duplicate").inc()
        if fresh:
            self._stored()
        return fresh

    async def take_events(self, events: Sequence[MailEvent]) -> int:
        """Raises InboxDatabaseError, which the webhook answers with 503."""
        with self._metrics.storing():
            fresh = await to_thread.run_sync(self._store.store_events, events, limiter=self._threads)
        self._metrics.accepted.labels("event").inc(fresh)
        self._metrics.accepted.labels("duplicate").inc(len(events) - fresh)
        if fresh:
            self._stored()
        return fresh

    async def health(self) -> Health:
        try:
            await to_thread.run_sync(self._store.database.ping, limiter=self._threads)
        except InboxDatabaseError:
            return Health.NO_STORE
        return Health.OK

    def _take(self, mail: InboundMail, agent_id: str) -> bool:
        return self._store.store(received_parcel(mail, agent_id))
