"""A small fixed sample of `make chaos`: the same scenarios with fewer mailboxes, one seed and two moments."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chaos.faults import run_faults
from tests.chaos.kills import Victim, descendants, kill_a_change_then_up, kill_then_destroy, kill_then_up
from tests.chaos.neighbours import same_addresses, withdrawn_after_an_ambiguous_post
from tests.chaos.replaces import fail_half_way
from tests.chaos.world import ChaosError, World, write_population
from tests.e2e.stack import Emulators

MAILBOXES = 60


@pytest.fixture(scope="module")
def world(emulators: Emulators, tmp_path_factory: pytest.TempPathFactory) -> World:
    return World.build(tmp_path_factory.mktemp("chaos"), emulators, mailboxes=MAILBOXES)


def test_a_fifth_of_all_calls_fails(world: World) -> None:
    write_population(world.population, 100)
    run = run_faults(world, seed=20)
    assert run.struck > run.calls / 10
    write_population(world.population, MAILBOXES)


def test_killed_in_the_routes_and_run_again(world: World) -> None:
    ended = kill_then_up(world, victim=Victim.CLI, moment=45)
    assert not ended.kill.finished


def test_killed_while_every_route_changes_and_run_again(world: World) -> None:
    ended = kill_a_change_then_up(world, victim=Victim.PLUGINS, moment=20, mailboxes=MAILBOXES)
    assert not ended.kill.finished


def test_plugins_killed_among_the_records_and_destroyed(world: World) -> None:
    ended = kill_then_destroy(world, victim=Victim.PLUGINS, moment=4)
    assert not ended.kill.finished


def test_a_failed_replace_and_an_agent_who_left(world: World) -> None:
    assert fail_half_way(world), "no deletion was left pending: the case is not the one it should be"
    withdrawn_after_an_ambiguous_post(world)


def test_two_stacks_with_the_same_addresses(world: World, tmp_path: Path) -> None:
    same_addresses(world, tmp_path / "rival")


def test_the_checks_see_what_is_wrong(world: World) -> None:
    world.stack.up("--suppress-outputs")
    route = world.ours()["routes"][0]
    world.emulators.mailjet("DELETE", f"/v3/REST/parseroute/{route['ID']}").raise_for_status()
    with pytest.raises(ChaosError, match="1 routes missing"):
        world.require_converged("planted")
    theirs = next(row for row in world.foreign()["routes"])
    world.emulators.mailjet("DELETE", f"/v3/REST/parseroute/{theirs['ID']}").raise_for_status()
    with pytest.raises(ChaosError, match="routes of somebody else changed"):
        world.require_empty("planted")


def test_a_process_without_children_has_no_descendants() -> None:
    assert descendants(2**22 + 1) == []
