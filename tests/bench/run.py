"""One run of all measurements, the most telling ones first, so that a deadline costs the least."""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.bench.population import identifying_bytes
from tests.bench.scenario import EMPTY, EVERY_STEP, Figure, NoOps, Parts, SerialLoop, Step, play, serial_loop
from tests.bench.subjects import PREVIEW, UP, Subject, empty, per_mailbox, program
from tests.e2e.stack import Emulators

SMALL = 3
"""Mailboxes of the stack that the no-op up is compared with."""
FULL_SIZE = 1000
"""Above it, only the shortest latency plays every step."""
SOME_STEPS = (Step.FIRST_UP, Step.NO_OP, Step.DESTROY)
SERIAL_SECONDS = 60.0
"""A loop of POSTs is cut to about so long: each POST costs the same."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What to measure, and when to begin nothing new."""

    sizes: Sequence[int]
    latencies: Sequence[int]
    """Milliseconds, shortest first."""
    comparison: int
    """Mailboxes in the comparison with a resource each; 0 for none."""
    rounds: int
    """No-op ups of which the median counts."""
    minutes: float

    def steps(self, size: int, latency_ms: int) -> Sequence[Step]:
        return EVERY_STEP if size <= FULL_SIZE or latency_ms == self.latencies[0] else SOME_STEPS


@dataclass
class Results:
    """Everything that one run has measured."""

    figures: list[Figure] = field(default_factory=list)
    ours: list[Figure] = field(default_factory=list)
    """Of the comparison; the same as in `figures` where its size is among the sizes."""
    theirs: list[Figure] = field(default_factory=list)
    loops: list[SerialLoop] = field(default_factory=list)
    no_ops: dict[int, NoOps] = field(default_factory=dict)
    parts: Parts = field(default_factory=lambda: {step: {} for step in (Step.NO_OP, Step.PREVIEW, Step.ADDED)})
    states: dict[int, tuple[int, float]] = field(default_factory=dict)
    """Size -> bytes of the state, bytes of an address and an id."""
    skipped: list[str] = field(default_factory=list)
    load_average: float = field(default_factory=lambda: os.getloadavg()[0])
    """Processes that want a core, before the run: what else this machine does."""


