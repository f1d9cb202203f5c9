"""What a mail may cost: memory of the largest one in and out, a thousand files, a mailbox of many mails."""

from __future__ import annotations

import base64
import gc
import json
import os
import tracemalloc
from collections.abc import Callable

from sqlalchemy import text

from azmail.inbound import parse_inbound
from azmail.inbox.content import file_range, files_of, received_mail
from azmail.inbox.database import Database
from azmail.inbox.parcels import received_parcel
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


def test_a_large_mail_in_and_out(sqlite_database: Database) -> None:
    store = MailStore(sqlite_database)
    content = os.urandom(SIZE)
    body = json.dumps(with_files(1, content)).encode()
    keys: list[str] = []

    def come() -> None:
        parcel = received_parcel(parse_inbound(body), ME)
        store.store(parcel)
        keys.append(parcel.id)

    # The body itself is held beside what is measured.
    assert len(body) + peak(come) < 4 * len(body)
    assert peak(lambda: [len(piece) for piece in file_range(sqlite_database, keys[0], 1, 0, SIZE)]) < 3 * MEGABYTE
    assert peak(lambda: received_mail(sqlite_database, keys[0], with_files=False)) < MEGABYTE
    assert b"".join(file_range(sqlite_database, keys[0], 1, 0, SIZE)) == content


def test_a_thousand_files(sqlite_database: Database) -> None:
    made = with_files(1, *(str(number).encode() * 100 for number in range(1_000)))
    parcel = received_parcel(parse_inbound(made), ME)
    assert MailStore(sqlite_database).store(parcel)
    assert len(files_of(sqlite_database, parcel.id)) == 1_000
    found = received_mail(sqlite_database, parcel.id)
    assert found is not None
    assert base64.b64encode(found.attachments[999].content).decode() == made["Attachment1000"]


def test_no_question_of_the_lists_scans_a_mailbox(database: Database) -> None:
    """By the databases' own plans: what is asked of a large mailbox walks an index and stops at the page's end."""
    store = MailStore(database)
    for number in range(3):
        store.store(received_parcel(parse_inbound(payload(number)), ME))
    questions = [
        "SELECT id FROM inbox_mails WHERE agent = 'a' AND position < 9 ORDER BY position DESC LIMIT 50",
        "SELECT id FROM inbox_mails WHERE agent = 'a' AND position > 9 ORDER BY position LIMIT 50",
        "SELECT id FROM inbox_mails WHERE agent = 'a' AND thread = 7 ORDER BY position DESC LIMIT 50",
        "SELECT id FROM inbox_mails WHERE agent = 'a' AND NOT seen ORDER BY position DESC LIMIT 50",
        "SELECT mail FROM inbox_labels WHERE agent = 'a' AND label = 'l' ORDER BY position DESC LIMIT 50",
        "SELECT position FROM inbox_jobs WHERE hook = 'h' AND agent = 'a' AND position < 9",
        "SELECT id FROM inbox_mails WHERE id = 'x'",
        "SELECT max(position) FROM inbox_mails",
    ]
    with database.reading() as connection:
        if not database.is_sqlite:
            connection.execute(text("SET LOCAL enable_seqscan = off"))
        for question in questions:
            explain = "EXPLAIN QUERY PLAN" if database.is_sqlite else "EXPLAIN"
            plan = " ".join(str(row) for row in connection.execute(text(f"{explain} {question}")))
            assert "Seq Scan" not in plan, (question, plan)
            assert "SCAN inbox" not in plan, (question, plan)
            assert "TEMP B-TREE" not in plan, (question, plan)
