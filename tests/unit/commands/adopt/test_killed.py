"""`adopt` killed after every one of its steps: the same command goes on, and what preview says holds for the up."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.commands.adopt.world import RefusedError, SimulatedStack
from tests.unit.commands.adopt.zones import random_zone

DOMAIN = "dev.agents.example"


def world(seed: int) -> SimulatedStack:
    """A zone of somebody, with mail that goes elsewhere."""
    made = SimulatedStack()
    made.zone.post({"name": DOMAIN, "type": "MX", "content": "mx.elsewhere.example", "priority": 10, "ttl": 300})
    for body in random_zone(random.Random(seed), DOMAIN):
        try:
            made.zone.post(body)
        except RefusedError:
            continue  # a zone that cannot be
    return made


def steps_of(plan: object) -> int:
    return sum(len(getattr(plan, part)) for part in ("imports", "comments", "discards", "releases")) + 1


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10_000), kills=st.lists(st.integers(0, 30), min_size=1, max_size=3))
@pytest.mark.slow
def test_the_same_command_goes_on(seed: int, kills: list[int]) -> None:
    """Killed once or several times, at any step: in the end the up goes through and only what was agreed to is gone."""
    made, whole = world(seed), world(seed)
    if whole.adopt(replace=True).blockers:
        return
    for kill in kills:
        made.adopt(replace=True, stop_after=kill)
    made.adopt(replace=True)
    assert made.plan(replace=True).is_empty
    assert (made.preview().errors, made.config) == (whole.preview().errors, whole.config)
    assert {name: held.id for name, held in made.state.items()} == {name: held.id for name, held in whole.state.items()}


@pytest.mark.parametrize("first_without_consent", [True, False])
@pytest.mark.parametrize("kill", range(5))
def test_consent_is_not_a_circle(kill: int, first_without_consent: bool) -> None:
    """What an up asks for, the command that it names gives."""
    made = SimulatedStack()
    made.zone.post({"name": DOMAIN, "type": "MX", "content": "mx.elsewhere.example", "priority": 10, "ttl": 300})
    if first_without_consent:
        made.adopt()
        assert "consent" in made.preview().errors
    made.adopt(replace=True, stop_after=kill)
    made.adopt()
    if made.preview().errors:
        assert "consent" in made.preview().errors
        assert not made.plan(replace=True).is_empty
        assert made.plan(replace=True).gives_up_superseded
        made.adopt(replace=True)
    assert made.preview().errors == []
    assert not made.up().errors
    assert [one["content"] for one in made.zone.records.values() if one["type"] == "MX"].count(
        "mx.elsewhere.example"
    ) == 0
