"""Consent to a mass removal, in words that can come true only once: `50 of 100`, or `all of 50`.

A bare number that was left standing would let the next fifty go without a word. Both numbers describe one removal:
after it there are no hundred any more. That nobody of before is left is another matter than that many go, so it has a
word of its own.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_CONSENT = re.compile(r"(?P<gone>all|[0-9]{1,9}) +of +(?P<of>[0-9]{1,9})")
_NOTHING = frozenset({"", "0"})
EXPECTED = "both numbers of the removal that is meant, such as '50 of 100', or 'all of 50' where nobody is to be left"


@dataclass(frozen=True)
class RemovalConsent:
    """`gone` of `of` mailboxes may be removed at once; `gone` None means all of them."""

    gone: int | None
    of: int

    @classmethod
    def parse(cls, text: str) -> RemovalConsent | None:
        """None for an empty text or 0, which consent to nothing. Raises ValueError, which says what is expected."""
        words = text.strip().lower().replace(",", "")
        if words in _NOTHING:
            return None
        found = _CONSENT.fullmatch(words)
        if found is None:
            raise ValueError(EXPECTED)
        gone, of = (None if found["gone"] == "all" else int(found["gone"])), int(found["of"])
        if of == 0 or (gone is not None and gone > of):
            raise ValueError(EXPECTED)
        return cls(gone, of)

    @classmethod
    def needed(cls, *, gone: int, of: int, everybody: bool) -> RemovalConsent:
        """What would have to be said for this removal."""
        return cls(None if everybody else gone, of)

    def __str__(self) -> str:
        return f"{'all' if self.gone is None else self.gone} of {self.of}"
