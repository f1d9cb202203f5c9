"""The inbox's client: an agent's mailbox over HTTP, sync and async.

Needs no more than the library itself. The asynchronous calls run the synchronous ones in threads, as the transports do.
"""

from __future__ import annotations

import asyncio
import base64
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Self, TypeVar, TypeVarTuple
from urllib.parse import quote

import requests
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase, HTTPBasicAuth

from azmail.errors import AzmailError
from azmail.mail import Attachment

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

Message = dict[str, Any]
"""A message as the API's page describes it."""
WAIT_SECONDS = 30


class InboxError(AzmailError):
    """The inbox refused a call; `status` is HTTP's, 0 where no inbox answered; `retry_after` in seconds."""

    def __init__(self, status: int, detail: str, retry_after: float | None = None) -> None:
        self.status = status
        self.retry_after = retry_after
        super().__init__(f"the inbox answered {status or 'nothing'}: {detail}")


class MailDidNotComeError(AzmailError, TimeoutError):
    """What was waited for did not come."""

    def __init__(self, what: str, seconds: float) -> None:
        super().__init__(f"no mail {what} came within {seconds:g} s: look at what did with messages()")


class _Bearer(AuthBase):
    def __init__(self, token: str) -> None:
        self._header = f"Bearer {token}"

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = self._header
        return request


