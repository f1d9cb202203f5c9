"""Is this an HTTP address? One answer for the API's and the webhook's."""

from __future__ import annotations

from urllib.parse import SplitResult, urlsplit


def split_http_url(url: str) -> SplitResult | None:
    """The parts of an absolute http or https URL, or None; `.port` of the result never raises."""
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a malformed port or IPv6 address
        return None
    return parts if usable else None
