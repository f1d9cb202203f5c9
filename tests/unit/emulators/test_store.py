"""SQLite files that outlive the process."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from emulators.store import StateFileError, first_id, open_database, transaction

SCHEMA = "CREATE TABLE IF NOT EXISTS thing (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT)"

WRITER = """
import os, signal, sys
from emulators.store import open_database
database = open_database(sys.argv[1], sys.argv[2])
for number in range(100):
    database.execute("INSERT INTO thing (name) VALUES (?)", (str(number),))
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_was_written_survives_a_kill(tmp_path: Path) -> None:
    path = tmp_path / "x.sqlite"
    root = Path(__file__).parents[3]
    killed = subprocess.run([sys.executable, "-c", WRITER, str(path), SCHEMA], cwd=root, check=False)
    assert killed.returncode == -9
    database = open_database(path, SCHEMA)
    assert database.execute("SELECT count(*) FROM thing").fetchone()[0] == 100
    database.close()


def test_a_transaction_is_all_or_nothing(tmp_path: Path) -> None:
    database = open_database(tmp_path / "x.sqlite", SCHEMA)

    def broken() -> None:
        with transaction(database):
            database.execute("INSERT INTO thing (name) VALUES ('a')")
            raise KeyError

    with pytest.raises(KeyError):
        broken()
    with transaction(database):
        database.execute("INSERT INTO thing (name) VALUES ('b')")
    assert [row["name"] for row in database.execute("SELECT name FROM thing")] == ["b"]
    database.close()


def test_ids_start_where_told_and_go_on(tmp_path: Path) -> None:
    database = open_database(tmp_path / "x.sqlite", SCHEMA)
    first_id(database, "thing", 700)
    assert database.execute("INSERT INTO thing (name) VALUES ('a')").lastrowid == 700
    first_id(database, "thing", 5)
    database.execute("DELETE FROM thing")
    assert database.execute("INSERT INTO thing (name) VALUES ('b')").lastrowid == 701
    database.close()


def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    path = tmp_path / "x.sqlite"
    path.write_text("this is not a database at all, but long enough to be looked at" * 20)
    with pytest.raises(StateFileError, match=r"x\.sqlite cannot be used .* delete it"):
        open_database(path, SCHEMA)


def test_memory_is_enough_for_a_moment() -> None:
    database = open_database(":memory:", SCHEMA)
    assert isinstance(database, sqlite3.Connection)
    database.close()
