"""What is stored, on both databases: once, whole, in order, and gone when it is taken out."""

from __future__ import annotations

import json
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from email import message_from_bytes
from email.policy import SMTP
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, inspect, select, text, update

from azmail.events import parse_events
from azmail.inbound import parse_inbound
from azmail.inbox.content import MOST_HELD_OCTETS, file_range, files_of, original, received_mail, stored_event
from azmail.inbox.database import Database, InboxDatabaseError, InboxSchemaError, InboxUrlError
from azmail.inbox.parcels import PIECE_OCTETS, mail_id, received_parcel, sent_parcel
from azmail.inbox.reading import MailboxReader, Page, TooManyLabelsError
from azmail.inbox.removal import delete_mail, erase, expire, sweep
from azmail.inbox.store import MailStore
from azmail.inbox.tables import DELETED, JOBS, MAILS, METADATA, PIECES, THREADS
from tests.profiles import examples
from tests.unit.azmail.inbox.conftest import empty
from tests.unit.azmail.inbox.mails import ME, YOU, mail, payload, with_files
from tests.waiting import wait_until

ODD_NAME = {"Content-Type": 'x/y; name="\0\ud800"'}
TEXTS = ("Subject", "From", "Sender", "Text-part", "Html-part", "CustomID", "Attachment1")
HEADERS = ("Message-ID", "References", "In-Reply-To", "To", "Date", "X-A")


def rows(database: Database) -> dict[str, int]:
    """How many rows each table has."""
    names = [name for name in METADATA.tables if name != "inbox_keys"]
    with database.reading() as connection:
        return {name: connection.execute(text(f"SELECT count(*) FROM {name}")).scalar_one() for name in names}


def mime(database: Database, key: str) -> bytes:
    made = original(database, key)
    assert made is not None
    octets = b"".join(made.content)
    assert len(octets) == made.octets
    return octets


def thread(database: Database, key: str) -> int:
    with database.reading() as connection:
        return int(connection.execute(select(MAILS.c.thread).where(MAILS.c.id == key)).scalar_one())


class TestSchema:
    def test_the_migrations_make_what_the_tables_say(self, database: Database) -> None:
        with database.reading() as connection:
            context = MigrationContext.configure(connection, opts={"version_table": "inbox_version"})
            found = [one for one in compare_metadata(context, METADATA) if "inbox_search" not in str(one)]
        assert found == []
        database.check()

    def test_from_a_filled_database(self, database_url: str) -> None:
        """A mail of the first step is there after all others, and a database of the first step is refused before."""
        database = Database(database_url)
        database.migrate("0001")
        with pytest.raises(InboxSchemaError, match=r"0001.*azmail inbox migrate"):
            database.check()
        old = received_parcel(mail(), ME)
        assert MailStore(database).store(old)
        database.migrate()
        database.check()
        assert not MailStore(database).store(old)
        found = received_mail(database, old.id)
        assert found is not None
        assert found.delivery_key == mail().delivery_key
        assert MailboxReader(database, ME).counts() == (1, 1)
        assert [(one.mails, one.unread) for one in MailboxReader(database, ME).threads(Page())] == [(1, 1)]
        database.close()

    def test_several_at_once(self, database_url: str) -> None:
        databases = [Database(database_url) for _ in range(3)]
        threads = [threading.Thread(target=one.migrate) for one in databases]
        for one in threads:
            one.start()
        for one in threads:
            one.join()
        for database in databases:
            database.check()
            database.close()

    @pytest.mark.parametrize("url", ["nonsense", "mysql://x/y", "sqlite+nothing:///x"])
    def test_a_url_that_is_none(self, url: str) -> None:
        with pytest.raises(InboxUrlError, match="AZMAIL_INBOX_DATABASE"):
            Database(url)

    @pytest.mark.parametrize("url", ["sqlite:///{}/no/such/folder.sqlite", "postgresql+psycopg:///x?host={}"])
    def test_nobody_answers(self, tmp_path: Path, url: str) -> None:
        database = Database(url.format(tmp_path))
        with pytest.raises(InboxDatabaseError, match=r"OperationalError.*503"):
            MailStore(database).store(received_parcel(mail(), ME))


