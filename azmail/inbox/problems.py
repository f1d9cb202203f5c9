"""Refusals as problem+json (RFC 9457)."""

from __future__ import annotations

import http
import logging
from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from azmail.errors import InvalidMailError, MailTooLargeError
from azmail.gateway.ledger import LedgerError
from azmail.inbox.cursors import ForeignCursorError
from azmail.inbox.database import InboxDatabaseError
from azmail.inbox.documents import ProblemDocument
from azmail.inbox.reading import MOST_LABELS, TooManyLabelsError

log = logging.getLogger("azmail.inbox")

MEDIA_TYPE = "application/problem+json"
REFUSAL_SCHEMA = f"#/components/schemas/{ProblemDocument.__name__}"


class ApiRefusalError(Exception):
    """An answer that is a refusal."""

    def __init__(self, status: int, detail: str, headers: Mapping[str, str] | None = None) -> None:
        self.status, self.detail, self.headers = status, detail, dict(headers or {})
        super().__init__(detail)


class NotThereError(ApiRefusalError):
    """The same for what does not exist and for what is somebody else's."""

    def __init__(self) -> None:
        super().__init__(404, "this mailbox has nothing of that name")


def problem(status: int, detail: str, headers: Mapping[str, str] | None = None) -> JSONResponse:
    document = {"type": "about:blank", "title": http.HTTPStatus(status).phrase, "status": status, "detail": detail}
    return JSONResponse(document, status, headers=dict(headers or {}), media_type=MEDIA_TYPE)


def install(app: FastAPI) -> None:
    """Every refusal of the app is one, and its page says so."""
    described = app.openapi

    def openapi() -> dict[str, Any]:
        document = described()
        # As a model of each answer it would be compiled a hundred times, for nobody: a refusal is written by hand.
        document["components"]["schemas"][ProblemDocument.__name__] = ProblemDocument.model_json_schema()
        return document

    app.openapi = openapi  # type: ignore[method-assign]  # as the framework's documentation has it

    @app.exception_handler(ApiRefusalError)
    def refused(_request: Request, error: ApiRefusalError) -> JSONResponse:
        return problem(error.status, error.detail, error.headers)

    @app.exception_handler(HTTPException)
    def http_error(_request: Request, error: HTTPException) -> JSONResponse:
        return problem(error.status_code, str(error.detail), error.headers)

    @app.exception_handler(RequestValidationError)
    def invalid(_request: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        place = ".".join(str(step) for step in first["loc"])
        return problem(422, _plain(f"{place}: {first['msg']}"))

    @app.exception_handler(ForeignCursorError)
    def cursor(_request: Request, _error: ForeignCursorError) -> JSONResponse:
        return problem(422, "after, before: found what is no cursor of this mailbox, expected `next` of an answer")

    @app.exception_handler(TooManyLabelsError)
    def labels(_request: Request, _error: TooManyLabelsError) -> JSONResponse:
        return problem(422, f"a message has at most {MOST_LABELS} labels, nothing was changed: remove some first")

    @app.exception_handler(InvalidMailError)
    def mail(_request: Request, error: InvalidMailError) -> JSONResponse:
        return problem(422, _plain(str(error)))

    @app.exception_handler(MailTooLargeError)
    def size(_request: Request, error: MailTooLargeError) -> JSONResponse:
        return problem(413, str(error))

    @app.exception_handler(InboxDatabaseError)
    def away(_request: Request, error: InboxDatabaseError) -> JSONResponse:
        log.warning("answered 503: %s", error)
        return problem(503, "the database does not answer now, try again", {"Retry-After": "5"})

    @app.exception_handler(LedgerError)
    def no_logins(_request: Request, error: LedgerError) -> JSONResponse:
        log.warning("answered 503: %s", error)
        return problem(503, "credentials cannot be checked now, try again", {"Retry-After": "5"})


def _plain(text: str) -> str:
    return text.encode("utf-8", "replace").decode()[:500]
