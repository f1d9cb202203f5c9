"""The ASGI app that Mailjet delivers inbound mail and events to.

Mailjet authenticates with the user and password in the route's URL, that is with HTTP basic authentication, and with
nothing else; a secret in the path is the alternative. The credentials are checked before the body is read.

    POST {path}         200 accepted or a duplicate, 401, 404 unknown recipient, 413, 400, 503 try again
    POST {events_path}  the same, for bounce, blocked and spam events
    GET  /healthz       200 {"status": "ok"}
"""

import asyncio
import base64
import binascii
import hashlib
import hmac
import inspect
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import cast
from uuid import uuid4

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from azmail.deliveries import Claim, DeliveryStore, MemoryDeliveries
from azmail.errors import PayloadError, TryAgainError, WebhookConfigError
from azmail.events import MailEvent, parse_events
from azmail.inbound import InboundMail, parse_inbound
from azmail.stack import MailStack

INBOUND_PATH = "/api/webhooks/mailjet/inbound"
EVENTS_PATH = "/api/webhooks/mailjet/events"
MAX_BODY_BYTES = 25 * 1024 * 1024
"""Mailjet takes mails of 15 MB; base64 and JSON make about 21 MB of them."""

OnMail = Callable[[InboundMail, str], Awaitable[None] | None]
"""Called with a mail and the id of the agent it is for; async, or sync and then in a thread."""
OnEvent = Callable[[MailEvent, str | None], Awaitable[None] | None]
"""Called with an event and the id of the agent who sent the mail, if known."""
AgentAt = Callable[[str], str | None]
"""The agent id for a recipient address, or None."""

log = logging.getLogger("azmail.webhook")


def valid_token(presented: str | None, expected: str) -> bool:
    """Whether a presented secret is the expected one, in a time that tells nothing about it.

    Raises WebhookConfigError if no secret is expected: nothing is equal to a secret that does not exist.
    """
    if not expected:
        raise WebhookConfigError("found an empty webhook secret, expected one to compare with: configure it")
    return _same(presented or "", expected)


@dataclass(frozen=True, slots=True, init=False)
class BasicAuth:
    """The credentials in the route's URL: `https://USERNAME:PASSWORD@host/path`.

    `passwords` may hold several while a secret is being rotated. Without a `username` any user is accepted: it is the
    stack's owner tag and no secret.
    """

    passwords: tuple[str, ...] = field(repr=False)
    username: str | None = None

    def __init__(self, passwords: str | Iterable[str], username: str | None = None) -> None:
        object.__setattr__(self, "passwords", _secrets(passwords))
        object.__setattr__(self, "username", username)

    def admits(self, request: Request) -> bool:
        scheme, _, credentials = request.headers.get("Authorization", "").partition(" ")
        try:
            decoded = base64.b64decode(credentials.strip(), validate=True).decode("utf-8")
        except (binascii.Error, ValueError):
            decoded = ""
        user, _, password = decoded.partition(":")
        # Every comparison is made, whatever the others say.
        right = scheme.lower() == "basic"
        right &= self.username is None or _same(user, self.username)
        return right & _among(password, self.passwords)


@dataclass(frozen=True, slots=True, init=False)
class PathSecret:
    """The secret as the last segment of the route's URL: `https://host/path/SECRET`.

    Servers and proxies write paths into their logs: prefer BasicAuth.
    """

    secrets: tuple[str, ...] = field(repr=False)

    def __init__(self, secrets: str | Iterable[str]) -> None:
        object.__setattr__(self, "secrets", _secrets(secrets))

    def admits(self, request: Request) -> bool:
        presented = str(request.path_params.get("secret", ""))
        return _among(presented, self.secrets)


@dataclass(frozen=True, slots=True)
class Unauthenticated:
    """Everybody may post mail. For loopback, or behind something else that checks."""

    def admits(self, _request: Request) -> bool:
        return True


WebhookAuth = BasicAuth | PathSecret | Unauthenticated


class UnknownRecipients(StrEnum):
    """What is answered to mail for an address that no agent has."""

    REFUSE = "refuse"
    """404: Mailjet tries again, so mail for an agent who was added a minute ago arrives once the stack is reloaded."""
    IGNORE = "ignore"
    """200, and the mail is dropped."""


