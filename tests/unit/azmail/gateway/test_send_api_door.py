"""The Send API door over real HTTP: the official client, honest calls, and calls as somebody else."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import requests
from mailjet_rest import Client
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from azmail.contract import Mailbox
from azmail.gateway import sendapi, serving
from azmail.gateway.credentials import Directory
from azmail.gateway.ledger import Ledger, SendingLimits
from azmail.gateway.relay import HANDLED_PER_AGENT, Policy, Relay
from azmail.gateway.sendapi import MailjetSendApi, send_api_app
from azmail.mail import OutgoingMail
from azmail.sendapi import SendApiTransport
from azmail.service import MailService
from emulators.mailjet.send_api import composed
from emulators.serving import ServerThread
from tests.unit.azmail.gateway.attempts import BOSS, FOREIGN_CALLS
from tests.unit.azmail.gateway.attempts import ME as MY_ADDRESS
from tests.unit.azmail.gateway.conftest import (
    ME,
    REFUSED_LOGINS,
    ROOTS,
    YOU,
    EndlessSources,
    Loop,
    QuickSources,
    Recorder,
)
from tests.unit.azmail.gateway.parsers import is_from_nobody_else
from tests.unit.azmail.gateway.test_identity import ATTACKS
from tests.waiting import wait_until

PASSWORD = ROOTS.password("bot-1")
AUTH = ("bot-1", PASSWORD)


def _delivered(address: str) -> dict[str, Any]:
    return {"Email": address, "MessageID": 576460752303423489, "MessageUUID": "u", "MessageHref": "h"}


class RecordingMailjet:
    """Answers as Mailjet does and keeps the calls."""

    def __init__(self) -> None:
        self.calls: list[dict[str, Any]] = []
        self.auth: list[str] = []
        self.answer: tuple[int, dict[str, Any]] | None = None
        self.gate: threading.Event | None = None
        self.waiting = threading.Semaphore(0)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        call = json.loads(await request.body())
        if self.gate is not None:
            self.waiting.release()
            assert await asyncio.to_thread(self.gate.wait, 20)
        self.auth.append(base64.b64decode(request.headers["authorization"].split()[1]).decode())
        response: Response
        if self.answer is not None:
            response = JSONResponse(self.answer[1], self.answer[0])
        else:
            self.calls.append(call)
            results = [
                {"Status": "success", "CustomID": "", "To": [_delivered(one["Email"]) for one in message["To"]]}
                for message in call["Messages"]
            ]
            response = JSONResponse({"Messages": results})
        await response(scope, receive, send)


@pytest.fixture(scope="module")
def recording() -> Iterator[tuple[RecordingMailjet, str]]:
    app = RecordingMailjet()
    with ServerThread(app) as server:
        yield app, server.url


@pytest.fixture
def mailjet(recording: tuple[RecordingMailjet, str]) -> tuple[RecordingMailjet, str]:
    app, _ = recording
    app.calls, app.auth, app.answer, app.gate = [], [], None, None
    return recording


@pytest.fixture(scope="module")
def steady_door(recording: tuple[RecordingMailjet, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """One door for the many cases that leave nothing behind."""
    ledger = Ledger(f"sqlite:///{tmp_path_factory.mktemp('door')}/ledger.sqlite")
    ledger.create()
    relay = Relay(directory=Directory([ME, YOU]), roots=ROOTS, ledger=ledger, upstream=Recorder())
    app = send_api_app(relay, MailjetSendApi(recording[1], "account-key", "account-secret"), sources=QuickSources())
    with ServerThread(app) as server:
        yield server.url
    ledger.close()


@pytest.fixture
def door(mailjet: tuple[RecordingMailjet, str], make_relay: Callable[..., Relay]) -> Iterator[Callable[..., str]]:
    servers: list[ServerThread] = []

    def open_door(**options: Any) -> str:
        app = send_api_app(
            make_relay(**options), MailjetSendApi(mailjet[1], "account-key", "account-secret"), sources=QuickSources()
        )
        servers.append(ServerThread(app))
        return servers[-1].__enter__().url

    yield open_door
    for server in servers:
        server.__exit__(None, None, None)


def message(**changes: Any) -> dict[str, Any]:
    plain = {"From": {"Email": MY_ADDRESS}, "To": [{"Email": "x@y.example"}], "Subject": "s", "TextPart": "t"}
    return {name: value for name, value in (plain | changes).items() if value is not None}


def post(url: str, *messages: dict[str, Any], auth: tuple[str, str] = AUTH, **more: Any) -> requests.Response:
    headers = more.pop("headers", {})
    return requests.post(
        f"{url}/v3.1/send", json={"Messages": list(messages), **more}, auth=auth, headers=headers, timeout=20
    )


class TestClients:
    def test_mailjets_own(self, door: Callable[..., str], mailjet: tuple[RecordingMailjet, str]) -> None:
        client = Client(auth=AUTH, version="v3.1", api_url=f"{door()}/")
        answer = client.send.create(data={"Messages": [message(CustomID="c")]})
        assert answer.status_code == 200
        assert answer.json()["Messages"][0]["To"][0]["MessageID"] == 576460752303423489
        ((sent,),) = [call["Messages"] for call in mailjet[0].calls]
        assert sent["From"] == {"Email": MY_ADDRESS}
        assert json.loads(sent["EventPayload"]) == {"agent_id": "bot-1"}
        assert mailjet[0].auth == ["account-key:account-secret"]

    def test_this_library(self, door: Callable[..., str], mailjet: tuple[RecordingMailjet, str]) -> None:
        mailbox = Mailbox(
            agent_id="bot-1", address=MY_ADDRESS, smtp_host="unused", smtp_port=587, smtp_username="bot-1",
            smtp_password=PASSWORD, inbound_url="", inbound_secret="",
        )  # fmt: skip
        with SendApiTransport.of(mailbox, base_url=door()) as transport:
            service = MailService(mailbox, transport, display_name="Müller, Jörg")
            receipt = service.send(OutgoingMail(to=["x@y.example"], subject="s", text="t", in_reply_to="<a@b.example>"))
        assert receipt.mailjet_ids == (576460752303423489,)
        assert mailjet[0].calls[0]["Messages"][0]["From"] == {"Email": MY_ADDRESS, "Name": "Müller, Jörg"}

    def test_a_call_with_everything_that_is_allowed(
        self, door: Callable[..., str], mailjet: tuple[RecordingMailjet, str]
    ) -> None:
        given = message(
            From={"Email": MY_ADDRESS.upper(), "Name": "Agent"}, Sender={"Email": MY_ADDRESS}, Cc=[{"Email": "c@y.example", "Name": "C"}],
            Bcc=[{"Email": "b@y.example"}], ReplyTo={"Email": "team@d.example"}, HTMLPart="<p>", TrackOpens="disabled",
            Headers={"In-Reply-To": "<a@b>", "X-Own": "ü"}, EventPayload="mine",
            Attachments=[{"ContentType": "text/plain", "Filename": "a", "Base64Content": "YQ=="}],
        )  # fmt: skip
        assert post(door(), given, SandboxMode=True).status_code == 200
        (call,) = mailjet[0].calls
        assert call["SandboxMode"] is True
        assert "Sender" not in call["Messages"][0]
        assert json.loads(call["Messages"][0]["EventPayload"]) == {"agent_id": "bot-1", "payload": "mine"}


class TestWho:
    @pytest.mark.parametrize("auth", REFUSED_LOGINS.values(), ids=REFUSED_LOGINS)
    def test_one_answer_for_every_reason(
        self, steady_door: str, mailjet: tuple[RecordingMailjet, str], auth: tuple[str, str]
    ) -> None:
        answer = post(steady_door, message(), auth=auth)
        assert answer.status_code == 401
        assert answer.json()["ErrorMessage"].startswith("API key authentication/authorization failure")
        assert mailjet[0].calls == []

    def test_an_epoch_that_has_passed_and_one_that_is_to_come(self, door: Callable[..., str]) -> None:
        url = door(directory=Directory([replace(ME, epoch=2)]))
        codes = [post(url, message(), auth=("bot-1", ROOTS.password("bot-1", n))).status_code for n in range(4)]
        assert codes == [401, 401, 200, 200]

    def test_a_wrong_password_waits_and_nobody_beside_it(
        self, make_relay: Callable[..., Relay], mailjet: tuple[RecordingMailjet, str]
    ) -> None:
        app = send_api_app(make_relay(), MailjetSendApi(mailjet[1], "k", "s"), sources=EndlessSources())
        with ServerThread(app) as server, connected(server.url) as guesser:
            guesser.sendall(
                f"POST /v3.1/send HTTP/1.1\r\nHost: x\r\nAuthorization: Basic {basic(('bot-1', 'x'))}\r\n\r\n".encode()
            )
            assert post(server.url, message()).status_code == 200
            guesser.setblocking(False)
            with pytest.raises(BlockingIOError):
                guesser.recv(1)

    @pytest.mark.parametrize("header", ["", "Basic", "Basic !", "Basic YQ==", "Bearer x", "Basic " + "A" * 4000])
    def test_odd_headers(self, steady_door: str, header: str) -> None:
        assert (
            requests.post(
                f"{steady_door}/v3.1/send", json={}, headers={"Authorization": header}, timeout=20
            ).status_code
            == 401
        )

    def test_a_revocation_counts_at_the_next_call(self, door: Callable[..., str], sqlite_ledger: Ledger) -> None:
        now = [0.0]
        url = door(clock=lambda: now[0])
        assert post(url, message()).status_code == 200
        sqlite_ledger.revoke("bot-1", 1)
        now[0] += 5
        assert post(url, message()).status_code == 401


class TestWhat:
    @pytest.mark.parametrize("change", FOREIGN_CALLS, ids=[json.dumps(change)[:60] for change in FOREIGN_CALLS])
    @pytest.mark.parametrize("place", ["message", "globals"])
    def test_nothing_of_somebody_elses(
        self, steady_door: str, mailjet: tuple[RecordingMailjet, str], change: dict[str, Any], place: str
    ) -> None:
        if place == "message":
            answer = post(steady_door, message(**change))
        else:
            plain = {name: value for name, value in message().items() if name != "From" and name not in change}
            answer = post(steady_door, plain, Globals={"From": {"Email": MY_ADDRESS}} | change)
        assert 400 <= answer.status_code < 500
        assert mailjet[0].calls == []
        assert all(error["ErrorRelatedTo"] for one in answer.json()["Messages"] for error in one["Errors"])
        (error,) = {error["ErrorCode"] for one in answer.json()["Messages"] for error in one["Errors"]} - {""} or {""}
        assert error

    def test_the_list_of_attacks(self, steady_door: str, mailjet: tuple[RecordingMailjet, str]) -> None:
        """Each header of the list as a header, and what stands in it as a sender."""
        with requests.Session() as session:
            session.auth = AUTH
            for attack in ATTACKS:
                name, _, value = attack["header"].partition(":")
                for change in (
                    {"Headers": {name: value}},
                    {"From": {"Email": value.strip()}},
                    {"Sender": {"Email": value.strip()}},
                ):
                    session.post(f"{steady_door}/v3.1/send", json={"Messages": [message(**change)]}, timeout=20)
        assert all(
            is_from_nobody_else(composed(one), MY_ADDRESS, victim=BOSS)
            for call in mailjet[0].calls
            for one in call["Messages"]
        )

    @pytest.mark.parametrize(
        "address",
        [
            *('"x y"@y.example', "x", "x@", "@y.example", "x..z@y.example", "jörg@y.example"),
            *("<@a.example:x@y.example>", "x@y.example\0", "<x@y.example>"),
        ],
    )
    @pytest.mark.parametrize("name", ["To", "Cc", "Bcc"])
    def test_odd_recipients(
        self, steady_door: str, mailjet: tuple[RecordingMailjet, str], name: str, address: str
    ) -> None:
        answer = post(steady_door, message(**{name: [{"Email": address}]}))
        assert answer.status_code == 400
        (error,) = answer.json()["Messages"][0]["Errors"]
        assert (error["ErrorCode"], error["ErrorRelatedTo"]) == ("mj-0013", [f"{name}[0].Email"])
        assert mailjet[0].calls == []

    def test_fifty_recipients_and_no_more(self, steady_door: str) -> None:
        people = [{"Email": f"x{number}@y.example"} for number in range(51)]
        assert post(steady_door, message(To=people[:40], Cc=people[40:50])).status_code == 200
        refused = post(steady_door, message(To=people[:40], Bcc=people[40:]))
        assert (refused.status_code, refused.json()["Messages"][0]["Errors"][0]["ErrorCode"]) == (400, "send-0015")

    def test_one_bad_message_and_none_is_sent(self, steady_door: str, mailjet: tuple[RecordingMailjet, str]) -> None:
        answer = post(steady_door, message(), message(From={"Email": BOSS}))
        assert answer.status_code == 403
        assert [one["Errors"][0]["ErrorCode"] for one in answer.json()["Messages"]] == ["send-0001", "send-0008"]
        assert mailjet[0].calls == []

    @pytest.mark.parametrize(
        ("body", "status"),
        [
            (b"", 400), (b"[]", 400), (b"{", 400), (b'{"Messages": {}}', 400), (b'{"Messages": []}', 400), (b'{"Messages": [1]}', 400),
            (b'{"Messages": [{}], "Globals": 1}', 400), (b'{"Messages": [{}], "Other": 1}', 400), (b"[" * 100_000, 400), (b"\xff", 400),
            (b'{"Messages": [{}]}', 400),
        ],
    )  # fmt: skip
    def test_odd_bodies(self, steady_door: str, body: bytes, status: int) -> None:
        answer = requests.post(f"{steady_door}/v3.1/send", data=body, auth=AUTH, timeout=20)
        assert answer.status_code == status
        assert "ErrorMessage" in answer.text


class TestOnce:
    def test_an_idempotency_key(self, door: Callable[..., str], mailjet: tuple[RecordingMailjet, str]) -> None:
        url = door()
        answers = [post(url, message(), headers={"Idempotency-Key": "k"}) for _ in range(3)]
        assert [answer.status_code for answer in answers] == [200] * 3
        assert len({answer.text for answer in answers}) == 1
        assert len(mailjet[0].calls) == 1
        assert post(url, message(Subject="other"), headers={"Idempotency-Key": "k"}).status_code == 409

    def test_a_client_that_leaves_before_the_answer(
        self, door: Callable[..., str], mailjet: tuple[RecordingMailjet, str]
    ) -> None:
        url, mailjet[0].gate = door(), threading.Event()
        with half_a_call(url, "Idempotency-Key: k\r\n") as client:
            client.sendall(b"}")
            assert mailjet[0].waiting.acquire(timeout=20)
        assert post(url, message(), headers={"Idempotency-Key": "k"}).status_code == 409
        mailjet[0].gate.set()
        wait_until(lambda: post(url, message(), headers={"Idempotency-Key": "k"}).status_code == 200)
        assert len(mailjet[0].calls) == 1

    def test_a_key_made_of_the_content_is_a_retry_for_five_minutes(
        self,
        door: Callable[..., str],
        mailjet: tuple[RecordingMailjet, str],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """Python's official client makes one for every call, without CustomID, EventPayload and SandboxMode."""
        with Client(auth=AUTH, version="v3.1", api_url=f"{door()}/") as client:
            for changes in ({}, {}, {"CustomID": "a"}, {"CustomID": "b"}, {"EventPayload": "p"}):
                assert client.send.create(data={"Messages": [message(**changes)]}).status_code == 200
            assert len(mailjet[0].calls) == 4
            assert client.send.create(data={"Messages": [message()], "SandboxMode": True}).status_code == 200
            monkeypatch.setattr(sendapi, "RETRY_SECONDS", -1)
            assert client.send.create(data={"Messages": [message()]}).status_code == 200
        assert len(mailjet[0].calls) == 6

    def test_globals_that_are_never_used_may_be_as_deep_as_json_is(
        self, door: Callable[..., str], mailjet: tuple[RecordingMailjet, str]
    ) -> None:
        deep: Any = "t"
        for _ in range(400):
            deep = [deep]
        answer = post(door(), message(), Globals={"TextPart": deep}, headers={"Idempotency-Key": "k"})
        assert answer.status_code == 200
        assert post(door(), message(), AdvanceErrorHandling=deep).status_code == 400

    def test_without_one_each_call_is_its_own(
        self, door: Callable[..., str], mailjet: tuple[RecordingMailjet, str]
    ) -> None:
        url = door()
        post(url, message())
        post(url, message())
        assert len(mailjet[0].calls) == 2

    def test_limits_count_messages_and_recipients(
        self, door: Callable[..., str], mailjet: tuple[RecordingMailjet, str]
    ) -> None:
        url = door(default=Policy(limits=SendingLimits(messages_an_hour=3)))
        assert post(url, message(), message()).status_code == 200
        refused = post(url, message(), message())
        assert refused.status_code == 429
        assert 0 < int(refused.headers["Retry-After"]) <= 3600
        assert post(url, message()).status_code == 200
        never = post(url, *(message() for _ in range(4)))
        assert never.status_code == 400
        assert "4 at once are never taken" in never.text
        assert "Retry-After" not in never.headers

    def test_mailjets_refusal_comes_as_it_is_and_stays(
        self, door: Callable[..., str], mailjet: tuple[RecordingMailjet, str]
    ) -> None:
        mailjet[0].answer = (400, {"Messages": [{"Status": "error", "Errors": [{"ErrorCode": "mj-0013"}]}]})
        url = door()
        answer = post(url, message(), headers={"Idempotency-Key": "k"})
        assert (answer.status_code, answer.json()) == mailjet[0].answer
        mailjet[0].answer = None
        assert post(url, message(), headers={"Idempotency-Key": "k"}).status_code == 400

    @pytest.mark.parametrize(("status", "told"), [(401, 503), (403, 503), (429, 503), (500, 504), (503, 504)])
    def test_what_cannot_be_known_is_told(
        self, door: Callable[..., str], mailjet: tuple[RecordingMailjet, str], status: int, told: int
    ) -> None:
        mailjet[0].answer = (status, {"ErrorMessage": "x"})
        url = door()
        assert post(url, message(), headers={"Idempotency-Key": "k"}).status_code == told
        mailjet[0].answer = None
        again = post(url, message(), headers={"Idempotency-Key": "k"}).status_code
        assert again == (200 if told == 503 else 504)

    @pytest.mark.parametrize("status", [401, 403])
    def test_a_refused_account_shows_in_the_health_until_it_is_taken_again(
        self, door: Callable[..., str], mailjet: tuple[RecordingMailjet, str], status: int
    ) -> None:
        url = door()
        mailjet[0].answer = (status, {"ErrorMessage": "x"})
        post(url, message())
        answer = requests.get(f"{url}/healthz", timeout=20)
        assert (answer.status_code, answer.json()["status"]) == (503, "Mailjet refuses the account")
        mailjet[0].answer = None
        post(url, message())
        assert requests.get(f"{url}/healthz", timeout=20).status_code == 200

    def test_mailjet_is_not_there(self, make_relay: Callable[..., Relay]) -> None:
        app = send_api_app(make_relay(), MailjetSendApi("http://127.0.0.1:1", "k", "s"))
        with ServerThread(app) as server:
            assert post(server.url, message()).status_code == 503

    def test_a_body_without_end(self, door: Callable[..., str]) -> None:
        answer = requests.post(f"{door()}/v3.1/send", data=b" " * (24 * 1024 * 1024), auth=AUTH, timeout=30)
        assert answer.status_code == 413

    def test_health(self, door: Callable[..., str]) -> None:
        assert requests.get(f"{door()}/healthz", timeout=20).json() == {"status": "ok"}

    def test_many_who_ask_at_once_get_one_answer(
        self, door: Callable[..., str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        looks, asked = threading.Semaphore(0), []

        def look(_relay: Relay) -> str:
            asked.append(1)
            assert looks.acquire(timeout=20)
            return ""

        monkeypatch.setattr(Relay, "health", look)
        url = door()
        with contextlib.ExitStack() as held:
            clients = [held.enter_context(connected(url)) for _ in range(5)]
            for client in clients:
                client.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            assert post(url, message()).status_code == 200
            looks.release(5)
            assert all(client.recv(4096).startswith(b"HTTP/1.1 200") for client in clients)
        assert len(asked) < 5

    def test_health_without_a_database(self, door: Callable[..., str], sqlite_ledger: Ledger, tmp_path: Path) -> None:
        url = door()
        sqlite_ledger.close()
        (tmp_path / "ledger.sqlite").rename(tmp_path / "away")
        (tmp_path / "ledger.sqlite").mkdir()
        assert requests.get(f"{url}/healthz", timeout=20).status_code == 503
        assert post(url, message()).status_code == 503


OpenHttp = Callable[..., tuple[str, int]]


@pytest.fixture
def open_http(loop: Loop, make_relay: Callable[..., Relay]) -> Iterator[OpenHttp]:
    """Call it with a TLS context or none: where the process's own HTTP server listens."""
    running: list[serving._Http] = []

    def start(tls: ssl.SSLContext | None = None) -> tuple[str, int]:
        bound = socket.create_server(("127.0.0.1", 0))
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        app = send_api_app(make_relay(), MailjetSendApi("http://127.0.0.1:1", "k", "s"))
        running.append(loop.run(serving._Http.open(app, bound, tls)))
        host, port = bound.getsockname()
        return host, port

    yield start
    for server in running:
        loop.run(server.close())


class TestSlowClients:
    @pytest.mark.parametrize("with_tls", [False, True])
    @pytest.mark.parametrize("before", [b"", b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"])
    def test_a_head_that_does_not_come_ends_the_connection(
        self,
        open_http: OpenHttp,
        server_tls: ssl.SSLContext,
        client_tls: ssl.SSLContext,
        monkeypatch: pytest.MonkeyPatch,
        before: bytes,
        with_tls: bool,
    ) -> None:
        monkeypatch.setattr(serving, "HEAD_SECONDS", 0.2)
        place = open_http(server_tls if with_tls else None)
        with contextlib.ExitStack() as held:
            client = held.enter_context(socket.create_connection(place, timeout=20))
            if with_tls:
                client = held.enter_context(client_tls.wrap_socket(client, server_hostname="localhost"))
            if before:
                client.sendall(before)
                answer = b""
                while not answer.endswith(b"}"):
                    answer += client.recv(4096)
            client.sendall(b"POST /v3.1/send HTTP/1.1\r\nX-A")
            assert b"HTTP/1.1" not in b"".join(iter(lambda: client.recv(4096), b""))

    def test_a_handshake_that_does_not_come_ends_the_connection(
        self, open_http: OpenHttp, server_tls: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(serving, "HEAD_SECONDS", 0.2)
        with socket.create_connection(open_http(server_tls), timeout=20) as client:
            assert ended(client)

    def test_who_asks_now_and_then_makes_room(self, open_http: OpenHttp, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(serving, "STRANGERS", 2)
        place = open_http()
        with contextlib.ExitStack() as held:
            clients = []
            for _ in range(3):
                clients.append(held.enter_context(socket.create_connection(place, timeout=20)))
                assert answer_to_nothing(clients[-1]).startswith(b"HTTP/1.1 404")
            assert ended(clients[0])
            assert answer_to_nothing(clients[2]).startswith(b"HTTP/1.1 404")

    def test_answers_that_nobody_reads_end_the_connection(
        self, open_http: OpenHttp, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(serving, "HEAD_SECONDS", 0.2)
        with socket.socket() as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.settimeout(20)
            client.connect(open_http())
            with pytest.raises(ConnectionError):
                ask_without_end(client)

    def test_wrong_logins_that_wait_leave_places_for_right_ones(
        self, make_relay: Callable[..., Relay], mailjet: tuple[RecordingMailjet, str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(sendapi, "MOST_REFUSED_AT_ONCE", 0)
        app = send_api_app(make_relay(), MailjetSendApi(mailjet[1], "k", "s"), sources=EndlessSources())
        with ServerThread(app) as server:
            assert post(server.url, message(), auth=("bot-1", "x")).status_code == 401

    def test_one_agent_does_not_take_all_memory(self, door: Callable[..., str]) -> None:
        url = door()
        with contextlib.ExitStack() as held:
            for _ in range(HANDLED_PER_AGENT):
                held.enter_context(half_a_call(url))
            refused = post(url, message())
            assert refused.status_code == 429
            assert refused.headers["Retry-After"] == "1"
            assert (
                post(url, message(From={"Email": YOU.address}), auth=("bot-2", ROOTS.password("bot-2"))).status_code
                == 200
            )

    def test_what_is_withdrawn_while_the_body_comes_is_refused(
        self, door: Callable[..., str], sqlite_ledger: Ledger, mailjet: tuple[RecordingMailjet, str]
    ) -> None:
        now = [0.0]
        with half_a_call(door(clock=lambda: now[0])) as client:
            sqlite_ledger.revoke("bot-1", 1)
            now[0] += 5
            client.sendall(b"}")
            assert client.recv(4096).startswith(b"HTTP/1.1 401 ")
        assert mailjet[0].calls == []

    def test_a_body_that_does_not_come_is_refused(
        self, make_relay: Callable[..., Relay], mailjet: tuple[RecordingMailjet, str]
    ) -> None:
        api = MailjetSendApi(mailjet[1], "k", "s")
        with (
            ServerThread(send_api_app(make_relay(), api, body_seconds=0.2)) as server,
            half_a_call(server.url) as client,
        ):
            assert client.recv(4096).startswith(b"HTTP/1.1 408 ")
        assert mailjet[0].calls == []


NOTHING = b"GET /none HTTP/1.1\r\nHost: x\r\n\r\n"


def answer_to_nothing(client: socket.socket) -> bytes:
    client.sendall(NOTHING)
    answer = b""
    while not answer.endswith(b"Not Found"):
        answer += client.recv(4096)
    return answer


def ask_without_end(client: socket.socket) -> None:
    while True:
        client.sendall(NOTHING * 50)


def ended(client: socket.socket) -> bool:
    """Whether the other side has closed, after whatever it said."""
    with contextlib.suppress(ConnectionResetError):
        while client.recv(4096):
            pass
    return True


def connected(url: str) -> socket.socket:
    host, port = url.removeprefix("http://").split(":")
    return socket.create_connection((host, int(port)), timeout=20)


@contextlib.contextmanager
def half_a_call(url: str, more: str = "") -> Iterator[socket.socket]:
    """A connection with a good login and all of a call but its last octet, which the door has begun to read."""
    body = json.dumps({"Messages": [message()]}).encode()
    head = f"POST /v3.1/send HTTP/1.1\r\nHost: x\r\nAuthorization: Basic {basic(AUTH)}\r\nContent-Length: {len(body)}\r\n{more}"
    with connected(url) as client:
        # The door asks for the body when it has seen the login.
        client.sendall(head.encode() + b"Expect: 100-continue\r\n\r\n")
        assert client.recv(4096).startswith(b"HTTP/1.1 100 ")
        client.sendall(body[:-1])
        yield client


def basic(auth: tuple[str, str]) -> str:
    return base64.b64encode(":".join(auth).encode()).decode()


def test_a_fault_of_the_gateways_own_shows_no_secret(
    door: Callable[..., str],
    mailjet: tuple[RecordingMailjet, str],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fail(*_arguments: object, **_options: object) -> None:
        raise RuntimeError("planted")

    url = door()
    for where, told in ((MailjetSendApi, 504), (Relay, 500)):
        with monkeypatch.context() as broken:
            broken.setattr(where, "post" if where is MailjetSendApi else "login", fail)
            answer = post(url, message(), headers={"Idempotency-Key": "k"})
        assert answer.status_code == told
        assert "planted" not in answer.text
    assert post(url, message(), headers={"Idempotency-Key": "k"}).status_code == 504
    assert "planted" in caplog.text
    assert PASSWORD.rpartition(".")[2] not in caplog.text
    assert basic(AUTH) not in caplog.text
    assert mailjet[0].calls == []