class InboxClient:
    """One agent's mailbox; `send_password` (scope `send`) is needed for `send` and `reply` alone.

    Raises InboxError. Safe to share between threads.
    """

    def __init__(
        self,
        url: str,
        agent: str,
        password: str,
        *,
        send_password: str = "",
        timeout: float = 30.0,
        ca_file: str | None = None,
    ) -> None:
        self._url = url.rstrip("/")
        self._user = agent
        self._read: AuthBase = HTTPBasicAuth(agent.encode(), password.encode())
        self._send = HTTPBasicAuth(agent.encode(), send_password.encode())
        self._timeout = timeout
        self._session = requests.Session()
        self._session.trust_env = False  # a .netrc would take the place of the agent's own credential
        self._session.verify = ca_file or True
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, HTTPAdapter(pool_maxsize=16, max_retries=0))

    @classmethod
    def of_platform(cls, url: str, token: str, *, timeout: float = 30.0, ca_file: str | None = None) -> Self:
        """Of all mailboxes, to read; `messages(agent=ID)` are those of one."""
        client = cls(url, "platform", "", timeout=timeout, ca_file=ca_file)
        client._read = _Bearer(token)
        return client

    def mailbox(self) -> dict[str, Any]:
        """Whose it is, what is in it, and a `cursor` for what comes from now on."""
        return self._json("GET", "/v1/mailbox", holding=("cursor",))

    def state(self) -> dict[str, Any]:
        """For the platform: what waits for hooks, what they have failed at, and the database's step."""
        return self._json(
            "GET", "/v1/state", holding=("database_step", "program_step", "waiting", "dead", "lag_seconds")
        )

    def messages(self, **query: object) -> Iterator[Message]:
        """All messages, newest first, page by page; `label`, `seen`, `direction` choose."""
        yield from self._pages("/v1/messages", query)

    def search(self, words: str) -> Iterator[Message]:
        """Messages that have all the words."""
        yield from self._pages("/v1/search", {"q": words})

    def threads(self) -> Iterator[dict[str, Any]]:
        yield from self._pages("/v1/threads", {}, "threads")

    def thread(self, thread: str) -> Iterator[Message]:
        """Newest first."""
        yield from self._pages(f"/v1/threads/{quote(thread, safe='')}", {})

    def message(self, message: str) -> Message:
        return self._json("GET", self._path(message))

    def original(self, message: str) -> bytes:
        return self._call("GET", self._path(message) + "/original").content

    def attachment(self, message: str, part: int, *, begin: int = 0, end: int | None = None) -> bytes:
        """A file, or its octets from `begin` up to, not including, `end`."""
        wanted = {} if begin == 0 and end is None else {"Range": f"bytes={begin}-{'' if end is None else end - 1}"}
        return self._call("GET", self._path(message) + f"/attachments/{part}", headers=wanted).content

    def mark(
        self, message: str, *, seen: bool | None = None, add: Sequence[str] = (), remove: Sequence[str] = ()
    ) -> Message:
        marks = {"seen": seen, "add_labels": list(add), "remove_labels": list(remove)}
        return self._json("PATCH", self._path(message), json=marks)

    def delete(self, message: str) -> None:
        self._call("DELETE", self._path(message))

    def events(self) -> Iterator[dict[str, Any]]:
        """Bounces, blocks and complaints about what was sent, newest first."""
        yield from self._pages("/v1/events", {}, "events")

    def after(self, cursor: str, *, wait: int = 0, **query: object) -> tuple[list[Message], str]:
        """What came since the cursor, oldest first, waiting up to so many seconds for it; and the next cursor."""
        asked = {"after": cursor, "wait": wait, **query}
        page = self._json(
            "GET", "/v1/messages", holding=("messages", "next"), params=asked, timeout=self._timeout + wait
        )
        return page["messages"], page["next"]

    def follow(self, cursor: str | None = None) -> Iterator[Message]:
        """Each message as it comes, for ever."""
        place = self.mailbox()["cursor"] if cursor is None else cursor
        while True:
            messages, place = self.after(place, wait=WAIT_SECONDS)
            yield from messages

    def wait_for(
        self, *, subject: str | None = None, sender: str | None = None, seconds: float = 30.0, cursor: str | None = None
    ) -> Message:
        """The first message whose subject contains, and whose From is, what is given; one that is there already too.

        With a `cursor` only what came since. Raises MailDidNotComeError.
        """
        deadline = time.monotonic() + seconds
        place = self.mailbox()["cursor"] if cursor is None else cursor
        found = (
            next((one for one in self.messages(direction="in") if _fits(one, subject, sender)), None)
            if cursor is None
            else None
        )
        while found is None:
            left = deadline - time.monotonic()
            if left <= 0:
                what = " ".join(
                    filter(None, (f"about {subject!r}" if subject else "", f"from {sender}" if sender else ""))
                )
                raise MailDidNotComeError(what, seconds)
            messages, place = self.after(place, wait=max(1, min(WAIT_SECONDS, int(left))))
            found = next((one for one in messages if _fits(one, subject, sender)), None)
        return found

    def send(
        self, *, attachments: Iterable[Attachment] = (), idempotency_key: str = "", **mail: object
    ) -> dict[str, Any]:
        """Send from the agent's own address: `to`, `cc`, `bcc`, `subject`, `text`, `html`; the receipt."""
        to_send = mail | {"attachments": [_file(one) for one in attachments]}
        return self._json("POST", "/v1/messages", json=to_send, headers=_key(idempotency_key), auth=self._send)

    def reply(
        self, message: str, *, attachments: Iterable[Attachment] = (), idempotency_key: str = "", **answer: object
    ) -> dict[str, Any]:
        """Answer in its thread: `text`, `html`, `to_all`; the receipt."""
        to_send = answer | {"attachments": [_file(one) for one in attachments]}
        return self._json(
            "POST", self._path(message) + "/reply", json=to_send, headers=_key(idempotency_key), auth=self._send
        )

    def close(self) -> None:
        self._session.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"InboxClient({self._url!r}, {self._user!r})"

    def _path(self, message: str) -> str:
        return f"/v1/messages/{quote(message, safe='')}"

    def _pages(self, path: str, query: Mapping[str, object], items: str = "messages") -> Iterator[dict[str, Any]]:
        asked = {name: str(value).lower() if isinstance(value, bool) else value for name, value in query.items()}
        while True:
            page = self._json("GET", path, holding=(items, "next"), params=asked)
            yield from page[items]
            if page["next"] is None:
                return
            asked["before"] = page["next"]

    def _json(self, method: str, path: str, *, holding: Sequence[str] = (), **options: Any) -> dict[str, Any]:
        """An object that has these names. Raises InboxError for whatever an inbox does not say."""
        answer = self._call(method, path, **options)
        try:
            found = answer.json()
        except ValueError:
            found = None
        if not isinstance(found, dict) or any(name not in found for name in holding):
            raise InboxError(0, f"something else than an inbox answered {answer.status_code} at {self._url}")
        return found

    def _call(self, method: str, path: str, **options: Any) -> requests.Response:
        given: dict[str, Any] = {"auth": self._read, "timeout": self._timeout, "allow_redirects": False} | options
        try:
            answer = self._session.request(method, self._url + path, **given)
        except requests.RequestException as error:
            raise InboxError(0, f"{type(error).__name__}, expected an inbox at {self._url}") from None
        if 200 <= answer.status_code < 300:
            return answer
        try:
            detail = str(answer.json()["detail"])
        except (ValueError, KeyError, TypeError):
            detail = f"no problem document: is there an inbox at {self._url}?"
        again = answer.headers.get("Retry-After", "")
        raise InboxError(answer.status_code, detail, float(again) if again.isdigit() else None)


