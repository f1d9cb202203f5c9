"""The other door: `POST /v3.1/send` as Mailjet's Send API has it, for clients whose base URL and keys are changed.

The user is the agent's id or address and the password its credential, by HTTP basic authentication. A call is judged
message by message, its Globals merged in, and then handed on as one call with the account's key; Mailjet's answer
comes back as it is. What Mailjet would let one agent do to another's mail (templates, variables, campaigns) is an
unknown property here.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import Any
from uuid import uuid4

import requests
from requests.adapters import HTTPAdapter
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from azmail.gateway.credentials import AgentLogin
from azmail.gateway.identity import CONTROL, MAX_MESSAGE_OCTETS, MessageOffenceError, checked_name, event_payload
from azmail.gateway.ledger import RESULT_SECONDS, LedgerError
from azmail.gateway.relay import AWAY, BUSY, CROWDED, DOUBT, LOST, MAX_RECIPIENTS, Relay, Reply
from azmail.gateway.sentmail import PEOPLE, message_octets, recipients_of
from azmail.gateway.submission import MESSAGE_SECONDS, Sources
from azmail.sendapi import never_connected

MAX_BODY_OCTETS = MAX_MESSAGE_OCTETS * 3 // 2
MAX_MESSAGES = 50
MAX_IDEMPOTENCY_KEY_CHARACTERS = 255
MOST_REFUSED_AT_ONCE = 250
"""Wrong logins that wait for their answer; further ones get it at once."""
RETRY_SECONDS = 300
"""Within this time a call with a key made of its content is the client's retry; later it is another mail."""
_NOT_IN_KEY = frozenset({"CustomID", "EventPayload", "SandboxMode"})

_ADDRESS_KEYS = frozenset({"Email", "Name"})
_ATTACHMENT_KEYS = frozenset({"ContentType", "Filename", "Base64Content", "ContentID"})
_TEXTS = frozenset({"Subject", "TextPart", "HTMLPart", "CustomID", "EventPayload", "TrackOpens", "TrackClicks"})
_MESSAGE_KEYS = frozenset(
    {"From", "Sender", "ReplyTo", "Headers", "Attachments", "InlinedAttachments", *PEOPLE, *_TEXTS}
)
_SANDBOX = ("SandboxMode", "SandBoxMode")
"""As the documentation writes it, and as Mailjet's client for Go does."""
_SWITCHES = ("AdvanceErrorHandling", *_SANDBOX)
_SWITCHED = (True, False, "true", "false")
_CALL_KEYS = frozenset({"Messages", "Globals", *_SWITCHES})
_HEADER_NAME = re.compile(r"[!-9;-~]{1,76}")
_SET_BY_PROPERTIES = frozenset(
    {
        "from", "sender", "to", "cc", "bcc", "reply-to", "subject", "date", "message-id", "return-path",
        "delivered-to", "received", "dkim-signature", "authentication-results", "received-spf", "content-type",
        "content-transfer-encoding", "mime-version", "list-id", "x-feedback-id", "x-csa-complaints", "user-agent",
        "x-mailer",
    }
)  # fmt: skip
_RESERVED = ("resent-", "x-mj-", "x-mailjet-")
_ADDRESS = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]{1,64}@[A-Za-z0-9.-]{1,255}")
_UNAUTHORIZED = (
    "API key authentication/authorization failure: the user is an agent's id or address, the password its credential."
)


@dataclass(frozen=True, slots=True)
class RequestProblem:
    """Why a message is refused, in Mailjet's shape."""

    code: str
    text: str
    related_to: str
    status: int = 400

    def plain(self) -> dict[str, object]:
        return {
            "ErrorIdentifier": str(uuid4()),
            "ErrorCode": self.code,
            "StatusCode": self.status,
            "ErrorMessage": self.text,
            "ErrorRelatedTo": [self.related_to],
        }


ACCOUNT_REFUSED = Reply(451, "4.3.0", "Mailjet refuses the account at present, nothing was sent")


