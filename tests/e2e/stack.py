"""A stack of the program in a folder of its own, driven through `./engine/pulumi` as a user drives it."""

from __future__ import annotations

import functools
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests
import yaml

from commands.embedded_mail import hand_over
from engine import official
from tests import forks
from tests.state_servers import KmsKey

ROOT = forks.project()
"""The clone whose commands are run; in the end-to-end tests a copy of it, whose Pythons begin with their packages imported."""
ENGINE = ROOT / "engine" / "pulumi"
PASSPHRASE = "a passphrase of the tests"
PROGRAM = (
    ".venv",
    "Pulumi.yaml",
    "__main__.py",
    "settings",
    "clients",
    "components",
    "mailboxes",
    "populations",
    "providers",
    "zone",
)
"""What a Pulumi project folder needs of the program: a test's stack runs these very files, from a folder of its own."""
DEADLINE = 300
"""Seconds after which a command that hangs fails its test."""


def python(
    *arguments: str | Path, env: dict[str, str] | None = None, check: bool = True, stdin: str | None = None
) -> Finished:
    """Run `python …` of the project's virtualenv from the project's root."""
    return run([sys.executable, *arguments], env=env or clean_environment(), check=check, stdin=stdin)


def mail(
    *arguments: str | Path, env: dict[str, str] | None = None, check: bool = True, stdin: str | None = None
) -> Finished:
    """Run `./mail …` from the project's root."""
    return run([ROOT / "mail", *arguments], env=env or clean_environment(), check=check, stdin=stdin)


def clean_environment() -> dict[str, str]:
    """The caller's environment without what would steer the program: no credential, backend or stack of the machine."""
    dropped = re.compile(r"(PULUMI|MAILJET|CLOUDFLARE|AZT3KNET|AGENTMAIL)_")
    return {name: value for name, value in os.environ.items() if not dropped.match(name)} | kept()


def kept() -> dict[str, str]:
    """Which parts of Pulumi a caller asks for is a choice about the machine, not about the stack."""
    return {name: os.environ[name] for name in ("AGENTMAIL_CLOUDFLARE_PLUGIN", official.VARIABLE) if name in os.environ}


@dataclass(frozen=True)
class Finished:
    """A finished command: its exit code and all that it printed."""

    code: int
    out: str
    err: str

    @property
    def text(self) -> str:
        return self.out + self.err


def run(command: list[Any], *, env: dict[str, str], check: bool, stdin: str | None = None) -> Finished:
    """Run to the end; with `check`, a failing command fails the test with all its output."""
    done = subprocess.run(
        [str(word) for word in command],
        cwd=ROOT,
        env=env,
        input=stdin or "",
        capture_output=True,
        text=True,
        timeout=DEADLINE,
    )
    finished = Finished(done.returncode, done.stdout, done.stderr)
    if check and finished.code != 0:
        raise AssertionError(f"{command} ended with {finished.code}:\n{finished.text}")
    return finished