class Bench:
    """Runs a plan on two sets of emulators: one for the small stack, one for whatever is measured against it."""

    def __init__(self, plan: Plan, folder: Path) -> None:
        self.plan = plan
        self.results = Results()
        self._folder = folder
        self._deadline = time.monotonic() + 60 * plan.minutes
        self._number = 0
        self._small_emulators = Emulators.start(folder / "emulators-small")
        self._emulators = Emulators.start(folder / "emulators")
        self._small = self._new_program(self._small_emulators)
        self._empty = empty(folder / "empty", self._small_emulators)

    def close(self) -> None:
        self._emulators.stop()
        self._small_emulators.stop()

    def run(self) -> Results:
        """Everything there is time for."""
        shortest = self.plan.latencies[0]
        self._note_added(self._play(self._small, SMALL, shortest, [Step.FIRST_UP, Step.ADDED, Step.REMOVED]))
        for what, block in self._blocks():
            if time.monotonic() > self._deadline:
                self.results.skipped.append(what)
            else:
                say(what)
                block()
        return self.results

    def _blocks(self) -> list[tuple[str, Callable[[], None]]]:
        """What to measure, in the order of its importance."""
        plan = self.plan
        shortest, longest, largest = plan.latencies[0], plan.latencies[-1], plan.sizes[-1]
        order = [(size, shortest) for size in plan.sizes]
        order += [(largest, longest)] if longest != shortest else []
        first = len(order)
        order += [(size, latency) for latency in plan.latencies for size in plan.sizes if (size, latency) not in order]
        played = [(f"{size:,} mailboxes at {latency} ms", self._block(size, latency)) for size, latency in order]
        return [
            *played[:first],
            (f"{largest:,} mailboxes at {longest} ms, limiter off", self._without_limiter),
            ("serial loops", self._serial_loops),
            *([(f"a resource for each of {plan.comparison:,} mailboxes", self._compare)] if plan.comparison else []),
            *played[first:],
        ]

    def _block(self, size: int, latency_ms: int) -> Callable[[], None]:
        """A stack of this size at this latency, from its first up to its end; at the shortest latency also what
        its state weighs and what an up costs that changes nothing."""
        after = (
            {Step.FIRST_UP: self._weigh, Step.NO_OP: self._alternate} if latency_ms == self.plan.latencies[0] else {}
        )

        def block() -> None:
            subject = self._new_program(self._emulators)
            figures = self._play(subject, size, latency_ms, self.plan.steps(size, latency_ms), after=after)
            self.results.figures += figures
            if latency_ms == self.plan.latencies[0]:
                self._note_added(figures)
            if (size, latency_ms) == (self.plan.comparison, self.plan.latencies[0]):
                self.results.ours = figures
            shutil.rmtree(subject.folder.parent)

        return block

    def _play(
        self,
        subject: Subject,
        size: int,
        latency_ms: int,
        steps: Sequence[Step],
        *,
        limiter: bool = True,
        after: Mapping[Step, Callable[[Subject, int], None]] | None = None,
    ) -> list[Figure]:
        figures = []
        for figure in play(subject, size=size, latency_ms=latency_ms, steps=steps, limiter=limiter):
            figures.append(figure)
            say(f"  {figure.step.value:<24}{figure.cost.seconds:7.1f} s")
            if after and figure.step in after:
                after[figure.step](subject, size)
        return figures

    def _note_added(self, figures: Sequence[Figure]) -> None:
        for figure in figures:
            if figure.step is Step.ADDED:
                self.results.parts[Step.ADDED][figure.size] = [figure.cost]

    def _weigh(self, subject: Subject, size: int) -> None:
        self.results.states[size] = (subject.state_bytes, identifying_bytes(subject.addresses()))

    def _alternate(self, subject: Subject, size: int) -> None:
        """No-op ups and previews of this stack, of the small and of the empty one in turn, so that all meet the same machine."""
        pair = self.results.no_ops[size] = NoOps()
        subjects = {EMPTY: self._empty, SMALL: self._small, size: subject}
        for _ in range(self.plan.rounds):
            for step, words in ((Step.NO_OP, UP), (Step.PREVIEW, PREVIEW)):
                costs = {size: subject.command(*words) for size, subject in subjects.items()}
                for each, cost in costs.items():
                    self.results.parts[step].setdefault(each, []).append(cost)
                if step is Step.NO_OP:
                    pair.small.append(costs[SMALL])
                    pair.own.append(costs[size])

    def _without_limiter(self) -> None:
        subject = self._new_program(self._emulators)
        size, latency = self.plan.sizes[-1], self.plan.latencies[-1]
        self.results.figures += self._play(subject, size, latency, [Step.FIRST_UP], limiter=False)

    def _serial_loops(self) -> None:
        for latency in self.plan.latencies:
            posts = min(FULL_SIZE, self.plan.sizes[-1], int(SERIAL_SECONDS / (latency / 1000 + 0.003)))
            self.results.loops.append(serial_loop(self._emulators, posts=posts, latency_ms=latency))
            say(f"  {posts:,} POSTs at {latency} ms: {self.results.loops[-1].seconds:.1f} s")

    def _compare(self) -> None:
        size, latency = self.plan.comparison, self.plan.latencies[0]
        if not self.results.ours:
            self.results.ours = self._play(self._new_program(self._emulators), size, latency, EVERY_STEP)
        self._number += 1
        other = per_mailbox(self._folder / f"subject-{self._number}", self._emulators)
        self.results.theirs = self._play(other, size, latency, EVERY_STEP)

    def _new_program(self, emulators: Emulators) -> Subject:
        self._number += 1
        return program(self._folder / f"subject-{self._number}", emulators)


def say(text: str) -> None:
    """Progress, apart from the report."""
    print(text, file=sys.stderr, flush=True)
