"""Answering a mail: who gets the answer and how it stays in its thread."""

import asyncio
import dataclasses
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from azmail import (
    InboundMail,
    InvalidMailError,
    MailAddress,
    Mailbox,
    MailService,
    OutgoingMail,
    Receipt,
    Retries,
    TooManyRecipientsError,
    Transport,
    parse_inbound,
    thread_of,
)
from azmail.service import MAX_REFERENCES
from tests.unit.azmail.conftest import ADDRESS_A, AGENT_A


class Drawer(Transport):
    """A transport that keeps what it is given."""

    def __init__(self) -> None:
        super().__init__(concurrency=1, retries=Retries())
        self.sent: list[tuple[OutgoingMail, MailAddress]] = []

    def send(self, mail: OutgoingMail, sender: MailAddress) -> Receipt:
        self.sent.append((mail, sender))
        return Receipt(tuple(recipient.email for recipient in mail.recipients))


@pytest.fixture
def drawer() -> Drawer:
    return Drawer()


@pytest.fixture
def service(drawer: Drawer, mailbox: Mailbox) -> MailService:
    return MailService(mailbox, drawer, display_name="Agent 427")


def inbound(sender: str = "ada@example.com", **headers: Any) -> InboundMail:
    given_headers = {name.replace("_", "-"): value for name, value in headers.items()}
    fixed = {"From": "Ada <ada@example.com>", "To": ADDRESS_A, "Message-ID": "<2@example.com>", "Subject": "Hello"}
    return parse_inbound({"Sender": sender, "Recipient": ADDRESS_A, "Headers": fixed | given_headers})