class MailjetSendApi:
    """The account's own Send API, asked once for each call: nothing is repeated."""

    def __init__(
        self,
        base_url: str,
        api_key: str,
        api_secret: str,
        *,
        timeout: tuple[float, float] = (10.0, 60.0),
        pool: int = 32,
    ) -> None:
        self._timeout = timeout
        self._session = requests.Session()
        self.renew(base_url, api_key, api_secret)
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, HTTPAdapter(pool_maxsize=pool, max_retries=0, pool_block=True))

    def renew(self, base_url: str, api_key: str, api_secret: str) -> None:
        """Another account or place, from the next call on."""
        self._target = (base_url.rstrip("/") + "/v3.1/send", (api_key, api_secret))

    def post(self, body: Mapping[str, object]) -> Reply:
        """Mailjet's answer: its status as `code`, its JSON text as `text`. 503 where nothing has been sent."""
        try:
            url, auth = self._target
            answer = self._session.post(url, json=body, auth=auth, timeout=self._timeout, allow_redirects=False)
        except requests.RequestException as error:
            if never_connected(error) or isinstance(error, requests.exceptions.SSLError):
                return Reply(451, "4.4.1", "no connection to Mailjet, nothing was sent")
            return LOST
        if answer.status_code == 429:
            return Reply(451, "4.4.1", "Mailjet has too many requests, nothing was sent")
        if answer.status_code in (401, 403) and "send-0008" not in answer.text:
            return ACCOUNT_REFUSED
        if answer.status_code >= 500:
            return LOST
        return Reply(answer.status_code, "2.0.0", answer.text)

    def close(self) -> None:
        self._session.close()


def send_api_app(
    relay: Relay,
    mailjet: MailjetSendApi,
    *,
    sources: Sources | None = None,
    workers: int = 32,
    body_seconds: float = MESSAGE_SECONDS,
) -> Starlette:
    """The ASGI app: `POST /v3.1/send` and `GET /healthz`; a call whose body takes longer than `body_seconds` is refused."""
    threads = ThreadPoolExecutor(workers, thread_name_prefix="gateway-http")
    door = _Door(relay, mailjet, sources or Sources(), threads, body_seconds)
    return Starlette(
        routes=[
            Route("/v3.1/send", door.send, methods=["POST"]),
            Route("/healthz", door.health, methods=["GET"]),
        ]
    )


