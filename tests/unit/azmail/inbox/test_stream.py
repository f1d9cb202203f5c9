"""Following a mailbox by server-sent events, over a real connection."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from azmail.inbox import api
from azmail.inbox.api import InboxService
from azmail.inbox.serving import whole_app
from azmail.webhook import Unauthenticated
from tests.unit.azmail.inbox.desk import Desk, NoDelay, credential
from tests.unit.azmail.inbox.mails import ME, YOU
from tests.unit.azmail.servers import asgi_server


@pytest.fixture
def url(sqlite_desk: Desk) -> Iterator[str]:
    service = InboxService(
        database=sqlite_desk.store.database, gate=sqlite_desk.relay, sources=NoDelay(), recheck_seconds=0.1
    )
    app = whole_app(service, sqlite_desk.store, agents=sqlite_desk.relay, auth=Unauthenticated())
    with asgi_server(app) as served:
        yield served


def opened(url: str, agent: str = ME, **headers: str) -> requests.Response:
    answer = requests.get(f"{url}/v1/messages/stream", auth=credential(agent), headers=headers, stream=True, timeout=30)
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/event-stream")
    return answer


def events(lines: Iterator[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Id and message."""
    place = ""
    for line in lines:
        if line.startswith("id: "):
            place = line.removeprefix("id: ")
        elif line.startswith("data: "):
            yield place, json.loads(line.removeprefix("data: "))


@pytest.mark.slow
def test_what_comes_is_told_and_a_broken_connection_goes_on(sqlite_desk: Desk, url: str) -> None:
    sqlite_desk.bring(1)
    with opened(url) as answer:
        lines = answer.iter_lines(chunk_size=1, decode_unicode=True)
        assert next(lines).startswith("id: ")
        sqlite_desk.bring(2, agent=YOU)
        sqlite_desk.bring(3, 4)
        told = events(lines)
        place, third = next(told)
        assert (third["subject"], next(told)[1]["subject"]) == ("Subject 3", "Subject 4")
    with opened(url, **{"Last-Event-ID": place}) as answer:
        (_, again) = next(events(answer.iter_lines(chunk_size=1, decode_unicode=True)))
        assert again["subject"] == "Subject 4"


def test_whoever_is_silent_for_long_is_told_that_the_inbox_is_there(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api, "HEARTBEAT_SECONDS", 0.05)
    with opened(url) as answer:
        assert ": here" in answer.iter_lines(chunk_size=1, decode_unicode=True)


def test_a_revoked_credential_ends_it(sqlite_desk: Desk, url: str) -> None:
    with opened(url) as answer:
        lines = answer.iter_lines(chunk_size=1, decode_unicode=True)
        assert next(lines).startswith("id: ")
        sqlite_desk.relay._ledger.revoke(ME, 1)
        sqlite_desk.relay._revoked = (float("-inf"), {})  # as if the two seconds of what is known had passed
        assert not [line for line in lines if line.startswith("data: ")]
