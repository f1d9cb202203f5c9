"""Twelve hundred mailboxes on the real engine: exact counts of requests, and the size of the state. No seconds here:
`python -m tests.bench` measures those."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.bench.population import identifying_bytes
from tests.bench.scenario import EVERY_STEP, Calls, Step, play
from tests.bench.subjects import Subject, program
from tests.e2e.stack import Emulators, state_file

SIZE = 1200
"""More than Mailjet lists in one page."""
FEW = 100
TARGET_AT = 10_000
TARGET_BYTES = 300
"""A mailbox, beyond her address and id, in a stack of ten thousand."""


class Played:
    """A stack from its first up to its end."""

    def __init__(self, subject: Subject) -> None:
        self.calls: dict[Step, Calls] = {}
        self.state: dict[Step, int] = {}
        self.routes: dict[Step, int] = {}
        self.kept_of_each: set[str] = set()
        """Of what the state holds of resources, but the first: that is the stack, which Pulumi declares itself."""
        for figure in play(subject, size=SIZE, latency_ms=0, steps=EVERY_STEP):
            self.calls[figure.step] = figure.calls
            self.state[figure.step] = subject.state_bytes
            if figure.step is Step.FIRST_UP:
                _, *resources = json.loads(state_file(subject.folder).read_text())["checkpoint"]["latest"]["resources"]
                self.kept_of_each = {key for resource in resources for key in resource}
            self.routes[figure.step] = len(subject.emulators.state("mailjet")["parseroutes"])

    def mailjet_writes_beside(self, step: Step) -> int:
        """Without those of the routes: sender, checks, named senders, event callbacks."""
        return self.calls[step].mailjet_writes - SIZE


@pytest.fixture(scope="module")
def subject(emulators: Emulators, tmp_path_factory: pytest.TempPathFactory) -> Subject:
    return program(tmp_path_factory.mktemp("scale") / "subject", emulators)


@pytest.fixture(scope="module")
def played(subject: Subject) -> Played:
    return Played(subject)


class TestRequests:
    def test_a_first_up_is_one_write_a_mailbox_and_one_listing(self, played: Played) -> None:
        assert played.routes[Step.FIRST_UP] == SIZE
        assert played.mailjet_writes_beside(Step.FIRST_UP) < 10
        assert played.calls[Step.FIRST_UP].mailjet_reads <= 12

    @pytest.mark.parametrize("step", [Step.NO_OP, Step.PREVIEW])
    def test_what_changes_nothing_never_talks_to_mailjet(self, played: Played, step: Step) -> None:
        calls = played.calls[step]
        assert (calls.mailjet_reads, calls.mailjet_writes, calls.cloudflare_writes) == (0, 0, 0)

    def test_a_refresh_lists_pages_and_not_routes(self, played: Played) -> None:
        calls = played.calls[Step.REFRESH]
        assert calls.mailjet_reads <= SIZE / 1000 + 10
        assert (calls.mailjet_writes, calls.cloudflare_writes) == (0, 0)

    @pytest.mark.parametrize(("step", "routes"), [(Step.ADDED, SIZE + 1), (Step.REMOVED, SIZE)])
    def test_one_agent_is_one_read_and_one_write(self, played: Played, step: Step, routes: int) -> None:
        calls = played.calls[step]
        assert (calls.mailjet_reads, calls.mailjet_writes, calls.cloudflare_writes) == (1, 1, 0)
        assert played.routes[step] == routes

    def test_a_rotated_secret_is_one_write_a_mailbox(self, played: Played) -> None:
        assert played.routes[Step.ROTATED] == SIZE
        assert played.mailjet_writes_beside(Step.ROTATED) < 10
        assert played.calls[Step.ROTATED].cloudflare_writes == 0

    def test_destroy_is_one_write_a_mailbox_and_leaves_no_route(self, played: Played) -> None:
        assert played.routes[Step.DESTROY] == 0
        assert played.mailjet_writes_beside(Step.DESTROY) < 10


class TestState:
    def test_it_does_not_depend_on_the_steps_in_between(self, played: Played) -> None:
        for step in (Step.NO_OP, Step.REMOVED, Step.ROTATED):
            assert played.state[step] == pytest.approx(played.state[Step.FIRST_UP], rel=0.01)

    def test_it_holds_no_place_of_a_file(self, played: Played) -> None:
        """Neither stack traces nor source positions: they would make it half as large again, and differ in every clone."""
        assert {"urn", "inputs"} <= played.kept_of_each
        assert not {"stackTrace", "sourcePosition"} & played.kept_of_each

    def test_a_further_mailbox_takes_few_bytes(self, played: Played, subject: Subject, tmp_path: Path) -> None:
        """A small stack has the same fixed part, so the difference is what mailboxes take; at 10,000 the fixed part
        is spread over all."""
        small = program(tmp_path / "small", subject.emulators)
        [_] = play(small, size=FEW, latency_ms=0, steps=[Step.FIRST_UP])
        fixed_and_few = small.state_bytes
        subject.people(SIZE)
        identifying = identifying_bytes(subject.addresses())
        each = (played.state[Step.FIRST_UP] - fixed_and_few) / (SIZE - FEW)
        at_ten_thousand = fixed_and_few / TARGET_AT + each
        assert at_ten_thousand - identifying < TARGET_BYTES
