"""Errors of the Cloudflare plugin: each message is one sentence for the person who runs Pulumi."""

from __future__ import annotations

from collections.abc import Iterable
from http import HTTPStatus


class OperationError(Exception):
    """An operation failed; the message is what the engine shows."""


class RequestFailedError(OperationError):
    """The API refused a request: status and body are shown as they came."""

    def __init__(self, method: str, url: str, status: int, body: str) -> None:
        self.status = status
        super().__init__(f'failed to make http request: {method} "{url}": {status} {_phrase(status)} {body}')


class ApiUnreachableError(OperationError):
    """No answer came, however often the request was sent."""

    def __init__(self, method: str, url: str, reason: str, tries: int) -> None:
        super().__init__(f'failed to make http request: {method} "{url}": {reason} (tried {tries} times)')


class NothingListensError(OperationError):
    """The API is configured to be on this machine, and nothing listens there."""

    def __init__(self, method: str, url: str, address: str) -> None:
        super().__init__(
            f'failed to make http request: {method} "{url}": nothing listens on {address}: start the emulator '
            f"(`./mail emulators up`) or correct `cloudflare:baseUrl`"
        )


class UnreadableAnswerError(OperationError):
    """The API answered with success, but not with what the operation needs."""

    def __init__(self, method: str, url: str, problem: str) -> None:
        super().__init__(f'failed to deserialize http request: {method} "{url}": {problem}')


class CancelledError(OperationError):
    """Pulumi cancelled the operation while it waited to repeat a request."""

    def __init__(self, method: str, url: str) -> None:
        super().__init__(f'{method} "{url}" was given up because Pulumi cancelled the operation')


class UnsupportedTokenError(OperationError):
    """The program uses a resource or function that only the official plugin has."""

    def __init__(self, kind: str, token: str, supported: Iterable[str]) -> None:
        names = ", ".join(sorted(supported))
        super().__init__(
            f"this machine's stand-in for the Cloudflare plugin has no {kind} {token!r}: it supports {names}; "
            f"the official plugin has the rest (`./mail pulumi plugin install resource cloudflare --reinstall`)"
        )


class BaseUrlError(OperationError):
    """The configured base URL is no URL of an API."""

    def __init__(self, found: str) -> None:
        super().__init__(
            f"`cloudflare:baseUrl` (or CLOUDFLARE_BASE_URL) is {found!r}: expected an http or https URL with its path, "
            f"such as https://api.cloudflare.com/client/v4"
        )


class StandInOffLoopbackError(OperationError):
    """The stand-in was to talk to an API that is not on this machine."""

    def __init__(self, found: str) -> None:
        super().__init__(
            f"this machine has only a stand-in for the Cloudflare plugin, and that talks to emulators on loopback alone, "
            f"not to {found}: `./mail setup` tries again to get the official plugin, `./mail pulumi plugin "
            f"install resource cloudflare --reinstall` shows why it cannot be had"
        )


class ImportIdError(OperationError):
    """An id given to `pulumi import` has not the parts that the resource needs."""

    def __init__(self, found: str, expected: str) -> None:
        super().__init__(f"invalid ID {found!r}: expected {expected}")


class ProxiedTtlError(OperationError):
    """Cloudflare decides the time to live of a proxied record."""

    def __init__(self, name: object, ttl: object) -> None:
        super().__init__(f"ttl must be set to 1 when `proxied` is true: record {name!r} has ttl {ttl}")


class MissingTunnelConfigError(OperationError):
    """A tunnel configuration without ingress rules cannot be stored."""

    def __init__(self) -> None:
        super().__init__(
            "Value Conversion Error: Path: config: a tunnel configuration needs `config` with its ingress rules, "
            "the last of them a catch-all such as `http_status:404`"
        )


class ZoneLookupError(OperationError):
    """A filter for zones has to match one zone."""

    def __init__(self, found: int) -> None:
        super().__init__(f"failed to find exactly one result: {found} found: name one zone by `zoneId` or a full name")


class NotConfiguredError(OperationError):
    """The engine asked for an operation before it sent the configuration."""

    def __init__(self) -> None:
        super().__init__("the Cloudflare plugin was used before Pulumi configured it")


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""
