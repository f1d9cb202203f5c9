"""The webhook under a real ASGI server, called as Mailjet calls it."""

import asyncio
import base64
import http.client
import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from starlette.applications import Starlette
from starlette.routing import Mount

from azmail import (
    BasicAuth,
    BounceEvent,
    DeliveryStore,
    InboundMail,
    MailEvent,
    MailStack,
    MemoryDeliveries,
    PathSecret,
    SpamEvent,
    SqliteDeliveries,
    TryAgainError,
    Unauthenticated,
    UnknownRecipients,
    WebhookConfigError,
    create_app,
    valid_token,
)
from azmail.webhook import MAX_BODY_BYTES
from tests.unit.azmail.conftest import ADDRESS_A, ADDRESS_B, AGENT_A, AGENT_B, INBOUND_SECRET, stack_outputs
from tests.unit.azmail.servers import Answer, asgi_server, http_server
from tests.unit.azmail.test_events import event

PATH = "/api/webhooks/mailjet/inbound"
EVENTS = "/api/webhooks/mailjet/events"
OWNER = "agentmail-dev"
PAYLOADS = Path(__file__).parent / "payloads"


class Received:
    """A hook that records, and fails as often as it is told to."""

    def __init__(self) -> None:
        self.calls: list[tuple[InboundMail, str]] = []
        self.events: list[tuple[MailEvent, str | None]] = []
        self.failures: list[Exception] = []
        self.hold: threading.Event | None = None
        self.started = threading.Event()
        self.lock = threading.Lock()

    def on_mail(self, mail: InboundMail, agent_id: str) -> None:
        self.started.set()
        if self.hold is not None:
            assert self.hold.wait(20)
        with self.lock:
            if self.failures:
                raise self.failures.pop(0)
            self.calls.append((mail, agent_id))

    async def on_mail_async(self, mail: InboundMail, agent_id: str) -> None:
        await asyncio.sleep(0)
        self.on_mail(mail, agent_id)

    def on_event(self, event: MailEvent, agent_id: str | None) -> None:
        if self.failures:
            raise self.failures.pop(0)
        self.events.append((event, agent_id))


@pytest.fixture
def received() -> Received:
    return Received()


@contextmanager
def serving(received: Received, **options: Any) -> Iterator[str]:
    settings: dict[str, Any] = {
        "on_mail": received.on_mail,
        "on_event": received.on_event,
        "auth": BasicAuth(INBOUND_SECRET, OWNER),
    }
    with asgi_server(create_app(MailStack(stack_outputs()), **(settings | options))) as url:
        yield url


@pytest.fixture
def url(received: Received) -> Iterator[str]:
    with serving(received) as served:
        yield served


def payload(**changes: Any) -> dict[str, Any]:
    made: dict[str, Any] = {
        "Sender": "ada@example.com",
        "Recipient": ADDRESS_A,
        "Date": "20260102T030405",
        "From": "Ada <ada@example.com>",
        "Subject": "Hello",
        "Headers": {"Message-ID": "<1@example.com>", "From": "Ada <ada@example.com>", "To": ADDRESS_A},
        "Parts": [],
        "ContentRef": "Text-part",
        "Text-part": "Hello",
    }
    return made | changes


def post(url: str, body: Any = None, auth: Any = (OWNER, INBOUND_SECRET), path: str = PATH) -> requests.Response:
    data = body if isinstance(body, bytes) else json.dumps(payload() if body is None else body)
    return requests.post(url + path, data=data, auth=auth, timeout=20)


