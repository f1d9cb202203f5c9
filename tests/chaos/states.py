"""A run on a backend behind a network is killed; whatever command comes next ends in time, and says what to do."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from enum import StrEnum
from pathlib import Path

from tests.chaos.kills import Identity, descendants, wait_until
from tests.chaos.world import ChaosError
from tests.e2e.stack import DEADLINE, Emulators, Finished
from tests.e2e.team import Team
from tests.processes import killed_at_the_end
from tests.state_servers import SERVERS, StateServer

AGENTS = 3
ROUNDS = {"S3": 190, "PostgreSQL": 400}
"""About as many times a first `apply` speaks to its backend, its preview included."""
LATENCY_MS = 10


class Victim(StrEnum):
    """Who is killed: everything at once, as by a machine that is switched off; the engine; `./mail` before it."""

    ALL = "all"
    ENGINE = "engine"
    COMMAND = "command"


def moments(seed: int, count: int, backend: str) -> list[tuple[Victim, int]]:
    """Whom to kill after how many rounds, each victim equally often."""
    rng = random.Random(f"{seed} {backend}")
    victims = [*Victim]
    return [(victims[number % len(victims)], rng.randint(5, ROUNDS[backend])) for number in range(count)]


def kill_an_apply(folder: Path, emulators: Emulators, backend: str, *, victim: Victim, moment: int) -> str:
    """Killed; then the commands that a person tries, until everything stands; then a destroy. Which took longest."""
    emulators.reset()
    with SERVERS[backend]() as server:
        return _Trial(Team(folder, emulators, server, agents=AGENTS), server, victim, moment).run()


class _Trial:
    """One stack on a backend of its own."""

    def __init__(self, team: Team, server: StateServer, victim: Victim, moment: int) -> None:
        self.team, self.server, self.victim, self.moment = team, server, victim, moment
        self.where = f"{victim} killed after {moment} rounds"
        self.took: dict[str, float] = {}
        self.rounds = 0

    def run(self) -> str:
        self.server.relay.latency_ms = LATENCY_MS
        finished = self._kill()
        self._mail("doctor", "team", "--json", ends=(0, 1))
        refused = self._mail("apply", "team", "--yes", ends=(0, 1))
        if refused.code and "./mail " not in refused.text:
            raise ChaosError(self.where, ["the refusal names no command"], refused.text)
        self._mail("pulumi", "cancel", "--yes", "--stack", "team")
        self._mail("state", "clear-pending", "team", "--yes")
        self._mail("adopt", "team", "--yes")
        self._mail("apply", "team", "--yes")
        routes = [route["Email"] for route in self.team.stack.emulators.routes()]
        if len(set(routes)) != len(routes) or len(routes) != AGENTS:
            raise ChaosError(self.where, [f"{len(routes)} routes of {AGENTS} agents"])
        self._mail("destroy", "team", "--confirm", "team")
        if left := self.team.stack.emulators.routes():
            raise ChaosError(self.where, [f"{len(left)} routes left after the destroy"])
        longest = max(self.took, key=lambda words: self.took[words])
        came = f", or rather at its end, after {self.rounds}" if finished else "; then refused" if refused.code else ""
        return f"{self.where}{came}: longest {longest}, {self.took[longest]:.0f} s"

    def _kill(self) -> bool:
        """Whether the run had ended before its moment came."""
        self.server.relay.forget()
        with killed_at_the_end(self.team.started("apply", "team", "--yes")) as running:
            wait_until(
                lambda: running.poll() is not None or self.server.relay.passed.rounds >= self.moment,
                "the moment of a kill",
                seconds=DEADLINE,
            )
            finished = running.poll() is not None
            self.rounds = self.server.relay.passed.rounds
            family = descendants(running.pid)
            if not finished:
                self._strike(running, family)
            running.wait(DEADLINE)
            if self.victim is not Victim.COMMAND:
                wait_until(lambda: not any(one.runs for one in family), f"the end of {self.victim}")
            return finished

    def _strike(self, running: subprocess.Popen[bytes], family: list[Identity]) -> None:
        if self.victim is Victim.ALL:
            os.killpg(running.pid, signal.SIGKILL)
        elif self.victim is Victim.COMMAND:
            running.kill()
        else:
            engines = [one for one in family if _is_engine(one.pid)]
            for engine in engines:
                os.kill(engine.pid, signal.SIGKILL)

    def _mail(self, *words: str, ends: tuple[int, ...] = (0,)) -> Finished:
        """Raises ChaosError for a command that hangs, has another exit status, or shows a traceback."""
        started = time.monotonic()
        try:
            done = self.team.mail(*words, check=False)
        except subprocess.TimeoutExpired as error:
            forest = subprocess.run(
                ["ps", "axf", "-o", "pid,etimes,stat,wchan:20,args"], capture_output=True, text=True
            )
            raise ChaosError(self.where, [f"{' '.join(words)} hung"], f"{error.output}\n{forest.stdout}") from None
        self.took[f"{len(self.took) + 1} {words[0]}"] = time.monotonic() - started
        if done.code not in ends or "Traceback" in done.text:
            raise ChaosError(self.where, [f"{' '.join(words)} ended with {done.code}"], done.text)
        return done


def _is_engine(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/exe").resolve().name == "pulumi"
    except OSError:
        return False
