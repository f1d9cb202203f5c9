"""The API on both databases: what each call answers, and what it refuses."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from email import message_from_bytes
from email.policy import SMTP
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import event, text

from azmail.errors import UnreachableError
from azmail.gateway.credentials import Scope
from azmail.inbox import guard
from azmail.inbox.database import Database
from azmail.inbox.parcels import PIECE_OCTETS
from azmail.inbox.queue import HookQueue
from tests.unit.azmail.inbox.conftest import empty
from tests.unit.azmail.inbox.desk import HOOK_URL, SECRET, TOKEN, Desk, credential, opened_desk
from tests.unit.azmail.inbox.mails import ME, YOU, payload, with_files


def subjects(answer: Any) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [one["subject"] for one in answer.json()["messages"]]


DISK_FULL = """
CREATE FUNCTION disk_full() RETURNS trigger LANGUAGE plpgsql AS
  $$ BEGIN RAISE EXCEPTION 'could not extend file: No space left on device' USING ERRCODE = 'disk_full'; END $$;
CREATE TRIGGER disk_full BEFORE INSERT ON {table} FOR EACH STATEMENT EXECUTE FUNCTION disk_full();
"""


class TestReceiving:
    def test_a_delivery_is_stored_before_the_answer(self, desk: Desk) -> None:
        assert desk.deliver(payload(1)).json() == {"status": "accepted"}
        assert desk.deliver(payload(1)).json() == {"status": "duplicate"}
        assert desk.deliver(payload(2, to="YOU@d.example")).status_code == 200
        assert desk.deliver(payload(2, to="nobody@d.example")).status_code == 404
        assert subjects(desk.get("/v1/messages")) == ["Subject 1"]
        assert subjects(desk.get("/v1/messages", YOU)) == ["Subject 2"]
        assert subjects(desk.platform("/v1/messages")) == ["Subject 2", "Subject 1"]
        assert subjects(desk.platform("/v1/messages", params={"agent": ME})) == ["Subject 1"]

    def test_who_may_not(self, desk: Desk) -> None:
        assert desk.client.post(HOOK_URL, json=payload(1), auth=("any", "wrong")).status_code == 401
        assert desk.client.post(HOOK_URL, content=b"{", auth=("any", SECRET)).status_code == 400
        metrics = desk.client.get("/metrics").text
        assert 'azmail_inbox_refused_total{status="401"} 1.0' in metrics

    def test_events(self, desk: Desk) -> None:
        bounce = {"event": "bounce", "MessageID": 7, "comment": "\ud800", "Payload": json.dumps({"agent_id": ME})}
        answer = desk.client.post(
            "/api/webhooks/mailjet/events", content=json.dumps([bounce] * 2), auth=("any", SECRET)
        )
        assert answer.json() == {"status": "accepted", "events": 1}
        (shown,) = desk.get("/v1/events").json()["events"]
        assert (shown["kind"], shown["payload"]["MessageID"]) == ("bounce", 7)
        assert desk.get("/v1/events", YOU).json()["events"] == []

    @pytest.mark.parametrize("path", [HOOK_URL, "/v1/messages", "/v1/search?q=x"])
    def test_no_database(self, desk: Desk, monkeypatch: pytest.MonkeyPatch, path: str) -> None:
        """503, so that it comes again; and so says the health check."""

        def away(dialect: Any, *_: object) -> None:
            raise dialect.loaded_dbapi.OperationalError("disk I/O error")

        def gone(*_: object, **_options: object) -> None:
            raise psycopg.OperationalError("server closed the connection")

        monkeypatch.setattr("sqlalchemy.engine.default.DefaultDialect.do_execute", away)
        monkeypatch.setattr("psycopg.Connection.execute", gone)
        answer = desk.deliver(payload(1)) if path == HOOK_URL else desk.get(path)
        assert answer.status_code == 503
        assert answer.headers["retry-after"]
        assert desk.client.get("/healthz").json() == {"status": "no store"}
        assert "azmail_inbox_database_up 0.0" in desk.client.get("/metrics").text

    def test_a_full_disk(self, sqlite_desk: Desk) -> None:
        """SQLite's own answer to it: 503, nothing half stored, and it goes on once there is space."""
        database = sqlite_desk.store.database
        most = ["max_page_count = 120"]

        def limit(connection: Any, _record: object, _proxy: object) -> None:
            connection.execute(f"PRAGMA {most[0]}").close()

        event.listen(database._engine, "checkout", limit)
        answers = [sqlite_desk.deliver(payload(number) | {"Text-part": "x" * 50_000}) for number in range(12)]
        stored = [one.status_code == 200 for one in answers]
        assert stored == sorted(stored, reverse=True)
        assert {one.status_code for one in answers} == {200, 503}
        assert len(subjects(sqlite_desk.get("/v1/messages"))) == sum(stored)
        most[0] = "max_page_count = 100000"
        again = [sqlite_desk.deliver(payload(number) | {"Text-part": "x" * 50_000}) for number in range(12)]
        assert [one.json()["status"] for one in again] == ["duplicate" if one else "accepted" for one in stored]

    @pytest.mark.parametrize("table", ["inbox_mails", "inbox_pieces", "inbox_jobs", "inbox_search"])
    @pytest.mark.slow
    def test_a_full_disk_of_postgresql(self, migrated_postgresql: Database, tmp_path: Path, table: str) -> None:
        """The server's own words for it, wherever it is full first."""
        empty(migrated_postgresql)
        with opened_desk(migrated_postgresql, tmp_path) as desk:
            with migrated_postgresql.writing() as connection:
                connection.execute(text(DISK_FULL.format(table=table)))
            try:
                refused = desk.deliver(payload(1))
                large = desk.deliver(payload(2) | {"Text-part": "x" * 500_000})
            finally:
                with migrated_postgresql.writing() as connection:
                    connection.execute(text("DROP FUNCTION disk_full CASCADE"))
            assert [refused.status_code, large.status_code] == [503, 503]
            assert desk.get("/v1/messages").json()["messages"] == []
            assert [desk.deliver(payload(number)).json()["status"] for number in (1, 1)] == ["accepted", "duplicate"]


