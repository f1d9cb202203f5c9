"""Who may post to the webhook: whoever knows the secret, as a password or in the path."""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from starlette.requests import Request

from azmail.errors import WebhookConfigError


def valid_token(presented: str | None, expected: str) -> bool:
    """Whether a presented secret is the expected one, in a time that tells nothing about it.

    Raises WebhookConfigError if no secret is expected: nothing is equal to a secret that does not exist.
    """
    if not expected:
        raise WebhookConfigError("found an empty webhook secret, expected one to compare with: configure it")
    return _same(presented or "", expected)


@dataclass(frozen=True, slots=True, init=False)
class BasicAuth:
    """The credentials in the route's URL: `https://USERNAME:PASSWORD@host/path`.

    `passwords` may hold several while a secret is being rotated. Without a `username` any user is accepted: it is the
    stack's owner tag and no secret.
    """

    passwords: tuple[str, ...] = field(repr=False)
    username: str | None = None

    def __init__(self, passwords: str | Iterable[str], username: str | None = None) -> None:
        object.__setattr__(self, "passwords", _secrets(passwords))
        object.__setattr__(self, "username", username)

    def admits(self, request: Request) -> bool:
        scheme, _, credentials = request.headers.get("Authorization", "").partition(" ")
        try:
            decoded = base64.b64decode(credentials.strip(), validate=True).decode("utf-8")
        except (binascii.Error, ValueError):
            decoded = ""
        user, _, password = decoded.partition(":")
        # Every comparison is made, whatever the others say.
        right = scheme.lower() == "basic"
        right &= self.username is None or _same(user, self.username)
        return right & _among(password, self.passwords)


@dataclass(frozen=True, slots=True)
class FollowedAuth:
    """The same with a password that may be another one tomorrow; an empty one admits nobody."""

    password: Callable[[], str] = field(repr=False)

    def admits(self, request: Request) -> bool:
        password = self.password()
        return bool(password) and BasicAuth(password).admits(request)


@dataclass(frozen=True, slots=True, init=False)
class PathSecret:
    """The secret as the last segment of the route's URL: `https://host/path/SECRET`.

    Servers and proxies write paths into their logs: prefer BasicAuth.
    """

    secrets: tuple[str, ...] = field(repr=False)

    def __init__(self, secrets: str | Iterable[str]) -> None:
        object.__setattr__(self, "secrets", _secrets(secrets))

    def admits(self, request: Request) -> bool:
        presented = str(request.path_params.get("secret", ""))
        return _among(presented, self.secrets)


@dataclass(frozen=True, slots=True)
class Unauthenticated:
    """Everybody may post mail. For loopback, or behind something else that checks."""

    def admits(self, _request: Request) -> bool:
        return True


WebhookAuth = BasicAuth | FollowedAuth | PathSecret | Unauthenticated


def _secrets(given: str | Iterable[str]) -> tuple[str, ...]:
    secrets = (given,) if isinstance(given, str) else tuple(given)
    if not secrets or not all(secrets):
        raise WebhookConfigError(
            "found an empty webhook secret, expected the stack's webhookSecret: set inboundAuth to basic or forwarder "
            "so that the outputs carry it, or use Unauthenticated() on purpose"
        )
    return secrets


def _among(presented: str, secrets: Iterable[str]) -> bool:
    return sum(_same(presented, expected) for expected in secrets) > 0  # any() would stop at the first


def _same(presented: str, expected: str) -> bool:
    # Digests are equally long, so that not even the length of the secret shows.
    return hmac.compare_digest(_digest(presented), _digest(expected))


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
