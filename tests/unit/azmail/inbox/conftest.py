"""An inbox's database: SQLite and PostgreSQL for what depends on it, SQLite for the rest."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from azmail.inbox.database import Database
from azmail.inbox.store import MailStore
from azmail.inbox.tables import METADATA
from tests.unit.azmail.databases import empty_database
from tests.unit.azmail.inbox.desk import Desk, opened_desk


@pytest.fixture(scope="session")
def migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with all tables and nothing in them, to copy."""
    path = tmp_path_factory.mktemp("migrated") / "inbox.sqlite"
    made = Database(f"sqlite:///{path}")
    made.migrate()
    made.close()
    return path


@pytest.fixture(scope="session")
def migrated_postgresql(postgres_url: str) -> Iterator[Database]:
    """One database for all tests: they empty it, which is quicker than making one."""
    with empty_database(postgres_url) as url:
        made = Database(url)
        made.migrate()
        yield made
        made.close()


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
def database(request: pytest.FixtureRequest) -> Database:
    if request.param == "sqlite":
        found: Database = request.getfixturevalue("sqlite_database")
        return found
    database: Database = request.getfixturevalue("migrated_postgresql")
    empty(database)
    return database


@pytest.fixture(scope="module")
def emptied_postgresql(migrated_postgresql: Database) -> Database:
    empty(migrated_postgresql)
    return migrated_postgresql


def empty(database: Database) -> None:
    tables = ", ".join(name for name in METADATA.tables if name != "inbox_keys")
    with database.writing(relaxed=True) as connection:
        connection.execute(text(f"TRUNCATE {tables}"))


@pytest.fixture
def sqlite_database(tmp_path: Path, migrated_sqlite: Path) -> Iterator[Database]:
    path = tmp_path / "inbox.sqlite"
    shutil.copy(migrated_sqlite, path)
    made = Database(f"sqlite:///{path}")
    yield made
    made.close()


@pytest.fixture
def desk(database: Database, tmp_path: Path) -> Iterator[Desk]:
    """The whole app over the database."""
    with opened_desk(database, tmp_path) as made:
        yield made


@pytest.fixture
def sqlite_desk(sqlite_database: Database, tmp_path: Path) -> Iterator[Desk]:
    with opened_desk(sqlite_database, tmp_path) as made:
        yield made


@pytest.fixture
def store(database: Database) -> MailStore:
    return MailStore(database, hooks=("work",))


def opened_database(request: pytest.FixtureRequest, folder: Path) -> Database:
    """For a module's fixture with the databases as its parameters."""
    if request.param == "sqlite":
        made = Database(f"sqlite:///{folder}/inbox.sqlite")
        made.migrate()
        request.addfinalizer(made.close)
        return made
    found: Database = request.getfixturevalue("emptied_postgresql")
    return found
