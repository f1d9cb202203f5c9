"""Waiting for the next mail: one look a quarter of a second for all who wait in a process, none while nobody waits."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import defaultdict

from azmail.inbox.database import InboxDatabaseError
from azmail.inbox.reading import MailboxReader

log = logging.getLogger("azmail.inbox")

LOOK_SECONDS = 0.25
MOST_WAITING = 600
"""In one process; a delivery must still find a connection (`Serving.connections`)."""
MOST_WAITING_OF_ONE = 20
"""Of one agent: its followers must not take the places of all others."""
MOST_REMEMBERED = 10_000
"""Mailboxes of which it is known when they last changed."""
MOST_AT_A_LOOK = 10_000

Mailbox = str | None
"""An agent's id, None for all of them together."""


class Watcher:
    """Wakes those who wait when there is something new in their own mailbox. Of one event loop."""

    def __init__(self, reader: MailboxReader, *, look_seconds: float = LOOK_SECONDS) -> None:
        """`reader` sees all mailboxes."""
        self._reader = reader
        self._look_seconds = look_seconds
        self._seen = -1
        self._changed: dict[str, int] = {}
        """The position at which a mailbox was changed last, the latest change last."""
        self._forgotten = -1
        """No mailbox that is not in there has changed at a later position."""
        self._waiting: defaultdict[Mailbox, set[asyncio.Future[None]]] = defaultdict(set)
        self._looking: asyncio.Task[None] | None = None

    def mark(self) -> int:
        """To be taken before a mailbox is looked into: what comes from then on ends the waiting."""
        return self._seen

    def has_room(self, mailbox: Mailbox) -> bool:
        """Whether one more may wait for it."""
        total = sum(len(some) for some in self._waiting.values())
        return total < MOST_WAITING and (mailbox is None or len(self._waiting.get(mailbox, ())) < MOST_WAITING_OF_ONE)

    async def wait(self, mailbox: Mailbox, mark: int, seconds: float) -> bool:
        """Until there may be something new in it since the mark, or so long; whether there may.

        Whoever was told no goes on with the same mark.
        """
        if self._has_changed(mailbox, mark):
            return True
        if self._looking is None:
            self._looking = asyncio.create_task(self._look())
        told = asyncio.get_running_loop().create_future()
        self._waiting[mailbox].add(told)
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await told
            return told.done() and not told.cancelled()
        finally:
            self._waiting[mailbox].discard(told)
            if not self._waiting[mailbox]:
                del self._waiting[mailbox]

    def _has_changed(self, mailbox: Mailbox, mark: int) -> bool:
        newest = self._seen if mailbox is None else self._changed.get(mailbox, self._forgotten)
        return newest > mark

    async def _look(self) -> None:
        try:
            while self._waiting:
                try:
                    await self._look_once()
                except InboxDatabaseError as error:
                    log.warning("nobody is told of new mail while the database does not answer: %s", error)
                await asyncio.sleep(self._look_seconds)
        finally:
            self._looking = None

    async def _look_once(self) -> None:
        newest = await asyncio.to_thread(self._reader.newest)
        if newest < self._seen or self._seen < 0:
            # Nobody has looked before, or the newest were removed: whoever waits looks for himself.
            self._seen = self._forgotten = newest
            self._changed.clear()
            self._wake(list(self._waiting))
        elif newest > self._seen:
            came = await asyncio.to_thread(self._reader.came, self._seen, MOST_AT_A_LOOK)
            for position, agent in came:
                self._changed.pop(agent, None)
                self._changed[agent] = self._seen = position
            while len(self._changed) > MOST_REMEMBERED:
                self._forgotten = self._changed.pop(next(iter(self._changed)))
            self._wake([None, *{agent for _, agent in came}])

    def _wake(self, mailboxes: list[Mailbox]) -> None:
        for mailbox in mailboxes:
            for told in self._waiting.get(mailbox, ()):
                if not told.done():
                    told.set_result(None)
