"""Reading the platform's `.env` file as docker compose does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from commands.environments.dotenv_text import DotenvSyntaxError, parse_dotenv
from commands.environments.errors import DotenvError


@dataclass(frozen=True)
class Dotenv:
    """The variables that have a value, and where each stands."""

    values: dict[str, str] = field(repr=False)
    lines: dict[str, int]
    unset: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """Per variable those that its value names and that nobody has set."""


def read_dotenv(path: Path, environment: Mapping[str, str]) -> Dotenv:
    """The file's variables; the last of several assignments counts. `$NAME` is looked up in `environment`, then in the
    lines above. Raises DotenvError, which quotes no value."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise DotenvError(path, [f"cannot be read ({error.strerror})"]) from None
    except UnicodeDecodeError:
        raise DotenvError(path, ["is not UTF-8"]) from None
    try:
        found = parse_dotenv(text, environment)
    except DotenvSyntaxError as error:
        raise DotenvError(path, [str(error)]) from None
    values = {name: value for name, value in found.values.items() if value and not name[:1].isdigit()}
    return Dotenv(
        values,
        {name: found.lines[name] for name in values},
        {name: frozenset(unset) for name, unset in found.unset.items()},
    )
