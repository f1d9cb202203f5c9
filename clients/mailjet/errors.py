"""What can go wrong with Mailjet, each as one sentence that says what was found and what to do.

Every message is built here and passes through `redact`, so no credential can leave in an exception.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import ClassVar
from urllib.parse import unquote

from clients.mailjet.redaction import redact
from mailboxes import remedies
from mailboxes.wording import counted, first_few


def again() -> str:
    """What goes on after a failure that may pass."""
    return f"run `{remedies.apply()}` again: it goes on from here"


class MailjetError(Exception):
    """Base of everything this package raises.

    `transient`: the same call may succeed a moment later.
    `fatal`: every further call of this run would fail likewise.
    """

    transient: ClassVar[bool] = False
    fatal: ClassVar[bool] = False

    def __init_subclass__(cls) -> None:
        """The SDK shows what a provider raises as module, qualified name and text: `agentmail: the sentence`."""
        super().__init_subclass__()
        cls.__module__, cls.__qualname__ = "builtins", "agentmail"

    def __init__(self, sentence: str) -> None:
        super().__init__(redact(sentence))
        # A second error may arise while the first is handled; the person who runs Pulumi is told the last, once.
        self.__suppress_context__ = True


# Before a call is made


class MissingCredentialsError(MailjetError):
    """Neither stack config nor the environment has them."""

    fatal = True

    def __init__(self, missing: Sequence[tuple[str, str]]) -> None:
        """`missing`: pairs of config key and environment variable."""
        keys = " and ".join(f"{key} (or {variable})" for key, variable in missing)
        commands = " and ".join(f"`{remedies.set_secret(key)}`" for key, _ in missing)
        super().__init__(
            f"Mailjet needs {keys}, found neither in stack config nor in the environment: set it with {commands}."
        )


class InvalidApiUrlError(MailjetError):
    """`mailjetApiUrl` is no HTTP address."""

    fatal = True

    def __init__(self, url: str) -> None:
        super().__init__(
            f"mailjetApiUrl is {url!r}, expected an address such as https://api.mailjet.com: correct it with "
            f"`{remedies.set_value('mailjetApiUrl', 'https://api.mailjet.com')}`."
        )


class InvalidSettingError(MailjetError):
    """An environment variable that tunes the client."""

    fatal = True

    def __init__(self, variable: str, found: str, expected: str) -> None:
        super().__init__(f"{variable} is {found!r}, expected {expected}: correct or unset it.")


class EngineGoneError(MailjetError):
    """The Pulumi process that asked for this write no longer runs."""

    fatal = True

    def __init__(self, address: str) -> None:
        super().__init__(
            f"the Pulumi engine at {address} is gone, so nothing more is written to Mailjet: "
            f"run `{remedies.cancel()}`, then `{remedies.apply()}`."
        )


# While a call is made


class NotConnectedError(MailjetError):
    """The request never left: nothing listens, the name does not resolve, TLS fails."""

    transient = True

    def __init__(self, base_url: str, reason: str) -> None:
        super().__init__(
            f"Mailjet's API at {base_url} cannot be reached ({reason}): check the network and `mailjetApiUrl`, "
            f"then {again()}."
        )


class EmulatorDownError(MailjetError):
    """Nothing listens at a loopback API address."""

    fatal = True

    def __init__(self, base_url: str) -> None:
        super().__init__(
            f"nothing listens at {base_url} (mailjetApiUrl): start the emulators with `{remedies.emulators('up')}`, "
            f"then {again()}."
        )


class AnswerLostError(MailjetError):
    """The request may have arrived, its answer did not."""

    transient = True

    def __init__(self, method: str, path: str, reason: str) -> None:
        super().__init__(f"Mailjet gave no answer to {method} {unquote(path)} ({reason}): {again()}.")


# What Mailjet answers


class ApiError(MailjetError):
    """Mailjet answered with an error."""

    def __init__(self, sentence: str, *, status: int, detail: str = "") -> None:
        self.status = status
        self.detail = redact(detail)
        super().__init__(sentence)


class CredentialsRejectedError(ApiError):
    """401: the key or the secret is wrong. Mailjet blocks an address that keeps knocking."""

    fatal = True

    def __init__(self, base_url: str, *, detail: str) -> None:
        said = f" ({detail})" if detail else ""
        super().__init__(
            f"Mailjet at {base_url} rejected the API key or its secret{said}: check mailjetApiKey and mailjetApiSecret "
            "in stack config, or MAILJET_API_KEY and MAILJET_API_SECRET.",
            status=401,
            detail=detail,
        )


class AccountSuspendedError(ApiError):
    """401 `mj-0001`: the account is suspended."""

    fatal = True

    def __init__(self, *, status: int, detail: str) -> None:
        super().__init__(
            f"Mailjet has blocked the account ({detail}): ask Mailjet's support, then {again()}.",
            status=status,
            detail=detail,
        )


class KeyRefusedInRefreshError(MailjetError):
    """The key was refused while a refresh looked. It may be an old one: the engine configures a refresh with what
    the last `up` recorded in the state, and not with today's configuration."""

    fatal = True

    def __init__(self, refusal: ApiError) -> None:
        super().__init__(
            f"{refusal} Nothing more was asked in this run. A refresh uses the key that the last up recorded in the "
            f"state: if configuration has a newer one by now, `{remedies.apply()}`, without --refresh, records it."
        )


