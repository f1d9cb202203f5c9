"""How a person is asked: by questionary on a terminal that can redraw a line, by plain lines on any other."""

from __future__ import annotations

import getpass
import os
import sys
from collections.abc import Sequence
from typing import Protocol, TypeVar

from commands.cli.console import fitting

T = TypeVar("T")


class Asker(Protocol):
    """Somebody who can be asked."""

    def ask(self, prompt: str, default: str = "") -> str:
        """One line; the default for an empty one."""

    def hidden(self, prompt: str) -> str:
        """One line that does not show while it is typed."""

    def choose(self, prompt: str, choices: Sequence[tuple[str, T]]) -> T:
        """One of the values, each shown by its text; the first is the one that is offered."""

    def say(self, sentence: str) -> None:
        """What was wrong with an answer."""


def person() -> Asker | None:
    """Whoever sits at the terminal; None for a pipe, which nobody can ask."""
    if not sys.stdin.isatty():
        return None
    return Prompts() if sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb" else Lines()


class Lines:
    """Line by line, without a single escape code."""

    def ask(self, prompt: str, default: str = "") -> str:
        shown = f"{prompt} [{default}]: " if default else f"{prompt}: "
        return input(shown).strip() or default

    def hidden(self, prompt: str) -> str:
        return getpass.getpass(f"{prompt}: ").strip()

    def choose(self, prompt: str, choices: Sequence[tuple[str, T]]) -> T:
        for number, (text, _) in enumerate(choices, start=1):
            print(f"  {number}. {text}")
        while True:
            answer = self.ask(f"{prompt}, by its number", "1")
            if answer.isdecimal() and 1 <= int(answer) <= len(choices):
                return choices[int(answer) - 1][1]
            self.say(f"{answer!r} is none of them; expected a number from 1 to {len(choices)}.")

    def say(self, sentence: str) -> None:
        print(fitting(sentence, sys.stdout))


class Prompts:
    """With a list to move in. Ctrl-C and Ctrl-D end the command, as they do everywhere else."""

    def ask(self, prompt: str, default: str = "") -> str:
        import questionary

        return _answered(questionary.text(prompt, default=default, qmark="?")).strip() or default

    def hidden(self, prompt: str) -> str:
        import questionary

        return _answered(questionary.password(prompt, qmark="?")).strip()

    def choose(self, prompt: str, choices: Sequence[tuple[str, T]]) -> T:
        import questionary

        shown = [questionary.Choice(text, value=str(number)) for number, (text, _) in enumerate(choices)]
        return choices[int(_answered(questionary.select(prompt, shown, qmark="?")))][1]

    def say(self, sentence: str) -> None:
        print(fitting(sentence, sys.stdout))


class _Question(Protocol):
    def unsafe_ask(self) -> object: ...


def _answered(question: _Question) -> str:
    try:
        return str(question.unsafe_ask())
    except EOFError:
        raise KeyboardInterrupt from None
