"""Each delivery worked on once: claimed, its hook run, marked as done.

Hooks, store and the rest have limits of their own. A hook that hangs holds one of the places for hooks and nothing
else: claims, marks and renewals go on, and so do the answers to what is no delivery.
"""

import asyncio
import inspect
import logging
from collections.abc import Awaitable, Callable
from enum import StrEnum
from typing import TypeVar, TypeVarTuple, cast
from uuid import uuid4

from anyio import CapacityLimiter, to_thread

from azmail.deliveries import ClaimResult, DeliveryStore
from azmail.errors import StoreError
from azmail.leases import Leases

STORE_THREADS = 4
"""A store writes one thing at a time: more would only wait for each other."""

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

log = logging.getLogger("azmail.webhook")


class BusyError(Exception):
    """Another copy of the delivery was being worked on for too long."""


class FullError(Exception):
    """As much is being worked on as may be at once."""


class Health(StrEnum):
    """Whether a delivery that comes now would be worked on."""

    OK = "ok"
    FULL = "full"
    NO_STORE = "no store"


class Once:
    """Runs a hook at most once for each delivery that ends well."""

    def __init__(
        self, store: DeliveryStore, *, lease_seconds: float, busy_wait_seconds: float, most_hooks: int
    ) -> None:
        self._store = store
        self._lease_seconds = lease_seconds
        self._busy_wait_seconds = busy_wait_seconds
        self._most_hooks = most_hooks
        self._running = 0
        self._waiting = 0
        self._store_fails = False
        self._leases = Leases(store, lease_seconds)
        self._store_threads = CapacityLimiter(STORE_THREADS)
        self._hook_threads = CapacityLimiter(most_hooks)

    async def run(self, key: str, hook: Callable[[], Awaitable[None]]) -> bool:
        """Run the hook; False if the delivery was done before.

        Raises BusyError, FullError, StoreError, and what the hook raises.
        """
        if self._leases.is_done(key):
            return False
        left = self._leases.take_back(key)
        owner = left or uuid4().hex
        try:
            if await self._claim(key, owner) is ClaimResult.DONE:
                return False
        except BaseException:
            if left is not None:
                self._leases.release_later(key, left)
            raise
        try:
            with self._leases.holding(key, owner):
                try:
                    await hook()
                except BaseException:
                    await asyncio.shield(self._give_back(key, owner))
                    raise
                # The mark belongs to the work: a cancelled request must not lose it.
                await asyncio.shield(self._mark(key, owner))
        finally:
            self._running -= 1
        return True

    async def call(self, hook: Callable[..., Awaitable[None] | None], *arguments: object) -> None:
        """Call an async hook, or a sync one in a thread for hooks."""
        if inspect.iscoroutinefunction(hook) or inspect.iscoroutinefunction(getattr(hook, "__call__", None)):  # noqa: B004
            await cast("Awaitable[None]", hook(*arguments))
            return
        result = await to_thread.run_sync(hook, *arguments, limiter=self._hook_threads)
        if inspect.isawaitable(result):
            await result

    async def health(self) -> Health:
        """Asks the store only if it refused the last time."""
        if self._store_fails:
            owner = uuid4().hex
            try:
                await self._ask(self._store.claim, f"health {owner}", owner, 1.0)
                await self._ask(self._store.release, f"health {owner}", owner)
            except StoreError:
                return Health.NO_STORE
        return Health.FULL if self._running >= self._most_hooks else Health.OK

    async def _claim(self, key: str, owner: str) -> ClaimResult:
        """Granted: a place among the hooks is taken with it. Raises BusyError, FullError and StoreError."""
        claim = await self._try_to_claim(key, owner)
        if claim is None:
            raise FullError
        if claim is not ClaimResult.BUSY:
            return claim
        if self._waiting >= self._most_hooks:
            raise BusyError
        clock = asyncio.get_running_loop().time
        give_up = clock() + self._busy_wait_seconds
        pause = 0.01
        self._waiting += 1
        try:
            while clock() < give_up:
                await asyncio.sleep(pause)
                pause = min(pause * 2, 0.25)
                claim = await self._try_to_claim(key, owner)
                if claim in (ClaimResult.GRANTED, ClaimResult.DONE):
                    return claim
        finally:
            self._waiting -= 1
        raise BusyError

    async def _try_to_claim(self, key: str, owner: str) -> ClaimResult | None:
        """None where no place is free."""
        if self._running >= self._most_hooks:
            return None
        self._running += 1
        claim = None
        try:
            claim = await self._ask(self._store.claim, key, owner, self._lease_seconds)
        finally:
            if claim is not ClaimResult.GRANTED:
                self._running -= 1
        return claim

    async def _mark(self, key: str, owner: str) -> None:
        try:
            await self._ask(self._store.done, key, owner)
        except StoreError as error:
            # The work is done: Mailjet must not bring it again, and a repetition is told from memory until then.
            self._leases.mark_later(key, owner)
            log.error("a delivery is done and could not be marked, it will be when the store takes it: %s", error)

    async def _give_back(self, key: str, owner: str) -> None:
        try:
            await self._ask(self._store.release, key, owner)
        except StoreError as error:
            self._leases.release_later(key, owner)
            log.error("a claim could not be given back, it will be when the store takes it: %s", error)

    async def _ask(self, call: Callable[[*Ts], T], *arguments: *Ts) -> T:
        try:
            answer = await to_thread.run_sync(call, *arguments, limiter=self._store_threads)
        except Exception as error:
            self._store_fails = True
            if isinstance(error, StoreError):
                raise
            raise StoreError("the store of deliveries", f"{type(error).__name__}: {error}") from error
        self._store_fails = False
        return answer