class _Door:
    def __init__(
        self,
        relay: Relay,
        mailjet: MailjetSendApi,
        sources: Sources,
        threads: ThreadPoolExecutor,
        body_seconds: float,
    ) -> None:
        self._body_seconds = body_seconds
        self._relay = relay
        self._mailjet = mailjet
        self._sources = sources
        self._threads = threads
        self._logins = ThreadPoolExecutor(4, thread_name_prefix="gateway-http-login")
        self._looks = ThreadPoolExecutor(1, thread_name_prefix="gateway-http-health")
        self._look: asyncio.Future[str] | None = None
        self._refused_ones = 0

    async def health(self, _request: Request) -> Response:
        # Anybody may ask, however often: all who ask at the same time get one answer, and no login waits behind them.
        if self._look is None or self._look.done():
            self._look = asyncio.get_running_loop().run_in_executor(self._looks, self._relay.health)
        problem = await asyncio.shield(self._look)
        return JSONResponse({"status": problem or "ok"}, 503 if problem else 200)

    async def send(self, request: Request) -> Response:
        agent = await self._login(request)
        if isinstance(agent, Response):
            return agent
        with self._relay.handling(agent) as has_place:
            if not has_place:
                return _response(replace(CROWDED, retry_after=1))
            try:
                async with asyncio.timeout(self._body_seconds):
                    body = await _body(request)
            except ClientDisconnect:
                return Response(status_code=400)
            except TimeoutError:
                return _refused(RequestProblem("mj-0011", "The call did not come to its end in time.", "", 408))
            if body is None:
                return _refused(RequestProblem("mj-0011", f"The call has more than {MAX_BODY_OCTETS} octets.", "", 413))
            # A body may take minutes: what was withdrawn meanwhile is good no more.
            agent = await self._login(request)
            if isinstance(agent, Response):
                return agent
            key = request.headers.get("idempotency-key", "")
            return await asyncio.get_running_loop().run_in_executor(self._threads, self._answer, agent, body, key)

    async def _login(self, request: Request) -> AgentLogin | Response:
        """The agent that the request's credential is of, or what is said to whoever has none."""
        user, password = _basic(request.headers.get("authorization", ""))
        loop = asyncio.get_running_loop()
        try:
            agent = await loop.run_in_executor(self._logins, self._relay.login, user, password)
        except LedgerError:
            return _away()
        return agent if agent is not None else await self._unauthorized(request)

    async def _unauthorized(self, request: Request) -> Response:
        pause = self._sources.failed(request.client.host if request.client else "?")
        # Those who wait take places of the door: there are never so many that none is left.
        if self._refused_ones < MOST_REFUSED_AT_ONCE:
            self._refused_ones += 1
            try:
                await asyncio.sleep(pause)
            finally:
                self._refused_ones -= 1
        refusal = {"ErrorIdentifier": str(uuid4()), "StatusCode": 401, "ErrorMessage": _UNAUTHORIZED}
        return JSONResponse(refusal, 401, {"WWW-Authenticate": 'Basic realm="azmail"'})

    def _answer(self, agent: AgentLogin, body: bytes, key: str) -> Response:
        if len(key) > MAX_IDEMPOTENCY_KEY_CHARACTERS:
            return _refused(RequestProblem("mj-0006", "The Idempotency-Key is too long.", "Idempotency-Key"))
        given = parsed(body)
        call = checked_call(agent, given, self._relay)
        if isinstance(call, Response):
            return call
        digest = hashlib.sha256(json.dumps(call, sort_keys=True).encode()).hexdigest()
        name, remembered = f"{key or uuid4()}", RESULT_SECONDS
        if key and key == content_key(given):
            name, remembered = f"{key}\0{digest}", RETRY_SECONDS
        name = hashlib.sha256(f"http\0{name}".encode()).hexdigest()
        messages = call["Messages"]
        reply = self._relay.once(
            agent,
            name,
            digest,
            messages=len(messages),
            recipients=sum(len(recipients_of(message)) for message in messages),
            send=lambda: self._post(call),
            remembered=remembered,
        )
        if reply.code == 200 and "SandboxMode" not in call:
            self._keep(agent, name, messages, reply.text)
        return _response(reply)

    def _keep(self, agent: AgentLogin, name: str, messages: Sequence[Mapping[str, Any]], answer: str) -> None:
        """What Mailjet says that it has sent stands in the agent's mailbox, as what went by SMTP does."""
        date = datetime.now(UTC)
        for index, message in enumerate(messages):
            if _was_sent(answer, index):
                key = hashlib.sha256(f"{name}\0{index}".encode()).hexdigest()
                self._relay.keep_sent(agent, key, partial(message_octets, message, date=date), recipients_of(message))

    def _post(self, call: Mapping[str, object]) -> Reply:
        reply = self._mailjet.post(call)
        if reply is ACCOUNT_REFUSED:
            self._relay.note_account(blocked=True, said=reply.text)
        elif reply.enhanced == "2.0.0":
            self._relay.note_account(blocked=False)
        return reply


