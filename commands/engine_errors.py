"""What the engine says when a command cannot even begin, in a sentence with what mends it."""

from __future__ import annotations

import re
import shlex
import socket
from collections.abc import Callable, Sequence
from datetime import datetime

from engine.stacks import without_credentials
from mailboxes import remedies

_Rule = tuple[re.Pattern[str], Callable[[re.Match[str], str, str], str]]


def explained(said: str, *, stack: str, backend: str) -> str | None:
    """The sentence for what the engine `said` of a stack in a backend; None for what speaks for itself."""
    for pattern, sentence in _RULES:
        match = pattern.search(said)
        if match:
            return sentence(match, stack or "STACK", backend or "the backend")
    return None


_LOCK = re.compile(r"created by (\S+)@(\S+) \(pid (\d+)\) at (\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:Z|[+-]\d\d:\d\d))")


_COARSE_SECONDS = 2
"""What both clocks may be off: a lock names whole seconds, and so does `ps`."""


def locked(said: str, *, stack: str) -> str | None:
    """Who holds the stack and what to do, from the engine's refusal of a second run; None where that is not what it said.

    A backend that is no service knows a run by a file alone, which a run that was killed leaves behind.
    """
    if "the stack is currently locked by" not in said:
        return None
    holders = [_holder(*found) for found in _LOCK.findall(said)] or ["a run"]
    return (
        f"{stack or 'the stack'!r} is locked by {' and '.join(holders)}; wait until that run has ended, or, where it is dead, "
        f"take its lock away with: {remedies.cancel(stack)}"
    )


def _holder(user: str, host: str, pid: str, since: str) -> str:
    """`ada@box (process 4711) since …`, and on this machine also whether it still runs."""
    known = ""
    if host == socket.gethostname():
        known = (
            ", which runs on this machine"
            if _runs(int(pid), since)
            else ", which is dead: this machine runs no such process"
        )
    return f"{user}@{host} (process {pid}) since {since}{known}"


def _runs(pid: int, since: str) -> bool:
    """Whether the process that was there at the moment `since` (RFC 3339) is; its number may be another's by now."""
    from emulators.state_folder import Process  # here, since a lock is rare and every command would import it

    process = Process.of(pid)
    return process is not None and process.began() <= datetime.fromisoformat(since).timestamp() + _COARSE_SECONDS


def _unknown_stack(match: re.Match[str], stack: str, backend: str) -> str:
    name = match[1]
    return (
        f"no stack named {name!r} found in {backend}; if its state lies elsewhere, say where with: echo URL > "
        f"Pulumi.{stack}.backend (or export PULUMI_BACKEND_URL=URL), if there is none yet, make it with: "
        f"{remedies.new_environment(stack)}"
    )


def _wrong_passphrase(_match: re.Match[str], stack: str, _backend: str) -> str:
    return (
        f"the passphrase is not the one that the secrets of {stack!r} are encrypted with; expected that of Pulumi.{stack}"
        ".yaml; name its file with: export PULUMI_CONFIG_PASSPHRASE_FILE=FILE (and unset PULUMI_CONFIG_PASSPHRASE)"
    )


def _no_passphrase(_match: re.Match[str], stack: str, _backend: str) -> str:
    return (
        f"no passphrase is set for the secrets of {stack!r}; expected that of Pulumi.{stack}.yaml; name its file with: "
        "export PULUMI_CONFIG_PASSPHRASE_FILE=FILE"
    )


def _no_passphrase_file(match: re.Match[str], stack: str, _backend: str) -> str:
    return (
        f"PULUMI_CONFIG_PASSPHRASE_FILE names {match[1]}, which cannot be read ({match[2]}); expected the file with the passphrase "
        f"of Pulumi.{stack}.yaml; name it with: export PULUMI_CONFIG_PASSPHRASE_FILE=FILE"
    )


def _no_backend(match: re.Match[str], stack: str, _backend: str) -> str:
    url, said = without_credentials(match[1]), match[2].rpartition(": ")[2]
    if url.startswith("file://"):
        folder = url.removeprefix("file://").partition("?")[0]
        return (
            f"the backend {url} cannot be opened ({said}); expected a folder that is there; make it with: mkdir -p "
            f"{shlex.quote(folder)}"
        )
    if url.startswith("postgres://"):
        return (
            f"the backend {url} cannot be opened ({said}); expected a PostgreSQL that answers and lets its user in; give the "
            "password with: read -rs PGPASSWORD && export PGPASSWORD"
        )
    return (
        f"the backend {url} cannot be opened ({said}); expected one such as s3://BUCKET?region=eu-west-1; write it with: "
        f"echo s3://BUCKET > Pulumi.{stack}.backend (or export PULUMI_BACKEND_URL=URL)"
    )


def _no_bucket(match: re.Match[str], stack: str, backend: str) -> str:
    said = match[1]
    if refusal := _refusal(said, _OF_BUCKETS):
        return f"the backend {backend} {refusal}".replace("STACK", stack)
    return f"the backend {backend} cannot be read ({said.rpartition(': ')[2]}); expected {_A_BUCKET}".replace(
        "STACK", stack
    )


