"""`python -m tests.bench.mailbox`: what reading a mailbox costs as it grows to a million mails, on both databases.

A figure is the best of several calls, with all that the API does to the rows: the machine may do other things. With
`--plot FILE.svg` the figures are drawn (docs/pictures/inbox.svg); that takes what tests/tools.in installs.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from sqlalchemy import text

from azmail.inbound import parse_inbound
from azmail.inbox.database import Database
from azmail.inbox.parcels import received_parcel
from azmail.inbox.reading import MailboxReader, Page
from azmail.inbox.store import MailStore
from azmail.inbox.words import agent_word
from tests.bench.inbox import payload
from tests.postgres import PostgresServerOfTests

SIZES = (1_000, 10_000, 100_000, 1_000_000)
CALLS = 9
MANY, FEW = "many", "few"
"""The agent whose mailbox grows, and one who has ten mails beside it."""
Figures = dict[str, dict[int, float]]
"""Milliseconds by question and size."""

QUESTIONS: Mapping[str, Callable[[MailboxReader, int], object]] = {
    "the newest 50": lambda reader, _: reader.mails(Page()),
    "50 from the middle": lambda reader, size: reader.mails(Page(before=size // 2)),
    "what is new": lambda reader, size: reader.mails(Page(after=size - 5)),
    "50 unread": lambda reader, _: reader.mails(Page(), seen=False),
    "50 with a label": lambda reader, _: reader.mails(Page(), label="label"),
    "50 threads": lambda reader, _: reader.threads(Page()),
    "50 threads from the middle": lambda reader, size: reader.threads(Page(before=size // 2)),
    "search: in every mail": lambda reader, _: reader.search("every", Page()),
    "search: in one of 1,000": lambda reader, _: reader.search("of7", Page()),
    "search: in none": lambda reader, _: reader.search("none", Page()),
    "search: both": lambda reader, _: reader.search("every of7", Page()),
    "search: how one begins": lambda reader, _: reader.search("of7*", Page()),
    "counts": lambda reader, _: reader.counts(),
}
BESIDE: Mapping[str, Callable[[MailboxReader], object]] = {
    "beside it, of ten mails: the newest": lambda reader: reader.mails(Page()),
    "beside it, of ten mails: search": lambda reader: reader.search("every", Page()),
    "beside it, of ten mails: threads": lambda reader: reader.threads(Page()),
}


def fill(database: Database, begin: int, end: int) -> None:
    """Mails of `MANY` in threads of four; each has a word that all have, one of a thousand and one of its own."""
    series = (
        "(WITH RECURSIVE s(n) AS (SELECT :begin UNION ALL SELECT n + 1 FROM s WHERE n + 1 < :end) SELECT n FROM s)"
        if database.is_sqlite
        else "(SELECT generate_series(CAST(:begin AS bigint), CAST(:end AS bigint) - 1) AS n)"
    )
    name = "printf('%032x', n)" if database.is_sqlite else "lpad(to_hex(n), 32, '0')"
    words = f"'{agent_word(MANY)} every of' || (n % 1000) || ' own' || n"
    indexed = words if database.is_sqlite else f"array_to_tsvector(string_to_array({words}, ' '))"
    position = "rowid" if database.is_sqlite else "position"
    values = {"begin": begin, "end": end}
    with database.writing(relaxed=True) as connection:
        if not database.is_sqlite:
            connection.execute(text("SET LOCAL statement_timeout = 0"))
        connection.execute(
            text(
                "INSERT INTO inbox_mails (position, id, agent, thread, direction, seen, octets, stored_at, summary) "
                f"SELECT n, {name}, '{MANY}', n / 4, direction, n % 10 <> 0, octets, stored_at, summary "
                f"FROM {series} AS numbers, (SELECT * FROM inbox_mails WHERE agent = '{FEW}' LIMIT 1) AS one"
            ),
            values,
        )
        connection.execute(
            text(f"INSERT INTO inbox_search ({position}, words) SELECT n, {indexed} FROM {series} AS numbers"), values
        )
        connection.execute(
            text(
                "INSERT INTO inbox_labels (mail, label, agent, position) "
                f"SELECT {name}, 'label', '{MANY}', n FROM {series} AS numbers WHERE n % 100 = 0"
            ),
            values,
        )


def analyze(database: Database) -> None:
    """What autovacuum does within a minute."""
    with database.writing(relaxed=True) as connection:
        if not database.is_sqlite:
            connection.execute(text("SET LOCAL statement_timeout = 0"))
        connection.execute(text("ANALYZE"))


def best(call: Callable[[], object]) -> float:
    """Milliseconds."""
    times = []
    for _ in range(CALLS):
        began = time.perf_counter()
        call()
        times.append(time.perf_counter() - began)
    return min(times) * 1000


def figures(database: Database, sizes: tuple[int, ...]) -> Figures:
    store = MailStore(database)
    for number in range(10):
        store.store(received_parcel(parse_inbound(payload(number) | {"Text-part": "every"}), FEW))
    many, few = MailboxReader(database, MANY), MailboxReader(database, FEW)
    found: Figures = {}
    begin = 100
    for size in sizes:
        fill(database, begin, size)
        analyze(database)
        begin = size
        for name, ask in QUESTIONS.items():
            found.setdefault(name, {})[size] = best(lambda ask=ask, size=size: ask(many, size))  # type: ignore[misc]
        for name, look in BESIDE.items():
            found.setdefault(name, {})[size] = best(lambda look=look: look(few))  # type: ignore[misc]
    return found


def table(name: str, found: Figures) -> str:
    sizes = sorted(next(iter(found.values())))
    lines = [f"| {name}, ms | " + " | ".join(f"{size:,}" for size in sizes) + " |", "| --- |" + " --- |" * len(sizes)]
    lines += [
        f"| {question} | " + " | ".join(f"{row[size]:.1f}" for size in sizes) + " |" for question, row in found.items()
    ]
    return "\n".join(lines)


def plot(target: Path, every: Mapping[str, Figures]) -> None:
    """One panel for each database, both axes in powers of ten."""
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "inbox"
    from matplotlib import pyplot

    drawing, panels = pyplot.subplots(1, len(every), sharey=True, figsize=(12, 5.5), layout="constrained")
    for panel, (name, found) in zip(panels, every.items(), strict=True):
        for number, (question, row) in enumerate(found.items()):
            panel.plot(
                list(row), list(row.values()), label=question, linewidth=1.2, marker="os^Dv"[number % 5], markersize=3,
                color=matplotlib.colormaps["tab20"](number % 20),
            )  # fmt: skip
        panel.set(xscale="log", yscale="log", xlabel="mails of the agent", title=name)
        panel.axhline(20, color="grey", linewidth=0.8, linestyle="--")
        panel.grid(alpha=0.3)
    panels[0].set_ylabel("milliseconds (dashed: 20)")
    drawing.legend(*panels[0].get_legend_handles_labels(), loc="outside right", fontsize=8)
    drawing.savefig(target, metadata={"Date": None})


def main() -> int:
    """Prints a table for each database."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.mailbox", description=__doc__)
    parser.add_argument("--most", type=int, default=SIZES[-1], help="mails (default: %(default)s)")
    parser.add_argument("--plot", type=Path, metavar="FILE.svg", help="draw them")
    given = parser.parse_args()
    sizes = tuple(size for size in SIZES if size <= given.most)
    every: dict[str, Figures] = {}
    for name in ("SQLite", "PostgreSQL"):
        with tempfile.TemporaryDirectory(prefix="azmail-bench-") as folder:
            postgres = PostgresServerOfTests() if name == "PostgreSQL" else None
            database = Database(postgres.url if postgres else f"sqlite:///{folder}/inbox.sqlite", timeout=60.0)
            database.migrate()
            every[name] = figures(database, sizes)
            database.close()
            if postgres:
                postgres.close()
        print(f"{table(name, every[name])}\n", flush=True)
    print(f"Peak memory of the reading process: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024} MB")
    if given.plot:
        plot(given.plot, every)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
