"""What the arguments of a Pulumi command say, read so that nothing which it could mean is overlooked.

The launcher decides by them who gets a passphrase that everybody knows. It does not know every option of every Pulumi,
so where an argument can be read in two ways both readings count.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise

# Options whose value is an argument of its own: the global ones, and those that name a stack or a file.
_OPTIONS_WITH_VALUE = frozenset(
    {
        *("-C", "--cwd", "--color", "-v", "--verbose", "--profiling", "--tracing", "--otel-traces"),
        *("--memprofilerate", "-s", "--stack", "--config-file", "--config", "--secrets-provider"),
        *("-m", "--message", "--dest"),
    }
)
_BUNDLE_THAT_ENDS_IN_STACK = re.compile(r"-[A-Za-z]*s")
_VALUE_LETTERS = frozenset("Cvmptxo")
"""One-letter options whose value follows in the same argument: `-Cdir` names no `-i`."""


def command_of(arguments: Sequence[str]) -> str | None:
    """The CLI's command among its arguments, such as `login` in `-C DIR login URL`."""
    return next(iter(words(arguments)), None)


def words(arguments: Sequence[str]) -> list[str]:
    """The arguments that are neither an option nor the value of a known one: command, subcommand, names, values."""
    found: list[str] = []
    rest = iter(arguments)
    for argument in rest:
        if argument == "--":
            return [*found, *rest]
        if argument in _OPTIONS_WITH_VALUE or _BUNDLE_THAT_ENDS_IN_STACK.fullmatch(argument):
            next(rest, None)
        elif not argument.startswith("-") or argument == "-":
            found.append(argument)
    return found


def runs_program(arguments: Sequence[str]) -> bool:
    """Whether the command asks a resource plugin for anything."""
    return command_of(arguments) in _RUNNING


_RUNNING = frozenset({"up", "update", "preview", "pre", "destroy", "down", "dn", "refresh", "import", "watch"})


def names_directory(arguments: Sequence[str]) -> bool:
    """Whether the arguments name the project's directory themselves (`-C DIR`, `--cwd DIR`)."""
    return bool(values(arguments, "--cwd", "C"))


def values(arguments: Sequence[str], option: str, letter: str = "") -> list[str]:
    """Every value that `--option VALUE`, `--option=VALUE`, `-o VALUE`, `-oVALUE` or `-yoVALUE` gives."""
    return list(_values(list(arguments), option, letter))


def _values(arguments: list[str], option: str, letter: str) -> Iterator[str]:
    stop = arguments.index("--") if "--" in arguments else len(arguments)
    given = arguments[:stop]
    for place, argument in enumerate(given):
        following = given[place + 1] if place + 1 < len(given) else ""
        if argument == option:
            yield following
        elif argument.startswith(f"{option}="):
            yield argument.partition("=")[2]
        elif letter and (match := re.match(r"-(?!-)", argument)):
            inline = _after_letter(argument[match.end() :], letter)
            if inline is not None:
                yield inline or following


def _after_letter(bundle: str, letter: str) -> str | None:
    """What follows `letter` in a bundle of one-letter options; None where it is not among them."""
    for place, found in enumerate(bundle):
        if found == letter:
            return bundle[place + 1 :].removeprefix("=")
        if found in _VALUE_LETTERS or not found.isalpha():
            return None
    return None


def stacks_named(arguments: Sequence[str]) -> list[str]:
    """Every stack that the arguments name, in whatever way."""
    found = values(arguments, "--stack", "s") + values(arguments, "--dest")
    spoken = words(arguments)
    # Wherever it stands: what goes before it may be the value of an option that is not known here.
    for place, (word, following) in enumerate(pairwise(spoken)):
        if word == "stack" and following in _NAMING:
            found += _positional(arguments, spoken[place + 2 :])
        if word == "config" and following in ("cp", "copy"):
            found += values(arguments, "--dest", "d")
    return [name for name in dict.fromkeys(found) if name]


_NAMING = frozenset({"init", "new", "create", "select", "rm", "remove", "delete"})
"""Subcommands of `pulumi stack` that take the stack as a word of its own."""
_VALUES_OF_STACK_OPTIONS = ("--secrets-provider", "--stack", "--copy-config-from", "--teams", "--remote-config")


def _positional(arguments: Sequence[str], spoken: list[str]) -> list[str]:
    taken = [value for option in _VALUES_OF_STACK_OPTIONS for value in values(arguments, option)]
    return [word for word in spoken if word not in taken]


def secrets_provider(arguments: Sequence[str]) -> str:
    """The provider that the arguments name; empty for the passphrase, which is the CLI's default."""
    named = [value for value in values(arguments, "--secrets-provider") if value not in ("", "default", "passphrase")]
    spoken = words(arguments)
    if spoken[:2] == ["stack", "change-secrets-provider"]:
        named += [word for word in spoken[2:] if "://" in word]
    return named[-1] if named else ""


def asks_for_debug_messages(arguments: Sequence[str]) -> bool:
    """Whether somebody will see what a program says for debugging: `--debug`, `-d`, or a log of the engine's own."""
    given = any(value != "false" for value in values(arguments, "--debug", "d"))
    return runs_program(arguments) and (given or log_level(arguments) > 0)


def log_level(arguments: Sequence[str]) -> int:
    """How much the engine logs of its own (`-v=9`, `--verbose 9`); 0 without."""
    levels = [int(value) for value in values(arguments, "--verbose", "v") if value.isdigit()]
    return max(levels, default=0)
