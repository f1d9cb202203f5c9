"""The ASGI app that Mailjet delivers inbound mail and events to.

Mailjet authenticates with the user and password in the route's URL, that is with HTTP basic authentication, and with
nothing else; a secret in the path is the alternative. The credentials are checked before the body is read.

    POST {path}         200 accepted or a duplicate, 401, 404 unknown recipient, 408, 413, 400, 503 try again
    POST {events_path}  the same, for bounce, blocked and spam events
    GET  /healthz       200 {"status": "ok"}, 503 {"status": "full" or "no store"} where a delivery would get 503
"""

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, TypeVar

from anyio import CapacityLimiter, to_thread
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from azmail.bodies import Bodies, BodyTooLargeError, BodyTooSlowError
from azmail.deliveries import DeliveryStore, MemoryDeliveries
from azmail.errors import PayloadError, TryAgainError, WebhookConfigError
from azmail.events import MailEvent, parse_events
from azmail.inbound import InboundMail, parse_inbound
from azmail.once import BusyError, FullError, Health, Once
from azmail.webhook_auth import BasicAuth, FollowedAuth, PathSecret, Unauthenticated, WebhookAuth, valid_token

__all__ = [
    "BasicAuth",
    "PathSecret",
    "Unauthenticated",
    "UnknownRecipients",
    "WebhookAuth",
    "create_app",
    "valid_token",
]

INBOUND_PATH = "/api/webhooks/mailjet/inbound"
EVENTS_PATH = "/api/webhooks/mailjet/events"
MAX_BODY_BYTES = 25 * 1024 * 1024
"""Mailjet takes mails of 15 MB; base64 and JSON make about 21 MB of them."""
MOST_HOOKS = 40
MAX_HELD_BYTES = 256 * 1024 * 1024
"""Of bodies that came in and are not answered yet; a mail takes a small multiple of its body."""
BODY_SECONDS = 60.0
PARSING_THREADS = 4
READ_AT_ONCE_BYTES = 16 * 1024
"""What is read within the event loop: a thread would cost more time, and a body of so many bytes takes few milliseconds."""
LOOKUP_THREADS = 8

OnMail = Callable[[InboundMail, str], Awaitable[None] | None]
"""Called with a mail and the id of the agent it is for; async, or sync and then in a thread."""
OnEvent = Callable[[MailEvent, str | None], Awaitable[None] | None]
"""Called with an event and the id of the agent who sent the mail, if known."""
AgentAt = Callable[[str], str | None]
"""The agent id for a recipient address, or None."""


class KnownAgents(Protocol):
    """Knows the agents without asking anybody: it is not given a thread, as a function is that may have to wait."""

    def agent_at(self, address: str) -> str | None:
        """The agent id for a recipient address, or None."""


T = TypeVar("T")

log = logging.getLogger("azmail.webhook")


class Receiver(Protocol):
    """What becomes of a delivery that was read: done when the call returns, to come again when it raises."""

    async def take_mail(self, mail: InboundMail, agent_id: str) -> bool:
        """False if it was here before. Raises BusyError, FullError, TryAgainError."""

    async def take_events(self, events: Sequence[MailEvent]) -> int:
        """How many of them were not here before; raises the same."""

    async def health(self) -> Health:
        """Whether a delivery that comes now would be taken."""


class UnknownRecipients(StrEnum):
    """What is answered to mail for an address that no agent has."""

    REFUSE = "refuse"
    """404: Mailjet tries again, so mail for an agent who was added a minute ago arrives once the stack is reloaded."""
    IGNORE = "ignore"
    """200, and the mail is dropped."""


def create_app(
    agents: KnownAgents | AgentAt,
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
    most_hooks: int = MOST_HOOKS,
    body_seconds: float = BODY_SECONDS,
    max_held_bytes: int = MAX_HELD_BYTES,
) -> Starlette:
    """The app, ready to serve or to be mounted.

    A delivery counts as done once its hook has returned. If the hook raises, the claim is released and Mailjet's next
    attempt runs it again: a TryAgainError is answered with 503, any other error goes to the server as usual (500).
    A delivery that arrives while another copy of it is being worked on waits up to `busy_wait_seconds` for the outcome,
    then gets 503. `lease_seconds` is for crashes; it is renewed while a hook runs, whatever the hooks do.
    At most `most_hooks` hooks run at once, and bodies of `max_held_bytes` together are held: what comes beyond gets 503.
    A body that is not there after `body_seconds` gets 408. What is no delivery is refused at once, hooks or no hooks.
    Without `on_event` there is no events endpoint.
    """
    work = Once(
        store or MemoryDeliveries(),
        lease_seconds=lease_seconds,
        busy_wait_seconds=busy_wait_seconds,
        most_hooks=most_hooks,
    )
    return receiving_app(
        agents,
        HookReceiver(work, on_mail, on_event),
        auth=auth,
        unknown_recipients=unknown_recipients,
        path=path,
        events_path=events_path if on_event is not None else None,
        max_body_bytes=max_body_bytes,
        body_seconds=body_seconds,
        max_held_bytes=max_held_bytes,
    )


