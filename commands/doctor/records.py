"""The stack's DNS records: in the zone, by its API, and as resolvers see them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

from commands.doctor.finding import Check, Finding
from commands.doctor.stack import ExaminedStack, Expected
from mailboxes import remedies
from mailboxes.wording import first_few, shortened
from settings.values import Dns
from zone.spf_lookups import NoAnswerError, Resolve
from zone.survey import SurveyedRecord, conflicts

ZONE = Check("zone")
DNS = Check("dns")
_SHOWN = 80


def zone_findings(examined: ExaminedStack, zone: Sequence[SurveyedRecord]) -> Iterator[Finding]:
    """Every expected record against the zone, then what foreign ones stand in the way."""
    for record in examined.records:
        yield _in_zone(record, zone, examined)
    settings = examined.settings
    adopted = {entry.id for entry in settings.adopted_records}
    for conflict in conflicts(zone, settings.zone_needs, comment=settings.record_comment, adopted=adopted):
        if not any(_same(conflict.record, record) for record in examined.records):
            yield ZONE.error(
                f"{conflict.record.type} {conflict.record.name}",
                f"{shortened(conflict.record.text, _SHOWN)} is not this stack's and stands in the way: {conflict.why}; take it "
                f"over with: {remedies.adopt(examined.stack)}, or delete it in Cloudflare.",
            )


def _in_zone(record: Expected, zone: Sequence[SurveyedRecord], examined: ExaminedStack) -> Finding:
    mend = f"put it back with: {examined.again}"
    found = [other for other in zone if other.name == record.name and other.type == record.type]
    same = [other for other in found if _same(other, record)]
    ours = [other for other in found if other.comment == examined.settings.record_comment]
    if any(other in ours for other in same):
        return ZONE.ok(record.label, f"{shortened(record.answer, _SHOWN)} stands in the zone.")
    if same:
        return ZONE.warning(
            record.label,
            f"It stands in the zone but has lost the comment {examined.settings.record_comment!r}, so it no longer "
            f"counts as ours: give it back with: {remedies.adopt(examined.stack)}",
        )
    if ours:
        return ZONE.error(
            record.label,
            f"The zone says {shortened(_answer(ours[0]), _SHOWN)}, expected {shortened(record.answer, _SHOWN)}; somebody has changed it: "
            f"{mend}",
        )
    return ZONE.error(record.label, f"It is not in the zone, expected {shortened(record.answer, _SHOWN)}: {mend}")


def _same(found: SurveyedRecord, record: Expected) -> bool:
    return (found.name, found.type, found.text, found.priority) == (
        record.name,
        record.type,
        record.content,
        record.priority,
    )


def _answer(record: SurveyedRecord) -> str:
    return record.text if record.priority is None else f"{record.priority} {record.text}"


def resolver_findings(examined: ExaminedStack, resolvers: Sequence[Resolve]) -> Iterator[Finding]:
    """What each resolver answers, one finding for each name and type."""
    questions = list(dict.fromkeys((record.name, record.type, record.proxied) for record in examined.records))
    with ThreadPoolExecutor(max_workers=8) as pool:
        asked = [
            [pool.submit(_ask, resolver, name, type_, proxied) for resolver in resolvers]
            for name, type_, proxied in questions
        ]
        for (name, type_, proxied), futures in zip(questions, asked, strict=True):
            wanted = [record for record in examined.records if (record.name, record.type) == (name, type_)]
            answers = dict(zip(resolvers, (future.result() for future in futures), strict=True))
            yield _seen(examined, wanted, answers, proxied=proxied)


def _ask(resolver: Resolve, name: str, type_: str, proxied: bool) -> list[str] | NoAnswerError:
    """A proxied CNAME shows as addresses of Cloudflare's."""
    try:
        if proxied:
            return resolver(name, "A") or resolver(name, "AAAA")
        return resolver(name, type_)
    except NoAnswerError as error:
        return error


def _seen(
    examined: ExaminedStack,
    wanted: Sequence[Expected],
    answers: dict[Resolve, list[str] | NoAnswerError],
    *,
    proxied: bool,
) -> Finding:
    label = wanted[0].label
    silent = [str(resolver) for resolver, answer in answers.items() if isinstance(answer, NoAnswerError)]
    heard = {str(resolver): answer for resolver, answer in answers.items() if not isinstance(answer, NoAnswerError)}
    if not heard:
        return DNS.warning(
            label,
            f"None of the resolvers {', '.join(silent)} answers: check this machine's way to them, or name others "
            "with --resolver.",
        )
    expected = {record.answer for record in wanted}
    right = [name for name, answer in heard.items() if (bool(answer) if proxied else expected <= set(answer))]
    wrong = [name for name in heard if name not in right]
    if not wrong:
        extra = {text for answer in heard.values() for text in answer} - expected
        if wanted[0].type == "MX" and extra:
            return DNS.error(
                label,
                f"Besides ours, mail also goes to {first_few(sorted(extra))}; expected {', '.join(sorted(expected))} "
                "alone, or agents lose a part of their mail: take the others over with: "
                f"{remedies.adopt(examined.stack)}",
            )
        return DNS.ok(
            label, f"Seen by {', '.join(right)}." + (f" No answer from {', '.join(silent)}." if silent else "")
        )
    one = heard[wrong[0]]
    says = f"answers {shortened(', '.join(one), _SHOWN)}" if one else "knows no such record"
    shown = shortened(", ".join(sorted(expected)), _SHOWN) if not proxied else "addresses of Cloudflare's proxy"
    if right:
        return DNS.warning(
            label,
            f"{first_few(wrong)} {says}, expected {shown}, which {first_few(right)} sees already: wait for the TTL "
            f"({examined.settings.ttl} s, or half an hour after a name was new) and look again.",
        )
    where = (
        "publish it where the zone is served"
        if examined.settings.dns is Dns.NONE
        else f"if the zone has it, wait half an hour, else put it back with: {examined.again}"
    )
    return DNS.error(label, f"{first_few(wrong)} {says}, expected {shown}: {where}")


def delegation_findings(zone_name: str, name_servers: Sequence[str], resolvers: Sequence[Resolve]) -> Iterator[Finding]:
    """Whether the world asks Cloudflare at all."""
    for resolver in resolvers:
        try:
            found = set(resolver(zone_name, "NS"))
        except NoAnswerError:
            continue
        if found & set(name_servers):
            yield DNS.ok(f"NS {zone_name}", "The domain is delegated to the zone's name servers.")
        else:
            yield DNS.error(
                f"NS {zone_name}",
                f"{resolver} answers {first_few(sorted(found)) or 'nothing'}, expected {' and '.join(name_servers)}: set "
                "these at the domain's registrar, or nobody sees the zone's records.",
            )
        return