def parsed(body: bytes) -> Any:
    """The JSON value, or None for what is none."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def content_key(call: Any) -> str:
    """The Idempotency-Key that Mailjet's client for Python (mailjet_rest 1.9) gives a call of its own accord.

    It is made of the content but for three properties, so it names no intention: it tells its own retries from nothing.
    """
    try:
        content = json.dumps(_without(call, _NOT_IN_KEY), sort_keys=True)
    except RecursionError:
        return ""  # so deep is what Globals name and every message overrides; no client has made a key of it
    return hashlib.sha256(content.encode()).hexdigest()


def _without(value: Any, names: frozenset[str]) -> Any:
    if isinstance(value, dict):
        return {name: _without(one, names) for name, one in value.items() if name not in names}
    return [_without(one, names) for one in value] if isinstance(value, list) else value


def checked_call(agent: AgentLogin, given: Any, relay: Relay) -> dict[str, Any] | Response:
    """A parsed call as it is handed on, Globals merged in; or the refusal of all of it."""
    if not isinstance(given, dict):
        return _refused(RequestProblem("mj-0002", "Malformed JSON, please review the syntax and properties types.", ""))
    common, listed = given.get("Globals", {}), given.get("Messages")
    problem = None
    if unknown := sorted(set(given) - _CALL_KEYS):
        problem = RequestProblem("mj-0001", f'Unknown property "{_shown(unknown[0])}".', _shown(unknown[0]))
    elif not isinstance(listed, list) or not all(isinstance(message, dict) for message in listed):
        problem = RequestProblem("mj-0004", 'Type mismatch. Expected an array of objects in "Messages".', "Messages")
    elif wrong := [name for name in _SWITCHES if given.get(name, False) not in _SWITCHED]:
        problem = RequestProblem("mj-0004", 'Type mismatch. Expected type "boolean".', wrong[0])
    elif not isinstance(common, dict):
        problem = RequestProblem("mj-0004", 'Type mismatch. Expected an object in "Globals".', "Globals")
    elif not 1 <= len(listed) <= MAX_MESSAGES:
        problem = RequestProblem("mj-0008", f"Expected 1 to {MAX_MESSAGES} messages.", "Messages")
    if problem is not None or not isinstance(listed, list):
        return _refused(problem or RequestProblem("mj-0003", "Missing mandatory property.", "Messages"))
    merged = [{**common, **message} for message in listed]
    found = [list(_problems(agent, message, relay)) for message in merged]
    if any(found):
        results = [
            {"Status": "error", "Errors": [one.plain() for one in problems or [_NOT_ALONE]]} for problems in found
        ]
        status = next(problems[0].status for problems in found if problems)
        return JSONResponse({"Messages": results}, status)
    call: dict[str, Any] = {"Messages": [_canonical(agent, message) for message in merged]}
    if any(given.get(name) in (True, "true") for name in _SANDBOX):
        call["SandboxMode"] = True
    return call


_NOT_ALONE = RequestProblem("send-0001", "Another message of this call was refused, so none was sent.", "Messages")


def _problems(agent: AgentLogin, message: Mapping[str, Any], relay: Relay) -> Iterator[RequestProblem]:
    for name in sorted(set(message) - _MESSAGE_KEYS):
        yield RequestProblem("mj-0001", f'Unknown property "{_shown(name)}".', _shown(name))
    if "From" not in message:
        yield RequestProblem("mj-0003", "Missing mandatory property.", "From")
    for name in ("From", "Sender", "ReplyTo"):
        if name in message:
            yield from _person(agent, name, message[name])
    for name in PEOPLE:
        people = message.get(name, [])
        if not isinstance(people, list):
            yield RequestProblem("mj-0004", "Type mismatch. Expected an array.", name)
            continue
        for index, person in enumerate(people):
            yield from _person(agent, f"{name}[{index}]", person, relay)
    if sum(len(message[name]) for name in PEOPLE if isinstance(message.get(name), list)) > MAX_RECIPIENTS:
        yield RequestProblem("send-0015", f"The message has more than {MAX_RECIPIENTS} recipients.", "To")
    for name in sorted(_TEXTS & set(message)):
        if not isinstance(message[name], str):
            yield RequestProblem("mj-0004", 'Type mismatch. Expected type "string".', name)
        elif name not in ("TextPart", "HTMLPart") and CONTROL.search(message[name]):
            yield RequestProblem("mj-0013", "The value has a control character.", name)
    yield from _headers(message.get("Headers", {}))
    for name in ("Attachments", "InlinedAttachments"):
        yield from _attachments(name, message.get(name, []))
    if isinstance(message.get("EventPayload"), str):
        try:
            event_payload(agent, message["EventPayload"])
        except MessageOffenceError as offence:
            yield RequestProblem("mj-0006", offence.sentence, "EventPayload")


def _person(agent: AgentLogin, place: str, person: object, relay: Relay | None = None) -> Iterator[RequestProblem]:
    if not isinstance(person, dict) or not isinstance(person.get("Email"), str):
        yield RequestProblem("mj-0004", 'Type mismatch. Expected an object with a string "Email".', f"{place}.Email")
        return
    for name in sorted(set(person) - _ADDRESS_KEYS):
        yield RequestProblem("mj-0001", f'Unknown property "{_shown(name)}".', f"{place}.{_shown(name)}")
    email, shown = person["Email"], person.get("Name", "")
    if not isinstance(shown, str) or CONTROL.search(shown):
        yield RequestProblem("mj-0004", "Expected a string without control characters.", f"{place}.Name")
        return
    if not _ADDRESS.fullmatch(email) or ".." in email:
        yield RequestProblem("mj-0013", "It is an invalid email address.", f"{place}.Email")
    elif place in ("From", "Sender"):
        if email.lower() != agent.address.lower():
            yield RequestProblem("send-0008", f"This agent sends as {agent.address} alone.", f"{place}.Email", 403)
        try:
            checked_name(shown, agent.address, place)
        except MessageOffenceError as offence:
            yield RequestProblem("send-0008", offence.sentence, f"{place}.Name", 403)
    elif place == "ReplyTo":
        try:
            checked_name(shown, email, place)
        except MessageOffenceError as offence:
            yield RequestProblem("mj-0013", offence.sentence, f"{place}.Name")
    elif relay is not None and (offence_reply := relay.recipient_offence(agent, email)) is not None:
        yield RequestProblem("send-0010", offence_reply.text, f"{place}.Email", 403)


def _headers(headers: object) -> Iterator[RequestProblem]:
    if not isinstance(headers, dict):
        yield RequestProblem("mj-0004", "Type mismatch. Expected an object.", "Headers")
        return
    seen: set[str] = set()
    for name, value in headers.items():
        place = f"Headers.{_shown(name)}"
        lower = name.lower()
        if not _HEADER_NAME.fullmatch(name):
            yield RequestProblem("send-0011", "It is no name of a header field.", place)
        elif lower in _SET_BY_PROPERTIES or lower.startswith(_RESERVED):
            yield RequestProblem("send-0011", f'Header "{name}" is not allowed to be set.', place)
        elif lower in seen:
            yield RequestProblem("send-0011", "It stands twice.", place)
        if not isinstance(value, str) or CONTROL.search(value):
            yield RequestProblem("mj-0004", "Expected a string without control characters.", place)
        seen.add(lower)


def _attachments(place: str, attachments: object) -> Iterator[RequestProblem]:
    if not isinstance(attachments, list) or not all(isinstance(one, dict) for one in attachments):
        yield RequestProblem("mj-0004", "Type mismatch. Expected an array of objects.", place)
        return
    for index, one in enumerate(attachments):
        for name in sorted(set(one) - _ATTACHMENT_KEYS):
            yield RequestProblem("mj-0001", f'Unknown property "{_shown(name)}".', f"{place}[{index}].{_shown(name)}")
        for name, value in one.items():
            if not isinstance(value, str) or (name != "Base64Content" and CONTROL.search(value)):
                yield RequestProblem(
                    "mj-0004", "Expected a string without control characters.", f"{place}[{index}].{_shown(name)}"
                )


def _canonical(agent: AgentLogin, message: Mapping[str, Any]) -> dict[str, Any]:
    """The message with the agent's own address written as the directory has it, and its id in the event payload."""
    written = {name: value for name, value in message.items() if name != "Sender"}
    name = checked_name(message["From"].get("Name", ""), agent.address, "From")
    written["From"] = {"Email": agent.address, **({"Name": name} if name else {})}
    written["EventPayload"] = event_payload(agent, message.get("EventPayload"))
    return written


