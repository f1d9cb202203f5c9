"""Sending by SMTP against a real server with TLS."""

import asyncio
import email
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from email.message import EmailMessage
from email.policy import default

import pytest
from aiosmtpd.smtp import Envelope

from azmail import (
    NO_RETRIES,
    AccountBlockedError,
    Attachment,
    CredentialsRefusedError,
    DeliveryUncertainError,
    Mailbox,
    MailService,
    MailTooLargeError,
    MessageRefusedError,
    OutgoingMail,
    PoolExhaustedError,
    RecipientsRefusedError,
    Retries,
    Security,
    SenderRefusedError,
    SmtpTransport,
    TemporarySendError,
    TlsError,
    TransportConfigError,
    UnreachableError,
)
from tests.unit.azmail.conftest import ADDRESS_A, AGENT_A, Certificates
from tests.unit.azmail.servers import PASSWORD, USER, SmtpServer, smtp_server

NO_PAUSE = Retries(attempts=3, pause=lambda seconds: None)
Build = Callable[..., SmtpTransport]


@pytest.fixture
def build(smtp: SmtpServer, certificates: Certificates) -> Iterator[Build]:
    """Makes transports to the test's server and closes them."""
    made: list[SmtpTransport] = []

    def transport(**options: object) -> SmtpTransport:
        settings: dict[str, object] = {"ca_file": certificates.ca_file, "timeout": 10.0, "retries": NO_PAUSE}
        arguments = [options.pop(key, value) for key, value in (("host", smtp.host), ("port", smtp.port))]
        credentials = [options.pop(key, value) for key, value in (("username", USER), ("password", PASSWORD))]
        made.append(SmtpTransport(*arguments, *credentials, **(settings | options)))  # type: ignore[arg-type]
        return made[-1]

    yield transport
    for transport_ in made:
        transport_.close()


def mail(**changes: object) -> OutgoingMail:
    values: dict[str, object] = {"to": "ada@example.com", "subject": "Hello", "text": "Hello Ada\n"}
    return OutgoingMail(**(values | changes))  # type: ignore[arg-type]


def received(envelope: Envelope) -> EmailMessage:
    assert isinstance(envelope.content, bytes)
    message = email.message_from_bytes(envelope.content, policy=default)
    assert isinstance(message, EmailMessage)
    return message


def body(message: EmailMessage, kind: str) -> str:
    part = message.get_body((kind,))
    assert part is not None
    return str(part.get_content()).replace("\r\n", "\n")  # line ends of the wire


class TestDelivery:
    def test_everything_arrives_as_it_was_given(self, smtp: SmtpServer, build: Build, mailbox: Mailbox) -> None:
        every_byte = bytes(range(256)) * 300
        service = MailService(mailbox, build(), display_name="Agent 427")
        receipt = service.send(
            OutgoingMail(
                to=["Ada Lovelace <ada@example.com>", "zoe@example.com"],
                cc="carol@example.com",
                bcc="bob@example.com",
                reply_to="desk@example.com",
                subject="Grüße, 世界",
                text="Dots:\n.\n..\n.end\nüber\n",
                html='<p>über <img src="cid:logo"></p>\n',
                attachments=[
                    Attachment("bytes größe.bin", every_byte),
                    Attachment("logo.png", b"\x89PNG\r\n\x1a\n", "image/png", content_id="logo"),
                ],
                in_reply_to="<first@example.com>",
                references=["<zeroth@example.com>", "<first@example.com>"],
                custom_id="order-7",
                headers={"X-Ticket": "42"},
            )
        )
        (envelope,) = smtp.script.accepted
        assert envelope.mail_from == ADDRESS_A
        assert envelope.rcpt_tos == ["ada@example.com", "zoe@example.com", "carol@example.com", "bob@example.com"]
        message = received(envelope)
        assert message["From"].addresses[0].display_name == "Agent 427"
        assert message["From"].addresses[0].addr_spec == ADDRESS_A
        assert message["Subject"] == "Grüße, 世界"
        assert message["Bcc"] is None
        assert b"bob@example.com" not in (envelope.content or b"")
        assert message["Reply-To"] == "desk@example.com"
        assert message["In-Reply-To"] == "<first@example.com>"
        assert message["References"] == "<zeroth@example.com> <first@example.com>"
        assert message["X-MJ-CustomID"] == "order-7"
        assert message["X-MJ-EventPayload"] == f'{{"agent_id": "{AGENT_A}"}}'
        assert message["X-Ticket"] == "42"
        assert message["Message-ID"]
        assert (receipt.custom_id, receipt.message_id) == ("order-7", None), "Mailjet replaces the Message-ID"
        assert body(message, "plain") == "Dots:\n.\n..\n.end\nüber\n"
        assert body(message, "html") == '<p>über <img src="cid:logo"></p>\n'
        (attachment,) = message.iter_attachments()
        assert attachment.get_filename() == "bytes größe.bin"
        assert attachment.get_payload(decode=True) == every_byte
        image = next(part for part in message.walk() if part.get_content_type() == "image/png")
        assert image["Content-ID"] == "<logo>"
        assert receipt.recipients == ("ada@example.com", "zoe@example.com", "carol@example.com", "bob@example.com")
        assert receipt.answer == "OK queued as 1"

    def test_a_recipient_named_twice_gets_one_copy(self, smtp: SmtpServer, build: Build, mailbox: Mailbox) -> None:
        MailService(mailbox, build()).send(mail(cc="ADA@example.com"))
        assert smtp.script.accepted[0].rcpt_tos == ["ada@example.com"]

    def test_asyncio_sends_many_at_once_over_a_bounded_pool(
        self, smtp: SmtpServer, build: Build, mailbox: Mailbox
    ) -> None:
        service = MailService(mailbox, build(pool_size=3))

        async def send_all() -> None:
            await asyncio.gather(*(service.send_async(mail(subject=f"mail {n}")) for n in range(20)))

        asyncio.run(send_all())
        assert {received(envelope)["Subject"] for envelope in smtp.script.accepted} == {f"mail {n}" for n in range(20)}
        assert smtp.script.most_open <= 3


