"""Mail for Azt3kNet agents: the stack's credentials, sending through Mailjet, receiving its webhook.

    stack = MailStack.load("outputs.json")
    with MailService(stack.mailbox(agent_id)) as mail:
        mail.send(OutgoingMail(to="ada@example.com", subject="Hello", text="Hello Ada"))

    app = create_app(stack, on_mail=handle, auth=BasicAuth(secret))

It is fed with the outputs of the Pulumi program beside it and shares no code with it: `outputs.schema.json` is the
contract between the two.
"""

from azmail.contract import CONTRACT_VERSION, ExpectedRecord, Mailbox, StackOutputs
from azmail.deliveries import ClaimResult, DeliveryStore, MemoryDeliveries, SqliteDeliveries
from azmail.dotenv import render_env
from azmail.errors import (
    AccountBlockedError,
    AzmailError,
    ContractError,
    ContractVersionError,
    CredentialsRefusedError,
    DeliveryUncertainError,
    ForwardError,
    InvalidMailError,
    LoopBoundError,
    MailTooLargeError,
    MessageRefusedError,
    PayloadError,
    PoolExhaustedError,
    RecipientsRefusedError,
    SenderRefusedError,
    SendError,
    StackOutputsError,
    TemporarySendError,
    TlsError,
    TooManyRecipientsError,
    TransportConfigError,
    TryAgainError,
    UnknownMailboxError,
    UnreachableError,
    UnsafeEnvError,
    WebhookConfigError,
)
from azmail.events import (
    BlockedEvent,
    BounceEvent,
    EventKind,
    MailEvent,
    OtherEvent,
    SpamEvent,
    UnsubEvent,
    parse_events,
)
from azmail.forward import Forwarder
from azmail.inbound import InboundAttachment, InboundMail, parse_inbound
from azmail.inbox.client import AsyncInboxClient, InboxClient, InboxError, MailDidNotComeError
from azmail.loops import ReplyBound
from azmail.mail import Attachment, MailAddress, OutgoingMail
from azmail.sendapi import SendApiTransport
from azmail.service import MailService, thread_of
from azmail.smtp import Security, SmtpTransport
from azmail.stack import MailStack
from azmail.transport import NO_RETRIES, Receipt, Retries, Transport
from azmail.webhook import (
    BasicAuth,
    PathSecret,
    Unauthenticated,
    UnknownRecipients,
    create_app,
    valid_token,
)

__version__ = "1.0.0"

__all__ = [
    "CONTRACT_VERSION",
    "NO_RETRIES",
    "AccountBlockedError",
    "AsyncInboxClient",
    "Attachment",
    "AzmailError",
    "BasicAuth",
    "BlockedEvent",
    "BounceEvent",
    "ClaimResult",
    "ContractError",
    "ContractVersionError",
    "CredentialsRefusedError",
    "DeliveryStore",
    "DeliveryUncertainError",
    "EventKind",
    "ExpectedRecord",
    "ForwardError",
    "Forwarder",
    "InboundAttachment",
    "InboundMail",
    "InboxClient",
    "InboxError",
    "InvalidMailError",
    "LoopBoundError",
    "MailAddress",
    "MailDidNotComeError",
    "MailEvent",
    "MailService",
    "MailStack",
    "MailTooLargeError",
    "Mailbox",
    "MemoryDeliveries",
    "MessageRefusedError",
    "OtherEvent",
    "OutgoingMail",
    "PathSecret",
    "PayloadError",
    "PoolExhaustedError",
    "Receipt",
    "RecipientsRefusedError",
    "ReplyBound",
    "Retries",
    "Security",
    "SendApiTransport",
    "SendError",
    "SenderRefusedError",
    "SmtpTransport",
    "SpamEvent",
    "SqliteDeliveries",
    "StackOutputs",
    "StackOutputsError",
    "TemporarySendError",
    "TlsError",
    "TooManyRecipientsError",
    "Transport",
    "TransportConfigError",
    "TryAgainError",
    "Unauthenticated",
    "UnknownMailboxError",
    "UnknownRecipients",
    "UnreachableError",
    "UnsafeEnvError",
    "UnsubEvent",
    "WebhookConfigError",
    "create_app",
    "parse_events",
    "parse_inbound",
    "render_env",
    "thread_of",
    "valid_token",
]
