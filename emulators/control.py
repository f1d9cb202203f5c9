"""The control plane of an emulator: request log and counts, latency, rate limit, faults, state, reset.

`controlled` wraps an ASGI app. Requests below `/_emulator/` are answered here (or, if unknown here, by the
app itself) without authentication, log entry, latency or fault; all others are logged and may fail as told.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import random
import re
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any
from urllib.parse import parse_qsl
from uuid import uuid4

from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from emulators.serving import abort_connection

CONTROL_PATH = "/_emulator/"
LOG_CAPACITY = 100_000
LOGGED_BODY = 16 * 1024
LOGGED_BODIES = 64 * 1024 * 1024
LARGEST_BODY = 64 * 1024 * 1024
HANG_SECONDS = 30.0

STATUS_KINDS = ("404", "429", "500", "502", "503", "504", "500-after", "502-after", "503-after", "504-after")
CONNECTION_KINDS = ("reset-before", "reset-after", "hang", "hang-after")
KINDS = STATUS_KINDS + CONNECTION_KINDS

_URL_PASSWORD = re.compile(r"(://[^/\s:@\"'?#]*):[^/\s@\"'?#]+@")
_QUERY_SECRET = re.compile(r"([?&](?:token|secret|key|password|sig|signature)=)[^&#\s\"']+", re.IGNORECASE)
_SECRET_KEYS = frozenset({"secretkey", "api_secret", "tunnel_secret", "password", "secret"})
_HIDDEN = "***"


class FaultPlanError(ValueError):
    """A fault plan that cannot be followed."""

    def __init__(self, where: str, found: object, expected: str) -> None:
        super().__init__(f"Fault plan: {where} is {json.dumps(found, default=str)}, expected {expected}.")


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One way of failing: which requests, how, how likely and how often at most."""

    kind: str
    method: str = "*"
    path: str = "*"
    probability: float = 1.0
    times: int | None = None
    seconds: float = HANG_SECONDS
    retry_after: int | None = None

    def matches(self, method: str, path: str, folded: str) -> bool:
        """Patterns are compared with the path as sent and with its ids folded; `*` stands for anything."""
        if self.method != "*" and method not in self.method.upper().split("|"):
            return False
        return any(candidate == self.path or fnmatchcase(candidate, self.path) for candidate in (path, folded))

    def plain(self) -> dict[str, object]:
        """As the control plane shows it."""
        shown: dict[str, object] = {
            "method": self.method,
            "path": self.path,
            "kind": self.kind,
            "probability": self.probability,
            "times": self.times,
        }
        if self.kind.startswith("hang"):
            shown["seconds"] = self.seconds
        if self.retry_after is not None:
            shown["retry_after"] = self.retry_after
        return shown


@dataclass(frozen=True, kw_only=True)
class RateLimit:
    """At most `requests` in any window of `seconds`."""

    requests: int
    seconds: float


