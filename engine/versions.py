"""Asks a Pulumi CLI what it is."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_PROBE_SECONDS = 20.0

# Set while a `pulumi` on PATH is asked for its version: a launcher like ours answers that it is none.
PROBE = "AGENTMAIL_ENGINE_PROBE"


@dataclass(frozen=True)
class VersionAnswer:
    """`version` without its `v`, or None if the file is no working CLI; `output` is its last line."""

    version: str | None
    output: str


def cli_version_of(cli: Path, environment: Mapping[str, str]) -> VersionAnswer:
    """Run `CLI version`."""
    variables = {**environment, PROBE: "1", "PULUMI_SKIP_UPDATE_CHECK": "true"}
    try:
        said = subprocess.run(  # noqa: S603
            [str(cli), "version"],
            env=variables,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_PROBE_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return VersionAnswer(None, str(error))
    lines = (said.stdout + said.stderr).strip().splitlines()
    version = re.fullmatch(r"v?(\d+\.\d+\.\d+\S*)", said.stdout.strip())
    if said.returncode or version is None:
        return VersionAnswer(None, lines[-1] if lines else f"exit status {said.returncode}")
    return VersionAnswer(version[1], version[0])
