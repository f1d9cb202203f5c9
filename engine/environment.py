"""The environment that the Pulumi CLI gets: backend, passphrase, credentials."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from engine import json_file
from engine.arguments import asks_for_debug_messages, command_of, runs_program, secrets_provider, values, words
from engine.errors import (
    EngineError,
    NoOwnPassphraseError,
    NoStackNamedError,
    PublicPassphraseGivenError,
    StackFileError,
    StackMissingError,
    StateCutError,
)
from engine.layout import Layout
from engine.passphrase import LOOPBACK_PASSPHRASE, gives_public_passphrase, own_passphrase
from engine.stacks import Meant, meant, remembered_backend, without_credentials
from engine.state_files import state_file

EMULATOR_CREDENTIALS = (
    "MAILJET_API_KEY",
    "MAILJET_API_SECRET",
    "MAILJET_INBOUND_SECRET",
    "CLOUDFLARE_API_TOKEN",
    "AGENTMAIL_GATEWAY_ROOTS",
)

_ASSIGNMENT = re.compile(r"\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)=(.*?)\s*")


# Commands on a stack whose secrets are read or written. Any other goes on without a passphrase.
_STACK_COMMANDS = frozenset({"init", "new", "create", "output", "import", "export", "change-secrets-provider"})


@dataclass(frozen=True, kw_only=True)
class Backend:
    """Where the states lie; `because` says who chose it. The CLI knows of a login itself: that is not `handed_on`."""

    url: str
    because: str
    handed_on: bool = True

    def __str__(self) -> str:
        return (
            f"{without_credentials(self.url)} ({self.because})"
            if self.url
            else f"the backend of the CLI ({self.because})"
        )


@dataclass(frozen=True, kw_only=True)
class CliEnvironment:
    """Variables for the CLI.

    `embedded` says whether they lead to the clone's own file backend, `on_loopback` whether every stack that the
    command can touch talks to this machine alone; `refused` is what keeps the command from being run.
    """

    variables: dict[str, str]
    embedded: bool
    on_loopback: bool
    backend: Backend
    meant: Meant
    refused: EngineError | None = None


def cli_environment(layout: Layout, environment: Mapping[str, str], arguments: Sequence[str]) -> CliEnvironment:
    """What the CLI runs with: what the user set wins everywhere. Raises BackendFileError."""
    variables = dict(environment)
    variables["PATH"] = _with_first(layout.venv / "bin", environment.get("PATH", ""))
    variables["PULUMI_HOME"] = str(layout.home)
    variables.setdefault("PULUMI_SKIP_UPDATE_CHECK", "true")
    # The plugins in PULUMI_HOME belong to whichever clone starts the CLI, also when clones share a home.
    variables["AGENTMAIL_ENGINE_ROOT"] = str(layout.root)
    if asks_for_debug_messages(arguments):
        variables["AGENTMAIL_ENGINE_DEBUG"] = "1"

    touched = meant(layout, environment, arguments)
    if len(touched.stacks) == 1:
        # For whoever proposes a command in this run: the program, its providers, the plugins.
        variables["AGENTMAIL_STACK"] = touched.stacks[0].short_name
    backend = _backend(layout, environment, arguments, touched)
    embedded = _same_folder(backend.url, layout.backend_url)
    if embedded or backend.handed_on:
        variables["PULUMI_BACKEND_URL"] = layout.backend_url if embedded else backend.url
    for name, value in _backend_manners(backend.url, environment).items():
        variables.setdefault(name, value)
    refused: EngineError | None = None
    off_loopback = touched.off_loopback()
    if embedded and not off_loopback:
        if not own_passphrase(environment):
            variables["PULUMI_CONFIG_PASSPHRASE"] = LOOPBACK_PASSPHRASE
        for name, value in emulator_credentials(layout.credentials).items():
            variables.setdefault(name, value)
    elif off_loopback and _reads_secrets(arguments) and not _has_provider(arguments, touched):
        refused = _refusal(environment, arguments, touched, off_loopback, embedded=embedded, backend=backend)
        if refused is not None:
            refused = _unreadable(touched) or refused
        if embedded and _changes_provider(arguments) and not own_passphrase(environment):
            # The way out of the public passphrase needs it once; the CLI asks for the new one itself.
            refused = None
            variables["PULUMI_CONFIG_PASSPHRASE"] = LOOPBACK_PASSPHRASE
    refused = _unusable_state(arguments, touched, backend) or refused
    return CliEnvironment(
        variables=variables,
        embedded=embedded,
        on_loopback=not off_loopback,
        backend=backend,
        meant=touched,
        refused=refused,
    )


_COMPRESSION = tuple(
    f"PULUMI_{name}_{kind}" for name in ("DIY_BACKEND", "SELF_MANAGED_STATE") for kind in ("GZIP", "ZSTD")
)


def _backend_manners(url: str, environment: Mapping[str, str]) -> dict[str, str]:
    """What spares a backend behind a network, and who reads, where nobody has said otherwise.

    The whole state is written after every step: compressed it is a fraction (docs/decisions/141). A folder stays as it
    is, since `./mail state restore` and people read it. And a store that speaks S3 but knows no checksums is no reason
    for two warnings in every command.
    """
    manners: dict[str, str] = {}
    if re.match(r"(?:s3|gs|azblob|postgres)://", url) and not any(environment.get(name) for name in _COMPRESSION):
        manners["PULUMI_DIY_BACKEND_GZIP"] = "true"
    if re.match(r"s3://[^#]*[?&]endpoint=", url):
        manners["AWS_RESPONSE_CHECKSUM_VALIDATION"] = "when_required"
    return manners


def _unusable_state(arguments: Sequence[str], touched: Meant, backend: Backend) -> EngineError | None:
    """A stack that the backend does not have, or whose state no command can read, where the backend is a folder."""
    if len(touched.stacks) != 1 or not (_needs_state(arguments) or _reads_state(arguments)):
        return None
    stack = touched.stacks[0]
    state = state_file(backend.url, touched.project, stack.name)
    if state is None:
        return None
    if _needs_state(arguments) and not state.exists:
        return StackMissingError(stack.short_name, str(backend), has_file=stack.path.is_file())
    return StateCutError(stack.short_name, state.path) if state.is_cut else None


def _needs_state(arguments: Sequence[str]) -> bool:
    """Whether the command is about a stack that must be there; `up` and `config set` offer to make one."""
    spoken = words(arguments)
    command, below = (spoken[0], spoken[1] if len(spoken) > 1 else "") if spoken else ("", "")
    if "--help" in arguments or "-h" in arguments:
        return False
    if command == "stack":
        return below in ("output", "export", "graph", "history", "rename", "change-secrets-provider")
    if command == "config":
        return below not in ("set", "set-all", "env")
    return command in ("preview", "pre", "destroy", "down", "dn", "refresh", "import", "state", "cancel")


def _reads_state(arguments: Sequence[str]) -> bool:
    """Whether the command looks into the state where there is one; those that only make or remove a stack do, too."""
    spoken = words(arguments)
    return runs_program(arguments) or (spoken[:1] == ["stack"] and spoken[1:2] in _STACK_LIFE)


_STACK_LIFE = (["init"], ["new"], ["select"], ["rm"], ["remove"], ["delete"])


def _refusal(
    environment: Mapping[str, str],
    arguments: Sequence[str],
    touched: Meant,
    reason: str,
    *,
    embedded: bool,
    backend: Backend,
) -> EngineError | None:
    """What keeps a stack that leaves this machine from a passphrase that everybody knows."""
    name = touched.stacks[0].short_name if touched.stacks else ""
    if embedded and not own_passphrase(environment):
        return NoOwnPassphraseError(name, reason) if name else NoStackNamedError(words(arguments))
    keeps_secrets = backend.url.startswith("https://") or not backend.url
    if gives_public_passphrase(environment) and not keeps_secrets and not _changes_provider(arguments):
        return PublicPassphraseGivenError(name, reason)
    return None


def _unreadable(touched: Meant) -> EngineError | None:
    """A file that is no YAML says nothing of its stack: that is told, and not what follows from it."""
    found = ((stack.path, stack.broken()) for stack in touched.stacks)
    return next((StackFileError(path, problem) for path, problem in found if problem), None)


def _reads_secrets(arguments: Sequence[str]) -> bool:
    """Whether the command encrypts or decrypts: secrets of a configuration, of a state."""
    spoken = words(arguments)
    command, below = (spoken[0], spoken[1] if len(spoken) > 1 else "") if spoken else ("", "")
    if "--help" in arguments or "-h" in arguments:
        return False
    if command == "stack":
        creates = below == "select" and ("--create" in arguments or bool(values(arguments, "--create", "c")))
        return below in _STACK_COMMANDS or creates or "--show-secrets" in arguments
    if command == "config":
        secret = any(word.partition("=")[0] in ("--secret", "--show-secrets") for word in arguments)
        return secret or below in ("set-all", "cp", "copy")
    return command == "state" or runs_program(arguments)


def _changes_provider(arguments: Sequence[str]) -> bool:
    return words(arguments)[:2] == ["stack", "change-secrets-provider"]


def _has_provider(arguments: Sequence[str], touched: Meant) -> bool:
    """Whether something other than a passphrase encrypts."""
    if secrets_provider(arguments) and not _changes_provider(arguments):
        return True
    return bool(touched.stacks) and all(stack.has_own_provider for stack in touched.stacks)


def _with_first(directory: Path, path: str) -> str:
    rest = [entry for entry in path.split(":") if entry and entry != str(directory)]
    return ":".join([str(directory), *rest])


def _backend(layout: Layout, environment: Mapping[str, str], arguments: Sequence[str], touched: Meant) -> Backend:
    named = environment.get("PULUMI_BACKEND_URL")
    if named:
        return Backend(url=named, because="PULUMI_BACKEND_URL names it")
    if command_of(arguments) in ("login", "logout"):
        return Backend(url="", because="the command chooses it", handed_on=False)
    remembered = remembered_backend(touched.stacks)
    if remembered is not None:
        url, file = remembered
        return Backend(url=url, because=f"{file.name} names it")
    logged_in = _logged_in_at(layout.home)
    if logged_in is not None:
        return Backend(url=logged_in, because="a login of the Pulumi CLI chose it", handed_on=False)
    return Backend(url=layout.backend_url, because="this clone's own")


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
