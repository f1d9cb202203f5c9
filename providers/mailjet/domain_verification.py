"""Waits until Mailjet has seen a domain's DKIM, SPF and ownership records, or says which one it sees as what.

Nothing exists at Mailjet under this name: the resource is the act of checking, done again when a record changes and
when a refresh finds that Mailjet no longer agrees.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import pulumi
from pulumi.dynamic import CheckResult, CreateResult, DiffResult, ReadResult, Resource, UpdateResult

from clients.mailjet.api import DnsCheck, DnsRow, RecordStatus, SenderRow, SenderStatus
from clients.mailjet.errors import MailjetError, NotVerifiableError, VerificationFailedError
from providers.mailjet import plugin
from providers.mailjet.base_provider import (
    MailjetProvider,
    Props,
    changed,
    check_result,
    declared,
    integer,
    known,
    own,
    text,
    unchanged_or,
    vanished,
)
from zone.txt import joined

DEFAULT_TIMEOUT_SECONDS = 600
FIRST_WAIT_SECONDS = 1.0
LONGEST_WAIT_SECONDS = 20.0
WAIT_GROWTH = 1.5

_INPUTS = ("domain", "sender_id", "dns_id", "records", "mode", "timeout_seconds")
_STATUSES = ("dkim_status", "spf_status", "ownership_status")


class VerificationMode(StrEnum):
    """`require` fails at the deadline, `warn` goes on, `off` asks nothing."""

    REQUIRE = "require"
    WARN = "warn"
    OFF = "off"


@dataclass(frozen=True, kw_only=True)
class DomainVerificationArgs:
    """`records`: JSON text of [{"name", "type", "content"}], the records that should be seen."""

    domain: pulumi.Input[str]
    sender_id: pulumi.Input[int]
    dns_id: pulumi.Input[int]
    records: pulumi.Input[str]
    mode: pulumi.Input[str] = VerificationMode.REQUIRE.value
    timeout_seconds: pulumi.Input[int] = DEFAULT_TIMEOUT_SECONDS


class DomainVerificationProvider(MailjetProvider):
    """Triggers Mailjet's checks and polls with back-off."""

    def check(self, _olds: Props, news: Props) -> CheckResult:
        wrong = []
        mode, timeout, records = (news.get(key) for key in ("mode", "timeout_seconds", "records"))
        if known(mode) and mode not in list(VerificationMode):
            wrong.append(f"verification is {mode!r}, expected require, warn or off: correct it.")
        if known(timeout) and not (isinstance(timeout, int | float) and 0 <= timeout <= 86_400):
            wrong.append(f"verificationTimeoutSeconds is {timeout!r}, expected 0 to 86400: correct it.")
        if known(records) and _parse_records(records) is None:
            wrong.append("records: expected a JSON list of objects with name, type and content.")
        return check_result(news, wrong)

    def diff(self, _id: str, _olds: Props, _news: Props) -> DiffResult:
        mode = text(_news, "mode")
        found = changed(_olds, _news, ("domain",))
        if mode != VerificationMode.OFF:
            found += changed(_olds, _news, ("sender_id", "dns_id"))
            if _parse_records(_olds.get("records")) != _parse_records(_news.get("records")):
                found.append("records")
        if mode == VerificationMode.REQUIRE:
            found += [key for key in _STATUSES if _olds.get(key) != RecordStatus.OK]
        return unchanged_or(found, replaces=["domain"])

    def create(self, props: Props) -> CreateResult:
        return CreateResult(text(props, "domain"), {**own(props, _INPUTS), **_verify(props)})

    def read(self, id_: str, props: Props) -> ReadResult:
        inputs = own(props, _INPUTS)
        if text(props, "mode") == VerificationMode.OFF:
            return ReadResult(id_, {**inputs, **own(props, _STATUSES)}, inputs)
        api = plugin.current().api
        dns, sender = api.dns(integer(props, "dns_id") or 0), api.sender(integer(props, "sender_id") or 0)
        if dns is None or sender is None:
            return vanished()
        ownership = RecordStatus.OK if sender.status is SenderStatus.ACTIVE else RecordStatus.ERROR
        statuses = _statuses(dns.dkim_status, dns.spf_status, ownership)
        return ReadResult(id_, {**inputs, **statuses}, inputs)

    def update(self, _id: str, _olds: Props, _news: Props) -> UpdateResult:
        return UpdateResult(self.create(_news).outs)

    def delete(self, _id: str, _props: Props) -> None:
        """Nothing of it exists at Mailjet."""


