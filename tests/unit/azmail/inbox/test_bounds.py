"""What a mail may cost: memory of the largest one in and out, a thousand files, a mailbox of many mails."""

from __future__ import annotations

import base64
import gc
import json
import os
import tracemalloc
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import event, text

from azmail.inbound import parse_inbound
from azmail.inbox.content import file_range, files_of, original, received_mail
from azmail.inbox.database import Database
from azmail.inbox.parcels import received_parcel
from azmail.inbox.reading import MailboxReader, Page
from azmail.inbox.store import MailStore
from tests.unit.azmail.inbox.mails import ME, payload, with_files

MEGABYTE = 1024 * 1024
SIZE = 4 * MEGABYTE
"""A quarter of the largest: what holds is a multiple, and the time of a test is short."""


def peak(call: Callable[[], object]) -> int:
    gc.collect()
    tracemalloc.start()
    try:
        call()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.slow
def test_a_large_mail_in_and_out(database: Database) -> None:
    """In multiples of what Mailjet posts; whatever goes out is never held whole."""
    store = MailStore(database)
    content = os.urandom(SIZE)
    body = json.dumps(with_files(1, content)).encode()
    keys: list[str] = []

    def come() -> None:
        parcel = received_parcel(parse_inbound(body), ME)
        store.store(parcel)
        keys.append(parcel.id)

    def go_out() -> None:
        mime = original(database, keys[0])
        assert mime is not None
        assert sum(len(piece) for piece in mime.content) == mime.octets > SIZE

    # The body itself is held beside what is measured.
    assert len(body) + peak(come) < 3.3 * len(body)
    assert peak(go_out) < 3 * MEGABYTE
    assert peak(lambda: [len(piece) for piece in file_range(database, keys[0], 1, 0, SIZE)]) < 3 * MEGABYTE
    assert peak(lambda: received_mail(database, keys[0], with_files=False)) < MEGABYTE
    assert b"".join(file_range(database, keys[0], 1, 0, SIZE)) == content


@pytest.mark.slow
def test_a_thousand_files(sqlite_database: Database) -> None:
    made = with_files(1, *(str(number).encode() * 100 for number in range(1_000)))
    parcel = received_parcel(parse_inbound(made), ME)
    assert MailStore(sqlite_database).store(parcel)
    assert len(files_of(sqlite_database, parcel.id)) == 1_000
    found = received_mail(sqlite_database, parcel.id)
    assert found is not None
    assert base64.b64encode(found.attachments[999].content).decode() == made["Attachment1000"]


QUESTIONS: dict[str, Callable[[MailboxReader], object]] = {
    "newest": lambda reader: reader.mails(Page()),
    "older": lambda reader: reader.mails(Page(before=9)),
    "newer": lambda reader: reader.mails(Page(after=1)),
    "unread": lambda reader: reader.mails(Page(), seen=False),
    "label": lambda reader: reader.mails(Page(before=9), label="l"),
    "thread": lambda reader: reader.mails(Page(), thread=7),
    "threads": lambda reader: reader.threads(Page(before=9)),
    "search": lambda reader: reader.search("text nothing*", Page()),
    "events": lambda reader: reader.events(Page()),
    "counts": lambda reader: reader.counts(),
    "one": lambda reader: reader.mail("x"),
    "last": lambda reader: reader.newest(),
}


@pytest.mark.parametrize("question", QUESTIONS)
def test_no_question_scans_a_table(database: Database, question: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the databases' own plans of what is really asked: an index is walked, and stops at the page's end."""
    monkeypatch.setattr("azmail.inbox.reading.LOOKED_THROUGH", 3)  # so that a search goes on to its index
    store = MailStore(database)
    for number in range(3):
        store.store(received_parcel(parse_inbound(payload(number)), ME))
    asked: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        asked.append((statement, parameters))

    event.listen(database._reader, "before_cursor_execute", note)
    QUESTIONS[question](MailboxReader(database, ME))
    event.remove(database._reader, "before_cursor_execute", note)
    questions = [(statement, values) for statement, values in asked if statement.startswith("SELECT")]
    assert questions
    assert question != "search" or database.is_sqlite or any("OFFSET 0" in statement for statement, _ in questions)
    with database.reading() as connection:
        if not database.is_sqlite:
            # Of three mails it would read the table, and to sort three rows is nothing.
            for way in ("seqscan", "sort", "incremental_sort"):
                connection.execute(text(f"SET LOCAL enable_{way} = off"))
        explain = "EXPLAIN QUERY PLAN" if database.is_sqlite else "EXPLAIN"
        for statement, values in questions:
            plan = " ".join(str(row) for row in connection.exec_driver_sql(f"{explain} {statement}", values))
            assert "Seq Scan" not in plan, (statement, plan)
            assert "SCAN inbox_" not in plan.replace("SCAN inbox_search VIRTUAL TABLE", ""), (statement, plan)
            if (
                question != "threads"
                and "@@" not in statement
                and "inbox_labels.mail" not in statement.partition(" FROM ")[0]
            ):
                assert "TEMP B-TREE" not in plan, (statement, plan)
                assert "Sort" not in plan, (statement, plan)
            if "NOT seen ORDER" in statement:
                assert "inbox_mails_unread" in plan, plan
