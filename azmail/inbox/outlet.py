"""Sending from the inbox: composed here, judged and counted by the gateway's rules, handed over once."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from uuid import uuid4

from azmail.compose import as_message
from azmail.contract import Mailbox
from azmail.gateway.credentials import AgentLogin
from azmail.gateway.relay import BUSY, LOST, OTHER, Reply
from azmail.inbox.access import Gate
from azmail.inbox.problems import ApiRefusalError
from azmail.loops import ReplyBound
from azmail.mail import MailAddress, OutgoingMail
from azmail.service import MailService
from azmail.transport import NO_RETRIES, Receipt, Transport


class GatewayOutlet(Transport):
    """Hands one agent's mails to the gateway's relay. Raises ApiRefusalError for what that refuses."""

    def __init__(self, gate: Gate, agent: AgentLogin, key: str, request: object) -> None:
        """`key`: the client's Idempotency-Key, "" for none; `request`: what was asked for, as JSON."""
        super().__init__(concurrency=1, retries=NO_RETRIES)
        self._gate = gate
        self._agent = agent
        self._key = hashlib.sha256(f"inbox\0{key or uuid4()}".encode()).hexdigest()
        self._digest = hashlib.sha256(json.dumps(request, sort_keys=True).encode()).hexdigest()
        self.custom_id = self._key[:32]
        """The same for a repetition, so that its receipt is too."""

    def send(self, mail: OutgoingMail, sender: MailAddress) -> Receipt:
        recipients = tuple(recipient.email for recipient in mail.recipients)
        for one in recipients:
            if (offence := self._gate.recipient_offence(self._agent, one)) is not None:
                raise ApiRefusalError(403, offence.text)
        message_id = f"<{self._key}@{sender.domain}>"
        wire = as_message(mail, sender, message_id=message_id, date=datetime.now(UTC)).as_bytes()
        reply = self._gate.submit(self._agent, wire, recipients, known_as=(self._key, self._digest))
        if reply.code != 250:
            raise _refusal(reply)
        return Receipt(recipients, custom_id=mail.custom_id, answer=reply.text, left_out=mail.left_out)


def sender_of(agent: AgentLogin, outlet: GatewayOutlet, bound: ReplyBound) -> MailService:
    """What the agent sends with; of the account's credentials it has none."""
    mailbox = Mailbox.model_construct(
        agent_id=agent.id,
        address=agent.address,
        smtp_host="",
        smtp_port=0,
        smtp_username="",
        smtp_password="",
        inbound_url="",
        inbound_secret="",
    )
    return MailService(mailbox, outlet, reply_bound=bound)


def _refusal(reply: Reply) -> ApiRefusalError:
    if reply.retry_after is not None:
        return ApiRefusalError(429, reply.text, {"Retry-After": str(reply.retry_after)})
    if reply == BUSY:
        return ApiRefusalError(409, reply.text, {"Retry-After": "5"})
    if reply == LOST or reply.enhanced == "5.4.0":
        return ApiRefusalError(504, reply.text)
    if reply.is_temporary:
        return ApiRefusalError(503, reply.text, {"Retry-After": "30"})
    if reply.enhanced == "5.3.4":
        return ApiRefusalError(413, reply.text)
    return ApiRefusalError(409 if reply == OTHER else 422, reply.text)
