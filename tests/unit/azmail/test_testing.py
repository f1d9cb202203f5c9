"""`azmail.testing` as a user's test would use it."""

from __future__ import annotations

import threading

import pytest

from azmail import Attachment, InboundMail, OutgoingMail
from azmail.testing import MemoryOffice, NothingCameError

AGENTS = {"bot-1": "ana@agents.example", "bot-2": "bo@agents.example"}


def test_a_stranger_writes_and_the_agent_answers() -> None:
    office = MemoryOffice(AGENTS)
    office.deliver("bot-1", sender="Ada <ada@x.example>", subject="Frage", attachments=[Attachment("a.txt", b"x")])
    received = office.inbox("bot-1").wait_for(subject="Fra", sender="ADA@x.example")
    assert [(one.filename, one.content) for one in received.attachments] == [("a.txt", b"x")]
    office.service("bot-1").reply(received, text="Ja")
    (sent,) = office.outbox
    assert (sent.subject, sent.in_reply_to) == ("Re: Frage", received.message_id)


def test_agents_write_each_other_from_a_thread() -> None:
    heard: list[str] = []
    office = MemoryOffice(AGENTS, on_mail=lambda _mail, agent: heard.append(agent))
    mail = OutgoingMail(to="BO@agents.example", cc="x@y.example", subject="Plan", text="t", html="<p>t</p>")
    sending = threading.Thread(target=office.service("bot-1").send, args=(mail,))
    sending.start()
    arrived = office.inbox("bot-2").wait_for(subject="Plan", that=lambda one: one.html is not None)
    sending.join()
    assert isinstance(arrived, InboundMail)
    assert (arrived.text, arrived.html) == ("t", "<p>t</p>")
    assert arrived.custom_id
    assert office.inbox("bot-1").mails == ()
    assert heard == ["bot-2"]


def test_what_does_not_come_is_told_with_what_did() -> None:
    office = MemoryOffice(AGENTS)
    office.deliver("bot-2", subject="Other")
    with pytest.raises(NothingCameError, match=r"'Plan' from x@y.example.*'Other'"):
        office.inbox("bot-2").wait_for(subject="Plan", sender="x@y.example", seconds=0.01)