class TestTls:
    def test_implicit_tls(self, certificates: Certificates, mailbox: Mailbox) -> None:
        with (
            smtp_server(certificates.server, implicit=True) as server,
            SmtpTransport(
                server.host, server.port, USER, PASSWORD, security=Security.IMPLICIT, ca_file=certificates.ca_file
            ) as transport,
        ):
            MailService(mailbox, transport).send(mail())
            assert len(server.script.accepted) == 1

    def test_port_465_means_implicit_tls(self) -> None:
        assert SmtpTransport("localhost", 465, USER, PASSWORD).security is Security.IMPLICIT
        assert SmtpTransport("localhost", 587, USER, PASSWORD).security is Security.STARTTLS

    def test_an_unknown_authority_is_refused_before_the_login(
        self, smtp: SmtpServer, build: Build, mailbox: Mailbox
    ) -> None:
        with pytest.raises(TlsError, match="ca_file") as caught:
            MailService(mailbox, build(ca_file=None)).send(mail())
        assert not caught.value.maybe_sent
        assert smtp.script.logins == 0

    def test_a_certificate_for_another_host_is_refused(self, certificates: Certificates, mailbox: Mailbox) -> None:
        with (
            smtp_server(certificates.other_name) as server,
            SmtpTransport(server.host, server.port, USER, PASSWORD, ca_file=certificates.ca_file) as transport,
            pytest.raises(TlsError, match=r"127\.0\.0\.1"),
        ):
            MailService(mailbox, transport).send(mail())

    def test_a_server_without_starttls_never_sees_the_credentials(
        self, smtp: SmtpServer, build: Build, mailbox: Mailbox
    ) -> None:
        smtp.script.offer_starttls = False
        with pytest.raises(TlsError, match="does not offer STARTTLS"):
            MailService(mailbox, build()).send(mail())
        assert smtp.script.logins == 0

    def test_implicit_tls_to_a_plain_port_is_named(self, build: Build, mailbox: Mailbox) -> None:
        with pytest.raises(TlsError):
            MailService(mailbox, build(security=Security.IMPLICIT)).send(mail())

    def test_a_missing_ca_file_is_named(self) -> None:
        with pytest.raises(TransportConfigError, match=r"/no/such/ca\.pem"):
            SmtpTransport("localhost", 587, USER, PASSWORD, ca_file="/no/such/ca.pem")


