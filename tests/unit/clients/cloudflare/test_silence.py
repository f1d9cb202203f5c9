"""An API that takes a question and never answers."""

from __future__ import annotations

import math
import socket
from collections.abc import Iterator

import pytest

from clients.cloudflare.client import CloudflareClient, CloudflareError


@pytest.fixture
def silent() -> Iterator[socket.socket]:
    """A port where connections are taken, and nothing is ever said."""
    with socket.create_server(("127.0.0.1", 0), backlog=16) as listening:
        listening.setblocking(False)
        yield listening


def asked(listening: socket.socket) -> int:
    """How many connections wait there."""
    count = 0
    while True:
        try:
            listening.accept()[0].close()
        except BlockingIOError:
            return count
        count += 1


@pytest.mark.parametrize(("silence", "times"), [(0.0, 1), (math.inf, 3)])
def test_it_is_given_up_once_it_has_been_silent_for_long(silent: socket.socket, silence: float, times: int) -> None:
    client = CloudflareClient(
        f"http://127.0.0.1:{silent.getsockname()[1]}",
        "token",
        attempts=3,
        wait=lambda _seconds: None,
        timeout=(1.0, 0.05),
        silence=silence,
    )
    with pytest.raises(CloudflareError, match=r"did not answer \(the time was up\) while listing"):
        client.ask("GET", "zones", "listing")
    client.close()
    assert asked(silent) == times
