"""What time it is by somebody else's clock: the `Date` header of an HTTP answer (RFC 9110, section 6.6.1)."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

TIMEOUT_SECONDS = 3.0


def served_moment(url: str, *, timeout: float = TIMEOUT_SECONDS) -> datetime | None:
    """The moment that the server at `url` names, in UTC; None where nobody answers or no date is given.

    No credential is sent, and whatever the status is, its date will do.
    """
    import requests

    try:
        answer = requests.head(url, timeout=timeout, allow_redirects=False)
        moment = parsedate_to_datetime(answer.headers["Date"])
    except (requests.RequestException, KeyError, ValueError):
        return None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
