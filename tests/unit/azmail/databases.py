"""Databases of their own on the tests' PostgreSQL server."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import uuid4


@contextmanager
def empty_database(server: str) -> Iterator[str]:
    """The URL of an empty database for SQLAlchemy; it is dropped afterwards."""
    import psycopg  # not on every Python of `tests.versions`, where no test has a database

    name = f"t{uuid4().hex}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"'.encode())
    base, _, query = server.partition("?")
    yield f"{base.rpartition('/')[0].replace('postgresql://', 'postgresql+psycopg://', 1)}/{name}" + (
        f"?{query}" if query else ""
    )
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)'.encode())
