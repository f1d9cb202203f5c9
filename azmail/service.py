"""`MailService`: what one agent sends with."""

import json
from collections.abc import Iterable
from types import TracebackType
from typing import Self
from uuid import uuid4

from azmail.answering import addressable, one_line, usable_ids
from azmail.contract import Mailbox
from azmail.errors import InvalidMailError, TooManyRecipientsError
from azmail.inbound import InboundMail
from azmail.loops import SHARED_BOUND, ReplyBound
from azmail.mail import MAX_RECIPIENTS, MAX_SUBJECT_CHARACTERS, Attachment, MailAddress, OutgoingMail, find_message_ids
from azmail.smtp import SmtpTransport
from azmail.transport import Receipt, Transport

MAX_REFERENCES = 30


class MailService:
    """Sends as one agent.

    Without a `transport` it makes an `SmtpTransport` of the mailbox's credentials and closes it when it is closed.
    The agents of a stack share one account: give them one transport and they share its connections.

    Every mail that sets no `event_payload` of its own carries the agent id in it, so that a bounce can be told to the
    agent who sent the mail. A mail without a `custom_id` gets one: Mailjet replaces the Message-ID, so it is the custom
    id, in the receipt, that tells which mail an event or an answer is about.

    Answers are counted (`ReplyBound`), by all services of a process together unless `reply_bound` is another: where
    several processes answer, `ReplyBound(store=SqliteDeliveries(path))` counts for all of them.
    """

    def __init__(
        self,
        mailbox: Mailbox,
        transport: Transport | None = None,
        *,
        display_name: str = "",
        reply_bound: ReplyBound = SHARED_BOUND,
    ) -> None:
        self.mailbox = mailbox
        self.address = MailAddress.parse(MailAddress(mailbox.address, display_name), "sender")
        self.transport = transport or SmtpTransport.of(mailbox)
        self.reply_bound = reply_bound
        self._owns_transport = transport is None

    def send(self, mail: OutgoingMail) -> Receipt:
        """Send to all recipients or to none.

        Raises SendError: SenderRefusedError, AccountBlockedError, MailTooLargeError, RecipientsRefusedError,
        CredentialsRefusedError, TlsError, MessageRefusedError; TemporarySendError after the retries;
        DeliveryUncertainError when the mail may have been sent; LoopBoundError for one answer too many.
        """
        with self.reply_bound.counting(mail, self.address.email):
            return self.transport.send(self._labelled(mail), self.address)

    async def send_async(self, mail: OutgoingMail) -> Receipt:
        """`send` for asyncio."""
        async with self.reply_bound.counting_async(mail, self.address.email):
            return await self.transport.send_async(self._labelled(mail), self.address)

    def reply(
        self,
        received: InboundMail,
        *,
        text: str | None = None,
        html: str | None = None,
        to_all: bool = False,
        attachments: Iterable[Attachment] = (),
        custom_id: str | None = None,
        auto_submitted: str | None = "auto-replied",
    ) -> Receipt:
        """Answer a mail in its thread. The receipt is that of `send`."""
        return self.send(
            self.compose_reply(
                received,
                text=text,
                html=html,
                to_all=to_all,
                attachments=attachments,
                custom_id=custom_id,
                auto_submitted=auto_submitted,
            )
        )

    async def reply_async(
        self,
        received: InboundMail,
        *,
        text: str | None = None,
        html: str | None = None,
        to_all: bool = False,
        attachments: Iterable[Attachment] = (),
        custom_id: str | None = None,
        auto_submitted: str | None = "auto-replied",
    ) -> Receipt:
        """`reply` for asyncio."""
        return await self.send_async(
            self.compose_reply(
                received,
                text=text,
                html=html,
                to_all=to_all,
                attachments=attachments,
                custom_id=custom_id,
                auto_submitted=auto_submitted,
            )
        )

    def compose_reply(
        self,
        received: InboundMail,
        *,
        text: str | None = None,
        html: str | None = None,
        to_all: bool = False,
        attachments: Iterable[Attachment] = (),
        custom_id: str | None = None,
        auto_submitted: str | None = "auto-replied",
    ) -> OutgoingMail:
        """The answer to a mail: to its Reply-To or From, with the thread headers of RFC 5322, 3.6.4.

        `to_all` adds the other recipients in Cc. Addresses that no mail can go to are left out and named in the result's
        (and its receipt's) `left_out`. The answer says that a machine wrote it (RFC 3834, 5) unless
        `auto_submitted` is None, for words that a human wrote. Raises InvalidMailError if the mail has no sender to answer, which is
        so for bounces, and TooManyRecipientsError before anybody of a circle that is larger than Mailjet's limit is answered.
        """
        if not received.envelope_sender:
            raise InvalidMailError("the mail has an empty envelope sender, it is a bounce: it must not be answered")
        author = (received.from_address,) if received.from_address else ()
        if not received.reply_to and not author:
            raise InvalidMailError("the mail has neither Reply-To nor From: nobody to answer")
        to, left_out = addressable(received.reply_to or author)
        if not to and received.reply_to:
            to, also_left_out = addressable(author)
            left_out += also_left_out
        if not to:
            raise InvalidMailError(
                f"found {ascii(', '.join(left_out))[:200]} to answer, expected at least one address that a mail can go to"
            )
        answered = {self.address.email.lower(), *(address.email.lower() for address in to)}
        others, others_left_out = addressable((*received.to, *received.cc) if to_all else ())
        cc = {address.email.lower(): address for address in others if address.email.lower() not in answered}
        if (everybody := len(to) + len(cc)) > MAX_RECIPIENTS:
            raise TooManyRecipientsError(everybody, MAX_RECIPIENTS, answer=True)
        in_reply_to, references = thread_of(received)
        subject = one_line(received.subject)
        answer = OutgoingMail(
            to=to,
            cc=cc.values(),
            subject=(subject if subject.lower().startswith("re:") else f"Re: {subject}")[:MAX_SUBJECT_CHARACTERS],
            text=text,
            html=html,
            attachments=attachments,
            in_reply_to=in_reply_to,
            references=references,
            custom_id=custom_id,
            headers=None if auto_submitted is None else {"Auto-Submitted": auto_submitted},
        )
        return answer.with_left_out(dict.fromkeys((*left_out, *others_left_out)))

    def close(self) -> None:
        """Close the transport if this service made it."""
        if self._owns_transport:
            self.transport.close()

    def _labelled(self, mail: OutgoingMail) -> OutgoingMail:
        if mail.custom_id is None:
            mail = mail.with_custom_id(uuid4().hex)
        if mail.event_payload is not None:
            return mail
        return mail.with_event_payload(json.dumps({"agent_id": self.mailbox.agent_id}))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"MailService({self.address.email!r}, {self.transport!r})"


def thread_of(received: InboundMail) -> tuple[str | None, tuple[str, ...]]:
    """In-Reply-To and References for an answer (RFC 5322, 3.6.4).

    A long thread keeps its first and its latest ids: the ones that readers thread by.
    """
    answered = next(iter(usable_ids(find_message_ids(received.message_id or ""))), None)
    earlier = usable_ids(received.references or ((received.in_reply_to,) if received.in_reply_to else ()))
    references = tuple(dict.fromkeys((*earlier, *((answered,) if answered else ()))))
    if len(references) > MAX_REFERENCES:
        references = (references[0], *references[-(MAX_REFERENCES - 1) :])
    return answered, references
