"""The inbox's database: SQLite for one machine, PostgreSQL for several, behind the same few calls.

Time is the database's. Positions are given in the order of commits: `in_order` lets one transaction at a time give
them, so that whoever follows a mailbox by positions never sees one appear behind its back.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import psycopg
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, create_engine, event, func, literal_column, select, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from azmail.errors import AzmailError, TryAgainError

ORDER_LOCK, _SCHEMA_LOCK = 0x617A6D61696C, 0x617A6D61696D
"""Numbers of PostgreSQL's advisory locks; "azmail" in ASCII."""
CONNECTIONS = 8


class InboxDatabaseError(TryAgainError):
    """The database does not answer, or not as expected: nothing was stored. What it said may hold a password."""

    def __init__(self, error: BaseException) -> None:
        self.reason = type(getattr(error, "orig", None) or error).__name__
        super().__init__(
            f"the inbox's database did not answer ({self.reason}), expected SQLite or PostgreSQL that takes what is "
            "stored: look whether it runs and has space, deliveries are answered with 503 until then"
        )


class InboxSchemaError(AzmailError):
    """The database's tables are of another version than this program."""

    def __init__(self, found: str | None, expected: str | None) -> None:
        super().__init__(
            f"the inbox's database is at step {found or 'none'}, expected {expected}: run `azmail inbox migrate`, or "
            "this program's newer version"
        )


class InboxUrlError(AzmailError):
    """No database can be at that URL."""

    def __init__(self) -> None:
        super().__init__(
            "found a database URL that cannot be used, expected sqlite:////path/to/file or "
            "postgresql+psycopg://USER@HOST/DATABASE: set AZMAIL_INBOX_DATABASE"
        )


class Database:
    """Safe to share between threads. Raises InboxDatabaseError from every transaction."""

    def __init__(self, url: str, *, timeout: float = 10.0) -> None:
        """`timeout` bounds each wait, in seconds."""
        self.is_sqlite = url.startswith("sqlite")
        self.insert: Any = sqlite.insert if self.is_sqlite else postgresql.insert
        try:
            if self.is_sqlite:
                self._engine = _sqlite(url, timeout, "FULL", "BEGIN IMMEDIATE")
                # Work that a power cut may undo: it is done again (docs/decisions/135).
                self._relaxed = _sqlite(url, timeout, "NORMAL", "BEGIN IMMEDIATE")
                self._reader = _sqlite(url, timeout, "NORMAL", "BEGIN")
            else:
                self._engine = self._relaxed = self._reader = _postgresql(url, timeout)
        except (ArgumentError, ImportError, ValueError):
            raise InboxUrlError from None
        self.now: Any = literal_column(
            "CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)"
            if self.is_sqlite
            else "CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)"
        )

    @contextmanager
    def writing(self, *, relaxed: bool = False) -> Iterator[Connection]:
        """One transaction. `relaxed`: on SQLite a power cut may undo it though it was committed."""
        with self._begun(self._relaxed if relaxed else self._engine) as connection:
            yield connection

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """One transaction that only looks: all of it sees one state of the database."""
        with self._begun(self._reader) as connection:
            yield connection

    @contextmanager
    def direct(self) -> Iterator[psycopg.Connection[Any]]:
        """psycopg's connection without SQLAlchemy between: for pipelines. What is not committed is undone."""
        try:
            pooled = self._engine.raw_connection()
        except (SQLAlchemyError, psycopg.Error) as error:  # without a connection it hands on the driver's own
            raise InboxDatabaseError(error) from error
        connection = cast("psycopg.Connection[Any]", pooled.driver_connection)
        try:
            yield connection
        except psycopg.Error as error:
            if connection.broken:
                # The server has gone, and with it what the others in the pool lead to.
                pooled.invalidate()
                self._engine.dispose()
            raise InboxDatabaseError(error) from error
        finally:
            pooled.close()

    def in_order(self, connection: Connection) -> None:
        """From here to the end of the transaction no other one gives positions. SQLite has one writer anyway."""
        if not self.is_sqlite:
            connection.execute(select(func.pg_advisory_xact_lock(ORDER_LOCK)))

    def time(self, connection: Connection) -> int:
        """Milliseconds since 1970 by the database's clock."""
        return int(connection.execute(select(self.now)).scalar_one())

    def migrate(self, to: str = "head") -> None:
        """Bring the tables to a step; several processes may do so at once."""
        with self.writing() as connection:
            if not self.is_sqlite:
                connection.execute(select(func.pg_advisory_xact_lock(_SCHEMA_LOCK)))
                # A step over a large table takes as long as it takes.
                connection.execute(text("SET LOCAL statement_timeout = 0"))
            config = _alembic()
            config.attributes["connection"] = connection
            command.upgrade(config, to)

    def steps(self) -> tuple[str | None, str | None]:
        """The step that the tables are at, and the one that this program expects."""
        expected = ScriptDirectory.from_config(_alembic()).get_current_head()
        with self.reading() as connection:
            options = {"version_table": "inbox_version"}
            return MigrationContext.configure(connection, opts=options).get_current_revision(), expected

    def check(self) -> None:
        """Raises InboxSchemaError if the tables are not this program's, InboxDatabaseError if nobody answers."""
        found, expected = self.steps()
        if found != expected:
            raise InboxSchemaError(found, expected)

    def ping(self) -> None:
        """One question, for a health check."""
        with self.reading() as connection:
            connection.execute(select(1)).scalar_one()

    def close(self) -> None:
        for engine in (self._engine, self._relaxed, self._reader):
            engine.dispose()

    @contextmanager
    def _begun(self, engine: Engine) -> Iterator[Connection]:
        try:
            with engine.begin() as connection:
                yield connection
        except SQLAlchemyError as error:
            raise InboxDatabaseError(error) from error


def _alembic() -> Config:
    config = Config()
    config.set_main_option("script_location", "azmail.inbox:migrations")
    config.set_main_option("path_separator", "os")
    return config


def _sqlite(url: str, timeout: float, synchronous: str, begin: str) -> Engine:
    engine = create_engine(url, connect_args={"timeout": timeout}, pool_size=CONNECTIONS, max_overflow=0)

    def prepare(connection: Any, _record: object) -> None:
        connection.isolation_level = None  # the driver must not begin transactions by itself: `begin` does
        for setting in ("journal_mode=WAL", f"synchronous={synchronous}"):
            connection.execute(f"PRAGMA {setting}").close()

    event.listen(engine, "connect", prepare)
    event.listen(engine, "begin", lambda connection: connection.exec_driver_sql(begin))
    return engine


def _postgresql(url: str, timeout: float) -> Engine:
    milliseconds = int(timeout * 1000)
    return create_engine(
        url,
        pool_size=CONNECTIONS,
        max_overflow=0,
        pool_timeout=timeout,
        connect_args={
            "connect_timeout": max(2, int(timeout)),
            # Compiling a plan costs more than any question here.
            "options": f"-c jit=off -c statement_timeout={milliseconds} -c lock_timeout={milliseconds} "
            f"-c idle_in_transaction_session_timeout={milliseconds * 3}",
        },
    )