class TestPool:
    def test_one_connection_serves_many_mails(self, smtp: SmtpServer, build: Build, mailbox: Mailbox) -> None:
        service = MailService(mailbox, build())
        for _ in range(5):
            service.send(mail())
        assert (smtp.script.connections, smtp.script.logins, len(smtp.script.accepted)) == (1, 1, 5)

    def test_a_connection_is_renewed_after_its_share_of_mails(
        self, smtp: SmtpServer, build: Build, mailbox: Mailbox
    ) -> None:
        service = MailService(mailbox, build(mails_per_connection=2))
        for _ in range(5):
            service.send(mail())
        assert smtp.script.connections == 3

    def test_an_idle_connection_is_not_used_again(self, smtp: SmtpServer, build: Build, mailbox: Mailbox) -> None:
        now = [100.0]
        service = MailService(mailbox, build(idle_seconds=30.0, clock=lambda: now[0]))
        service.send(mail())
        now[0] += 31
        service.send(mail())
        assert smtp.script.connections == 2

    def test_a_connection_that_the_server_closed_costs_no_attempt(
        self, smtp: SmtpServer, build: Build, mailbox: Mailbox
    ) -> None:
        service = MailService(mailbox, build(retries=NO_RETRIES))
        service.send(mail())
        smtp.drop_connections()
        service.send(mail())
        smtp.script.mail.append("421 idle for too long")
        service.send(mail())
        smtp.script.mail.append("abort")
        service.send(mail())
        assert len(smtp.script.accepted) == 4

    def test_a_refused_mail_leaves_the_connection_usable(
        self, smtp: SmtpServer, build: Build, mailbox: Mailbox
    ) -> None:
        service = MailService(mailbox, build())
        smtp.script.rcpt["ada@example.com"] = ["550 no such user"]
        with pytest.raises(RecipientsRefusedError):
            service.send(mail())
        service.send(mail())
        assert smtp.script.connections == 1

    def test_a_full_pool_is_an_error_in_time(self, smtp: SmtpServer, build: Build, mailbox: Mailbox) -> None:
        smtp.script.hold = threading.Event()
        service = MailService(mailbox, build(pool_size=1, pool_timeout=0.05))
        with ThreadPoolExecutor(1) as threads:
            first = threads.submit(service.send, mail())
            assert smtp.script.waiting.acquire(timeout=10)
            with pytest.raises(PoolExhaustedError, match="all 1 connections were busy"):
                service.send(mail())
            smtp.script.hold.set()
            first.result(10)
        assert len(smtp.script.accepted) == 1


class TestRetries:
    @pytest.mark.parametrize(
        ("moment", "answer"),
        [
            ("mail", "451 busy"),
            ("mail", "abort"),
            ("before_354", "451 busy"),
            ("before_354", "abort"),
            ("after_data", "451 busy"),
        ],
    )
    def test_what_cannot_have_been_sent_is_sent_again_once(
        self, smtp: SmtpServer, build: Build, mailbox: Mailbox, moment: str, answer: str
    ) -> None:
        getattr(smtp.script, moment).append(answer)
        MailService(mailbox, build()).send(mail())
        assert len(smtp.script.accepted) == 1

    @pytest.mark.slow
    def test_a_connection_cut_within_a_large_mail_is_sent_again(
        self, smtp: SmtpServer, build: Build, mailbox: Mailbox
    ) -> None:
        smtp.script.after_354.append("abort")
        MailService(mailbox, build()).send(mail(attachments=[Attachment("large.bin", bytes(4_000_000))]))
        assert len(smtp.script.accepted) == 1

    def test_a_lost_answer_is_never_sent_again(self, smtp: SmtpServer, build: Build, mailbox: Mailbox) -> None:
        smtp.script.after_data.append("accept and abort")
        with pytest.raises(DeliveryUncertainError, match="may have been sent") as caught:
            MailService(mailbox, build()).send(mail())
        assert caught.value.maybe_sent
        assert len(smtp.script.accepted) == 1

    def test_every_attempt_carries_the_same_message_id(self, smtp: SmtpServer, build: Build, mailbox: Mailbox) -> None:
        smtp.script.after_data.append("451 busy")
        receipt = MailService(mailbox, build(keeps_message_id=True)).send(mail())
        assert received(smtp.script.accepted[0])["Message-ID"] == receipt.message_id
        assert received(smtp.script.accepted[0])["X-MJ-CustomID"] == receipt.custom_id

    def test_pauses_grow_and_the_last_error_is_raised(self, smtp: SmtpServer, build: Build, mailbox: Mailbox) -> None:
        pauses: list[float] = []
        smtp.script.mail += ["451 busy"] * 4
        retries = Retries(attempts=4, first_pause=1, longest_pause=3, pause=pauses.append)
        with pytest.raises(TemporarySendError, match="451 busy") as caught:
            MailService(mailbox, build(retries=retries)).send(mail())
        assert pauses == [1, 2, 3]
        assert caught.value.temporary
        assert not caught.value.maybe_sent

    def test_nobody_listening_is_unreachable(self, build: Build, mailbox: Mailbox, certificates: Certificates) -> None:
        with smtp_server(certificates.server) as gone:
            port = gone.port
        with pytest.raises(UnreachableError, match="nothing was sent"):
            MailService(mailbox, build(port=port)).send(mail())

    def test_no_retries_after_a_permanent_answer(self, smtp: SmtpServer, build: Build, mailbox: Mailbox) -> None:
        smtp.script.after_data.append("554 no")
        with pytest.raises(MessageRefusedError):
            MailService(mailbox, build()).send(mail())
        assert not smtp.script.accepted


