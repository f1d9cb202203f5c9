"""A bound on answers, so that two machines that answer each other stop, whatever their headers say.

`is_automatic` believes headers, and a machine may write none, or give every mail a new Message-ID and no References. So
an answer counts three times: for its thread by ids, for its subject with this correspondent, and for the correspondent.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from uuid import uuid4

from azmail.answers import AnswerStore, MemoryAnswers, digest
from azmail.errors import LoopBoundError, SendError, TransportConfigError
from azmail.mail import OutgoingMail

_ANSWERED = re.compile(r"(?:(?:re|aw|sv|antw|fwd?|wg)(?:\[\d+\])?:\s*)+", re.IGNORECASE)

_Key = tuple[str, str, str, str]


class ReplyBound:
    """Counts the answers of agents; safe to share between threads.

    At most `most` answers in a thread and `most_to_one` to one correspondent within `seconds`, for each agent. Without a
    `store` it counts those of this process, until it ends; with `SqliteDeliveries` those of every process that counts in
    the same file, across restarts.
    """

    def __init__(
        self,
        most: int = 10,
        *,
        most_to_one: int = 30,
        seconds: float = 3600,
        store: AnswerStore | None = None,
    ) -> None:
        if most < 1 or most_to_one < most or seconds <= 0:
            raise TransportConfigError(
                f"reply bound: found {most} answers in a thread, {most_to_one} to one correspondent and {seconds:g} s, "
                "expected at least 1, at least as many as in a thread, and more than 0"
            )
        self.most = most
        self.most_to_one = most_to_one
        self.seconds = seconds
        self._store = MemoryAnswers() if store is None else store

    @contextmanager
    def counting(self, mail: OutgoingMail, agent: str) -> Iterator[None]:
        """Count a mail that is an answer while it is sent; one that certainly was not sent does not count.

        Raises LoopBoundError before anything is sent, and StoreError if the store cannot count.
        """
        answer = uuid4().hex
        keys = self._take(answer, mail, agent)
        try:
            yield
        except SendError as error:
            if not error.maybe_sent:
                self._store.uncount_answer(answer, keys)
            raise

    @asynccontextmanager
    async def counting_async(self, mail: OutgoingMail, agent: str) -> AsyncIterator[None]:
        """`counting` for asyncio: a store may have to wait for its disk."""
        answer = uuid4().hex
        keys = await asyncio.to_thread(self._take, answer, mail, agent)
        try:
            yield
        except SendError as error:
            if not error.maybe_sent:
                await asyncio.to_thread(self._store.uncount_answer, answer, keys)
            raise

    def _take(self, answer: str, mail: OutgoingMail, agent: str) -> tuple[str, ...]:
        keys = {digest(key): key for key in _keys(mail, agent)}
        limits = {name: self.most_to_one if key[1] == "correspondent" else self.most for name, key in keys.items()}
        full = self._store.count_answer(answer, limits, self.seconds) if limits else None
        if full is not None:
            thread = " ".join(filter(None, keys[full.key][1:]))
            raise LoopBoundError(agent, thread, full.count, self.seconds, full.wait)
        return tuple(limits)


SHARED_BOUND = ReplyBound()
"""What every MailService of this process counts with unless it is given another."""


def _keys(mail: OutgoingMail, agent: str) -> tuple[_Key, ...]:
    """What an answer counts for; nothing for a mail that begins a thread."""
    subject = _ANSWERED.sub("", mail.subject, count=1) if _ANSWERED.match(mail.subject) else mail.subject
    thread = mail.references[0] if mail.references else mail.in_reply_to
    automatic = any(name.lower() == "auto-submitted" and value.lower() != "no" for name, value in mail.headers.items())
    if thread is None and subject == mail.subject and not automatic:
        return ()
    agent = agent.lower()
    keys: list[_Key] = [] if thread is None else [(agent, "thread", thread, "")]
    for recipient in mail.to:
        other = recipient.email.lower()
        keys += [
            (agent, "subject", ascii(subject.strip().lower()[:80]), f"with {other}"),
            (agent, "correspondent", other, ""),
        ]
    return tuple(dict.fromkeys(keys))
