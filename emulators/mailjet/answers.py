"""What Mailjet's REST API answers: wrapped rows, refusals in its words, and the shapes of its errors."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Literal

from starlette.responses import HTMLResponse, JSONResponse, Response

Row = dict[str, Any]

BLOCKED_ACCOUNT = "Your account has been temporarily blocked, please contact our support to assist you."


class Refusal(Exception):  # noqa: N818 - Mailjet's own word for it would be "error"; it is an ordinary answer here
    """An answer with ErrorMessage, raised anywhere below a request."""

    def __init__(self, status: int, message: str, info: str = "") -> None:
        super().__init__(f"{status} {message}")
        self.status = status
        self.message = message
        self.info = info

    def response(self, error_info: Literal["text", "object"]) -> Response:
        """`error_info` says whether details come as a text or as an object."""
        info: object = self.info
        if error_info == "object" and self.status == 400:
            info = {"Details": self.info or self.message}
        return JSONResponse({"ErrorInfo": info, "ErrorMessage": self.message, "StatusCode": self.status}, self.status)


class NotFound(Refusal):
    """No such object (or no such action on it)."""

    def __init__(self) -> None:
        super().__init__(404, "Object not found")

    def page(self) -> Response:
        """The same from the web server before the API."""
        title = "404 Not Found"
        return HTMLResponse(
            f"<html>\r\n<head><title>{title}</title></head>\r\n<body>\r\n<center><h1>{title}</h1></center>\r\n"
            "<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n",
            404,
        )


class MethodNotAllowed(Refusal):
    """The resource knows no such method."""

    def __init__(self, method: str, resource: str) -> None:
        super().__init__(405, f"Method {method} is not allowed on resource {resource}")


class UnknownResource(Refusal):
    """Mailjet's answer to a path below /v3/REST that it has no module for."""

    def __init__(self, resource: str) -> None:
        super().__init__(500, f'Could not determine HTTP module for request "{resource}"', "EFPWebError")


class InvalidValue(Refusal):
    """A property with a value that its type or a rule forbids."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(400, "Object properties invalid", f"MJ08 Property {name} is invalid: {reason}")


class MissingProperty(Refusal):
    """A mandatory property was not given."""

    def __init__(self, name: str) -> None:
        super().__init__(400, f'Missing mandatory property: "{name}"')


class UnknownProperty(Refusal):
    """A property that the resource does not have."""

    def __init__(self, resource: str, name: str) -> None:
        super().__init__(400, f'Invalid json input: object ""->"T{resource}" property "{name}" is not a class property')


class NotSettable(Refusal):
    """MJ19: a property that only Mailjet sets."""

    def __init__(self, name: str, status: int = 400) -> None:
        super().__init__(status, f'MJ19 Setting a value for property "{name}" is not allowed')


class Duplicate(Refusal):
    """MJ18: a second object with a value that must be unique."""

    def __init__(self, resource: str, value: str, name: str, status: int = 400) -> None:
        super().__init__(status, f'MJ18 A {resource} resource with value "{value}" for {name} already exists.')


def unauthorized() -> Response:
    """Wrong or missing credentials: an empty page, not JSON."""
    return HTMLResponse("", 401, {"WWW-Authenticate": 'Basic realm="Provide an apiKey and secretKey"'})


def blocked() -> Response:
    """What Mailjet answers for a suspended account."""
    return JSONResponse({"ErrorCode": "mj-0001", "StatusCode": 401, "ErrorMessage": BLOCKED_ACCOUNT}, 401)


def rows(found: Sequence[Row], *, status: int = 200, total: int | None = None) -> Response:
    """Mailjet's envelope around `found`."""
    count = len(found)
    return JSONResponse({"Count": count, "Data": list(found), "Total": count if total is None else total}, status)


def not_modified() -> Response:
    """A PUT that changed nothing."""
    return Response(status_code=304)


def deleted() -> Response:
    """A DELETE that worked."""
    return Response(status_code=204)


def page(found: Sequence[Row], query: Mapping[str, str]) -> Response:
    """`found` sorted and cut as the query's Sort, Limit, Offset, countOnly and countRecords say.

    Names are compared without case; a filter that does not exist is ignored, as Mailjet does.
    """
    total = len(found)
    if truth(query.get("countonly")):
        return JSONResponse({"Count": total, "Data": [], "Total": total})
    order = query.get("sort", "").split()
    if order and found and order[0].lower() in {key.lower() for key in found[0]}:
        key = next(key for key in found[0] if key.lower() == order[0].lower())
        found = sorted(found, key=lambda row: row[key], reverse=order[-1].upper() == "DESC")
    limit = min(_natural(query.get("limit"), 10) or 1000, 1000)
    offset = _natural(query.get("offset"), 0)
    cut = found[offset : offset + limit]
    return rows(cut, total=total if truth(query.get("countrecords")) else None)


def is_id(name: str) -> bool:
    """Whether a path segment is a numeric id rather than an address or a domain."""
    return name.isascii() and name.isdecimal() and len(name) < 19


def truth(value: object) -> bool:
    """A boolean as query strings and the documentation's quoted examples write it."""
    return str(value).lower() in ("1", "true")


def _natural(text: str | None, default: int) -> int:
    return int(text) if text is not None and text.isdecimal() else default


def properties(body: bytes, resource: str, known: Mapping[str, type], *, ignore_unknown: bool = False) -> Row:
    """The properties that a request sets, with types checked; quoted numbers and booleans are taken too."""
    try:
        given = json.loads(body or b"{}")
    except ValueError as error:
        raise Refusal(400, f"Invalid json input: {error}") from error
    if not isinstance(given, dict):
        raise Refusal(400, "Invalid json input: an object is expected")
    taken: Row = {}
    for name, value in given.items():
        if name not in known and ignore_unknown:
            continue
        if name not in known:
            raise UnknownProperty(resource, name)
        taken[name] = _typed(name, value, known[name])
    return taken


def _typed(name: str, value: object, kind: type) -> object:
    if kind is bool:
        if isinstance(value, bool) or str(value).lower() in ("true", "false", "0", "1"):
            return truth(value)
        raise InvalidValue(name, "MJ03 Value must be a boolean")
    if kind is int:
        if isinstance(value, int) and not isinstance(value, bool):
            return value
        if isinstance(value, str) and value.lstrip("-").isdecimal():
            return int(value)
        raise InvalidValue(name, "MJ03 Value must be an integer")
    if not isinstance(value, str):
        raise InvalidValue(name, "MJ03 Value must be a string")
    return value


def timestamp() -> str:
    """The present as Mailjet writes it."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
