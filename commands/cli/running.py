"""Runs the command line: an exit status for every end, a sentence for every error, no traceback for what is expected."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from enum import IntEnum
from io import TextIOWrapper
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typer.exceptions import TyperException

PROGRAM = "./mail"
COMPLETION = "_MAIL_COMPLETE"


class CommandExit(IntEnum):
    """What the caller learns. `docs/commands.md` has the same list."""

    FINE = 0
    FAILED = 1
    """Refused, failed, or something is wrong with what was looked at."""
    USAGE = 2
    """A command, option or value that does not exist; with `preview --drift`: there is drift."""
    INTERRUPTED = 130
    """By Ctrl-C or SIGTERM."""
    BROKEN_PIPE = 141


DRIFT = CommandExit.USAGE


def start(arguments: Sequence[str]) -> int:
    """`main` for a process of its own: signals, terminals without Unicode, readers that leave."""
    for stream in (sys.stdout, sys.stderr):
        # Names come in every script, terminals do not.
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        status = main(arguments)
        sys.stdout.flush()
    except BrokenPipeError:
        return _nobody_reads()
    except SystemExit as left:
        # Rich, which shows the help, meets it in its own way.
        if not isinstance(left.__context__, BrokenPipeError):
            raise
        return _nobody_reads()
    except KeyboardInterrupt:
        return _interrupted()
    return status


def _nobody_reads() -> CommandExit:
    """The reader has left (| head); nothing more can be said, also not by the interpreter at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return CommandExit.BROKEN_PIPE


def _interrupted() -> CommandExit:
    _say("Interrupted; run the command again to go on from here.")
    return CommandExit.INTERRUPTED


def main(arguments: Sequence[str]) -> int:
    """The exit status of `./mail ARGUMENTS`."""
    from typer import Abort
    from typer import Exit as Leave
    from typer.exceptions import TyperException

    from commands.cli.app import command_line
    from commands.signals import heard, terminable

    if COMPLETION in os.environ:
        # Asked by a shell: answers, from all commands, and exits. Typer knows the shells only where it makes their scripts, too.
        from typer._completion_classes import completion_init

        completion_init()
        command_line().main(list(arguments), prog_name=PROGRAM, complete_var=COMPLETION)
    command = command_line(arguments[0] if arguments else "")
    try:
        # Not `main`, which takes a reader that has left for a failure.
        with terminable(), heard(), _about_one_stack(), command.make_context(PROGRAM, list(arguments)) as context:
            status = command.invoke(context)
    except Leave as left:
        return left.exit_code
    except TyperException as error:
        _say(_one_sentence(error))
        return error.exit_code
    except (Abort, KeyboardInterrupt):
        return _interrupted()
    except BrokenPipeError:
        raise
    except Exception as error:
        from commands.cli.expected import is_expected, sentence

        if not is_expected(error):
            raise
        _say(sentence(error))
        return CommandExit.FAILED
    return status if isinstance(status, int) else CommandExit.FINE


@contextmanager
def _about_one_stack() -> Iterator[None]:
    """What the command's arguments say of its stack (commands/cli/options.py) holds for this command."""
    before = dict(os.environ)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _one_sentence(error: TyperException) -> str:
    """What was wrong with the arguments, and where to look."""
    message = " ".join(error.format_message().split())
    context = getattr(error, "ctx", None)
    path = getattr(context, "command_path", PROGRAM)
    stop = "" if message.endswith((".", "?")) else "."
    return f"{message}{stop} What there is: {path} --help"


def _say(text: str) -> None:
    from commands.cli.console import fitting

    print(fitting(text, sys.stderr), file=sys.stderr)
