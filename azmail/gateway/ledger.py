"""What replicas of the gateway share: use within limits, revocations, and what became of each message.

One schema for SQLite (one machine) and PostgreSQL (several). Time is the database's, so replicas whose clocks differ
count in the same windows. Every call is one short transaction; a database that does not answer is a LedgerError, and
the gateway then sends nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    CursorResult,
    Engine,
    Executable,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    and_,
    bindparam,
    create_engine,
    delete,
    event,
    func,
    literal_column,
    or_,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import SQLAlchemyError

HOUR, DAY = 3600, 86_400
RESULT_SECONDS = DAY
"""How long the answer to a message is remembered."""
HANDLING_SECONDS = 600
"""After so long without an answer, whoever was handling a message has died."""
ACCOUNT = ""
"""The use of all agents together is kept under this name, which no agent id has."""

_SCHEMA_LOCK = 0x617A6D61696E
"""Number of a PostgreSQL's advisory lock; `azmail.inbox.database` has the two before it."""
_METADATA = MetaData()
_USE = Table(
    "gateway_use",
    _METADATA,
    Column("agent", String(255), nullable=False),
    Column("seconds", Integer, nullable=False),
    Column("begins", BigInteger, nullable=False),
    Column("messages", Integer, nullable=False),
    Column("recipients", Integer, nullable=False),
    PrimaryKeyConstraint("agent", "seconds", "begins"),
)
_REVOKED = Table(
    "gateway_revoked",
    _METADATA,
    Column("agent", String(255), primary_key=True),
    Column("below_epoch", BigInteger, nullable=False),
)
_RESULTS = Table(
    "gateway_results",
    _METADATA,
    Column("agent", String(255), nullable=False),
    Column("key", String(64), nullable=False),
    Column("digest", String(64), nullable=False),
    Column("stage", String(8), nullable=False),
    Column("answer", Text, nullable=False),
    Column("at", BigInteger, nullable=False, index=True),
    PrimaryKeyConstraint("agent", "key"),
)


class LedgerError(Exception):
    """The database does not answer, or not as expected. What it said stays in the log: it may hold credentials."""

    def __init__(self, error: BaseException) -> None:
        super().__init__(f"the gateway's database did not answer ({type(error).__name__})")


@dataclass(frozen=True, slots=True)
class SendingLimits:
    """The most that one agent, or the account, may send; 0 is no limit."""

    messages_an_hour: int = 0
    messages_a_day: int = 0
    recipients_an_hour: int = 0
    recipients_a_day: int = 0

    def windows(self) -> Iterator[tuple[int, int, int]]:
        """Window in seconds, most messages, most recipients; a window without a limit is not counted."""
        for window in (
            (HOUR, self.messages_an_hour, self.recipients_an_hour),
            (DAY, self.messages_a_day, self.recipients_a_day),
        ):
            if any(window[1:]):
                yield window


class LimitReachedError(Exception):
    """A limit would be passed; nothing was counted.

    `again_in`: seconds until the window ends; None where what is asked for at once is more than any window lets through.
    """

    def __init__(self, who: str, what: str, most: int, asked: int, *, seconds: int, ends_in: int) -> None:
        self.again_in = ends_in if asked <= most else None
        whose = "the account" if who == ACCOUNT else "this agent"
        window = "hour" if seconds == HOUR else "day"
        further = f"again in {ends_in:,} seconds" if asked <= most else f"{asked:,} at once are never taken, fewer are"
        super().__init__(f"{whose} may send {most:,} {what} per {window}; {further}")


class Stage(StrEnum):
    """How far a message has come; nothing is ever handed over twice."""

    UNDER_WAY = "underway"
    """It may have left, or not; somebody waits for the answer."""
    LOST = "lost"
    """It may have left, and whoever waited for the answer has died."""
    ANSWERED = "answered"


@dataclass(frozen=True, slots=True)
class Earlier:
    """What is known of a message that has been here before."""

    digest: str
    stage: Stage
    answer: str


