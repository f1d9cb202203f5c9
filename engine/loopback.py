"""Whether a URL leads to this machine itself, and nowhere else."""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import urlsplit

# Clients disagree about these: one reads `http://a\@b` as host a, another as host b.
_AMBIGUOUS = re.compile(r"[\\\s\x00-\x1f]")


def is_loopback(url: str) -> bool:
    """Whether the host of an http or https URL is a loopback address or `localhost` (RFC 6761).

    What cannot be read, or reads differently in another client, is not on loopback.
    """
    if _AMBIGUOUS.search(url):
        return False
    try:
        parts = urlsplit(url)
        host = (parts.hostname or "").rstrip(".")
    except ValueError:
        return False
    if parts.scheme not in ("http", "https"):
        return False
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