class TestReply:
    def test_the_answer_goes_to_the_author_in_the_thread(self, service: MailService, drawer: Drawer) -> None:
        receipt = service.reply(inbound(References="<0@example.com> <1@example.com>"), text="Thanks")
        ((mail, sender),) = drawer.sent
        assert receipt.recipients == ("ada@example.com",)
        assert sender == MailAddress(ADDRESS_A, "Agent 427")
        assert mail.to == (MailAddress("ada@example.com", "Ada"),)
        assert mail.subject == "Re: Hello"
        assert mail.in_reply_to == "<2@example.com>"
        assert mail.references == ("<0@example.com>", "<1@example.com>", "<2@example.com>")
        assert json.loads(mail.event_payload or "") == {"agent_id": AGENT_A}

    def test_reply_to_comes_before_from(self, service: MailService) -> None:
        mail = service.compose_reply(inbound(Reply_To="desk@example.com"), text="x")
        assert mail.to == (MailAddress("desk@example.com"),)

    @pytest.mark.parametrize(("others", "taken"), [(49, True), (50, False), (5_000, False)])
    def test_a_circle_beyond_mailjets_limit_is_refused_before_anybody_is_answered(
        self, service: MailService, drawer: Drawer, others: int, taken: bool
    ) -> None:
        received = inbound(Cc=", ".join(f"n{number}@example.com" for number in range(others)))
        if taken:
            assert len(service.compose_reply(received, text="x", to_all=True).recipients) == 50
            return
        with pytest.raises(TooManyRecipientsError, match=f"the answer has {others + 1} recipients.*without to_all"):
            service.reply(received, text="x", to_all=True)
        assert not drawer.sent
        assert service.reply(received, text="x").recipients == ("ada@example.com",)

    def test_to_all_leaves_out_oneself_and_the_author(self, service: MailService) -> None:
        received = inbound(
            To=f"{ADDRESS_A.upper()}, Bob <bob@example.com>", Cc="ADA@example.com, carol@example.com, bob@example.com"
        )
        mail = service.compose_reply(received, text="x", to_all=True)
        assert [address.email for address in mail.cc] == ["bob@example.com", "carol@example.com"]
        assert service.compose_reply(received, text="x").cc == ()

    @pytest.mark.parametrize(
        "bad",
        ["x@server_mail.example", "jörg@example.com", f"{'x' * 65}@example.com", "x@-example.com", "a b@example.com"],
    )
    def test_one_who_cannot_be_addressed_does_not_keep_the_answer_from_the_others(
        self, service: MailService, mailbox: Mailbox, bad: str
    ) -> None:
        received = dataclasses.replace(inbound(), cc=(MailAddress(bad), MailAddress("carol@münchen.example")))
        mail = service.compose_reply(received, text="x", to_all=True)
        assert [address.email for address in mail.cc] == ["carol@xn--mnchen-3ya.example"]
        assert mail.left_out == (bad,)
        assert service.compose_reply(received, text="x").left_out == ()

    def test_the_author_is_answered_where_reply_to_is_no_address(self, service: MailService) -> None:
        received = dataclasses.replace(inbound(), reply_to=(MailAddress("x@server_mail.example"),))
        mail = service.compose_reply(received, text="x")
        assert [address.email for address in mail.to] == ["ada@example.com"]
        assert mail.left_out == ("x@server_mail.example",)

    def test_nobody_who_can_be_addressed(self, service: MailService) -> None:
        received = dataclasses.replace(inbound(), from_address=MailAddress("x@server_mail.example"))
        with pytest.raises(InvalidMailError, match=r"x@server_mail\.example"):
            service.compose_reply(received, text="x")

    @given(
        subject=st.text(),
        name=st.text(max_size=400),
        emails=st.lists(st.text(max_size=80), max_size=5),
        ids=st.lists(st.text(max_size=1000), max_size=3),
    )
    @settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
    def test_whatever_was_received_can_be_answered(
        self, service: MailService, subject: str, name: str, emails: list[str], ids: list[str]
    ) -> None:
        received = dataclasses.replace(
            inbound(),
            subject=f"{subject}\ud800\r\n",
            from_address=MailAddress("ada@example.com", f"{name}\x00\udc00"),
            cc=tuple(MailAddress(email) for email in emails),
            message_id=ids[0] if ids else None,
            references=tuple(ids),
        )
        mail = service.compose_reply(received, text="x", to_all=True)
        assert len(mail.cc) + len(mail.left_out) <= len(emails)

    @pytest.mark.parametrize(
        ("subject", "answer"), [("Re: a", "Re: a"), ("RE:a", "RE:a"), ("", "Re: "), ("x" * 300, "Re: " + "x" * 251)]
    )
    def test_subjects(self, service: MailService, subject: str, answer: str) -> None:
        assert service.compose_reply(inbound(Subject=subject), text="x").subject == answer

    def test_an_answer_says_that_a_machine_wrote_it(self, service: MailService) -> None:
        assert service.compose_reply(inbound(), text="x").headers == {"Auto-Submitted": "auto-replied"}
        assert service.compose_reply(inbound(), text="x", auto_submitted=None).headers == {}

    def test_a_bounce_is_never_answered(self, service: MailService) -> None:
        with pytest.raises(InvalidMailError, match="bounce"):
            service.reply(inbound(sender=""), text="x")

    def test_a_mail_from_nobody(self, service: MailService) -> None:
        with pytest.raises(InvalidMailError, match="nobody to answer"):
            service.reply(inbound(From="undisclosed"), text="x")

    def test_line_breaks_hidden_in_encoded_words_do_not_matter(self, service: MailService, drawer: Drawer) -> None:
        hidden = "=?utf-8?q?a=0D=0ABcc:_eve=40example.com?="
        service.reply(inbound(Subject=hidden, From=f"{hidden} <ada@example.com>"), text="x")
        assert drawer.sent[0][0].subject == "Re: a  Bcc: eve@example.com"

    def test_async(self, service: MailService, drawer: Drawer) -> None:
        asyncio.run(service.reply_async(inbound(), html="<p>x</p>"))
        drawer.close()
        assert drawer.sent[0][0].html == "<p>x</p>"


class TestThread:
    def test_a_parent_without_references_gives_its_in_reply_to(self) -> None:
        assert thread_of(inbound(In_Reply_To="<1@example.com>")) == (
            "<2@example.com>",
            ("<1@example.com>", "<2@example.com>"),
        )

    def test_a_mail_without_a_usable_message_id(self) -> None:
        for message_id in ("", "no brackets", "<a b>"):
            assert thread_of(inbound(Message_ID=message_id)) == (None, ())

    @given(st.integers(min_value=0, max_value=100))
    def test_long_threads_keep_their_ends(self, length: int) -> None:
        ids = [f"<{n}@example.com>" for n in range(length)]
        answered, references = thread_of(inbound(References=" ".join(ids), Message_ID="<last@example.com>"))
        assert answered == references[-1] == "<last@example.com>"
        assert len(references) == min(length + 1, MAX_REFERENCES)
        assert references[0] == [*ids, answered][0]


class TestOwnership:
    def test_a_shared_transport_stays_open(self, service: MailService, drawer: Drawer) -> None:
        closed: list[bool] = []
        drawer.close = lambda: closed.append(True)  # type: ignore[method-assign]
        with service:
            pass
        assert closed == []

    def test_a_transport_of_its_own_is_made_from_the_mailbox(self, mailbox: Mailbox) -> None:
        with MailService(mailbox) as service:
            assert f"{mailbox.smtp_host}:{mailbox.smtp_port}" in repr(service.transport)
