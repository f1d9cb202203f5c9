"""SQLite files that keep an emulator's state across a restart, a `kill -9` included.

Write-ahead logging with `synchronous=NORMAL`: a commit costs microseconds, because nothing waits for the
disk, and is in the operating system's hands once made, so only a power cut can take it back.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class StateFileError(Exception):
    """A state file that cannot be used."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(
            f"The emulator's state file {path} cannot be used ({reason}); "
            "delete it, or name another folder with --state-dir."
        )


def open_database(path: Path | str, schema: str) -> sqlite3.Connection:
    """Open (or create) the database at `path`, `:memory:` included, and apply `schema`.

    `schema` is a script of `CREATE … IF NOT EXISTS` statements. The connection is in autocommit mode: one
    statement is one commit, and `transaction` groups several.
    """
    try:
        connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        connection.row_factory = sqlite3.Row
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")
        connection.execute("PRAGMA foreign_keys=ON")
        connection.execute("PRAGMA busy_timeout=5000")
        connection.executescript(schema)
    except sqlite3.Error as error:
        raise StateFileError(Path(path), str(error)) from error
    return connection


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    """All of the statements inside, or none of them."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield connection
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def first_id(connection: sqlite3.Connection, table: str, value: int) -> None:
    """Let an empty AUTOINCREMENT `table` start counting at `value`."""
    known = connection.execute("SELECT 1 FROM sqlite_sequence WHERE name = ?", (table,)).fetchone()
    if known is None:
        connection.execute("INSERT INTO sqlite_sequence (name, seq) VALUES (?, ?)", (table, value - 1))
