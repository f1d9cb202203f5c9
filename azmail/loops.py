"""A bound on answers, so that two machines that answer each other stop, whatever their headers say.

`is_automatic` believes headers, and a machine may write none, or give every mail a new Message-ID and no References. So
an answer counts three times: for its thread by ids, for its subject with this correspondent, and for the correspondent.
"""

import re
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock

from azmail.errors import LoopBoundError, SendError, TransportConfigError
from azmail.mail import OutgoingMail

_ANSWERED = re.compile(r"(?:(?:re|aw|sv|antw|fwd?|wg)(?:\[\d+\])?:\s*)+", re.IGNORECASE)

_Key = tuple[str, str, str, str]


class ReplyBound:
    """Counts the answers of the agents of one process; safe to share between threads.

    At most `most` answers in a thread and `most_to_one` to one correspondent within `seconds`, for each agent. Nothing
    is remembered longer, or across a restart.
    """

    def __init__(
        self,
        most: int = 10,
        *,
        most_to_one: int = 30,
        seconds: float = 3600,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if most < 1 or most_to_one < most or seconds <= 0:
            raise TransportConfigError(
                f"reply bound: found {most} answers in a thread, {most_to_one} to one correspondent and {seconds:g} s, "
                "expected at least 1, at least as many as in a thread, and more than 0"
            )
        self.most = most
        self.most_to_one = most_to_one
        self.seconds = seconds
        self._clock = clock
        self._lock = Lock()
        self._answers: dict[_Key, deque[float]] = {}
        self._swept = clock()

    @contextmanager
    def counting(self, mail: OutgoingMail, agent: str) -> Iterator[None]:
        """Count a mail that is an answer while it is sent; one that certainly was not sent does not count.

        Raises LoopBoundError before anything is sent.
        """
        keys = _keys(mail, agent)
        moment = self._take(keys, agent)
        try:
            yield
        except SendError as error:
            if not error.maybe_sent:
                self._give_back(keys, moment)
            raise

    def _take(self, keys: tuple[_Key, ...], agent: str) -> float:
        with self._lock:
            now = self._clock()
            self._sweep(now)
            for key in keys:
                times = self._answers.get(key, deque())
                while times and times[0] <= now - self.seconds:
                    times.popleft()
                most = self.most_to_one if key[1] == "correspondent" else self.most
                if len(times) >= most:
                    wait = times[0] + self.seconds - now
                    raise LoopBoundError(agent, " ".join(filter(None, key[1:])), len(times), self.seconds, wait)
            for key in keys:
                self._answers.setdefault(key, deque()).append(now)
            return now

    def _give_back(self, keys: tuple[_Key, ...], moment: float) -> None:
        with self._lock:
            for key in keys:
                times = self._answers.get(key)
                if times is not None and moment in times:
                    times.remove(moment)

    def _sweep(self, now: float) -> None:
        """Forget threads in which nothing happened for the whole time; once in that time, so that it costs nothing."""
        if now - self._swept >= self.seconds:
            self._answers = {
                key: times for key, times in self._answers.items() if times and times[-1] > now - self.seconds
            }
            self._swept = now


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
