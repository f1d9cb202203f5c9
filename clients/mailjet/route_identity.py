"""Whose a route is: its URL's host, path and basic-auth user. The password is not part of it, so it can rotate."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from clients.mailjet.errors import InvalidRouteUrlError
from clients.mailjet.http_url import split_http_url
from clients.mailjet.redaction import PLACEHOLDER, SECRETS

_DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True)
class RouteIdentity:
    """Two URLs with an equal identity belong to the same stack."""

    host: str
    path: str
    user: str

    @classmethod
    def of(cls, url: str) -> RouteIdentity | None:
        """None for what is no HTTP URL. The scheme, a default port, the password and the query do not count."""
        parts = split_http_url(url)
        if parts is None:
            return None
        host = (parts.hostname or "").rstrip(".").lower()
        if parts.port not in (None, _DEFAULT_PORTS[parts.scheme]):
            host = f"{host}:{parts.port}"
        return cls(host=host, path=parts.path or "/", user=unquote(parts.username or ""))

    def __str__(self) -> str:
        user = f"{self.user}@" if self.user else ""
        return f"https://{user}{self.host}{self.path}"


def shown(url: str) -> str:
    """`url` as it may stand in a message: without its password and without what may be a secret in its query."""
    identity = RouteIdentity.of(url)
    return str(identity) if identity is not None else PLACEHOLDER


def lacks_only_the_password_of(url: str, other: str) -> bool:
    """Whether `url` is `other` without a password: a preview may run without the secret, an up may not."""
    mine, theirs = split_http_url(url), split_http_url(other)
    if mine is None or theirs is None or mine.password:
        return False
    alike = (mine.scheme, mine.query) == (theirs.scheme, theirs.query)
    return alike and RouteIdentity.of(url) == RouteIdentity.of(other)


def learn_password(url: str) -> None:
    """Have the password of `url` redacted from now on, alone and as Basic credentials."""
    parts = split_http_url(url)
    if parts is None or not parts.password:
        return
    password = unquote(parts.password)
    SECRETS.learn((password, parts.password, f"{unquote(parts.username or '')}:{password}"))


def require_route_url(url: str) -> RouteIdentity:
    """The identity of a URL that Mailjet would accept. Raises InvalidRouteUrlError, which names no password."""
    learn_password(url)
    identity = RouteIdentity.of(url)
    if identity is None:
        raise InvalidRouteUrlError(PLACEHOLDER, "is no HTTP address", "https://OWNERTAG:SECRET@host/path")
    if identity.path == "/":
        raise InvalidRouteUrlError(str(identity), "has no path", "one, since Mailjet refuses a root URL")
    if not identity.user:
        raise InvalidRouteUrlError(
            str(identity), "names no owner", "the stack's ownerTag as its user: https://OWNERTAG:SECRET@host/path"
        )
    password = urlsplit(url).password or ""
    if "%" in password or "#" in unquote(password):
        raise InvalidRouteUrlError(
            str(identity),
            "has a password that Mailjet cannot send",
            "letters, digits, `-`, `.`, `_` and `~` only (no `%` and no `#`, not even encoded)",
        )
    return identity
