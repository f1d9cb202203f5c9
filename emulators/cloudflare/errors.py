"""Errors of the Cloudflare v4 API: code, message and HTTP status as its clients see them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from http import HTTPStatus


@dataclass(frozen=True, kw_only=True)
class ApiProblem:
    """One entry of an answer's `errors`."""

    code: int
    message: str
    chain: tuple[ApiProblem, ...] = field(default=())

    def as_json(self) -> dict[str, object]:
        entry: dict[str, object] = {"code": self.code, "message": self.message}
        if self.chain:
            entry["error_chain"] = [link.as_json() for link in self.chain]
        return entry


class RequestRefusedError(Exception):
    """A request that the API refuses: HTTP status and the problems of the answer."""

    status = HTTPStatus.BAD_REQUEST

    def __init__(self, *problems: ApiProblem, status: HTTPStatus | None = None) -> None:
        self.problems: tuple[ApiProblem, ...] = problems
        if status is not None:
            self.status = status
        super().__init__("; ".join(f"{problem.message} ({problem.code})" for problem in problems))

    def as_json(self) -> dict[str, object]:
        return {
            "result": None,
            "success": False,
            "errors": [problem.as_json() for problem in self.problems],
            "messages": [],
        }

    def legacy(self) -> RequestRefusedError:
        """The refusal in the form of 2024 and before."""
        return self


class RecordInvalidError(RequestRefusedError):
    """A DNS record that breaks a rule of its type or of the zone's plan.

    Today's API lists the problems side by side; until 2024 it wrapped them in one entry 1004 "DNS Validation
    Error" with an `error_chain`.
    """

    def __init__(self, problems: Sequence[ApiProblem]) -> None:
        super().__init__(*problems)

    def legacy(self) -> RequestRefusedError:
        return RequestRefusedError(ApiProblem(code=1004, message="DNS Validation Error", chain=self.problems))


class RecordNotFoundError(RequestRefusedError):
    status = HTTPStatus.NOT_FOUND

    def __init__(self) -> None:
        super().__init__(ApiProblem(code=81044, message="Record does not exist."))


_SAME_NAME = (
    " For more details, refer to"
    " <https://developers.cloudflare.com/dns/manage-dns-records/troubleshooting/records-with-same-name/>."
)


class RecordConflictError(RequestRefusedError):
    """The record cannot stand beside one that the zone already has."""


class AddressOrAliasExistsError(RecordConflictError):
    def __init__(self) -> None:
        super().__init__(
            ApiProblem(
                code=81053,
                message="An A, AAAA, or CNAME record with that host already exists." + _SAME_NAME,
            )
        )


class AliasExistsError(RecordConflictError):
    def __init__(self) -> None:
        super().__init__(ApiProblem(code=81054, message="A CNAME record with that host already exists." + _SAME_NAME))


class DelegationExistsError(RecordConflictError):
    def __init__(self) -> None:
        super().__init__(ApiProblem(code=81056, message="NS records with that host already exist." + _SAME_NAME))


class RecordExistsError(RecordConflictError):
    """Name, type and value of another record. The code was 81057 until 2024."""

    def __init__(self) -> None:
        super().__init__(ApiProblem(code=81058, message="An identical record already exists."))

    def legacy(self) -> RequestRefusedError:
        return RequestRefusedError(ApiProblem(code=81057, message="The record already exists."))


class BelowDelegationError(RecordConflictError):
    """Other name servers answer at the name, so that nobody would ever see the record."""

    def __init__(self) -> None:
        super().__init__(
            ApiProblem(
                code=89018, message="This record would be hidden by NS records at this name or above it." + _SAME_NAME
            )
        )


class RecordQuotaError(RequestRefusedError):
    """The words stand in public reports (ZoneABC #30, thunderbird-accounts #1060); the code is no recording."""

    def __init__(self) -> None:
        super().__init__(ApiProblem(code=81045, message="Record quota exceeded."))


class RecordLockedError(RequestRefusedError):
    """A record that Email Routing or another service has locked. Code and words are made up: no recording of a refusal
    was found."""

    def __init__(self) -> None:
        super().__init__(ApiProblem(code=1043, message="This record is managed by another service and is read-only."))


class CannotRouteError(RequestRefusedError):
    def __init__(self, path: str, status: HTTPStatus = HTTPStatus.BAD_REQUEST) -> None:
        super().__init__(
            ApiProblem(
                code=7003,
                message=f"Could not route to {path}, perhaps your object identifier is invalid?",
            ),
            status=status,
        )


