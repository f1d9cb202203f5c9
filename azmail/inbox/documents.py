"""The API's JSON: what its OpenAPI page describes."""

from __future__ import annotations

import base64
import binascii
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from azmail.errors import InvalidMailError
from azmail.inbound import InboundMail
from azmail.inbox.content import FileRow
from azmail.inbox.parcels import SentView
from azmail.inbox.reading import EventRow, MailRow, ThreadRow
from azmail.mail import Attachment, OutgoingMail

MOST_FILE_CHARACTERS = 21 * 1024 * 1024


def _storable(value: object) -> object:
    """Texts that both databases and UTF-8 can carry."""
    if isinstance(value, str):
        if "\0" in value:
            raise ValueError("found a NUL, expected text without")
        try:
            value.encode()
        except UnicodeEncodeError:
            raise ValueError("found half a surrogate pair, expected whole characters") from None
    return value


Label = Annotated[str, BeforeValidator(_storable), Field(min_length=1, max_length=64, examples=["urgent"])]
MessageId = Annotated[str, Field(pattern="^[0-9a-f]{32}$", description="A message's id")]
ThreadId = Annotated[str, Field(pattern="^[0-9a-f]{15}$", description="A thread's id")]
PlainText = Annotated[str, BeforeValidator(_storable)]


