"""The store behind the webhook: what comes together is written together, and everybody hears what became of his own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping, Sequence

import pytest

from azmail.inbound import InboundMail
from azmail.inbox.database import Database, InboxDatabaseError
from azmail.inbox.metrics import InboxMetrics
from azmail.inbox.parcels import Parcel
from azmail.inbox.reading import MailboxReader
from azmail.inbox.receiving import StoringReceiver
from azmail.inbox.store import MOST_AT_ONCE, MailStore
from tests.unit.azmail.inbox.mails import ME, mail

MANY = 100
LARGE = 20 * 1024


class Writing:
    """What is written, transaction by transaction; the first waits until it may go."""

    def __init__(self, store: MailStore) -> None:
        self.sizes: list[int] = []
        self.faults: list[Exception] = []
        self._write = store._writing.write
        self.may_go = threading.Event()

    def write(self, parcels: Mapping[str, Parcel]) -> set[str]:
        self.sizes.append(len(parcels))
        if len(self.sizes) == 1:
            assert self.may_go.wait(30)
        elif self.faults:
            raise self.faults.pop(0)
        return self._write(parcels)

    async def while_one_is_written(
        self, receiver: StoringReceiver, mails: Sequence[InboundMail], *, gone: int | None = None
    ) -> list[bool | BaseException]:
        """What each hears who brings one; `gone` does not wait for it."""
        tasks = [asyncio.create_task(receiver.take_mail(mails[0], ME))]
        while not self.sizes:
            await asyncio.sleep(0)
        tasks += [asyncio.create_task(receiver.take_mail(one, ME)) for one in mails[1:]]
        while len(receiver._waiting) < len(mails) - 1:
            await asyncio.sleep(0)
        if gone is not None:
            tasks[gone].cancel()
        self.may_go.set()
        return await asyncio.gather(*tasks, return_exceptions=True)


def brought(
    database: Database, monkeypatch: pytest.MonkeyPatch, mails: Sequence[InboundMail], *faults: Exception
) -> tuple[list[bool | BaseException], Writing, int]:
    """What each delivery hears, the transactions, and how often workers were told that there is work."""
    store, nudges = MailStore(database), [0]
    receiver = StoringReceiver(store, InboxMetrics(database), stored=lambda: nudges.__setitem__(0, nudges[0] + 1))
    writing = Writing(store)
    writing.faults.extend(faults)
    monkeypatch.setattr(store._writing, "write", writing.write)

    return asyncio.run(writing.while_one_is_written(receiver, mails)), writing, nudges[0]


def test_what_comes_while_one_is_written_goes_with_the_next(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    told, writing, nudges = brought(database, monkeypatch, [mail(number) for number in range(MANY)])
    assert told == [True] * MANY
    assert (writing.sizes, nudges) == ([1, MANY - 1], 2)
    assert MailboxReader(database, ME).counts() == (MANY, MANY)


def test_a_transaction_has_a_bound(sqlite_database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    many = MOST_AT_ONCE + 2
    _, writing, _ = brought(sqlite_database, monkeypatch, [mail(number) for number in range(many)])
    assert writing.sizes == [1, MOST_AT_ONCE, 1]


def test_the_same_mail_twice_and_a_large_one(sqlite_database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    mails = [mail(1), mail(2), mail(2), mail(1), mail(3, **{"Text-part": "x" * LARGE})]
    told, _, _ = brought(sqlite_database, monkeypatch, mails)
    assert told == [True, True, False, False, True]


def test_what_is_refused_of_one_is_told_to_him_alone(
    sqlite_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = InboxDatabaseError(ValueError("refused"))
    told, writing, _ = brought(sqlite_database, monkeypatch, [mail(1), mail(2), mail(3)], refused, refused)
    assert told == [True, refused, True]
    assert writing.sizes == [1, 2, 1, 1]


def test_a_fault_is_told_to_all_who_wait_and_to_nobody_after_them(
    sqlite_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    told, _, _ = brought(
        sqlite_database, monkeypatch, [mail(number) for number in range(MOST_AT_ONCE + 2)], MemoryError()
    )
    assert told[0] is told[-1] is True
    assert {type(one) for one in told[1:-1]} == {InboxDatabaseError}


def test_whoever_has_gone_keeps_nobody_from_hearing(sqlite_database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    store = MailStore(sqlite_database)
    receiver = StoringReceiver(store, InboxMetrics(sqlite_database))
    writing = Writing(store)
    monkeypatch.setattr(store._writing, "write", writing.write)

    mails = [mail(number) for number in range(3)]
    told = asyncio.run(writing.while_one_is_written(receiver, mails, gone=1))
    assert (told[0], type(told[1]), told[2]) == (True, asyncio.CancelledError, True)
