"""HTTP to Mailjet's REST API v3: one pooled session, typed errors, one place for every retry.

No Pulumi here. GETs are repeated blindly, writes never: a write that failed or got no answer is repeated only
after a fresh look shows that it had no effect (`MailjetClient.ensure`).
"""

from __future__ import annotations

import base64
import logging
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from http.cookiejar import DefaultCookiePolicy
from typing import TYPE_CHECKING, Any, Literal, TypeVar
from urllib.parse import urlsplit

from clients.mailjet.clock import Clock, SystemClock
from clients.mailjet.errors import (
    AccountSuspendedError,
    AnswerLostError,
    CredentialsRejectedError,
    EmulatorDownError,
    InvalidApiUrlError,
    MailjetError,
    MissingCredentialsError,
    NotConnectedError,
    NotFoundError,
    RateLimitedError,
    RefusedError,
    UnknownEndpointError,
    error_from_response,
)
from clients.mailjet.http_url import split_http_url
from clients.mailjet.limiter import AdaptiveLimiter
from clients.mailjet.redaction import SECRETS
from zone.names import is_loopback_host

if TYPE_CHECKING:
    # Most engine commands ask Mailjet nothing: the first call imports it (docs/decisions/084).
    import requests

DEFAULT_API_URL = "https://api.mailjet.com"
PAGE_SIZE = 1000
"""The largest `Limit` that Mailjet honours; its default is 10."""

Method = Literal["GET", "POST", "PUT", "DELETE"]
T = TypeVar("T")

_log = logging.getLogger(__name__)
KEY_REFUSED = (CredentialsRejectedError, AccountSuspendedError)
"""What Mailjet says of the key, whatever was asked: the client asks nothing more after it."""


@dataclass(frozen=True, kw_only=True)
class Credentials:
    """An API key and its secret; neither shows in a repr."""

    api_key: str = field(repr=False)
    api_secret: str = field(repr=False)

    @property
    def missing(self) -> list[tuple[str, str]]:
        """Config key and environment variable of what is empty."""
        names = (
            (self.api_key, ("mailjetApiKey", "MAILJET_API_KEY")),
            (self.api_secret, ("mailjetApiSecret", "MAILJET_API_SECRET")),
        )
        return [name for value, name in names if not value]


@dataclass(frozen=True, kw_only=True)
class Timeouts:
    """Seconds for a TCP connection and for an answer."""

    connect: float = 10.0
    read: float = 30.0


@dataclass(frozen=True, kw_only=True)
class RetryPolicy:
    """How often and how long: full-jitter exponential back-off under a total deadline, in seconds."""

    attempts: int = 6
    first_delay: float = 0.25
    longest_delay: float = 8.0
    deadline: float = 120.0


@dataclass(frozen=True, kw_only=True)
class Answer:
    """A success: the status and the body, wrapped in Count/Data/Total or not."""

    status: int
    body: Mapping[str, Any]

    @property
    def rows(self) -> list[dict[str, Any]]:
        """The objects of `Data`, or the bare body as the only one."""
        rows = self.body.get("Data")
        if rows is None:
            return [dict(self.body)] if self.body else []
        return [dict(row) for row in rows if isinstance(row, Mapping)] if isinstance(rows, list) else []

    @property
    def total(self) -> int | None:
        """How many objects there are, this answer's included; None where `Total` only repeats how many are in it, as it does
        without `countRecords`."""
        total = str(self.body.get("Total", ""))
        return int(total) if total.isdecimal() and int(total) > len(self.rows) else None


@dataclass(frozen=True, kw_only=True)
class ListPage:
    """Rows of a list that no page before had. `total`: of the whole list, where Mailjet has been asked and told it."""

    rows: Sequence[dict[str, Any]]
    total: int | None
    last: bool


def _nothing() -> None:
    """No check before a write."""


