"""Nobody reaches another's mailbox, and nothing tells whether what was asked for exists there."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import event

from azmail.events import parse_events
from azmail.gateway.credentials import Scope
from tests.profiles import examples
from tests.unit.azmail.inbox.conftest import opened_database
from tests.unit.azmail.inbox.desk import Desk, credential, opened_desk
from tests.unit.azmail.inbox.mails import ME, YOU, with_files

HIDDEN = "xylophone"
"""A word that only the other's mail has."""


class Secrets:
    """What there is of YOU, and the like that does not exist."""

    def __init__(self, desk: Desk) -> None:
        desk.bring(1, 2, 3)
        for number in range(4, 7):
            made = with_files(number, HIDDEN.encode())
            desk.deliver(made | {"Recipient": "you@d.example", "Text-part": HIDDEN, "Subject": f"{HIDDEN} {number}"})
        desk.post("/v1/messages", {"to": ["x@y.example"], "subject": HIDDEN, "text": HIDDEN}, agent=YOU)
        event = {"event": "bounce", "email": HIDDEN, "Payload": json.dumps({"agent_id": YOU})}
        desk.store.store_events(parse_events([event]))
        theirs = desk.get("/v1/messages", YOU).json()["messages"]
        self.ids = [one["id"] for one in theirs]
        desk.client.patch(f"/v1/messages/{self.ids[0]}", json={"add_labels": [HIDDEN]}, auth=credential(YOU))
        self.threads = [one["id"] for one in desk.get("/v1/threads", YOU).json()["threads"]]
        page = desk.get("/v1/messages", YOU, params={"limit": 2}).json()
        self.cursors = [page["next"], desk.get("/v1/mailbox", YOU).json()["cursor"]]
        self.before = self.everything(desk)

    def everything(self, desk: Desk) -> list[Any]:
        """All that YOU can see: it must not change."""
        return [
            desk.get(path, YOU).text
            for path in ("/v1/messages", "/v1/threads", "/v1/labels", "/v1/events", "/v1/mailbox")
        ] + [desk.get(f"/v1/messages/{one}", YOU).text for one in self.ids]


MADE_UP = {"id": "0" * 32, "thread": "0" * 15, "cursor": "A" * 22, "agent": "bot-9", "label": "other", "q": "unheard"}
SENT = {"to": ["z@y.example"], "text": "t"}
CALLS: list[tuple[str, str, Any]] = [
    ("GET", "/v1/messages/{id}", None),
    ("GET", "/v1/messages/{id}/original", None),
    ("GET", "/v1/messages/{id}/attachments/{part}", None),
    ("PATCH", "/v1/messages/{id}", {"seen": True, "add_labels": ["mine"], "remove_labels": [HIDDEN]}),
    ("DELETE", "/v1/messages/{id}", None),
    ("POST", "/v1/messages/{id}/reply", {"text": "t"}),
    ("GET", "/v1/threads/{thread}", None),
    ("GET", "/v1/threads/{thread}?before={cursor}", None),
    ("GET", "/v1/threads?before={cursor}", None),
    ("GET", "/v1/threads?agent={agent}", None),
    ("GET", "/v1/messages?before={cursor}", None),
    ("GET", "/v1/messages?after={cursor}", None),
    ("GET", "/v1/messages?agent={agent}", None),
    ("GET", "/v1/messages?label={label}", None),
    ("GET", "/v1/messages/stream?after={cursor}", None),
    ("GET", "/v1/messages/stream?agent={agent}", None),
    ("GET", "/v1/search?q={q}", None),
    ("GET", "/v1/search?q={q}*&before={cursor}", None),
    ("GET", "/v1/search?q={q}&agent={agent}", None),
    ("GET", "/v1/labels?agent={agent}", None),
    ("GET", "/v1/events?agent={agent}", None),
    ("GET", "/v1/events?after={cursor}", None),
]


@pytest.fixture(scope="module", params=["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
def served(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Desk, Secrets]]:
    folder = tmp_path_factory.mktemp("isolation")
    with opened_desk(opened_database(request, folder), folder) as desk:
        yield desk, Secrets(desk)


def _ask(desk: Desk, method: str, path: str, body: Any) -> tuple[Any, ...]:
    """The answer, and how many questions the database was asked for it: time would tell, too."""
    scope = Scope.SEND if method == "POST" else Scope.INBOX
    asked: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        asked.append(statement)

    database = desk.store.database
    engines = {database._reader, database._relaxed, database._engine}
    for engine in engines:
        event.listen(engine, "before_cursor_execute", note)
    answer = desk.client.request(method, path, json=body, auth=credential(ME, scope))
    for engine in engines:
        event.remove(engine, "before_cursor_execute", note)
    hidden = {
        name: answer.headers.get(name) for name in ("content-type", "content-length", "retry-after", "cache-control")
    }
    return answer.status_code, answer.content, hidden, asked


@pytest.mark.slow
@settings(max_examples=examples(10_000), deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_what_is_anothers_is_answered_like_what_does_not_exist(
    served: tuple[Desk, Secrets], data: st.DataObject
) -> None:
    """On each database: the real name and a made-up one of the same shape get the same octets by the same questions."""
    desk, theirs = served
    method, template, body = data.draw(st.sampled_from(CALLS))
    part = data.draw(st.sampled_from([1, 2, 7]))
    real = {
        "id": data.draw(st.sampled_from(theirs.ids)),
        "thread": data.draw(st.sampled_from(theirs.threads)),
        "cursor": data.draw(st.sampled_from(theirs.cursors)),
        "agent": YOU,
        "label": HIDDEN,
        "q": data.draw(st.sampled_from([HIDDEN, HIDDEN[:4], "you@d.example"])),
    }
    answers = [_ask(desk, method, template.format(part=part, **names), body) for names in (real, MADE_UP)]
    assert answers[0] == answers[1]
    assert HIDDEN.encode() not in answers[0][1]


def test_a_mixture_of_mine_and_theirs(served: tuple[Desk, Secrets]) -> None:
    """One's own things with the other's cursors, ids with another's parts: refused, or one's own and nothing else."""
    desk, theirs = served
    mine = desk.get("/v1/messages").json()["messages"][0]
    for cursor in theirs.cursors:
        for path in ("/v1/messages", "/v1/events", "/v1/threads", f"/v1/threads/{mine['thread']}", "/v1/search?q=text"):
            joined = f"{path}{'&' if '?' in path else '?'}before={cursor}"
            assert desk.get(joined).status_code == 422
        assert desk.get("/v1/messages/stream", headers={"Last-Event-ID": cursor}).status_code == 422
    assert desk.get(f"/v1/messages/{mine['id']}/attachments/1").status_code == 404


def test_credentials_of_others_and_of_nobody(served: tuple[Desk, Secrets]) -> None:
    desk, _ = served
    secret = credential(ME)[1]
    answers = {
        desk.client.get("/v1/messages", auth=auth).text
        for auth in [
            (YOU, secret),
            ("you@d.example", secret),
            ("bot-9", secret),
            (ME, secret[:-1]),
            (ME, ""),
            ("platform", secret),
        ]
    }
    assert len(answers) == 1


def test_the_other_sees_what_was_there_before(served: tuple[Desk, Secrets]) -> None:
    """Runs last: no attempt has changed anything."""
    desk, theirs = served
    assert theirs.everything(desk) == theirs.before
    assert [recipients for _, _, recipients in desk.outbox.sent] == [("x@y.example",)]
