"""What can be made to go wrong, as a person switches it: ready-made faults, and each of Mailjet's open questions."""

from __future__ import annotations

import types
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import ValidationError

from emulators.faults import FaultPlan, Rule
from emulators.mailjet.switches import Switches

GROUPS: Mapping[str, tuple[str, ...]] = {
    "Account and plan": ("blocked_account", "parse_in_plan", "route_quota"),
    "DNS check and signature": ("dns_lag", "dns_names", "not_checked", "dkim_bits", "dkim_expires_seconds"),
    "Senders": (
        "put_revives_deleted_sender", "validate_revives_deleted_sender", "deleted_sender_keeps_dns", "active_duplicate_in",
        "status_write_status",
    ),
    "Inbound routes": (
        "route_needs_verified_domain", "route_duplicate_status", "wildcard_routes", "plus_addresses",
    ),
    "Sending": (
        "unregistered_from", "smtp_keeps_message_id", "some_refused_status", "track_by_default", "list_unsubscribe",
        "smtp_replies", "smtp_replies_times",
    ),
    "Deliveries to the webhook": ("delivery_seconds", "retry_seconds", "retry_attempts"),
}  # fmt: skip
"""Title: names of switches. What stands in none of them is shown last, under `REST`."""
REST = "How the API and its deliveries are written"
_STEPS = ("MAIL", "RCPT", "DATA", "DATA-after")


@dataclass(frozen=True)
class Preset:
    """A fault with one switch. Of an API: latency, limit or a rule; of Mailjet: switches."""

    name: str
    title: str
    told: str
    service: str = "mailjet"
    latency_ms: float = 0
    limit: Mapping[str, float] | None = None
    rule: Mapping[str, Any] | None = None
    switches: Mapping[str, object] = field(default_factory=dict)

    def is_on(self, plan: FaultPlan, switches: Switches) -> bool:
        """Whether all of it is so now."""
        now = plan.plain()
        return (
            (not self.latency_ms or now["latency_ms"] == self.latency_ms)
            and (self.limit is None or now["rate_limit"] == self.limit)
            and (self.rule is None or Rule(**self.rule) in plan.rules)
            and all(getattr(switches, name) == value for name, value in self.switches.items())
        )

    def turned(self, on: bool, plan: FaultPlan) -> FaultPlan:
        """The plan with it or without it."""
        now: dict[str, Any] = plan.plain()
        if self.latency_ms:
            now["latency_ms"] = self.latency_ms if on else 0
        if self.limit is not None:
            now["rate_limit"] = self.limit if on else None
        if self.rule is not None:
            rule = Rule(**self.rule)
            now["rules"] = [one.plain() for one in plan.rules if one != rule] + ([rule.plain()] if on else [])
        return FaultPlan.parse({name: now[name] for name in ("latency_ms", "seed", "rate_limit", "rules")})

    def switched(self, on: bool) -> dict[str, object]:
        """The switches that it changes, by name."""
        plain = Switches()
        return {name: value if on else getattr(plain, name) for name, value in self.switches.items()}


PRESETS = (
    Preset("down", "Mailjet is down", "Every request is answered 503.", rule={"kind": "503"}),
    Preset("slow", "Mailjet is slow", "Every answer takes two seconds.", latency_ms=2000),
    Preset("busy", "Mailjet limits requests", "More than five in a second are answered 429.", limit={"requests": 5, "seconds": 1}),
    Preset(
        "lost", "Answers get lost", "One write in five takes effect, and the connection breaks before its answer.",
        rule={"kind": "reset-after", "method": "POST|PUT|DELETE", "probability": 0.2},
    ),
    Preset("key", "Mailjet refuses the key", "Every call is answered 401.", switches={"blocked_account": True}),
    Preset("plan", "The plan has no inbound mail", "No route can be made.", switches={"parse_in_plan": False}),
    Preset("lag", "DNS takes its time", "Mailjet's next three checks see the zone without a record.", switches={"dns_lag": 3}),
    Preset(
        "smtp", "Mailjet takes no mail just now", "SMTP answers DATA with 451: try again later.",
        switches={"smtp_replies": {"DATA": "451 4.3.0 Try again later"}},
    ),
    Preset("cloudflare", "Cloudflare is down", "Every request to its API is answered 503.", "cloudflare", rule={"kind": "503"}),
)  # fmt: skip


@dataclass(frozen=True)
class ShownSwitch:
    """One open question. `kind`: how it is asked; `changed`: whether it is not as documented."""

    name: str
    told: str
    kind: Literal["yes-no", "choice", "number", "replies"]
    value: Any
    usual: Any
    choices: tuple[object, ...] = ()
    may_be_none: bool = False

    @property
    def changed(self) -> bool:
        """Whether another behaviour than the documented one is played."""
        return bool(self.value != self.usual)


def shown_switches(switches: Switches) -> dict[str, list[ShownSwitch]]:
    """{title of the group: its switches}, every one of them."""
    found = {one.name: one for one in _each(switches)}
    named = {title: [found.pop(name) for name in names if name in found] for title, names in GROUPS.items()}
    return {**named, REST: list(found.values())}


def changed_count(switches: Switches) -> int:
    """How many are not as documented."""
    return sum(one.changed for one in _each(switches))


def switches_of(form: Mapping[str, str]) -> Switches:
    """What a form with every switch says: an empty number is no limit, or as usual. Raises SwitchFormError."""
    given: dict[str, object] = {}
    for one in _each(Switches()):
        if one.kind in ("choice", "number") and one.name not in form:
            continue
        text = form.get(one.name, "").strip()
        match one.kind:
            case "yes-no":
                given[one.name] = bool(text)
            case "choice":
                given[one.name] = next((choice for choice in one.choices if str(choice) == text), text)
            case "number":
                given[one.name] = _number(text) if text else None if one.may_be_none else one.usual
            case "replies":
                replies = {step: form.get(f"{one.name}.{step}", "").strip() for step in _STEPS}
                given[one.name] = {step: reply for step, reply in replies.items() if reply}
    try:
        return Switches.model_validate(given)
    except ValidationError as error:
        raise SwitchFormError(error) from error


class SwitchFormError(ValueError):
    """A value that a switch does not have."""

    def __init__(self, error: ValidationError) -> None:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        super().__init__(f"{place} is {first['input']!r}, expected: {first['msg'].lower()}.")


def _each(switches: Switches) -> Iterator[ShownSwitch]:
    usual = Switches()
    for name, known in Switches.model_fields.items():
        kind, choices = _kind(known.annotation)
        may_be_none = type(None) in get_args(known.annotation)
        values = getattr(switches, name), getattr(usual, name)
        yield ShownSwitch(name, known.description or "", kind, *values, choices, may_be_none)


def _kind(annotation: Any) -> tuple[Literal["yes-no", "choice", "number", "replies"], tuple[object, ...]]:
    if annotation is bool:
        return "yes-no", ()
    if get_origin(annotation) is Literal:
        return "choice", get_args(annotation)
    if get_origin(annotation) is dict:
        return "replies", _STEPS
    numbers = get_args(annotation) if get_origin(annotation) in (Union, types.UnionType) else (annotation,)
    assert set(numbers) <= {int, float, type(None)}, annotation  # noqa: S101 - another kind of switch needs another field
    return "number", ()


def _number(text: str) -> object:
    try:
        return int(text)
    except ValueError:
        pass
    try:
        return float(text)
    except ValueError:
        return text
