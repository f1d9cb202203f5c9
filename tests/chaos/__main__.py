"""`python -m tests.chaos [SCENARIO …]`: what `make chaos` runs; ends by itself.

Every scenario starts on an account with a bystander, is seeded, prints what it took, and fails with what it found.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from tests.chaos import gateway, impostors, inbox, neighbours, outages, replaces, states, webhook
from tests.chaos.commands import (
    ADOPTION_MOMENTS,
    ENVIRONMENT_MOMENTS,
    adoption_killed,
    import_killed,
    new_environment_killed,
)
from tests.chaos.faults import run_faults
from tests.chaos.kills import (
    SETUP_WRITES,
    Aftermath,
    Victim,
    kill_a_change_then_up,
    kill_then_destroy,
    kill_then_up,
    moments,
    with_official_launcher,
)
from tests.chaos.world import World
from tests.e2e.stack import Emulators
from tests.state_servers import SERVERS

KILLED_MAILBOXES = 300
OTHER_MAILBOXES = 100


def main(arguments: list[str] | None = None) -> int:
    """Run the scenarios that were named; 0 when all ended well."""
    given = _parser().parse_args(arguments)
    scenarios: dict[str, Callable[[argparse.Namespace], int]] = {
        "faults": _faults,
        "kills": _kills,
        "replaces": _replaces,
        "states": _states,
        "neighbours": _neighbours,
        "commands": _commands,
        "gateway": _gateway,
        "impostors": _impostors,
        "inbox": _inbox,
        "outages": _outages,
        "webhook": _webhook,
    }
    unknown = [name for name in given.scenarios if name not in scenarios]
    if unknown:
        print(f"{unknown[0]} is no scenario; there are {', '.join(scenarios)}", file=sys.stderr)
        return 2
    failed = 0
    for name in given.scenarios or scenarios:
        print(f"== {name}", flush=True)
        failed += scenarios[name](given)
    print("all ended well" if not failed else f"{failed} did not end well")
    return 1 if failed else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.chaos", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("scenarios", nargs="*", metavar="SCENARIO")
    parser.add_argument("--mails", type=int, default=10_000, metavar="N", help="deliveries to the inbox, each database")
    parser.add_argument(
        "--gateway-mails", type=int, default=2000, metavar="N", help="mails through the gateway, each part"
    )
    parser.add_argument(
        "--gateway-kills", type=int, default=20, metavar="N", help="kills of replicas while they go out"
    )
    parser.add_argument("--attempts", type=int, default=10_000, metavar="N", help="as somebody else, each door")
    parser.add_argument("--honest-mails", type=int, default=3000, metavar="N", help="that must pass, each door")
    parser.add_argument("--inbox-kills", type=int, default=40, metavar="N", help="kills while they come")
    parser.add_argument("--seed", type=int, default=1, help="where the seeds begin")
    parser.add_argument("--seeds", type=int, default=20, metavar="N", help="runs under faults")
    parser.add_argument(
        "--severe", type=int, default=3, metavar="N", help="further ones in which half of all calls fail"
    )
    parser.add_argument("--mailboxes", type=int, default=2000, metavar="N", help="mailboxes of a run under faults")
    parser.add_argument(
        "--kills", type=int, default=30, metavar="N", help="kills followed by up, for each of CLI and plugins"
    )
    parser.add_argument("--changes", type=int, default=10, metavar="N", help="kills of an up that changes every route")
    parser.add_argument("--outages", type=int, default=10, metavar="N", help="kills of the emulators")
    parser.add_argument(
        "--state-kills", type=int, default=9, metavar="N", help="kills on each backend behind a network"
    )
    parser.add_argument("--destroys", type=int, default=15, metavar="N", help="kills followed by destroy")
    return parser


@contextmanager
def _world(mailboxes: int) -> Iterator[tuple[World, Path]]:
    with tempfile.TemporaryDirectory(prefix="chaos-") as name:
        folder = Path(name)
        emulators = Emulators.start(folder / "emulators")
        try:
            yield World.build(folder, emulators, mailboxes=mailboxes), folder
        finally:
            emulators.stop()


def _attempt(run: Callable[[], object]) -> bool:
    """Run, and print what came of it and how long it took; whether it ended well."""
    started = time.monotonic()
    try:
        text = run() or "as it should be"
    except AssertionError as error:
        print(f"FAILED after {time.monotonic() - started:.0f} s: {error}", flush=True)
        return False
    print(f"{text} ({time.monotonic() - started:.0f} s)", flush=True)
    return True


def _faults(given: argparse.Namespace) -> int:
    """The severe runs are without the brake that a 429 puts on: it takes most of their time, since slowing down does
    not help against faults that strike at random."""
    runs = [(given.seed + number, 0.2, True) for number in range(given.seeds)]
    runs += [(given.seed + 1000 + number, 0.5, False) for number in range(given.severe)]
    failed = 0
    for seed, share, limiter in runs:
        with _world(given.mailboxes) as (world, _):
            failed += not _attempt(partial(run_faults, world, seed=seed, share=share, limiter=limiter))
    print(f"faults: {len(runs) - failed} of {len(runs)} runs converged")
    return failed


def _kills(given: argparse.Namespace) -> int:
    """Half of the kills of the CLI leave a plugin that is started as Pulumi's own distribution starts it."""
    writes = KILLED_MAILBOXES + SETUP_WRITES
    jobs: list[tuple[Victim, int, Callable[..., Aftermath]]] = [
        (victim, moment, kill_then_up)
        for victim in Victim
        for moment in moments(given.seed, given.kills, writes=writes)
    ]
    victims = itertools.cycle(Victim)
    jobs += [
        (next(victims), moment, kill_then_destroy) for moment in moments(given.seed + 1, given.destroys, writes=writes)
    ]
    change = partial(kill_a_change_then_up, mailboxes=KILLED_MAILBOXES)
    jobs += [(next(victims), moment, change) for moment in moments(given.seed + 2, given.changes, writes=writes)]
    ended: Counter[str] = Counter()
    for number, official in enumerate((False, True)):
        with _world(KILLED_MAILBOXES) as (world, folder):
            if official:
                with_official_launcher(world.stack, folder / "launcher")
            # Moments alternate between setup and routes: each launcher gets pairs of both.
            for victim, moment, end in (job for index, job in enumerate(jobs) if index // 2 % 2 == number):
                ended["well" if _attempt(partial(end, world, victim=victim, moment=moment)) else "badly"] += 1
    print(f"kills: {ended['well']} of {len(jobs)} ended well")
    return ended["badly"]


def _states(given: argparse.Namespace) -> int:
    failed = 0
    with tempfile.TemporaryDirectory(prefix="chaos-") as name:
        folder = Path(name)
        emulators = Emulators.start(folder / "emulators")
        try:
            for backend in SERVERS:
                for number, (victim, moment) in enumerate(states.moments(given.seed, given.state_kills, backend)):
                    print(f"{backend}, ", end="", flush=True)
                    place = folder / f"{backend}-{number}"
                    place.mkdir()
                    run = partial(states.kill_an_apply, place, emulators, backend, victim=victim, moment=moment)
                    failed += not _attempt(run)
        finally:
            emulators.stop()
    return failed


def _commands(_given: argparse.Namespace) -> int:
    failed = 0
    with _world(2) as (world, folder):
        for moment in ENVIRONMENT_MOMENTS:
            failed += not _attempt(partial(new_environment_killed, world, folder / "fresh", moment=moment))
        for seed in range(3):
            failed += not _attempt(partial(import_killed, folder / f"import-{seed}", seed=seed))
        for kind, when in ADOPTION_MOMENTS:
            failed += not _attempt(partial(adoption_killed, world, kind=kind, moment=when))
    print(f"commands: {failed or 'none'} did not go on")
    return failed


def _gateway(given: argparse.Namespace) -> int:
    return gateway.main(given.gateway_mails, given.gateway_kills, given.seed)


def _impostors(given: argparse.Namespace) -> int:
    return impostors.main(given.attempts, given.honest_mails, given.seed)


def _inbox(given: argparse.Namespace) -> int:
    return inbox.main(given.mails, given.inbox_kills, given.seed)


def _outages(given: argparse.Namespace) -> int:
    failed, writes = 0, OTHER_MAILBOXES + SETUP_WRITES
    with _world(OTHER_MAILBOXES) as (world, _):
        for moment in moments(given.seed + 3, given.outages, writes=writes):
            failed += not _attempt(partial(outages.kill_the_emulators, world, moment=moment))
        for took_effect in (False, True):
            failed += not _attempt(partial(outages.pending_creates, world, took_effect=took_effect))
    return failed


def _webhook(_given: argparse.Namespace) -> int:
    with tempfile.TemporaryDirectory(prefix="chaos-") as folder:
        ended = [
            _attempt(partial(run, Path(folder) / run.__name__)) for run in (webhook.busy_hooks, webhook.killed_hooks)
        ]
    return ended.count(False)


def _replaces(_given: argparse.Namespace) -> int:
    with _world(OTHER_MAILBOXES) as (world, _):
        failed = int(not _attempt(lambda: f"--replace of {replaces.replace_everything(world)} resources lost nothing"))
        failed += not _attempt(
            lambda: f"a --replace that failed half-way (deletions pending: {replaces.fail_half_way(world)}) was mended"
        )
    return failed


def _neighbours(_given: argparse.Namespace) -> int:
    failed = 0
    with _world(OTHER_MAILBOXES) as (world, folder):
        for name, run in (
            (
                "an agent who left while her route was in doubt",
                lambda: neighbours.withdrawn_after_an_ambiguous_post(world),
            ),
            ("a second stack with the same addresses", lambda: neighbours.same_addresses(world, folder / "rival")),
            ("routes that were taken over", lambda: neighbours.taken_over(world, folder / "taker")),
        ):
            print(f"{name}: ", end="", flush=True)
            failed += not _attempt(run)
    return failed


if __name__ == "__main__":
    sys.exit(main())
