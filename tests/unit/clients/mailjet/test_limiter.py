"""The brake: nothing until a 429, then everybody slows down together and recovers."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable

import pytest

from clients.mailjet.limiter import (
    BACK_OFF_FACTOR,
    FIRST_PAUSE_SECONDS,
    LONGEST_PAUSE_SECONDS,
    SHORT_PAUSE_SECONDS,
    SLOWEST_PER_SECOND,
    AdaptiveLimiter,
)
from tests.unit.providers.emulated import VirtualClock


@pytest.fixture
def limiter(clock: VirtualClock) -> AdaptiveLimiter:
    return AdaptiveLimiter(clock)


def run(limiter: AdaptiveLimiter, clock: VirtualClock, calls: int, each: float = 0.01) -> float:
    """`calls` calls, one after the other, of `each` seconds; the start of the last."""
    started = 0.0
    for _ in range(calls):
        started = limiter.acquire()
        clock.sleep(each)
        limiter.passed(started)
    return started


def serve(
    limiter: AdaptiveLimiter, clock: VirtualClock, refuses: Callable[[float], bool], *, seconds: float, each: float
) -> tuple[int, int]:
    """Calls against a server; how many it answered and how many it refused."""
    end = clock.now + seconds
    passed = refused = 0
    while clock.now < end:
        started = limiter.acquire()
        clock.sleep(each)
        if refuses(started):
            refused += 1
            limiter.throttled(started)
        else:
            passed += 1
            limiter.passed(started)
    return passed, refused


def rate(limiter: AdaptiveLimiter) -> float | None:
    """Calls per second as the next two show it; None at full speed."""
    first, second = limiter.acquire(), limiter.acquire()
    return None if first == second else 1 / (second - first)


def test_full_speed_until_the_first_429(limiter: AdaptiveLimiter, clock: VirtualClock) -> None:
    run(limiter, clock, 500, each=0.0)
    assert clock.now == 1000.0
    assert rate(limiter) is None


def test_a_lone_429_is_a_short_pause_for_everybody(limiter: AdaptiveLimiter, clock: VirtualClock) -> None:
    limiter.throttled(run(limiter, clock, 100))
    at = clock.now
    assert limiter.acquire() == pytest.approx(at + SHORT_PAUSE_SECONDS)
    assert rate(limiter) is None


def refuse(limiter: AdaptiveLimiter, clock: VirtualClock, calls: int = 3) -> None:
    """As many calls, under way at once, get a 429."""
    starts = [limiter.acquire() for _ in range(calls)]
    clock.sleep(0.01)
    for started in starts:
        limiter.throttled(started)


def test_three_429s_in_a_row_pause_everybody_and_halve_the_rate(limiter: AdaptiveLimiter, clock: VirtualClock) -> None:
    run(limiter, clock, 300)
    refuse(limiter, clock)
    at = clock.now
    assert limiter.acquire() == pytest.approx(at + FIRST_PAUSE_SECONDS)
    assert rate(limiter) == pytest.approx(100 * BACK_OFF_FACTOR, rel=0.05)
    assert limiter.acquire() - limiter.acquire() == pytest.approx(-1 / 50, rel=0.05)


def test_the_429s_of_one_burst_count_once(limiter: AdaptiveLimiter, clock: VirtualClock) -> None:
    refuse(limiter, clock, calls=40)
    limiter.acquire()
    assert clock.slept == [0.01, pytest.approx(FIRST_PAUSE_SECONDS)]
    seen = rate(limiter)
    assert seen is not None
    assert seen > 40 * BACK_OFF_FACTOR


def test_429s_one_after_the_other_lengthen_the_pause_up_to_a_limit(
    limiter: AdaptiveLimiter, clock: VirtualClock
) -> None:
    refuse(limiter, clock)
    pauses = []
    for _ in range(12):
        before = clock.now
        started = limiter.acquire()
        pauses.append(clock.now - before)
        clock.sleep(0.01)
        limiter.throttled(started)
    assert pauses == sorted(pauses)
    assert pauses[0] == pytest.approx(FIRST_PAUSE_SECONDS)
    assert pauses[-1] == pytest.approx(LONGEST_PAUSE_SECONDS)
    assert rate(limiter) == SLOWEST_PER_SECOND


def test_retry_after_is_honoured_within_reason(limiter: AdaptiveLimiter, clock: VirtualClock) -> None:
    limiter.throttled(run(limiter, clock, 10), retry_after=7.0)
    at = clock.now
    assert limiter.acquire() == pytest.approx(at + 7.0)
    limiter.throttled(clock.now + 1, retry_after=3600.0)
    at = clock.now
    assert limiter.acquire() == pytest.approx(at + LONGEST_PAUSE_SECONDS)


def test_quiet_seconds_release_the_brake(limiter: AdaptiveLimiter, clock: VirtualClock) -> None:
    run(limiter, clock, 300)
    refuse(limiter, clock)
    rates = []
    while (seen := rate(limiter)) is not None:
        rates.append(seen)
        run(limiter, clock, 1, each=1.0)
    assert rates == sorted(rates)
    assert clock.now < 1020.0
    run(limiter, clock, 100, each=0.0)
    assert rate(limiter) is None


def test_a_long_idle_time_does_not_overflow(limiter: AdaptiveLimiter, clock: VirtualClock) -> None:
    refuse(limiter, clock)
    clock.sleep(1e9)
    limiter.acquire()
    assert rate(limiter) is None


def test_a_steady_limit_is_found_without_being_told(limiter: AdaptiveLimiter, clock: VirtualClock) -> None:
    """A server that allows 20 calls in any second."""
    window: list[float] = []

    def refuses(started: float) -> bool:
        window[:] = [start for start in window if start > started - 1.0]
        if len(window) >= 20:
            return True
        window.append(started)
        return False

    passed, refused = serve(limiter, clock, refuses, seconds=120, each=0.002)
    assert passed > 120 * 20 * 0.5
    assert refused < passed * 0.15


def test_a_quota_per_minute_is_waited_for(limiter: AdaptiveLimiter, clock: VirtualClock) -> None:
    """A server that allows 300 calls in each minute, then nothing until the next."""
    used: dict[int, int] = {}

    def refuses(started: float) -> bool:
        minute = int(started // 60)
        used[minute] = used.get(minute, 0) + 1
        return used[minute] > 300

    passed, refused = serve(limiter, clock, refuses, seconds=600, each=0.01)
    assert passed > 9 * 300 * 0.8
    assert refused < passed * 0.05


def test_429s_that_do_not_depend_on_the_rate_cost_little(limiter: AdaptiveLimiter, clock: VirtualClock) -> None:
    chance = random.Random(7)
    passed, _ = serve(limiter, clock, lambda _started: chance.random() < 0.04, seconds=60, each=0.01)
    assert passed > 60 * 100 * 0.5


def test_switched_off_it_never_waits(clock: VirtualClock) -> None:
    limiter = AdaptiveLimiter(clock, enabled=False)
    for started in [limiter.acquire() for _ in range(10)]:
        limiter.throttled(started)
    limiter.acquire()
    assert clock.slept == []


def test_threads_share_the_pause(limiter: AdaptiveLimiter, clock: VirtualClock) -> None:
    refuse(limiter, clock)
    released = clock.now + FIRST_PAUSE_SECONDS
    starts: list[float] = []
    threads = [threading.Thread(target=lambda: starts.append(limiter.acquire())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert len(starts) == 8
    assert min(starts) >= released
    assert len({round(start, 3) for start in starts}) == 8