class TestState:
    def test_is_the_platforms_alone(self, desk: Desk) -> None:
        desk.bring(1, 2)
        job, _ = HookQueue(desk.store.database).take(["work"], 2)
        HookQueue(desk.store.database).put_off(job, "no", most_attempts=1)
        found = desk.platform("/v1/state").json()
        assert (found["waiting"], found["dead"]) == (1, 1)
        assert found["database_step"] == found["program_step"] > ""
        refused, made_up = desk.get("/v1/state"), desk.get(f"/v1/messages/{'0' * 32}")
        assert (refused.status_code, refused.text) == (404, made_up.text)
        assert desk.client.get("/v1/state").status_code == 401


class TestLists:
    def test_pages(self, desk: Desk) -> None:
        desk.bring(*range(7))
        first = desk.get("/v1/messages", params={"limit": 3})
        assert subjects(first) == ["Subject 6", "Subject 5", "Subject 4"]
        second = desk.get("/v1/messages", params={"limit": 3, "before": first.json()["next"]})
        last = desk.get("/v1/messages", params={"limit": 3, "before": second.json()["next"]})
        assert subjects(last) == ["Subject 0"]
        assert last.json()["next"] is None

    def test_following(self, desk: Desk) -> None:
        desk.bring(1)
        cursor = desk.get("/v1/mailbox").json()["cursor"]
        empty = desk.get("/v1/messages", params={"after": cursor}).json()
        assert empty == {"messages": [], "next": cursor}
        desk.bring(2, 3)
        desk.bring(4, agent=YOU)
        more = desk.get("/v1/messages", params={"after": cursor, "wait": 30})
        assert subjects(more) == ["Subject 2", "Subject 3"]
        assert subjects(desk.get("/v1/messages", params={"after": more.json()["next"], "wait": 1})) == []

    def test_filters_marks_and_labels(self, desk: Desk) -> None:
        one, two = desk.bring(1, 2)
        marks = {"seen": True, "add_labels": ["b", "a"]}
        answer = desk.client.patch(f"/v1/messages/{one}", json=marks, auth=credential(ME))
        assert (answer.json()["seen"], answer.json()["labels"]) == (True, ["a", "b"])
        desk.client.patch(f"/v1/messages/{two}", json={"add_labels": ["a"]}, auth=credential(ME))
        assert subjects(desk.get("/v1/messages", params={"seen": True})) == ["Subject 1"]
        assert subjects(desk.get("/v1/messages", params={"seen": False})) == ["Subject 2"]
        assert subjects(desk.get("/v1/messages", params={"label": "a"})) == ["Subject 2", "Subject 1"]
        assert desk.get("/v1/labels").json()["labels"] == [{"label": "a", "messages": 2}, {"label": "b", "messages": 1}]
        answer = desk.client.patch(f"/v1/messages/{one}", json={"remove_labels": ["a"]}, auth=credential(ME))
        assert answer.json()["labels"] == ["b"]
        many = {"add_labels": [f"l{number}" for number in range(20)]}
        assert desk.client.patch(f"/v1/messages/{one}", json=many, auth=credential(ME)).status_code == 422
        assert desk.get(f"/v1/messages/{one}").json()["labels"] == ["b"]
        assert desk.get("/v1/mailbox").json() | {"cursor": ""} == {
            "agent": ME, "address": "me@d.example", "messages": 2, "unread": 1, "cursor": ""
        }  # fmt: skip

    @pytest.mark.parametrize(
        ("query", "found"),
        [
            ("SUBJECT", 3), ("grusse", 1), ("Grüße", 1), ("gr*", 1), ("ada@x.example", 3), ("text 2", 1), ("nothing", 0),
            ("***", 0), ('" OR 1', 1), ("f1 pdf", 1),
        ],
    )  # fmt: skip
    def test_search(self, desk: Desk, query: str, found: int) -> None:
        desk.bring(1, 2)
        desk.deliver(with_files(3, b"x") | {"Text-part": "Viele Grüße"})
        desk.bring(4, agent=YOU)
        if query == '" OR 1':
            desk.deliver(payload(5, Subject="this or 1 that"))
            found = 1
        assert len(subjects(desk.get("/v1/search", params={"q": query}))) == found

    @pytest.mark.parametrize("looked_through", [1, 3, 100])
    def test_a_search_goes_on_beyond_what_it_looks_through(
        self, desk: Desk, monkeypatch: pytest.MonkeyPatch, looked_through: int
    ) -> None:
        """Every match once, newest first, wherever the index takes over."""
        monkeypatch.setattr("azmail.inbox.reading.LOOKED_THROUGH", looked_through)
        for number in range(9):
            desk.bring(number, **{"Text-part": "some" if number % 2 else "other"})
        found, before = [], None
        while page := desk.get("/v1/search", params={"q": "some", "limit": 2} | ({"before": before} if before else {})):
            found += subjects(page)
            before = page.json()["next"]
            if before is None:
                break
        assert found == [f"Subject {number}" for number in (7, 5, 3, 1)]

    def test_threads(self, desk: Desk) -> None:
        desk.bring(1)
        desk.bring(2)
        desk.bring(3, Headers={"In-Reply-To": "<1@x.example>"})
        threads = desk.get("/v1/threads").json()["threads"]
        assert [(one["messages"], one["unread"], one["newest"]["subject"]) for one in threads] == [
            (2, 2, "Subject 3"),
            (1, 1, "Subject 2"),
        ]
        assert subjects(desk.get(f"/v1/threads/{threads[0]['id']}")) == ["Subject 3", "Subject 1"]
        assert desk.get("/v1/threads/" + "0" * 15).status_code == 404
        page = desk.get("/v1/threads", params={"limit": 1}).json()
        assert desk.get("/v1/threads", params={"before": page["next"]}).json()["threads"] == [threads[1]]