class _Document(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Correspondent(_Document):
    """An address and the name shown with it."""

    email: str
    name: str = ""


class MessageSummary(_Document):
    """A message as lists show it. Long lists of addresses are cut here, and whole in the message itself."""

    id: str
    agent: str
    thread: str
    direction: Literal["in", "out"]
    seen: bool
    labels: list[str]
    octets: int
    stored_at: datetime
    received_at: datetime | None
    sent_at: datetime | None
    sender: Correspondent | None = Field(description="The From. Anybody can write any: Mailjet gives no verdict.")
    to: list[Correspondent]
    cc: list[Correspondent]
    subject: str
    snippet: str
    message_id: str | None
    in_reply_to: str | None
    custom_id: str | None
    spam_score: float | None
    automatic: bool = Field(description="A machine wrote it; answering makes loops.")
    attachment_count: int

    @classmethod
    def of(cls, row: MailRow) -> MessageSummary:
        return cls(**_summary(row))


class FileEntry(_Document):
    """One attachment; `part` is its number in the path of its content."""

    part: int
    filename: str
    content_type: str
    octets: int
    content_id: str | None
    inline: bool


class MessageDetail(MessageSummary):
    """One message with its texts, headers and the list of its files."""

    references: list[str]
    reply_to: list[Correspondent]
    envelope_sender: str
    recipients: list[str]
    text: str | None
    html: str | None
    headers: list[tuple[str, str]]
    attachments: list[FileEntry]
    defects: list[str] = Field(description="What could not be read as it was sent, one sentence each.")

    @classmethod
    def whole(cls, row: MailRow, content: InboundMail | SentView, files: list[FileRow]) -> MessageDetail:
        shown = _summary(row)
        given = row.summary
        if isinstance(content, InboundMail):
            shown |= {
                "to": [Correspondent(email=one.email, name=one.name) for one in content.to],
                "cc": [Correspondent(email=one.email, name=one.name) for one in content.cc],
                "reply_to": [Correspondent(email=one.email, name=one.name) for one in content.reply_to],
                "references": list(content.references),
                # Of the mail with its files, not of this reading without them.
                "defects": given["defects"],
            }
        else:
            shown |= {"reply_to": [], "references": given["references"], "defects": []}
        return cls(
            **shown,
            envelope_sender=given["envelope_sender"],
            recipients=given["recipients"],
            text=content.text,
            html=content.html,
            headers=list(content.headers),
            attachments=[
                FileEntry(
                    part=file.part, filename=file.filename, content_type=file.content_type, octets=file.octets,
                    content_id=file.content_id, inline=file.inline,
                )
                for file in files
            ],
        )  # fmt: skip


class MessagePage(_Document):
    """`next` goes on in the same direction: as `before` from the newest on, as `after` where that was asked."""

    messages: list[MessageSummary]
    next: str | None


class ThreadSummary(_Document):
    """A conversation by its newest message."""

    id: str
    agent: str
    messages: int
    unread: int
    newest: MessageSummary

    @classmethod
    def of(cls, row: ThreadRow) -> ThreadSummary:
        newest = row.newest
        return cls(
            id=thread_name(newest.thread), agent=newest.agent, messages=row.mails, unread=row.unread,
            newest=MessageSummary.of(newest),
        )  # fmt: skip


class ThreadPage(_Document):
    """The conversation that was last written in comes first."""

    threads: list[ThreadSummary]
    next: str | None


class LabelCount(_Document):
    """A label and how many messages have it."""

    label: str
    messages: int


class LabelList(_Document):
    """An agent's labels, in alphabetical order."""

    labels: list[LabelCount]


class EventEntry(_Document):
    """What became of a mail that was sent: a bounce, a block, a complaint."""

    id: str
    agent: str
    kind: str
    stored_at: datetime
    payload: dict[str, Any]

    @classmethod
    def of(cls, row: EventRow) -> EventEntry:
        return cls(id=row.id, agent=row.agent, kind=row.kind, stored_at=_moment(row.stored_at), payload=row.payload)


class EventPage(_Document):
    """As of messages."""

    events: list[EventEntry]
    next: str | None


class MailboxInfo(_Document):
    """Whose mailbox it is; `agent` and `address` are "" for the platform, which sees all."""

    agent: str
    address: str
    messages: int
    unread: int
    cursor: str = Field(description="As `after`: what comes from now on.")


class InboxState(_Document):
    """How the inbox is doing, for the platform."""

    database_step: str = Field(description="Of `azmail inbox migrate`, that the tables are at.")
    program_step: str = Field(description="That the program which answers expects; another one was started since.")
    waiting: int = Field(description="Hook calls that are due or put off.")
    dead: int = Field(description="Hook calls that failed for good, until somebody retries or drops them.")
    lag_seconds: float = Field(description="By how much the oldest due hook call is late.")


class Marks(_Document):
    """What to change of a message; what is left out stays."""

    seen: bool | None = None
    add_labels: Annotated[list[Label], Field(max_length=20)] = []
    remove_labels: Annotated[list[Label], Field(max_length=20)] = []


class FileToSend(_Document):
    """A file; with a `content_id` the HTML shows it."""

    filename: PlainText
    content: Annotated[str, Field(max_length=MOST_FILE_CHARACTERS, description="base64")]
    content_type: PlainText = "application/octet-stream"
    content_id: PlainText | None = None

    def attachment(self) -> Attachment:
        try:
            content = base64.b64decode(self.content, validate=True)
        except (binascii.Error, ValueError):
            raise InvalidMailError(f"attachment {ascii(self.filename)[:80]}: its content is no base64") from None
        return Attachment(self.filename, content, self.content_type, self.content_id)


class ReplyToSend(_Document):
    """An answer in its thread: to Reply-To or From, with `to_all` to the others as well."""

    text: PlainText | None = None
    html: PlainText | None = None
    to_all: bool = False
    attachments: Annotated[list[FileToSend], Field(max_length=100)] = []
    custom_id: PlainText | None = None


class MailToSend(_Document):
    """A new message from the agent's own address."""

    to: Annotated[list[PlainText], Field(min_length=1, max_length=50, examples=[["Ada <ada@example.com>"]])]
    cc: Annotated[list[PlainText], Field(max_length=50)] = []
    bcc: Annotated[list[PlainText], Field(max_length=50)] = []
    subject: PlainText = ""
    text: PlainText | None = None
    html: PlainText | None = None
    attachments: Annotated[list[FileToSend], Field(max_length=100)] = []
    in_reply_to: PlainText | None = None
    references: Annotated[list[PlainText], Field(max_length=30)] = []
    custom_id: PlainText | None = None

    def mail(self) -> OutgoingMail:
        """Raises InvalidMailError and MailTooLargeError."""
        return OutgoingMail(
            to=self.to,
            cc=self.cc,
            bcc=self.bcc,
            subject=self.subject,
            text=self.text,
            html=self.html,
            attachments=[one.attachment() for one in self.attachments],
            in_reply_to=self.in_reply_to,
            references=self.references,
            custom_id=self.custom_id,
        )


class SentReceipt(_Document):
    """Mailjet has the message. `custom_id` is in its events and in the answers to it."""

    custom_id: str
    recipients: list[str]
    left_out: list[str]
    answer: str


class ProblemDocument(BaseModel):
    """RFC 9457."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str


def thread_name(thread: int) -> str:
    return f"{thread:015x}"


def _summary(row: MailRow) -> dict[str, Any]:
    given = row.summary
    return {
        "id": row.id,
        "agent": row.agent,
        "thread": thread_name(row.thread),
        "direction": row.direction,
        "seen": row.seen,
        "labels": list(row.labels),
        "octets": row.octets,
        "stored_at": _moment(row.stored_at),
        "received_at": given["received_at"],
        "sent_at": given["sent_at"],
        "sender": given["from"],
        "to": given["to"],
        "cc": given["cc"],
        "subject": given["subject"],
        "snippet": given["snippet"],
        "message_id": given["message_id"],
        "in_reply_to": given["in_reply_to"],
        "custom_id": given["custom_id"],
        "spam_score": given["spam_score"],
        "automatic": given["automatic"],
        "attachment_count": given["attachments"],
    }


def _moment(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)
