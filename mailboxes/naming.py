"""The naming rule: `<first>.<last>.<3 digits>.<YYYYMMDDHHMMSS>`.

Everything here is a pure function of its arguments: the same on every machine, in every process and in every
Python. Live mailboxes depend on it, so a change of any result renames people; tests hold golden values.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from anyascii import anyascii

from mailboxes.errors import MailboxError, Problem, ProblemsError, quoted

SEGMENT_LENGTH = 16
"""First and last name are cut to this many characters."""

CHOICES = 1000
"""How many agents can share first name, last name and second: three digits."""

LOCAL_PART_OCTETS = 64
"""RFC 5321, section 4.5.3.1.1."""

_UNWANTED = re.compile(r"[^a-z0-9]+")
_LOCAL_PART = re.compile(r"[a-z0-9_+-]+(?:\.[a-z0-9_+-]+)*")
# Steps that visit all 1,000 values before they come back: the numbers below 1,000 without a common divisor.
_STEPS = tuple(step for step in range(1, CHOICES) if step % 2 and step % 5)


class UnusableNameError(MailboxError):
    """Neither the name nor the username hint yields the two words that an address needs."""

    def __init__(self, name: str, username_hint: str) -> None:
        super().__init__(
            f"name {quoted(name)} and username_hint {quoted(username_hint)} give no address: after "
            "transliteration to ASCII they leave too few of the characters a-z and 0-9; give the agent a "
            "first and a last name, or a username_hint to stand in for the missing one"
        )


class LocalPartError(MailboxError):
    """A pinned or legacy local part that no mailbox can have."""

    def __init__(self, local_part: str, reason: str) -> None:
        super().__init__(f"local part {quoted(local_part)} {reason}")


class NamingError(ProblemsError):
    """Agents who cannot be given an address beside each other."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NamingInput:
    """What one agent's local part is made from; `local_part` pins it and makes the rest irrelevant.

    `created_at` is a UTC second, `YYYYMMDDHHMMSS`. `seed` is the population's.
    """

    agent_id: str
    seed: str = ""
    name: str = ""
    username_hint: str = ""
    created_at: str = ""
    local_part: str | None = None


def name_words(name: str) -> list[str]:
    """The words of a name in the alphabet of addresses: `O'Neil Smith-Jones` -> `oneil`, `smithjones`.

    Composed (NFC) first, so that both Unicode spellings of one name agree; then to ASCII, then split on white
    space; each word keeps its a-z and 0-9, at most 16 of them, and words left empty are dropped.
    """
    words = (_UNWANTED.sub("", word)[:SEGMENT_LENGTH] for word in _ascii(name).split())
    return [word for word in words if word]


def name_segments(name: str, username_hint: str) -> tuple[str, str]:
    """First and last segment of the local part: first and last word of the name.

    A missing one is the username hint in the same alphabet. Raises `UnusableNameError` where that is missing too.
    """
    words = name_words(name)
    if len(words) > 1:
        return words[0], words[-1]
    hint = _UNWANTED.sub("", _ascii(username_hint))[:SEGMENT_LENGTH]
    if not hint:
        raise UnusableNameError(name, username_hint)
    return (words[0] if words else hint), hint


