"""The footprints on the real engine: an event that leaves, and what no state knows any more. In order."""

from __future__ import annotations

import json

import pytest

from tests.e2e.stack import Emulators, Stack, mail

NEWS = "news@dev.agents.example"


@pytest.fixture(scope="module")
def stack(emulators: Emulators, tmp_path_factory: pytest.TempPathFactory) -> Stack:
    emulators.reset()
    made = Stack.create(tmp_path_factory.mktemp("footprint"), emulators)
    made.configure(populations=[], mailjetEvents=["bounce", "spam"], mailjetSenders=[{"email": NEWS, "name": "News"}])
    made.up("--suppress-outputs")
    return made


def at_mailjet(emulators: Emulators) -> tuple[set[str], set[str]]:
    """Live senders, and the events that are reported."""
    state = emulators.state("mailjet")
    senders = {row["Email"] for row in state["senders"] if row["Status"] != "Deleted"}
    return senders, {row["EventType"] for row in state["eventcallbackurls"]}


def test_an_event_leaves(stack: Stack, emulators: Emulators) -> None:
    stack.configure(mailjetEvents=["bounce"])
    digest = mail("preview", "--from", "-", stdin=stack.preview("--json").out).out
    assert "platform-spam" in digest
    assert "footprint" not in digest
    emulators.forget_requests()
    stack.up("--suppress-outputs")
    assert at_mailjet(emulators) == ({"*@dev.agents.example", NEWS}, {"bounce"})
    writes = {call for call in emulators.counts("mailjet")["by"] if not call.startswith("GET ")}
    assert writes == {"DELETE /v3/REST/eventcallbackurl/{id}"}
    stack.up("--expect-no-changes", "--suppress-outputs")


def test_destroy_removes_what_the_state_has_lost(stack: Stack, emulators: Emulators) -> None:
    """As a kill between Mailjet's effect and the engine's note leaves it."""
    stack.destroy()
    stack.up("--suppress-outputs")
    exported = json.loads(stack.pulumi("stack", "export", "--stack", stack.name).out)
    lost = [row["urn"] for row in exported["deployment"]["resources"] if row["urn"].endswith(("-bounce", NEWS))]
    assert len(lost) == 2
    for urn in lost:
        stack.pulumi("state", "delete", urn, "--stack", stack.name, "--yes", "--force")
    stack.destroy()
    assert at_mailjet(emulators) == (set(), set())