class Ledger:
    """Safe to share between threads. Raises LedgerError from every call."""

    def __init__(self, url: str, *, timeout: float = 5.0) -> None:
        """`url`: `sqlite:////path/to/file` or `postgresql+psycopg://…`; `timeout` bounds waits, in seconds."""
        self._is_sqlite = url.startswith("sqlite")
        self._insert = sqlite.insert if self._is_sqlite else postgresql.insert
        if self._is_sqlite:
            self._engine = create_engine(url, connect_args={"timeout": timeout}, pool_size=8, max_overflow=0)
            event.listen(self._engine, "connect", _prepare_sqlite)
            event.listen(self._engine, "begin", _begin_immediate)
            # An answer that a power cut forgets leaves the message under way, which nobody sends again: it need not
            # wait for the disk.
            self._answers = create_engine(url, connect_args={"timeout": timeout}, pool_size=8, max_overflow=0)
            event.listen(self._answers, "connect", _prepare_sqlite_for_answers)
            event.listen(self._answers, "begin", _begin_immediate)
        else:
            milliseconds = int(timeout * 1000)
            self._engine = create_engine(
                url,
                pool_size=8,
                max_overflow=0,
                pool_timeout=timeout,
                pool_pre_ping=True,
                connect_args={
                    "connect_timeout": max(2, int(timeout)),
                    "options": f"-c statement_timeout={milliseconds} -c lock_timeout={milliseconds}",
                },
            )
            self._answers = self._engine
        self._statements = _Statements(self._engine, self._insert)

    def create(self) -> None:
        """Make the tables that are missing; several processes may do so at once."""
        with self._transaction() as connection:
            if not self._is_sqlite:
                # Of two that look at the same moment, both would see that there are none.
                connection.execute(select(func.pg_advisory_xact_lock(_SCHEMA_LOCK)))
            _METADATA.create_all(connection)

    def check(self) -> None:
        """One question, for a health check."""
        with self._transaction() as connection:
            connection.execute(select(_REVOKED.c.agent).limit(1)).first()

    def close(self) -> None:
        self._engine.dispose()
        self._answers.dispose()

    # -- revocation ------------------------------------------------------------------------------------------

    def revoke(self, agent: str, below_epoch: int) -> None:
        """Refuse the agent's credentials of every epoch below this one; never takes a revocation back."""
        with self._transaction() as connection:
            written = self._insert(_REVOKED).values(agent=agent, below_epoch=below_epoch)
            connection.execute(
                written.on_conflict_do_update(
                    index_elements=["agent"],
                    set_={"below_epoch": written.excluded.below_epoch},
                    where=_REVOKED.c.below_epoch < written.excluded.below_epoch,
                )
            )

    def revocations(self) -> dict[str, int]:
        """Agent id and the lowest epoch that is still good."""
        with self._transaction() as connection:
            return {row[0]: int(row[1]) for row in connection.execute(select(_REVOKED.c.agent, _REVOKED.c.below_epoch))}

    # -- messages --------------------------------------------------------------------------------------------

    def begin(
        self,
        agent: str,
        key: str,
        digest: str,
        *,
        recipients: int,
        limits: SendingLimits,
        account: SendingLimits,
        messages: int = 1,
        remembered: int = RESULT_SECONDS,
    ) -> Earlier | None:
        """Take a message, or several that go together, on and count them.

        None if this caller may go on; else what is known of an earlier attempt, which is forgotten after `remembered`
        seconds where it was answered.

        Raises LimitReachedError; nothing is counted or kept then.
        """
        with self._transaction() as connection:
            now = self._statements.now(connection)
            begun = self._statements.begin.run(
                connection,
                agent=agent,
                key=key,
                digest=digest,
                at=now,
                answered_before=now - remembered,
                lost_before=now - max(remembered, HANDLING_SECONDS),
            ).fetchone()
            if begun is None:
                row: Any = self._statements.earlier.run(connection, agent=agent, key=key).one()
                is_lost = row[1] == Stage.UNDER_WAY and row[3] <= now - HANDLING_SECONDS
                return Earlier(row[0], Stage.LOST if is_lost else Stage(row[1]), row[2])
            # The agent first: an agent at its limit must not hold the row that all others wait for.
            for who, most in ((agent, limits), (ACCOUNT, account)):
                for window in most.windows():
                    self._count(connection, who, now, (messages, recipients), window)
            return None

    def answered(self, agent: str, key: str, answer: str) -> None:
        """Remember what the agent was told."""
        with self._transaction(self._answers) as connection:
            self._statements.answered.run(connection, agent=agent, key=key, answer=answer)

    def take_back(self, agent: str, key: str, *, recipients: int, messages: int = 1) -> None:
        """The message has certainly not left: it counts for nothing and may be tried again."""
        with self._transaction() as connection:
            now = self._statements.now(connection)
            connection.execute(delete(_RESULTS).where(_RESULTS.c.agent == agent, _RESULTS.c.key == key))
            for who in (agent, ACCOUNT):
                for seconds in (HOUR, DAY):
                    connection.execute(
                        update(_USE)
                        .where(
                            _USE.c.agent == who,
                            _USE.c.seconds == seconds,
                            _USE.c.begins == now - now % seconds,
                            _USE.c.messages >= messages,
                            _USE.c.recipients >= recipients,
                        )
                        .values(messages=_USE.c.messages - messages, recipients=_USE.c.recipients - recipients)
                    )

    def _count(
        self, connection: Connection, who: str, now: int, added: tuple[int, int], window: tuple[int, int, int]
    ) -> None:
        messages, recipients = added
        seconds, most_messages, most_recipients = window
        begins = now - now % seconds
        used: Any = self._statements.count.run(
            connection, agent=who, seconds=seconds, begins=begins, messages=messages, recipients=recipients
        ).one()
        for what, most, asked, found in (
            ("messages", most_messages, messages, used[0]),
            ("recipients", most_recipients, recipients, used[1]),
        ):
            if most and found > most:
                raise LimitReachedError(who, what, most, asked, seconds=seconds, ends_in=begins + seconds - now)

    def sweep(self) -> None:
        """Delete what is past its time."""
        with self._transaction() as connection:
            now = self._statements.now(connection)
            connection.execute(delete(_RESULTS).where(_RESULTS.c.at <= now - RESULT_SECONDS))
            connection.execute(delete(_USE).where(_USE.c.begins <= now - 2 * DAY))

    @contextmanager
    def _transaction(self, engine: Engine | None = None) -> Iterator[Connection]:
        try:
            with (engine or self._engine).begin() as connection:
                yield connection
        except SQLAlchemyError as error:
            raise LedgerError(error) from error


