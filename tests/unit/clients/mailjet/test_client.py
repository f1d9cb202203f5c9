"""The HTTP client against small servers that answer as Mailjet was seen to answer."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.types import Receive, Scope, Send

from clients.mailjet.client import PAGE_SIZE, Answer, Credentials, MailjetClient, RetryPolicy, Timeouts
from clients.mailjet.errors import (
    AccountSuspendedError,
    AlreadyExistsError,
    AnswerLostError,
    CredentialsRejectedError,
    EmulatorDownError,
    EngineGoneError,
    InvalidApiUrlError,
    MailjetError,
    MissingCredentialsError,
    NotAllowedError,
    NotConnectedError,
    NotFoundError,
    RateLimitedError,
    RefusedError,
    ServerError,
    UnknownEndpointError,
)
from emulators.serving import ServerThread, abort_connection
from tests.unit.providers.emulated import API_KEY, API_SECRET, VirtualClock

Handler = Callable[[Request], Response]

HTML_429 = "<html><body><h1>429 Too Many Requests</h1>\nYou have sent too many requests in a given amount of time.\n</body></html>"
NOT_FOUND = {"ErrorInfo": "", "ErrorMessage": "Object not found", "StatusCode": 404}


class Script:
    """A server that gives its answers in order, the last one for ever, and keeps the requests."""

    def __init__(self) -> None:
        self.answers: list[Handler] = []
        self.requests: list[Request] = []
        self.url = ""

    def says(self, *answers: Handler) -> None:
        self.answers = list(answers)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        await request.body()
        self.requests.append(request)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        await answer(request)(scope, receive, send)


def status(code: int, body: object = None, **headers: str) -> Handler:
    def answer(_request: Request) -> Response:
        if body is None:
            return Response(status_code=code, headers=headers)
        if isinstance(body, str):
            return HTMLResponse(body, code, headers=headers)
        return JSONResponse(body, code, headers=headers)

    return answer


def rows(*entries: dict[str, Any]) -> Handler:
    return status(200, {"Count": len(entries), "Data": list(entries), "Total": len(entries)})


def reset(request: Request) -> Response:
    abort_connection(request.scope)
    return Response()


@pytest.fixture(scope="module")
def _server() -> Iterator[Script]:
    script = Script()
    with ServerThread(script) as server:
        script.url = server.url
        yield script


@pytest.fixture
def server(_server: Script) -> Script:
    _server.answers, _server.requests = [], []
    return _server


def client_for(url: str, clock: VirtualClock, **options: Any) -> MailjetClient:
    return MailjetClient(
        base_url=url,
        credentials=options.pop("credentials", Credentials(api_key=API_KEY, api_secret=API_SECRET)),
        clock=clock,
        timeouts=Timeouts(connect=1.0, read=options.pop("read", 5.0)),
        **options,
    )


@pytest.fixture
def client(server: Script, clock: VirtualClock) -> Iterator[MailjetClient]:
    client = client_for(server.url, clock)
    yield client
    client.close()


class TestAnswers:
    def test_wrapped_rows(self, client: MailjetClient, server: Script) -> None:
        server.says(rows({"ID": 1}, {"ID": 2}))
        assert client.get("/v3/REST/sender").rows == [{"ID": 1}, {"ID": 2}]

    def test_an_unwrapped_object_is_the_only_row(self, client: MailjetClient, server: Script) -> None:
        server.says(status(200, {"ValidationMethod": "DNS"}))
        assert client.write("POST", "/v3/REST/sender/1/validate").rows == [{"ValidationMethod": "DNS"}]

    def test_a_304_is_a_success_without_rows(self, client: MailjetClient, server: Script) -> None:
        server.says(status(304))
        assert client.write("PUT", "/v3/REST/sender/1", {"Name": "x"}) == Answer(status=304, body={})

    def test_a_204_is_a_success_without_rows(self, client: MailjetClient, server: Script) -> None:
        server.says(status(204))
        assert client.write("DELETE", "/v3/REST/sender/1").rows == []

    def test_basic_auth_and_json(self, client: MailjetClient, server: Script) -> None:
        server.says(rows())
        client.write("POST", "/v3/REST/sender", {"Email": "*@x.example"})
        request = server.requests[0]
        assert request.headers["authorization"].startswith("Basic ")
        assert request.headers["content-type"] == "application/json"

    def test_no_cookie_is_kept(self, client: MailjetClient, server: Script) -> None:
        server.says(status(200, {"Data": []}, **{"Set-Cookie": "session=1; Path=/"}), rows())
        client.get("/a")
        client.get("/b")
        assert "cookie" not in server.requests[1].headers

    def test_credentials_do_not_follow_a_redirect(self, client: MailjetClient, server: Script) -> None:
        server.says(status(302, None, Location="http://127.0.0.1:9/elsewhere"))
        with pytest.raises(UnknownEndpointError):
            client.get("/v3/REST/sender")
        assert len(server.requests) == 1


class TestErrors:
    @pytest.mark.parametrize(
        ("answer", "kind", "says"),
        [
            (status(401), CredentialsRejectedError, "rejected the API key or its secret"),
            (
                status(
                    401,
                    {
                        "ErrorIdentifier": "x",
                        "StatusCode": 401,
                        "ErrorMessage": "mj-0001 Your account has been temporarily blocked",
                    },
                ),
                AccountSuspendedError,
                "blocked the account",
            ),
            (status(403, {"ErrorMessage": "Access denied"}), NotAllowedError, "Access denied"),
            (status(404, NOT_FOUND), NotFoundError, "nothing at /v3/REST/sender/*@x.example"),
            (status(404, "<html>nginx</html>"), NotFoundError, "nothing at"),
            (status(405, {"ErrorMessage": "Method not allowed"}), RefusedError, "405"),
            (
                status(
                    400,
                    {
                        "ErrorInfo": "MJ08 Property Name is invalid: MJ04 Value must have at least length 1",
                        "ErrorMessage": "Object properties invalid",
                        "StatusCode": 400,
                    },
                ),
                RefusedError,
                "Object properties invalid: MJ08 Property Name is invalid",
            ),
            (
                status(400, {"ErrorInfo": {"ContactsLists": "empty"}, "ErrorMessage": "Invalid", "StatusCode": 400}),
                RefusedError,
                "Invalid: ContactsLists: empty",
            ),
            (
                status(400, {"ErrorInfo": "", "ErrorMessage": "There is an already existing inactive sender"}),
                AlreadyExistsError,
                "already existing inactive",
            ),
            (
                status(
                    400,
                    {
                        "ErrorInfo": 'MJ18 A Sender resource with value "x@y" for Email already exists.',
                        "ErrorMessage": "Object properties invalid",
                    },
                ),
                AlreadyExistsError,
                "MJ18",
            ),
            (
                status(409, {"ErrorMessage": 'MJ18 A Parseroute resource with value "x" for Email already exists.'}),
                AlreadyExistsError,
                "409",
            ),
            (status(409, {"ErrorMessage": "Conflict"}), AlreadyExistsError, "409"),
            (
                status(
                    500,
                    {
                        "ErrorInfo": "EFPWebError",
                        "ErrorMessage": 'Could not determine HTTP module for request "x"',
                        "StatusCode": 500,
                    },
                ),
                UnknownEndpointError,
                "check `mailjetApiUrl`",
            ),
            (status(200, "<html>a captive portal</html>"), UnknownEndpointError, "no JSON object"),
            (status(200, ["a", "list"]), UnknownEndpointError, "no JSON object"),
        ],
    )
    def test_status_and_body_give_one_typed_sentence(
        self, client: MailjetClient, server: Script, answer: Handler, kind: type[MailjetError], says: str
    ) -> None:
        server.says(answer)
        with pytest.raises(kind) as caught:
            client.get("/v3/REST/sender/%2A%40x.example")
        assert type(caught.value) is kind
        assert says in str(caught.value)
        assert API_KEY not in str(caught.value)
        assert API_SECRET not in str(caught.value)
        assert caught.value.__cause__ is None
        assert caught.value.__suppress_context__ or caught.value.__context__ is None

    def test_rejected_credentials_are_never_tried_again(self, client: MailjetClient, server: Script) -> None:
        """Mailjet blocks an address that keeps knocking."""
        server.says(status(401))
        for _ in range(3):
            with pytest.raises(CredentialsRejectedError):
                client.get("/v3/REST/sender")
        assert len(server.requests) == 1

    def test_a_blocked_account_is_asked_nothing_more(self, client: MailjetClient, server: Script) -> None:
        server.says(status(401, {"ErrorCode": "mj-0001", "ErrorMessage": "Your account has been temporarily blocked"}))
        for path in ("/v3/REST/sender", "/v3/REST/parseroute", "/v3/REST/sender"):
            with pytest.raises(AccountSuspendedError):
                client.get(path)
        assert len(server.requests) == 1

    def test_threads_wait_for_the_first_answer_before_they_ask_with_the_same_key(
        self, client: MailjetClient, server: Script
    ) -> None:
        server.says(status(401))
        together = threading.Barrier(32)

        def ask(number: int) -> bool:
            together.wait(timeout=20)
            with pytest.raises(CredentialsRejectedError):
                client.get(f"/v3/REST/sender/{number}")
            return True

        with ThreadPoolExecutor(32) as pool:
            assert all(pool.map(ask, range(32)))
        assert len(server.requests) == 1

    def test_a_secret_that_the_server_repeats_is_not_repeated_again(
        self, client: MailjetClient, server: Script
    ) -> None:
        server.says(status(400, {"ErrorMessage": f"bad value {API_SECRET}"}))
        with pytest.raises(RefusedError) as caught:
            client.get("/v3/REST/sender")
        assert "bad value [secret]" in str(caught.value)
        assert API_SECRET not in repr(vars(caught.value))

    @pytest.mark.parametrize(
        ("credentials", "named"),
        [
            (Credentials(api_key="", api_secret=""), ["mailjetApiKey", "MAILJET_API_KEY", "mailjetApiSecret"]),
            (Credentials(api_key=API_KEY, api_secret=""), ["mailjetApiSecret", "MAILJET_API_SECRET"]),
        ],
    )
    def test_missing_credentials_are_named_before_any_call(
        self, server: Script, clock: VirtualClock, credentials: Credentials, named: list[str]
    ) -> None:
        client = client_for(server.url, clock, credentials=credentials)
        with pytest.raises(MissingCredentialsError) as caught:
            client.get("/v3/REST/sender")
        for name in named:
            assert name in str(caught.value)
        assert server.requests == []
        client.close()

    @pytest.mark.parametrize("url", ["", "api.mailjet.com", "ftp://api.mailjet.com", "http://", "http://[x"])
    def test_an_api_url_that_is_none(self, clock: VirtualClock, url: str) -> None:
        client = client_for(url, clock)
        with pytest.raises(InvalidApiUrlError, match="mailjetApiUrl"):
            client.get("/v3/REST/sender")
        client.close()

    def test_nothing_listens_on_loopback(self, clock: VirtualClock) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        client = client_for(f"http://127.0.0.1:{port}", clock)
        with pytest.raises(EmulatorDownError, match=r"\./mail emulators up"):
            client.get("/v3/REST/sender")
        assert clock.slept == []
        client.close()

    def test_a_name_that_does_not_resolve(self, clock: VirtualClock) -> None:
        client = client_for("http://mailjet.invalid", clock)
        with pytest.raises(NotConnectedError, match="does not resolve"):
            client.get("/v3/REST/sender")
        client.close()

    def test_tls_that_is_not_accepted(self, server: Script, clock: VirtualClock) -> None:
        client = client_for(server.url.replace("http://", "https://"), clock)
        with pytest.raises(NotConnectedError, match="TLS"):
            client.get("/v3/REST/sender")
        client.close()

    def test_neither_client_nor_credentials_show_a_secret(self, client: MailjetClient) -> None:
        shown = repr(client) + repr(Credentials(api_key=API_KEY, api_secret=API_SECRET))
        assert API_KEY not in shown
        assert API_SECRET not in shown


class TestRetries:
    @pytest.mark.parametrize("failure", [status(429, HTML_429), status(500), status(503, "<html>"), reset])
    def test_a_get_is_repeated_until_it_succeeds(self, client: MailjetClient, server: Script, failure: Handler) -> None:
        server.says(failure, failure, rows({"ID": 1}))
        assert client.get("/v3/REST/sender").rows == [{"ID": 1}]
        assert len(server.requests) == 3

    @pytest.mark.parametrize(
        ("failure", "kind"),
        [
            (status(429, HTML_429), RateLimitedError),
            (status(502, "<html>"), ServerError),
            (reset, AnswerLostError),
        ],
    )
    def test_a_get_gives_up_with_the_last_error(
        self,
        client: MailjetClient,
        server: Script,
        failure: Handler,
        kind: type[MailjetError],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setenv("AGENTMAIL_STACK", "prod")
        server.says(failure)
        with pytest.raises(kind, match=r"run `\./mail apply prod` again"):
            client.get("/v3/REST/sender")
        assert len(server.requests) == RetryPolicy().attempts

    def test_back_off_grows_with_jitter(self, client: MailjetClient, server: Script, clock: VirtualClock) -> None:
        server.says(status(500))
        with pytest.raises(ServerError):
            client.get("/v3/REST/sender")
        first = RetryPolicy().first_delay
        assert clock.slept == [pytest.approx(first * 0.75 * 2**attempt) for attempt in range(5)]

    def test_a_total_deadline_ends_the_retries(self, server: Script, clock: VirtualClock) -> None:
        client = client_for(server.url, clock, retry=RetryPolicy(attempts=100, deadline=3.0))
        server.says(status(500))
        with pytest.raises(ServerError):
            client.get("/v3/REST/sender")
        assert sum(clock.slept) <= 3.0
        client.close()

    def test_a_hanging_server_costs_a_timeout(self, server: Script, clock: VirtualClock) -> None:
        listener = socket.create_server(("127.0.0.1", 0))
        client = client_for(
            f"http://127.0.0.1:{listener.getsockname()[1]}", clock, read=0.05, retry=RetryPolicy(attempts=2)
        )
        with pytest.raises(AnswerLostError, match="no answer in time"):
            client.get("/v3/REST/sender")
        client.close()
        listener.close()

    def test_a_final_answer_is_not_repeated(self, client: MailjetClient, server: Script) -> None:
        server.says(status(404, NOT_FOUND))
        assert client.find("/v3/REST/sender/1") is None
        assert len(server.requests) == 1

    def test_a_404_that_is_not_mailjets_is_asked_twice(self, client: MailjetClient, server: Script) -> None:
        server.says(status(404, "<html>nginx</html>"), rows({"ID": 1}))
        assert client.get("/v3/REST/sender/1").rows == [{"ID": 1}]
        server.says(status(404, "<html>nginx</html>"))
        assert client.find("/v3/REST/sender/1") is None

    @pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
    @pytest.mark.parametrize("failure", [status(429, HTML_429), status(500), reset])
    def test_a_write_is_never_repeated_blindly(
        self, client: MailjetClient, server: Script, method: Any, failure: Handler
    ) -> None:
        server.says(failure)
        with pytest.raises(MailjetError):
            client.write(method, "/v3/REST/sender", {"Email": "x"})
        assert len(server.requests) == 1

    def test_429s_slow_later_calls(self, client: MailjetClient, server: Script, clock: VirtualClock) -> None:
        """What one thread was refused, all threads wait for."""
        server.says(status(429, HTML_429))
        for _ in range(3):
            with pytest.raises(RateLimitedError):
                client.write("POST", "/v3/REST/sender", {})
        server.says(rows())
        client.get("/v3/REST/sender")
        assert clock.slept[-1] == pytest.approx(1.0)


class TestSettle:
    def outcome(self, client: MailjetClient, path: str = "/thing") -> str:
        return client.ensure(
            write=lambda: str(client.write("POST", path).rows[0]["ID"]),
            look=lambda: str(found.rows[0]["ID"]) if (found := client.find(path)) else None,
        )

    def methods(self, server: Script) -> list[str]:
        return [request.method for request in server.requests]

    def test_a_success_needs_no_look(self, client: MailjetClient, server: Script) -> None:
        server.says(rows({"ID": 1}))
        assert self.outcome(client) == "1"
        assert self.methods(server) == ["POST"]

    def test_an_unanswered_write_that_took_effect_is_not_repeated(self, client: MailjetClient, server: Script) -> None:
        server.says(reset, rows({"ID": 1}))
        assert self.outcome(client) == "1"
        assert self.methods(server) == ["POST", "GET"]

    @pytest.mark.parametrize("failure", [reset, status(500), status(429, HTML_429)])
    def test_a_failed_write_is_repeated_after_a_look_shows_it_absent(
        self, client: MailjetClient, server: Script, failure: Handler
    ) -> None:
        server.says(failure, status(404, NOT_FOUND), rows({"ID": 2}))
        assert self.outcome(client) == "2"
        assert self.methods(server) == ["POST", "GET", "POST"]

    def test_a_duplicate_is_what_is_there(self, client: MailjetClient, server: Script) -> None:
        server.says(status(400, {"ErrorMessage": "MJ18 … already exists."}), rows({"ID": 3}))
        assert self.outcome(client) == "3"

    def test_a_duplicate_that_nobody_sees_stays_an_error(self, client: MailjetClient, server: Script) -> None:
        server.says(status(400, {"ErrorMessage": "MJ18 … already exists."}), status(404, NOT_FOUND))
        with pytest.raises(AlreadyExistsError):
            self.outcome(client)

    def test_a_refusal_is_final(self, client: MailjetClient, server: Script) -> None:
        server.says(status(400, {"ErrorMessage": "no"}), status(404, NOT_FOUND))
        with pytest.raises(RefusedError, match="no"):
            self.outcome(client)
        assert self.methods(server) == ["POST", "GET"]

    def test_a_duplicate_is_known_by_a_look_whatever_its_text(self, client: MailjetClient, server: Script) -> None:
        """Which status and words Mailjet has for a second route on an address is not documented."""
        server.says(status(409, {"ErrorMessage": "Conflict"}), rows({"ID": 4}))
        assert self.outcome(client) == "4"

    def test_a_refusal_is_told_even_where_the_look_fails(self, client: MailjetClient, server: Script) -> None:
        server.says(status(400, {"ErrorMessage": "no"}), status(500))
        with pytest.raises(RefusedError, match="no"):
            self.outcome(client)

    def test_it_gives_up_after_a_last_look(self, client: MailjetClient, server: Script) -> None:
        absent = status(404, NOT_FOUND)
        attempts = RetryPolicy().attempts
        server.says(*[answer for _ in range(attempts) for answer in (status(500), absent)])
        with pytest.raises(ServerError):
            self.outcome(client)
        assert self.methods(server) == ["POST", "GET"] * attempts

    def test_a_removal_takes_a_404_for_done_only_after_a_look(self, client: MailjetClient, server: Script) -> None:
        def remove() -> None:
            client.remove(
                delete=lambda: void(client.write("DELETE", "/thing")), gone=lambda: client.find("/thing") is None
            )

        server.says(status(404, NOT_FOUND))
        remove()
        assert self.methods(server) == ["DELETE", "GET"]
        server.says(status(404, "<html>"), rows({"ID": 1}))
        with pytest.raises(NotFoundError):
            remove()


class TestWrites:
    def test_the_check_before_a_write_can_forbid_it(self, server: Script, clock: VirtualClock) -> None:
        def refuse() -> None:
            raise EngineGoneError("127.0.0.1:1")

        client = client_for(server.url, clock, before_write=refuse)
        server.says(rows())
        client.get("/v3/REST/sender")
        with pytest.raises(EngineGoneError):
            client.write("POST", "/v3/REST/sender", {})
        assert [request.method for request in server.requests] == ["GET"]
        client.close()


class TestPaging:
    @pytest.mark.parametrize(
        ("total", "calls"), [(0, 1), (1, 1), (PAGE_SIZE - 1, 1), (PAGE_SIZE, 2), (2 * PAGE_SIZE + 5, 3)]
    )
    def test_every_row_once(self, client: MailjetClient, server: Script, total: int, calls: int) -> None:
        def page(request: Request) -> Response:
            offset, limit = int(request.query_params["Offset"]), int(request.query_params["Limit"])
            found = [{"ID": number} for number in range(total)[offset : offset + limit]]
            return JSONResponse({"Count": len(found), "Data": found, "Total": len(found)})

        server.says(page)
        assert [row["ID"] for row in client.pages("/v3/REST/parseroute")] == list(range(total))
        assert len(server.requests) == calls

    @pytest.mark.parametrize("deleted", [1, PAGE_SIZE // 2, PAGE_SIZE, 2 * PAGE_SIZE + 1])
    def test_what_others_delete_meanwhile_hides_no_row(
        self, client: MailjetClient, server: Script, deleted: int
    ) -> None:
        """Offsets count what is there now: the rows behind a deleted one move forward, past the next offset."""
        there = list(range(3 * PAGE_SIZE))

        def page(request: Request) -> Response:
            offset, limit = int(request.query_params["Offset"]), int(request.query_params["Limit"])
            found = [{"ID": number} for number in there[offset : offset + limit]]
            return JSONResponse({"Count": len(found), "Data": found, "Total": len(found)})

        server.says(page)
        listing = client.pages("/v3/REST/parseroute")
        listed = [next(listing)["ID"]]
        del there[:deleted]
        listed += [row["ID"] for row in listing]
        assert set(there) <= set(listed)
        assert len(listed) == len(set(listed))


def test_many_threads_share_one_pool_of_connections(server: Script, clock: VirtualClock) -> None:
    client = client_for(server.url, clock, connections=4)
    server.says(rows({"ID": 1}))
    found: list[int] = []
    threads = [
        threading.Thread(target=lambda: found.append(client.get("/v3/REST/sender").rows[0]["ID"])) for _ in range(16)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert found == [1] * 16
    assert len({request.client for request in server.requests}) <= 4
    client.close()


def void(_answer: Answer) -> None:
    """For callables that must return nothing."""
