"""A backend that takes a connection and then says nothing: the engine waits for it for ever.

Behind a frozen machine or a wire that swallows what it is given neither the S3 nor the PostgreSQL client of the engine has a time
limit. Whoever has waited for the engine for a while asks the backend one question of its own.
"""

from __future__ import annotations

import socket
from urllib.parse import parse_qs, urlsplit

PATIENCE_SECONDS = 15.0
"""How long an engine may take before anybody looks whether its backend is silent."""
ANSWER_SECONDS = 10.0
_SSL_REQUEST = (8).to_bytes(4) + (80877103).to_bytes(4)
"""PostgreSQL's protocol, 55.2.10: a server says S or N, whoever asks."""


def is_silent(url: str, *, seconds: float = ANSWER_SECONDS) -> bool:
    """Whether nothing at all came back in time. A refusal is an answer, which the engine gets, too.

    False for a backend that this program cannot ask: a folder, Pulumi Cloud, a cloud's storage without a URL of its own.
    """
    kind = url.partition("://")[0]
    try:
        if kind == "s3":
            return _s3_is_silent(url, seconds)
        if kind == "postgres":
            parts = urlsplit(url)
            return _postgres_is_silent(parts.hostname or "", parts.port or 5432, seconds)
    except (OSError, ValueError):
        pass  # it cannot be reached, or its name not read: the engine says which
    return False


def _postgres_is_silent(host: str, port: int, seconds: float) -> bool:
    try:
        with socket.create_connection((host, port), timeout=seconds) as connection:
            connection.sendall(_SSL_REQUEST)
            connection.recv(1)
    except TimeoutError:
        return True
    return False


def _s3_is_silent(url: str, seconds: float) -> bool:
    import requests

    parts = urlsplit(url)
    options = {name.lower(): values[-1] for name, values in parse_qs(parts.query).items()}
    place = options.get("endpoint") or f"s3.{options.get('region', 'us-east-1')}.amazonaws.com"
    if "://" not in place:
        plain = "true" in (options.get("disablessl"), options.get("disable_https"))
        place = f"{'http' if plain else 'https'}://{place}"
    try:
        requests.head(f"{place.rstrip('/')}/{parts.netloc}", timeout=seconds, allow_redirects=False)
    except requests.exceptions.Timeout:
        return True
    except requests.exceptions.RequestException:
        return False  # a refused connection, another protocol, a strange certificate
    return False
