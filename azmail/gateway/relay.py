"""What both doors share: who logs in, what may go out, and the one way to Mailjet.

A message is judged (`identity`), counted (`ledger`), handed over once, and its answer remembered. Whatever cannot be
known (the database is away, the answer was lost) is told as it is; nothing goes out unchecked, and nothing twice.
"""

from __future__ import annotations

import hashlib
import json
import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import Protocol

from azmail.errors import (
    AccountBlockedError,
    CredentialsRefusedError,
    DeliveryUncertainError,
    MailTooLargeError,
    MessageRefusedError,
    RecipientsRefusedError,
    SenderRefusedError,
    SendError,
    TlsError,
)
from azmail.gateway.credentials import PLATFORM, AgentLogin, Directory, Password, Roots, Scope, authenticate
from azmail.gateway.identity import MessageOffenceError, checked_message
from azmail.gateway.ledger import RESULT_SECONDS, Ledger, LedgerError, LimitReachedError, SendingLimits, Stage

log = logging.getLogger("azmail.gateway")

MAX_RECIPIENTS = 50
REVOCATIONS_SECONDS = 2.0
"""How old what is known of revocations may be; five seconds are promised."""
_MOMENT = 0.5
AT_ONCE_PER_AGENT = 4
"""Messages of one agent on their way at the same time, so that none takes every connection to Mailjet."""
HANDLED_PER_AGENT = 8
"""Messages and calls of one agent that come or wait at the same time, so that none takes all memory."""


class Upstream(Protocol):
    """The way to Mailjet; `azmail.SmtpTransport` is one."""

    def hand_over(self, wire: bytes, sender: str, recipients: Sequence[str]) -> str:
        """Mailjet's answer. Raises SendError."""


@dataclass(frozen=True, slots=True)
class Policy:
    """What one agent may do beyond being itself."""

    limits: SendingLimits = field(default_factory=SendingLimits)
    recipients: frozenset[str] | None = None
    """Addresses and domains, in lower case, that it may write to; None for everybody."""

    def allows(self, recipient: str) -> bool:
        if self.recipients is None:
            return True
        address = recipient.lower()
        return address in self.recipients or address.rpartition("@")[2] in self.recipients


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer in SMTP's words: `250 2.0.0 …`; `retry_after` in seconds where the protocol can say it."""

    code: int
    enhanced: str
    text: str
    retry_after: int | None = None

    @property
    def line(self) -> str:
        """One line of printable ASCII, whatever a server upstream has said."""
        text = " ".join(self.text.encode("ascii", "backslashreplace").decode().split())
        return f"{self.code} {self.enhanced} {text[:480]}"

    def kept(self) -> str:
        """As the ledger remembers it; `Reply(*json.loads(kept))` is the reply again."""
        return json.dumps([self.code, self.enhanced, self.text])

    @property
    def is_temporary(self) -> bool:
        """By the class of the enhanced status code (RFC 3463): nothing has been sent, and trying again may help."""
        return self.enhanced.startswith("4.")


Keep = Callable[[AgentLogin, str, bytes, Sequence[str]], None]
"""Agent, key of the message, its octets, its recipients."""

AWAY = Reply(451, "4.3.0", "the gateway cannot check limits and revocations now, nothing was sent; try again later")
BUSY = Reply(451, "4.5.0", "this very message is on its way already; try again later for its answer")
CROWDED = Reply(451, "4.3.2", f"{HANDLED_PER_AGENT} messages of this agent are being handled; try again later")
DOUBT = Reply(554, "5.4.0", "Mailjet's answer was lost; the message may have been sent and is not sent again")
OTHER = Reply(
    554, "5.6.0", "another message came under this key within 24 hours; give this one a key of its own, it was not sent"
)
LOST = Reply(
    554,
    "5.4.0",
    "an earlier attempt at this message ended without an answer and may have been sent; it is not sent again",
)


