"""The text of a `.env` file by docker compose's rules, whose reader is compose-go: names, quotes, comments, variables.

python-dotenv does not follow them: it takes no `NAME: value` and keeps `$NAME` and `$$` (decision record 117). What is
stricter here: a name that is empty is a problem. Results are held to those of compose-go 2.16 by recorded cases
(`tests/fixtures/dotenv.json`).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

_BLANK = "\t\v\f\r \x85\xa0"
_SPACE = (
    _BLANK + "\n\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000"
)
_NAME_PUNCTUATION = "_.-[]"
_EXPORT = re.compile(r"export(?=[\t\n\f\r ])")
_ESCAPE = re.compile(r'\\(?:[abcfnrtv$"\\]|0[0-9]{0,3})')
_ESCAPES = {
    "a": "\a",
    "b": "\b",
    "f": "\f",
    "n": "\n",
    "r": "\r",
    "t": "\t",
    "v": "\v",
    "\\": "\\",
    '"': '"',
    "$": "$$",
}
_VARIABLE = re.compile(
    r"\$(?:(?P<dollar>\$)|(?P<named>[_a-z][_a-z0-9]*)|\{(?:(?P<braced>[_a-z][_a-z0-9]*(?::?[-+?].*)?)\})?)",
    re.IGNORECASE | re.ASCII,
)
_DEEPEST = 20

Lookup = Callable[[str], str | None]


class DotenvSyntaxError(Exception):
    """What is wrong, and on which line. Quotes no value."""

    def __init__(self, line: int, reason: str) -> None:
        self.line = line
        super().__init__(f"line {line} {reason}")


@dataclass
class DotenvText:
    """What a text assigns. A name that is only mentioned (`NAME` alone) has the environment's value, if that has one."""

    values: dict[str, str] = field(default_factory=dict, repr=False)
    lines: dict[str, int] = field(default_factory=dict)
    """Where each was assigned last."""
    unset: dict[str, set[str]] = field(default_factory=dict)
    """Per name the variables in its value that nobody has set, and that compose replaces by nothing."""


def parse_dotenv(text: str, environment: Mapping[str, str]) -> DotenvText:
    """Raises DotenvSyntaxError."""
    return _Reader(text.removeprefix("\ufeff"), environment).read()


class _Reader:
    def __init__(self, text: str, environment: Mapping[str, str]) -> None:
        self._text = text
        self._at = 0
        self._environment = environment
        self._found = DotenvText()

    def read(self) -> DotenvText:
        while self._next_statement():
            line = self._line
            name, is_assigned = self._name()
            if not is_assigned:
                if name in self._environment:
                    self._keep(name, self._environment[name], line)
                continue
            if not name:
                raise DotenvSyntaxError(line, "has a value without a name")
            self._found.unset.pop(name, None)
            self._keep(name, self._value(name), line)
        return self._found

    def _keep(self, name: str, value: str, line: int) -> None:
        self._found.values[name] = value
        self._found.lines[name] = line

    @property
    def _line(self) -> int:
        return self._text.count("\n", 0, self._at) + 1

    def _skip(self, characters: str) -> None:
        while self._at < len(self._text) and self._text[self._at] in characters:
            self._at += 1

    def _next_statement(self) -> bool:
        """Behind space and comments; False at the end."""
        while True:
            self._skip(_SPACE)
            if self._at >= len(self._text):
                return False
            if self._text[self._at] != "#":
                return True
            end = self._text.find("\n", self._at)
            self._at = len(self._text) if end < 0 else end

    def _name(self) -> tuple[str, bool]:
        """The name, and whether a value follows."""
        line = self._line
        if exported := _EXPORT.match(self._text, self._at):
            self._at = exported.end()
            self._skip(_BLANK)
            if self._at >= len(self._text):
                raise DotenvSyntaxError(line, "exports nothing")
        start, character = self._at, "\n"
        while self._at < len(self._text):
            character = self._text[self._at]
            if character in "=:\n":
                break
            if character not in _BLANK + _NAME_PUNCTUATION and unicodedata.category(character)[0] not in "LN":
                raise DotenvSyntaxError(line, f"has {character!r} in a name")
            self._at += 1
        name = self._text[start : self._at].rstrip(_SPACE)
        if " " in name:
            raise DotenvSyntaxError(line, "has a blank in a name")
        is_assigned = self._at < len(self._text) and character != "\n"
        self._at += 1
        self._skip(_BLANK)
        return name, is_assigned

    def _value(self, name: str) -> str:
        line = self._line
        quote = self._text[self._at : self._at + 1]
        if quote not in ("'", '"') or not quote:
            end = self._text.find("\n", self._at)
            written = self._text[self._at : len(self._text) if end < 0 else end]
            self._at += len(written) + 1
            return self._replaced(name, written.partition(" #")[0].rstrip(_SPACE), line)
        written = self._quoted(quote, line)
        return self._replaced(name, _ESCAPE.sub(_unescaped, written), line) if quote == '"' else written

    def _quoted(self, quote: str, line: int) -> str:
        """What stands between the quotes, over as many lines as it takes. A backslash hides the quote and stays before
        everything else."""
        written: list[str] = []
        self._at += 1
        while self._at < len(self._text):
            character = self._text[self._at]
            following = self._text[self._at + 1 : self._at + 2]
            self._at += 1
            if character == quote:
                return "".join(written)
            if character == "\\" and following:
                written.append(following if following == quote else character + following)
                self._at += 1
            else:
                written.append(character)
        raise DotenvSyntaxError(line, "has a quote that does not end")

    def _replaced(self, name: str, value: str, line: int) -> str:
        def look(variable: str) -> str | None:
            return self._environment.get(variable, self._found.values.get(variable))

        def missing(variable: str) -> None:
            self._found.unset.setdefault(name, set()).add(variable)

        return _replaced(value, look, missing, line)