class TestOneMessage:
    def test_json_and_mime(self, desk: Desk) -> None:
        made = with_files(1, b"x" * 10)
        desk.deliver(made)
        (listed,) = desk.get("/v1/messages").json()["messages"]
        shown = desk.get(f"/v1/messages/{listed['id']}").json()
        assert listed.items() <= shown.items()
        assert (shown["text"], shown["html"]) == ("Text of 1", None)
        assert shown["attachments"] == [
            {"part": 1, "filename": "f1.pdf", "content_type": "application/pdf", "octets": 10, "content_id": None, "inline": False}
        ]  # fmt: skip
        assert ["Message-ID", "<1@x.example>"] in shown["headers"]
        octets = desk.get(f"/v1/messages/{listed['id']}/original")
        assert octets.headers["content-type"] == "message/rfc822"
        message = message_from_bytes(octets.content, policy=SMTP)
        assert [part.get_content() for part in message.iter_attachments()] == [b"x" * 10]

    @pytest.mark.parametrize(
        ("wanted", "status", "begin", "end"),
        [
            (None, 200, 0, 900_000), ("bytes=0-0", 206, 0, 1), ("bytes=5-", 206, 5, 900_000), ("bytes=-7", 206, 899_993, 900_000),
            (f"bytes={PIECE_OCTETS - 1}-{PIECE_OCTETS}", 206, PIECE_OCTETS - 1, PIECE_OCTETS + 1),
            ("bytes=0-99999999999", 206, 0, 900_000), ("bytes=0-1,5-6", 200, 0, 900_000), ("lines=1-2", 200, 0, 900_000),
            ("bytes=900000-", 416, 0, 0), ("bytes=-0", 416, 0, 0), ("bytes=7-3", 416, 0, 0),
        ],
    )  # fmt: skip
    def test_ranges(self, sqlite_desk: Desk, wanted: str | None, status: int, begin: int, end: int) -> None:
        content = (bytes(range(251)) * 3586)[:900_000]
        sqlite_desk.deliver(with_files(1, content))
        (listed,) = sqlite_desk.get("/v1/messages").json()["messages"]
        answer = sqlite_desk.get(
            f"/v1/messages/{listed['id']}/attachments/1", headers={"Range": wanted} if wanted else {}
        )
        assert answer.status_code == status
        if status != 416:
            assert answer.content == content[begin:end]
            assert answer.headers["content-disposition"] == "attachment; filename*=UTF-8''f1.pdf"
            assert "sandbox" in answer.headers["content-security-policy"]
        if status == 206:
            assert answer.headers["content-range"] == f"bytes {begin}-{end - 1}/900000"

    def test_deleted_for_good(self, desk: Desk) -> None:
        (one,) = desk.bring(1)
        assert desk.client.delete(f"/v1/messages/{one}", auth=credential(ME)).status_code == 204
        assert desk.client.delete(f"/v1/messages/{one}", auth=credential(ME)).status_code == 404
        assert desk.deliver(payload(1)).json() == {"status": "duplicate"}
        assert subjects(desk.get("/v1/messages")) == []


