"""Everything this package raises on purpose.

Each message says in one sentence what was found, what was expected and what to do. No message carries a
credential, a webhook secret or the text of a mail.
"""

from collections.abc import Iterable, Mapping
from typing import Self

MAX_QUOTED_REPLY = 200


class AzmailError(Exception):
    """Base of every error of this package."""


# --- the contract ---------------------------------------------------------------------------------------------


class ContractError(AzmailError):
    """The stack outputs are not what the contract says."""

    def __init__(self, source: str, problems: Iterable[str]) -> None:
        self.source = source
        self.problems = tuple(problems)
        shown = "; ".join(self.problems[:5])
        more = f"; and {len(self.problems) - 5} more" if len(self.problems) > 5 else ""
        super().__init__(
            f"{source} does not follow the stack output contract: {shown}{more} "
            "(`azmail schema` prints what is expected)"
        )


class ContractVersionError(ContractError):
    """The outputs are of a major version that this package does not read."""

    def __init__(self, source: str, found: str, supported: str) -> None:
        self.found = found
        self.supported = supported
        advice = (
            "bring the stack up with the program that belongs to it (`./mail apply STACK` in its clone)"
            if _major(found) < _major(supported)
            else "install a newer azmail"
        )
        super().__init__(source, ())
        self.args = (f"{source} has contractVersion {found}, this azmail reads {_major(supported)}.x: {advice}",)


def _major(version: str) -> int:
    return int(version.partition(".")[0])


class StackOutputsError(AzmailError):
    """The stack outputs cannot be read at all: no file, no stack, no Pulumi."""


class UnknownMailboxError(AzmailError, LookupError):
    """The stack has no mailbox for this agent id or address."""

    def __init__(self, kind: str, wanted: str, count: int) -> None:
        self.wanted = wanted
        super().__init__(
            f"no mailbox has the {kind} {wanted!r}, the stack outputs name {count} mailboxes: "
            "add the agent to the population and run `./mail apply STACK` in the infrastructure's clone, then load the "
            "outputs again"
        )


class NoInboxError(AzmailError, LookupError):
    """The stack keeps no mail."""

    def __init__(self, domain: str) -> None:
        super().__init__(
            f"the stack of {domain} has no inbox, its output inboxEnv is empty: set inboxService or inboxUrl and run "
            "`./mail apply STACK` in the infrastructure's clone, then load the outputs again"
        )


class UnsafeEnvError(AzmailError):
    """A value cannot stand unquoted in a .env file that shells and compose both read."""

    def __init__(self, names: Iterable[str], allowed: str) -> None:
        self.names = tuple(names)
        super().__init__(
            f"{', '.join(self.names)}: found characters that a .env file cannot carry unquoted for both a shell and "
            f"docker compose (such as $ # quotes spaces), expected only {allowed}: set a value in that alphabet"
        )


# --- sending --------------------------------------------------------------------------------------------------


class SendError(AzmailError):
    """A mail was not handed over.

    `temporary`: nothing was sent and the same mail may be accepted later. `maybe_sent`: the answer got lost after the
    mail had left, so sending again could deliver it twice. Never both.
    """

    temporary = False
    maybe_sent = False
    status: int | None = None
    """The HTTP status of the Send API's answer; None where there was none."""
    error_code = ""
    """Mailjet's ErrorCode, such as send-0008."""
    error_identifier = ""
    """Mailjet's ErrorIdentifier, by which its support finds the request."""

    def answered(self, status: int, *, code: str = "", identifier: str = "") -> Self:
        """This error with what the Send API answered, at the end of its sentence too."""
        self.status, self.error_code, self.error_identifier = status, _one_line(code), _one_line(identifier)
        named = (("ErrorCode", self.error_code), ("ErrorIdentifier", self.error_identifier))
        told = ", ".join([f"status {status}", *(f"{name} {value}" for name, value in named if value)])
        self.args = (f"{self} [{told}]",)
        return self


class TransportConfigError(SendError):
    """A transport cannot be built from what it was given."""


class InvalidMailError(SendError):
    """The mail breaks a rule that is checked before anything is sent."""


class TooManyRecipientsError(InvalidMailError):
    """More recipients than Mailjet takes in one mail."""

    def __init__(self, found: int, most: int, *, answer: bool = False) -> None:
        remedy = (
            "answer without to_all, or give compose_reply(...)'s text to several OutgoingMail(to=...) in that thread"
            if answer
            else "split it into several mails"
        )
        super().__init__(
            f"the {'answer' if answer else 'mail'} has {found} recipients in To, Cc and Bcc together, Mailjet takes at "
            f"most {most}: {remedy}"
        )


class LoopBoundError(SendError):
    """An agent has answered so often that two machines may be answering each other; nothing was sent.

    `thread`: the thread, subject or correspondent; `count`: the answers within `seconds`; `wait`: seconds until the
    next is allowed. It is not `temporary`: sending again by itself would keep the loop alive.
    """

    def __init__(self, agent: str, thread: str, count: int, seconds: float, wait: float) -> None:
        self.agent, self.thread, self.count, self.seconds, self.wait = agent, thread, count, seconds, wait
        span = "an hour" if seconds == 3600 else f"{seconds:g} s"
        super().__init__(
            f"agent {agent} has answered {count} times within {span} ({thread}), expected fewer: two machines may be "
            f"answering each other. Look at that mail; answers go out again in {wait:.0f} s, or at once with "
            f"MailService(..., reply_bound=ReplyBound({count * 2}, most_to_one={max(30, count * 4)}))"
        )