class Relay:
    """Safe to share between threads; every call may block for as long as the database or Mailjet takes."""

    def __init__(
        self,
        *,
        directory: Directory,
        roots: Roots,
        ledger: Ledger,
        upstream: Upstream,
        policies: Mapping[str, Policy] | None = None,
        default: Policy | None = None,
        account: SendingLimits | None = None,
        clock: Callable[[], float] = time.monotonic,
        keep: Keep | None = None,
    ) -> None:
        """`keep` is called with what was sent, each time that it is told so; it does not raise."""
        self._keep = keep
        self._ledger = ledger
        self._upstream = upstream
        self.account_blocked = False
        self.renew(directory=directory, roots=roots, policies=policies, default=default, account=account)
        self._clock = clock
        self._revoked: tuple[float, Mapping[str, int]] = (float("-inf"), {})
        """When the database was asked, and what it knew."""
        self._looking = threading.Lock()
        self._failures = 0
        self._at_once: Counter[str] = Counter()
        self._handled: Counter[str] = Counter()
        self._counting = threading.Lock()

    def renew(
        self,
        *,
        directory: Directory,
        roots: Roots,
        policies: Mapping[str, Policy] | None = None,
        default: Policy | None = None,
        account: SendingLimits | None = None,
        upstream: Upstream | None = None,
    ) -> None:
        """Take other agents, roots and limits, and another way to Mailjet, from the next step of every session on."""
        self._directory = directory
        self._roots = roots
        self._policies = dict(policies or {})
        self._default = default or Policy()
        self._account = account or SendingLimits()
        if upstream is not None:
            self._upstream = upstream
            self.account_blocked = False

    # -- who -------------------------------------------------------------------------------------------------

    def login(self, user: str, secret: str, scope: Scope = Scope.SEND) -> AgentLogin | None:
        """The agent whose credential this is, None for whatever is wrong. Raises LedgerError."""
        return authenticate(self._directory, self._roots, user, secret, scope, revoked=self._revocations())

    @property
    def knows_revocations(self) -> bool:
        """Whether a login in the next moment asks no database, and so blocks nobody."""
        return self._clock() - self._revoked[0] <= REVOCATIONS_SECONDS - _MOMENT

    def opens_all(self, secret: str) -> bool:
        """Whether it is the platform's credential, which reads every mailbox."""
        password = Password.parse(secret)
        return password is not None and self._roots.proves(password, PLATFORM, Scope.PLATFORM)

    def agent_at(self, address: str) -> str | None:
        """The id of the agent with this address, in any case."""
        found = self._directory.find(address.lower())
        return found.id if found is not None and found.address.lower() == address.lower() else None

    def find(self, who: str) -> AgentLogin | None:
        """By id or address."""
        return self._directory.find(who)

    def _revocations(self) -> Mapping[str, int]:
        """What the database knows, at most `REVOCATIONS_SECONDS` old. Raises LedgerError: they fail closed."""
        asked, revoked = self._revoked
        if self._clock() - asked <= REVOCATIONS_SECONDS:
            return revoked
        failures = self._failures
        with self._looking:
            if self._clock() - self._revoked[0] > REVOCATIONS_SECONDS:
                if self._failures != failures:
                    # Whoever waited for this lock asks no database that has just not answered: each would wait in turn.
                    raise LedgerError(TimeoutError())
                asked = self._clock()
                try:
                    self._revoked = asked, self._ledger.revocations()
                except LedgerError:
                    self._failures += 1
                    raise
            return self._revoked[1]

    def policy(self, agent: AgentLogin) -> Policy:
        return self._policies.get(agent.id, self._default)

    def recipient_offence(self, agent: AgentLogin, recipient: str) -> Reply | None:
        """Why the agent may not write to this address, or None."""
        if not self.policy(agent).allows(recipient):
            return Reply(550, "5.7.1", f"recipient {recipient}: it is not on this agent's list of recipients")
        return None

    def health(self) -> str:
        """What keeps the gateway from sending, or "" """
        try:
            self._ledger.check()
        except LedgerError as error:
            return str(error)
        return "Mailjet refuses the account" if self.account_blocked else ""

    # -- what ------------------------------------------------------------------------------------------------

    def submit(
        self,
        agent: AgentLogin,
        octets: bytes,
        recipients: Sequence[str],
        *,
        known_as: tuple[str, str] | None = None,
    ) -> Reply:
        """Judge one message and hand it on; never raises for what is wrong with it.

        `known_as`: key and digest by which a repetition is known, where the caller composes the message anew each time.
        """
        try:
            message = checked_message(octets, agent)
        except MessageOffenceError as offence:
            return Reply(offence.code, offence.enhanced, offence.sentence)
        # A repetition is the same octets, Message-ID included, to the same recipients: what the gateway adds is left out. One message
        # to other recipients is no repetition; a client that is told 452 brings the rest so.
        octets_and_recipients = _digest(octets, recipients)
        key, digest = known_as or (octets_and_recipients, octets_and_recipients)
        reply = self.once(
            agent,
            key,
            digest,
            recipients=len(recipients),
            send=lambda: self._hand_over(message.octets, agent.address, recipients),
        )
        if reply.code == 250:
            self.keep_sent(agent, key, lambda: message.octets, recipients)
        return reply

    def keep_sent(self, agent: AgentLogin, key: str, octets: Callable[[], bytes], recipients: Sequence[str]) -> None:
        """Put a message that has left into its agent's mailbox, where there is one; `key` is the same for a repetition."""
        if self._keep is None:
            return
        try:
            self._keep(agent, key, octets(), recipients)
        except Exception:
            # It has left: whatever is wrong with keeping it, the client must hear that it was sent.
            log.exception("a message of agent %s was sent and does not stand in its mailbox", agent.id)

    def once(
        self,
        agent: AgentLogin,
        key: str,
        digest: str,
        *,
        recipients: int,
        send: Callable[[], Reply],
        messages: int = 1,
        remembered: int = RESULT_SECONDS,
    ) -> Reply:
        """Count and send what `key` names, or say what became of it in the last `remembered` seconds."""
        with self._place(agent, self._at_once, AT_ONCE_PER_AGENT) as has_place:
            if not has_place:
                return Reply(
                    451, "4.3.2", f"{AT_ONCE_PER_AGENT} messages of this agent are on their way; try again later"
                )
            try:
                earlier = self._ledger.begin(
                    agent.id,
                    key,
                    digest,
                    recipients=recipients,
                    messages=messages,
                    limits=self.policy(agent).limits,
                    account=self._account,
                    remembered=remembered,
                )
            except LimitReachedError as limit:
                if limit.again_in is None:
                    return Reply(550, "5.7.1", str(limit))
                return Reply(450, "4.7.1", str(limit), retry_after=limit.again_in)
            except LedgerError:
                log.exception("nothing is sent while the database is away")
                return AWAY
            if earlier is not None:
                return _told_before(earlier.stage, earlier.answer, same=earlier.digest == digest)
            try:
                reply = send()
            except Exception:
                # A fault of the gateway's own, before or after the message has left: nobody can say.
                log.exception("a message of agent %s may have been sent", agent.id)
                reply = DOUBT
            self._remember(agent, key, reply, recipients, messages)
            return reply

    def _hand_over(self, octets: bytes, sender: str, recipients: Sequence[str]) -> Reply:
        try:
            answer = self._upstream.hand_over(octets, sender, recipients)
        except SendError as error:
            self._note_account(error)
            return reply_for(error)
        self.note_account(blocked=False)
        return Reply(250, "2.0.0", answer)

    def _note_account(self, error: SendError) -> None:
        if isinstance(error, AccountBlockedError | CredentialsRefusedError):
            self.note_account(blocked=True, said=str(error))

    def note_account(self, *, blocked: bool, said: str = "") -> None:
        """What a door has learnt: whether Mailjet takes the account's mail at all; `health` tells it."""
        if blocked and not self.account_blocked:
            log.error("Mailjet refuses the account: %s", said)
        self.account_blocked = blocked

    def _remember(self, agent: AgentLogin, key: str, reply: Reply, recipients: int, messages: int) -> None:
        """What became of it. If the database has gone meanwhile, the message stays under way, and then lost."""
        try:
            if reply.is_temporary:
                self._ledger.take_back(agent.id, key, recipients=recipients, messages=messages)
            else:
                self._ledger.answered(agent.id, key, reply.kept())
        except LedgerError:
            log.exception("the answer to a message of agent %s was not kept", agent.id)

    def handling(self, agent: AgentLogin) -> AbstractContextManager[bool]:
        """A place for a message or call from its first octet to its answer, or False where the agent has enough of them."""
        return self._place(agent, self._handled, HANDLED_PER_AGENT)

    @contextmanager
    def _place(self, agent: AgentLogin, taken: Counter[str], most: int) -> Iterator[bool]:
        with self._counting:
            has_place = taken[agent.id] < most
            if has_place:
                taken[agent.id] += 1
        try:
            yield has_place
        finally:
            if has_place:
                with self._counting:
                    taken[agent.id] -= 1
                    if not taken[agent.id]:
                        del taken[agent.id]