@dataclass(frozen=True)
class Emulators:
    """Running emulators, as `./mail emulators status --json` describes them."""

    folder: Path
    status: dict[str, Any]
    credentials: dict[str, str] = field(repr=False)
    key: KmsKey | None = None
    """What new stacks are encrypted with; None for a passphrase."""

    @classmethod
    def start(cls, folder: Path) -> Emulators:
        mail("emulators", "up", "--free-ports", "--state-dir", folder)
        status = json.loads(mail("emulators", "status", "--json", "--state-dir", folder).out)
        lines = Path(status["env_file"]).read_text().splitlines()
        credentials = dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
        return cls(folder, status, credentials)

    def stop(self) -> None:
        mail("emulators", "down", "--state-dir", self.folder)

    def reset(self) -> None:
        """Back to the seeded start: no sender, no route, only the zone's foreign records."""
        for side in ("mailjet", "cloudflare"):
            requests.post(self.control(side, "reset"), timeout=30).raise_for_status()
        self.forget_requests()

    def control(self, side: str, path: str) -> str:
        base = self.status[side]["url"].removesuffix("/client/v4")
        return f"{base}/_emulator/{path}"

    def counts(self, side: str) -> dict[str, Any]:
        """`{"reads": n, "writes": n, "by": {…}}` since the last `forget_requests`."""
        counted: dict[str, Any] = requests.get(self.control(side, "counts"), timeout=10).json()
        return counted

    @property
    def writes(self) -> int:
        """Requests since the last `forget_requests` that may change something, on both sides."""
        return sum(int(self.counts(side)["writes"]) for side in ("mailjet", "cloudflare"))

    def forget_requests(self) -> None:
        for side in ("mailjet", "cloudflare"):
            requests.delete(self.control(side, "requests"), timeout=10).raise_for_status()

    def state(self, side: str) -> dict[str, Any]:
        """The whole state of one side, sorted."""
        dumped: dict[str, Any] = requests.get(self.control(side, "state"), timeout=30).json()
        return dumped

    def faults(self, side: str, **rules: Any) -> None:
        requests.put(self.control(side, "faults"), json=rules, timeout=10).raise_for_status()

    def mailjet(self, method: str, path: str, **options: Any) -> requests.Response:
        """A request to the emulated Mailjet by somebody else than the program."""
        key = (self.credentials["MAILJET_API_KEY"], self.credentials["MAILJET_API_SECRET"])
        return requests.request(method, self.status["mailjet"]["url"] + path, auth=key, timeout=10, **options)

    def cloudflare(self, method: str, path: str, **options: Any) -> requests.Response:
        """A request to the emulated Cloudflare by somebody else than the program; `path` after the zone."""
        headers = {"Authorization": f"Bearer {self.credentials['CLOUDFLARE_API_TOKEN']}"}
        zone = f"{self.status['cloudflare']['url']}/zones/{self.status['cloudflare']['zone_id']}"
        return requests.request(method, zone + path, headers=headers, timeout=10, **options)

    def records(self) -> list[dict[str, Any]]:
        """The zone's records."""
        found: list[dict[str, Any]] = self.cloudflare("GET", "/dns_records?per_page=5000").json()["result"]
        return found

    def routes(self) -> list[dict[str, Any]]:
        """Every parse route of the account."""
        found: list[dict[str, Any]] = self.mailjet("GET", "/v3/REST/parseroute?Limit=1000").json()["Data"]
        return found


@functools.cache
def initialised(name: str, key: KmsKey | None) -> tempfile.TemporaryDirectory[str]:
    """What `stack init NAME` leaves: a backend and a configuration file, made once and copied for each test."""
    made = tempfile.TemporaryDirectory(prefix="initialised-")
    folder = Path(made.name)
    backend = folder / "backend"
    backend.mkdir()
    project = folder / "Pulumi.yaml"
    project.symlink_to(ROOT / "Pulumi.yaml")
    environment = clean_environment() | encrypting(key) | {"PULUMI_BACKEND_URL": f"file://{backend}?metadata=skip"}
    provider = [f"--secrets-provider={key.url}"] if key else []
    run([ENGINE, "-C", folder, "stack", "init", name, *provider, "--non-interactive"], env=environment, check=True)
    project.unlink()
    return made


def encrypting(key: KmsKey | None) -> dict[str, str]:
    """With which variables the secrets of a stack are read and written."""
    return {"PULUMI_CONFIG_PASSPHRASE": PASSPHRASE} if key is None else dict(key.environment)


def state_file(project: Path, stack: str = "dev") -> Path:
    """Where a project's own backend keeps the state of a stack."""
    [file] = _state_files(project, stack)
    return file


def _state_files(project: Path, stack: str) -> list[Path]:
    """One, or none where its backend is elsewhere."""
    return list((project / "backend" / ".pulumi" / "stacks").glob(f"*/{stack}.json"))


