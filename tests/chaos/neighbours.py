"""Two stacks that want the same addresses, and an agent who leaves while her route is in doubt."""

from __future__ import annotations

import json
from pathlib import Path

from tests.chaos.world import DOMAIN, STAMP, ChaosError, World
from tests.e2e.stack import Stack


def rival(world: World, folder: Path) -> Stack:
    """A stack for the addresses of `world.stack`, with its zone elsewhere so that DNS does not stop it before."""
    made = Stack.create(folder, world.emulators, name="rival", population=world.population)
    made.configure(
        dns="none",
        zoneId=None,
        zoneName=None,
        accountId=None,
        inboxService=None,
        mailjetDeleteSender=False,
        mailjetEvents=[],
        mailjetSenders=None,
        tunnelHostname="api-rival.agents.example",
        populations=[{"file": str(world.population), "createdAt": STAMP}],
    )
    return made


def same_addresses(world: World, folder: Path) -> None:
    """The second stack is refused with a sentence, and its destroy leaves the first one's routes alone."""
    world.stack.up("--suppress-outputs")
    before = world.ours()
    second = rival(world, folder)
    refused = second.up("--suppress-outputs", check=False)
    if refused.code == 0 or "somebody else already routes" not in refused.text:
        raise ChaosError("a second stack with the same addresses", ["it was not refused"], refused.text)
    second.destroy()
    if world.ours() != before:
        raise ChaosError("the destroy of a refused second stack", ["it touched the first one"])


def taken_over(world: World, folder: Path) -> None:
    """With `mailjetTakeOverRoutes` the second stack gets the routes; the first is refused, and destroying the first
    leaves what is no longer its own."""
    world.stack.up("--suppress-outputs")
    second = rival(world, folder)
    second.configure(mailjetTakeOverRoutes=True)
    second.up("--suppress-outputs")
    theirs = [row for row in world.foreign()["routes"] if row["Email"].endswith(f"@{DOMAIN}")]
    if len(theirs) != len(world.addresses()) or world.ours()["routes"]:
        raise ChaosError("a take-over", [f"{len(theirs)} of {len(world.addresses())} routes taken over"])
    refused = world.stack.up("--refresh", "--suppress-outputs", check=False)
    if refused.code == 0 or "somebody else already routes" not in refused.text:
        raise ChaosError("up of a stack whose routes were taken over", ["it was not refused"], refused.text)
    world.stack.destroy()
    left = [row for row in world.foreign()["routes"] if row["Email"].endswith(f"@{DOMAIN}")]
    if left != theirs:
        raise ChaosError("the destroy of a stack whose routes were taken over", ["it touched the other's"])
    second.destroy()
    world.require_empty("both stacks destroyed")


def withdrawn_after_an_ambiguous_post(world: World) -> None:
    """Her route was made, but no answer came and no look succeeded; before the next `up` she leaves the population."""
    world.stack.up("--suppress-outputs")
    document = json.loads(world.population.read_text())
    stays = list(document["agents"])
    newcomer = {"id": "agent-who-leaves", "name": "Grace Hopper", "username_hint": "grace"}
    world.population.write_text(json.dumps({**document, "agents": [*stays, newcomer]}))
    hers = world.addresses()[newcomer["id"]]
    # A look by address finds nothing either, and no POST is refused in words: so nobody reads the list, which would tell.
    world.switch(route_by_address="unknown")
    world.emulators.faults("mailjet", rules=[{"method": "POST", "path": "/v3/REST/parseroute", "kind": "reset-after"}])
    failed = world.stack.up("--suppress-outputs", check=False)
    world.emulators.faults("mailjet")
    world.switch(route_by_address="exact")
    in_doubt = [row for row in world.ours()["routes"] if row["Email"] == hers]
    if failed.code == 0 or len(in_doubt) != 1:
        raise ChaosError("an ambiguous POST", [f"up ended with {failed.code}, {len(in_doubt)} routes"], failed.text)
    world.population.write_text(json.dumps({**document, "agents": stays}))
    world.stack.up("--suppress-outputs")
    world.require_converged("after an agent whose route was in doubt has left", again=False)
