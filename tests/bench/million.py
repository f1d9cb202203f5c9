"""`python -m tests.bench.million`: a million mailboxes in a hundred stacks on one account, as far as one machine can tell.

Measured: the split of the million's files (`mailboxes.splitting`), and the life of one stack of 10,000 on an account that has
the other 990,000 routes, which are put into the emulator's table. Calculated, and said so in the report: a hundred such
stacks. Times are those of this machine; counts are exact. About eight minutes on two cores that others use, too.
"""

from __future__ import annotations

import argparse
import json
import resource
import sqlite3
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mailboxes.population import PopulationSource
from mailboxes.splitting import PartEdit, StackAgents, split_population
from tests.bench.population import SEED, STAMP, agent
from tests.bench.processes import Cost, measure
from tests.bench.run import say
from tests.bench.scenario import Calls, counted
from tests.bench.subjects import DESTROY, PREVIEW, REFRESH, ROTATED, SECRET, UP
from tests.e2e.stack import ENGINE, ROOT, Emulators, Stack, state_file

A_FILE = 100_000
"""Agents of one population file: a platform export of more is refused for its size."""
OF_THE_DOMAIN_ALONE = (
    *("domain", "zoneId", "zoneName", "accountId", "tunnelHostname", "tunnelService", "inboxService"),
    *("mailjetSenders", "mailjetEvents"),
)
NEIGHBOURS = "https://agentmail-neighbours:a-secret-of-theirs@api-dev.agents.example/api/webhooks/mailjet/inbound"


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One step of the sampled stack."""

    step: str
    cost: Cost
    calls: Calls
    state_bytes: int


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status 0; a command that fails ends the run with its output."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.million", description=__doc__)
    parser.add_argument("--agents", type=int, default=1_000_000, metavar="N")
    parser.add_argument("--size", type=int, default=10_000, metavar="N", help="mailboxes of a stack")
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="agentmail-million-") as name:
        folder = Path(name)
        part, parts, seconds = split_files(folder, agents=given.agents, size=given.size)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        say(f"split of {given.agents:,}: {parts} parts, {seconds:.0f} s of CPU, {peak:,.0f} MB at most")
        say(f"a part's population file: {len(part.after) / 1e6:.1f} MB")
        emulators = Emulators.start(folder / "emulators")
        try:
            samples = sampled_stack(folder, emulators, part, others=given.agents - given.size)
        finally:
            emulators.stop()
    print(table(samples, stacks=parts))
    return 0


def split_files(folder: Path, *, agents: int, size: int) -> tuple[PartEdit, int, float]:
    """`agents` in files of `A_FILE`, all of them laid out into parts: the first, how many, and the seconds of CPU that took."""
    sources = []
    for first in range(0, agents, A_FILE):
        path = folder / f"population-{first}.json"
        people = [agent(number) for number in range(first, min(agents, first + A_FILE))]
        path.write_text(json.dumps({"seed": SEED, "created_at": STAMP, "agents": people}))
        sources.append(PopulationSource(path=path))
    say(f"{agents:,} agents in {len(sources)} files")
    started = time.process_time()
    home = StackAgents(name="dev", sources=sources)
    found = split_population(home, [], size=size, keep=0, folder=folder)
    return found.parts[0], len(found.parts), time.process_time() - started


def put_neighbours(emulators: Emulators, count: int) -> None:
    """`count` routes of other stacks, past the API: so many calls would take most of an hour."""
    with sqlite3.connect(emulators.folder / "mailjet.sqlite", timeout=60) as database:
        database.executemany(
            "INSERT INTO parseroute (apikey_id, email, url, is_auto) SELECT id, ?, ?, 0 FROM apikey ORDER BY id LIMIT 1",
            ((f"neighbour.{number}@dev.agents.example", NEIGHBOURS) for number in range(count)),
        )
    database.close()


def sampled_stack(folder: Path, emulators: Emulators, part: PartEdit, *, others: int) -> list[Sample]:
    """The life of the first part, beside a stack that owns the domain and an account full of others' routes."""
    empty = folder / "empty.json"
    empty.write_text(json.dumps({"seed": SEED, "created_at": STAMP, "agents": []}))
    owner = Stack.create(folder / "project", emulators, population=empty)
    owner.configure(populations=[])
    owner.up()
    put_neighbours(emulators, others)
    part.write()
    stack = Stack.create(owner.folder, emulators, name=part.stack, population=part.path)
    stack.configure(**dict.fromkeys(OF_THE_DOMAIN_ALONE), domainStack=owner.name)
    document = json.loads(part.after)
    newcomer = {"id": "newcomer", "name": "New Comer", "local_part": "new.comer"}

    def people(more: int) -> None:
        agents = [*document["agents"], *[newcomer] * more]
        part.path.write_text(json.dumps({**document, "agents": agents}))

    samples = []
    for step, words, more, variables in (
        ("first up", UP, 0, {}),
        ("up that changes nothing", UP, 0, {}),
        ("preview", PREVIEW, 0, {}),
        ("one agent added", UP, 1, {}),
        ("one agent removed", UP, 0, {}),
        ("refresh", REFRESH, 0, {}),
        ("webhook secret rotated", UP, 0, {SECRET: ROTATED}),
        ("destroy", DESTROY, 0, {}),
    ):
        people(more)
        emulators.forget_requests()
        command = [str(ENGINE), "-C", str(stack.folder), *words, "--stack", stack.name, "--non-interactive"]
        cost = measure([*command, "--suppress-outputs"], environment={**stack.environment, **variables}, folder=ROOT)
        size = state_file(stack.folder, stack.name).stat().st_size
        samples.append(Sample(step=step, cost=cost, calls=counted(emulators), state_bytes=size))
        say(f"  {step:<24}{cost.seconds:7.1f} s  {samples[-1].calls}")
    return samples


def table(samples: Sequence[Sample], *, stacks: int) -> str:
    """Markdown: what was measured of one stack, and so many times that."""
    lines = [
        "| step | one stack: CPU, wall | Mailjet reads + writes | peak memory | state "
        f"| {stacks} stacks, calculated: CPU, reads + writes, state |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for sample in samples:
        calls, cost = sample.calls, sample.cost
        lines.append(
            f"| {sample.step} | {cost.cpu_seconds:.0f} s, {cost.seconds:.0f} s"
            f" | {calls.mailjet_reads:,} + {calls.mailjet_writes:,} | {cost.peak_bytes / 1e6:,.0f} MB"
            f" | {sample.state_bytes / 1e6:.1f} MB"
            f" | {stacks * cost.cpu_seconds / 60:,.0f} min, {stacks * calls.mailjet_reads:,} + "
            f"{stacks * calls.mailjet_writes:,}, {stacks * sample.state_bytes / 1e6:,.0f} MB |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    raise SystemExit(main())
