"""`python -m tests.bench.backends`: what a state behind a network costs: rounds, requests and bytes of each step.

A folder, an S3 and a PostgreSQL on loopback, plain, compressed, and saved once at the end; each round over the wire takes
`--latency` milliseconds (50). Rounds and bytes are exact, seconds are this machine's.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.bench.processes import measure
from tests.bench.subjects import DESTROY, PREVIEW, UP, Subject, program
from tests.bench.tables import MEGABYTE, table
from tests.e2e.stack import ENGINE, ROOT, Emulators
from tests.relay import Passed, total
from tests.state_servers import SERVERS

WAYS = {
    "plain": {"PULUMI_DIY_BACKEND_GZIP": "false"},
    "compressed": {"PULUMI_DIY_BACKEND_GZIP": "true"},
    "saved once": {"PULUMI_DIY_BACKEND_GZIP": "true", "PULUMI_SKIP_CHECKPOINTS": "true"},
}
"""Options of the engine; the launcher's default is the second."""
STEPS = {"first up": UP, "up that changes nothing": UP, "preview": PREVIEW, "destroy": DESTROY}


@dataclass(frozen=True, kw_only=True)
class Saved:
    """One step on one backend."""

    backend: str
    way: str
    step: str
    seconds: float
    passed: Passed

    @property
    def row(self) -> list[str]:
        """The first column is what was done, the others what it cost."""
        writes = total(self.passed.requests) if self.passed.requests else None
        return [
            f"{self.step}, {self.backend}, {self.way}",
            f"{self.seconds:.1f}",
            f"{self.passed.rounds:,}",
            "" if writes is None else f"{writes:,}",
            f"{self.passed.sent / MEGABYTE:.2f}",
            f"{self.passed.received / MEGABYTE:.2f}",
        ]


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status 0; a command that fails ends the run with its output."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.backends", description=__doc__)
    parser.add_argument("--size", type=int, default=10_000, help="mailboxes (10,000)")
    parser.add_argument("--latency", type=float, default=50, help="milliseconds for each round (50)")
    parser.add_argument("--backend", choices=[*SERVERS], help="only this one")
    parser.add_argument("--way", choices=[*WAYS], help="only this one")
    given = parser.parse_args(arguments)
    chosen = [given.backend] if given.backend else [*SERVERS]
    ways = [given.way] if given.way else [*WAYS]
    with tempfile.TemporaryDirectory(prefix="agentmail-bench-") as folder:
        emulators = Emulators.start(Path(folder) / "emulators")
        try:
            found = [
                saved
                for backend in chosen
                for way in ways
                for saved in _life(Path(folder) / f"{backend}-{way}".replace(" ", "-"), emulators, backend, way, given)
            ]
        finally:
            emulators.stop()
    print(f"{given.size:,} mailboxes, {given.latency:g} ms for each round; MB as they go over the wire.\n")
    head = ["step, backend, way", "wall, s", "rounds", "writes", "MB to it", "MB from it"]
    print(table(head, [saved.row for saved in found]))
    return 0


def _life(folder: Path, emulators: Emulators, backend: str, way: str, given: argparse.Namespace) -> Iterator[Saved]:
    """The steps on a new stack in a new backend."""
    emulators.reset()
    subject: Subject = program(folder, emulators)
    subject.people(given.size)
    with SERVERS[backend]() as server:
        environment = {**subject.environment, "PULUMI_BACKEND_URL": server.url, **server.credentials, **WAYS[way]}
        command = [str(ENGINE), "-C", str(subject.folder), "stack", "init", "dev", "--non-interactive"]
        measure(command, environment=environment, folder=ROOT)
        server.relay.latency_ms = given.latency
        for step, words in STEPS.items():
            server.relay.forget()
            cost = subject.command(*words, **{name: environment[name] for name in _changed(subject, environment)})
            yield Saved(backend=backend, way=way, step=step, seconds=cost.seconds, passed=server.relay.forget())


def _changed(subject: Subject, environment: dict[str, str]) -> list[str]:
    return [name for name, value in environment.items() if subject.environment.get(name) != value]


if __name__ == "__main__":
    raise SystemExit(main())