def _set_key() -> str:
    return " && ".join(remedies.set_secret(name) for name in ("mailjetApiKey", "mailjetApiSecret"))


class KeyRefusedInWriteError(MailjetError):
    """The key was refused to the first that wrote with it."""

    fatal = True

    def __init__(self, refusal: ApiError) -> None:
        super().__init__(
            f"{refusal} Nothing more was asked in this run. Set them with: {_set_key()}, then go on with: "
            f"{remedies.apply()}"
        )


class KeyRefusedBeforeError(MailjetError):
    """What was under way beside the one that tells of the refused key."""

    fatal = True

    def __init__(self) -> None:
        super().__init__("not tried, since Mailjet refuses the key, as told once in this run.")


class AnotherAccountError(MailjetError):
    """The key is good, but what the stack has made at Mailjet is not in its account."""

    fatal = True

    def __init__(self, domain: str) -> None:
        super().__init__(
            f"mailjetApiKey or mailjetApiUrl is another than in the last up, and the account that it opens has no sender "
            f"*@{domain}; expected the account in which this stack has made it; set that one's key with: {_set_key()}, "
            f"or, if the stack is to be made anew in this account, do that with: {remedies.apply(refresh=True)}"
        )


class NotAllowedError(ApiError):
    """403: the key may not do this."""

    fatal = True

    def __init__(self, method: str, path: str, *, detail: str) -> None:
        super().__init__(
            f"Mailjet does not allow {method} {unquote(path)} to this API key ({detail or 'no reason given'}): check "
            "the key's rights and the account's plan (inbound routes need a paid one).",
            status=403,
            detail=detail,
        )


class NotFoundError(ApiError):
    """404. `certain` with Mailjet's own JSON; a bare HTML page may come from a proxy in between."""

    def __init__(self, method: str, path: str, *, detail: str = "") -> None:
        super().__init__(
            f"Mailjet has nothing at {unquote(path)} ({method} answered 404): it was removed by somebody else; "
            f"`{remedies.refresh()}` records that.",
            status=404,
            detail=detail,
        )
        self.certain = bool(detail)


class IncompleteAnswerError(MailjetError):
    """A success without the object that it should have. What was written may exist, so a look is due."""

    transient = True

    def __init__(self, path: str) -> None:
        super().__init__(f"Mailjet's answer for {unquote(path)} has no object that can be read: {again()}.")


class UnknownLookupError(ApiError):
    """A success that is about something else than what was asked for, as of an API that ignores the name in a path."""

    def __init__(self, path: str) -> None:
        super().__init__(f"Mailjet's answer for {unquote(path)} is about something else: {again()}.", status=200)


