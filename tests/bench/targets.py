"""What scale has to reach, and whether a run reached it. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

SIZE = 10_000
"""Of what the targets for time and state speak; a fixed part weighs too much in smaller stacks."""
NO_OP_SECONDS = 2.0
TIMES_FASTER = 16.0
STATE_BYTES = 300.0
READS_BESIDE_PAGES = 10
GROWTH = 1.5
NOISE_SECONDS = 0.0003
"""CPU time a mailbox below which a comparison of two slopes says nothing."""
SLOW_MS = 100
"""The latency at which the first up is compared with a serial loop."""


@dataclass(frozen=True)
class Verdict:
    """One target: what was found, what was to be reached."""

    target: str
    found: str
    reached: bool

    def __str__(self) -> str:
        return f"{'reached' if self.reached else 'MISSED '}  {self.target}: {self.found}"


def no_op_overhead(seconds_above: float, size: int) -> Verdict:
    """`seconds_above`: median of a no-op up with `size` mailboxes less that with 3."""
    return Verdict(
        f"no-op up at {size:,} at most {NO_OP_SECONDS:g} s above that of 3 mailboxes",
        f"{seconds_above:+.2f} s",
        seconds_above <= NO_OP_SECONDS,
    )


def faster_than_serial(serial: float, seconds: float, *, size: int, latency_ms: int, limiter: bool) -> Verdict:
    """`serial`: seconds of a loop of `size` POSTs; `seconds`: of the first up."""
    return Verdict(
        f"first up of {size:,} at {latency_ms} ms at least {TIMES_FASTER:g} times faster than a serial loop, "
        f"limiter {'as by default' if limiter else 'off'}",
        f"{serial / seconds:.1f} times ({seconds:.1f} s, loop {serial:.0f} s)",
        serial / seconds >= TIMES_FASTER,
    )


def writes(step: str, found: int, expected: int, size: int) -> Verdict:
    """Exact."""
    return Verdict(f"writes of {step} at {size:,}: {expected:,}", f"{found:,}", found == expected)


def refresh_reads(found: int, size: int) -> Verdict:
    """Mailjet lists 1,000 routes a page."""
    most = size / 1000 + READS_BESIDE_PAGES
    return Verdict(f"Mailjet reads of a refresh at {size:,} at most {most:g}", f"{found:,}", found <= most)


def state_bytes(beyond: float, size: int) -> Verdict:
    """`beyond`: bytes a mailbox that are not her address and id."""
    return Verdict(
        f"state at {size:,} at most {STATE_BYTES:g} bytes a mailbox beyond address and id",
        f"{beyond:.0f} bytes",
        beyond <= STATE_BYTES,
    )


def linear_growth(step: str, points: Sequence[tuple[int, float]]) -> Verdict:
    """`points`: (size, CPU seconds), three or more: the last mailboxes may not cost much more than the first."""
    (a, low), (b, middle), (c, high) = points[0], points[-2], points[-1]
    early, late = (middle - low) / (b - a), (high - middle) / (c - b)
    return Verdict(
        f"growth of {step}: a mailbox between {b:,} and {c:,} costs at most {GROWTH:g} times one between {a:,} and {b:,}",
        f"{1000 * late:.2f} ms against {1000 * early:.2f} ms of CPU",
        late <= max(GROWTH * early, NOISE_SECONDS),
    )
