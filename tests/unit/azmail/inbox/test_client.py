"""The Python client against the served API, sync and async."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator

import pytest

from azmail import AsyncInboxClient, Attachment, InboxClient, InboxError, MailDidNotComeError
from azmail.gateway.credentials import Scope
from tests.unit.azmail.inbox.desk import Desk, credential
from tests.unit.azmail.inbox.mails import ME, YOU, with_files
from tests.unit.azmail.servers import Answer, asgi_server, http_server


@pytest.fixture
def client(sqlite_desk: Desk) -> Iterator[InboxClient]:
    with (
        asgi_server(sqlite_desk.app) as url,
        InboxClient(url, *credential(ME), send_password=credential(ME, Scope.SEND)[1]) as made,
    ):
        yield made


@pytest.mark.slow
def test_reading(sqlite_desk: Desk, client: InboxClient) -> None:
    sqlite_desk.bring(*range(60))
    sqlite_desk.deliver(with_files(99, b"0123456789"))
    assert [one["subject"] for one in client.messages()][:2] == ["Subject 99", "Subject 59"]
    assert len(list(client.messages(seen=False))) == 61
    (found,) = client.search("subject 99")
    assert client.attachment(found["id"], 1) == b"0123456789"
    assert client.attachment(found["id"], 1, begin=2, end=5) == b"234"
    assert b"Subject: Subject 99" in client.original(found["id"])
    assert client.message(found["id"])["text"] == "Text of 99"
    client.mark(found["id"], seen=True, add=["done"])
    assert [one["id"] for one in client.messages(label="done", seen=True)] == [found["id"]]
    assert [one["id"] for one in client.thread(next(client.threads())["id"])] == [found["id"]]
    client.delete(found["id"])
    with pytest.raises(InboxError, match="404: this mailbox has nothing of that name"):
        client.message(found["id"])


def test_sending(sqlite_desk: Desk, client: InboxClient) -> None:
    (one,) = sqlite_desk.bring(1)
    receipts = [client.send(to=["x@y.example"], subject="s", text="t", idempotency_key="k") for _ in range(2)]
    assert receipts[0] == receipts[1]
    client.reply(one, text="t", attachments=[Attachment("a.txt", b"x")])
    assert len(sqlite_desk.outbox.sent) == 2
    with pytest.raises(InboxError, match="422"):
        client.send(to=["nobody"], text="t")


def test_waiting(sqlite_desk: Desk, client: InboxClient) -> None:
    sqlite_desk.bring(1)
    assert client.wait_for(subject="Subject 1")["subject"] == "Subject 1"
    with pytest.raises(MailDidNotComeError, match=r"about 'Plan' from x@y\.example"):
        client.wait_for(subject="Plan", sender="x@y.example", seconds=0)
    bringing = threading.Timer(0.05, sqlite_desk.bring, args=(2,), kwargs={"Subject": "The Plan"})
    bringing.start()
    assert client.wait_for(subject="Plan", sender="ADA@x.example")["subject"] == "The Plan"
    bringing.join()


def test_asyncio(sqlite_desk: Desk, client: InboxClient) -> None:
    async def run() -> None:
        async with AsyncInboxClient(client) as inbox:
            cursor = (await inbox.mailbox())["cursor"]
            followed = inbox.follow(cursor)
            coming = asyncio.ensure_future(anext(followed))
            await asyncio.to_thread(sqlite_desk.bring, 5)
            one = await asyncio.wait_for(coming, 30)
            assert one["subject"] == "Subject 5"
            assert (await inbox.message(one["id"]))["seen"] is False
            await inbox.mark(one["id"], seen=True)
            assert [found["seen"] for found in await inbox.search("subject")] == [True]
            assert (await inbox.reply(one["id"], text="t"))["recipients"] == ["ada@x.example"]

    asyncio.run(run())


def test_what_is_no_inbox(client: InboxClient) -> None:
    with pytest.raises(InboxError, match=r"expected an inbox at http://127\.0\.0\.1:9"):
        InboxClient("http://127.0.0.1:9", ME, "x").mailbox()
    with pytest.raises(InboxError, match="401"):
        InboxClient(client._url, YOU, "x").mailbox()
    assert "x" not in repr(InboxClient("http://h", YOU, "x"))[-5:-1]


@pytest.mark.parametrize("body", ["<html>", "[]", "{}", '{"messages": []}'])
def test_something_else_that_answers(body: str) -> None:
    """One sentence, and no status of an inbox."""
    with http_server() as server, InboxClient(server.url, "a", "p") as client:
        server.answer = lambda _request: Answer(200, body)
        for look in (client.mailbox, client.state, lambda: list(client.messages()), lambda: client.after("c")):
            with pytest.raises(InboxError, match=r"something else than an inbox answered 200 at http") as refused:
                look()
            assert refused.value.status == 0