def create_app(
    agents: MailStack | AgentAt,
    *,
    on_mail: OnMail,
    auth: WebhookAuth,
    on_event: OnEvent | None = None,
    store: DeliveryStore | None = None,
    unknown_recipients: UnknownRecipients = UnknownRecipients.REFUSE,
    path: str = INBOUND_PATH,
    events_path: str = EVENTS_PATH,
    max_body_bytes: int = MAX_BODY_BYTES,
    lease_seconds: float = 60.0,
    busy_wait_seconds: float = 10.0,
) -> Starlette:
    """The app, ready to serve or to be mounted.

    A delivery counts as done once its hook has returned. If the hook raises, the claim is released and Mailjet's next
    attempt runs it again: a TryAgainError is answered with 503, any other error goes to the server as usual (500).
    A delivery that arrives while another copy of it is being worked on waits up to `busy_wait_seconds` for the outcome,
    then gets 503. `lease_seconds` is for crashes; it is renewed while a hook runs.
    Without `on_event` there is no events endpoint.
    """
    for one in (path, events_path):
        if not one.startswith("/") or one == "/" or "{" in one:
            raise WebhookConfigError(f"found the path {one!r}, expected one such as {INBOUND_PATH}: / is not allowed")
    endpoint = _Webhook(
        agent_at=agents.agent_at if isinstance(agents, MailStack) else agents,
        on_mail=on_mail,
        on_event=on_event,
        auth=auth,
        work=_Work(store or MemoryDeliveries(), lease_seconds, busy_wait_seconds),
        unknown_recipients=unknown_recipients,
        max_body_bytes=max_body_bytes,
    )
    tail = "/{secret}" if isinstance(auth, PathSecret) else ""
    routes = [
        Route(path.rstrip("/") + tail, endpoint.inbound, methods=["POST"]),
        Route("/healthz", _healthz, methods=["GET"]),
    ]
    if on_event is not None:
        routes.append(Route(events_path.rstrip("/") + tail, endpoint.events, methods=["POST"]))
    return Starlette(routes=routes)


async def _healthz(_: Request) -> Response:
    return JSONResponse({"status": "ok"})


class _TooLargeError(Exception):
    """The body is longer than allowed."""


class _BusyError(Exception):
    """Another copy of the delivery was being worked on for too long."""