class TestDelivery:
    def test_a_mail_reaches_the_hook_with_its_agent(self, url: str, received: Received) -> None:
        answer = post(url)
        assert (answer.status_code, answer.json()) == (200, {"status": "accepted"})
        ((mail, agent_id),) = received.calls
        assert agent_id == AGENT_A
        assert (mail.text, mail.envelope_recipient) == ("Hello", ADDRESS_A)

    @pytest.mark.parametrize("file", sorted(PAYLOADS.glob("*.json")), ids=lambda file: file.stem)
    def test_every_recorded_variant_is_accepted(self, url: str, received: Received, file: Path) -> None:
        assert post(url, file.read_bytes()).status_code == 200
        assert len(received.calls) == 1

    def test_async_hooks_and_resolver_functions(self, received: Received) -> None:
        app = create_app(
            lambda address: address.partition("@")[0], on_mail=received.on_mail_async, auth=Unauthenticated()
        )
        with asgi_server(app) as url:
            assert post(url, auth=None).status_code == 200
        assert received.calls[0][1] == ADDRESS_A.partition("@")[0]

    def test_only_a_function_that_may_have_to_wait_is_given_a_thread(self, received: Received) -> None:
        asked: list[int] = []

        class Directory:
            def agent_at(self, address: str) -> str:
                asked.append(threading.get_ident())
                return AGENT_A

        async def on_mail(mail: InboundMail, agent_id: str) -> None:
            asked.append(threading.get_ident())

        for directory, is_in_the_loop in ((Directory(), True), (Directory().agent_at, False)):
            with asgi_server(create_app(directory, on_mail=on_mail, auth=Unauthenticated())) as url:
                assert post(url, auth=None).status_code == 200
            assert (asked.pop() == asked.pop()) is is_in_the_loop

    def test_a_sync_hook_that_returns_a_coroutine(self, received: Received) -> None:
        with serving(received, on_mail=lambda mail, agent_id: received.on_mail_async(mail, agent_id)) as url:
            assert post(url).status_code == 200
        assert len(received.calls) == 1

    def test_mounted_in_another_app(self, received: Received) -> None:
        app = create_app(
            MailStack(stack_outputs()), on_mail=received.on_mail, auth=BasicAuth(INBOUND_SECRET), path="/in"
        )
        with asgi_server(Starlette(routes=[Mount("/mail", app)])) as url:
            assert post(url, path="/mail/in").status_code == 200

    def test_health(self, url: str) -> None:
        answer = requests.get(url + "/healthz", timeout=20)
        assert (answer.status_code, answer.json()) == (200, {"status": "ok"})

    def test_nothing_that_a_mail_links_to_is_fetched(self, url: str, received: Received) -> None:
        with http_server() as elsewhere:
            elsewhere.answer = lambda request: Answer()
            html = f'<img src="{elsewhere.url}/pixel.png"><link rel="stylesheet" href="{elsewhere.url}/style.css">'
            headers = payload()["Headers"] | {"List-Unsubscribe": [f"<{elsewhere.url}/unsubscribe>"]}
            assert post(url, payload(**{"Html-part": html, "Headers": headers})).status_code == 200
            received.calls[0][0].message.as_bytes()
            assert elsewhere.requests == []


class TestAuthentication:
    @pytest.mark.parametrize(
        "auth",
        [
            None,
            (OWNER, "wrong"),
            (OWNER, ""),
            (OWNER, INBOUND_SECRET + "x"),
            (OWNER, INBOUND_SECRET[:-1]),
            ("somebody", INBOUND_SECRET),
            ("", INBOUND_SECRET),
        ],
    )
    def test_wrong_credentials_get_401_and_no_event(self, url: str, received: Received, auth: Any) -> None:
        for path, body in ((PATH, payload()), (EVENTS, event("bounce"))):
            answer = post(url, body, auth=auth, path=path)
            assert answer.status_code == 401
            assert answer.headers["WWW-Authenticate"].startswith("Basic ")
        assert received.calls == []
        assert received.events == []

    @pytest.mark.parametrize(
        "header", ["", "Basic", "Basic !!!", "Basic /w==", "Bearer " + INBOUND_SECRET, "Basic " + INBOUND_SECRET]
    )
    def test_malformed_headers_get_401(self, url: str, header: str) -> None:
        answer = requests.post(url + PATH, json=payload(), headers={"Authorization": header}, timeout=20)
        assert answer.status_code == 401

    def test_credentials_in_the_routes_url(self, url: str, received: Received) -> None:
        parts = urlsplit(url)
        route = f"http://{OWNER}:{INBOUND_SECRET}@{parts.netloc}{parts.path}{PATH}"
        assert requests.post(route, json=payload(), timeout=20).status_code == 200

    def test_any_user_and_several_passwords_during_a_rotation(self, received: Received) -> None:
        with serving(received, auth=BasicAuth(["new-secret", "old-secret"])) as url:
            statuses = [post(url, auth=("anybody", p)).status_code for p in ("new-secret", "old-secret", "older")]
        assert statuses == [200, 200, 401]

    def test_a_path_secret(self, received: Received) -> None:
        with serving(received, auth=PathSecret(INBOUND_SECRET)) as url:
            statuses = [
                post(url, auth=None, path=f"{PATH}{tail}").status_code
                for tail in (f"/{INBOUND_SECRET}", "/wrong", "", "/", f"/{INBOUND_SECRET}/x")
            ]
            assert statuses == [200, 401, 404, 404, 404]
            assert post(url, event("spam"), auth=None, path=f"{EVENTS}/{INBOUND_SECRET}").status_code == 200

    def test_the_body_is_not_read_without_credentials(self, url: str) -> None:
        parts = urlsplit(url)
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=20)
        connection.putrequest("POST", parts.path + PATH)
        connection.putheader("Content-Length", str(10**12))
        connection.endheaders()
        assert connection.getresponse().status == 401  # with not one byte of the body sent
        connection.close()

    @pytest.mark.parametrize("secret", ["", [], ["x", ""]])
    def test_an_empty_secret_is_no_secret(self, secret: Any) -> None:
        for kind in (BasicAuth, PathSecret):
            with pytest.raises(WebhookConfigError, match="empty webhook secret"):
                kind(secret)

    def test_secrets_are_not_shown(self) -> None:
        assert INBOUND_SECRET not in repr(BasicAuth(INBOUND_SECRET, OWNER)) + repr(PathSecret(INBOUND_SECRET))

    def test_valid_token(self) -> None:
        assert valid_token("s3cret", "s3cret")
        assert not any(valid_token(presented, "s3cret") for presented in (None, "", "S3cret", "s3cre", "s3crets"))
        with pytest.raises(WebhookConfigError):
            valid_token("", "")


