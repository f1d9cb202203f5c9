"""How much a property test tries: little in a developer's run, everything once a day in CI.

`HYPOTHESIS_PROFILE=full` gives every property the number that it names; the default, `quick`, a tenth of it and never more
than 200. A failure that either finds is kept in `.hypothesis` and tried first by both.
"""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

PROFILE = os.environ.get("HYPOTHESIS_PROFILE", "quick")
FULL = PROFILE == "full"
USUAL = 100
"""Hypothesis' own number, for a property that names none."""


def examples(number: int) -> int:
    """So many examples in the full profile; a tenth of it, but 10 at the least and 200 at the most, in the quick one."""
    return number if FULL else min(max(10, number // 10), 200)


# What only a slow or busy machine fails is no fault: nothing here is measured by the clock.
settings.register_profile("full", max_examples=USUAL, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("quick", settings.get_profile("full"), max_examples=examples(USUAL))
settings.load_profile(PROFILE)
