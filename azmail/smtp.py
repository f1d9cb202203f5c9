"""Sending through Mailjet's SMTP submission: always over verified TLS, over a bounded pool of kept connections.

Nothing is sent twice. Until the last byte of a mail has left, a lost connection means that the server cannot have
taken the mail (RFC 5321, 4.1.1.4: it accepts at the final dot), so it is sent again on a new one. After that byte only
the server's answer counts: a refusal is certain, a lost answer is a DeliveryUncertainError and the caller's decision.
"""

import os
import re
import selectors
import smtplib
import ssl
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from enum import StrEnum
from threading import BoundedSemaphore, Lock
from typing import NoReturn, Self
from uuid import uuid4

from azmail.compose import as_message
from azmail.contract import Mailbox
from azmail.errors import (
    AccountBlockedError,
    CredentialsRefusedError,
    DeliveryUncertainError,
    MailTooLargeError,
    MessageRefusedError,
    PoolExhaustedError,
    RecipientsRefusedError,
    SenderRefusedError,
    SendError,
    TemporarySendError,
    TlsError,
    TransportConfigError,
    UnreachableError,
)
from azmail.mail import MailAddress, OutgoingMail
from azmail.transport import Receipt, Retries, Transport

IMPLICIT_TLS_PORT = 465
EHLO_NAME = "[127.0.0.1]"
"""An address literal (RFC 5321, 4.1.3): a host name would end up in the Received header of every mail."""

_BLOCKED = re.compile(r"\b(account|api ?key)\b.*\b(blocked|suspended|disabled)\b", re.IGNORECASE)
_SENDER = re.compile(r"sender|from[ -](address|header)|unvalidated|not validated|\b5\.1\.[78]\b", re.IGNORECASE)
_TOO_LARGE = re.compile(r"\b5\.3\.4\b|\b5\.2\.3\b|too (large|big)|size", re.IGNORECASE)


class Security(StrEnum):
    """How TLS begins. There is no mode without it."""

    STARTTLS = "starttls"
    IMPLICIT = "implicit"