class TestLimits:
    def test_a_body_that_is_announced_too_large(self, url: str) -> None:
        parts = urlsplit(url)
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=20)
        connection.putrequest("POST", parts.path + PATH)
        connection.putheader("Content-Length", str(MAX_BODY_BYTES + 1))
        connection.putheader(
            "Authorization", "Basic " + base64.b64encode(f"{OWNER}:{INBOUND_SECRET}".encode()).decode()
        )
        connection.endheaders()
        assert connection.getresponse().status == 413
        connection.close()

    def test_a_chunked_body_that_grows_too_large(self, received: Received) -> None:
        with serving(received, max_body_bytes=1000) as url:
            chunks = iter([b"x" * 600, b"x" * 600])
            answer = requests.post(url + PATH, data=chunks, auth=(OWNER, INBOUND_SECRET), timeout=20)
        assert answer.status_code == 413

    @pytest.mark.slow
    def test_the_largest_mail_that_mailjet_takes(self, url: str, received: Received) -> None:
        content = bytes(range(256)) * (15 * 4096)  # 15 MiB
        body = payload(Attachment1=base64.b64encode(content).decode())
        assert post(url, body).status_code == 200
        assert received.calls[0][0].attachments[0].content == content

    @pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff", b"[" * 100_000, b'{"Recipient": 1}', b"null"])
    def test_what_is_no_delivery_gets_400(self, url: str, received: Received, body: bytes) -> None:
        answer = post(url, body)
        assert answer.status_code == 400
        assert "expected" in answer.json()["detail"]
        assert received.calls == []

    def test_other_methods_and_paths(self, url: str) -> None:
        assert requests.get(url + PATH, timeout=20).status_code == 405
        assert post(url, path="/").status_code == 404

    @pytest.mark.parametrize("path", ["", "/", "inbound", "/{x}"])
    def test_paths_that_cannot_be(self, path: str, received: Received) -> None:
        with pytest.raises(WebhookConfigError, match="path"):
            create_app(MailStack(stack_outputs()), on_mail=received.on_mail, auth=Unauthenticated(), path=path)


class TestUnknownRecipients:
    def test_refused_so_that_mailjet_tries_again(self, url: str, received: Received) -> None:
        assert post(url, payload(Recipient="nobody@dev.agents.example")).status_code == 404
        assert received.calls == []

    def test_ignored_if_configured(self, received: Received) -> None:
        with serving(received, unknown_recipients=UnknownRecipients.IGNORE) as url:
            answer = post(url, payload(Recipient="nobody@dev.agents.example"))
        assert (answer.status_code, answer.json()) == (200, {"status": "ignored"})
        assert received.calls == []


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[DeliveryStore]:
    if request.param == "memory":
        yield MemoryDeliveries()
    else:
        sqlite = SqliteDeliveries(tmp_path / "deliveries.sqlite")
        yield sqlite
        sqlite.close()


class TestOnce:
    def test_a_repeated_delivery_is_a_duplicate(self, received: Received, store: DeliveryStore) -> None:
        with serving(received, store=store) as url:
            answers = [post(url).json()["status"] for _ in range(3)]
        assert answers == ["accepted", "duplicate", "duplicate"]
        assert len(received.calls) == 1

    def test_another_recipient_is_another_delivery(self, received: Received, store: DeliveryStore) -> None:
        with serving(received, store=store) as url:
            post(url)
            post(url, payload(Recipient=ADDRESS_B))
        assert [agent for _, agent in received.calls] == [AGENT_A, AGENT_B]

    @pytest.mark.parametrize(("failure", "status"), [(ValueError("broken"), 500), (TryAgainError("later"), 503)])
    def test_a_failed_delivery_is_not_done(
        self, received: Received, store: DeliveryStore, failure: Exception, status: int
    ) -> None:
        received.failures += [failure, failure]
        with serving(received, store=store) as url:
            statuses = [post(url).status_code for _ in range(4)]
        assert statuses == [status, status, 200, 200]
        assert len(received.calls) == 1

    def test_concurrent_duplicates_run_the_hook_once(self, received: Received, store: DeliveryStore) -> None:
        received.hold = threading.Event()
        with serving(received, store=store) as url, ThreadPoolExecutor(8) as threads:
            first = threads.submit(post, url)
            assert received.started.wait(10)
            others = [threads.submit(post, url) for _ in range(7)]
            received.hold.set()
            answers = [future.result(20) for future in (first, *others)]
        assert [answer.status_code for answer in answers] == [200] * 8
        assert sorted(answer.json()["status"] for answer in answers) == ["accepted"] + ["duplicate"] * 7
        assert len(received.calls) == 1

    def test_a_duplicate_takes_over_when_the_first_fails(self, received: Received, store: DeliveryStore) -> None:
        received.hold = threading.Event()
        received.failures.append(TryAgainError("later"))
        with serving(received, store=store) as url, ThreadPoolExecutor(2) as threads:
            first = threads.submit(post, url)
            assert received.started.wait(10)
            second = threads.submit(post, url)
            received.hold.set()
            assert sorted([first.result(20).status_code, second.result(20).status_code]) == [200, 503]
        assert len(received.calls) == 1

    def test_a_duplicate_does_not_wait_for_ever(self, received: Received, store: DeliveryStore) -> None:
        received.hold = threading.Event()
        with serving(received, store=store, busy_wait_seconds=0.05) as url, ThreadPoolExecutor(1) as threads:
            first = threads.submit(post, url)
            assert received.started.wait(10)
            answer = post(url)
            assert (answer.status_code, answer.headers["Retry-After"]) == (503, "30")
            received.hold.set()
            assert first.result(20).status_code == 200
        assert len(received.calls) == 1

    def test_a_claim_is_renewed_while_the_hook_runs(self, received: Received) -> None:
        renewed = threading.Semaphore(0)

        class Watched(MemoryDeliveries):
            def renew(self, key: str, owner: str, lease_seconds: float) -> None:
                super().renew(key, owner, lease_seconds)
                renewed.release()

        received.hold = threading.Event()
        with serving(received, store=Watched(), lease_seconds=0.03) as url, ThreadPoolExecutor(1) as threads:
            first = threads.submit(post, url)
            assert all(renewed.acquire(timeout=10) for _ in range(3))
            received.hold.set()
            assert first.result(20).status_code == 200


class TestEvents:
    def test_single_and_grouped_events_reach_the_hook_once(self, url: str, received: Received) -> None:
        bounce, spam = event("bounce", hard_bounce=True), event("spam", source="JMRPP", Payload="")
        answer = post(url, bounce, path=EVENTS)
        assert (answer.status_code, answer.json()) == (200, {"status": "accepted", "events": 1})
        answer = post(url, [bounce, spam], path=EVENTS)
        assert answer.json() == {"status": "accepted", "events": 1}
        assert post(url, [bounce, spam], path=EVENTS).json() == {"status": "duplicate", "events": 0}
        assert [(type(e), agent) for e, agent in received.events] == [(BounceEvent, AGENT_A), (SpamEvent, None)]

    def test_a_failure_in_a_group_repeats_only_the_rest(self, url: str, received: Received) -> None:
        group = [event("bounce", MessageID=n) for n in range(3)]
        post(url, group[:1], path=EVENTS)
        received.failures.append(TryAgainError("later"))
        assert post(url, group, path=EVENTS).status_code == 503
        assert post(url, group, path=EVENTS).json()["events"] == 2
        assert [e.message_id for e, _ in received.events] == [0, 1, 2]

    def test_what_is_no_event_gets_400(self, url: str) -> None:
        assert post(url, b"[7]", path=EVENTS).status_code == 400

    def test_without_a_hook_there_is_no_endpoint(self, received: Received) -> None:
        with serving(received, on_event=None) as url:
            assert post(url, event("bounce"), path=EVENTS).status_code == 404
