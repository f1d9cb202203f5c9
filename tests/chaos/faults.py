"""A fifth of all calls to Mailjet fails, in every way that calls can; `up` is repeated while it fails."""

from __future__ import annotations

from dataclasses import dataclass

from tests.chaos.world import ChaosError, World

KINDS = ("429", "500", "503", "500-after", "reset-before", "reset-after", "hang", "hang-after")
"""`-after`: the request took effect, the answer says or shows otherwise."""
HANG_SECONDS = 1.5
PATIENCE_SECONDS = "1"
"""The client's own time limit for an answer, shorter than a hang."""
MOST_REPEATS = 30


def fault_rules(share: float, kinds: tuple[str, ...] = KINDS) -> list[dict[str, object]]:
    """Rules that together fail `share` of all calls, each kind equally often; a later rule sees what earlier ones leave."""
    each = share / len(kinds)
    return [
        {
            "method": "*",
            "path": "/v3/*",
            "kind": kind,
            "probability": each / (1 - number * each),
            **({"seconds": HANG_SECONDS} if kind.startswith("hang") else {}),
        }
        for number, kind in enumerate(kinds)
    ]


@dataclass(frozen=True)
class FaultRun:
    """What one seeded run took."""

    seed: int
    ups: int
    calls: int
    struck: int

    def __str__(self) -> str:
        share = 100 * self.struck / self.calls if self.calls else 0
        return f"seed {self.seed}: {self.ups} up(s), {self.struck} of {self.calls} calls failed ({share:.0f} %)"


USUAL_SHARE = 0.2
MOST_FRUITLESS = 1
"""Repeats in a row that may bring nothing forward where half of all calls fail. An `up` that has one bucket left begins with
a listing of three pages; that one of them fails six times in a row comes about once in twenty."""


def run_faults(world: World, *, seed: int, share: float = USUAL_SHARE, limiter: bool = True) -> FaultRun:
    """`up` under faults until it succeeds, with progress at every repeat; converged, and empty after a destroy.

    `limiter`: whether the client slows down after a 429, as it does by default.
    """
    where = f"faults, seed {seed}"
    emulators, patience = world.emulators, {"MAILJET_TIMEOUT_SECONDS": PATIENCE_SECONDS}
    if not limiter:
        patience["MAILJET_LIMITER"] = "off"
    emulators.forget_requests()
    emulators.faults("mailjet", seed=seed, rules=fault_rules(share))
    before, fruitless = _progress(world), 0
    for ups in range(1, MOST_REPEATS + 1):
        done = world.stack.up("--suppress-outputs", check=False, **patience)
        if done.code == 0:
            break
        now = _progress(world)
        fruitless = fruitless + 1 if now <= before else 0
        if fruitless > (MOST_FRUITLESS if share > USUAL_SHARE else 0):
            raise ChaosError(where, [f"up {ups} failed and brought nothing forward ({before} -> {now})"], done.text)
        before = now
    else:
        raise ChaosError(where, [f"not done after {MOST_REPEATS} ups"], done.text)
    counts = emulators.counts("mailjet")
    emulators.faults("mailjet")
    world.require_converged(where)
    world.stack.destroy()
    world.require_empty(where)
    return FaultRun(seed, ups, int(counts["reads"]) + int(counts["writes"]), sum(counts["faults"].values()))


def _progress(world: World) -> int:
    """Routes that are right, and resources that the state has."""
    return world.right_routes() + len(world.resources())
