"""The environment that the Pulumi CLI gets, and the directory it runs in."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from engine import json_file
from engine.layout import Layout

# Public on purpose: it encrypts nothing but throw-away credentials of emulators that listen on loopback.
LOOPBACK_PASSPHRASE = "loopback-only"  # noqa: S105

EMULATOR_CREDENTIALS = (
    "MAILJET_API_KEY",
    "MAILJET_API_SECRET",
    "MAILJET_INBOUND_SECRET",
    "CLOUDFLARE_API_TOKEN",
)

# The global options of the CLI whose value is an argument of its own.
_OPTIONS_WITH_VALUE = ("-C", "--cwd", "--color", "-v", "--verbose", "--profiling", "--tracing", "--memprofilerate")

_ASSIGNMENT = re.compile(r"\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)=(.*?)\s*")


@dataclass(frozen=True)
class CliEnvironment:
    """Variables for the CLI; `embedded` says whether they lead to the clone's own file backend."""

    variables: dict[str, str]
    embedded: bool


def cli_environment(layout: Layout, environment: Mapping[str, str], arguments: Sequence[str]) -> CliEnvironment:
    """What the CLI runs with: what the user set wins everywhere."""
    variables = dict(environment)
    variables["PATH"] = _with_first(layout.venv / "bin", environment.get("PATH", ""))
    variables["PULUMI_HOME"] = str(layout.home)
    variables.setdefault("PULUMI_SKIP_UPDATE_CHECK", "true")
    # The plugins in PULUMI_HOME belong to whichever clone starts the CLI, also when clones share a home.
    variables["AGENTMAIL_ENGINE_ROOT"] = str(layout.root)

    embedded = _uses_embedded_backend(layout, environment, arguments)
    if embedded:
        variables["PULUMI_BACKEND_URL"] = layout.backend_url
        if "PULUMI_CONFIG_PASSPHRASE" not in environment and "PULUMI_CONFIG_PASSPHRASE_FILE" not in environment:
            variables["PULUMI_CONFIG_PASSPHRASE"] = LOOPBACK_PASSPHRASE
        for name, value in emulator_credentials(layout.credentials).items():
            variables.setdefault(name, value)
    return CliEnvironment(variables, embedded)


def _with_first(directory: Path, path: str) -> str:
    rest = [entry for entry in path.split(":") if entry and entry != str(directory)]
    return ":".join([str(directory), *rest])


def _uses_embedded_backend(layout: Layout, environment: Mapping[str, str], arguments: Sequence[str]) -> bool:
    named = environment.get("PULUMI_BACKEND_URL")
    if named:
        return _same_folder(named, layout.backend_url)
    if command_of(arguments) in ("login", "logout"):
        return False
    logged_in = _logged_in_at(layout.home)
    return logged_in is None or _same_folder(logged_in, layout.backend_url)


def _same_folder(backend: str, other: str) -> bool:
    """Whether two backends are one, whatever options of the storage library stand behind them."""
    return backend.partition("?")[0] == other.partition("?")[0]


def _logged_in_at(home: Path) -> str | None:
    """The backend that `pulumi login` chose, which is how a user names one without an environment variable."""
    current = json_file.read(home / "credentials.json").get("current")
    return current if isinstance(current, str) and current else None


def emulator_credentials(file: Path) -> dict[str, str]:
    """The credentials in a `credentials.env`; none if the emulators have never been started."""
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return {}
    found: dict[str, str] = {}
    for line in lines:
        assignment = _ASSIGNMENT.fullmatch(line)
        if assignment and assignment[1] in EMULATOR_CREDENTIALS:
            found[assignment[1]] = assignment[2].strip("'\"")
    return found


def command_of(arguments: Sequence[str]) -> str | None:
    """The CLI's command among its arguments, such as `login` in `-C DIR login URL`."""
    rest = iter(arguments)
    for argument in rest:
        if argument in _OPTIONS_WITH_VALUE:
            next(rest, None)
        elif not argument.startswith("-"):
            return argument
    return None


def names_directory(arguments: Sequence[str]) -> bool:
    """Whether the arguments name the project's directory themselves (`-C DIR`, `--cwd DIR`)."""
    for argument in arguments:
        if argument == "--":
            return False
        if argument == "--cwd" or argument.startswith("--cwd=") or re.match(r"-C(?!-)", argument):
            return True
    return False
