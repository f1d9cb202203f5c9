"""Requests to Cloudflare's API; all policy on repeating them is here.

A request is sent up to eleven times: again after 408, 409, 429, 5xx and after no answer at all, POST included, as the
official plugin does. They go out through the standard library, past any proxy: this plugin talks to loopback alone, and
Cloudflare's own client takes 0.2 s of CPU to import, in every engine command.
"""

from __future__ import annotations

import http.client
import json
import math
import random
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Final
from urllib.parse import urlsplit

from engine.cloudflare import VERSION
from engine.cloudflare.configuration import ApiSettings
from engine.cloudflare.errors import (
    ApiUnreachableError,
    CancelledError,
    NothingListensError,
    RequestFailedError,
    UnreadableAnswerError,
)
from engine.cloudflare.properties import Properties
from engine.loopback import is_loopback

TRIES: Final = 11
REFUSED_ON_LOOPBACK_TRIES: Final = 3
_REPEATED_STATUS: Final = (408, 409, 429)
_SERVER_ERRORS: Final = 500
_FIRST_PAUSE_SECONDS: Final = 2.0
_LONGEST_PAUSE_SECONDS: Final = 30.0
_LONGEST_ASKED_PAUSE_SECONDS: Final = 600.0
_JITTER: Final = 0.25
_REFUSED_PAUSE_SECONDS: Final = 0.2
_ANSWER_SECONDS: Final = 60.0


class CloudflareApi:
    """One API with one set of credentials; used by many threads. `cancelled` ends every wait."""

    def __init__(self, settings: ApiSettings, cancelled: threading.Event) -> None:
        self._settings = settings
        self._cancelled = cancelled

    def send(self, method: str, path: str, body: Properties | None = None) -> Properties:
        """The decoded answer to one request.

        Raises RequestFailedError for a status that is not repeated (or was repeated in vain), UnreachableError or
        NothingListensError without an answer, UnreadableAnswerError for an answer that is no JSON object,
        CancelledError.
        """
        url = self._settings.base_url.rstrip("/") + path
        for tried in range(1, TRIES + 1):
            try:
                answer = self._ask(method, url, body, tried - 1)
            except (OSError, http.client.HTTPException) as error:
                pause = pause_before(tried, {})
                if is_loopback(self._settings.base_url) and isinstance(error, ConnectionRefusedError):
                    if tried == REFUSED_ON_LOOPBACK_TRIES:
                        raise NothingListensError(method, url, urlsplit(url).netloc) from None
                    pause = _REFUSED_PAUSE_SECONDS
                elif tried == TRIES:
                    reason = str(error) or type(error).__name__
                    raise ApiUnreachableError(method, url, reason, tried) from None
            else:
                if answer.is_success:
                    return _decoded(method, url, answer)
                if tried == TRIES or not worth_repeating(answer.status, answer.headers):
                    raise RequestFailedError(method, url, answer.status, answer.text)
                pause = pause_before(tried, answer.headers)
            if self._cancelled.wait(pause):
                raise CancelledError(method, url)
        raise AssertionError("the last try either returns or raises")

    def _ask(self, method: str, url: str, body: Properties | None, repeated: int) -> _Received:
        """One request on a connection of its own. Raises OSError and HTTPException where no whole answer comes."""
        parts = urlsplit(url)
        names = (f"azmail-cloudflare/{VERSION}", self._settings.user_agent_suffix)
        headers = {
            "Accept": "application/json",
            "User-Agent": " ".join(name for name in names if name),
            "X-Stainless-Retry-Count": str(repeated),
            **self._settings.signature,
        }
        content = None
        if body is not None:
            content = json.dumps(body, ensure_ascii=False, allow_nan=False).encode()
            headers["Content-Type"] = "application/json"
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        connection = kind(parts.netloc.rpartition("@")[2], timeout=_ANSWER_SECONDS)
        try:
            connection.request(method, f"{parts.path}{'?' if parts.query else ''}{parts.query}", content, headers)
            response = connection.getresponse()
            named = {name.lower(): value for name, value in response.headers.items()}
            return _Received(response.status, named, response.read())
        finally:
            connection.close()


@dataclass(frozen=True)
class _Received:
    status: int
    headers: Mapping[str, str]
    """Their names in lower case."""
    content: bytes = field(repr=False)

    @property
    def is_success(self) -> bool:
        return HTTPStatus.OK <= self.status < HTTPStatus.MULTIPLE_CHOICES

    @property
    def text(self) -> str:
        return self.content.decode(errors="replace")


def worth_repeating(status: int, headers: Mapping[str, str]) -> bool:
    """Whether the same request may succeed later; `x-should-retry` decides if the API sends it."""
    asked = headers.get("x-should-retry")
    if asked in ("true", "false"):
        return asked == "true"
    return status in _REPEATED_STATUS or status >= _SERVER_ERRORS


def pause_before(tried: int, headers: Mapping[str, str], now: Callable[[], float] = time.time) -> float:
    """Seconds to wait after the `tried`th try: what the API asks for (RFC 9110, section 10.2.3), else ever longer."""
    asked = _retry_after(headers, now)
    if asked is not None:
        return min(max(asked, 0.0), _LONGEST_ASKED_PAUSE_SECONDS)
    pause = min(_FIRST_PAUSE_SECONDS * math.pow(2, tried - 1), _LONGEST_PAUSE_SECONDS)
    return pause * (1 - _JITTER * random.random())  # noqa: S311


def _retry_after(headers: Mapping[str, str], now: Callable[[], float]) -> float | None:
    milliseconds = _number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    asked = headers.get("retry-after")
    seconds = _number(asked)
    if seconds is not None or asked is None:
        return seconds
    try:
        return parsedate_to_datetime(asked).timestamp() - now()
    except ValueError:
        return None


def _number(text: str | None) -> float | None:
    try:
        number = float(text or "")
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _decoded(method: str, url: str, answer: _Received) -> Properties:
    kind = answer.headers.get("content-type", "")
    try:
        decoded = json.loads(answer.content)
    except ValueError:
        found = kind or "no content type"
        raise UnreadableAnswerError(method, url, f"expected a JSON object, got {found}") from None
    if not isinstance(decoded, dict):
        raise UnreadableAnswerError(method, url, "expected a JSON object")
    if method == "DELETE" and "json" not in kind:
        raise UnreadableAnswerError(method, url, "expected the content type application/json")
    return decoded