class _Statement:
    """A statement compiled once: what builds and compiles it costs ten times what SQLite needs to run it."""

    def __init__(self, engine: Engine, statement: Executable) -> None:
        compiled = statement.compile(dialect=engine.dialect)  # type: ignore[attr-defined]  # what executes compiles
        self._text = str(compiled)
        self._constants = {name: value for name, value in compiled.params.items() if value is not None}
        self._order: Sequence[str] | None = compiled.positiontup

    def run(self, connection: Connection, **values: object) -> CursorResult[Any]:
        """By the driver itself."""
        given = {**self._constants, **values}
        parameters = given if self._order is None else tuple(given[name] for name in self._order)
        return connection.exec_driver_sql(self._text, parameters)


class _Statements:
    """What every message needs."""

    def __init__(self, engine: Engine, insert: Callable[[Table], Any]) -> None:
        self._is_sqlite = engine.dialect.name == "sqlite"
        self._now = _Statement(engine, select(literal_column("CAST(EXTRACT(EPOCH FROM clock_timestamp()) AS BIGINT)")))
        mine = _RESULTS.c.agent == bindparam("agent"), _RESULTS.c.key == bindparam("key")
        begun = insert(_RESULTS).values(
            agent=bindparam("agent"),
            key=bindparam("key"),
            digest=bindparam("digest"),
            stage=Stage.UNDER_WAY.value,
            answer="",
            at=bindparam("at"),
        )
        self.begin = _Statement(
            engine,
            begun.on_conflict_do_update(
                index_elements=["agent", "key"],
                set_={name: begun.excluded[name] for name in ("digest", "stage", "answer", "at")},
                where=or_(
                    and_(_RESULTS.c.stage == Stage.ANSWERED.value, _RESULTS.c.at <= bindparam("answered_before")),
                    _RESULTS.c.at <= bindparam("lost_before"),
                ),
            ).returning(_RESULTS.c.key),
        )
        self.earlier = _Statement(
            engine, select(_RESULTS.c.digest, _RESULTS.c.stage, _RESULTS.c.answer, _RESULTS.c.at).where(*mine)
        )
        self.answered = _Statement(
            engine, update(_RESULTS).where(*mine).values(stage=Stage.ANSWERED.value, answer=bindparam("answer"))
        )
        used = insert(_USE).values({column.name: bindparam(column.name) for column in _USE.columns})
        self.count = _Statement(
            engine,
            used.on_conflict_do_update(
                index_elements=["agent", "seconds", "begins"],
                set_={name: _USE.c[name] + used.excluded[name] for name in ("messages", "recipients")},
            ).returning(_USE.c.messages, _USE.c.recipients),
        )

    def now(self, connection: Connection) -> int:
        """Seconds since 1970 by the database's clock; SQLite's is this machine's."""
        return int(time.time()) if self._is_sqlite else int(self._now.run(connection).scalar_one())


def _prepare_sqlite(connection: Any, _record: object) -> None:
    # The driver must not begin transactions by itself: `_begin_immediate` does.
    connection.isolation_level = None
    connection.execute("PRAGMA journal_mode=WAL").close()
    # A power cut must not forget that a message was under way, or it would be sent twice.
    connection.execute("PRAGMA synchronous=FULL").close()


def _prepare_sqlite_for_answers(connection: Any, _record: object) -> None:
    connection.isolation_level = None
    connection.execute("PRAGMA synchronous=NORMAL").close()


def _begin_immediate(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")