class RateLimitedError(ApiError):
    """429. Mailjet sends no `Retry-After`; one is honoured if it comes."""

    transient = True

    def __init__(self, method: str, path: str, *, retry_after: float | None) -> None:
        self.retry_after = retry_after
        super().__init__(
            f"Mailjet answers 429 (too many requests) to {method} {unquote(path)} even after waiting: {again()}.",
            status=429,
        )


class ServerError(ApiError):
    """5xx."""

    transient = True

    def __init__(self, method: str, path: str, *, status: int, detail: str) -> None:
        said = f" ({detail})" if detail else ""
        super().__init__(
            f"Mailjet failed with {status} on {method} {unquote(path)}{said}: {again()}.", status=status, detail=detail
        )


class UnknownEndpointError(ApiError):
    """500 `EFPWebError`, or an answer that is no Mailjet answer: the address is not a Mailjet API."""

    fatal = True

    def __init__(self, base_url: str, method: str, path: str, *, status: int, found: str) -> None:
        super().__init__(
            f"{base_url} answered {method} {unquote(path)} with {found}, which Mailjet's REST API does not: check "
            "`mailjetApiUrl`.",
            status=status,
            detail=found,
        )


class RefusedError(ApiError):
    """400 or another 4xx: Mailjet understood and said no."""

    def __init__(self, method: str, path: str, *, status: int, detail: str) -> None:
        super().__init__(
            f"Mailjet refused {method} {unquote(path)} with {status}: {detail or 'no reason given'}.",
            status=status,
            detail=detail,
        )


class AlreadyExistsError(RefusedError):
    """The three texts for something that exists already: active (MJ18), inactive, deleted; or a 409."""


_EXISTS = re.compile(r"already exist|MJ18", re.IGNORECASE)
_BLOCKED = re.compile(r"mj-0001|temporarily blocked|suspended", re.IGNORECASE)
_LONGEST_DETAIL = 300


def _flat(value: object) -> str:
    """ErrorInfo is a text, or an object of texts."""
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, Mapping):
        return "; ".join(f"{key}: {_flat(entry)}" for key, entry in value.items())
    if isinstance(value, list):
        return "; ".join(_flat(entry) for entry in value)
    return "" if value is None else str(value)


def _detail(body: bytes) -> str:
    """What an error body says, in one line; an HTML page says nothing."""
    try:
        fields = json.loads(body)
    except ValueError:
        return ""
    if not isinstance(fields, Mapping):
        return ""
    parts = [_flat(fields.get(key)) for key in ("ErrorMessage", "ErrorInfo", "ErrorIdentifier")]
    return " ".join(": ".join(part for part in parts if part).split())[:_LONGEST_DETAIL]


def error_from_response(
    base_url: str, method: str, path: str, *, status: int, body: bytes, retry_after: str | None = None
) -> ApiError:
    """The typed error for a status that is not a success. `body` may be JSON, HTML or empty."""
    detail = _detail(body)
    if status == 401:
        if _BLOCKED.search(detail):
            return AccountSuspendedError(status=status, detail=detail)
        return CredentialsRejectedError(base_url, detail=detail)
    if status == 403:
        return NotAllowedError(method, path, detail=detail)
    if status == 404:
        return NotFoundError(method, path, detail=detail)
    if status == 429:
        return RateLimitedError(method, path, retry_after=_seconds(retry_after))
    if status >= 500:
        if "EFPWebError" in detail:
            return UnknownEndpointError(base_url, method, path, status=status, found=f"{status} ({detail})")
        return ServerError(method, path, status=status, detail=detail)
    if status < 400:
        return UnknownEndpointError(base_url, method, path, status=status, found=f"status {status}")
    if status == 409 or _EXISTS.search(detail):
        return AlreadyExistsError(method, path, status=status, detail=detail)
    return RefusedError(method, path, status=status, detail=detail)


def _seconds(retry_after: str | None) -> float | None:
    """The delta form of `Retry-After` (RFC 9110 section 10.2.3); a date is not worth a guess here."""
    if retry_after is None or not re.fullmatch(r"\d{1,6}", retry_after.strip()):
        return None
    return float(retry_after)


