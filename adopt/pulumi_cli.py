"""Pulumi commands on the stack, through this clone's launcher, so that every plugin and credential is the program's."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from adopt.errors import EngineError
from engine.environment import cli_environment
from engine.layout import layout

ROOT = Path(__file__).resolve().parent.parent


class Engine:
    """`./engine/pulumi` for one stack. Secrets come over pipes, never in arguments."""

    def __init__(self, stack: str, *, project: Path, config_file: Path | None) -> None:
        self._stack = stack
        self._project = project
        self._config_file = config_file
        # The launcher makes the same environment for the CLI; this process needs the credentials in it, too.
        self.environment: Mapping[str, str] = cli_environment(layout(os.environ), os.environ, []).variables

    def configuration(self) -> dict[str, str]:
        """Every key of the stack's configuration, defaults included, secrets in clear; structured values as JSON."""
        found = json.loads(self._run("config", "--show-secrets", "--json", configured=True))
        return {key: str(entry.get("value") or "") for key, entry in found.items()}

    def export(self) -> dict[str, Any]:
        """The stack's state; secrets in it stay encrypted."""
        found: dict[str, Any] = json.loads(self._run("stack", "export"))
        return found

    def import_resources(self, file: Mapping[str, Any], *, protect: bool) -> None:
        """Take existing objects into the state; the zone is only read."""
        with tempfile.TemporaryDirectory(prefix="adopt-") as folder:
            path = Path(folder) / "import.json"
            path.write_text(json.dumps(file), encoding="utf-8")
            self._run(
                "import",
                "--file",
                str(path),
                f"--protect={str(protect).lower()}",
                "--generate-code=false",
                "--yes",
                "--skip-preview",
                "--suppress-outputs",
                configured=True,
            )

    def unprotect(self, urn: str) -> None:
        self._run("state", "unprotect", urn, "--yes")

    def forget(self, urn: str) -> None:
        """Take a resource out of the state; what it stands for is not touched."""
        self._run("state", "delete", urn, "--force", "--yes")

    def _run(self, *arguments: str, configured: bool = False) -> str:
        command = [str(ROOT / "engine" / "pulumi"), "-C", str(self._project), *arguments]
        command += ["--stack", self._stack, "--non-interactive"]
        if configured and self._config_file is not None:
            command += ["--config-file", str(self._config_file)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)  # noqa: S603
        if done.returncode != 0:
            # Only an import tells its reasons on standard output; elsewhere secrets may stand there.
            said = done.stderr + (done.stdout if arguments[0] == "import" else "")
            raise EngineError(" ".join(arguments[: 2 if arguments[0] in {"stack", "state"} else 1]), said)
        return done.stdout