class SmtpTransport(Transport):
    """Sends over up to `pool_size` connections, each kept and used again.

    `security` defaults to implicit TLS on port 465 and STARTTLS on any other. `ca_file` is a PEM file of the
    authorities to trust *instead of* the system's. `timeout` bounds every single step in seconds, `pool_timeout` the
    wait for a free connection. `keeps_message_id` is for a server that leaves the Message-ID alone, which Mailjet's does
    not: only then does a receipt name it. A connection unused for `idle_seconds`, or used for `mails_per_connection`, is not used
    again.
    """

    def __init__(
        self,
        host: str,
        port: int,
        username: str,
        password: str,
        *,
        security: Security | None = None,
        ca_file: str | os.PathLike[str] | None = None,
        timeout: float = 30.0,
        pool_size: int = 4,
        pool_timeout: float = 60.0,
        idle_seconds: float = 30.0,
        mails_per_connection: int = 100,
        retries: Retries | None = None,
        keeps_message_id: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(concurrency=pool_size, retries=retries or Retries())
        self._host = host
        self._port = port
        self._username = username
        self._password = password
        self.server = f"{host}:{port}"
        self.security = security or (Security.IMPLICIT if port == IMPLICIT_TLS_PORT else Security.STARTTLS)
        self._tls = _tls_context(self.server, ca_file)
        self._timeout = timeout
        self._pool_timeout = pool_timeout
        self._idle_seconds = idle_seconds
        self._mails_per_connection = mails_per_connection
        self._keeps_message_id = keeps_message_id
        self._clock = clock
        self._places = BoundedSemaphore(pool_size)
        self._idle: list[_Connection] = []
        self._idle_lock = Lock()

    @classmethod
    def of(
        cls,
        mailbox: Mailbox,
        *,
        security: Security | None = None,
        ca_file: str | os.PathLike[str] | None = None,
        timeout: float = 30.0,
        pool_size: int = 4,
        retries: Retries | None = None,
    ) -> Self:
        """The transport of a mailbox's account; all agents of a stack can share it."""
        return cls(
            mailbox.smtp_host,
            mailbox.smtp_port,
            mailbox.smtp_username,
            mailbox.smtp_password,
            security=security,
            ca_file=ca_file,
            timeout=timeout,
            pool_size=pool_size,
            retries=retries,
        )

    def send(self, mail: OutgoingMail, sender: MailAddress) -> Receipt:
        # Composed once: a repeated attempt carries the same Message-ID.
        message_id = f"<{uuid4().hex}@{sender.domain}>"
        wire = as_message(mail, sender, message_id=message_id, date=datetime.now(UTC)).as_bytes()
        recipients = tuple(recipient.email for recipient in mail.recipients)

        def attempt() -> Receipt:
            answer = self.hand_over(wire, sender.email, recipients)
            return Receipt(
                recipients,
                message_id=message_id if self._keeps_message_id else None,
                custom_id=mail.custom_id,
                answer=answer,
                left_out=mail.left_out,
            )

        return self.retries.run(attempt)

    def close(self) -> None:
        super().close()
        with self._idle_lock:
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.quit()

    def hand_over(self, wire: bytes, sender: str, recipients: Sequence[str]) -> str:
        """One attempt with a composed message (CRLF line ends); the server's final answer. Raises SendError."""
        if not self._places.acquire(timeout=self._pool_timeout):
            raise PoolExhaustedError(self.server, self.concurrency, self._pool_timeout)
        try:
            kept = self._take_idle()
            if kept is not None:
                try:
                    return self._use(kept, wire, sender, recipients)
                except UnreachableError:
                    pass  # the server had closed the kept connection: a new one is not a second attempt
            return self._use(self._connect(), wire, sender, recipients)
        finally:
            self._places.release()

    def _use(self, connection: "_Connection", wire: bytes, sender: str, recipients: Sequence[str]) -> str:
        fit = False
        try:
            answer = connection.hand_over(wire, sender, recipients)
            fit = True
        except SendError:
            fit = connection.reset()
            raise
        finally:
            if not fit:
                connection.close()
            elif connection.mails >= self._mails_per_connection:
                connection.quit()
            else:
                connection.idle_since = self._clock()
                with self._idle_lock:
                    self._idle.append(connection)
        return answer

    def _take_idle(self) -> "_Connection | None":
        while True:
            with self._idle_lock:
                if not self._idle:
                    return None
                connection = self._idle.pop()
            if self._clock() - connection.idle_since <= self._idle_seconds and connection.is_quiet():
                return connection
            connection.quit()

    def _connect(self) -> "_Connection":
        """A connection that has said EHLO, verified the certificate and logged in."""
        smtp: smtplib.SMTP | None = None
        try:
            if self.security is Security.IMPLICIT:
                smtp = smtplib.SMTP_SSL(
                    self._host, self._port, local_hostname=EHLO_NAME, timeout=self._timeout, context=self._tls
                )
            else:
                smtp = smtplib.SMTP(self._host, self._port, local_hostname=EHLO_NAME, timeout=self._timeout)
                smtp.starttls(context=self._tls)
            smtp.login(self._username, self._password)
            connection, smtp = _Connection(smtp, self.server), None
            return connection
        except (smtplib.SMTPException, OSError) as error:
            self._connection_failed(error)
        finally:
            if smtp is not None:
                smtp.close()

    def _connection_failed(self, error: smtplib.SMTPException | OSError) -> NoReturn:
        if isinstance(error, ssl.SSLCertVerificationError):
            raise TlsError(self.server, error.verify_message) from None
        if isinstance(error, ssl.SSLError) and not isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError):
            raise TlsError(self.server, error.reason or "the server does not speak TLS here") from None
        if isinstance(error, smtplib.SMTPNotSupportedError):
            if "STARTTLS" in str(error):
                raise TlsError(self.server, "the server does not offer STARTTLS") from None
            raise CredentialsRefusedError(self.server) from None
        if isinstance(error, smtplib.SMTPResponseException):
            text = _text(error.smtp_error)
            if 400 <= error.smtp_code < 500:
                raise TemporarySendError(self.server, f"{error.smtp_code} {text}") from None
            if _BLOCKED.search(text):
                raise AccountBlockedError(f"{error.smtp_code} {text}") from None
            if isinstance(error, smtplib.SMTPAuthenticationError):
                # The reply is left out: it may quote what was presented.
                raise CredentialsRefusedError(self.server) from None
            raise MessageRefusedError(text, str(error.smtp_code)) from None
        raise UnreachableError(self.server, str(error) or type(error).__name__) from None

    def __repr__(self) -> str:
        return f"SmtpTransport({self.server!r}, security={self.security.value!r}, pool_size={self.concurrency})"


