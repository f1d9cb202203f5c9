"""Questions to the DNS: to this machine's resolver within a deadline, and to named ones, which remember nothing for us.

dnspython is imported with the first question: it takes 0.1 s of CPU, and most runs of the program ask none.
"""

from __future__ import annotations

import ipaddress
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from zone.names import canonical
from zone.spf_lookups import NoAnswerError

if TYPE_CHECKING:
    import dns.resolver

QUESTION_SECONDS = 2.0
ALL_QUESTIONS_SECONDS = 5.0
PUBLIC = ("1.1.1.1", "8.8.8.8", "9.9.9.9")
"""Cloudflare, Google, Quad9."""
LIFETIME_SECONDS = 6.0


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

        def ask() -> dns.resolver.Answer:
            import dns.resolver

            # Without a usable /etc/resolv.conf this is where it shows.
            self._resolver = self._resolver or dns.resolver.Resolver()
            return self._resolver.resolve(name, rdtype, lifetime=min(left, QUESTION_SECONDS), raise_on_no_answer=False)

        return _texts(ask, name, rdtype)


class ResolverError(Exception):
    """`--resolver` is no address."""

    def __init__(self, found: str) -> None:
        super().__init__(
            f"--resolver is {found!r}, expected an IP address, with a port if it is not 53, such as 1.1.1.1 or "
            "127.0.0.1:8853"
        )


@dataclass(frozen=True)
class Resolver:
    """One recursive (or, for the emulators, authoritative) server."""

    host: str
    port: int = 53
    seconds: float = field(default=LIFETIME_SECONDS, compare=False)
    """How long an answer is waited for, repeats included."""
    _asks: dns.resolver.Resolver = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        import dns.flags
        import dns.resolver

        asks = dns.resolver.Resolver(configure=False)
        asks.nameservers = [self.host]
        asks.port = self.port
        asks.lifetime = self.seconds
        # Recursion desired; and a UDP answer that is cut is asked again over TCP.
        asks.flags = dns.flags.RD
        object.__setattr__(self, "_asks", asks)

    @classmethod
    def parse(cls, text: str) -> Resolver:
        """`1.1.1.1`, `127.0.0.1:8853`, `[2606:4700::1111]:53` or a bare IPv6 address. Raises ResolverError."""
        match = re.fullmatch(r"\[([0-9A-Fa-f:.]+)\](?::(\d+))?|([0-9.]+)(?::(\d+))?|([0-9A-Fa-f:]+)", text)
        host, port = (match[1] or match[3] or match[5], match[2] or match[4] or "53") if match else ("", "0")
        try:
            ipaddress.ip_address(host)
        except ValueError:
            raise ResolverError(text) from None
        if not 1 <= int(port) <= 65535:
            raise ResolverError(text)
        return cls(host, int(port))

    def __str__(self) -> str:
        return self.host if self.port == 53 else f"{self.host}:{self.port}"

    def __call__(self, name: str, rdtype: str) -> list[str]:
        """The texts of the records, TXT strings joined, names without trailing dot; empty for what does not exist.

        Raises NoAnswerError.
        """
        return _texts(
            lambda: self._asks.resolve(name, rdtype, raise_on_no_answer=False, search=False),
            name,
            rdtype,
            asked=f"{self}: ",
        )


def _texts(ask: Callable[[], dns.resolver.Answer], name: str, rdtype: str, *, asked: str = "") -> list[str]:
    """TXT strings joined, host names canonical; empty for a name or a type that does not exist. Raises NoAnswerError."""
    import dns.exception
    import dns.resolver

    try:
        answer = ask()
    except dns.resolver.NXDOMAIN:
        return []
    except dns.exception.DNSException as error:
        raise NoAnswerError(name, rdtype, f"{asked}{type(error).__name__}") from None
    except OSError as error:
        raise NoAnswerError(name, rdtype, f"{asked}{error.strerror or type(error).__name__}") from None
    if rdtype == "TXT":
        return [b"".join(record.strings).decode("ascii", "replace") for record in answer]
    if rdtype == "MX":
        return [f"{record.preference} {canonical(str(record.exchange))}" for record in answer]
    return [canonical(str(record)) for record in answer]
