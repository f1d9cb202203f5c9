"""Claims kept alive, and marks that a full disk refused written later, by a thread of their own.

Neither waits for a hook, for the threads that hooks run in or for the event loop: a claim that is not renewed in time
is another process's to take, and then the hook runs twice.
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Condition, Thread

from azmail.deliveries import DeliveryStore

log = logging.getLogger("azmail.webhook")


class Leases:
    """The claims of one process. Its thread lives only while there is something to do."""

    def __init__(self, store: DeliveryStore, lease_seconds: float) -> None:
        self._store = store
        self._lease_seconds = lease_seconds
        self._changed = Condition()
        self._held: set[tuple[str, str]] = set()
        self._unmarked: dict[str, str] = {}
        self._unreleased: dict[str, str] = {}
        self._thread: Thread | None = None

    @contextmanager
    def holding(self, key: str, owner: str) -> Iterator[None]:
        """Renew the claim three times a lease until the block ends."""
        with self._changed:
            self._held.add((key, owner))
            self._start()
        try:
            yield
        finally:
            with self._changed:
                self._held.discard((key, owner))

    def mark_later(self, key: str, owner: str) -> None:
        """The work is done and the store could not be told: it is told again until it listens."""
        with self._changed:
            self._unmarked[key] = owner
            self._start()

    def release_later(self, key: str, owner: str) -> None:
        """The claim could not be given back: the same."""
        with self._changed:
            self._unreleased[key] = owner
            self._start()

    def is_done(self, key: str) -> bool:
        """Whether the work is done though the store does not know."""
        with self._changed:
            return key in self._unmarked

    def take_back(self, key: str) -> str | None:
        """The owner of a claim that was to be given back: to claim with again, it is no longer given back."""
        with self._changed:
            return self._unreleased.pop(key, None)

    def _start(self) -> None:
        if self._thread is None:
            self._thread = Thread(target=self._run, name="azmail-leases", daemon=True)
            self._thread.start()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait(self._lease_seconds / 3)
                if not (self._held or self._unmarked or self._unreleased):
                    self._thread = None
                    return
                held = tuple(self._held)
            self._renew(held)
            self._mark()
            self._release()

    def _renew(self, held: tuple[tuple[str, str], ...]) -> None:
        failures = 0
        reason: Exception | None = None
        for key, owner in held:
            try:
                self._store.renew(key, owner, self._lease_seconds)
            except Exception as error:  # noqa: BLE001 -- whatever a store raises, the other claims are renewed
                failures, reason = failures + 1, error
        if reason is not None:
            log.warning("%d claims could not be renewed, another process may take them over: %s", failures, reason)

    def _mark(self) -> None:
        with self._changed:
            waiting = tuple(self._unmarked.items())
        for key, owner in waiting:
            if not self._told(self._store.done, key, owner):
                return
            with self._changed:
                self._unmarked.pop(key, None)

    def _release(self) -> None:
        with self._changed:
            waiting = tuple(self._unreleased.items())
        for key, owner in waiting:
            # Gone from the list before it is gone from the store: what is claimed again must not be given back.
            if self.take_back(key) is not None and not self._told(self._store.release, key, owner):
                self.release_later(key, owner)
                return

    @staticmethod
    def _told(tell: Callable[[str, str], None], key: str, owner: str) -> bool:
        try:
            tell(key, owner)
        except Exception as error:  # noqa: BLE001 -- whatever a store raises, it is told again with the next renewal
            log.warning("deliveries still wait for the store: %s", error)
            return False
        return True
