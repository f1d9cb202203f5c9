"""Reading a `.env` file as docker compose does, but without interpolation: a `$` would mean another value there."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from commands.environments.errors import DotenvError

_LINE = re.compile(r"\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(.*?)\s*", re.DOTALL)
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", '"': '"', "\\": "\\", "$": "$"}


@dataclass(frozen=True)
class Dotenv:
    """The variables that have a value, and where each stands."""

    values: dict[str, str] = field(repr=False)
    lines: dict[str, int]


def read_dotenv(path: Path) -> Dotenv:
    """The file's variables; the last of several assignments counts. Raises DotenvError, which quotes no value."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise DotenvError(path, [f"cannot be read ({error.strerror})"]) from None
    except UnicodeDecodeError:
        raise DotenvError(path, ["is not UTF-8"]) from None
    values: dict[str, str] = {}
    lines: dict[str, int] = {}
    problems = []
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        match = _LINE.fullmatch(line)
        value = _value(match[2]) if match else None
        if match is None or value is None:
            problems.append(f"line {number} is no assignment")
        elif match[1] in values and not value:
            del values[match[1]]
        elif value:
            values[match[1]], lines[match[1]] = value, number
    if problems:
        raise DotenvError(path, problems)
    return Dotenv(values, lines)


def _value(text: str) -> str | None:
    """None for a quote that does not end."""
    if text.startswith("'"):
        match = re.fullmatch(r"'([^']*)'(?:\s+#.*)?", text)
        return match[1] if match else None
    if text.startswith('"'):
        match = re.fullmatch(r'"((?:[^"\\]|\\.)*)"(?:\s+#.*)?', text)
        return re.sub(r"\\(.)", lambda escape: _ESCAPES.get(escape[1], escape[0]), match[1]) if match else None
    # A comment begins with white space and a hash.
    return re.split(r"(?:^|\s+)#", text, maxsplit=1)[0].strip()
