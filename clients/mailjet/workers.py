"""Parallel calls inside one call of the engine: a plugin serves four resources at a time, too few for thousands of routes.

`WORKERS` threads for the whole process, whichever resources they work for. An `up` that creates 10,000 routes took 34 s
with 32 of them, 24 s with 48 and 19 s with 64, on two cores against the emulator at 100 ms latency; 48 leave Mailjet
some air.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from clients.mailjet.errors import MailjetError

WORKERS = 48
"""Calls under way at once, and connections in the pool."""

FAILURES_IN_A_ROW = 24
"""As many failures without a success in between end a batch: the rest would fare no better."""

T = TypeVar("T")


@dataclass
class Outcome(Generic[T]):
    """What became of a batch. `untouched` was not tried after the batch was given up."""

    done: list[T] = field(default_factory=list)
    failed: list[tuple[T, MailjetError]] = field(default_factory=list)
    untouched: list[T] = field(default_factory=list)

    @property
    def cause(self) -> MailjetError | None:
        """The failure to tell of: one that stopped the batch, else the first."""
        errors = [error for _, error in self.failed]
        return next((error for error in errors if error.fatal), errors[0] if errors else None)


class Workers:
    """A thread pool that is created when first needed."""

    def __init__(self, size: int = WORKERS) -> None:
        self.size = size
        self._lock = threading.Lock()
        self._pool: ThreadPoolExecutor | None = None

    def each(
        self, items: Sequence[T], work: Callable[[T], None], *, on_done: Callable[[], None] | None = None
    ) -> Outcome[T]:
        """Run `work` on every item, in parallel. A MailjetError concerns its item; a fatal one, or too many in a
        row, ends the batch. Any other exception is a fault of ours and propagates."""
        outcome: Outcome[T] = Outcome()
        lock = threading.Lock()
        given_up = threading.Event()
        in_a_row = 0

        def attempt(item: T) -> None:
            nonlocal in_a_row
            if given_up.is_set():
                with lock:
                    outcome.untouched.append(item)
                return
            try:
                work(item)
            except MailjetError as error:
                with lock:
                    outcome.failed.append((item, error))
                    in_a_row += 1
                    if error.fatal or in_a_row >= FAILURES_IN_A_ROW:
                        given_up.set()
                return
            with lock:
                outcome.done.append(item)
                in_a_row = 0
            if on_done is not None:
                on_done()

        futures: list[Future[None]] = [self._executor().submit(attempt, item) for item in items]
        for future in futures:
            future.result()
        return outcome

    def close(self) -> None:
        """Wait for what runs and end the threads."""
        with self._lock:
            if self._pool is not None:
                self._pool.shutdown()
                self._pool = None

    def _executor(self) -> ThreadPoolExecutor:
        with self._lock:
            if self._pool is None:
                self._pool = ThreadPoolExecutor(max_workers=self.size, thread_name_prefix="mailjet")
            return self._pool
