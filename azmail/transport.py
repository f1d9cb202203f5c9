"""What both ways of sending have in common: the interface, the receipt, the retries and the threads for asyncio.

Retries happen only where nothing can be sent twice: a `SendError` that is temporary and certain to have sent nothing.

The asynchronous calls run the synchronous ones in a few threads of the transport's own. SMTP and HTTP spend their time
waiting for Mailjet, so threads lose nothing; there is one implementation to trust instead of two; and since there are
as many threads as connections, a thousand waiting coroutines queue without blocking the event loop's shared threads.
"""

import asyncio
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import Lock
from types import TracebackType
from typing import Self

from azmail.errors import PoolExhaustedError, TemporarySendError, TransportConfigError
from azmail.mail import MailAddress, OutgoingMail


@dataclass(frozen=True, slots=True)
class Receipt:
    """What is known of a mail that Mailjet accepted.

    `custom_id`: what events and answers to the mail carry; the way to tell which mail they are about.
    `message_id`: the Message-ID header that arrives; None where the server may replace it, as Mailjet does by SMTP and
    by its Send API.
    `mailjet_ids`: Mailjet's numbers, one for each recipient, as events carry them; empty from SMTP.
    `answer`: the server's reply as text. `left_out`: whom a reply could not be addressed to.
    """

    recipients: tuple[str, ...]
    message_id: str | None = None
    mailjet_ids: tuple[int, ...] = ()
    custom_id: str | None = None
    answer: str = ""
    left_out: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Retries:
    """How often and how patiently to try again, where trying again cannot send twice.

    Pauses start at `first_pause` seconds and double up to `longest_pause`; a server that names a time is obeyed up to
    that limit too. `pause` does the waiting.
    """

    attempts: int = 3
    first_pause: float = 1.0
    longest_pause: float = 30.0
    pause: Callable[[float], None] = time.sleep

    def run(self, attempt: Callable[[], Receipt]) -> Receipt:
        """The attempt's result, or the error of the last one."""
        for number in range(1, self.attempts):
            try:
                return attempt()
            except PoolExhaustedError:
                raise  # it has waited already
            except TemporarySendError as error:
                wanted = error.retry_after or self.first_pause * 2 ** (number - 1)
                self.pause(min(wanted, self.longest_pause))
        return attempt()


NO_RETRIES = Retries(attempts=1)


class Transport(ABC):
    """A way to hand mails to Mailjet; safe to share between threads and between the agents of one account."""

    def __init__(self, *, concurrency: int, retries: Retries) -> None:
        if concurrency < 1 or retries.attempts < 1:
            raise TransportConfigError(
                f"found {concurrency} connections and {retries.attempts} attempts, expected at least one of each"
            )
        self.concurrency = concurrency
        self.retries = retries
        self._threads: ThreadPoolExecutor | None = None
        self._threads_lock = Lock()

    @abstractmethod
    def send(self, mail: OutgoingMail, sender: MailAddress) -> Receipt:
        """Hand over one mail, to all of its recipients or to none. Raises SendError and its kinds."""

    async def send_async(self, mail: OutgoingMail, sender: MailAddress) -> Receipt:
        """`send` for asyncio. Cancelling stops the waiting; a mail that is on its way goes out all the same."""
        return await asyncio.get_running_loop().run_in_executor(self._executor(), self.send, mail, sender)

    def close(self) -> None:
        """Wait for mails on their way, then end threads and connections."""
        with self._threads_lock:
            threads, self._threads = self._threads, None
        if threads is not None:
            threads.shutdown(wait=True)

    def _executor(self) -> ThreadPoolExecutor:
        with self._threads_lock:
            if self._threads is None:
                self._threads = ThreadPoolExecutor(self.concurrency, thread_name_prefix="azmail-send")
            return self._threads

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