@dataclass(kw_only=True)
class FaultPlan:
    """What goes wrong. A request's fate depends on the seed, on what it asks and on how often it was asked.

    It does not depend on how concurrent requests interleave, so that a seeded run is the same run again.
    """

    latency_ms: float = 0
    seed: int = 0
    rate_limit: RateLimit | None = None
    rules: tuple[Rule, ...] = ()
    fired: list[int] = field(default_factory=list)
    limited: int = 0
    _asked: Counter[bytes] = field(default_factory=Counter, repr=False)
    _window: deque[float] = field(default_factory=deque, repr=False)

    @classmethod
    def parse(cls, given: object) -> FaultPlan:
        """Raises FaultPlanError for anything but the documented shape."""
        plan = _object("the plan", given, {"latency_ms", "seed", "rate_limit", "rules", "fired", "limited"})
        limit = plan.get("rate_limit")
        rules = plan.get("rules") or []
        if not isinstance(rules, list):
            raise FaultPlanError("rules", rules, "a list")
        parsed = tuple(_rule(f"rules[{index}]", rule) for index, rule in enumerate(rules))
        return cls(
            latency_ms=_number("latency_ms", plan.get("latency_ms") or 0, 0),
            seed=int(_number("seed", plan.get("seed") or 0, None)),
            rate_limit=None if limit is None else _rate_limit(limit),
            rules=parsed,
            fired=[0] * len(parsed),
        )

    def plain(self) -> dict[str, object]:
        """As the control plane shows it; `fired` and `limited` tell how often each rule and the limit struck."""
        limit = self.rate_limit
        return {
            "latency_ms": self.latency_ms,
            "seed": self.seed,
            "rate_limit": limit and {"requests": limit.requests, "seconds": limit.seconds},
            "rules": [rule.plain() for rule in self.rules],
            "fired": list(self.fired),
            "limited": self.limited,
        }

    def over_limit(self, now: float) -> bool:
        """Count a request at `now` (seconds); true when it is one too many."""
        if self.rate_limit is None:
            return False
        while self._window and self._window[0] <= now - self.rate_limit.seconds:
            self._window.popleft()
        if len(self._window) >= self.rate_limit.requests:
            self.limited += 1
            return True
        self._window.append(now)
        return False

    def rule_for(self, method: str, path: str, folded: str, body: bytes) -> Rule | None:
        """The rule that hits this request, the first one that does."""
        if not self.rules:
            return None
        asked = hashlib.blake2b(f"{method} {path}\n".encode() + body, digest_size=16).digest()
        self._asked[asked] += 1
        for index, rule in enumerate(self.rules):
            if rule.times is not None and self.fired[index] >= rule.times:
                continue
            if not rule.matches(method, path, folded):
                continue
            lot = f"{self.seed}|{index}|{asked.hex()}|{self._asked[asked]}"
            if random.Random(lot).random() < rule.probability:  # noqa: S311
                self.fired[index] += 1
                return rule
        return None


@dataclass(slots=True)
class LoggedRequest:
    """One request in the log."""

    n: int
    method: str
    path: str
    query: str
    body: bytes | None
    body_size: int
    status: int | None = None
    fault: str | None = None
    ms: float | None = None
    at: float = field(default_factory=time.time)
    """When it came, in seconds since 1970: both emulators share the machine's clock."""

    def plain(self) -> dict[str, object]:
        """As the control plane shows it, without credentials."""
        return {
            "n": self.n,
            "method": self.method,
            "path": redacted(self.path),
            "query": redacted("?" + self.query)[1:],
            "body": _shown_body(self.body, self.body_size),
            "status": self.status,
            "fault": self.fault,
            "ms": self.ms,
            "at": self.at,
        }


class RequestLog:
    """The latest requests, and counts of all of them since the log was last cleared."""

    def __init__(self, capacity: int = LOG_CAPACITY) -> None:
        self._capacity = capacity
        self._next = 1
        self._clear()

    def _clear(self) -> None:
        self._entries: deque[LoggedRequest] = deque(maxlen=self._capacity)
        self._with_body: deque[LoggedRequest] = deque(maxlen=self._capacity)
        self._body_bytes = 0
        self._by: Counter[str] = Counter()
        self._faults: Counter[str] = Counter()
        self._reads = 0
        self._writes = 0

    def clear(self) -> None:
        """Forget the entries and the counts; numbering goes on."""
        self._clear()

    def add(self, method: str, path: str, query: str, folded: str, body: bytes) -> LoggedRequest:
        """Note a request as it arrives; status and time follow when it ends."""
        kept = body[:LOGGED_BODY] if body else None
        entry = LoggedRequest(self._next, method, path, query, kept, len(body))
        self._next += 1
        self._entries.append(entry)
        if kept is not None:
            self._with_body.append(entry)
            self._body_bytes += len(kept)
            while self._body_bytes > LOGGED_BODIES:
                oldest = self._with_body.popleft()
                self._body_bytes -= len(oldest.body or b"")
                oldest.body = None
        self._by[f"{method} {folded}"] += 1
        if method in ("GET", "HEAD", "OPTIONS"):
            self._reads += 1
        else:
            self._writes += 1
        return entry

    def struck(self, entry: LoggedRequest, fault: str) -> None:
        """Note that `entry` met `fault`."""
        entry.fault = fault
        self._faults[fault] += 1

    def requests(self, since: int = 0) -> list[dict[str, object]]:
        """The entries with a number above `since`, oldest first."""
        return [entry.plain() for entry in self._entries if entry.n > since]

    def counts(self) -> dict[str, object]:
        """Reads (GET), writes (all others), and how often each method and folded path was asked."""
        return {
            "reads": self._reads,
            "writes": self._writes,
            "by": dict(sorted(self._by.items())),
            "faults": dict(sorted(self._faults.items())),
        }


