"""Two agents that answer everything, with headers that lie, stop."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from azmail import (
    InboundMail,
    LoopBoundError,
    MailAddress,
    Mailbox,
    MailService,
    OutgoingMail,
    Receipt,
    ReplyBound,
    Retries,
    SqliteDeliveries,
    TransportConfigError,
    UnreachableError,
    parse_inbound,
)
from azmail.answers import AnswerStore, MemoryAnswers
from azmail.errors import StoreError
from azmail.transport import Transport

A, B = "a@agents.example", "b@agents.example"
NUMBERS = itertools.count()
Lie = Callable[[dict[str, str]], dict[str, str]]


def without(*names: str) -> Lie:
    return lambda headers: {name: value for name, value in headers.items() if name not in names}


LIES: dict[str, Lie] = {
    "honest threads": without(),
    "no ids": without("Message-ID", "In-Reply-To", "References", "Auto-Submitted"),
    "new ids": lambda headers: without("In-Reply-To", "References")(headers) | {"Message-ID": f"<{next(NUMBERS)}@x>"},
    "new ids and subjects": lambda headers: (
        without("In-Reply-To", "References")(headers)
        | {"Message-ID": f"<{next(NUMBERS)}@x>", "Subject": f"ticket {next(NUMBERS)}", "Auto-Submitted": "no"}
    ),
    "one id, new subjects": lambda headers: headers | {"Message-ID": "<1@x>", "Subject": f"ticket {next(NUMBERS)}"},
}


def mailbox(address: str) -> Mailbox:
    return Mailbox(
        agent_id="538605c0-4728-53d9-b533-76e2b3da240c",
        address=address,
        smtp_host="127.0.0.1",
        smtp_port=9,
        smtp_username="user",
        smtp_password="password",
        inbound_url="https://api.agents.example/inbound",
        inbound_secret="",
    )


class Wire(Transport):
    """Carries a mail to the other side as the other side's machine would have written its header."""

    def __init__(self, lie: Lie = LIES["honest threads"]) -> None:
        super().__init__(concurrency=1, retries=Retries())
        self.lie = lie
        self.carried: list[InboundMail] = []
        self.failing = False

    def send(self, mail: OutgoingMail, sender: MailAddress) -> Receipt:
        if self.failing:
            raise UnreachableError("127.0.0.1:9", "refused")
        headers = {"From": str(sender), "To": mail.to[0].email, "Subject": mail.subject}
        headers |= {"Message-ID": f"<{next(NUMBERS)}@agents.example>", **mail.headers}
        if mail.in_reply_to:
            headers |= {"In-Reply-To": mail.in_reply_to, "References": " ".join(mail.references)}
        payload = {"Sender": sender.email, "Recipient": mail.to[0].email, "Headers": self.lie(headers)}
        self.carried.append(parse_inbound(payload))
        return Receipt((mail.to[0].email,))


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def converse(wire: Wire, bounds: Iterator[ReplyBound], most: int = 500) -> LoopBoundError:
    """A writes to B; each answers whatever comes, with a service made anew for each mail."""
    MailService(mailbox(A), wire, reply_bound=next(bounds)).send(OutgoingMail(to=B, subject="Hello", text="x"))
    for _ in range(most):
        received = wire.carried[-1]
        try:
            MailService(mailbox(received.envelope_recipient), wire, reply_bound=next(bounds)).reply(received, text="x")
        except LoopBoundError as error:
            return error
    pytest.fail(f"{most} answers and no end")


@pytest.mark.parametrize("lie", LIES.values(), ids=LIES.keys())
def test_two_agents_that_answer_each_other_stop(lie: Lie) -> None:
    wire = Wire(lie)
    error = converse(wire, itertools.repeat(ReplyBound()))
    assert len(wire.carried) <= 1 + 2 * 30
    assert error.count in (10, 30)
    assert str(error).startswith(f"agent {error.agent} has answered {error.count} times within an hour (")


def test_an_honest_thread_has_ten_answers_of_each_agent() -> None:
    wire = Wire()
    error = converse(wire, itertools.repeat(ReplyBound()))
    assert (len(wire.carried), error.count) == (21, 10)
    assert error.thread == f"thread {wire.carried[0].message_id}"


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, clock: Clock, tmp_path: Path) -> Iterator[AnswerStore]:
    if request.param == "memory":
        yield MemoryAnswers(clock=clock)
    else:
        with closing(SqliteDeliveries(tmp_path / "deliveries.sqlite", time_of_day=clock)) as sqlite:
            yield sqlite


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_after_the_hour_there_are_answers_again(store: AnswerStore, clock: Clock) -> None:
    bound = ReplyBound(2, store=store)
    wire = Wire()
    service = MailService(mailbox(A), wire, reply_bound=bound)
    mail = OutgoingMail(to=B, subject="Re: x", text="x", in_reply_to="<1@x>")
    service.send(mail)
    clock.now = 600
    service.send(mail)
    with pytest.raises(LoopBoundError, match="again in 3000 s") as stopped:
        service.send(mail)
    assert stopped.value.temporary is False
    clock.now = 3600
    service.send(mail)