class DomainVerification(Resource, module="mailjet", name="DomainVerification"):
    """A verified mail domain. Each status is OK, Error, Not found or Not checked."""

    domain: pulumi.Output[str]
    dkim_status: pulumi.Output[str]
    spf_status: pulumi.Output[str]
    ownership_status: pulumi.Output[str]

    def __init__(self, name: str, args: DomainVerificationArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        props = declared(args, "dkim_status", "spf_status", "ownership_status")
        super().__init__(DomainVerificationProvider(), name, props, opts)


@dataclass(frozen=True)
class _CheckOutcome:
    """One look of Mailjet at all three records."""

    dns: DnsRow
    check: DnsCheck
    ownership: RecordStatus
    ownership_reason: str

    @property
    def statuses(self) -> Props:
        return _statuses(self.check.dkim_status, self.check.spf_status, self.ownership)

    @property
    def complete(self) -> bool:
        return all(status == RecordStatus.OK for status in self.statuses.values())


def _statuses(dkim: RecordStatus, spf: RecordStatus, ownership: RecordStatus) -> Props:
    return {"dkim_status": dkim.value, "spf_status": spf.value, "ownership_status": ownership.value}


def _verify(props: Props) -> Props:
    """The statuses in the end. Raises VerificationFailedError at the deadline where the mode requires all OK."""
    not_checked = _statuses(RecordStatus.NOT_CHECKED, RecordStatus.NOT_CHECKED, RecordStatus.NOT_CHECKED)
    mode = text(props, "mode")
    if mode == VerificationMode.OFF:
        return not_checked
    process = plugin.current()
    domain = text(props, "domain")
    sender_id, dns_id = integer(props, "sender_id") or 0, integer(props, "dns_id") or 0
    timeout = integer(props, "timeout_seconds") or 0
    started = process.clock.monotonic()
    wait = FIRST_WAIT_SECONDS
    outcome: _CheckOutcome | None = None
    unanswered: MailjetError | None = None
    while True:
        process.engine.require_alive()
        try:
            outcome = _look(process, domain, sender_id=sender_id, dns_id=dns_id)
        except MailjetError as error:
            if not error.transient:
                raise
            unanswered = error
        if outcome is not None and outcome.complete:
            return outcome.statuses
        waited = process.clock.monotonic() - started
        if waited >= timeout:
            break
        pause = min(wait, timeout - waited)
        process.engine.progress(f"{_summary(domain, outcome)} ({waited:.0f} of {timeout} s)")
        process.clock.sleep(pause)
        wait = min(wait * WAIT_GROWTH, LONGEST_WAIT_SECONDS)
    if outcome is None:
        if unanswered is not None and mode == VerificationMode.REQUIRE:
            raise unanswered
        process.engine.warn(f"mail domain {domain} is not verified: {unanswered}")
        return not_checked
    failure = VerificationFailedError(
        domain,
        waited_seconds=timeout,
        findings=_findings(outcome, _parse_records(props.get("records")) or []),
        required=mode == VerificationMode.REQUIRE,
    )
    if mode == VerificationMode.REQUIRE:
        raise failure
    process.engine.warn(str(failure))
    return outcome.statuses


def _look(process: plugin.PluginProcess, domain: str, *, sender_id: int, dns_id: int) -> _CheckOutcome:
    """Have Mailjet check now. The checks change nothing but Mailjet's opinion, so the next poll is their retry."""
    api = process.api
    dns, sender = api.dns(dns_id), api.sender(sender_id)
    if dns is None or sender is None:
        raise NotVerifiableError(domain)
    check = api.check_dns(dns_id)
    ownership, reason = RecordStatus.OK, ""
    if sender.status is not SenderStatus.ACTIVE:
        validation = api.validate_sender(sender_id)
        if not _active(api.sender(sender_id)):
            ownership, reason = RecordStatus.ERROR, validation.reason if validation is not None else ""
    return _CheckOutcome(dns, check, ownership, reason)


def _active(sender: SenderRow | None) -> bool:
    return sender is not None and sender.status is SenderStatus.ACTIVE


def _summary(domain: str, outcome: _CheckOutcome | None) -> str:
    if outcome is None:
        return f"waiting for Mailjet to check {domain}"
    statuses = outcome.statuses
    return (
        f"waiting for Mailjet to see {domain}: DKIM {statuses['dkim_status']}, SPF {statuses['spf_status']}, "
        f"ownership {statuses['ownership_status']}"
    )


def _findings(outcome: _CheckOutcome, records: Sequence[dict[str, str]]) -> list[str]:
    """For each record that is not OK: its name, what Mailjet sees, what it should be."""

    def expected(name: str, otherwise: str, *, starts: str = "") -> str:
        contents = [
            joined(record["content"])
            for record in records
            if record["type"].upper() == "TXT" and record["name"].rstrip(".").lower() == name
        ]
        return next((content for content in contents if content.lower().startswith(starts)), otherwise)

    dns, check = outcome.dns, outcome.check
    found = []
    if check.dkim_status is not RecordStatus.OK:
        found.append(
            f"DKIM, TXT {dns.dkim_name}: Mailjet sees {_seen([check.dkim_seen])}{_why(check.dkim_errors)}, "
            f"it should be `{expected(dns.dkim_name, dns.dkim_value)}`"
        )
    if check.spf_status is not RecordStatus.OK:
        found.append(
            f"SPF, TXT {dns.domain}: Mailjet sees {_seen(check.spf_seen)}{_why(check.spf_errors)}, "
            f"it should be `{expected(dns.domain, dns.spf_value, starts='v=spf1')}`"
        )
    if outcome.ownership is not RecordStatus.OK:
        reason = " ".join(outcome.ownership_reason.split())
        found.append(
            f"ownership, TXT {dns.ownership_name}: Mailjet says "
            f"{f'`{reason}`' if reason else 'the sender is not active'}, "
            f"it should be `{expected(dns.ownership_name, dns.ownership_token)}`"
        )
    return found


def _seen(values: Sequence[str]) -> str:
    present = [f"`{value}`" for value in values if value]
    return " and ".join(present) or "nothing"


def _why(errors: Sequence[str]) -> str:
    return f" ({'; '.join(errors)})" if errors else ""


def _parse_records(value: Any) -> list[dict[str, str]] | None:
    """None for what is not known or no list of records."""
    if not isinstance(value, str) or not known(value):
        return None
    try:
        records = json.loads(value)
    except ValueError:
        return None
    if not isinstance(records, list):
        return None
    complete = all(
        isinstance(record, dict) and all(isinstance(record.get(key), str) for key in ("name", "type", "content"))
        for record in records
    )
    return records if complete else None