MAIL = {"to": ["Ada <ada@x.example>"], "subject": "Plan", "text": "t"}


class TestSending:
    def test_a_mail_goes_out_once_and_stands_in_its_thread(self, desk: Desk) -> None:
        receipt = desk.post("/v1/messages", MAIL, key="k1")
        assert receipt.status_code == 201, receipt.text
        assert desk.post("/v1/messages", MAIL, key="k1").json() == receipt.json()
        assert desk.post("/v1/messages", MAIL | {"text": "other"}, key="k1").status_code == 409
        ((wire, sender, recipients),) = desk.outbox.sent
        assert (sender, recipients) == ("me@d.example", ("ada@x.example",))
        custom = receipt.json()["custom_id"]
        assert message_from_bytes(wire, policy=SMTP)["X-MJ-CustomID"] == custom
        # Mailjet gives it another Message-ID; what answers carry is the custom id.
        desk.deliver(payload(2, Subject="odd", CustomID=custom, Headers={"In-Reply-To": "<x.MJMid@mailjet.com>"}))
        (thread,) = desk.get("/v1/threads").json()["threads"]
        assert subjects(desk.get(f"/v1/threads/{thread['id']}")) == ["odd", "Plan"]
        sent = desk.get("/v1/messages", params={"direction": "out"}).json()["messages"][0]
        shown = desk.get(f"/v1/messages/{sent['id']}").json()
        assert (shown["text"].strip(), shown["seen"], shown["sender"]["email"]) == ("t", True, "me@d.example")
        assert desk.get(f"/v1/messages/{sent['id']}/original").content == wire

    def test_a_reply_with_a_file(self, desk: Desk) -> None:
        (one,) = desk.bring(1)
        file = {"filename": "a.txt", "content": base64.b64encode(b"file").decode()}
        answer = desk.post(f"/v1/messages/{one}/reply", {"text": "thanks", "attachments": [file]}, key="k")
        assert answer.status_code == 201, answer.text
        message = message_from_bytes(desk.outbox.sent[0][0], policy=SMTP)
        assert (message["Subject"], message["In-Reply-To"]) == ("Re: Subject 1", "<1@x.example>")
        (thread,) = desk.get("/v1/threads").json()["threads"]
        sent = desk.get(f"/v1/threads/{thread['id']}").json()["messages"][0]
        assert desk.get(f"/v1/messages/{sent['id']}/attachments/1").content == b"file"
        # What was sent is not answered.
        assert desk.post(f"/v1/messages/{sent['id']}/reply", {"text": "x"}).status_code == 404

    def test_each_scope_opens_its_own(self, desk: Desk) -> None:
        (one,) = desk.bring(1)
        assert desk.client.post("/v1/messages", json=MAIL, auth=credential(ME)).status_code == 401
        assert desk.client.get("/v1/messages", auth=credential(ME, Scope.SEND)).status_code == 401
        token = {"Authorization": f"Bearer {TOKEN}"}
        assert desk.client.post("/v1/messages", json=MAIL, headers=token).status_code == 401
        assert desk.post(f"/v1/messages/{one}/reply", {"text": "x"}, agent=YOU).status_code == 404
        assert desk.outbox.sent == []

    @pytest.mark.parametrize(
        ("changes", "status"),
        [({"to": []}, 422), ({"to": ["nobody"]}, 422), ({"text": "\0"}, 422), ({"subject": "a\nb"}, 422), ({"odd": 1}, 422),
         ({"attachments": [{"filename": "a", "content": "?"}]}, 422), ({"text": "x" * 16_000_000}, 413)],
    )  # fmt: skip
    def test_what_is_no_mail(self, sqlite_desk: Desk, changes: Any, status: int) -> None:
        answer = sqlite_desk.post("/v1/messages", MAIL | changes)
        assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
        assert answer.json()["status"] == status
        assert sqlite_desk.outbox.sent == []

    def test_mailjet_is_away(self, sqlite_desk: Desk) -> None:
        sqlite_desk.outbox.error = UnreachableError("mailjet", "gone")
        assert sqlite_desk.post("/v1/messages", MAIL, key="k").status_code == 503
        sqlite_desk.outbox.error = None
        assert sqlite_desk.post("/v1/messages", MAIL, key="k").status_code == 201

    def test_answers_are_bounded(self, sqlite_desk: Desk) -> None:
        (one,) = sqlite_desk.bring(1)
        answers = [sqlite_desk.post(f"/v1/messages/{one}/reply", {"text": "x"}) for _ in range(11)]
        assert [one.status_code for one in answers] == [201] * 10 + [429]
        assert answers[-1].headers["retry-after"]


