"""Foreign records are never lost: a thousand random zones from the first preview to the last destroy."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.profiles import examples
from tests.unit.commands.adopt.world import RefusedError, SimulatedStack
from tests.unit.commands.adopt.zones import DOMAINS, random_zone
from zone.survey import Place, SurveyedRecord, place_of

seeds = st.integers(0, 2**32 - 1)


def world_of(seed: int) -> tuple[SimulatedStack, random.Random]:
    """A world with a random zone; records that Cloudflare refuses beside others are left out."""
    chance = random.Random(seed)
    domain = chance.choice(DOMAINS)
    world = SimulatedStack(domain=domain)
    for body in random_zone(chance, domain):
        try:
            world.zone.post(body)
        except RefusedError:
            continue
    return world, chance


def related(world: SimulatedStack, fields: dict[str, Any]) -> Place | None:
    return place_of(SurveyedRecord.parse(fields), world.settings.zone_needs)


class Watch:
    """Compares the zone with how it was, and every change with the previews before it."""

    def __init__(self, world: SimulatedStack) -> None:
        self.world = world
        self.before = world.zone.snapshot()
        self.shown: set[str] = set()

    def untouched(self) -> None:
        """Nothing at all has changed."""
        assert self.world.zone.snapshot() == self.before

    def shows(self, touched: set[str]) -> None:
        self.shown |= touched

    def only_what_was_shown(self) -> None:
        now = self.world.zone.snapshot()
        for record_id, fields in self.before.items():
            if now.get(record_id) != fields:
                assert related(self.world, fields), f"unrelated: {fields}"
                assert record_id in self.shown, f"never shown: {fields}"


def places(world: SimulatedStack) -> set[Place | None]:
    return {related(world, fields) for fields in world.zone.records.values()}


class TestFromPreviewToDestroy:
    @settings(max_examples=examples(1000), deadline=None)
    @given(seeds)
    @pytest.mark.slow
    def test_nothing_is_lost(self, seed: int) -> None:
        world, chance = world_of(seed)
        watch = Watch(world)
        stood_there = places(world)

        first = world.preview()
        assert bool(first.errors) == any(stood_there - {None})
        watch.untouched()

        plan = world.adopt()
        watch.untouched()
        if plan.blockers:
            assert world.up().errors
            watch.untouched()
            return
        assert world.plan().is_empty, "adopting twice must find nothing to do"

        if chance.random() < 0.3:
            # Second thoughts: neither a destroy nor forgetting it all may touch anything.
            world.destroy()
            watch.untouched()
            world.forget()
            assert not world.state
            assert bool(world.preview().errors) == bool(first.errors)
            watch.untouched()
            world.adopt()

        shown = world.preview()
        superseded = {name for name in world.state if name.startswith("superseded-")}
        assert set(shown.deletes) == superseded
        if superseded:
            assert world.up().errors, "no deletion without consent"
            watch.untouched()
            world.adopt(replace=True)
            watch.untouched()
            shown = world.preview()
        assert shown.errors == []
        watch.shows(shown.touched)

        world.up()
        watch.only_what_was_shown()
        assert world.preview().is_empty
        world.refresh()
        assert world.preview().is_empty

        if chance.random() < 0.3:
            # The way back, while the stack is still there: a destroy after it must not undo it.
            world.restore(watch.before)
            assert bool(world.preview().errors) == bool(first.errors)
            assert world.destroy()
            self.is_as_before(world, watch)
            return

        after_up = world.zone.snapshot()
        assert world.destroy()
        watch.shows(
            {record_id for record_id, fields in after_up.items() if fields["comment"] == world.settings.record_comment}
        )
        watch.only_what_was_shown()
        assert places(world) >= stood_there & {Place.SPF, Place.DMARC}, "the owner's mail stood on these"

        world.restore(watch.before)
        self.is_as_before(world, watch)

    def is_as_before(self, world: SimulatedStack, watch: Watch) -> None:
        values = [_value(fields) for fields in world.zone.records.values()]
        assert sorted(values) == sorted(_value(fields) for fields in watch.before.values())

    @settings(max_examples=examples(200), deadline=None)
    @given(seeds)
    def test_after_a_restore_everything_can_be_adopted_again(self, seed: int) -> None:
        world, chance = world_of(seed)
        before = world.zone.snapshot()
        if world.adopt(replace=True).blockers:
            return
        world.up()
        world.restore(before)
        again = world.zone.snapshot()
        if chance.random() < 0.5:
            world.refresh()
        plan = world.adopt(replace=True)
        if plan.blockers:
            assert all("refresh" in blocker for blocker in plan.blockers)
            world.refresh()
            plan = world.adopt(replace=True)
        assert plan.blockers == []
        assert world.zone.snapshot() == again
        world.refresh()
        assert world.up().errors == []
        assert world.preview().is_empty
        stood_there = {related(world, fields) for fields in before.values()}
        assert world.destroy()
        assert places(world) >= stood_there & {Place.SPF, Place.DMARC}

    @settings(max_examples=examples(300), deadline=None)
    @given(seeds)
    @pytest.mark.slow
    def test_an_adoption_that_dies_goes_on(self, seed: int) -> None:
        world, chance = world_of(seed)
        watch = Watch(world)
        plan = world.plan()
        if plan.blockers:
            return
        for _ in range(3):
            world.adopt(stop_after=chance.randint(0, 3))
            watch.untouched()
        world.adopt()
        watch.untouched()
        assert world.plan().is_empty
        whole, _ = world_of(seed)
        whole.adopt()
        assert {(name, held.id, held.protect) for name, held in world.state.items()} == {
            (name, held.id, held.protect) for name, held in whole.state.items()
        }
        assert world.config == whole.config


class TestAccidents:
    """What happens to a running stack: killed runs, lost states, hands in the dashboard."""

    @settings(max_examples=examples(300), deadline=None)
    @given(seeds)
    def test_every_way_leads_back_to_a_clean_preview(self, seed: int) -> None:
        world, chance = world_of(seed)
        world.adopt(replace=True)
        if world.preview().errors:
            return
        names = sorted(world.declared())
        world.up(dies_before_saving=chance.choice(names))
        watch = Watch(world)
        for _ in range(chance.randint(0, 3)):
            self.accident(world, chance)
        watch.before = world.zone.snapshot()
        ours = {
            record_id
            for record_id, fields in watch.before.items()
            if fields["comment"] == world.settings.record_comment
        }

        if chance.random() < 0.5:
            world.refresh()
        plan = world.adopt(replace=True)
        if plan.blockers:
            assert all("refresh" in blocker for blocker in plan.blockers)
            world.refresh()
            plan = world.adopt(replace=True)
        assert plan.blockers == []
        commented = {record.id for record in plan.comments}
        for record_id in commented:
            watch.before[record_id]["comment"] = world.settings.record_comment
        watch.untouched()

        world.refresh()
        shown = world.preview()
        assert shown.errors == []
        watch.shows(shown.touched | ours)
        world.up()
        watch.only_what_was_shown()
        assert world.preview().is_empty
        assert world.destroy()
        watch.shows(ours | commented | shown.touched)
        watch.only_what_was_shown()

    def accident(self, world: SimulatedStack, chance: random.Random) -> None:
        ours = [
            record_id
            for record_id, fields in world.zone.records.items()
            if fields["comment"] == world.settings.record_comment
        ]
        kind = chance.choice(["comment", "deleted", "state lost"])
        if kind == "comment" and ours:
            world.zone.records[chance.choice(ours)]["comment"] = chance.choice([None, "edited by hand"])
        elif kind == "deleted" and ours:
            del world.zone.records[chance.choice(ours)]
        elif kind == "state lost" and world.state:
            del world.state[chance.choice(sorted(world.state))]

    @settings(max_examples=examples(200), deadline=None)
    @given(seeds)
    def test_discard_deletes_what_is_ours_and_unknown_and_nothing_else(self, seed: int) -> None:
        world, chance = world_of(seed)
        if world.adopt(replace=True).blockers:
            return
        world.up()
        for name in chance.sample(sorted(world.state), min(3, len(world.state))):
            del world.state[name]
        before = world.zone.snapshot()
        known = {held.id for held in world.state.values()}
        world.adopt(discard=True)
        gone = set(before) - set(world.zone.records)
        assert gone == {
            record_id
            for record_id, fields in before.items()
            if fields["comment"] == world.settings.record_comment and record_id not in known
        }
        assert all(world.zone.records[record_id] == before[record_id] for record_id in world.zone.records)


def _value(fields: dict[str, Any]) -> str:
    return repr(sorted((key, value) for key, value in fields.items() if key != "id" and value not in (None, "")))