class _Connection:
    """One logged-in SMTP session; used by one thread at a time."""

    def __init__(self, smtp: smtplib.SMTP, server: str) -> None:
        self._smtp = smtp
        self._server = server
        self.mails = 0
        self.idle_since = 0.0

    def hand_over(self, wire: bytes, sender: str, recipients: Sequence[str]) -> str:
        """Send one mail to all recipients or none; the server's final answer."""
        self.mails += 1
        try:
            self._open_transaction(len(wire), sender, recipients)
            # The last byte of the mail is the last one sent: if this fails, the server cannot have the whole of it.
            self._smtp.send(dot_stuffed(wire) + b".\r\n")
        except (smtplib.SMTPException, OSError) as error:
            raise UnreachableError(self._server, str(error) or type(error).__name__) from None
        try:
            code, answer = self._smtp.getreply()
        except (smtplib.SMTPException, OSError) as error:
            raise DeliveryUncertainError(self._server, str(error) or type(error).__name__) from None
        if code != 250:
            raise self._refusal(code, _text(answer), sender, len(wire))
        return _text(answer)

    def _open_transaction(self, size: int, sender: str, recipients: Sequence[str]) -> None:
        offered = self._smtp.esmtp_features.get("size", "")
        if offered.isdigit() and 0 < int(offered) < size:
            raise MailTooLargeError(size, int(offered), self._server)
        code, answer = self._smtp.mail(sender, [f"SIZE={size}"] if self._smtp.has_extn("size") else [])
        if code != 250:
            raise self._refusal(code, _text(answer), sender, size, about_sender=True)
        refused: dict[str, str] = {}
        for recipient in recipients:
            code, answer = self._smtp.rcpt(recipient)
            text = _text(answer)
            if code in (250, 251):
                continue
            # Many servers judge the sender only now; an agent who mails herself is named as recipient, though.
            about_sender = recipient.lower() != sender.lower() and (
                _SENDER.search(text) is not None or sender.lower() in text.lower()
            )
            if code < 500 or about_sender:
                raise self._refusal(code, text, sender, size, about_sender=about_sender)
            refused[recipient] = f"{code} {text}"
        if refused:
            raise RecipientsRefusedError(refused)
        code, answer = self._smtp.docmd("DATA")
        if code != 354:
            raise self._refusal(code, _text(answer), sender, size)

    def _refusal(self, code: int, text: str, sender: str, size: int, *, about_sender: bool = False) -> SendError:
        answer = f"{code} {text}"
        if code == 421:
            return UnreachableError(self._server, answer)  # the server closes the connection
        if 400 <= code < 500:
            return TemporarySendError(self._server, answer)
        if code < 400:
            # Not an answer to what was asked: whatever this server is, it has not promised to deliver.
            return MessageRefusedError(answer, str(code))
        if _BLOCKED.search(text):
            return AccountBlockedError(answer)
        if code in (552, 523) or (code == 554 and _TOO_LARGE.search(text)):
            return MailTooLargeError(size, None, self._server)
        if about_sender or _SENDER.search(text):
            return SenderRefusedError(sender, answer)
        return MessageRefusedError(text, str(code))

    def reset(self) -> bool:
        """Make the connection fit for another mail; False if it is not."""
        try:
            return self._smtp.sock is not None and self._smtp.rset()[0] == 250
        except (smtplib.SMTPException, OSError):
            return False

    def is_quiet(self) -> bool:
        """Whether the server has neither closed the connection nor said anything since the last mail."""
        if self._smtp.sock is None:
            return False
        with selectors.DefaultSelector() as selector:
            selector.register(self._smtp.sock, selectors.EVENT_READ)
            return not selector.select(0)

    def quit(self) -> None:
        """Say QUIT and close."""
        with suppress(smtplib.SMTPException, OSError):  # a server that has gone already has nothing to be told
            if self._smtp.sock is not None:
                self._smtp.quit()
        self.close()

    def close(self) -> None:
        self._smtp.close()


def _tls_context(server: str, ca_file: str | os.PathLike[str] | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=None if ca_file is None else os.fspath(ca_file))
    except OSError as error:  # an SSLError for a file that is no PEM is one too
        raise TransportConfigError(
            f"ca_file {os.fspath(ca_file or '')} for {server} cannot be used ({error.strerror or error}): expected a "
            "PEM file of certificate authorities"
        ) from None


def dot_stuffed(message: bytes) -> bytes:
    """With a second dot before every line that begins with one (RFC 5321, 4.5.2)."""
    return (b"\n" + message).replace(b"\n.", b"\n..")[1:]


def _text(answer: bytes | str) -> str:
    return answer.decode("utf-8", "replace") if isinstance(answer, bytes) else answer
