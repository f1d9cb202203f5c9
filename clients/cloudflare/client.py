"""One token's view of Cloudflare's REST API v4: questions with repetition, pages, and one error for every refusal.

https://developers.cloudflare.com/api/
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    # Most engine commands ask Cloudflare nothing themselves: the first question imports it (docs/decisions/084).
    import requests

DEFAULT_URL = "https://api.cloudflare.com/client/v4"
TIMEOUT_SECONDS = (5.0, 30.0)
"""To connect, and between two bytes of the answer."""
LONGEST_PAUSE_SECONDS = 60.0
_TRANSIENT = frozenset({408, 429, 500, 502, 503, 504})

_WITHOUT_RIGHT = frozenset({9109, 10000})
_NO_TOKEN = frozenset({1000, 1001, 6003, 6111})
"""1000 is also what Cloudflare calls a failure of its own, with the status 500."""


def is_about_token(status: int | None, code: int | None) -> bool:
    """Whether an answer refuses the token, be it unknown or without the right."""
    return status in {401, 403} or ((status or 0) < 500 and code in _WITHOUT_RIGHT | _NO_TOKEN)


class CloudflareError(Exception):
    """Cloudflare refused a question, or gave no answer."""

    def __init__(self, doing: str, *, status: int | None, code: int | None, said: str) -> None:
        """`status` is None where no answer came; `said` is Cloudflare's own reason, or why there was none."""
        self.status = status
        self.code = code
        if status is None:
            answer = f"did not answer ({said})"
        else:
            answer = f"answered {status}" + (f", code {code}" if code else "") + (f" ({said})" if said else "")
        super().__init__(f"Cloudflare {answer} while {doing}")

    @property
    def refused(self) -> bool:
        """Whether it is a matter of the token's rights."""
        return self.status in {401, 403} or self.code in _WITHOUT_RIGHT

    @property
    def about_token(self) -> bool:
        """Whether another token, or more rights for this one, would help."""
        return is_about_token(self.status, self.code)

    @property
    def token_unknown(self) -> bool:
        """Whether the token itself is not accepted, whatever it may do."""
        return self.status == 401 or (self.code in _NO_TOKEN and (self.status or 0) < 500)


class CloudflareClient:
    """Reads are repeated after a passing failure; a write only after 429, which says that nothing happened.

    `attempts`: how often a question is asked at most, with pauses between (`wait`, in seconds). `timeout`: to connect, and
    between two bytes of the answer; `silence`: where no answer came after so many seconds, it is not asked again.
    """

    def __init__(
        self,
        url: str,
        token: str,
        *,
        attempts: int,
        wait: Callable[[float], None] = time.sleep,
        timeout: tuple[float, float] = TIMEOUT_SECONDS,
        silence: float = math.inf,
    ) -> None:
        import requests

        self._url = (url or DEFAULT_URL).rstrip("/")
        self._attempts = attempts
        self._wait = wait
        self._timeout = timeout
        self._silence = silence
        self._session = requests.Session()
        self._session.headers["Authorization"] = f"Bearer {token}"

    def close(self) -> None:
        """Give the connections back."""
        self._session.close()

    def ask(
        self,
        method: str,
        path: str,
        doing: str,
        *,
        body: Mapping[str, Any] | None = None,
        query: Mapping[str, str] | None = None,
    ) -> dict[str, Any]:
        """The whole answer, `result` included. `doing` says what for, in the words of an error."""
        import requests

        asked = time.monotonic()
        for attempt in range(1, self._attempts + 1):
            answer: requests.Response | None = None
            try:
                answer = self._session.request(
                    method, f"{self._url}/{path}", json=body, params=query, timeout=self._timeout
                )
            except requests.RequestException as error:
                said = "the time was up" if isinstance(error, requests.Timeout) else "no connection"
                failure = CloudflareError(doing, status=None, code=None, said=said)
                passing = method == "GET" and time.monotonic() - asked < self._silence
            else:
                if answer.ok:
                    return _json(answer, doing)
                failure = _refusal(answer, doing)
                passing = answer.status_code == 429 or (method == "GET" and answer.status_code in _TRANSIENT)
            if not passing or attempt == self._attempts:
                raise failure
            self._wait(_pause(answer, attempt))
        raise AssertionError("unreachable: the last attempt returns or raises")

    def found(self, path: str, doing: str) -> dict[str, Any]:
        """One object."""
        result = self.ask("GET", path, doing)["result"]
        if not isinstance(result, dict):
            raise CloudflareError(doing, status=200, code=None, said="what came is no object")
        return result

    def found_or_none(self, path: str, doing: str) -> dict[str, Any] | None:
        """One object; None where it is gone."""
        try:
            return self.found(path, doing)
        except CloudflareError as error:
            if error.status == 404:
                return None
            raise

    def pages(
        self, path: str, doing: str, query: Mapping[str, str] | None = None, *, size: int = 1000
    ) -> Iterator[dict[str, Any]]:
        """Every object of a list, `size` at a time."""
        page = 1
        while True:
            numbered = {**(query or {}), "per_page": str(size), "page": str(page)}
            answer = self.ask("GET", path, doing, query=numbered)
            rows = answer["result"] or []
            yield from rows
            pages = (answer.get("result_info") or {}).get("total_pages")
            if not rows or (pages is not None and page >= int(pages)):
                return
            page += 1


def _json(answer: requests.Response, doing: str) -> dict[str, Any]:
    try:
        found = answer.json()
    except ValueError:
        found = None
    if not isinstance(found, dict) or "result" not in found:
        raise CloudflareError(doing, status=answer.status_code, code=None, said="what came is not Cloudflare's JSON")
    return found


def _refusal(answer: requests.Response, doing: str) -> CloudflareError:
    try:
        errors = answer.json().get("errors") or []
    except (ValueError, AttributeError):
        errors = []
    first = errors[0] if errors and isinstance(errors[0], dict) else {}
    code = first.get("code")
    return CloudflareError(
        doing,
        status=answer.status_code,
        code=code if isinstance(code, int) else None,
        said=str(first.get("message") or answer.reason or ""),
    )


def _pause(answer: requests.Response | None, attempt: int) -> float:
    """`Retry-After` in seconds where it is given, else one second that doubles."""
    given = answer.headers.get("Retry-After", "") if answer is not None else ""
    return min(float(given) if given.isdigit() else 2.0 ** (attempt - 1), LONGEST_PAUSE_SECONDS)
