"""What the tests of Mailjet's client share: time that passes when it is waited for, and no secret left behind."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from clients.mailjet.redaction import SECRETS
from tests.unit.providers.emulated import VirtualClock


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture(autouse=True)
def _as_in_a_new_process() -> Iterator[None]:
    """Secrets that one test has learnt end with it."""
    yield
    SECRETS.forget()
