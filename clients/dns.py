"""Questions to the DNS, for checks that must never hold up a preview."""

from __future__ import annotations

import time

import dns.exception
import dns.resolver

from zone.spf_lookups import NoAnswerError

QUESTION_SECONDS = 2.0
ALL_QUESTIONS_SECONDS = 5.0


class DeadlineResolver:
    """The machine's resolver, with little patience: seconds for one question, and a few for all of them together."""

    def __init__(
        self, resolver: dns.resolver.Resolver | None = None, *, seconds: float = ALL_QUESTIONS_SECONDS
    ) -> None:
        self._resolver = resolver
        self._until = time.monotonic() + seconds

    def __call__(self, name: str, rdtype: str) -> list[str]:
        """The texts of the records, TXT strings joined; empty for a name or a type that does not exist.

        Raises NoAnswerError.
        """
        left = self._until - time.monotonic()
        if left <= 0:
            raise NoAnswerError(name, rdtype, "out of time")
        try:
            # Without a usable /etc/resolv.conf this is where it shows.
            self._resolver = self._resolver or dns.resolver.Resolver()
            answer = self._resolver.resolve(
                name, rdtype, lifetime=min(left, QUESTION_SECONDS), raise_on_no_answer=False
            )
        except dns.resolver.NXDOMAIN:
            return []
        except dns.exception.DNSException as error:
            raise NoAnswerError(name, rdtype, type(error).__name__) from None
        except OSError as error:
            raise NoAnswerError(name, rdtype, error.strerror or type(error).__name__) from None
        if rdtype == "TXT":
            return [b"".join(record.strings).decode("ascii", "replace") for record in answer]
        return [str(record) for record in answer]
