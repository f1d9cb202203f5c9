"""Pulumi commands on one stack, through this clone's launcher, so that every plugin and credential is the program's.

Secrets travel over pipes, never in arguments.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from copy import copy
from pathlib import Path
from typing import Any, Self

from commands.cli.console import SOON, wants_colour, working
from commands.engine_errors import explained, locked, silent_sentence
from commands.patience import HopelessError, finished, overheard
from commands.refusals import Overheard
from commands.silent_backend import PATIENCE_SECONDS, is_silent
from engine.environment import cli_environment
from engine.errors import EngineError
from engine.layout import layout
from mailboxes import remedies

ROOT = Path(__file__).resolve().parent.parent
_READING = ("config --show-secrets", "preview --json", "stack export", "stack output")
"""How commands begin that may be ended at any moment."""


class PulumiFailedError(Exception):
    """A Pulumi command failed; the message is what it said, without its usage text."""

    def __init__(self, command: str, said: str, *, stack: str = "", backend: str = "") -> None:
        lines = [line.strip() for line in said.splitlines() if line.strip()]
        reasons = [line.removeprefix("error:").strip() for line in lines if line.startswith("error:")]
        # A refusal of the launcher's own stands alone.
        told = " ".join(reasons[:3] or lines[-1:]).removeprefix("engine: ") or "it gave no reason"
        self.reason = locked(said, stack=stack) or explained(told, stack=stack, backend=backend) or told
        super().__init__(f"`{remedies.mail('pulumi', *command.split())}` failed: {self.reason}")


class Pulumi:
    """The Pulumi CLI for one stack of one project folder."""

    def __init__(
        self,
        stack: str,
        *,
        project: Path = ROOT,
        config_file: Path | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """`config_file`: the stack's configuration where it is not the project's `Pulumi.STACK.yaml`."""
        self.stack = stack
        self.project = project.absolute()
        self._config_file = config_file
        self.given = dict(os.environ if environment is None else environment)
        """The environment of whoever started this."""
        meant = ["config", "--cwd", str(self.project), "--stack", stack]
        try:
            prepared = cli_environment(layout(self.given), self.given, meant)
        except EngineError as error:
            raise PulumiFailedError("config", str(error)) from None
        self.environment: Mapping[str, str] = prepared.variables
        """What the CLI runs with; credentials of the embedded default included."""
        self.embedded = prepared.embedded
        """Whether the stack lies in the clone's own backend."""
        self.backend = prepared.backend
        """Where its state lies, and who says so."""

    def in_folder(self, folder: Path) -> Self:
        """The same for another project folder."""
        other = copy(self)
        other.project = folder.absolute()
        return other

    def run(self, *arguments: str, stdin: str | None = None) -> str:
        """Standard output. Raises PulumiFailedError."""
        command = [str(ROOT / "engine" / "pulumi"), "-C", str(self.project), *arguments, "--non-interactive"]
        with working(f"Waiting for the engine ({_named(arguments)})", after=SOON):
            done = self._finished(command, arguments, stdin=stdin or "")
        if done.returncode != 0:
            # Only an import tells its reasons on standard output; elsewhere secrets may stand there.
            said = done.stderr + (done.stdout if arguments[0] == "import" else "")
            raise PulumiFailedError(_named(arguments), said, stack=self.stack, backend=str(self.backend))
        return done.stdout

    def attempt(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """A command whose failure is an answer, too: what it said on both streams, and its exit status."""
        command = [str(ROOT / "engine" / "pulumi"), "-C", str(self.project), *arguments, "--non-interactive"]
        with working(f"Waiting for the engine ({_named(arguments)})", after=SOON):
            return self._finished(command, arguments)

    def stream(self, *arguments: str, heard: Overheard) -> int:
        """A command that shows its progress where this program does, but for what `heard` keeps; its exit status.

        Raises PulumiFailedError for what could not even begin.
        """
        command = [str(ROOT / "engine" / "pulumi"), "-C", str(self.project), *arguments, "--non-interactive"]
        # Behind a pipe the engine cannot see the terminal that it writes to.
        command += ["--color", "always"] if wants_colour() else []
        code = overheard(
            command,
            environment=self.given,
            shown=heard.shown,
            complained=heard.complained,
            silent=self._tell_of_a_silent_backend,
            seconds=PATIENCE_SECONDS,
        )
        if code and heard.complaint and not heard.began:
            raise PulumiFailedError(_named(arguments), heard.complaint, stack=self.stack, backend=str(self.backend))
        sys.stderr.write(heard.complaint)
        return code

    def _finished(
        self, command: Sequence[str], arguments: Sequence[str], *, stdin: str = ""
    ) -> subprocess.CompletedProcess[str]:
        """Raises PulumiFailedError for a command that only reads and whose backend says nothing."""
        reads = " ".join(arguments[:2]) in _READING
        try:
            return finished(
                command,
                environment=self.given,
                stdin=stdin,
                hopeless=(lambda: is_silent(self.backend.url)) if reads else None,
                seconds=PATIENCE_SECONDS,
            )
        except HopelessError:
            raise PulumiFailedError(_named(arguments), silent_sentence(str(self.backend))) from None

    def _tell_of_a_silent_backend(self) -> bool:
        """Whether it was one. An up is not ended for it: what it has done has yet to be written down."""
        silent = is_silent(self.backend.url)
        if silent:
            print(f"{silent_sentence(str(self.backend))}; the engine waits for it, Ctrl-C ends that", file=sys.stderr)
        return silent

    def entries(self) -> dict[str, dict[str, Any]]:
        """Every key of the stack's configuration with its `value` in clear, and whether it is stored as a `secret`."""
        found: dict[str, dict[str, Any]] = json.loads(
            self.run("config", "--show-secrets", "--json", "--stack", self.stack, *self._configured())
        )
        return found

    def export(self, *, show_secrets: bool = False) -> dict[str, Any]:
        """The stack's state; secrets in it stay encrypted, unless they are to be compared."""
        words = ["--show-secrets"] if show_secrets else []
        found: dict[str, Any] = json.loads(self.run("stack", "export", *words, "--stack", self.stack))
        return found

    def outputs(self) -> dict[str, Any]:
        """The stack's outputs, secrets in clear; empty before the first `up`."""
        found: dict[str, Any] = json.loads(
            self.run("stack", "output", "--json", "--show-secrets", "--stack", self.stack)
        )
        return found

    def import_resources(self, file: Mapping[str, Any], *, protect: bool) -> None:
        """Take existing objects into the state; they are only read."""
        with tempfile.TemporaryDirectory(prefix="import-") as folder:
            path = Path(folder) / "import.json"
            path.write_text(json.dumps(file), encoding="utf-8")
            self.run(
                "import",
                "--file",
                str(path),
                f"--protect={str(protect).lower()}",
                "--generate-code=false",
                "--yes",
                "--skip-preview",
                "--suppress-outputs",
                "--stack",
                self.stack,
                *self._configured(),
            )

    def unprotect(self, urn: str) -> None:
        """Let the next `up` or `destroy` delete the resource."""
        self.run("state", "unprotect", urn, "--yes", "--stack", self.stack)

    def forget(self, urn: str) -> None:
        """Take a resource out of the state; what it stands for is not touched."""
        self.run("state", "delete", urn, "--force", "--yes", "--stack", self.stack)

    def _configured(self) -> list[str]:
        return [] if self._config_file is None else ["--config-file", str(self._config_file)]


def _named(arguments: Sequence[str]) -> str:
    """The command in words: `config set`, without what it is about."""
    shown = arguments[:2] if arguments[0] in {"stack", "config", "state"} else arguments[:1]
    return " ".join(word for word in shown if not word.startswith("-"))