def reply_for(error: SendError) -> Reply:
    """A transport's error as an answer: temporary only where Mailjet has certainly sent nothing."""
    if isinstance(error, AccountBlockedError | CredentialsRefusedError):
        return Reply(451, "4.3.0", "Mailjet refuses the account at present, nothing was sent; try again later")
    if error.temporary or isinstance(error, TlsError):
        return Reply(451, "4.4.1", f"Mailjet does not take the message now, nothing was sent: {error}")
    if isinstance(error, DeliveryUncertainError):
        return DOUBT
    if isinstance(error, MailTooLargeError):
        return Reply(552, "5.3.4", str(error))
    if isinstance(error, SenderRefusedError):
        return Reply(550, "5.7.1", str(error))
    if isinstance(error, RecipientsRefusedError):
        return Reply(550, "5.1.1", str(error))
    if isinstance(error, MessageRefusedError):
        return Reply(554, "5.6.0", str(error))
    return Reply(554, "5.0.0", str(error))


def _told_before(stage: Stage, answer: str, *, same: bool) -> Reply:
    if not same:
        return OTHER
    if stage is Stage.ANSWERED:
        return Reply(*json.loads(answer))
    return LOST if stage is Stage.LOST else BUSY


def _digest(octets: bytes, recipients: Sequence[str]) -> str:
    digest = hashlib.sha256(octets)
    for recipient in sorted(recipients):
        digest.update(b"\0" + recipient.encode("utf-8", "surrogateescape"))
    return digest.hexdigest()