class TestBodies:
    @pytest.mark.parametrize("method", ["POST", "PATCH", "PUT"])
    def test_nobody_is_read_who_may_not_send(self, sqlite_desk: Desk, method: str) -> None:
        """The credential is looked at before the body, which is no JSON and would be a 422."""

        def body() -> Iterator[bytes]:
            yield b"{" * 10_000_000

        path = "/v1/messages" if method != "PATCH" else f"/v1/messages/{'0' * 32}"
        answer = sqlite_desk.client.request(method, path, content=body(), auth=(ME, "wrong"))
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"]

    def test_too_long(self, sqlite_desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(guard, "MAX_BODY_OCTETS", 1_000)
        long = json.dumps(MAIL | {"text": "x" * 2_000}).encode()
        auth = credential(ME, Scope.SEND)
        told = sqlite_desk.client.post("/v1/messages", content=long, auth=auth)
        chunked = sqlite_desk.client.post("/v1/messages", content=iter([long[:900], long[900:]]), auth=auth)
        assert (told.status_code, chunked.status_code) == (413, 400)
        assert sqlite_desk.outbox.sent == []


class TestPage:
    def test_openapi(self, sqlite_desk: Desk) -> None:
        schema = sqlite_desk.client.get("/openapi.json").json()
        assert len(schema["paths"]) == 13
        assert sqlite_desk.client.get("/docs").status_code == 200
        for path, methods in schema["paths"].items():
            for method, described in methods.items():
                assert described["description"], (path, method)
                assert "422" in described["responses"], (path, method)

    def test_every_refusal_is_a_problem(self, sqlite_desk: Desk) -> None:
        for path in ("/v1/messages?limit=0", "/v1/messages?after=x", "/v1/messages/x", "/v1/messages/" + "0" * 32):
            answer = sqlite_desk.get(path)
            assert answer.headers["content-type"] == "application/problem+json", path
        nobody = sqlite_desk.client.get("/v1/messages")
        assert nobody.status_code == 401
        assert nobody.headers["www-authenticate"].startswith("Basic")

    def test_metrics(self, sqlite_desk: Desk) -> None:
        sqlite_desk.deliver(payload(1))
        sqlite_desk.deliver(payload(1))
        found = dict(
            re.findall(r"^(azmail_inbox_\S+) ([0-9.]+)$", sqlite_desk.client.get("/metrics").text, re.MULTILINE)
        )
        assert found['azmail_inbox_accepted_total{kind="mail"}'] == "1.0"
        assert found['azmail_inbox_accepted_total{kind="duplicate"}'] == "1.0"
        assert found["azmail_inbox_jobs_waiting"] == "1.0"
        assert found[f'azmail_inbox_agent_mails{{agent="{ME}"}}'] == "1.0"
