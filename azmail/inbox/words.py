"""Words for the full-text search, made the same for both databases: their own rules for words differ."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterable

MOST_CHARACTERS = 100_000
"""Of one mail that are searched: PostgreSQL's index of one text holds a megabyte."""
MOST_TERMS = 20
_WORD = re.compile(r"[^\W_]{1,200}")
_MARKUP = re.compile(r"<[^<>]*>")


def words_of(texts: Iterable[str]) -> list[str]:
    """Words in lower case and without accents."""
    found: list[str] = []
    left = MOST_CHARACTERS
    for text in texts:
        plain = _plain(text[:left])
        left -= len(text[:left])
        found.extend(_WORD.findall(plain))
    return found


def indexed(agent: str, texts: Iterable[str]) -> str:
    """What is indexed for a mail: its words, each once, and one that stands for its agent."""
    return " ".join(dict.fromkeys((agent_word(agent), *words_of(texts))))[: 2 * MOST_CHARACTERS]


def agent_word(agent: str) -> str:
    """Lets the index itself find one agent's mail among everybody's; no mail can carry it by chance."""
    return "agent" + hashlib.sha256(agent.encode()).hexdigest()[:24]


def without_markup(html: str) -> str:
    """HTML's text, roughly: for the index only."""
    return _MARKUP.sub(" ", html[: 4 * MOST_CHARACTERS])


def sqlite_query(agent: str, query: str) -> str:
    """An FTS5 expression; nothing of the query is syntax but a final * of a word."""
    terms = [f'"{agent_word(agent)}"'] if agent else []
    return " ".join((*terms, *(f'"{word}"{"*" if is_start else ""}' for word, is_start in _terms(query))))


def postgresql_query(agent: str, query: str) -> str:
    """A tsquery's text; nothing of the query is syntax but a final * of a word."""
    terms = [f"'{agent_word(agent)}'"] if agent else []
    return " & ".join((*terms, *(f"'{word}'{':*' if is_start else ''}" for word, is_start in _terms(query))))


def has_terms(query: str) -> bool:
    return bool(_terms(query))


def _terms(query: str) -> list[tuple[str, bool]]:
    plain = _plain(query[:1_000])
    found = [(match[0], plain[match.end() : match.end() + 1] == "*") for match in _WORD.finditer(plain)]
    return found[:MOST_TERMS]


def _plain(text: str) -> str:
    if text.isascii():
        return text.lower()
    split = unicodedata.normalize("NFKD", text.casefold())
    return unicodedata.normalize("NFC", "".join(one for one in split if not unicodedata.combining(one)))
