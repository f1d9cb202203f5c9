"""The stack through this clone's launcher: configuration, outputs, and commands whose secrets travel on standard input."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from engine.environment import cli_environment
from engine.layout import layout

ROOT = Path(__file__).resolve().parent.parent


class PulumiFailedError(Exception):
    """A Pulumi command failed; the message is what it said, without its usage text."""

    def __init__(self, command: str, said: str) -> None:
        lines = [line.strip() for line in said.splitlines() if line.strip()]
        reasons = [line.removeprefix("error:").strip() for line in lines if line.startswith("error:")]
        self.reason = " ".join(reasons[:3] or lines[-1:]) or "it gave no reason"
        super().__init__(f"`./engine/pulumi {command}` failed: {self.reason}")


class Pulumi:
    """`./engine/pulumi` for one stack of one project folder."""

    def __init__(self, stack: str, *, project: Path = ROOT, environment: Mapping[str, str] | None = None) -> None:
        self.stack = stack
        self.project = project.absolute()
        self.given = dict(os.environ if environment is None else environment)
        """The environment of whoever started this."""
        prepared = cli_environment(layout(self.given), self.given, [])
        self.environment: Mapping[str, str] = prepared.variables
        """What the CLI runs with; credentials of the embedded default included."""
        self.embedded = prepared.embedded
        """Whether the stack lies in the clone's own backend, whose passphrase is public."""

    def run(self, *arguments: str, stdin: str | None = None) -> str:
        """Standard output. Raises PulumiFailedError."""
        command = [str(ROOT / "engine" / "pulumi"), "-C", str(self.project), *arguments, "--non-interactive"]
        done = subprocess.run(  # noqa: S603
            command, capture_output=True, text=True, check=False, input=stdin or "", env=self.given
        )
        if done.returncode != 0:
            shown = arguments[:2] if arguments[0] in {"stack", "config"} else arguments[:1]
            raise PulumiFailedError(
                " ".join(word for word in shown if not word.startswith("-")), done.stderr + done.stdout
            )
        return done.stdout

    def entries(self) -> dict[str, dict[str, Any]]:
        """Every key of the stack's configuration with its `value` in clear, and whether it is stored as a `secret`."""
        found: dict[str, dict[str, Any]] = json.loads(
            self.run("config", "--show-secrets", "--json", "--stack", self.stack)
        )
        return found

    def configuration(self) -> dict[str, str]:
        """Every key's value, secrets in clear; structured values as JSON."""
        return {key: str(entry.get("value") or "") for key, entry in self.entries().items()}

    def outputs(self) -> dict[str, Any]:
        """The stack's outputs, secrets in clear; empty before the first `up`."""
        found: dict[str, Any] = json.loads(
            self.run("stack", "output", "--json", "--show-secrets", "--stack", self.stack)
        )
        return found
