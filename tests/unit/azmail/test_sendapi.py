"""Sending by Send API v3.1 against a real HTTP server."""

import asyncio
import base64
import json
from collections.abc import Iterator
from typing import Any

import certifi
import pytest

from azmail import (
    AccountBlockedError,
    Attachment,
    CredentialsRefusedError,
    DeliveryUncertainError,
    InvalidMailError,
    Mailbox,
    MailService,
    MailTooLargeError,
    MessageRefusedError,
    OutgoingMail,
    RecipientsRefusedError,
    Retries,
    SendApiTransport,
    SenderRefusedError,
    SendError,
    TemporarySendError,
    TlsError,
    TransportConfigError,
    UnreachableError,
)
from tests.unit.azmail.conftest import ADDRESS_A, AGENT_A, Certificates
from tests.unit.azmail.servers import PASSWORD, USER, Answer, HttpServer, http_server

NO_PAUSE = Retries(attempts=3, pause=lambda seconds: None)
LARGE_ID = 576464555653964483  # above 2^53: a float would lose the last digits


def success() -> dict[str, Any]:
    href = f"https://api.mailjet.com/v3/REST/message/{LARGE_ID}"
    sent = {"Email": "ada@example.com", "MessageUUID": "u", "MessageID": LARGE_ID, "MessageHref": href}
    return {"Messages": [{"Status": "success", "CustomID": "", "To": [sent], "Cc": [], "Bcc": []}]}


def failure(code: str, status: int, message: str = "no", related: tuple[str, ...] = ()) -> Answer:
    error = {
        "ErrorIdentifier": "f987008f-251a-4dff-8ffc-40f1583ad7bc",
        "ErrorCode": code,
        "StatusCode": status,
        "ErrorMessage": message,
        "ErrorRelatedTo": list(related),
    }
    return Answer(status, {"Messages": [{"Status": "error", "Errors": [error]}]})


def mail(**changes: object) -> OutgoingMail:
    values: dict[str, object] = {"to": ["ada@example.com", "bob@example.com"], "subject": "Hello", "text": "Hello\n"}
    return OutgoingMail(**(values | changes))  # type: ignore[arg-type]


@pytest.fixture
def service(http: HttpServer, mailbox: Mailbox) -> Iterator[MailService]:
    http.answer = lambda request: Answer(200, success())
    with SendApiTransport.of(mailbox, base_url=http.url, retries=NO_PAUSE) as transport:
        yield MailService(mailbox, transport, display_name="Agent 427")


def test_a_mail_is_one_authenticated_request(http: HttpServer, service: MailService) -> None:
    receipt = service.send(mail(attachments=[Attachment("a.bin", bytes(range(256)))]))
    (request,) = http.requests
    assert (request.method, request.path) == ("POST", "/v3.1/send")
    assert request.headers["Authorization"] == "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
    assert set(request.json) == {"Messages"}
    (message,) = request.json["Messages"]
    assert message["From"] == {"Email": ADDRESS_A, "Name": "Agent 427"}
    assert json.loads(message["EventPayload"]) == {"agent_id": AGENT_A}
    assert base64.b64decode(message["Attachments"][0]["Base64Content"]) == bytes(range(256))
    assert receipt.mailjet_ids == (LARGE_ID,)
    assert receipt.message_id is None
    assert receipt.custom_id == message["CustomID"] != ""
    assert receipt.recipients == ("ada@example.com", "bob@example.com")


def test_the_senders_own_event_payload_stays(http: HttpServer, service: MailService) -> None:
    service.send(mail(event_payload="mine", custom_id="c"))
    assert http.requests[0].json["Messages"][0]["EventPayload"] == "mine"


def test_asyncio(http: HttpServer, service: MailService) -> None:
    async def send_all() -> None:
        await asyncio.gather(*(service.send_async(mail()) for _ in range(10)))

    asyncio.run(send_all())
    assert len(http.requests) == 10


def test_sandbox(http: HttpServer, mailbox: Mailbox) -> None:
    answer = success()
    answer["Messages"][0]["To"][0] |= {"MessageUUID": "", "MessageID": 0}
    http.answers.append(Answer(200, answer))
    with SendApiTransport.of(mailbox, base_url=http.url, sandbox=True) as transport:
        receipt = MailService(mailbox, transport).send(mail())
    assert http.requests[0].json["SandboxMode"] is True
    assert receipt.mailjet_ids == ()


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (failure("send-0008", 403, related=("From",)), SenderRefusedError),
        (failure("mj-0013", 400, related=("From.Email",)), SenderRefusedError),
        (failure("mj-0013", 400, related=("To[1].Email",)), RecipientsRefusedError),
        (failure("mj-0013", 400, related=("ReplyTo.Email",)), MessageRefusedError),
        (failure("mj-0001", 401), AccountBlockedError),
        (failure("mj-0015", 401), CredentialsRefusedError),
        (failure("mj-0011", 400), MailTooLargeError),
        (failure("send-0015", 400), InvalidMailError),
        (failure("send-0003", 400), MessageRefusedError),
        (Answer(401, {"ErrorIdentifier": "x", "StatusCode": 401, "ErrorMessage": "API key authentication failure."}),
         CredentialsRefusedError),
        (Answer(401, ""), CredentialsRefusedError),
        (Answer(401, {"StatusCode": 401, "ErrorMessage": "Your account has been temporarily blocked."}),
         AccountBlockedError),
        (Answer(413, "<html>"), MailTooLargeError),
        (Answer(400, {"ErrorCode": "mj-0002", "ErrorMessage": "Malformed JSON"}), MessageRefusedError),
        (Answer(404, "<html>"), MessageRefusedError),
        (Answer(302, "", {"Location": "https://elsewhere.example/"}), MessageRefusedError),
    ],
)  # fmt: skip
def test_refusals_are_typed_and_not_repeated(
    http: HttpServer, service: MailService, answer: Answer, kind: type[Exception]
) -> None:
    http.answers.append(answer)
    with pytest.raises(kind) as caught:
        service.send(mail())
    assert type(caught.value) is kind
    assert len(http.requests) == 1
    assert PASSWORD not in str(caught.value)


