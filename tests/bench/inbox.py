"""`python -m tests.bench.inbox`: storing and listing, beside the memory of deliveries that the plain webhook uses.

Seconds are this machine's; the ratios hold. Each subject is four processes for some seconds, one after the other, and
each delivery has been parsed before, so that what is compared is the storing with its de-duplication.
"""

from __future__ import annotations

import argparse
import multiprocessing
import statistics
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sqlalchemy import text

from azmail.deliveries import SqliteDeliveries
from azmail.inbound import parse_inbound
from azmail.inbox.database import Database
from azmail.inbox.parcels import received_parcel
from azmail.inbox.reading import MailboxReader, Page
from azmail.inbox.receiving import STORING_THREADS
from azmail.inbox.store import MailStore
from tests.chaos.inbox import KilledPostgres

PROCESSES, THREADS, AGENTS = 4, STORING_THREADS, 50
MAILBOX = 100_000
LISTS = 50


def payload(process: int, number: int) -> dict[str, Any]:
    return {
        "Sender": "ada@x.example",
        "Recipient": f"a{number % AGENTS}@d.example",
        "Subject": f"Subject {number}",
        "Headers": {"From": "Ada <ada@x.example>", "Message-ID": f"<{process}.{number}@x.example>"},
        "Text-part": "some words of a mail " * 48,
    }


def remember(path: str, process: int, seconds: float, results: Any) -> None:
    """What the plain webhook writes for a delivery: a claim and a mark."""
    store = SqliteDeliveries(path)
    count, until = 0, time.monotonic() + seconds
    while time.monotonic() < until:
        key = f"{process}.{count}"
        store.claim(key, "me", 60.0)
        store.done(key, "me")
        count += 1
    store.close()
    results.put(count)


def keep(url: str, process: int, seconds: float, results: Any) -> None:
    """Whole mails, by as many threads as deliveries come at once."""
    database = Database(url)
    store = MailStore(database, hooks=("work",))
    counts = [0] * THREADS
    until = time.monotonic() + seconds

    def run(thread: int) -> None:
        while time.monotonic() < until:
            number = counts[thread] * THREADS + thread
            store.store(received_parcel(parse_inbound(payload(process, number)), f"bot-{number % AGENTS}"))
            counts[thread] += 1

    threads = [threading.Thread(target=run, args=(thread,)) for thread in range(THREADS)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    database.close()
    results.put(sum(counts))


def rate(work: Callable[[str, int, float, Any], None], where: str, seconds: float) -> float:
    """A second, of all processes together."""
    context = multiprocessing.get_context("spawn")
    results = context.Queue()
    processes = [context.Process(target=work, args=(where, number, seconds, results)) for number in range(PROCESSES)]
    for one in processes:
        one.start()
    total = sum(results.get(timeout=seconds + 120) for _ in processes)
    for one in processes:
        one.join()
    return float(total) / seconds


def listing(database: Database) -> float:
    """Milliseconds of the newest 50 of a mailbox of `MAILBOX` mails, with all that the API does to them: the median."""
    with database.writing() as connection:
        connection.execute(
            text(
                "INSERT INTO inbox_mails (id, agent, thread, direction, seen, octets, stored_at, summary) "
                "SELECT md5(n::text), 'many', n, direction, false, octets, stored_at, summary "
                "FROM generate_series(1, :most) AS n, (SELECT * FROM inbox_mails LIMIT 1) AS one"
            ),
            {"most": MAILBOX},
        )
    reader = MailboxReader(database, "many")
    times = []
    for _ in range(LISTS):
        began = time.perf_counter()
        assert len(reader.mails(Page(limit=50))) == 50
        times.append(time.perf_counter() - began)
    return statistics.median(times) * 1000


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.inbox", description=__doc__)
    parser.add_argument("--seconds", type=float, default=10.0, help="for each subject (default: %(default)s)")
    seconds = parser.parse_args().seconds
    postgres = KilledPostgres()
    with tempfile.TemporaryDirectory(prefix="azmail-bench-") as folder:
        today = rate(remember, str(Path(folder) / "deliveries.sqlite"), seconds)
        for url in (f"sqlite:///{folder}/inbox.sqlite", postgres.url):
            made = Database(url)
            made.migrate()
            made.close()
        on_sqlite = rate(keep, f"sqlite:///{folder}/inbox.sqlite", seconds)
        on_postgres = rate(keep, postgres.url, seconds)
        database = Database(postgres.url)
        milliseconds = listing(database)
        database.close()
    postgres.close()
    print(f"{'4 processes':52} {'a second':>10} {'ratio':>6}")
    for name, found in (
        ("remember a delivery, SQLite (the plain webhook)", today),
        ("keep a mail of 1 kB, SQLite", on_sqlite),
        ("keep a mail of 1 kB, PostgreSQL", on_postgres),
    ):
        print(f"{name:52} {found:>10,.0f} {found / today:>6.1f}")
    print(f"list 50 of {MAILBOX:,} mails, PostgreSQL: {milliseconds:.1f} ms")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
