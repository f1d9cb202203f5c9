"""Every command that the code and the documentation propose: where it stands, and whether it is one.

`said` are the texts that a program may print; `written` is what only a reader of source or documentation sees.
"""

from __future__ import annotations

import ast
import inspect
import re
import shlex
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from typer.core import TyperGroup
from typer.main import get_command

from commands.cli.app import app
from mailboxes import remedies

ROOT = Path(__file__).parents[3]
PROGRAM = ("__main__.py", "clients", "commands", "components", "mailboxes", "providers", "settings", "zone")
FREE = ("azmail", "emulators", "engine")
"""Rooms that import nothing of the program: what they propose is written out there, whole and in backquotes or last."""
RENDERER = "mailboxes/remedies.py"
OLD = re.compile(
    r"\./engine/pulumi|engine/pulumi [a-z]|(?<!-)\bpython3? -m (?!tests\b|docs\b|pip\b|uv\b)|"
    r"(?<!mail )(?<!`\./mail )\bpulumi (?:up|preview|destroy|refresh|config|stack|cancel|state|import|login|new|plugin|install) ?"
)
"""Commands as they were before there was one command line. `python -m tests.…` and `docs.…` are a contributor's."""
PUT_IN = "{}"
"""Stands for what an f-string puts in."""


@dataclass(frozen=True)
class Text:
    """A piece of text and its place."""

    where: str
    text: str


@cache
def tracked(*patterns: str) -> tuple[Path, ...]:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", *patterns],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return tuple(path for line in sorted(set(listed.stdout.splitlines())) if (path := ROOT / line).is_file())


def _in(rooms: tuple[str, ...]) -> Iterator[Path]:
    for path in tracked("*.py"):
        if path.relative_to(ROOT).parts[0] in rooms:
            yield path


@cache
def _texts(path: Path) -> tuple[tuple[Text, ...], tuple[Text, ...]]:
    """What the file may say, and its documentation: strings that are statements, and comments."""
    source, name = path.read_text(encoding="utf-8"), path.relative_to(ROOT)
    nodes = list(ast.walk(ast.parse(source)))
    spoken: list[Text] = []
    documentation = [
        Text(f"{name}:{number}", "#" + line.partition("#")[2])
        for number, line in enumerate(source.splitlines(), start=1)
        if re.search(r"^\s*#|  # ", line)
    ]
    left_out = {id(part) for node in nodes if isinstance(node, ast.JoinedStr) for part in node.values}
    for node in nodes:
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            left_out.add(id(node.value))
            documentation.append(Text(f"{name}:{node.lineno}", node.value.value))
    for node in nodes:
        if isinstance(node, ast.JoinedStr):
            parts = (str(part.value) if isinstance(part, ast.Constant) else PUT_IN for part in node.values)
            spoken.append(Text(f"{name}:{node.lineno}", "".join(parts)))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in left_out:
            spoken.append(Text(f"{name}:{node.lineno}", node.value))
    return tuple(spoken), tuple(documentation)


def said(*rooms: str) -> Iterator[Text]:
    """Every text of the code that is no documentation; whole, with `{}` for what is put in."""
    for path in _in(rooms):
        yield from _texts(path)[0]


def written() -> Iterator[Text]:
    """Docstrings and comments of the code."""
    for path in _in((*PROGRAM, *FREE)):
        yield from _texts(path)[1]


def read_by_people() -> Iterator[Text]:
    """Documentation, configuration, workflows: line by line. Decision records tell of their day."""
    patterns = ("*.md", "*.yml", "*.yaml", "*.toml", "Makefile", "mail", ".ci/*", "populations/*", ".github/*")
    for path in tracked(*patterns):
        name = path.relative_to(ROOT)
        if name.parts[:2] == ("docs", "decisions") or name.parts[0] == "tests":
            continue
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
            yield Text(f"{name}:{number}", line)


# -- commands in a text ------------------------------------------------------------------------------------------------


def commands(text: str) -> Iterator[str]:
    """Every `./mail …` in a text, as far as it goes: to the closing quote, else to the end of its part of the sentence."""
    for match in re.finditer(r"""(?P<before>[`'"(]?)\./mail\b""", text):
        rest = text[match.end() :].partition("\n")[0]
        if match["before"]:
            rest = rest.partition({"(": ")"}.get(match["before"], match["before"]))[0]
        else:
            rest = re.split(r"[;,:)](?:\s|$)|\.(?:\s|$)| \(| [|>&#]|\s{3,}|`| \d?>", rest, maxsplit=1)[0]
        if rest.strip("/ .…"):
            yield f"./mail{rest}".strip()


_FILLED = {"N": "1", "SECONDS": "1", "HOST:PORT": "127.0.0.1:1", "$ALLOWED": "1"}


def words(command: str) -> list[str]:
    """The command's words after `./mail`, a value for every placeholder that must be of a kind."""
    command = command.removesuffix("\\").partition(" | ")[0]
    found = shlex.split(re.sub(r"(?<= )…(?= |$)|ARGUMENTS|WORDS|COMMAND", "", command).replace(PUT_IN, "VALUE"))
    return [_FILLED.get(word, word) for word in found[1:]]