def _was_sent(answer: str, index: int) -> bool:
    """What Mailjet answers to each message; where it cannot be read the call as a whole was taken."""
    try:
        status = json.loads(answer)["Messages"][index]["Status"]
    except (ValueError, LookupError, TypeError):
        return True
    return bool(status == "success")


async def _body(request: Request) -> bytes | None:
    octets = bytearray()
    async for piece in request.stream():
        octets += piece
        if len(octets) > MAX_BODY_OCTETS:
            return None
    return bytes(octets)


def _basic(header: str) -> tuple[str, str]:
    scheme, _, value = header.partition(" ")
    if scheme.lower() != "basic":
        return "", ""
    try:
        user, _, password = base64.b64decode(value.strip(), validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return "", ""
    return user, password


def _refused(problem: RequestProblem) -> Response:
    return JSONResponse(problem.plain(), problem.status)


def _away() -> Response:
    return _refused(RequestProblem("azmail-0451", AWAY.text, "", 503))


def _response(reply: Reply) -> Response:
    """The gateway's own replies in Mailjet's shape; Mailjet's as they came."""
    if 200 <= reply.code < 450 and reply.enhanced == "2.0.0":
        return Response(reply.text, reply.code, media_type="application/json")
    if reply.retry_after is not None:
        answer = _refused(RequestProblem("azmail-0450", reply.text, "", 429))
        answer.headers["Retry-After"] = str(reply.retry_after)
        return answer
    for_good = 400 if reply.code == 550 else 409
    status = {BUSY: 409, LOST: 504, DOUBT: 504}.get(reply, 503 if reply.is_temporary else for_good)
    return _refused(RequestProblem(f"azmail-{reply.code:04}", reply.text, "", status))


def _shown(name: object) -> str:
    return str(name)[:60].encode("ascii", "backslashreplace").decode()
