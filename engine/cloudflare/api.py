"""Requests to Cloudflare's API, through its official Python client; all policy on repeating them is here.

A request is sent up to eleven times: again after 408, 409, 429, 5xx and after no answer at all, POST included, as the
official plugin does. The client is imported with the first request: most of what the engine asks needs none.
"""

from __future__ import annotations

import json
import math
import random
import threading
import time
from collections.abc import Callable, Mapping
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from engine.cloudflare import VERSION
from engine.cloudflare.configuration import ApiSettings
from engine.cloudflare.errors import (
    ApiUnreachableError,
    CancelledError,
    ClientMissingError,
    NothingListensError,
    RequestFailedError,
    UnreadableAnswerError,
)
from engine.cloudflare.properties import Properties
from engine.loopback import is_loopback

if TYPE_CHECKING:
    import cloudflare
    import httpx

TRIES: Final = 11
REFUSED_ON_LOOPBACK_TRIES: Final = 3
_REPEATED_STATUS: Final = (408, 409, 429)
_SERVER_ERRORS: Final = 500
_FIRST_PAUSE_SECONDS: Final = 2.0
_LONGEST_PAUSE_SECONDS: Final = 30.0
_LONGEST_ASKED_PAUSE_SECONDS: Final = 600.0
_JITTER: Final = 0.25
_REFUSED_PAUSE_SECONDS: Final = 0.2


class CloudflareApi:
    """One API with one set of credentials; used by many threads. `cancelled` ends every wait."""

    def __init__(self, settings: ApiSettings, cancelled: threading.Event) -> None:
        self._settings = settings
        self._cancelled = cancelled
        self._client: cloudflare.Cloudflare | None = None
        self._opening = threading.Lock()

    def open(self) -> None:
        """Import and prepare the client, so that the first request need not. Raises ClientMissingError."""
        self._opened()

    def send(self, method: str, path: str, body: Properties | None = None) -> Properties:
        """The decoded answer to one request.

        Raises RequestFailedError for a status that is not repeated (or was repeated in vain), UnreachableError or
        NothingListensError without an answer, UnreadableAnswerError for an answer that is no JSON object,
        CancelledError, ClientMissingError.
        """
        self._opened()
        from cloudflare import APIConnectionError, APIStatusError

        url = self._settings.base_url.rstrip("/") + path
        for tried in range(1, TRIES + 1):
            try:
                return _decoded(method, url, self._request(method, path, body, tried - 1))
            except APIStatusError as error:
                response = error.response
                if tried == TRIES or not worth_repeating(response.status_code, response.headers):
                    raise RequestFailedError(method, url, response.status_code, response.text) from None
                pause = pause_before(tried, response.headers)
            except APIConnectionError as error:
                pause = pause_before(tried, {})
                if is_loopback(self._settings.base_url) and _is_refused(error):
                    if tried == REFUSED_ON_LOOPBACK_TRIES:
                        raise NothingListensError(method, url, urlsplit(url).netloc) from None
                    pause = _REFUSED_PAUSE_SECONDS
                elif tried == TRIES:
                    raise ApiUnreachableError(method, url, _reason(error), tried) from None
            if self._cancelled.wait(pause):
                raise CancelledError(method, url)
        raise AssertionError("the last try either returns or raises")

    def _request(self, method: str, path: str, body: Properties | None, repeated: int) -> httpx.Response:
        import httpx
        from cloudflare import Omit

        client = self._opened()
        headers: dict[str, Any] = {
            "User-Agent": self._user_agent(client),
            "X-Stainless-Retry-Count": str(repeated),
            # An explicitly omitted header tells the client that there are no credentials on purpose.
            **(self._settings.signature or {"Authorization": Omit()}),
        }
        if body is None:
            headers["Content-Type"] = Omit()
        requests: dict[str, Callable[..., httpx.Response]] = {
            "GET": client.get,
            "POST": client.post,
            "PUT": client.put,
            "PATCH": client.patch,
            "DELETE": client.delete,
        }
        options = {"headers": headers}
        if method == "GET":
            return requests[method](path, cast_to=httpx.Response, options=options)
        return requests[method](path, cast_to=httpx.Response, body=body, options=options)

    def _opened(self) -> cloudflare.Cloudflare:
        with self._opening:
            if self._client is None:
                self._client = _client(self._settings.base_url)
            return self._client

    def _user_agent(self, client: cloudflare.Cloudflare) -> str:
        names = (f"azmail-cloudflare/{VERSION}", client.user_agent, self._settings.user_agent_suffix)
        return " ".join(name for name in names if name)


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


def _client(base_url: str) -> cloudflare.Cloudflare:
    try:
        from cloudflare import Cloudflare, DefaultHttpxClient
    except ModuleNotFoundError as error:
        raise ClientMissingError(error.name) from None

    # A proxy from the environment cannot reach this machine's own loopback.
    http_client = DefaultHttpxClient(trust_env=not is_loopback(base_url))
    client = Cloudflare(base_url=base_url, max_retries=0, http_client=http_client)
    # Every request is signed by its own headers: the client would mix credentials that it finds in the environment.
    client.api_token = client.api_key = client.api_email = client.user_service_key = None
    return client


def _decoded(method: str, url: str, response: httpx.Response) -> Properties:
    try:
        answer = json.loads(response.content)
    except ValueError:
        kind = response.headers.get("content-type", "no content type")
        raise UnreadableAnswerError(method, url, f"expected a JSON object, got {kind}") from None
    if not isinstance(answer, dict):
        raise UnreadableAnswerError(method, url, "expected a JSON object")
    if method == "DELETE" and "json" not in response.headers.get("content-type", ""):
        raise UnreadableAnswerError(method, url, "expected the content type application/json")
    return answer


def _is_refused(error: BaseException) -> bool:
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, ConnectionRefusedError):
            return True
        seen = seen.__cause__ or seen.__context__
    return False


def _reason(error: BaseException) -> str:
    cause = error.__cause__ or error
    return str(cause) or type(cause).__name__
