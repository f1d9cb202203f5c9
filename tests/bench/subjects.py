"""What is measured: a stack of this project's program, and for comparison one with a resource for every mailbox."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import requests
import yaml

from mailboxes.addresses import addresses
from mailboxes.population import load_population
from tests.bench.population import write_population
from tests.bench.processes import Cost, measure
from tests.e2e.stack import ENGINE, PASSPHRASE, PROGRAM, ROOT, Emulators, Stack, clean_environment, state_file

SECRET = "MAILJET_INBOUND_SECRET"
ROTATED = "a-second-secret-of-the-benchmark"
DOMAIN = "dev.agents.example"
PER_MAILBOX = Path(__file__).parent / "per_mailbox"

UP = ("up", "--yes", "--skip-preview")
PREVIEW = ("preview",)
REFRESH = ("refresh", "--yes", "--skip-preview")
DESTROY = ("destroy", "--yes", "--skip-preview")


@dataclass
class Subject:
    """A stack that commands are measured on."""

    name: str
    folder: Path
    """The Pulumi project."""
    population: Path
    emulators: Emulators
    environment: Mapping[str, str] = field(repr=False)

    def command(self, *words: str, **variables: str) -> Cost:
        """Run `pulumi WORDS` and say what it cost."""
        command = [str(ENGINE), "-C", str(self.folder), *words, "--stack", "dev", "--non-interactive"]
        return measure([*command, "--suppress-outputs"], environment={**self.environment, **variables}, folder=ROOT)

    def people(self, size: int) -> None:
        """Make the population have so many agents."""
        write_population(self.population, size)

    def addresses(self) -> dict[str, str]:
        return addresses([load_population(self.population)], DOMAIN)

    def prepare(self) -> None:
        """Before the first `up`: the emulators as they were at first."""
        self.emulators.reset()

    @property
    def state_bytes(self) -> int:
        return state_file(self.folder).stat().st_size


def program(folder: Path, emulators: Emulators) -> Subject:
    """A stack of this project, configured like the embedded default."""
    folder.mkdir(parents=True)
    population = folder / "population.json"
    stack = Stack.create(folder / "project", emulators, population=population)
    return Subject("this program", stack.folder, population, emulators, stack.environment)


def empty(folder: Path, emulators: Emulators) -> Subject:
    """A stack whose program imports Pulumi and declares nothing, after its first up."""
    project = folder / "project"
    (project / "backend").mkdir(parents=True)
    (project / ".venv").symlink_to(ROOT / ".venv")
    (project / "Pulumi.yaml").write_text("name: empty\nruntime: {name: python, options: {virtualenv: .venv}}\n")
    (project / "__main__.py").write_text("import pulumi\n")
    environment = _initialised(project, emulators)
    subject = Subject("an empty program", project, folder / "population.json", emulators, environment)
    subject.command(*UP)
    return subject


def _initialised(project: Path, emulators: Emulators) -> dict[str, str]:
    """Make the stack `dev` of a project that has a folder `backend`; the variables for its commands."""
    environment = clean_environment() | emulators.credentials
    environment |= {"PULUMI_BACKEND_URL": f"file://{project / 'backend'}", "PULUMI_CONFIG_PASSPHRASE": PASSPHRASE}
    measure(
        [str(ENGINE), "-C", str(project), "stack", "init", "dev", "--non-interactive"],
        environment=environment,
        folder=ROOT,
    )
    return environment


class PerMailbox(Subject):
    """A resource for every mailbox: what this project does not do."""

    def people(self, size: int) -> None:
        super().people(size)
        (self.folder / "addresses.json").write_text(json.dumps(self.addresses()))

    def prepare(self) -> None:
        super().prepare()
        # There is no mail domain in this comparison, so Mailjet has none to verify.
        control = self.emulators.control("mailjet", "switches")
        requests.put(control, json={"route_needs_verified_domain": False}, timeout=10).raise_for_status()


def link_per_mailbox(project: Path) -> None:
    """The program of the comparison, with whatever of this project it imports."""
    for part in ("Pulumi.yaml", "__main__.py"):
        (project / part).symlink_to(PER_MAILBOX / part)
    for part in {*PROGRAM, "tests"} - {"Pulumi.yaml", "__main__.py"}:
        (project / part).symlink_to(ROOT / part)


def per_mailbox(folder: Path, emulators: Emulators) -> PerMailbox:
    """A stack of the program in bench/per_mailbox."""
    project = folder / "project"
    (project / "backend").mkdir(parents=True)
    link_per_mailbox(project)
    environment = _initialised(project, emulators)
    subject = PerMailbox("a resource per mailbox", project, folder / "population.json", emulators, environment)
    file = project / "Pulumi.dev.yaml"
    document = yaml.safe_load(file.read_text())
    document["config"] = {"per-mailbox:mailjetApiUrl": emulators.status["mailjet"]["url"]}
    file.write_text(yaml.safe_dump(document))
    return subject