class MailTooLargeError(SendError):
    """The mail is larger than this package, the server or Mailjet allows."""

    def __init__(self, found: int, most: int | None, whose: str) -> None:
        limit = f"at most {most} bytes" if most is not None else "less"
        super().__init__(f"the mail has {found} bytes, {whose} takes {limit}: send smaller or fewer attachments")


class _RefusedError(SendError):
    def __init__(self, sentence: str, answer: str, advice: str) -> None:
        self.answer = _one_line(answer)
        said = f" (it said: {self.answer})" if self.answer else ""
        super().__init__(f"{sentence}{said}: {advice}")


class SenderRefusedError(_RefusedError):
    """The sender address is not one that the account may send from."""

    def __init__(self, sender: str, answer: str) -> None:
        self.sender = sender
        super().__init__(
            f"Mailjet refused the sender {sender}",
            answer,
            "its domain must be a validated sender of this account (the output dkimStatus tells, and in the "
            "infrastructure's clone `./mail doctor STACK`)",
        )


class RecipientsRefusedError(_RefusedError):
    """At least one recipient was refused; nothing was sent to anybody."""

    def __init__(self, refused: Mapping[str, str]) -> None:
        self.refused = {address: _one_line(answer) for address, answer in refused.items()}
        super().__init__(
            f"Mailjet refused {', '.join(self.refused)}, the mail was sent to nobody",
            next(iter(self.refused.values()), ""),
            "correct or drop the refused addresses",
        )


class AccountBlockedError(_RefusedError):
    """Mailjet has blocked or suspended the account."""

    def __init__(self, answer: str = "") -> None:
        super().__init__(
            "Mailjet has blocked the account or its API key", answer, "ask Mailjet's support to lift the block"
        )


class CredentialsRefusedError(SendError):
    """The account's API key and secret were not accepted."""

    def __init__(self, server: str) -> None:
        super().__init__(
            f"{server} did not accept the mailbox's smtp_username and smtp_password: expected the Mailjet API key and "
            "secret of this environment, load the stack outputs again, or rotate the key and run `./mail apply STACK` "
            "in the infrastructure's clone"
        )


class MessageRefusedError(_RefusedError):
    """Mailjet refused the mail for good, for a reason that has no class of its own."""

    def __init__(self, answer: str, code: str = "") -> None:
        self.code = code
        super().__init__(
            f"Mailjet refused the mail{f' with {code}' if code else ''}",
            answer,
            "the same mail will be refused again, change it",
        )


class TlsError(SendError):
    """No trustworthy TLS connection; no credential was sent."""

    def __init__(self, server: str, reason: str) -> None:
        super().__init__(
            f"no verified TLS connection to {server} ({_one_line(reason)}), credentials are never sent without one: "
            "check the host, the port and, for a private certificate authority, ca_file"
        )


class TemporarySendError(_RefusedError):
    """Not accepted now, nothing was sent; the same mail may be accepted later."""

    temporary = True

    def __init__(self, server: str, answer: str, *, retry_after: float | None = None) -> None:
        self.retry_after = retry_after
        super().__init__(f"{server} does not take the mail now", answer, "nothing was sent, send it again later")


class UnreachableError(TemporarySendError):
    """No connection, or one that ended before the mail was handed over; nothing was sent."""


class PoolExhaustedError(TemporarySendError):
    """Every connection of the pool stayed busy for the whole waiting time; nothing was sent."""

    def __init__(self, server: str, size: int, waited: float) -> None:
        super().__init__(server, f"all {size} connections were busy for {waited:g} s")


class DeliveryUncertainError(SendError):
    """The mail left but no answer came back: it may have been delivered, so it is not sent again by itself."""

    maybe_sent = True

    def __init__(self, server: str, reason: str) -> None:
        super().__init__(
            f"{server} got the mail but its answer was lost ({_one_line(reason)}): the mail may have been sent, "
            "look for its custom id or events before sending it again"
        )


# --- receiving ------------------------------------------------------------------------------------------------


class PayloadError(AzmailError):
    """A webhook body is not a Mailjet delivery."""

    def __init__(self, where: str, found: str, expected: str) -> None:
        self.where = where
        super().__init__(f"{where}: found {found}, expected {expected}")


class TryAgainError(AzmailError):
    """Raised by a hook that wants the delivery again later: the webhook answers 503 and marks nothing as done."""


class StoreError(TryAgainError):
    """What was delivered cannot be remembered now."""

    def __init__(self, store: str, reason: str) -> None:
        super().__init__(
            f"{store} does not take what was delivered ({_one_line(reason)}), expected to write there: make space or "
            "correct its permissions, deliveries are answered with 503 until then"
        )


class ForwardError(TryAgainError):
    """The platform's endpoint did not accept a forwarded delivery."""

    def __init__(self, url: str, reason: str, advice: str) -> None:
        super().__init__(f"forwarding to {url} failed ({_one_line(reason)}): {advice}")


class WebhookConfigError(AzmailError):
    """The webhook cannot be built from what it was given."""


def _one_line(text: str) -> str:
    flat = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return flat if len(flat) <= MAX_QUOTED_REPLY else flat[: MAX_QUOTED_REPLY - 1] + "…"