def digits_in_order(seed: str, agent_id: str) -> Iterator[int]:
    """All values 0 to 999, each once, in this agent's own order of preference; the first is its first choice.

    SHA-256 of the UTF-8 bytes of seed, a zero byte and the agent id, read as one big-endian number n: the first
    choice is n mod 1000, and each next one lies s further (mod 1000), where s is the (n div 1000 mod 400)th of
    the 400 numbers below 1,000 that end in 1, 3, 7 or 9.
    """
    number = _number(seed, agent_id)
    step = _STEPS[number // CHOICES % len(_STEPS)]
    first = number % CHOICES
    for turn in range(CHOICES):
        yield (first + turn * step) % CHOICES


def first_choice(entry: NamingInput) -> str:
    """The local part that this agent has unless another one holds it; its pin, if it has one."""
    if entry.local_part is not None:
        return entry.local_part
    first, last = name_segments(entry.name, entry.username_hint)
    return _local_part(first, last, _number(entry.seed, entry.agent_id) % CHOICES, entry.created_at)


def assign_local_parts(entries: Iterable[NamingInput], reserved: Mapping[str, str] | None = None) -> dict[str, str]:
    """A local part for every entry, {agent id: local part}, no two alike. The order of the entries is irrelevant.

    Pinned local parts are reserved first. Then, among agents with the same first and last segment and the same
    second, each takes, in order of agent id, the first free one of its `digits_in_order`: 1,000 fit, pinned ones
    included. `reserved`, {local part: holder's agent id}, is out of reach for all others.

    Agent ids must be unique. Raises `NamingError`, listing every agent whose name is unusable, whose pin is held
    by another, or for whom none of the 1,000 local parts is left.
    """
    holders = dict(reserved or {})
    assigned: dict[str, str] = {}
    problems: list[Problem] = []
    groups: dict[tuple[str, str, str], list[NamingInput]] = {}
    for entry in sorted(entries, key=lambda entry: entry.agent_id):
        if entry.local_part is not None:
            holder = holders.setdefault(entry.local_part, entry.agent_id)
            if holder != entry.agent_id:
                sentence = (
                    f"local_part {entry.local_part} is also that of agent {holder}; "
                    "two agents cannot have one mailbox: change or remove one of the pins"
                )
                problems.append(Problem(sentence, agent=entry.agent_id))
            assigned[entry.agent_id] = entry.local_part
            continue
        try:
            first, last = name_segments(entry.name, entry.username_hint)
        except UnusableNameError as error:
            problems.append(Problem(str(error), agent=entry.agent_id))
            continue
        groups.setdefault((first, last, entry.created_at), []).append(entry)

    for (first, last, second), group in groups.items():
        for position, entry in enumerate(group):
            for digits in digits_in_order(entry.seed, entry.agent_id):
                local_part = _local_part(first, last, digits, second)
                if holders.setdefault(local_part, entry.agent_id) == entry.agent_id:
                    assigned[entry.agent_id] = local_part
                    break
            else:
                # Nothing is left for it, so nothing is left for those after it either.
                sentence = (
                    f"all {CHOICES:,} local parts {first}.{last}.<3 digits>.{second} are taken; "
                    "give the agent another created_at (a second later is enough) or a local_part"
                )
                problems += (Problem(sentence, agent=late.agent_id) for late in group[position:])
                break
    if problems:
        raise NamingError(problems)
    return assigned


def bumped(entries: Iterable[NamingInput], assigned: Mapping[str, str]) -> dict[str, str]:
    """The agents without a pin who did not get their first choice, with what they got: {agent id: local part}.

    These may move when somebody joins or leaves; the local part as a pin (`local_part`) holds them in place.
    """
    return {
        entry.agent_id: assigned[entry.agent_id]
        for entry in entries
        if entry.local_part is None and assigned[entry.agent_id] != first_choice(entry)
    }


def check_local_part(local_part: str) -> str:
    """The local part itself, if a mailbox can have it; else `LocalPartError`.

    RFC 5321 allows more (quoted strings, `!#$%&'*/=?^{|}~`, capitals); these are refused because Mailjet puts
    addresses into URL paths, and because mail systems ignore case.
    """
    if len(local_part.encode()) > LOCAL_PART_OCTETS:
        reason = f"has {len(local_part.encode())} octets; at most {LOCAL_PART_OCTETS} are allowed (RFC 5321)"
        raise LocalPartError(local_part, reason)
    if not _LOCAL_PART.fullmatch(local_part):
        raise LocalPartError(
            local_part,
            "is not made of a-z, 0-9, '_', '-', '+' and single dots between them; "
            "write what stands before the @, in lower case",
        )
    return local_part


def legacy_local_part(prefix: str, agent_id: str) -> str:
    """The legacy form for a single mailbox outside a population: prefix and agent id, in lower case.

    `agent_` and `Bot123` give `agent_bot123`. Raises `LocalPartError`.
    """
    return check_local_part((prefix + agent_id).lower())


def _ascii(text: str) -> str:
    return (text if text.isascii() else anyascii(unicodedata.normalize("NFC", text))).lower()


def _number(seed: str, agent_id: str) -> int:
    return int.from_bytes(hashlib.sha256(f"{seed}\0{agent_id}".encode()).digest())


def _local_part(first: str, last: str, digits: int, second: str) -> str:
    return f"{first}.{last}.{digits:03}.{second}"
