"""The doctor at the inbox: at a right one, at one with another stack's file, at none, and what it says of hooks."""

from __future__ import annotations

import json
import socket
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from azmail.gateway.credentials import PLATFORM, Roots, Scope, new_root
from azmail.inbox.database import Database
from azmail.inbox.queue import HookQueue
from azmail.stack import MailStack
from commands.doctor.finding import Finding, Status
from commands.doctor.inbox import inbox_findings
from commands.doctor.stack import ExaminedStack
from emulators.serving import ServerThread
from settings.loading import from_config
from tests.unit.azmail.conftest import packed_mailboxes, shared, stack_outputs
from tests.unit.azmail.inbox.desk import AGENTS, ROOTS, Desk, opened_desk
from tests.unit.azmail.servers import Answer, http_server

ROOT = new_root()


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    database = Database(f"sqlite:///{tmp_path}/inbox.sqlite")
    database.migrate()
    with opened_desk(database, tmp_path) as made:
        yield made
    database.close()


@pytest.fixture
def url(desk: Desk) -> Iterator[str]:
    with ServerThread(desk.app) as server:
        yield server.url


def stack(url: str, roots: Roots = ROOTS, **changes: Any) -> ExaminedStack:
    config = {
        "domain": "d.example",
        "webhookUrl": "https://hooks.d.example/in",
        "dns": "none",
        "submission": "gateway",
        "gatewayRoots": f"r1:{ROOT}",
        "inboxUrl": url,
    }
    access = {
        "url": url,
        "platform": roots.password(PLATFORM, scope=Scope.PLATFORM),
        "kid": "r1",
        "key": urlsafe_b64encode(roots._keys["r1", Scope.INBOX]).rstrip(b"=").decode(),
    }
    boxes = packed_mailboxes(shared(), {agent.id: agent.address for agent in AGENTS})
    outputs = MailStack(stack_outputs(mailboxes=boxes, **{"inboxEnv": json.dumps(access), **changes}))
    settings = from_config(config, stack="prod", preview=True)
    return ExaminedStack(stack="prod", settings=settings, records=[], mailboxes=list(outputs), outputs=outputs)


def statuses(found: list[Finding]) -> list[Status]:
    return [item.status for item in found]


def test_a_right_one(url: str) -> None:
    found = list(inbox_findings(stack(url)))
    assert statuses(found) == [Status.OK] * 5
    assert [item.sentence for item in found][1:] == [
        "Refused.",
        "The agent's own credential opens its mailbox.",
        "Refused: an agent reads its own mailbox alone.",
        "All that came was handed on.",
    ]


def test_another_stacks_file(url: str) -> None:
    [found] = inbox_findings(stack(url, Roots({"r1": new_root()}, domain="d.example")))
    assert found.status is Status.ERROR
    assert "./mail gateway file --stack prod" in found.sentence


def test_an_agent_whose_credential_was_revoked(url: str, desk: Desk) -> None:
    desk.relay._ledger.revoke(AGENTS[0].id, 1)
    found = list(inbox_findings(stack(url)))
    assert statuses(found) == [Status.OK, Status.OK, Status.ERROR, Status.OK]
    assert "the credential was revoked" in found[2].sentence


def test_nobody_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = int(taken.getsockname()[1])
    [near] = inbox_findings(stack(f"http://127.0.0.1:{port}"))
    assert (near.status, "start it with: ./mail up" in near.sentence) == (Status.ERROR, True)
    [far] = inbox_findings(stack("http://inbox-of-nobody:8026"))
    assert (far.status, "docker compose ps mail-inbox" in far.sentence) == (Status.WARNING, True)


def test_one_without_its_file_is_not_waited_for() -> None:
    """The emulators hold its port: who asks is connected and hears nothing."""
    with socket.create_server(("127.0.0.1", 0)) as held:
        held.settimeout(0)
        [none] = inbox_findings(stack(f"http://127.0.0.1:{held.getsockname()[1]}"), without_file=True)
        assert (none.status, "has not been given its file" in none.sentence) == (Status.WARNING, True)
        with pytest.raises(BlockingIOError):
            held.accept()


def test_one_that_no_up_has_made_credentials_for(url: str) -> None:
    [found] = inbox_findings(stack(url, inboxEnv=""))
    assert (found.status, "./mail apply prod" in found.sentence) == (Status.WARNING, True)


def test_one_that_is_reached_elsewhere_from_here(url: str) -> None:
    examined = stack("http://inbox-of-nobody:8026")
    found = list(inbox_findings(replace(examined, inbox_elsewhere=f"{url}/")))
    assert statuses(found) == [Status.OK] * 5
    assert found[0].subject == url


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ((530, "text/html", b"error code: 1033"), "It answers 530, expected 200"),
        ((503, "application/problem+json", b"{}"), "its database does not answer"),
    ],
)
def test_something_else_at_its_address(answer: tuple[int, str, bytes], said: str) -> None:
    with http_server() as server:
        server.answer = lambda _request: Answer(answer[0], answer[2], {"Content-Type": answer[1]})
        [found] = inbox_findings(stack(server.url))
    assert (found.status, said in found.sentence) == (Status.ERROR, True)


def test_whatever_lets_anybody_read() -> None:
    said: dict[str, Any] = {"cursor": "c", "messages": [], "next": None}
    with http_server() as server:
        server.answer = lambda _request: Answer(200, said)
        found = list(inbox_findings(stack(server.url)))
    assert "expected 401" in found[1].sentence
    assert "expected 401 and 404" in found[3].sentence
    assert found[4].status is Status.WARNING


def test_a_database_of_another_step(url: str, desk: Desk) -> None:
    with desk.store.database.writing() as connection:
        connection.execute(text("UPDATE inbox_version SET version_num = '9999'"))
    found = list(inbox_findings(stack(url)))
    assert (found[-2].status, "at step 9999" in found[-2].sentence) == (Status.WARNING, True)


def test_an_older_one_that_does_not_tell(url: str, desk: Desk) -> None:
    desk.app.router.routes[:] = [one for one in desk.app.router.routes if getattr(one, "path", "") != "/v1/state"]
    found = list(inbox_findings(stack(url)))
    assert (found[-1].status, "an older version" in found[-1].sentence) == (Status.WARNING, True)


def test_what_hooks_have_failed_at_and_what_waits(url: str, desk: Desk) -> None:
    desk.bring(1, 2)
    queue = HookQueue(desk.store.database)
    job, _ = queue.take(["work"], 2)
    queue.put_off(job, "no", most_attempts=1)
    assert "1 hook calls have failed for good" in list(inbox_findings(stack(url)))[-1].sentence
    queue.drop(job.position)
    waiting = list(inbox_findings(stack(url)))[-1]
    assert (waiting.status, waiting.sentence) == (Status.OK, "1 wait for their next attempt.")
