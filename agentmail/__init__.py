"""Mail for Azt3kNet agents: the stack's credentials, sending through Mailjet, receiving its webhook.

    stack = MailStack.load("outputs.json")
    with MailService(stack.mailbox(agent_id)) as mail:
        mail.send(OutgoingMail(to="ada@example.com", subject="Hello", text="Hello Ada"))

    app = create_app(stack, on_mail=handle, auth=BasicAuth(secret))

It is fed with the outputs of the Pulumi program beside it and shares no code with it: `outputs.schema.json` is the
contract between the two.
"""

from agentmail.contract import CONTRACT_VERSION, ExpectedRecord, Mailbox, StackOutputs
from agentmail.deliveries import Claim, DeliveryStore, MemoryDeliveries, SqliteDeliveries
from agentmail.dotenv import render_env
from agentmail.errors import (
    AccountBlockedError,
    AgentMailError,
    ContractError,
    ContractVersionError,
    CredentialsRefusedError,
    DeliveryUncertainError,
    ForwardError,
    InvalidMailError,
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
from agentmail.events import BlockedEvent, BounceEvent, EventKind, MailEvent, OtherEvent, SpamEvent, parse_events
from agentmail.forward import Forwarder
from agentmail.inbound import InboundAttachment, InboundMail, parse_inbound
from agentmail.mail import Attachment, MailAddress, OutgoingMail
from agentmail.sendapi import SendApiTransport
from agentmail.service import MailService, thread_of
from agentmail.smtp import Security, SmtpTransport
from agentmail.stack import MailStack
from agentmail.transport import NO_RETRIES, Receipt, Retries, Transport
from agentmail.webhook import (
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
    "AgentMailError",
    "Attachment",
    "BasicAuth",
    "BlockedEvent",
    "BounceEvent",
    "Claim",
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
    "InvalidMailError",
    "MailAddress",
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
    "WebhookConfigError",
    "create_app",
    "parse_events",
    "parse_inbound",
    "render_env",
    "thread_of",
    "valid_token",
]
