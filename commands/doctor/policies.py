"""SPF, DKIM and DMARC as receivers judge them: by the DNS, not by the zone's API."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from commands.doctor.finding import Check, Finding
from commands.doctor.stack import ExaminedStack
from mailboxes import remedies
from zone.dmarc import is_dmarc, report_domain, report_warnings
from zone.spf import MAX_LOOKUPS, is_spf
from zone.spf_lookups import NoAnswerError, Resolve, spf_cost

SPF = Check("spf")
DKIM = Check("dkim")
DMARC = Check("dmarc")


def first_answering(resolvers: Sequence[Resolve]) -> Resolve:
    """Asks one resolver after the other until one answers."""

    def ask(name: str, rdtype: str) -> list[str]:
        failure: NoAnswerError | None = None
        for resolver in resolvers:
            try:
                return resolver(name, rdtype)
            except NoAnswerError as error:
                failure = error
        raise failure or NoAnswerError(name, rdtype, "there is no resolver to ask")

    return ask


def spf_finding(examined: ExaminedStack, ask: Resolve) -> Finding:
    """One record, ours in it, and no more DNS lookups than RFC 7208, 4.6.4 allows."""
    domain, include = examined.settings.domain, examined.settings.mailjet_spf_include
    label = f"SPF {domain}"
    records = [text for text in ask(domain, "TXT") if is_spf(text)]
    if not records:
        return SPF.error(label, f"{domain} has no SPF record, expected one with {include}: {_mend(examined)}")
    if len(records) > 1:
        return SPF.error(
            label,
            f"{domain} has {len(records)} SPF records, expected one (RFC 7208, 3.2), since receivers take several "
            f"for an error: merge them with: {remedies.adopt(examined.stack)}",
        )
    [record] = records
    if include.lower() not in record.lower().split():
        return SPF.error(
            label, f"The SPF record {record!r} lacks {include}, so Mailjet may not send: {_mend(examined)}"
        )
    cost = spf_cost(record, domain, ask)
    if cost.errors:
        return SPF.error(
            label,
            f"Receivers take the SPF record for broken (RFC 7208, 4.6.4): {'; '.join(cost.errors)}: correct "
            "agentmail:spfMechanisms.",
        )
    if cost.unresolved:
        return SPF.warning(
            label, f"The SPF record could not be followed to its end: {cost.unresolved[0]}; look again later."
        )
    return SPF.ok(label, f"One record, {cost.lookups} of {MAX_LOOKUPS} DNS lookups.")


def dkim_finding(examined: ExaminedStack, ask: Resolve, *, name: str, value: str) -> Finding:
    """Whether the published key is the one that Mailjet signs with; `name` and `value` as Mailjet gives them."""
    label = f"DKIM {name}"
    texts = [text for text in ask(name, "TXT") if "p=" in text]
    if not texts:
        return DKIM.error(label, f"There is no DKIM key at {name}, so signatures cannot be checked: {_mend(examined)}")
    if len(texts) > 1:
        return DKIM.error(
            label,
            f"There are {len(texts)} keys at {name}, expected one: delete those that are not Mailjet's, then "
            f"{_mend(examined)}",
        )
    published, signing = _tags(texts[0]).get("p", ""), _tags(value).get("p", "")
    if not published:
        return DKIM.error(label, f"The key at {name} is empty, which revokes it (RFC 6376, 3.6.1): {_mend(examined)}")
    if published != signing:
        return DKIM.error(
            label,
            f"The key at {name} is not the one that Mailjet signs with, so every signature fails: {_mend(examined)}",
        )
    return DKIM.ok(label, "The published key is the one that Mailjet signs with.")


def dmarc_findings(examined: ExaminedStack, ask: Resolve) -> Iterator[Finding]:
    """One record, saying what the configuration says, and reports that will be sent."""
    domain, policy = examined.settings.domain, examined.settings.dmarc
    label = f"DMARC {domain}"
    records = [text for text in ask(f"_dmarc.{domain}", "TXT") if is_dmarc(text)]
    if not records:
        yield DMARC.error(label, f"There is no DMARC record at _dmarc.{domain}: {_mend(examined)}")
        return
    if len(records) > 1:
        yield DMARC.error(
            label,
            f"There are {len(records)} DMARC records at _dmarc.{domain}, expected one, since receivers ignore "
            f"several: {remedies.adopt(examined.stack)} takes foreign ones over.",
        )
        return
    expected = policy.text()
    if _tags(records[0]) != _tags(expected):
        yield DMARC.error(label, f"The DMARC record is {records[0]!r}, expected {expected!r}: {_mend(examined)}")
        return
    lax = (
        " It only watches: raise agentmail:dmarcPolicy to quarantine once the reports are clean."
        if policy.p == "none"
        else ""
    )
    yield DMARC.ok(label, f"p={policy.p}, as configured.{lax}")
    for warning in report_warnings(domain, policy, zone_name=examined.settings.zone_name):
        consent = [
            f"{domain}._report._dmarc.{report_domain(address)}"
            for address in (*policy.rua, *policy.ruf)
            if address in warning
        ]
        if not any(is_dmarc(text) for name in consent for text in ask(name, "TXT")):
            yield DMARC.warning(f"DMARC reports {domain}", warning)


def _tags(text: str) -> dict[str, str]:
    """Tag -> value of a tag list (RFC 6376, 3.2), white space inside values dropped."""
    found: dict[str, str] = {}
    for part in text.split(";"):
        tag, equals, value = part.partition("=")
        if equals:
            found.setdefault(tag.strip().lower(), re.sub(r"\s+", "", value))
    return found


def _mend(examined: ExaminedStack) -> str:
    return f"put it back with: {examined.again}"
