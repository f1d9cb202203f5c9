"""Waiting for the next mail: one look a quarter of a second for all who wait in a process, none while nobody waits."""

from __future__ import annotations

import asyncio
import contextlib
import logging

from azmail.inbox.database import InboxDatabaseError
from azmail.inbox.reading import MailboxReader

log = logging.getLogger("azmail.inbox")

LOOK_SECONDS = 0.25
MOST_WAITING = 1_000


class Watcher:
    """Wakes those who wait when the newest position has grown. Of one event loop."""

    def __init__(self, reader: MailboxReader, *, look_seconds: float = LOOK_SECONDS) -> None:
        self._reader = reader
        self._look_seconds = look_seconds
        self._changed = asyncio.Event()
        self._seen = -1
        self._looking: asyncio.Task[None] | None = None
        self.waiting = 0

    def mark(self) -> int:
        """To be taken before a mailbox is looked into: what comes from then on ends the waiting."""
        return self._seen

    async def wait(self, mark: int, seconds: float) -> None:
        """Until there is something new for anybody since the mark, or so long."""
        if self._looking is None:
            self._looking = asyncio.create_task(self._look())
        self.waiting += 1
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    while self._seen == mark:
                        await self._changed.wait()
        finally:
            self.waiting -= 1

    async def _look(self) -> None:
        try:
            while self.waiting:
                try:
                    newest = await asyncio.to_thread(self._reader.newest)
                except InboxDatabaseError as error:
                    log.warning("nobody is told of new mail while the database does not answer: %s", error)
                    newest = self._seen
                if newest != self._seen:
                    self._seen = newest
                    self._changed.set()
                    self._changed = asyncio.Event()
                await asyncio.sleep(self._look_seconds)
        finally:
            self._looking = None