def redacted(text: str) -> str:
    """`text` without passwords in URLs and secrets in query strings."""
    return _QUERY_SECRET.sub(rf"\1{_HIDDEN}", _URL_PASSWORD.sub(rf"\1:{_HIDDEN}@", text))


def _shown_body(body: bytes | None, size: int) -> object:
    if body is None:
        return None if size == 0 else f"({size} bytes, not kept)"
    text = body.decode("utf-8", "replace")
    if size > len(body):
        return redacted(text) + f"… ({size} bytes)"
    try:
        return _without_secrets(json.loads(text))
    except ValueError:
        return redacted(text)


def _without_secrets(value: object) -> object:
    if isinstance(value, dict):
        return {
            key: _HIDDEN if key.lower() in _SECRET_KEYS and isinstance(item, str) else _without_secrets(item)
            for key, item in value.items()
        }
    if isinstance(value, list):
        return [_without_secrets(item) for item in value]
    return redacted(value) if isinstance(value, str) else value


def controlled(
    app: ASGIApp,
    *,
    name: str,
    state: Callable[[], dict[str, Any]],
    reset: Callable[[], None],
    fold: Callable[[str], str],
) -> ASGIApp:
    """Wrap the emulator `app` called `name` (`mailjet` or `cloudflare`: whose error pages faults imitate).

    `state` gives the dump behind `GET /_emulator/state`, `reset` brings back the seeded start, `fold`
    replaces the ids in a path by `{id}`.
    """
    return _Controlled(app, name=name, state=state, reset=reset, fold=fold)