class MailjetClient:
    """One account's API. Safe between threads; `connections` is the most calls under way at once."""

    def __init__(
        self,
        *,
        base_url: str,
        credentials: Credentials,
        connections: int = 8,
        timeouts: Timeouts | None = None,
        retry: RetryPolicy | None = None,
        clock: Clock | None = None,
        limiter: AdaptiveLimiter | None = None,
        before_write: Callable[[], None] = _nothing,
        problem: MailjetError | None = None,
    ) -> None:
        """`before_write` runs right before each request that may change something; it raises to forbid it.
        `problem` is raised instead of any request."""
        self.base_url = base_url.rstrip("/")
        self._credentials = credentials
        self._connections = connections
        self._timeouts = timeouts or Timeouts()
        self._retry = retry or RetryPolicy()
        self._clock = clock or SystemClock()
        self._limiter = limiter or AdaptiveLimiter(self._clock)
        self._before_write = before_write
        if problem is None and split_http_url(self.base_url) is None:
            problem = InvalidApiUrlError(self.base_url)
        self._refusal = problem
        self._first = threading.Lock()
        self._answered = threading.Event()
        self.accepted = False
        """Whether Mailjet has done anything for this key yet."""
        SECRETS.learn((credentials.api_key, credentials.api_secret, f"{credentials.api_key}:{credentials.api_secret}"))
        self._session = self._open_session()

    def __repr__(self) -> str:
        return f"MailjetClient({self.base_url!r})"

    def close(self) -> None:
        """Close the pooled connections."""
        self._session.close()

    # Calls

    def get(self, path: str, params: Mapping[str, str | int] | None = None) -> Answer:
        """GET with retries. Raises the typed error of the last try."""
        return self._with_retries(lambda: self._send("GET", path, params=params))

    def find(self, path: str, params: Mapping[str, str | int] | None = None) -> Answer | None:
        """GET with retries; None where Mailjet has nothing (404)."""
        try:
            return self.get(path, params)
        except NotFoundError:
            return None

    def pages(self, path: str, params: Mapping[str, str | int] | None = None) -> Iterator[dict[str, Any]]:
        """Every row of a list once."""
        for page in self.in_pages(path, params):
            yield from page.rows

    def in_pages(self, path: str, params: Mapping[str, str | int] | None = None) -> Iterator[ListPage]:
        """Every row of a list once, `PAGE_SIZE` at a time; a short page is the last. A page is fetched when it is asked for.

        An offset counts what is there now: where somebody deletes rows meanwhile, later ones move forward, past the
        next offset. So each page begins with a row of the one before, and where it does not, the offset steps back.
        """
        seen: set[object] = set()
        offset = 0
        while True:
            answer = self.get(path, {**(params or {}), "Limit": PAGE_SIZE, "Offset": offset})
            rows = answer.rows
            fresh = [row for row in rows if row.get("ID") not in seen]
            if offset and len(fresh) == len(rows):
                offset = max(0, offset - PAGE_SIZE // 2)
                continue
            last = len(rows) < PAGE_SIZE
            yield ListPage(rows=fresh, total=answer.total, last=last)
            if last:
                return
            seen.update(row.get("ID") for row in fresh)
            offset += PAGE_SIZE - 1

    def write(self, method: Method, path: str, json: Mapping[str, object] | None = None) -> Answer:
        """One try of a POST, PUT or DELETE, never repeated. A 304 (nothing to change) is a success without rows."""
        return self._send(method, path, json=json)

    def ensure(self, *, write: Callable[[], T], look: Callable[[], T | None]) -> T:
        """Make `write` happen exactly as often as needed.

        `look` asks Mailjet afresh and returns the wished-for outcome, or None while it is absent. It runs after
        every failed, refused or unanswered write: a refusal may mean that the object is there already, in words that
        nobody has documented. The write is repeated only after a passing failure, where the outcome is absent.
        """
        deadline = self._clock.monotonic() + self._retry.deadline
        attempt = 0
        while True:
            attempt += 1
            try:
                return write()
            except RefusedError as refusal:
                found = self._seen_in_spite_of(refusal, look)
                if found is None:
                    raise
                return found
            except MailjetError as error:
                if not error.transient:
                    raise
                delay = self._delay(attempt)
                self._clock.sleep(delay)
                found = look()
                if found is not None:
                    return found
                if attempt >= self._retry.attempts or self._clock.monotonic() > deadline:
                    raise

    def _seen_in_spite_of(self, refusal: RefusedError, look: Callable[[], T | None]) -> T | None:
        """The outcome, if it is there; where nobody can tell, the refusal says more than the failed look."""
        try:
            return look()
        except MailjetError:
            raise refusal from None

    def remove(self, *, delete: Callable[[], None], gone: Callable[[], bool]) -> None:
        """Make sure that something is gone. A 404 alone proves nothing: `gone` looks afresh."""

        def write() -> bool:
            try:
                delete()
            except NotFoundError:
                if not gone():
                    raise
            return True

        self.ensure(write=write, look=lambda: True if gone() else None)

    # One place for retries

    def _with_retries(self, call: Callable[[], Answer]) -> Answer:
        deadline = self._clock.monotonic() + self._retry.deadline
        attempt = 0
        while True:
            attempt += 1
            try:
                return call()
            except MailjetError as error:
                delay = self._delay(attempt)
                exhausted = attempt >= self._retry.attempts or self._clock.monotonic() + delay > deadline
                doubtful = isinstance(error, NotFoundError) and not error.certain and attempt == 1
                if exhausted or not (error.transient or doubtful):
                    raise
            self._clock.sleep(delay)

    def _delay(self, attempt: int) -> float:
        """Half fixed, half random, so that threads that failed together do not return together."""
        ceiling = min(self._retry.first_delay * 2.0 ** (attempt - 1), self._retry.longest_delay)
        return ceiling * (0.5 + 0.5 * self._clock.jitter())

    # One place for requests

    def _send(
        self,
        method: Method,
        path: str,
        *,
        params: Mapping[str, str | int] | None = None,
        json: Mapping[str, object] | None = None,
    ) -> Answer:
        """Nobody asks beside the first call: whether the key is accepted is found out by one, not by every thread."""
        if not self._answered.is_set():
            with self._first:
                self._require_usable()
                if not self._answered.is_set():
                    try:
                        return self._ask(method, path, params=params, json=json)
                    finally:
                        self._answered.set()
        self._require_usable()
        return self._ask(method, path, params=params, json=json)

    def _ask(
        self,
        method: Method,
        path: str,
        *,
        params: Mapping[str, str | int] | None = None,
        json: Mapping[str, object] | None = None,
    ) -> Answer:
        import requests

        started = self._limiter.acquire()
        # The key may have been refused to somebody else while this call waited for its turn.
        self._require_usable()
        if method != "GET":
            self._before_write()
        try:
            response = self._session.request(
                method,
                f"{self.base_url}{path}",
                params=params,
                json=json,
                timeout=(self._timeouts.connect, self._timeouts.read),
                allow_redirects=False,
            )
        except requests.RequestException as error:
            raise self._transport_error(error, method, path) from None
        _log.debug("%s %s -> %d", method, path, response.status_code)
        if response.status_code != 429:
            self._limiter.passed(started)
        if response.status_code in (200, 201, 204, 304):
            answer = self._answer(response, method, path)
            self.accepted = True
            return answer
        failure = error_from_response(
            self.base_url,
            method,
            path,
            status=response.status_code,
            body=response.content,
            retry_after=response.headers.get("Retry-After"),
        )
        if isinstance(failure, RateLimitedError):
            self._limiter.throttled(started, failure.retry_after)
        if isinstance(failure, KEY_REFUSED):
            self._refusal = failure
        raise failure

    def _require_usable(self) -> None:
        if self._refusal is not None:
            raise self._refusal
        if self._credentials.missing:
            raise MissingCredentialsError(self._credentials.missing)

    def _answer(self, response: requests.Response, method: Method, path: str) -> Answer:
        if not response.content.strip():
            return Answer(status=response.status_code, body={})
        try:
            body = response.json()
        except ValueError:
            body = None
        if not isinstance(body, dict):
            raise UnknownEndpointError(
                self.base_url, method, path, status=response.status_code, found="something that is no JSON object"
            )
        return Answer(status=response.status_code, body=body)

    def _transport_error(self, error: requests.RequestException, method: Method, path: str) -> MailjetError:
        import requests
        from urllib3.exceptions import ConnectTimeoutError, MaxRetryError, NewConnectionError, ProxyError, SSLError

        inner: object = error.args[0] if error.args else None
        cause = inner.reason if isinstance(inner, MaxRetryError) else inner
        local = is_loopback_host(urlsplit(self.base_url).hostname or "")
        if isinstance(cause, NewConnectionError) and local:
            return EmulatorDownError(self.base_url)
        if isinstance(cause, NewConnectionError | ConnectTimeoutError | SSLError | ProxyError):
            return NotConnectedError(self.base_url, _reason(cause))
        if isinstance(error, requests.exceptions.InvalidURL | requests.exceptions.InvalidSchema):
            return InvalidApiUrlError(self.base_url)
        return AnswerLostError(method, path, _reason(cause if isinstance(cause, Exception) else error))

    def _open_session(self) -> requests.Session:
        """Proxies and certificates come from the environment once, not anew for each of 10,000 calls."""
        import requests
        from requests.adapters import HTTPAdapter

        session = requests.Session()
        session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        url = self.base_url if self._refusal is None else DEFAULT_API_URL
        surroundings = session.merge_environment_settings(url, {}, None, None, None)
        session.proxies.update(surroundings["proxies"])
        session.verify = surroundings["verify"]
        session.cert = surroundings["cert"]
        session.trust_env = False
        adapter = HTTPAdapter(pool_connections=2, pool_maxsize=self._connections, pool_block=True, max_retries=0)
        session.mount("https://", adapter)
        session.mount("http://", adapter)
        token = base64.b64encode(f"{self._credentials.api_key}:{self._credentials.api_secret}".encode()).decode()
        session.headers.update(
            {"Authorization": f"Basic {token}", "Accept": "application/json", "User-Agent": "azmail"}
        )
        return session


def _reason(error: object) -> str:
    """An exception in a few words, without addresses of objects in memory."""
    names = {
        "NewConnectionError": "connection refused",
        "NameResolutionError": "the host name does not resolve",
        "ConnectTimeoutError": "no connection in time",
        "ConnectTimeout": "no connection in time",
        "ReadTimeout": "no answer in time",
        "ReadTimeoutError": "no answer in time",
        "SSLError": "its TLS certificate is not accepted",
        "ProxyError": "the proxy refuses",
        "ProtocolError": "the connection broke",
        "ChunkedEncodingError": "the answer broke off",
    }
    name = type(error).__name__
    return names.get(name, name)
