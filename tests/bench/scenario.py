"""The steps of a stack's life, each measured with its exact number of requests."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from statistics import median

import requests

from tests.bench.processes import Cost
from tests.bench.subjects import DESTROY, PREVIEW, REFRESH, ROTATED, SECRET, UP, Subject
from tests.e2e.stack import Emulators


class Step(StrEnum):
    """In the order in which they are played."""

    FIRST_UP = "first up"
    NO_OP = "up that changes nothing"
    PREVIEW = "preview"
    REFRESH = "refresh"
    ADDED = "one agent added"
    REMOVED = "one agent removed"
    ROTATED = "webhook secret rotated"
    DESTROY = "destroy"


EVERY_STEP = tuple(Step)


@dataclass(frozen=True, kw_only=True)
class Calls:
    """Requests that reached the emulators; writes are all but GETs."""

    mailjet_reads: int
    mailjet_writes: int
    cloudflare_reads: int
    cloudflare_writes: int


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One measured step."""

    subject: str
    size: int
    latency_ms: int
    step: Step
    cost: Cost
    calls: Calls
    limiter: bool = True


@dataclass
class NoOps:
    """Ups that change nothing: of a stack, and in turn with them of one with three mailboxes."""

    small: list[Cost] = field(default_factory=list)
    own: list[Cost] = field(default_factory=list)

    @property
    def seconds_above(self) -> float:
        """By how much the median is above that of three mailboxes, in seconds of wall time."""
        return median(cost.seconds for cost in self.own) - median(cost.seconds for cost in self.small)


EMPTY = 0
"""In `Parts` the size of a stack whose program does nothing but `import pulumi`: what the engine itself costs."""
Parts = dict[Step, dict[int, list[Cost]]]
"""A step -> size of the stack -> what the step has cost there, once or several times."""


def play(
    subject: Subject, *, size: int, latency_ms: int, steps: Sequence[Step], limiter: bool = True
) -> Iterator[Figure]:
    """Measure `steps` on a new stack of `size` mailboxes. Every answer of both services takes `latency_ms` longer."""
    subject.prepare()
    subject.people(size)
    for side in ("mailjet", "cloudflare"):
        subject.emulators.faults(side, latency_ms=latency_ms)
    for step in steps:
        subject.emulators.forget_requests()
        cost = _ACTIONS[step](subject, size, {} if limiter else {"MAILJET_LIMITER": "off"})
        yield Figure(
            subject=subject.name,
            size=size,
            latency_ms=latency_ms,
            step=step,
            cost=cost,
            calls=counted(subject.emulators),
            limiter=limiter,
        )


def counted(emulators: Emulators) -> Calls:
    """What has been asked since the log was last cleared."""
    mailjet, cloudflare = emulators.counts("mailjet"), emulators.counts("cloudflare")
    return Calls(
        mailjet_reads=mailjet["reads"],
        mailjet_writes=mailjet["writes"],
        cloudflare_reads=cloudflare["reads"],
        cloudflare_writes=cloudflare["writes"],
    )


Variables = dict[str, str]


def _of_size(more: int) -> Callable[[Subject, int, Variables], Cost]:
    def up(subject: Subject, size: int, variables: Variables) -> Cost:
        subject.people(size + more)
        return subject.command(*UP, **variables)

    return up


_ACTIONS: dict[Step, Callable[[Subject, int, Variables], Cost]] = {
    Step.FIRST_UP: _of_size(0),
    Step.NO_OP: _of_size(0),
    Step.PREVIEW: lambda subject, _size, variables: subject.command(*PREVIEW, **variables),
    Step.REFRESH: lambda subject, _size, variables: subject.command(*REFRESH, **variables),
    Step.ADDED: _of_size(1),
    Step.REMOVED: _of_size(0),
    Step.ROTATED: lambda subject, _size, variables: subject.command(*UP, **{**variables, SECRET: ROTATED}),
    Step.DESTROY: lambda subject, _size, variables: subject.command(*DESTROY, **variables),
}


@dataclass(frozen=True, kw_only=True)
class SerialLoop:
    """One POST after the other on one connection: what a script would do."""

    posts: int
    latency_ms: int
    seconds: float

    def seconds_for(self, posts: int) -> float:
        """For any other number: a loop has no other cost than its POSTs."""
        return self.seconds / self.posts * posts


def serial_loop(emulators: Emulators, *, posts: int, latency_ms: int) -> SerialLoop:
    """Create `posts` routes without Pulumi and without threads."""
    emulators.reset()
    control = emulators.control("mailjet", "switches")
    requests.put(control, json={"route_needs_verified_domain": False}, timeout=10).raise_for_status()
    emulators.faults("mailjet", latency_ms=latency_ms)
    url = emulators.status["mailjet"]["url"] + "/v3/REST/parseroute"
    with requests.Session() as session:
        session.auth = (emulators.credentials["MAILJET_API_KEY"], emulators.credentials["MAILJET_API_SECRET"])
        session.trust_env = False
        start = time.monotonic()
        for number in range(posts):
            route = {"Email": f"box.{number}@dev.agents.example", "Url": "https://serial:loop@api.agents.example/in"}
            session.post(url, json=route, timeout=30).raise_for_status()
        seconds = time.monotonic() - start
    return SerialLoop(posts=posts, latency_ms=latency_ms, seconds=seconds)