class _Controlled:
    def __init__(
        self,
        app: ASGIApp,
        *,
        name: str,
        state: Callable[[], dict[str, Any]],
        reset: Callable[[], None],
        fold: Callable[[str], str],
    ) -> None:
        self._app = app
        self._name = name
        self._state = state
        self._reset = reset
        self._fold = fold
        self._log = RequestLog()
        self._plan = FaultPlan()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path: str = scope["path"]
        if path.startswith(CONTROL_PATH):
            await self._control(path.removeprefix(CONTROL_PATH), scope, receive, send)
            return
        await self._serve(scope, receive, send)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = time.perf_counter()
        try:
            body = await _read_body(receive)
        except _ClientLeftError:
            return
        if body is None:
            await Response("Request body too large.", 413)(scope, receive, send)
            return
        method: str = scope["method"]
        path: str = scope["path"]
        folded = self._fold(path)
        entry = self._log.add(method, path, scope["query_string"].decode("latin-1"), folded, body)

        async def answering(message: Message) -> None:
            if message["type"] == "http.response.start":
                entry.status = message["status"]
            await send(message)

        async def silent(message: Message) -> None:
            if message["type"] == "http.response.start":
                entry.status = message["status"]

        try:
            plan = self._plan
            if plan.latency_ms:
                await asyncio.sleep(plan.latency_ms / 1000)
            if plan.over_limit(time.monotonic()):
                self._log.struck(entry, "rate-limit")
                await self._page(429, None)(scope, receive, answering)
                return
            rule = plan.rule_for(method, path, folded, body)
            if rule is None:
                await self._app(scope, _Replay(body, receive), answering)
                return
            self._log.struck(entry, rule.kind)
            if rule.kind.endswith("-after"):
                await self._app(scope, _Replay(body, receive), silent)
            if rule.kind.startswith("hang"):
                await _until_the_client_leaves(receive, rule.seconds)
            if rule.kind in STATUS_KINDS:
                status = int(rule.kind.removesuffix("-after"))
                await self._page(status, rule.retry_after)(scope, receive, answering)
            else:
                await _cut(scope, receive)
        finally:
            entry.ms = round((time.perf_counter() - started) * 1000, 3)

    def _page(self, status: int, retry_after: int | None) -> Response:
        headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
        return error_page(self._name, status, headers)

    async def _control(self, name: str, scope: Scope, receive: Receive, send: Send) -> None:
        method: str = scope["method"]
        handler = getattr(self, f"_{method.lower()}_{name}", None) if name.isalpha() else None
        if handler is None:
            await self._app(scope, receive, send)
            return
        try:
            body = await _read_body(receive) or b""
        except _ClientLeftError:
            return
        query = dict(parse_qsl(scope["query_string"].decode("latin-1")))
        response: Response = handler(query, body)
        await response(scope, receive, send)

    def _get_health(self, _query: Mapping[str, str], _body: bytes) -> Response:
        return JSONResponse({"name": self._name})

    def _get_requests(self, query: Mapping[str, str], _body: bytes) -> Response:
        since = query.get("since", "0")
        if not since.isdecimal():
            return _bad_request(f"since is {since!r}, expected the number of a request")
        return JSONResponse({"requests": self._log.requests(int(since))})

    def _delete_requests(self, _query: Mapping[str, str], _body: bytes) -> Response:
        self._log.clear()
        return Response(status_code=204)

    def _get_counts(self, _query: Mapping[str, str], _body: bytes) -> Response:
        return JSONResponse(self._log.counts())

    def _get_state(self, _query: Mapping[str, str], _body: bytes) -> Response:
        return JSONResponse(self._state())

    def _post_reset(self, _query: Mapping[str, str], _body: bytes) -> Response:
        self._reset()
        self._log.clear()
        self._plan = FaultPlan()
        return Response(status_code=204)

    def _get_faults(self, _query: Mapping[str, str], _body: bytes) -> Response:
        return JSONResponse(self._plan.plain())

    def _put_faults(self, _query: Mapping[str, str], body: bytes) -> Response:
        try:
            self._plan = FaultPlan.parse(json.loads(body or b"{}"))
        except ValueError as error:
            return _bad_request(str(error))
        return JSONResponse(self._plan.plain())

    def _delete_faults(self, _query: Mapping[str, str], _body: bytes) -> Response:
        self._plan = FaultPlan()
        return Response(status_code=204)


class _Replay:
    """`receive` for the wrapped app: the body that was read already, then what the connection says."""

    def __init__(self, body: bytes, receive: Receive) -> None:
        self._body: bytes | None = body
        self._receive = receive

    async def __call__(self) -> Message:
        if self._body is None:
            return await self._receive()
        body, self._body = self._body, None
        return {"type": "http.request", "body": body, "more_body": False}


class _ClientLeftError(Exception):
    """The client hung up before its request was complete."""


async def _read_body(receive: Receive) -> bytes | None:
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise _ClientLeftError
        part: bytes = message.get("body", b"")
        size += len(part)
        if size > LARGEST_BODY:
            return None
        parts.append(part)
        if not message.get("more_body", False):
            return b"".join(parts)


async def _until_disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _until_the_client_leaves(receive: Receive, seconds: float) -> None:
    try:
        await asyncio.wait_for(_until_disconnected(receive), seconds)
    except TimeoutError:
        return