class MethodNotAllowedError(RequestRefusedError):
    status = HTTPStatus.METHOD_NOT_ALLOWED

    def __init__(self, method: str) -> None:
        super().__init__(ApiProblem(code=7001, message=f"Method {method} not available for that URI."))


class MalformedBodyError(RequestRefusedError):
    def __init__(self) -> None:
        super().__init__(ApiProblem(code=6007, message="Malformed JSON in request body"))


class MalformedQueryError(RequestRefusedError):
    def __init__(self, parameter: str, expected: str) -> None:
        super().__init__(ApiProblem(code=1004, message=f"Invalid value for {parameter}: must be {expected}."))


class MissingTokenError(RequestRefusedError):
    def __init__(self) -> None:
        super().__init__(ApiProblem(code=9106, message="Missing X-Auth-Key, X-Auth-Email or Authorization headers"))


class MalformedTokenError(RequestRefusedError):
    def __init__(self) -> None:
        super().__init__(
            ApiProblem(
                code=6003,
                message="Invalid request headers",
                chain=(ApiProblem(code=6111, message="Invalid format for Authorization header"),),
            )
        )


class UnknownTokenError(RequestRefusedError):
    status = HTTPStatus.FORBIDDEN

    def __init__(self) -> None:
        super().__init__(ApiProblem(code=9109, message="Invalid access token"))


class UnknownKeyError(RequestRefusedError):
    status = HTTPStatus.FORBIDDEN

    def __init__(self) -> None:
        super().__init__(ApiProblem(code=9103, message="Unknown X-Auth-Key or X-Auth-Email"))


class TokenNotVerifiedError(RequestRefusedError):
    status = HTTPStatus.UNAUTHORIZED

    def __init__(self) -> None:
        super().__init__(ApiProblem(code=1000, message="Invalid API Token"))


class UnauthorizedError(RequestRefusedError):
    """The token is good but may not see this zone."""

    status = HTTPStatus.FORBIDDEN

    def __init__(self) -> None:
        super().__init__(ApiProblem(code=9109, message="Unauthorized to access requested resource"))


class AuthenticationError(RequestRefusedError):
    """Cloudflare's answer where the token's rights are too narrow (403) or it is unknown (401)."""

    status = HTTPStatus.FORBIDDEN

    def __init__(self, status: HTTPStatus = HTTPStatus.FORBIDDEN) -> None:
        super().__init__(ApiProblem(code=10000, message="Authentication error"), status=status)


class TunnelNotFoundError(RequestRefusedError):
    status = HTTPStatus.NOT_FOUND

    def __init__(self) -> None:
        super().__init__(ApiProblem(code=1002, message="Tunnel not found"))


class TunnelNameTakenError(RequestRefusedError):
    status = HTTPStatus.CONFLICT

    def __init__(self) -> None:
        super().__init__(
            ApiProblem(
                code=1013,
                message="You already have a tunnel with this name. Delete the existing tunnel, or choose a"
                " different name for your new tunnel",
            )
        )


class TunnelHasConnectionsError(RequestRefusedError):
    def __init__(self) -> None:
        super().__init__(
            ApiProblem(
                code=1022,
                message="Cannot delete tunnel because it has active connections. Stop cloudflared or clean up"
                " its connections first.",
            )
        )


class TunnelInvalidError(RequestRefusedError):
    def __init__(self, reason: str) -> None:
        super().__init__(ApiProblem(code=1003, message=reason))


class TunnelConfigInvalidError(RequestRefusedError):
    def __init__(self, reason: str) -> None:
        super().__init__(ApiProblem(code=1056, message=f"Bad Configuration: {reason}"))


class ZoneExistsError(RequestRefusedError):
    def __init__(self, name: str) -> None:
        super().__init__(ApiProblem(code=1061, message=f"{name} already exists"))


class ZoneNameInvalidError(RequestRefusedError):
    def __init__(self, name: object) -> None:
        super().__init__(ApiProblem(code=1002, message=f"{name!r} is not a registered domain name that can be a zone"))


class TokenInvalidError(RequestRefusedError):
    def __init__(self, reason: str) -> None:
        super().__init__(ApiProblem(code=1001, message=reason))


class TokenNotFoundError(RequestRefusedError):
    status = HTTPStatus.NOT_FOUND

    def __init__(self) -> None:
        super().__init__(ApiProblem(code=1003, message="Token not found"))
