"""Keeps credentials out of every text a person or a log may see, whatever form they take."""

from __future__ import annotations

import base64
import re
import threading
from collections.abc import Iterable
from urllib.parse import quote, quote_plus

PLACEHOLDER = "[secret]"

# Shorter ones would blot out half of every sentence; a URL's password is found by its place, whatever its length.
_SHORTEST_SECRET = 4
_SHORTEST_BASE64 = 6
_BASE64_RUN = re.compile(r"[A-Za-z0-9+/_=-]{6,}")

_URL_PASSWORD = re.compile(r"(?P<before>[A-Za-z][A-Za-z0-9+.-]*://[^/\s:@]*:)[^/\s@]*(?=@)")


def base64_cores(secret: str) -> frozenset[str]:
    """The part of `secret`'s base64 form that is the same whatever bytes stand before and after it.

    A Basic header encodes `user:password` as a whole, so a password can start at any of three alignments.
    """
    cores = set()
    for lead in range(3):
        padded = b"\0" * lead + secret.encode()
        certain = slice((0, 2, 3)[lead], len(padded) * 8 // 6)
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            cores.add(encode(padded).decode("ascii")[certain])
    return frozenset(core for core in cores if len(core) >= _SHORTEST_BASE64)


def plain_forms(secret: str) -> frozenset[str]:
    """`secret` as it stands and as a URL would carry it."""
    return frozenset({secret, quote(secret, safe=""), quote(secret), quote_plus(secret)})


class Redactor:
    """Replaces every learnt secret, and the password of every URL, by `[secret]`. Safe between threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._secrets: frozenset[str] = frozenset()
        self._plain: re.Pattern[str] | None = None
        self._cores: frozenset[str] = frozenset()

    def learn(self, secrets: Iterable[str]) -> None:
        """Add `secrets`; empty and very short ones are ignored."""
        fresh = {secret for secret in secrets if len(secret) >= _SHORTEST_SECRET}
        with self._lock:
            if fresh <= self._secrets:
                return
            self._secrets |= fresh
            plain = {form for secret in self._secrets for form in plain_forms(secret)}
            self._cores = frozenset(core for secret in self._secrets for core in base64_cores(secret))
            self._plain = re.compile("|".join(map(re.escape, sorted(plain, key=len, reverse=True))))

    def forget(self) -> None:
        """Start over, as a new process does."""
        with self._lock:
            self._secrets = frozenset()
            self._plain = None
            self._cores = frozenset()

    def clean(self, text: str) -> str:
        """`text` without a secret in it."""
        plain, cores = self._plain, self._cores
        if plain is not None:
            text = plain.sub(PLACEHOLDER, text)
        if cores:
            text = _BASE64_RUN.sub(lambda run: PLACEHOLDER if any(core in run[0] for core in cores) else run[0], text)
        return _URL_PASSWORD.sub(rf"\g<before>{PLACEHOLDER}", text)


SECRETS = Redactor()
"""What this process knows to be secret."""


def redact(text: str) -> str:
    """`text` without any secret that this process knows of."""
    return SECRETS.clean(text)
