"""Every command that an error, a finding or a page proposes, rendered in one place so that each can be pasted.

A command that belongs to a stack always names it: without `--stack` a key would go into whichever stack is selected.
Pure text; what may not import this (zone/, emulators/, engine/, azmail/) is handed the command, or writes it out in
this very form. No test runs them all yet, and some places still write older forms by hand.
"""

from __future__ import annotations

import shlex

PROGRAM = "./mail"
KEY, VALUE, STACK = "KEY", "VALUE", "STACK"


def mail(*words: str) -> str:
    """`./mail WORDS`, quoted for a shell."""
    return f"{PROGRAM} {shlex.join(words)}"


# -- a stack's configuration -------------------------------------------------------------------------------------------


def set_value(key: str, value: str = VALUE, *, stack: str, path: bool = False) -> str:
    """Sets a key of the configuration; `path`: the key leads into a list, such as `populations[0].file`."""
    return mail("pulumi", "config", "set", *_of(stack), *(["--path"] if path else []), key, value)


def set_secret(key: str, *, stack: str) -> str:
    """Stores a secret, which is asked for: an argument would show in the list of processes."""
    return mail("pulumi", "config", "set", *_of(stack), "--secret", key)


def remove_value(key: str, *, stack: str) -> str:
    """Takes a key out of the configuration."""
    return mail("pulumi", "config", "rm", *_of(stack), key)


def _of(stack: str) -> tuple[str, str]:
    """Validation of a single value does not know its stack; the word STACK then stands there, as in the help."""
    return "--stack", stack or STACK


# -- a stack's life ----------------------------------------------------------------------------------------------------


def preview(stack: str) -> str:
    """Shows what an up would change."""
    return mail("preview", stack or STACK)


def apply(stack: str, *, refresh: bool = False) -> str:
    """Shows it, asks and does it; `refresh`: after a look at what the services really have."""
    return mail("apply", stack or STACK, *(["--refresh"] if refresh else []))


def destroy(stack: str) -> str:
    """Takes everything away, after a question."""
    return mail("destroy", stack or STACK)


def refresh(stack: str) -> str:
    """Tells the state what the services really have."""
    return mail("pulumi", "refresh", *_of(stack))


def remove_stack(stack: str) -> str:
    """Removes a stack that holds nothing."""
    return mail("pulumi", "stack", "rm", stack or STACK)


def doctor(stack: str) -> str:
    """Looks at everything."""
    return mail("doctor", stack or STACK)


def adopt(stack: str, *options: str) -> str:
    """Takes existing records into the state."""
    return mail("adopt", stack or STACK, *options)


def check_environment(name: str) -> str:
    """Looks whether an environment can be brought up."""
    return mail("env", "check", name or STACK)


def new_environment(name: str) -> str:
    """Makes an environment."""
    return mail("env", "new", name)


def change_passphrase(stack: str) -> str:
    """Encrypts a stack's secrets anew, with a passphrase that is asked for."""
    return mail("pulumi", "stack", "change-secrets-provider", "passphrase", *_of(stack))


def make_stack(stack: str) -> str:
    """Makes an empty stack in its backend, for a state that is gone."""
    return mail("pulumi", "stack", "init", stack or STACK)


def import_state(stack: str, file: str) -> str:
    """Takes a state from a file."""
    return mail("pulumi", "stack", "import", "--file", file, *_of(stack))


def restore_state(stack: str, *options: str) -> str:
    """Brings the last whole copy of a state back."""
    return mail("state", "restore", stack or STACK, *options)


def clear_pending(stack: str, *options: str) -> str:
    """Forgets creates that a killed run has left."""
    return mail("state", "clear-pending", stack or STACK, *options)


# -- populations and the embedded default ------------------------------------------------------------------------------


def import_agents(export: str, file: str, *options: str) -> str:
    """Merges an export into a population file."""
    return mail("agents", "import", export, file, *options)


def up() -> str:
    """Brings the embedded default up."""
    return mail("up")


def emulators(command: str, *options: str) -> str:
    """Starts, ends or shows the emulators."""
    return mail("emulators", command, *options)
