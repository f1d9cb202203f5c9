"""Address lists as Mailjet hands them over: with the encoded words of RFC 2047 decoded already.

Such text is no RFC 5322 any more: a comma, an @ or a bracket of a display name stands bare. The standard library's
readers give up on it, each version of Python in its own way. Here the address in `<...>` wins and what stands before
it is the name; without brackets an address counts only where it stands plainly alone; an entry that is neither costs
itself. A bracket that stands right behind a comma closes a name with commas in it (`ceo@bank.example, <m@evil.example>`
was one entry whose name pretends): nobody whom a name names gets mail. Every address is a piece of the text. The time is
linear in the text's length.
"""

import re
from collections.abc import Iterator

_BRACKETED = re.compile(r"<([^<>]*)>")
_COMMENT = re.compile(r"\([^()]*\)")
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"')
_CLOSING_QUOTE = re.compile(r'\\.|"(?=[ \t,;<(@]|$)')
_SEPARATOR_OR_SPAN = re.compile(r'[,;<("]')
_BEFORE_A_WORD = frozenset(" \t,;:<>()")
_BLANK = " \t"

_PLAIN = r"[^\s\x00-\x1f\x7f-\x9f<>()\[\],;:\"\\@]+"
_EMAIL = re.compile(rf"(?:{_PLAIN}|\"(?:[^\"\\<>\x00-\x1f\x7f-\x9f]|\\[ -~])+\")@(?:{_PLAIN}|\[[0-9A-Za-z.:]+\])")


def read_addresses(text: str) -> tuple[tuple[str, str], ...]:
    """Each entry's address and name, in the text's order. Never raises."""
    return tuple(_entries(text, alone=True))


def read_author(text: str) -> tuple[str, str] | None:
    """Address and name of the one whom a From names, or None.

    The last `<...>` wins: whatever a display name pretends to be stands before it. Without any, it is the first address.
    """
    bracketed = tuple(_entries(text, alone=False))
    if bracketed:
        return bracketed[-1]
    return next(_entries(text, alone=True), None)


def quoted_name(name: str) -> str:
    """The name as a quoted string (RFC 5322, 3.2.4)."""
    escaped = re.sub(r'(["\\])', r"\\\1", name)
    return f'"{escaped}"'


def decodable_name(name: str) -> str:
    """The name as it has to be encoded, so that it comes back from text in which it was decoded: quoted where bare it
    would be read differently, alone or among others.
    """
    after = (("b@b.example", "b)"), ("c@c.example", "c"))
    bare = f'{name} <a@a.example>, b) <b@b.example>, "c" <c@c.example>'
    return name if read_addresses(bare) == (("a@a.example", name), *after) else quoted_name(name)


def _entries(text: str, *, alone: bool) -> Iterator[tuple[str, str]]:
    """The entries; addresses without brackets only if `alone`."""
    name_starts = piece_starts = run_starts = at = 0
    found: tuple[str, int] | None = None  # the entry's latest bracketed address, and where its bracket opens
    plain: list[tuple[str, str]] = []  # those since `run_starts`, which a bracket behind a comma makes part of its name
    quotes = True
    while (special := _SEPARATOR_OR_SPAN.search(text, at)) is not None:
        at, character = special.start(), special[0]
        if character in ",;":
            piece = text[piece_starts:at].strip(_BLANK)
            if found is not None:
                yield found[0], _name(text[name_starts : found[1]])
                name_starts = run_starts = at + 1
                found = None
            elif alone and (one := _alone(piece)) is not None:
                plain.append(one)
                name_starts = at + 1
            elif not piece or (character == ";" and piece.endswith(":")):
                # Nothing between two commas, or a group without members.
                name_starts = at + 1 if name_starts == piece_starts or piece else name_starts
            piece_starts = at = at + 1
        elif character == "<":
            bracketed = _BRACKETED.match(text, at)
            if bracketed is not None and _EMAIL.fullmatch(email := bracketed[1].strip(_BLANK)):
                if plain and not text[piece_starts:at].strip(_BLANK):
                    name_starts = run_starts
                else:
                    yield from plain
                plain.clear()
                found = email, at
                at = bracketed.end()
            else:
                at += 1
        elif at and text[at - 1] not in _BEFORE_A_WORD:
            at += 1
        elif character == "(":
            comment = _COMMENT.match(text, at)
            at = at + 1 if comment is None else comment.end()
        else:
            end = _closing_quote(text, at + 1) if quotes else None
            quotes = end is not None  # what no quote closes from here on is closed by none further on
            at = at + 1 if end is None else end
    yield from plain
    if found is not None:
        yield found[0], _name(text[name_starts : found[1]])
    elif alone and (one := _alone(text[piece_starts:].strip(_BLANK))) is not None:
        yield one


def _closing_quote(text: str, at: int) -> int | None:
    """Where a quoted string that began before `at` has ended."""
    return next((match.end() for match in _CLOSING_QUOTE.finditer(text, at) if match[0] == '"'), None)


def _alone(piece: str) -> tuple[str, str] | None:
    """`a@example.com`, also as a group's first member or with its name in a comment (`a@example.com (Ada)`)."""
    if _EMAIL.fullmatch(piece):
        return piece, ""
    email, bracket, comment = piece.partition("(")
    if bracket and comment.endswith(")") and _EMAIL.fullmatch(email := email.rstrip(_BLANK)):
        return email, comment[:-1].strip(_BLANK)
    group, colon, member = piece.partition(":")
    if colon and "@" not in group and _EMAIL.fullmatch(member := member.strip(_BLANK)):
        return member, ""
    return None


def _name(text: str) -> str:
    name = text.strip(_BLANK)
    if (quoted := _QUOTED.fullmatch(name)) is not None:
        return re.sub(r"\\(.)", r"\1", quoted[1])
    return name.rstrip(",; \t")