# Senders and verification


class SenderNotRevivedError(MailjetError):
    """A soft-deleted sender that neither validation nor a PUT brings back."""

    def __init__(self, email: str, *, detail: str) -> None:
        said = f" ({detail})" if detail else ""
        super().__init__(
            f"Mailjet keeps the sender {email} deleted{said}: ask its support to restore it, then {again()}."
        )


class NoDnsEntryError(MailjetError):
    """Mailjet made no DNS entry for the sender's domain."""

    def __init__(self, domain: str) -> None:
        super().__init__(
            f"Mailjet has the sender *@{domain} but no DNS entry for {domain}, so its DKIM and ownership values are "
            f"unknown: wait a minute, then {again()}."
        )


class NotVerifiableError(MailjetError):
    """The sender or the DNS entry that should be verified is gone."""

    def __init__(self, domain: str) -> None:
        super().__init__(
            f"Mailjet no longer has the sender *@{domain} or its DNS entry, so there is nothing to verify: run "
            f"`{remedies.apply(refresh=True)}`, which creates it again."
        )


class VerificationFailedError(MailjetError):
    """The deadline passed before Mailjet saw every record."""

    def __init__(self, domain: str, *, waited_seconds: int, findings: Sequence[str], required: bool) -> None:
        """`findings`: per record what Mailjet sees and what it should be. `required` says what happens next."""
        way_out = (
            "correct these records, or give DNS more time (verificationTimeoutSeconds) or set `verification` to warn, "
            f"then run `{remedies.apply()}` again"
            if required
            else f"mail may be refused until these records are right, and `{remedies.refresh()}` records when they are"
        )
        report = "".join(f"\n  - {finding}" for finding in findings)
        super().__init__(f"Mailjet has not verified {domain} after {waited_seconds} s; {way_out}:{report}")


# Routes and event callbacks


class ForeignRoutesError(MailjetError):
    """Addresses of ours are routed elsewhere by somebody else."""

    def __init__(self, foreign: Sequence[tuple[str, str]], *, ours: str) -> None:
        """`foreign`: address and the URL it goes to; `ours`: the URL expected, without its password."""
        shown = first_few([f"{address} goes to {url}" for address, url in foreign])
        super().__init__(
            f"somebody else already routes {counted(len(foreign), 'address')} of ours ({shown}), expected {ours}: "
            f"remove those routes, or take them over with `{remedies.set_value('mailjetTakeOverRoutes', 'true')}`."
        )


class ForeignCallbackError(MailjetError):
    """The account already reports this event elsewhere."""

    def __init__(self, event_type: str, url: str, *, ours: str) -> None:
        super().__init__(
            f"Mailjet already reports {event_type} events to {url}, expected {ours} or none: remove that callback, or "
            f"take it over with `{remedies.set_value('mailjetTakeOverRoutes', 'true')}`."
        )


class RoutesIncompleteError(MailjetError):
    """Some writes of a batch failed; what was done stays done."""

    def __init__(self, left: Sequence[str], *, done: int, cause: MailjetError, removal: bool = False) -> None:
        """`removal`: routes were to go. Otherwise somebody may revert the change that failed half-way; the state has
        not recorded the half that was done, so only a refresh sees what that takes."""
        self.left = tuple(left)
        self.done = done
        self.cause = cause
        self.removal = removal
        undo = "" if removal else f" To undo the change instead, revert it and run `{remedies.apply(refresh=True)}`."
        super().__init__(
            f"{counted(done, 'inbound route')} settled, {len(left):,} left ({first_few(left)}): {cause}{undo}"
        )

    def because(self, cause: MailjetError) -> RoutesIncompleteError:
        """The same with another reason."""
        return RoutesIncompleteError(self.left, done=self.done, cause=cause, removal=self.removal)


# Input


class InvalidRouteUrlError(MailjetError):
    """A webhook URL that Mailjet would refuse, or that would not say whose it is."""

    def __init__(self, url: str, found: str, expected: str) -> None:
        super().__init__(f"the webhook URL {url} {found}, expected {expected}.")