def _refusal(said: str, known: Sequence[tuple[str, str, str]]) -> str:
    """What was found and what is expected, by the first row whose signs are in what a cloud `said`; empty where none is."""
    return next((f"{found}; expected {expected}" for signs, found, expected in known if re.search(signs, said)), "")


def _no_key(match: re.Match[str], stack: str, _backend: str) -> str:
    new, said = match[1], match[2]
    key = f"the key for the secrets of {stack!r}"
    if refusal := _refusal(said, _OF_KEYS):
        return f"{key} {refusal}"
    reason = said.rpartition(": ")[2].strip(" .")
    if new:
        again = remedies.new_environment(stack, secrets_provider="URL")
        return f"{key} cannot be used ({reason}); expected one that answers; name it with: {again}"
    return (
        f"{key} cannot be used ({reason}); expected the one that encrypted them, to answer whoever runs this; its name is told by: grep "
        f"secretsprovider Pulumi.{stack}.yaml"
    )


_NO_CREDENTIALS = r"get credentials|NoCredentialProviders|no EC2 IMDS role"
_AWS_CREDENTIALS = "export AWS_ACCESS_KEY_ID=ID && read -rs AWS_SECRET_ACCESS_KEY && export AWS_SECRET_ACCESS_KEY"
_OF_KEYS = (
    (
        _NO_CREDENTIALS,
        "is asked without credentials",
        f"ones that may use it; give them with: {_AWS_CREDENTIALS}",
    ),
    (
        r"AccessDenied|not authorized|UnrecognizedClient|InvalidSignature|ExpiredToken|security token",
        "refuses the credentials",
        f"ones that may decrypt and encrypt with it (kms:Decrypt, kms:Encrypt); give them with: {_AWS_CREDENTIALS}",
    ),
)


_A_BUCKET = "a bucket that answers; name another with: echo s3://BUCKET?region=eu-west-1 > Pulumi.STACK.backend"
_OF_BUCKETS = (
    (
        _NO_CREDENTIALS,
        "is asked without credentials",
        f"a key of its own; give it with: {_AWS_CREDENTIALS}",
    ),
    (
        r"InvalidAccessKeyId|SignatureDoesNotMatch|AccessDenied|StatusCode: 403",
        "refuses the credentials",
        f"ones that may list, read, write and delete there; give them with: {_AWS_CREDENTIALS}",
    ),
    (
        r"NoSuchBucket",
        "has no such bucket",
        "one that is there; name it with: echo s3://BUCKET?region=eu-west-1 > Pulumi.STACK.backend",
    ),
)


def silent_sentence(backend: str) -> str:
    """Of one that takes connections and does not answer."""
    return (
        f"the backend {backend} does not answer; expected one that does, so look whether its machine, or a proxy before it, is "
        "frozen, then run this again"
    )


def _no_yaml(match: re.Match[str], stack: str, _backend: str) -> str:
    return (
        f"Pulumi.{stack}.yaml is no valid YAML ({match[1].strip()}); correct that line, or see what was changed with: git "
        f"diff Pulumi.{stack}.yaml"
    )


def _wrong_type(match: re.Match[str], stack: str, _backend: str) -> str:
    key, kind = match[1].rpartition(":")[2], match[2]
    # `config set KEY '[]'` stores a text, and would be refused again.
    if kind.startswith("array"):
        again = remedies.set_value(f"{key}[0]{'.NAME' if 'object' in kind else ''}", stack=stack, path=True)
        way = f"{remedies.remove_value(key, stack=stack)} && {again} (or write the list into the file)"
    else:
        way = remedies.set_value(key, stack=stack)
    return (
        f"{match[1]} in Pulumi.{stack}.yaml has another type; expected {kind}, as Pulumi.yaml says; set it with: {way}"
    )


def _cut_state(_match: re.Match[str], stack: str, backend: str) -> str:
    return (
        f"the state of {stack!r} in {backend} was cut off, as by a full disk; make room, then bring back the last whole "
        f"state with: {remedies.restore_state(stack)}"
    )


_RULES: list[_Rule] = [
    # Not the launcher's own sentence, which begins alike and knows more.
    (re.compile(r"no stack named '([^']+)' found(?! in )"), _unknown_stack),
    (re.compile(r"incorrect passphrase"), _wrong_passphrase),
    (re.compile(r"passphrase must be set with PULUMI_CONFIG_PASSPHRASE"), _no_passphrase),
    (re.compile(r"unable to read PULUMI_CONFIG_PASSPHRASE_FILE: open ([^\n]+): ([^\n:]+)"), _no_passphrase_file),
    (re.compile(r'unable to open (?:state directory|state database|bucket) "([^"]*)": ([^\n]+)'), _no_backend),
    (re.compile(r'blob \(key "[^"]*"\) \(code=\w+\): ([^\n]+)'), _no_bucket),
    (re.compile(r"(for new stack: )?secrets \(code=\w+\): ([^\n]+)"), _no_key),
    (re.compile(r"invalid YAML file: (?:yaml: )?([^\n]+)"), _no_yaml),
    (re.compile(r"configuration key '([^']+)' must be of type '([^']+)'"), _wrong_type),
    (re.compile(r"(?:unexpected end of JSON input|failed to load checkpoint)"), _cut_state),
]
