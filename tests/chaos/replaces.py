"""`pulumi up --replace` of every dynamic resource, whole and failing half-way: nothing is lost."""

from __future__ import annotations

from collections.abc import Sequence

from tests.chaos.world import ChaosError, World

_DYNAMIC = "pulumi-python:dynamic/mailjet:"


def dynamic_urns(world: World) -> list[str]:
    """Every dynamic resource of the stack."""
    return [resource["urn"] for resource in world.resources() if resource["type"].startswith(_DYNAMIC)]


def one_of_each_kind(urns: Sequence[str]) -> list[str]:
    """The first resource of every type."""
    found: dict[str, str] = {}
    for urn in urns:
        found.setdefault(urn.split("::")[2], urn)
    return list(found.values())


def replace(world: World, urns: Sequence[str], *, refresh: bool = False) -> None:
    """One `up` that replaces `urns`; the routes are there before, during and after it, with the ids that they had."""
    before = world.ours()
    words = [word for urn in urns for word in ("--replace", urn)]
    world.stack.up(*words, "--suppress-outputs")
    after = world.ours()
    changed = [kind for kind in ("routes", "callbacks", "senders") if after[kind] != before[kind]]
    if changed:
        raise ChaosError(
            f"--replace of {len(urns)} resources", [f"{', '.join(changed)} are not the ones that they were"]
        )


def replace_everything(world: World) -> int:
    """One of each kind alone, then all at once. Returns how many resources that were."""
    world.stack.up("--suppress-outputs")
    urns = dynamic_urns(world)
    for urn in one_of_each_kind(urns):
        replace(world, [urn])
    replace(world, urns)
    world.require_converged("--replace of every dynamic resource")
    return len(urns)


def fail_half_way(world: World) -> bool:
    """A `--replace` of all buckets in which one write is refused; then `up --refresh`, and all is well.

    Returns whether the failed run left deletions pending, which is what makes the case dangerous.
    """
    world.stack.up("--suppress-outputs")
    buckets = [urn for urn in dynamic_urns(world) if "InboundRoutes" in urn]
    # A route that vanished has to be made anew by its bucket's replacement, which therefore can fail alone.
    victim = world.ours()["routes"][0]
    world.emulators.mailjet("DELETE", f"/v3/REST/parseroute/{victim['ID']}").raise_for_status()
    world.switch(parse_in_plan=False)
    words = [word for urn in buckets for word in ("--replace", urn)]
    failed = world.stack.up(*words, "--suppress-outputs", check=False)
    world.switch(parse_in_plan=True)
    if failed.code == 0:
        raise ChaosError("a failing --replace", ["it did not fail"], failed.text)
    pending = any(resource.get("delete") for resource in world.resources())
    world.stack.up("--refresh", "--suppress-outputs")
    world.require_converged("up --refresh after a failed --replace")
    return pending