def _unescaped(escape: re.Match[str]) -> str:
    kind = escape[0][1]
    if kind == "0":
        # \0 and three octal digits of a byte; anything else loses the zero, as in compose.
        digits = escape[0][2:]
        return chr(int(digits, 8)) if re.fullmatch(r"[0-3][0-7]{2}", digits) else f"\\{digits}"
    return _ESCAPES.get(kind, escape[0])


def _replaced(value: str, look: Lookup, missing: Callable[[str], None], line: int, depth: int = 0) -> str:
    """`$NAME`, `${NAME}` and the six forms with a default, an alternative or a demand; `$$` is a dollar."""
    if depth > _DEEPEST:
        raise DotenvSyntaxError(line, "has variables within variables, too deep")

    def again(text: str) -> str:
        return _replaced(text, look, missing, line, depth + 1)

    def one(found: re.Match[str]) -> str:
        if found["dollar"]:
            return "$"
        name = found["named"]
        rest = ""
        if name is None:
            whole = found[0]
            end = _closing_brace(whole)
            if end >= 0:
                whole, rest = whole[: end + 1], whole[end + 1 :]
            inner = _VARIABLE.fullmatch(whole)
            if inner is None or inner["braced"] is None:
                raise DotenvSyntaxError(line, "has a '${' that does not become a variable")
            name, operator, word = _parts(inner["braced"])
            if operator:
                return _by_operator(name, operator, word, look, again, line) + again(rest)
        known = look(name)
        if known is None:
            missing(name)
        return known or ""

    return _VARIABLE.sub(one, value)


def _parts(braced: str) -> tuple[str, str, str]:
    """Name, operator and word of `NAME:-word`."""
    found = re.fullmatch(r"([_a-z][_a-z0-9]*)(:?[-+?])?(.*)", braced, re.IGNORECASE | re.ASCII | re.DOTALL)
    return (found[1], found[2] or "", found[3]) if found else (braced, "", "")


def _by_operator(name: str, operator: str, word: str, look: Lookup, again: Callable[[str], str], line: int) -> str:
    known = look(name)
    is_there = known is not None and (not operator.startswith(":") or known != "")
    if operator.endswith("+"):
        return again(word) if is_there else known or ""
    if is_there:
        return known or ""
    if operator.endswith("-"):
        return again(word)
    raise DotenvSyntaxError(line, f"demands the variable {name}, which is not set")


def _closing_brace(text: str) -> int:
    """Where the first brace that opens is closed; -1 if it is not."""
    opened, at = 0, 0
    while at < len(text):
        if text[at] == "}":
            opened -= 1
            if opened == 0:
                return at
        elif text[at] == "{":
            opened += 1
            at += 1
        at += 1
    return -1