def test_nothing_old_is_kept(clock: Clock) -> None:
    answers = MemoryAnswers(clock=clock)
    service = MailService(mailbox(A), Wire(), reply_bound=ReplyBound(store=answers))
    for number in range(20):
        clock.now = 4000 * number
        service.send(OutgoingMail(to=f"c{number}@c.example", subject="Re: y", text="x"))
    assert len(answers) == 2


def test_processes_that_share_a_file_count_together(tmp_path: Path) -> None:
    # Two stores of one file are what two processes are: nothing else is shared between them.
    path = tmp_path / "deliveries.sqlite"
    with closing(SqliteDeliveries(path)) as one, closing(SqliteDeliveries(path)) as other:
        bounds = itertools.cycle([ReplyBound(store=one), ReplyBound(store=other)])
        wire = Wire()
        error = converse(wire, bounds)
        assert (len(wire.carried), error.count) == (21, 10)
    # And a process that lives for one answer, again and again, stops too.
    for _ in range(20):
        with closing(SqliteDeliveries(path)) as short, pytest.raises(LoopBoundError):
            MailService(mailbox(A), wire, reply_bound=ReplyBound(store=short)).reply(wire.carried[-1], text="x")


def test_no_letter_can_be_read_in_the_file(tmp_path: Path) -> None:
    path = tmp_path / "deliveries.sqlite"
    with closing(SqliteDeliveries(path)) as store:
        MailService(mailbox(A), Wire(), reply_bound=ReplyBound(store=store)).send(
            OutgoingMail(to="ada@c.example", subject="Re: layoffs", text="x")
        )
    written = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    assert not [word for word in (b"layoffs", b"ada@c.example", A.encode()) if word in written]


def test_a_clock_that_is_set_back_does_not_stop_answers_for_longer(clock: Clock, tmp_path: Path) -> None:
    with closing(SqliteDeliveries(tmp_path / "deliveries.sqlite", time_of_day=clock)) as store:
        service = MailService(mailbox(A), Wire(), reply_bound=ReplyBound(1, store=store))
        mail = OutgoingMail(to=B, subject="Re: x", text="x", in_reply_to="<1@x>")
        clock.now = 1_000_000
        service.send(mail)
        clock.now = 0
        with pytest.raises(LoopBoundError, match="again in 3600 s"):
            service.send(mail)
        clock.now = 3600
        service.send(mail)


def test_a_store_that_cannot_count_stops_the_answer(tmp_path: Path) -> None:
    store = SqliteDeliveries(tmp_path / "deliveries.sqlite")
    store.close()
    wire = Wire()
    with pytest.raises(StoreError):
        MailService(mailbox(A), wire, reply_bound=ReplyBound(store=store)).send(
            OutgoingMail(to=B, subject="Re: x", text="x")
        )
    assert not wire.carried


def test_one_agents_answers_are_not_anothers_and_new_mails_are_none() -> None:
    bound = ReplyBound(1, most_to_one=1)
    wire = Wire()
    mail = OutgoingMail(to="c@c.example", subject="Re: x", text="x")
    for address in (A, B):
        MailService(mailbox(address), wire, reply_bound=bound).send(mail)
    with pytest.raises(LoopBoundError):
        asyncio.run(MailService(mailbox(A), wire, reply_bound=bound).send_async(mail))
    for _ in range(3):
        MailService(mailbox(A), wire, reply_bound=bound).send(OutgoingMail(to="c@c.example", subject="News", text="x"))


def test_what_was_not_sent_does_not_count(store: AnswerStore) -> None:
    wire = Wire()
    service = MailService(mailbox(A), wire, reply_bound=ReplyBound(1, store=store))
    mail = OutgoingMail(to=B, subject="Re: x", text="x")
    wire.failing = True
    for _ in range(3):
        with pytest.raises(UnreachableError):
            service.send(mail)
    wire.failing = False
    service.send(mail)
    with pytest.raises(LoopBoundError):
        service.send(mail)


@pytest.mark.parametrize("arguments", [{"most": 0}, {"most": 5, "most_to_one": 4}, {"seconds": 0}])
def test_a_bound_that_is_none_is_refused(arguments: dict[str, Any]) -> None:
    with pytest.raises(TransportConfigError, match="reply bound"):
        ReplyBound(**arguments)
