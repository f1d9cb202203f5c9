"""A fault plan: which requests are late, limited, answered with an error or cut, and how likely."""

from __future__ import annotations

import hashlib
import json
import random
from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

HANG_SECONDS = 30.0

STATUS_KINDS = ("404", "429", "500", "502", "503", "504", "500-after", "502-after", "503-after", "504-after")
CONNECTION_KINDS = ("reset-before", "reset-after", "hang", "hang-after")
KINDS = STATUS_KINDS + CONNECTION_KINDS


class FaultPlanError(ValueError):
    """A fault plan that cannot be followed."""

    def __init__(self, where: str, found: object, expected: str) -> None:
        super().__init__(f"Fault plan: {where} is {json.dumps(found, default=str)}, expected {expected}.")


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One way of failing: which requests, how, how likely and how often at most."""

    kind: str
    method: str = "*"
    path: str = "*"
    probability: float = 1.0
    times: int | None = None
    seconds: float = HANG_SECONDS
    retry_after: int | None = None

    def matches(self, method: str, path: str, folded: str) -> bool:
        """Patterns are compared with the path as sent and with its ids folded; `*` stands for anything."""
        if self.method != "*" and method not in self.method.upper().split("|"):
            return False
        return any(candidate == self.path or fnmatchcase(candidate, self.path) for candidate in (path, folded))

    def plain(self) -> dict[str, object]:
        """As the control plane shows it."""
        shown: dict[str, object] = {
            "method": self.method,
            "path": self.path,
            "kind": self.kind,
            "probability": self.probability,
            "times": self.times,
        }
        if self.kind.startswith("hang"):
            shown["seconds"] = self.seconds
        if self.retry_after is not None:
            shown["retry_after"] = self.retry_after
        return shown


@dataclass(frozen=True, kw_only=True)
class RateLimit:
    """At most `requests` in any window of `seconds`."""

    requests: int
    seconds: float


@dataclass(kw_only=True)
class FaultPlan:
    """What goes wrong. A request's fate depends on the seed, on what it asks and on how often it was asked.

    It does not depend on how concurrent requests interleave, so that a seeded run is the same run again.
    """

    latency_ms: float = 0
    seed: int = 0
    rate_limit: RateLimit | None = None
    rules: tuple[Rule, ...] = ()
    fired: list[int] = field(default_factory=list)
    limited: int = 0
    _asked: Counter[bytes] = field(default_factory=Counter, repr=False)
    _window: deque[float] = field(default_factory=deque, repr=False)

    @classmethod
    def parse(cls, given: object) -> FaultPlan:
        """Raises FaultPlanError for anything but the documented shape."""
        plan = _object("the plan", given, {"latency_ms", "seed", "rate_limit", "rules", "fired", "limited"})
        limit = plan.get("rate_limit")
        rules = plan.get("rules") or []
        if not isinstance(rules, list):
            raise FaultPlanError("rules", rules, "a list")
        parsed = tuple(_rule(f"rules[{index}]", rule) for index, rule in enumerate(rules))
        return cls(
            latency_ms=_number("latency_ms", plan.get("latency_ms") or 0, 0),
            seed=int(_number("seed", plan.get("seed") or 0, None)),
            rate_limit=None if limit is None else _rate_limit(limit),
            rules=parsed,
            fired=[0] * len(parsed),
        )

    def plain(self) -> dict[str, object]:
        """As the control plane shows it; `fired` and `limited` tell how often each rule and the limit struck."""
        limit = self.rate_limit
        return {
            "latency_ms": self.latency_ms,
            "seed": self.seed,
            "rate_limit": limit and {"requests": limit.requests, "seconds": limit.seconds},
            "rules": [rule.plain() for rule in self.rules],
            "fired": list(self.fired),
            "limited": self.limited,
        }

    def over_limit(self, now: float) -> bool:
        """Count a request at `now` (seconds); true when it is one too many."""
        if self.rate_limit is None:
            return False
        while self._window and self._window[0] <= now - self.rate_limit.seconds:
            self._window.popleft()
        if len(self._window) >= self.rate_limit.requests:
            self.limited += 1
            return True
        self._window.append(now)
        return False

    def rule_for(self, method: str, path: str, folded: str, body: bytes) -> Rule | None:
        """The rule that hits this request, the first one that does."""
        if not self.rules:
            return None
        asked = hashlib.blake2b(f"{method} {path}\n".encode() + body, digest_size=16).digest()
        self._asked[asked] += 1
        for index, rule in enumerate(self.rules):
            if rule.times is not None and self.fired[index] >= rule.times:
                continue
            if not rule.matches(method, path, folded):
                continue
            lot = f"{self.seed}|{index}|{asked.hex()}|{self._asked[asked]}"
            if random.Random(lot).random() < rule.probability:  # noqa: S311
                self.fired[index] += 1
                return rule
        return None


def _object(where: str, given: object, known: Iterable[str]) -> dict[str, Any]:
    if not isinstance(given, dict):
        raise FaultPlanError(where, given, "an object")
    unknown = sorted(set(given) - set(known))
    if unknown:
        raise FaultPlanError(f"{where}, key {unknown[0]!r},", given[unknown[0]], f"one of {sorted(known)}")
    return given


def _number(where: str, given: object, least: float | None, most: float | None = None) -> float:
    valid = isinstance(given, int | float) and not isinstance(given, bool)
    if not valid or (least is not None and given < least) or (most is not None and given > most):  # type: ignore[operator]
        limits = "" if least is None else f" from {least}" + ("" if most is None else f" to {most}")
        raise FaultPlanError(where, given, f"a number{limits}")
    return given  # type: ignore[return-value]


def _rate_limit(given: object) -> RateLimit:
    limit = _object("rate_limit", given, {"requests", "seconds"})
    return RateLimit(
        requests=int(_number("rate_limit.requests", limit.get("requests"), 1)),
        seconds=_number("rate_limit.seconds", limit.get("seconds"), 0),
    )


def _rule(where: str, given: object) -> Rule:
    rule = _object(where, given, {"method", "path", "kind", "probability", "times", "seconds", "retry_after"})
    kind = rule.get("kind")
    if kind not in KINDS:
        raise FaultPlanError(f"{where}.kind", kind, f"one of {', '.join(KINDS)}")
    times = rule.get("times")
    retry_after = rule.get("retry_after")
    for key in ("method", "path"):
        if not isinstance(rule.get(key, "*"), str | None):
            raise FaultPlanError(f"{where}.{key}", rule[key], "a text")
    return Rule(
        kind=kind,
        method=(rule.get("method") or "*").upper(),
        path=rule.get("path") or "*",
        probability=_number(f"{where}.probability", rule.get("probability", 1.0), 0, 1),
        times=None if times is None else int(_number(f"{where}.times", times, 0)),
        seconds=_number(f"{where}.seconds", rule.get("seconds", HANG_SECONDS), 0),
        retry_after=None if retry_after is None else int(_number(f"{where}.retry_after", retry_after, 0)),
    )