class TestTypedErrors:
    @pytest.mark.parametrize(
        ("moment", "answer", "kind"),
        [
            ("mail", "550 not yours", SenderRefusedError),
            ("after_data", "550 5.1.8 Sender address is not validated", SenderRefusedError),
            ("after_data", "552 message exceeds limits", MailTooLargeError),
            ("mail", "552 message size exceeds fixed limit", MailTooLargeError),
            ("mail", "554 your account is blocked", AccountBlockedError),
            ("after_data", "554 API key suspended", AccountBlockedError),
            ("after_data", "554 smells of spam", MessageRefusedError),
        ],
    )
    def test_refusals(
        self, smtp: SmtpServer, build: Build, mailbox: Mailbox, moment: str, answer: str, kind: type[Exception]
    ) -> None:
        getattr(smtp.script, moment).append(answer)
        with pytest.raises(kind):
            MailService(mailbox, build()).send(mail())

    def test_one_refused_recipient_stops_the_mail_for_all(
        self, smtp: SmtpServer, build: Build, mailbox: Mailbox
    ) -> None:
        smtp.script.rcpt["bob@example.com"] = ["550 5.1.1 no such user"]
        with pytest.raises(RecipientsRefusedError, match="sent to nobody") as caught:
            MailService(mailbox, build()).send(mail(cc="bob@example.com"))
        assert caught.value.refused == {"bob@example.com": "550 5.1.1 no such user"}
        assert not smtp.script.accepted

    def test_a_sender_judged_at_the_recipient_is_a_refused_sender(
        self, smtp: SmtpServer, build: Build, mailbox: Mailbox
    ) -> None:
        smtp.script.rcpt["ada@example.com"] = ["553 5.7.1 Sender address rejected"]
        with pytest.raises(SenderRefusedError):
            MailService(mailbox, build()).send(mail())

    def test_wrong_credentials(self, smtp: SmtpServer, build: Build, mailbox: Mailbox) -> None:
        with pytest.raises(CredentialsRefusedError) as caught:
            MailService(mailbox, build(password="wrong-password")).send(mail())
        assert "wrong-password" not in str(caught.value)
        assert USER not in str(caught.value)

    def test_a_blocked_account_at_login(self, smtp: SmtpServer, build: Build, mailbox: Mailbox) -> None:
        smtp.script.auth += ["535 5.7.8 Your account has been blocked"] * 3
        with pytest.raises(AccountBlockedError):
            MailService(mailbox, build()).send(mail())

    def test_the_servers_size_limit_is_respected_before_sending(
        self, smtp: SmtpServer, build: Build, mailbox: Mailbox
    ) -> None:
        smtp.script.size_limit = 10_000
        with pytest.raises(MailTooLargeError, match="at most 10000 bytes"):
            MailService(mailbox, build()).send(mail(attachments=[Attachment("a.bin", bytes(20_000))]))
        assert not smtp.script.accepted


def test_nothing_secret_in_a_representation(build: Build, mailbox: Mailbox) -> None:
    service = MailService(mailbox, build())
    for shown in (repr(service), repr(service.transport), repr(mailbox), str(mailbox)):
        assert PASSWORD not in shown
        assert USER not in shown
