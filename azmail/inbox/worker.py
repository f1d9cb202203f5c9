"""Handing stored mails and events to hooks: at least once, each attempt under a lease, failures put off and then dead."""

from __future__ import annotations

import asyncio
import inspect
import logging
import threading
from collections.abc import Awaitable, Callable, Collection, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import cast

from azmail.events import MailEvent
from azmail.inbound import InboundMail
from azmail.inbox.content import received_mail, stored_event
from azmail.inbox.database import Database, InboxDatabaseError
from azmail.inbox.queue import LEASE_SECONDS, MOST_ATTEMPTS, HookQueue, Job

log = logging.getLogger("azmail.inbox")

POLL_SECONDS = 0.5
"""Between two looks while there is nothing to do. PostgreSQL's NOTIFY takes a lock of the whole server for each commit."""
LONGEST_POLL_SECONDS = 10.0
"""Between two looks while the database does not answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hook:
    """What a name stands for. `on_mail(mail, agent_id)` and `on_event(event, agent_id)`, sync or async.

    `ordered`: an agent's mails one after the other; the next waits for one that fails, until that is dead.
    """

    on_mail: Callable[[InboundMail, str], Awaitable[None] | None] | None = None
    on_event: Callable[[MailEvent, str | None], Awaitable[None] | None] | None = None
    ordered: bool = False


class HookWorker:
    """Runs hooks in threads of its own until it is stopped."""

    def __init__(
        self,
        database: Database,
        hooks: Mapping[str, Hook],
        *,
        threads: int = 8,
        lease_seconds: float = LEASE_SECONDS,
        most_attempts: int = MOST_ATTEMPTS,
        poll_seconds: float = POLL_SECONDS,
    ) -> None:
        self.database = database
        self.queue = HookQueue(database, lease_seconds=lease_seconds)
        self._hooks = dict(hooks)
        self._ordered: Collection[str] = tuple(name for name, hook in hooks.items() if hook.ordered)
        self._threads = threads
        self._most_attempts = most_attempts
        self._lease_seconds = lease_seconds
        self._poll_seconds = poll_seconds
        self._changed = threading.Condition()
        self._running: dict[int, Job] = {}
        self._stopping = False
        self._is_nudged = False
        self._loop = asyncio.new_event_loop()
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="inbox-hook")
        self._services = [
            threading.Thread(target=work, name=f"inbox-{name}", daemon=True)
            for name, work in (("take", self._take), ("renew", self._renew), ("loop", self._loop.run_forever))
        ]
        self.counts = {"done": 0, "failed": 0, "dead": 0}

    def start(self) -> None:
        for service in self._services:
            service.start()

    def stop(self) -> None:
        """Take no more, and wait for the hooks that run."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        self._services[0].join()
        self._pool.shutdown()
        self._services[1].join()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._services[2].join()
        self._loop.close()

    def nudge(self) -> None:
        """Something was stored: look now."""
        with self._changed:
            self._is_nudged = True
            self._changed.notify_all()

    def _take(self) -> None:
        pause = self._poll_seconds
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._stopping or len(self._running) < self._threads)
                if self._stopping:
                    return
                free = self._threads - len(self._running)
                self._is_nudged = False
            try:
                jobs = self.queue.take(self._hooks, free, ordered=self._ordered)
                pause = self._poll_seconds
            except InboxDatabaseError as error:
                log.warning("no work is taken while the database does not answer: %s", error)
                jobs, pause = [], min(pause * 2, LONGEST_POLL_SECONDS)
            with self._changed:
                self._running |= {job.position: job for job in jobs}
                for job in jobs:
                    self._pool.submit(self._run, job)
                if len(jobs) < free:
                    self._changed.wait_for(lambda: self._stopping or self._is_nudged, pause)

    def _run(self, job: Job) -> None:
        try:
            try:
                if job.attempts > self._most_attempts:
                    raise RuntimeError("its workers have died each time")
                self._call(job)
            except InboxDatabaseError as error:
                log.warning("job %d could not be read, its lease will end: %s", job.position, error)
                return
            except Exception as error:  # noqa: BLE001 -- whatever a hook raises, the mail is tried again
                self._failed(job, error)
                return
            self._told(job)
        finally:
            with self._changed:
                self._running.pop(job.position, None)
                # In order, the next of this agent may go now.
                self._is_nudged |= job.hook in self._ordered
                self._changed.notify_all()

    def _call(self, job: Job) -> None:
        hook = self._hooks[job.hook]
        if job.kind == "mail":
            mail = received_mail(self.database, job.subject)
            if mail is not None and hook.on_mail is not None:
                self._await(hook.on_mail(mail, job.agent))
        else:
            event = stored_event(self.database, job.subject)
            if event is not None and hook.on_event is not None:
                self._await(hook.on_event(event, job.agent or None))

    def _await(self, result: Awaitable[None] | None) -> None:
        if inspect.isawaitable(result):
            waiting: Future[None] = asyncio.run_coroutine_threadsafe(_finish(result), self._loop)
            waiting.result()

    def _failed(self, job: Job, error: Exception) -> None:
        # What a hook says may hold what neither logs nor databases can carry.
        said = f"{type(error).__name__}: {error}".encode("utf-8", "replace").decode().replace("\0", "\ufffd")
        log.warning("hook %s failed with %s %s, attempt %d: %s", job.hook, job.kind, job.subject, job.attempts, said)
        try:
            dead = self.queue.put_off(job, said, most_attempts=self._most_attempts)
        except InboxDatabaseError as problem:
            log.warning("job %d could not be put off, its lease will end: %s", job.position, problem)
            return
        with self._changed:
            self.counts["dead" if dead else "failed"] += 1

    def _told(self, job: Job) -> None:
        """Mark it, for as long as it takes: the hook has had it, and the lease is renewed meanwhile."""
        pause = self._poll_seconds
        while True:
            try:
                self.queue.done(job)
                break
            except InboxDatabaseError as error:
                log.warning("job %d is done and could not be marked, it will be: %s", job.position, error)
                with self._changed:
                    if self._changed.wait_for(lambda: self._stopping, pause):
                        return
                pause = min(pause * 2, LONGEST_POLL_SECONDS)
        with self._changed:
            self.counts["done"] += 1

    def _renew(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._stopping and not self._running, self._lease_seconds / 3)
                if self._stopping and not self._running:
                    return
                held = tuple(self._running.values())
            if held:
                try:
                    self.queue.renew(held)
                except InboxDatabaseError as error:
                    log.warning("%d leases could not be renewed, another worker may take over: %s", len(held), error)


async def _finish(result: Awaitable[None]) -> None:
    await result


def hook_of(on_mail: object, on_event: object = None, *, ordered: bool = False) -> Hook:
    """Of the functions that `create_app` takes."""
    return Hook(
        on_mail=cast("Callable[[InboundMail, str], Awaitable[None] | None] | None", on_mail),
        on_event=cast("Callable[[MailEvent, str | None], Awaitable[None] | None] | None", on_event),
        ordered=ordered,
    )