async def _cut(scope: Scope, receive: Receive) -> None:
    abort_connection(scope)
    # uvicorn would answer 500 on behalf of an app that returns before its connection is gone.
    await _until_disconnected(receive)


def _bad_request(reason: str) -> Response:
    return JSONResponse({"error": reason}, 400)


def error_page(name: str, status: int, headers: Mapping[str, str]) -> Response:
    """What the service `name` (or the proxy before it) answers with `status` when it is in trouble."""
    title = {
        404: "404 Not Found",
        429: "429 Too Many Requests",
        500: "500 Internal Server Error",
        502: "502 Bad Gateway",
        503: "503 Service Temporarily Unavailable",
        504: "504 Gateway Time-out",
    }[status]
    page = f"<html><head><title>{title}</title></head><body><center><h1>{title}</h1></center></body></html>\r\n"
    if name == "mailjet" and status == 429:
        text = "You have sent too many requests in a given amount of time."
        page = f"<html><body><h1>{title}</h1>\n{text}\n</body></html>\n"
    elif name == "mailjet" and status == 500:
        identifier = str(uuid4())
        error = {"ErrorInfo": "", "ErrorMessage": "Internal Server Error", "StatusCode": 500}
        return JSONResponse({"ErrorIdentifier": identifier, **error}, status, headers)
    elif name == "cloudflare" and status in (429, 500):
        error = {
            429: {
                "code": 10100,
                "message": "More than 1200 requests per 300 seconds reached. "
                "Please wait and consider throttling your request speed",
            },
            500: {"code": 1000, "message": "Internal server error"},
        }[status]
        return JSONResponse({"success": False, "errors": [error], "messages": [], "result": None}, status, headers)
    return HTMLResponse(page, status, headers)


def _object(where: str, given: object, known: Iterable[str]) -> dict[str, Any]:
    if not isinstance(given, dict):
        raise FaultPlanError(where, given, "an object")
    unknown = sorted(set(given) - set(known))
    if unknown:
        raise FaultPlanError(f"{where}, key {unknown[0]!r},", given[unknown[0]], f"one of {sorted(known)}")
    return given


def _number(where: str, given: object, least: float | None, most: float | None = None) -> float:
    valid = isinstance(given, int | float) and not isinstance(given, bool)
    if not valid or (least is not None and given < least) or (most is not None and given > most):  # type: ignore[operator]
        limits = "" if least is None else f" from {least}" + ("" if most is None else f" to {most}")
        raise FaultPlanError(where, given, f"a number{limits}")
    return given  # type: ignore[return-value]


def _rate_limit(given: object) -> RateLimit:
    limit = _object("rate_limit", given, {"requests", "seconds"})
    return RateLimit(
        requests=int(_number("rate_limit.requests", limit.get("requests"), 1)),
        seconds=_number("rate_limit.seconds", limit.get("seconds"), 0),
    )


def _rule(where: str, given: object) -> Rule:
    rule = _object(where, given, {"method", "path", "kind", "probability", "times", "seconds", "retry_after"})
    kind = rule.get("kind")
    if kind not in KINDS:
        raise FaultPlanError(f"{where}.kind", kind, f"one of {', '.join(KINDS)}")
    times = rule.get("times")
    retry_after = rule.get("retry_after")
    for key in ("method", "path"):
        if not isinstance(rule.get(key, "*"), str | None):
            raise FaultPlanError(f"{where}.{key}", rule[key], "a text")
    return Rule(
        kind=kind,
        method=(rule.get("method") or "*").upper(),
        path=rule.get("path") or "*",
        probability=_number(f"{where}.probability", rule.get("probability", 1.0), 0, 1),
        times=None if times is None else int(_number(f"{where}.times", times, 0)),
        seconds=_number(f"{where}.seconds", rule.get("seconds", HANG_SECONDS), 0),
        retry_after=None if retry_after is None else int(_number(f"{where}.retry_after", retry_after, 0)),
    )