class AsyncInboxClient:
    """The same for asyncio; takes an `InboxClient`, whose lists it gives as lists."""

    def __init__(self, client: InboxClient, *, threads: int = 8) -> None:
        self._client = client
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="inbox-client")

    async def mailbox(self) -> dict[str, Any]:
        return await self._run(self._client.mailbox)

    async def messages(self, **query: object) -> list[Message]:
        return await self._run(lambda: list(self._client.messages(**query)))

    async def search(self, words: str) -> list[Message]:
        return await self._run(lambda: list(self._client.search(words)))

    async def message(self, message: str) -> Message:
        return await self._run(self._client.message, message)

    async def original(self, message: str) -> bytes:
        return await self._run(self._client.original, message)

    async def attachment(self, message: str, part: int) -> bytes:
        return await self._run(self._client.attachment, message, part)

    async def mark(self, message: str, **marks: Any) -> Message:
        return await self._run(lambda: self._client.mark(message, **marks))

    async def delete(self, message: str) -> None:
        await self._run(self._client.delete, message)

    async def wait_for(self, **what: Any) -> Message:
        return await self._run(lambda: self._client.wait_for(**what))

    async def follow(self, cursor: str | None = None) -> AsyncIterator[Message]:
        """Each message as it comes, for ever."""
        place = (await self.mailbox())["cursor"] if cursor is None else cursor
        while True:
            messages, place = await self._run(self._next, place)
            for one in messages:
                yield one

    def _next(self, cursor: str) -> tuple[list[Message], str]:
        return self._client.after(cursor, wait=WAIT_SECONDS)

    async def send(self, **mail: Any) -> dict[str, Any]:
        return await self._run(lambda: self._client.send(**mail))

    async def reply(self, message: str, **answer: Any) -> dict[str, Any]:
        return await self._run(lambda: self._client.reply(message, **answer))

    async def close(self) -> None:
        await self._run(self._client.close)
        self._threads.shutdown()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def _run(self, call: Callable[[*Ts], T], *arguments: *Ts) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, call, *arguments)


def _fits(message: Message, subject: str | None, sender: str | None) -> bool:
    author = (message["sender"] or {}).get("email", "")
    return (subject is None or subject in message["subject"]) and (sender is None or sender.lower() == author.lower())


def _file(attachment: Attachment) -> dict[str, object]:
    return {
        "filename": attachment.filename,
        "content": base64.b64encode(attachment.content).decode(),
        "content_type": attachment.content_type,
        "content_id": attachment.content_id,
    }


def _key(key: str) -> dict[str, str]:
    return {"Idempotency-Key": key} if key else {}