def receiving_app(
    agents: KnownAgents | AgentAt,
    receiver: Receiver,
    *,
    auth: WebhookAuth,
    unknown_recipients: UnknownRecipients = UnknownRecipients.REFUSE,
    path: str = INBOUND_PATH,
    events_path: str | None = EVENTS_PATH,
    max_body_bytes: int = MAX_BODY_BYTES,
    body_seconds: float = BODY_SECONDS,
    max_held_bytes: int = MAX_HELD_BYTES,
) -> Starlette:
    """The webhook in front of whatever takes deliveries; without an `events_path` there is no events endpoint."""
    for one in (path, events_path or EVENTS_PATH):
        if not one.startswith("/") or one == "/" or "{" in one:
            raise WebhookConfigError(f"found the path {one!r}, expected one such as {INBOUND_PATH}: / is not allowed")
    endpoint = _Webhook(
        agents=agents,
        receiver=receiver,
        auth=auth,
        unknown_recipients=unknown_recipients,
        bodies=Bodies(most_bytes=max_body_bytes, most_held=max_held_bytes, seconds=body_seconds),
        parsing=CapacityLimiter(PARSING_THREADS),
        lookups=CapacityLimiter(LOOKUP_THREADS),
    )
    tail = "/{secret}" if isinstance(auth, PathSecret) else ""
    routes = [
        Route(path.rstrip("/") + tail, endpoint.inbound, methods=["POST"]),
        Route("/healthz", endpoint.healthz, methods=["GET"]),
    ]
    if events_path is not None:
        routes.append(Route(events_path.rstrip("/") + tail, endpoint.events, methods=["POST"]))
    return Starlette(routes=routes)


@dataclass(frozen=True, slots=True)
class HookReceiver:
    """Runs the hooks within the delivery."""

    work: Once
    on_mail: OnMail
    on_event: OnEvent | None

    async def take_mail(self, mail: InboundMail, agent_id: str) -> bool:
        return await self.work.run(mail.delivery_key, lambda: self.work.call(self.on_mail, mail, agent_id))

    async def take_events(self, events: Sequence[MailEvent]) -> int:
        fresh = 0
        for event in events:
            fresh += await self.work.run(event.delivery_key, self._bound(event))
        return fresh

    async def health(self) -> Health:
        return await self.work.health()

    def _bound(self, event: MailEvent) -> Callable[[], Awaitable[None]]:
        async def run() -> None:
            if self.on_event is not None:
                await self.work.call(self.on_event, event, event.agent_id)

        return run


@dataclass(frozen=True, slots=True, kw_only=True)
class _Webhook:
    agents: KnownAgents | AgentAt
    receiver: Receiver
    auth: WebhookAuth
    unknown_recipients: UnknownRecipients
    bodies: Bodies
    parsing: CapacityLimiter
    lookups: CapacityLimiter

    async def inbound(self, request: Request) -> Response:
        return await self._answer(request, self._inbound)

    async def events(self, request: Request) -> Response:
        return await self._answer(request, self._events)

    async def _answer(self, request: Request, handle: Callable[[bytes], Awaitable[Response]]) -> Response:
        if not self.auth.admits(request):
            challenge = (
                {"WWW-Authenticate": 'Basic realm="azmail"'} if isinstance(self.auth, BasicAuth | FollowedAuth) else {}
            )
            return _detail(401, "invalid or missing webhook credentials", challenge)
        try:
            async with self.bodies.read(request) as body:
                return await handle(body)
        except BodyTooLargeError:
            return _detail(413, f"the body is larger than {self.bodies.most_bytes} bytes")
        except BodyTooSlowError:
            return _detail(
                408,
                f"the body was not there after {self.bodies.seconds:g} s, expected all of it",
                {"Connection": "close"},
            )
        except FullError:
            log.warning("a delivery is to come again: as much is being worked on as may be at once")
            return _detail(503, "too much is being worked on", {"Retry-After": "30"})
        except ClientDisconnect:
            return _detail(400, "the body ended early")
        except PayloadError as error:
            log.warning("refused a delivery: %s", error)
            return _detail(400, str(error))
        except BusyError:
            return _detail(503, "this delivery is being worked on", {"Retry-After": "30"})
        except TryAgainError as error:
            log.warning("a delivery is to come again: %s", error)
            return _detail(503, "not now", {"Retry-After": "30"})

    async def _inbound(self, body: bytes) -> Response:
        mail = await self._parsed(parse_inbound, body)
        agent_id = await self._agent_at(mail.envelope_recipient)
        if agent_id is None:
            log.warning("mail for an address that no agent has: %s", self.unknown_recipients.value)
            if self.unknown_recipients is UnknownRecipients.IGNORE:
                return JSONResponse({"status": "ignored"})
            return _detail(404, "no agent has this address")
        fresh = await self.receiver.take_mail(mail, agent_id)
        return JSONResponse({"status": "accepted" if fresh else "duplicate"})

    async def _events(self, body: bytes) -> Response:
        events = await self._parsed(parse_events, body)
        fresh = await self.receiver.take_events(events)
        return JSONResponse({"status": "accepted" if fresh else "duplicate", "events": fresh})

    async def _parsed(self, parse: Callable[[bytes], T], body: bytes) -> T:
        if len(body) <= READ_AT_ONCE_BYTES:
            return parse(body)
        return await to_thread.run_sync(parse, body, limiter=self.parsing)

    async def _agent_at(self, address: str) -> str | None:
        if callable(self.agents):
            return await to_thread.run_sync(self.agents, address, limiter=self.lookups)
        return self.agents.agent_at(address)

    async def healthz(self, _: Request) -> Response:
        health = await self.receiver.health()
        return JSONResponse({"status": health.value}, 200 if health is Health.OK else 503)


def _detail(status: int, detail: str, headers: Mapping[str, str] | None = None) -> Response:
    return JSONResponse({"detail": detail}, status, headers=dict(headers or {}))