def test_the_refused_recipient_is_named(http: HttpServer, service: MailService) -> None:
    http.answers.append(failure("mj-0013", 400, "not an address", ("To[1].Email",)))
    with pytest.raises(RecipientsRefusedError) as caught:
        service.send(mail())
    assert caught.value.refused == {"bob@example.com": "not an address"}


class TestRetries:
    def test_429_is_sent_again_after_the_time_asked_for(self, http: HttpServer, mailbox: Mailbox) -> None:
        pauses: list[float] = []
        http.answers += [Answer(429, "<html>"), Answer(429, "", {"Retry-After": "7"}), Answer(200, success())]
        retries = Retries(attempts=3, first_pause=1, longest_pause=30, pause=pauses.append)
        with SendApiTransport.of(mailbox, base_url=http.url, retries=retries) as transport:
            MailService(mailbox, transport).send(mail())
        assert pauses == [1, 7]
        assert len(http.requests) == 3

    def test_429_for_ever_is_temporary(self, http: HttpServer, service: MailService) -> None:
        http.answer = lambda request: Answer(429, "<html><body><h1>429 Too Many Requests</h1>")
        with pytest.raises(TemporarySendError) as caught:
            service.send(mail())
        assert caught.value.temporary
        assert len(http.requests) == 3

    @pytest.mark.parametrize(
        "answer",
        [
            Answer(reset=True),
            Answer(500, {"ErrorIdentifier": "x"}),
            Answer(502, "<html>"),
            Answer(503),
            Answer(504),
            Answer(200, "<html>"),
            Answer(200, {"Messages": []}),
            Answer(200, "[]"),
        ],
    )
    def test_what_may_have_been_sent_is_never_repeated(
        self, http: HttpServer, service: MailService, answer: Answer
    ) -> None:
        http.answers.append(answer)
        with pytest.raises(DeliveryUncertainError) as caught:
            service.send(mail())
        assert caught.value.maybe_sent
        assert len(http.requests) == 1

    def test_nobody_listening(self, mailbox: Mailbox) -> None:
        with http_server() as gone:
            url = gone.url
        tries: list[float] = []
        retries = Retries(attempts=3, pause=tries.append)
        with SendApiTransport.of(mailbox, base_url=url, retries=retries) as transport, pytest.raises(UnreachableError):
            MailService(mailbox, transport).send(mail())
        assert len(tries) == 2


class TestTls:
    def test_a_private_authority(
        self, certificates: Certificates, mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", certifi.where())  # must not override ca_file
        with http_server(certificates.server) as server:
            server.answer = lambda request: Answer(200, success())
            with SendApiTransport.of(mailbox, base_url=server.url, ca_file=str(certificates.ca_file)) as transport:
                MailService(mailbox, transport).send(mail())
            assert len(server.requests) == 1

    def test_an_unknown_authority_is_refused(self, certificates: Certificates, mailbox: Mailbox) -> None:
        with (
            http_server(certificates.server) as server,
            SendApiTransport.of(mailbox, base_url=server.url, retries=NO_PAUSE) as transport,
            pytest.raises(TlsError, match="ca_file"),
        ):
            MailService(mailbox, transport).send(mail())

    def test_plain_http_is_for_neighbours_only(self) -> None:
        SendApiTransport(USER, PASSWORD, base_url="http://mailjet-emulator:8810").close()
        with pytest.raises(TlsError, match="http"):
            SendApiTransport(USER, PASSWORD, base_url="http://api.mailjet.com")

    @pytest.mark.parametrize("url", ["api.mailjet.com", "ftp://x", "https://", "https://user:hunter2@api.mailjet.com"])
    def test_wrong_base_urls(self, url: str) -> None:
        with pytest.raises(TransportConfigError) as caught:
            SendApiTransport(USER, PASSWORD, base_url=url)
        assert "hunter2" not in str(caught.value)


def test_nothing_secret_in_a_representation(service: MailService) -> None:
    assert PASSWORD not in repr(service)
    assert USER not in repr(service)


class TestWhatMailjetReported:
    @pytest.mark.parametrize("code", ["mj-0001", "mj-0011", "mj-0013", "mj-0015", "send-0008", "send-0015", "new-1"])
    def test_is_on_every_kind_of_refusal(self, http: HttpServer, service: MailService, code: str) -> None:
        error = {"ErrorIdentifier": "f987008f-251a", "ErrorCode": code, "ErrorMessage": "no", "StatusCode": 400}
        http.answers.append(Answer(400, {"Messages": [{"Status": "error", "Errors": [error]}]}))
        with pytest.raises(SendError) as caught:
            service.send(mail())
        assert (caught.value.status, caught.value.error_code) == (400, code)
        assert caught.value.error_identifier == "f987008f-251a"
        assert str(caught.value).endswith(f"[status 400, ErrorCode {code}, ErrorIdentifier f987008f-251a]")

    @pytest.mark.parametrize("status", [400, 429, 500])
    def test_is_read_from_an_answer_without_messages(self, http: HttpServer, service: MailService, status: int) -> None:
        http.answer = lambda request: Answer(status, {"ErrorIdentifier": "0a1b", "ErrorMessage": "no"})
        with pytest.raises(SendError, match=rf"\[status {status}, ErrorIdentifier 0a1b\]$") as caught:
            service.send(mail())
        assert (caught.value.status, caught.value.error_code) == (status, "")