MENTIONED = ("MissingParameter", "NoArgsIsHelpError", "takes 1 to 1 arguments, found 0", "Exit: 0")
"""What a command that is only named, without what it is about, is refused with."""


@cache
def _app() -> TyperGroup:
    made = get_command(app)
    assert isinstance(made, TyperGroup)
    return made


def parse(command: str) -> None:
    """Raises what the command line raises where there is no such command, option or value."""
    spoken = words(command)
    current: Any = _app()
    context = current.make_context("./mail", list(spoken))
    while isinstance(current, TyperGroup):
        rest = [*context._protected_args, *context.args]
        name, current, rest = current.resolve_command(context, rest)
        context = current.make_context(name, rest, parent=context)
    if spoken[:1] == ["pulumi"]:
        check_pulumi(spoken[1:])


# -- the renderer ----------------------------------------------------------------------------------------------------

RENDERERS = {
    name: function
    for name, function in inspect.getmembers(remedies, inspect.isfunction)
    if function.__module__ == remedies.__name__ and not name.startswith("_") and name != "mail"
}

# -- Pulumi's own grammar ----------------------------------------------------------------------------------------------

GLOBAL = frozenset({"--non-interactive", "--color", "--cwd", "-C"})
WITHOUT_STACK = frozenset({"login", "logout", "plugin install", "stack ls"})
WITH_VALUE = frozenset({"--stack", "-s", "--file", "--color", "--cwd", "-C", "--secrets-provider", "--dest"})
RUN = frozenset({"--yes", "--skip-preview", "--suppress-outputs", "--refresh", "--json", "--non-interactive"})
GRAMMAR: dict[str, tuple[frozenset[str], int, int]] = {
    "about": (frozenset(), 0, 0),
    "cancel": (frozenset({"--yes"}), 0, 1),
    "config": (frozenset({"--show-secrets", "--json"}), 0, 0),
    "config cp": (frozenset({"--dest", "--path"}), 0, 1),
    "config get": (frozenset({"--json", "--path"}), 1, 1),
    "config rm": (frozenset({"--path"}), 1, 1),
    "config set": (frozenset({"--secret", "--path"}), 1, 2),
    "destroy": (RUN, 0, 1),
    "login": (frozenset({"--local"}), 0, 1),
    "logout": (frozenset(), 0, 1),
    "plugin install": (frozenset({"--reinstall"}), 0, 3),
    "preview": (RUN - {"--yes", "--skip-preview"}, 0, 1),
    "refresh": (RUN - {"--refresh"}, 0, 1),
    "stack": (frozenset({"--show-ids", "--show-urns"}), 0, 0),
    "stack change-secrets-provider": (frozenset(), 1, 1),
    "stack export": (frozenset({"--file"}), 0, 0),
    "stack history": (frozenset({"--output"}), 0, 0),
    "stack import": (frozenset({"--file", "--force"}), 0, 0),
    "stack init": (frozenset({"--secrets-provider", "--no-select"}), 0, 1),
    "stack ls": (frozenset({"--all", "--output"}), 0, 0),
    "stack output": (frozenset({"--json", "--show-secrets"}), 0, 1),
    "stack rename": (frozenset(), 1, 1),
    "stack rm": (frozenset({"--yes", "--force", "--preserve-config"}), 0, 1),
    "stack select": (frozenset({"--create"}), 0, 1),
    "state delete": (frozenset({"--yes", "--force", "--target-dependents"}), 0, 1),
    "state edit": (frozenset(), 0, 0),
    "state unprotect": (frozenset({"--yes", "--all"}), 0, 1),
    "up": (RUN, 0, 1),
}
"""Command -> its options as far as they are proposed, how many arguments it takes; `tests/e2e/test_docs.py` asks Pulumi."""


class GrammarError(Exception):
    """Pulumi has no such command, option or number of arguments."""


def check_pulumi(spoken: list[str]) -> None:
    """Raises GrammarError."""
    named = [word for word in spoken[:2] if not word.startswith("-")]
    command = next((text for text in (" ".join(named), *named[:1]) if text in GRAMMAR), None)
    if command is None:
        if spoken and spoken not in (["ARGS"], ["ARGS…"]):
            raise GrammarError(f"pulumi has no command {' '.join(named)!r}")
        return
    options, least, most = GRAMMAR[command]
    rest = iter(spoken[len(command.split()) :])
    count = 0
    for word in rest:
        if not word.startswith("-"):
            count += 1
            continue
        name = word.partition("=")[0]
        if name not in options | GLOBAL | {"--help"} and (name not in ("--stack", "-s") or command in WITHOUT_STACK):
            raise GrammarError(f"pulumi {command} has no option {name}")
        if name in WITH_VALUE and "=" not in word:
            next(rest, None)
    if not least <= count <= most:
        raise GrammarError(f"pulumi {command} takes {least} to {most} arguments, found {count}")