class TestGoneAndBack:
    def test_connections_that_the_server_has_ended(
        self, migrated_postgresql: Database, caplog: pytest.LogCaptureFixture
    ) -> None:
        """One answer says so, no later one meets what is left in the pool, and nobody reads a traceback."""
        empty(migrated_postgresql)
        store = MailStore(migrated_postgresql)
        with migrated_postgresql.reading(), migrated_postgresql.reading():  # three connections are in the pool then
            assert store.store(received_parcel(mail(1), ME))
        with migrated_postgresql.reading() as connection:
            others = "pid <> pg_backend_pid() AND datname = current_database()"
            connection.execute(text(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {others}"))
        told: list[bool | None] = []
        for number in range(2, 6):
            try:
                told.append(store.store(received_parcel(mail(number), ME)))
            except InboxDatabaseError:
                told.append(None)
        assert told.count(None) <= 1
        assert set(told) <= {None, True}
        assert rows(migrated_postgresql)["inbox_mails"] == 1 + told.count(True)
        assert not [one for one in caplog.records if one.exc_info]


class TestOnce:
    def test_a_repetition_changes_nothing(self, database: Database, store: MailStore) -> None:
        assert store.store(received_parcel(mail(), ME))
        before = rows(database)
        assert not store.store(received_parcel(mail(), ME))
        assert rows(database) == before
        assert before["inbox_mails"] == before["inbox_jobs"] == 1

    @pytest.mark.parametrize(
        "other",
        [
            {"From": "Eve <eve@x.example>"},
            {"Subject": "other"},
            {"Sender": "eve@x.example"},
            {"Text-part": "other"},
            {"Headers": {"Date": "Sat, 03 Jan 2026 03:04:00 +0000"}},
        ],
    )
    def test_another_mail_with_the_same_message_id_is_another(
        self, database: Database, store: MailStore, other: Any
    ) -> None:
        assert store.store(received_parcel(mail(), ME))
        assert store.store(received_parcel(mail(1, **other), ME))
        assert rows(database)["inbox_jobs"] == 2

    def test_one_row_for_each_agent(self, database: Database, store: MailStore) -> None:
        """Two agents get one mail: two deliveries, each its own."""
        for agent in (ME, YOU):
            assert store.store(received_parcel(mail(), agent))
        assert rows(database)["inbox_mails"] == 2

    def test_at_the_same_time(self, database: Database) -> None:
        """Threads and stores that bring the same and different mails: each is there once, and told fresh once."""
        stores = [MailStore(database, hooks=("work",)) for _ in range(2)]
        fresh: list[bool] = []
        begin = threading.Barrier(8)

        def bring(store: MailStore) -> None:
            begin.wait()
            fresh.extend(store.store(received_parcel(mail(number), ME)) for number in range(10))

        threads = [threading.Thread(target=bring, args=(stores[number % 2],)) for number in range(8)]
        for one in threads:
            one.start()
        for one in threads:
            one.join()
        assert (len(fresh), sum(fresh)) == (80, 10)
        assert rows(database)["inbox_mails"] == rows(database)["inbox_jobs"] == 10

    def test_events(self, database: Database, store: MailStore) -> None:
        bounce = {"event": "bounce", "time": 1, "MessageID": 7, "Payload": json.dumps({"agent_id": ME})}
        events = parse_events([bounce, bounce, {"event": "open\0" * 50, "time": 2}])
        assert store.store_events(events) == 2
        assert store.store_events(events) == 0
        assert rows(database)["inbox_jobs"] == 2
        found = stored_event(database, mail_id(ME, events[0].delivery_key))
        assert found == events[0]


class TestWhole:
    @pytest.mark.parametrize("sizes", [(0,), (1, 1), (PIECE_OCTETS, PIECE_OCTETS + 1, 3)])
    def test_files(self, database: Database, store: MailStore, sizes: tuple[int, ...]) -> None:
        made = with_files(1, *(bytes([number]) * size for number, size in enumerate(sizes)))
        parcel = received_parcel(parse_inbound(made), ME)
        assert store.store(parcel)
        found = received_mail(database, parcel.id)
        assert found == parse_inbound(made)
        assert found.payload == made
        assert [file.octets for file in files_of(database, parcel.id)] == list(sizes)
        for part, size in enumerate(sizes, 1):
            for begin, end in ((0, size), (size // 2, size), (max(0, size - 1), size)):
                content = b"".join(file_range(database, parcel.id, part, begin, end))
                assert content == (bytes([part - 1]) * size)[begin:end]
        # Kept once: not in the payload as well.
        with database.reading() as connection:
            kept = connection.execute(select(func.sum(func.length(PIECES.c.content)))).scalar_one()
        assert kept < sum(sizes) + 3_000

    @pytest.mark.parametrize("size", [MOST_HELD_OCTETS + 1, 57 * 4_000, PIECE_OCTETS * 2 + 100])
    @pytest.mark.parametrize("kind", ["application/pdf", "text/plain", "message/rfc822"])
    @pytest.mark.slow
    def test_large_files_as_mime(self, sqlite_database: Database, size: int, kind: str) -> None:
        """Spliced in as they are read, they make the octets that the standard library writes; so do several files."""
        made = with_files(
            1, b"small", os.urandom(size), os.urandom(size) if kind[0] == "a" else b"Subject: x\r\n\r\n" * 9_000
        )
        for part in made["Parts"][1:]:
            part["Headers"]["Content-Type"] = kind
        parcel = received_parcel(parse_inbound(made), ME)
        MailStore(sqlite_database).store(parcel)
        message = parse_inbound(made).message
        for number, part in enumerate(message.walk()):
            if part.get_content_maintype() == "multipart" and part.get_boundary() is None:
                part.set_boundary(f"=_{parcel.id}_{number}")
        assert mime(sqlite_database, parcel.id) == message.as_bytes()

    def test_a_mail_that_is_deleted_while_it_is_rebuilt(
        self, sqlite_database: Database, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        parcel = received_parcel(parse_inbound(with_files(1, b"x")), ME)
        MailStore(sqlite_database).store(parcel)

        def late(database: Database, mail: str) -> Any:
            delete_mail(database, ME, mail)
            return files_of(database, mail)

        monkeypatch.setattr("azmail.inbox.content.files_of", late)
        assert original(sqlite_database, parcel.id) is None

    @pytest.mark.parametrize(
        "odd",
        [
            {"Text-part": "a\0b", "Html-part": "\0", "Subject": "x\0\ud800"},
            {"From": "\0 <\0@\0>", "MessageID": "<\0\udfff@x>"},
            {"MessageID": "<>"},
            {"Attachment1": "no base64 \0 \u20ac", "Parts": [{"Headers": ODD_NAME, "ContentRef": "Attachment1"}]},
            {"Headers": {"References": "<a@b> " * 5_000, "To": "a@b.example, " * 5_000}},
            {"Text-part": "\u0130\u1e9e " * 100_000},
            {"Text-part": "x" * 3_000_000},
            {"Text-part": " ".join(str(number) for number in range(200_000))},
        ],
    )  # fmt: skip
    @pytest.mark.slow
    def test_odd_mails(self, database: Database, store: MailStore, odd: Any) -> None:
        """NUL, halves of surrogate pairs, sizes: stored, and read as they were parsed."""
        made = payload(1, **odd)
        parcel = received_parcel(parse_inbound(made), ME)
        assert store.store(parcel)
        assert received_mail(database, parcel.id) == parse_inbound(made)
        octets = mime(database, parcel.id)
        assert octets == mime(database, parcel.id)
        sent = message_from_bytes(octets, policy=SMTP)
        assert sent["Subject"] == parse_inbound(made).message["Subject"]

    @settings(max_examples=examples(300), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(
        made=st.fixed_dictionaries(
            {"Recipient": st.just("me@d.example")},
            optional={
                **{key: st.text(max_size=40) for key in TEXTS},
                "Headers": st.dictionaries(st.sampled_from(HEADERS), st.text(max_size=40)),
            },
        )
    )
    def test_any_mail(self, database: Database, store: MailStore, made: Any) -> None:
        parcel = received_parcel(parse_inbound(made), ME)
        if store.store(parcel):  # else another example was this mail too: what its key does not cover differs
            assert received_mail(database, parcel.id) == parse_inbound(made)

    def test_what_the_database_refuses_of_one_does_not_stand_in_the_others_way(
        self, database: Database, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        store = MailStore(database)
        good = [received_parcel(mail(number), ME) for number in range(3)]
        bad = received_parcel(mail(9), ME)
        object.__setattr__(bad, "direction", None)
        told: dict[str, Any] = {}
        monkeypatch.setattr(store, "_is_writing", True)

        def bring(parcel: Any) -> None:
            try:
                told[parcel.id] = store.store(parcel)
            except InboxDatabaseError as error:
                told[parcel.id] = error

        threads = [threading.Thread(target=bring, args=(one,)) for one in (*good, bad)]
        for one in threads:
            one.start()
        wait_until(lambda: len(store._waiting) == 4)
        store._write_waiting()
        for one in threads:
            one.join()
        assert [told[one.id] for one in good] == [True] * 3
        assert isinstance(told[bad.id], InboxDatabaseError)
        assert rows(database)["inbox_mails"] == 3

    def test_a_fault_while_they_are_written_one_by_one_is_told_to_all(
        self, sqlite_database: Database, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Nobody hears that a mail was there before which is nowhere."""
        store = MailStore(sqlite_database)
        told: list[object] = []

        def write(parcels: dict[str, Any]) -> set[str]:
            raise InboxDatabaseError(ValueError("refused")) if len(parcels) > 1 else MemoryError

        def bring(number: int) -> None:
            try:
                told.append(store.store(received_parcel(mail(number), ME)))
            except InboxDatabaseError as error:
                told.append(error)

        monkeypatch.setattr(store._writing, "write", write)
        monkeypatch.setattr(store, "_is_writing", True)
        threads = [threading.Thread(target=bring, args=(number,)) for number in range(3)]
        for one in threads:
            one.start()
        wait_until(lambda: len(store._waiting) == 3)
        with pytest.raises(MemoryError):
            store._write_waiting()
        for one in threads:
            one.join()
        assert [type(one) for one in told] == [InboxDatabaseError] * 3


def counted(database: Database, agent: str | None) -> tuple[int, int]:
    """Mails and unread ones, row by row."""
    mine = [] if agent is None else [MAILS.c.agent == agent]
    with database.reading() as connection:
        seen = connection.execute(select(MAILS.c.seen).where(*mine)).scalars().all()
    return len(seen), seen.count(False)


class TestCounts:
    """Kept beside the mails, and what they would be if somebody counted."""

    def hold(self, database: Database) -> None:
        for agent in (ME, YOU, None):
            reader = MailboxReader(database, agent)
            assert reader.counts() == counted(database, agent), agent
            mails = reader.mails(Page(limit=200))
            threads = [(one.newest.position, one.mails, one.unread) for one in reader.threads(Page(limit=200))]
            places = list(dict.fromkeys((one.agent, one.thread) for one in mails))
            assert threads == [
                (its[0].position, len(its), sum(not one.seen for one in its))
                for its in ([one for one in mails if (one.agent, one.thread) == place] for place in places)
            ], agent

    def test_whatever_happens(self, database: Database, store: MailStore) -> None:
        self.hold(database)
        answer = {"In-Reply-To": "<1@x.example>"}
        mine, yours = (
            [received_parcel(mail(n, Headers=answer if n in (2, 4) else {}), agent) for n in range(6)]
            for agent in (ME, YOU)
        )
        assert store.store_all([*mine, *yours, mine[0]]) == [True] * 12 + [False]
        sent = sent_parcel(ME, "k", b"Subject: x\r\n\r\nx", sender="me@d.example", recipients=["a@x.example"])
        assert store.store(sent)
        assert MailboxReader(database, ME).counts() == (7, 6)
        self.hold(database)
        reader = MailboxReader(database, ME)
        for seen in (True, True, False, True):
            reader.mark(mine[1].id, seen=seen, add=["l"])
            self.hold(database)
        reader.mark(sent.id, seen=False)
        with pytest.raises(TooManyLabelsError):
            reader.mark(mine[2].id, seen=True, add=[str(n) for n in range(21)])
        self.hold(database)
        with database.writing() as connection:
            connection.execute(update(MAILS).values(seen=text("NOT seen")))
        self.hold(database)
        assert not delete_mail(database, YOU, mine[1].id)
        assert delete_mail(database, ME, mine[1].id)
        assert delete_mail(database, ME, mine[2].id)
        self.hold(database)
        with database.writing() as connection:
            connection.execute(update(MAILS).where(MAILS.c.id == yours[0].id).values(stored_at=0))
        assert expire(database, 1) == 1
        self.hold(database)
        assert erase(database, ME) == 5
        self.hold(database)
        assert rows(database)["inbox_counts"] == 1

    def test_many_at_once(self, database: Database, store: MailStore) -> None:
        """Some store, some mark, some delete: nobody waits in a circle."""
        parcels = [received_parcel(mail(number), (ME, YOU)[number % 2]) for number in range(24)]
        store.store_all(parcels[:12])

        def use(number: int) -> None:
            store.store(parcels[12 + number])
            MailboxReader(database, None).mark(parcels[number].id, seen=True)
            if number % 3 == 0:
                delete_mail(database, None, parcels[number].id)

        with ThreadPoolExecutor(6) as threads:
            list(threads.map(use, range(12)))
        self.hold(database)
        assert MailboxReader(database, None).counts() == (20, 12)


class TestThreads:
    def place(self, database: Database, store: MailStore, number: int, **changes: Any) -> int:
        agent = changes.pop("agent", ME)
        parcel = received_parcel(mail(number, **changes), agent)
        store.store(parcel)
        return thread(database, parcel.id)

    def test_references(self, database: Database, store: MailStore) -> None:
        first = self.place(database, store, 1)
        answer = self.place(database, store, 2, Headers={"In-Reply-To": "<1@x.example>"})
        deep = self.place(database, store, 3, Headers={"References": "<0@x> <1@x.example> <gone@x>"})
        alone = self.place(database, store, 4)
        assert first == answer == deep != alone

    def test_the_answer_comes_first(self, database: Database, store: MailStore) -> None:
        answer = self.place(database, store, 2, Headers={"References": "<1@x.example>"})
        other = self.place(database, store, 3, Headers={"References": "<1@x.example>"})
        assert answer == other == self.place(database, store, 1)

    def test_another_agents_thread_is_another(self, database: Database, store: MailStore) -> None:
        first = self.place(database, store, 1)
        assert first != self.place(database, store, 2, agent=YOU, Headers={"In-Reply-To": "<1@x.example>"})

    def test_by_subject_only_for_an_answer_of_the_same_correspondent(
        self, database: Database, store: MailStore
    ) -> None:
        first = self.place(database, store, 1, Subject="Plan")
        assert first == self.place(database, store, 2, Subject="RE: AW: plan")
        assert first != self.place(database, store, 3, Subject="Plan")
        assert first != self.place(database, store, 4, Subject="Re: Plan", From="eve@x.example")

    @pytest.mark.parametrize("same", ["<same@mct.example>", "<>", "no id"])
    def test_a_reused_id_ties_nothing_together(self, database: Database, store: MailStore, same: str) -> None:
        places = {self.place(database, store, number, MessageID=same) for number in range(3)}
        assert len(places) == 3


class TestRemoval:
    def test_a_deleted_mail_leaves_nothing_and_does_not_come_back(self, database: Database, store: MailStore) -> None:
        parcel = received_parcel(parse_inbound(with_files(1, b"x")), ME)
        store.store(parcel)
        assert not delete_mail(database, YOU, parcel.id)
        assert delete_mail(database, ME, parcel.id)
        assert not delete_mail(database, ME, parcel.id)
        assert not store.store(parcel)
        assert {name: count for name, count in rows(database).items() if count} == {"inbox_deleted": 1}
        sweep(database)
        assert rows(database)["inbox_deleted"] == 1

    def test_retention(self, database: Database, store: MailStore) -> None:
        old, new = (received_parcel(mail(number), ME) for number in (1, 2))
        for one in (old, new):
            store.store(one)
        store.store_events(parse_events([{"event": "spam", "time": 1}]))
        with database.writing() as connection:
            connection.execute(
                update(MAILS).where(MAILS.c.id == old.id).values(stored_at=MAILS.c.stored_at - 3 * 86_400_000)
            )
        assert expire(database, 2) == 1
        assert rows(database) | {"inbox_threads": 0} == {
            "inbox_mails": 1, "inbox_pieces": 1, "inbox_files": 0, "inbox_threads": 0, "inbox_labels": 0, "inbox_events": 1,
            "inbox_jobs": 2, "inbox_deleted": 1, "inbox_search": 1, "inbox_counts": 1,
            "inbox_conversations": 1,
        }  # fmt: skip
        with database.reading() as connection:
            assert connection.execute(select(DELETED.c.id)).scalars().all() == [old.id]

    def test_erasing_an_agent(self, database: Database, store: MailStore) -> None:
        """Nothing of it is left, and all of the other."""
        for agent in (YOU, ME):
            for number in range(3):
                store.store(received_parcel(parse_inbound(with_files(number, b"x")), agent))
            store.store_events(
                parse_events([{"event": "bounce", "MessageID": 1, "Payload": json.dumps({"agent_id": agent})}])
            )
            if agent == YOU:
                alone = rows(database)
        delete_mail(database, ME, received_parcel(parse_inbound(with_files(0, b"x")), ME).id)
        assert erase(database, ME) == 3
        assert rows(database) == alone
        with database.reading() as connection:
            for name, table in METADATA.tables.items():
                if "agent" in table.c:
                    assert ME not in connection.execute(select(table.c.agent)).scalars().all(), name
            assert connection.execute(select(THREADS.c.agent)).scalars().all()
            assert set(connection.execute(select(JOBS.c.agent)).scalars()) == {YOU}
        assert "inbox_mails" in inspect_names(database)


def inspect_names(database: Database) -> list[str]:
    with database.reading() as connection:
        return inspect(connection).get_table_names()
