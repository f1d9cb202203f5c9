"""Two people's stack: its files, and a backend behind a network that they share."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

from tests.bench.population import write_population
from tests.e2e.stack import ROOT, Emulators, Finished, Stack, mail
from tests.state_servers import StateServer


class Team:
    """The stack `team`, whose backend `Pulumi.team.backend` names."""

    def __init__(self, folder: Path, emulators: Emulators, server: StateServer, *, agents: int) -> None:
        self.population = folder / "population.json"
        self.server = server
        write_population(self.population, agents)
        self.stack = Stack.create(
            folder / "project", replace(emulators, key=None), name="team", population=self.population
        )
        self.stack.environment.pop("PULUMI_BACKEND_URL")
        self.stack.environment |= server.credentials
        (self.stack.folder / "Pulumi.team.backend").write_text(f"{server.url}\n")
        self.said = self.stack.pulumi("stack", "init", "team").text

    def mail(self, *words: str | Path, check: bool = True) -> Finished:
        done = mail(*words, "-C", self.stack.folder, env=self.stack.environment, check=check)
        self.said += done.text
        return done

    def up(self) -> None:
        """Without the preview that `./mail apply` shows first."""
        self.said += self.stack.up().text

    def started(self, *words: str) -> subprocess.Popen[bytes]:
        """A command of somebody else's, in a session of its own."""
        command = [str(ROOT / "mail"), *words, "-C", str(self.stack.folder)]
        quiet = subprocess.DEVNULL
        return subprocess.Popen(
            command,
            cwd=ROOT,
            env=self.stack.environment,
            stdin=quiet,
            stdout=quiet,
            stderr=quiet,
            start_new_session=True,
        )
