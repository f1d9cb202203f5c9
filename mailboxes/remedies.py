"""Every command that an error, a finding or a page proposes, rendered in one place so that each can be pasted.

A command that belongs to a stack always names it: without `--stack` a key would go into whichever stack is selected.
Where the caller does not know which (a client of Mailjet's, the validation of one value), it is the stack that this
process is about: `./mail` and the launcher say so in AGENTMAIL_STACK. `tests/unit/commands/test_hints.py` finds commands
that are written elsewhere, `tests/e2e/test_docs.py` asks the real engine whether it has them.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable

PROGRAM = "./mail"
KEY, VALUE, STACK = "KEY", "VALUE", "STACK"
STACK_VARIABLE = "AGENTMAIL_STACK"


def mail(*words: str) -> str:
    """`./mail WORDS`, quoted for a shell."""
    return f"{PROGRAM} {shlex.join(words)}"


def _encrypted_with(secrets_provider: str) -> list[str]:
    return ["--secrets-provider", secrets_provider] if secrets_provider else []


def _named(stack: str) -> str:
    """The stack, else the one that this process is about; the word STACK where nobody knows, as in the help."""
    return stack or os.environ.get(STACK_VARIABLE) or STACK


def _of(stack: str) -> tuple[str, str]:
    return "--stack", _named(stack)


# -- a stack's configuration -------------------------------------------------------------------------------------------


def set_value(key: str, value: str = VALUE, *, stack: str = "", path: bool = False) -> str:
    """Sets a key of the configuration; `path`: the key leads into a list, such as `populations[0].file`."""
    return mail("pulumi", "config", "set", *_of(stack), *(["--path"] if path else []), key, value)


def set_secret(key: str, *, stack: str = "") -> str:
    """Stores a secret, which is asked for: an argument would show in the list of processes."""
    return mail("pulumi", "config", "set", *_of(stack), "--secret", key)


def copy_value(key: str, to: str, *, stack: str = "") -> str:
    """Copies a key, a secret encrypted anew, into another stack's configuration."""
    return mail("pulumi", "config", "cp", *_of(stack), "--dest", to, key)


def remove_value(key: str, *, stack: str = "") -> str:
    """Takes a key out of the configuration."""
    return mail("pulumi", "config", "rm", *_of(stack), key)


# -- a stack's life ----------------------------------------------------------------------------------------------------


def preview(stack: str = "") -> str:
    """Shows what an up would change."""
    return mail("preview", _named(stack))


def apply(stack: str = "", *, refresh: bool = False, yes: bool = False, plan: str = "") -> str:
    """Shows it, asks and does it; `refresh`: after a look at what the services really have; `plan`: only what it says."""
    options = ["--refresh"] * refresh + ["--yes"] * yes + ["--plan", plan] * bool(plan)
    return mail("apply", _named(stack), *options)


def save_plan(stack: str = "", file: str = "plan.json") -> str:
    """Shows what an up would change and keeps it in a file, for `apply --plan`."""
    return mail("preview", _named(stack), "--save", file)


def destroy(stack: str = "", *, confirmed: bool = False) -> str:
    """Takes everything away, after a question."""
    return mail("destroy", _named(stack), *(["--confirm", _named(stack)] if confirmed else []))


def refresh(stack: str = "") -> str:
    """Tells the state what the services really have."""
    return mail("pulumi", "refresh", *_of(stack))


def cancel(stack: str = "") -> str:
    """Lifts the lock of a run that was killed."""
    return mail("pulumi", "cancel", *_of(stack))


def forget_resource(urn: str, stack: str = "") -> str:
    """Takes a resource out of the state, and whatever depends on it; what they stand for is not touched."""
    return mail("pulumi", "state", "delete", urn, *_of(stack), "--target-dependents", "--force", "--yes")


def remove_stack(stack: str = "") -> str:
    """Removes a stack that holds nothing."""
    return mail("pulumi", "stack", "rm", _named(stack))


def doctor(stack: str = "", *options: str) -> str:
    """Looks at everything."""
    return mail("doctor", _named(stack), *options)


def adopt(stack: str = "", *options: str) -> str:
    """Takes existing records into the state."""
    return mail("adopt", _named(stack), *options)


def check_environment(name: str = "") -> str:
    """Looks whether an environment can be brought up."""
    return mail("env", "check", _named(name))


def new_environment(name: str = "", *, secrets_provider: str = "") -> str:
    """Makes an environment; `secrets_provider`: the URL of what its secrets are encrypted with, where no passphrase is."""
    return mail("env", "new", _named(name), *_encrypted_with(secrets_provider))


def new_root(stack: str) -> str:
    """Makes a root secret of the agents' passwords, and stores it in front of the one before."""
    return mail("gateway", "rotate", *_of(stack))


def change_passphrase(stack: str = "") -> str:
    """Encrypts a stack's secrets anew, with a passphrase that is asked for."""
    return mail("pulumi", "stack", "change-secrets-provider", "passphrase", *_of(stack))


def make_stack(stack: str = "", *, secrets_provider: str = "") -> str:
    """Makes an empty stack in its backend: for a state that is gone, or a file that no stack has been made with."""
    return mail("pulumi", "stack", "init", _named(stack), *_encrypted_with(secrets_provider))


def import_state(stack: str, file: str) -> str:
    """Takes a state from a file."""
    return mail("pulumi", "stack", "import", "--file", file, *_of(stack))


def preview_json(stack: str = "") -> str:
    """What the engine says of a preview, for programs."""
    return mail("pulumi", "preview", "--json", *_of(stack))


def restore_state(stack: str = "", *options: str) -> str:
    """Brings the last whole copy of a state back."""
    return mail("state", "restore", _named(stack), *options)


def clear_pending(stack: str = "", *options: str) -> str:
    """Forgets creates that a killed run has left."""
    return mail("state", "clear-pending", _named(stack), *options)


# -- populations -------------------------------------------------------------------------------------------------------


def import_agents(export: str, file: str, *options: str) -> str:
    """Merges an export into a population file."""
    return mail("agents", "import", export, file, *options)


def split(stack: str = "", size: int = 10_000, *options: str) -> str:
    """Lays a stack's agents out over several stacks."""
    return mail("agents", "split", _named(stack), "--size", str(size), *options)


def list_agents(stack: str = "") -> str:
    """Every agent of a stack."""
    return mail("agents", "list", *_of(stack))


def pin(pins: Iterable[tuple[str, str]]) -> str:
    """Writes down where agents are; `pins`: agent id and local part. `mailboxes.pinning` carries it out."""
    return mail("agents", "pin", *(f"{agent}={local_part}" for agent, local_part in pins))


# -- the embedded default ----------------------------------------------------------------------------------------------


def up(stack: str = "") -> str:
    """Brings the embedded default up, or another stack on loopback."""
    return mail("up", *([stack] if stack else []))


def down(stack: str = "") -> str:
    """Takes it away."""
    return mail("down", *([stack] if stack else []))


def demo() -> str:
    """One agent mails another."""
    return mail("demo")


def messages() -> str:
    """The mails of the embedded default."""
    return mail("messages")


def send() -> str:
    """Sends one."""
    return mail("send")


def emulators(command: str, *options: str) -> str:
    """Starts, ends or shows the emulators."""
    return mail("emulators", command, *options)


def completion(shell: str) -> str:
    """A script for a shell to source."""
    return mail("completion", shell)
