"""Calls that schemathesis generates from the schema: never a server error, always what the schema says."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import Case
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.core.transport import Response
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from azmail.gateway.credentials import Scope
from tests.profiles import FULL
from tests.unit.azmail.inbox.conftest import opened_database
from tests.unit.azmail.inbox.desk import Desk, credential, opened_desk
from tests.unit.azmail.inbox.mails import ME, parse_events_of, with_files

OPERATIONS = 16
CALLS = 10_000 if FULL else 150
"""On each database."""
IDS: dict[Desk, Iterator[str | None]] = {}
WITH_FILE: dict[Desk, str] = {}


@pytest.fixture(scope="module", params=["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
def served(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    folder = tmp_path_factory.mktemp("generated")
    with opened_desk(opened_database(request, folder), folder) as desk:
        desk.bring(1, 2)
        desk.deliver(with_files(3, b"file"))
        desk.store.store_events(parse_events_of(ME))
        listed = [one["id"] for one in desk.get("/v1/messages").json()["messages"]]
        WITH_FILE[desk] = listed[0]
        IDS[desk] = itertools.cycle([*listed, None, None, None])
        yield desk


@pytest.mark.slow
def test_no_call_ends_in_a_server_error(served: Desk) -> None:
    schema = schemathesis.openapi.from_asgi("/openapi.json", served.app)
    operations = [result.ok() for result in schema.get_all_operations() if isinstance(result, Ok)]
    assert len(operations) == OPERATIONS
    calls: Counter[str] = Counter()
    for operation in operations:

        @settings(max_examples=CALLS // OPERATIONS + 1, deadline=None, suppress_health_check=list(HealthCheck))
        @given(case=operation.as_strategy())
        def run(case: Case[Any]) -> None:
            call(served, case)
            calls[case.method] += 1

        run()
    assert calls.total() >= CALLS * 9 // 10, calls  # some operations have few different calls


@pytest.mark.slow
def test_a_file_comes_as_it_is_described(served: Desk) -> None:
    """Its type is the sender's, so chance seldom meets it."""
    operation = schemathesis.openapi.from_asgi("/openapi.json", served.app)["/v1/messages/{id}/attachments/{part}"][
        "GET"
    ]
    for headers in ({}, {"Range": "bytes=1-2"}):
        case = operation.Case(path_parameters={"id": WITH_FILE[served], "part": 1}, headers=headers)
        assert validated(case).status_code == (206 if headers else 200)


def test_every_refusal_is_described(served: Desk) -> None:
    """As problem+json and nothing else, with its document; and each call says what may refuse it."""
    paths = served.app.openapi()["paths"]
    for path, method, operation in ((path, *one) for path, methods in paths.items() for one in methods.items()):
        refusals = {code: one for code, one in operation["responses"].items() if int(code) >= 400}
        for code, one in refusals.items():
            reference = {"$ref": "#/components/schemas/ProblemDocument"}
            assert one["content"] == {"application/problem+json": {"schema": reference}}, (method, path, code)
            assert one["description"]
        assert {"400", "401", "404", "422", "503"} <= refusals.keys(), (method, path)
        assert ("413" in refusals) == (method != "get"), (method, path)


def call(served: Desk, case: Case[Any]) -> None:
    if case.path == "/v1/messages/stream":
        case.query = {**(case.query or {}), "after": "not a cursor"}  # whoever is let in follows for ever
        case.headers.clear()
    if case.query and "wait" in case.query:
        case.query = {**case.query, "wait": 0}
    if "{id}" in case.path and "threads" not in case.path and case.method != "DELETE":
        # Half of the calls with a message that is there: made-up names only ever meet 404.
        case.path_parameters["id"] = next(IDS[served]) or case.path_parameters["id"]
    validated(case)


def validated(case: Case[Any]) -> Response:
    """The answer, which is as the document says."""
    scope = Scope.SEND if case.method == "POST" else Scope.INBOX
    checks = [not_a_server_error, content_type_conformance, response_schema_conformance, status_code_conformance]
    return case.call_and_validate(auth=credential(ME, scope), checks=checks)