class _Work:
    """Runs a hook at most once for each delivery that ends well."""

    def __init__(self, store: DeliveryStore, lease_seconds: float, busy_wait_seconds: float) -> None:
        self._store = store
        self._lease_seconds = lease_seconds
        self._busy_wait_seconds = busy_wait_seconds

    async def once(self, key: str, hook: Callable[[], Awaitable[None]]) -> bool:
        """Run the hook; False if the delivery was done before. Raises _BusyError, and what the hook raises."""
        owner = uuid4().hex
        if await self._claim(key, owner) is Claim.DONE:
            return False
        finished = False
        try:
            async with self._renewing(key, owner):
                await hook()
            # The mark belongs to the work: a cancelled request must not lose it.
            await asyncio.shield(run_in_threadpool(self._store.done, key, owner))
            finished = True
        finally:
            if not finished:
                await asyncio.shield(run_in_threadpool(self._store.release, key, owner))
        return True

    async def _claim(self, key: str, owner: str) -> Claim:
        clock = asyncio.get_running_loop().time
        give_up = clock() + self._busy_wait_seconds
        pause = 0.01
        while True:
            claim = await run_in_threadpool(self._store.claim, key, owner, self._lease_seconds)
            if claim is not Claim.BUSY:
                return claim
            if clock() >= give_up:
                raise _BusyError
            await asyncio.sleep(pause)
            pause = min(pause * 2, 0.25)

    @asynccontextmanager
    async def _renewing(self, key: str, owner: str) -> AsyncIterator[None]:
        async def renew() -> None:
            while True:
                await asyncio.sleep(self._lease_seconds / 3)
                await run_in_threadpool(self._store.renew, key, owner, self._lease_seconds)

        renewal = asyncio.create_task(renew())
        try:
            yield
        finally:
            renewal.cancel()
            await asyncio.wait([renewal])
            if not renewal.cancelled() and (error := renewal.exception()) is not None:
                log.warning("a claim could not be renewed, another process may take it over: %s", error)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Webhook:
    agent_at: AgentAt
    on_mail: OnMail
    on_event: OnEvent | None
    auth: WebhookAuth
    work: _Work
    unknown_recipients: UnknownRecipients
    max_body_bytes: int

    async def inbound(self, request: Request) -> Response:
        return await self._answer(request, self._inbound)

    async def events(self, request: Request) -> Response:
        return await self._answer(request, self._events)

    async def _answer(self, request: Request, handle: Callable[[bytes], Awaitable[Response]]) -> Response:
        if not self.auth.admits(request):
            challenge = {"WWW-Authenticate": 'Basic realm="azmail"'} if isinstance(self.auth, BasicAuth) else {}
            return _detail(401, "invalid or missing webhook credentials", challenge)
        try:
            return await handle(await self._body(request))
        except _TooLargeError:
            return _detail(413, f"the body is larger than {self.max_body_bytes} bytes")
        except ClientDisconnect:
            return _detail(400, "the body ended early")
        except PayloadError as error:
            log.warning("refused a delivery: %s", error)
            return _detail(400, str(error))
        except _BusyError:
            return _detail(503, "this delivery is being worked on", {"Retry-After": "30"})
        except TryAgainError as error:
            log.warning("a delivery is to come again: %s", error)
            return _detail(503, "not now", {"Retry-After": "30"})

    async def _body(self, request: Request) -> bytes:
        announced = request.headers.get("Content-Length", "")
        if announced.isdigit() and int(announced) > self.max_body_bytes:
            raise _TooLargeError
        chunks: list[bytes] = []
        size = 0
        async for chunk in request.stream():
            size += len(chunk)
            if size > self.max_body_bytes:
                raise _TooLargeError
            chunks.append(chunk)
        return b"".join(chunks)

    async def _inbound(self, body: bytes) -> Response:
        mail = await run_in_threadpool(parse_inbound, body)
        agent_id = await run_in_threadpool(self.agent_at, mail.envelope_recipient)
        if agent_id is None:
            log.warning("mail for an address that no agent has: %s", self.unknown_recipients.value)
            if self.unknown_recipients is UnknownRecipients.IGNORE:
                return JSONResponse({"status": "ignored"})
            return _detail(404, "no agent has this address")
        fresh = await self.work.once(mail.delivery_key, lambda: _call(self.on_mail, mail, agent_id))
        return JSONResponse({"status": "accepted" if fresh else "duplicate"})

    async def _events(self, body: bytes) -> Response:
        events = await run_in_threadpool(parse_events, body)
        fresh = 0
        for event in events:
            fresh += await self.work.once(event.delivery_key, _bound(self.on_event, event, event.agent_id))
        return JSONResponse({"status": "accepted" if fresh else "duplicate", "events": fresh})


def _bound(hook: OnEvent | None, event: MailEvent, agent_id: str | None) -> Callable[[], Awaitable[None]]:
    async def run() -> None:
        if hook is not None:
            await _call(hook, event, agent_id)

    return run


async def _call(hook: Callable[..., Awaitable[None] | None], *arguments: object) -> None:
    if inspect.iscoroutinefunction(hook) or inspect.iscoroutinefunction(getattr(hook, "__call__", None)):  # noqa: B004
        await cast("Awaitable[None]", hook(*arguments))
        return
    result = await run_in_threadpool(hook, *arguments)
    if inspect.isawaitable(result):
        await result


def _detail(status: int, detail: str, headers: Mapping[str, str] | None = None) -> Response:
    return JSONResponse({"detail": detail}, status, headers=dict(headers or {}))


def _secrets(given: str | Iterable[str]) -> tuple[str, ...]:
    secrets = (given,) if isinstance(given, str) else tuple(given)
    if not secrets or not all(secrets):
        raise WebhookConfigError(
            "found an empty webhook secret, expected the stack's webhookSecret: set inboundAuth to basic or forwarder "
            "so that the outputs carry it, or use Unauthenticated() on purpose"
        )
    return secrets


def _among(presented: str, secrets: Iterable[str]) -> bool:
    return sum(_same(presented, expected) for expected in secrets) > 0  # any() would stop at the first


def _same(presented: str, expected: str) -> bool:
    # Digests are equally long, so that not even the length of the secret shows.
    return hmac.compare_digest(_digest(presented), _digest(expected))


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