@dataclass
class Stack:
    """One stack: its own backend, configuration file and populations."""

    folder: Path
    emulators: Emulators
    name: str = "dev"
    environment: dict[str, str] = field(default_factory=dict, repr=False)
    _outputs: tuple[bytes, str] = field(default=(b"", ""), repr=False)
    """Of which state, and what the engine said."""

    @classmethod
    def create(cls, folder: Path, emulators: Emulators, *, name: str = "dev", population: Path | None = None) -> Stack:
        """A new stack, configured like `Pulumi.dev.yaml` but for the emulators' free ports."""
        backend = folder / "backend"
        if not backend.exists():
            backend.mkdir(parents=True)
            for part in PROGRAM:
                (folder / part).symlink_to(ROOT / part)
        environment = clean_environment() | emulators.credentials | encrypting(emulators.key)
        environment |= {"PULUMI_BACKEND_URL": f"file://{backend}?metadata=skip"}
        made = cls(folder, emulators, name, environment)
        shutil.copytree(initialised(name, emulators.key).name, folder, dirs_exist_ok=True)
        status = emulators.status
        dev = yaml.safe_load((ROOT / "Pulumi.dev.yaml").read_text())["config"]
        made.config_file.write_text(
            yaml.safe_dump(
                yaml.safe_load(made.config_file.read_text())
                | {
                    "config": dev
                    | {
                        "cloudflare:baseUrl": status["cloudflare"]["url"],
                        "agentmail:mailjetApiUrl": status["mailjet"]["url"],
                        "agentmail:mailjetSmtpPort": status["mailjet"]["smtp"]["port"],
                        "agentmail:gatewayPort": status["gateway"]["port"],
                        "agentmail:gatewayApiUrl": status["gateway"]["api_url"],
                        "agentmail:inboxService": status["inbox"]["url"],
                        "agentmail:populations": [{"file": str(population or ROOT / "populations" / "prod.yaml")}],
                    }
                }
            )
        )
        return made

    @property
    def config_file(self) -> Path:
        return self.folder / f"Pulumi.{self.name}.yaml"

    def configure(self, **changes: Any) -> None:
        """Set keys of the project's namespace in the configuration file; None removes one."""
        document = yaml.safe_load(self.config_file.read_text())
        for key, value in changes.items():
            name = key if ":" in key else f"agentmail:{key}"
            if value is None:
                document["config"].pop(name, None)
            else:
                document["config"][name] = value
        self.config_file.write_text(yaml.safe_dump(document))

    def start_gateway(self) -> None:
        """Give the emulators' gateway this stack's file, as `./mail up` does, and wait until it knows the agents."""
        hand_over(self.outputs(), self.emulators.status)

    def pulumi(self, *arguments: str | Path, check: bool = True, **variables: str) -> Finished:
        """`./engine/pulumi ARGUMENTS` in this stack's project folder."""
        words = [ENGINE, "-C", self.folder, *arguments, "--non-interactive"]
        return run(words, env=self.environment | variables, check=check)

    def up(self, *arguments: str, check: bool = True, **variables: str) -> Finished:
        return self.pulumi("up", "--stack", self.name, "--yes", "--skip-preview", *arguments, check=check, **variables)

    def preview(self, *arguments: str, check: bool = True, **variables: str) -> Finished:
        return self.pulumi("preview", "--stack", self.name, *arguments, check=check, **variables)

    def destroy(self, *arguments: str, check: bool = True) -> Finished:
        return self.pulumi(
            "destroy", "--stack", self.name, "--refresh", "--yes", "--skip-preview", *arguments, check=check
        )

    def outputs(self) -> dict[str, Any]:
        """As the engine tells them, which is asked once for each state."""
        state = b"".join(file.read_bytes() for file in _state_files(self.folder, self.name))
        if not state or self._outputs[0] != state:
            told = self.pulumi("stack", "output", "--stack", self.name, "--json", "--show-secrets").out
            self._outputs = (state, told)
        found: dict[str, Any] = json.loads(self._outputs[1])
        return found
