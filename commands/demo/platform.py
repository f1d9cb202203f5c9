"""The platform's side of the demo: the webhook behind the tunnel, keeping what arrives."""

from __future__ import annotations

import queue
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn

from azmail import BasicAuth, InboundMail, MailEvent, MailStack, create_app
from commands.errors import CommandError
from emulators.ports import why_taken
from mailboxes import remedies


class NoMailError(Exception):
    """A mail that was sent did not arrive."""

    def __init__(self, what: str, seconds: float) -> None:
        super().__init__(
            f"The mail {what!r} did not arrive within {seconds:g} seconds; "
            f"see what became of it with: {remedies.messages()}"
        )


class WebhookPortError(CommandError):
    """Somebody else listens where the tunnel leads."""

    def __init__(self, port: int, error: OSError) -> None:
        again = " && ".join([remedies.emulators("down"), remedies.emulators("up", "--free-ports"), remedies.up()])
        super().__init__(
            f"Port {port}, where the tunnel leads, is {why_taken(port, error)}; end that, or take another with: {again}"
        )


class Inboxes:
    """What has arrived, in order, for whichever agent."""

    def __init__(self, patience: float) -> None:
        """`patience`: seconds to wait for what ought to arrive."""
        self._patience = patience
        self._arrived: queue.Queue[tuple[str, InboundMail]] = queue.Queue()
        self._events: queue.Queue[tuple[MailEvent, str | None]] = queue.Queue()

    def take(self, mail: InboundMail, agent_id: str) -> None:
        """Keep one mail or event that the webhook accepted."""
        self._arrived.put((agent_id, mail))

    def take_event(self, event: MailEvent, agent_id: str | None) -> None:
        """The webhook's hook for what became of a sent mail."""
        self._events.put((event, agent_id))

    def wait_for_event(self, what: str) -> tuple[MailEvent, str | None]:
        """The next event and the agent whose mail it is about.

        Raises NoMailError when nothing comes.
        """
        try:
            return self._events.get(timeout=self._patience)
        except queue.Empty:
            raise NoMailError(what, self._patience) from None

    def wait_for(self, subject: str) -> tuple[str, InboundMail]:
        """The next mail, which must have this subject; its agent and itself.

        Raises NoMailError when nothing comes.
        """
        try:
            agent_id, mail = self._arrived.get(timeout=self._patience)
        except queue.Empty:
            raise NoMailError(subject, self._patience) from None
        if mail.subject != subject:
            raise NoMailError(subject, self._patience)
        return agent_id, mail

    @property
    def waiting(self) -> int:
        """How many mails have arrived that nobody has looked at."""
        return self._arrived.qsize()


@contextmanager
def webhook(stack: MailStack, inboxes: Inboxes, *, host: str, port: int, secret: str) -> Iterator[None]:
    """Serve the webhook on a loopback port for the length of a `with` block.

    Raises WebhookPortError when the port is taken.
    """
    app = create_app(stack, on_mail=inboxes.take, on_event=inboxes.take_event, auth=BasicAuth(secret))
    try:
        listener = socket.create_server((host, port))
    except OSError as error:
        raise WebhookPortError(port, error) from None
    server = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="off"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, name="webhook")
    thread.start()
    try:
        yield
    finally:
        server.should_exit = True
        thread.join()
        listener.close()
