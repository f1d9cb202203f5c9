"""The webhook's receiver that stores: Mailjet hears 200 after the commit, whatever the hooks do."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from anyio import CapacityLimiter, to_thread

from azmail.events import MailEvent
from azmail.inbound import InboundMail
from azmail.inbox.database import InboxDatabaseError
from azmail.inbox.metrics import InboxMetrics
from azmail.inbox.parcels import Parcel, octets_of, received_parcel
from azmail.inbox.store import MailStore, next_batch
from azmail.once import Health
from azmail.webhook import READ_AT_ONCE_BYTES

log = logging.getLogger("azmail.inbox")

STORING_THREADS = 8
"""For what is large, events and health; one of them writes all mails that wait."""


@dataclass(slots=True)
class _Delivery:
    parcel: Parcel
    told: asyncio.Future[bool]


class StoringReceiver:
    """Takes deliveries into the store. `stored` is called after each transaction that brought something new.

    Of one event loop: what comes while one transaction is written goes with the next, and one thread writes for all
    (docs/decisions/093).
    """

    def __init__(self, store: MailStore, metrics: InboxMetrics, *, stored: Callable[[], None] = lambda: None) -> None:
        self._store = store
        self._metrics = metrics
        self._stored = stored
        self._threads = CapacityLimiter(STORING_THREADS)
        self._waiting: list[_Delivery] = []
        self._writing: asyncio.Task[None] | None = None

    async def take_mail(self, mail: InboundMail, agent_id: str) -> bool:
        """Raises InboxDatabaseError, which the webhook answers with 503."""
        with self._metrics.storing():
            if octets_of(mail) <= READ_AT_ONCE_BYTES:
                parcel = received_parcel(mail, agent_id)
            else:
                parcel = await to_thread.run_sync(received_parcel, mail, agent_id, limiter=self._threads)
            mine = _Delivery(parcel, asyncio.get_running_loop().create_future())
            self._waiting.append(mine)
            if self._writing is None:
                self._writing = asyncio.create_task(self._write())
            fresh = await mine.told
        self._metrics.accepted.labels("mail" if fresh else "duplicate").inc()
        return fresh

    async def _write(self) -> None:
        """Whatever happens to a transaction, everybody whose mail is in it is told."""
        try:
            while batch := next_batch(self._waiting):
                told = await to_thread.run_sync(
                    self._stored_or_why, [one.parcel for one in batch], limiter=self._threads
                )
                for delivery, outcome in zip(batch, told, strict=True):
                    if delivery.told.done():
                        continue  # whoever brought it has gone
                    if isinstance(outcome, InboxDatabaseError):
                        delivery.told.set_exception(outcome)
                    else:
                        delivery.told.set_result(outcome)
                if True in told:
                    self._stored()
        finally:
            self._writing = None

    def _stored_or_why(self, parcels: Sequence[Parcel]) -> Sequence[bool | InboxDatabaseError]:
        try:
            return self._store.store_all(parcels)
        except Exception as error:
            log.exception("%d mails could not be stored", len(parcels))
            return [InboxDatabaseError(error)] * len(parcels)

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
