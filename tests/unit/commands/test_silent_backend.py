"""A backend that takes connections and says nothing is told from one that answers, refuses, or is not there. Real sockets."""

from __future__ import annotations

import os
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from commands.patience import HopelessError, finished, overheard
from commands.silent_backend import is_silent

S3 = "s3://states?endpoint=127.0.0.1:{port}&disableSSL=true&s3ForcePathStyle=true&region=us-east-1"
TLS = "s3://states?endpoint=https://127.0.0.1:{port}&use_path_style=true&region=us-east-1"
POSTGRES = "postgres://me@127.0.0.1:{port}/states?sslmode=disable"
SOON = 0.3


@contextmanager
def server(answer: bytes | None) -> Iterator[int]:
    """Takes every connection and gives it `answer`, or nothing for as long as it is there."""
    taken: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def take() -> None:
            while True:
                try:
                    connection, _ = listening.accept()
                except OSError:
                    return
                taken.append(connection)
                if answer is not None:
                    connection.recv(4096)
                    connection.sendall(answer)
                    connection.close()

        serving = threading.Thread(target=take)
        serving.start()
        try:
            yield int(listening.getsockname()[1])
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            serving.join()
            for connection in taken:
                connection.close()


@pytest.mark.parametrize("url", [S3, TLS, POSTGRES])
def test_nothing_comes_back(url: str) -> None:
    with server(None) as port:
        assert is_silent(url.format(port=port), seconds=SOON)


@pytest.mark.parametrize(
    ("url", "answer"),
    [
        (S3, b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"),
        (TLS, b"no TLS"),
        (POSTGRES, b"N"),
        (POSTGRES, b""),
    ],
)
def test_a_refusal_is_an_answer(url: str, answer: bytes) -> None:
    with server(answer) as port:
        assert not is_silent(url.format(port=port), seconds=10)


@pytest.mark.parametrize(
    "url", [S3.format(port=9), POSTGRES.format(port=9), "file:///srv/states", "https://api.example", ""]
)
def test_what_the_engine_tells_itself(url: str) -> None:
    assert not is_silent(url, seconds=10)


WAITING = [
    sys.executable,
    "-c",
    "import sys, time; print('begun', flush=True); sys.stdin.read(); time.sleep(float(sys.argv[1]))",
]


def test_a_command_that_waits_in_vain_is_ended() -> None:
    looks: list[int] = []

    def hopeless() -> bool:
        looks.append(1)
        return len(looks) == 2

    with pytest.raises(HopelessError):
        finished([*WAITING, "600"], environment=os.environ, stdin="asked", hopeless=hopeless, seconds=0.2)
    assert len(looks) == 2


def test_one_that_is_only_slow_is_waited_for() -> None:
    done = finished([*WAITING, "0.5"], environment=os.environ, stdin="asked", hopeless=lambda: False, seconds=0.1)
    assert (done.returncode, done.stdout) == (0, "begun\n")


def test_of_one_that_is_shown_it_is_told_once_and_no_more() -> None:
    looks: list[int] = []

    def silent() -> bool:
        looks.append(1)
        return len(looks) == 2

    def shown(_line: str) -> str:
        return ""

    assert overheard([*WAITING, "1.5"], environment=os.environ, shown=shown, silent=silent, seconds=0.2) == 0
    assert len(looks) == 2
