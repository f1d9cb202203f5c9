"""Waiting for mail: woken by one's own mailbox, and by nothing that was missed between a look and the waiting."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from azmail.inbox import watching
from azmail.inbox.database import Database
from azmail.inbox.parcels import received_parcel
from azmail.inbox.reading import MailboxReader
from azmail.inbox.removal import delete_mail
from azmail.inbox.store import MailStore
from azmail.inbox.watching import MOST_WAITING_OF_ONE, Watcher
from tests.unit.azmail.inbox.desk import Desk
from tests.unit.azmail.inbox.mails import ME, YOU, mail

SOON, NEVER = 30.0, 0.1
Bring = Callable[[int, str], Coroutine[Any, Any, str]]


async def watched(database: Database, use: Callable[[Watcher, Bring], Coroutine[Any, Any, None]]) -> None:
    """With a watcher that has looked once."""
    watcher = Watcher(MailboxReader(database, None), look_seconds=0.01)
    store = MailStore(database)

    async def bring(number: int, agent: str) -> str:
        parcel = received_parcel(mail(number), agent)
        await asyncio.to_thread(store.store, parcel)
        return parcel.id

    assert await watcher.wait(None, watcher.mark(), SOON)
    await use(watcher, bring)


def test_only_ones_own_mailbox_wakes(database: Database) -> None:
    async def use(watcher: Watcher, bring: Bring) -> None:
        mark = watcher.mark()
        mine, yours, all_ = (asyncio.create_task(watcher.wait(who, mark, SOON)) for who in (ME, YOU, None))
        await bring(1, YOU)
        assert await yours
        assert await all_
        assert not await watcher.wait(ME, mark, NEVER)
        assert not mine.done()
        await bring(2, ME)
        assert await mine
        # Whoever took his mark before is told without waiting, whoever took it since is not.
        assert await watcher.wait(ME, mark, 0)
        assert not await watcher.wait(ME, watcher.mark(), NEVER)

    asyncio.run(watched(database, use))


def test_what_came_while_nobody_looked(sqlite_database: Database) -> None:
    async def use(watcher: Watcher, bring: Bring) -> None:
        while watcher._looking is not None:
            await asyncio.sleep(0.001)
        mark = watcher.mark()
        await bring(1, ME)
        assert await watcher.wait(ME, mark, SOON)

    asyncio.run(watched(sqlite_database, use))


def test_mailboxes_that_are_forgotten_are_looked_into(
    sqlite_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "MOST_REMEMBERED", 1)

    async def use(watcher: Watcher, bring: Bring) -> None:
        mark = watcher.mark()
        for number, agent in enumerate((ME, YOU)):
            await bring(number, agent)
            assert await watcher.wait(agent, mark, SOON)
        assert list(watcher._changed) == [YOU]
        assert await watcher.wait(ME, mark, 0)

    asyncio.run(watched(sqlite_database, use))


def test_newest_mails_that_are_removed_hide_nothing(sqlite_database: Database) -> None:
    """Positions are not given twice; a database that was put back from a copy has smaller ones, though."""

    async def use(watcher: Watcher, bring: Bring) -> None:
        mark = watcher.mark()
        first = await bring(1, ME)
        assert await watcher.wait(ME, mark, SOON)
        mark = watcher.mark()
        waiting = asyncio.create_task(watcher.wait(YOU, mark, SOON))
        await asyncio.to_thread(delete_mail, sqlite_database, ME, first)
        assert await waiting

    asyncio.run(watched(sqlite_database, use))


def test_one_agents_followers_do_not_take_all_places(sqlite_desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the watcher, and of the API: the next one is asked to come again, another agent is not."""
    monkeypatch.setattr("azmail.inbox.watching.MOST_WAITING_OF_ONE", 0)
    after = sqlite_desk.get("/v1/mailbox").json()["cursor"]
    for path in (f"/v1/messages?after={after}&wait=5", f"/v1/messages/stream?after={after}"):
        answer = sqlite_desk.get(path)
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    assert sqlite_desk.get(f"/v1/messages?after={after}").status_code == 200

    async def wait(watcher: Watcher) -> None:
        waiting = [asyncio.create_task(watcher.wait(ME, 10**9, SOON)) for _ in range(MOST_WAITING_OF_ONE)]
        while len(watcher._waiting[ME]) < MOST_WAITING_OF_ONE:
            await asyncio.sleep(0)
        assert not watcher.has_room(ME)
        assert watcher.has_room(YOU)
        assert watcher.has_room(None)
        for one in waiting:
            one.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        assert watcher.has_room(ME)

    monkeypatch.undo()
    asyncio.run(wait(Watcher(MailboxReader(sqlite_desk.store.database, None))))
