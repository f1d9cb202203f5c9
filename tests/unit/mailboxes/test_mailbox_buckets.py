"""The bucket of an agent. Frozen: another bucket would move live routes."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailboxes.buckets import BUCKET_COUNT, bucket_of


@pytest.mark.parametrize(
    ("agent_id", "bucket"),
    [
        ("538605c0-4728-53d9-b533-76e2b3da240c", 16),
        ("447ceb38-2be4-5501-8a98-f6ca15bb0edb", 24),
        ("a1", 20),
        ("é", 12),
    ],
)
def test_golden_values(agent_id: str, bucket: int) -> None:
    assert bucket_of(agent_id) == bucket


def test_there_are_64() -> None:
    assert BUCKET_COUNT == 64


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_every_id_has_one(agent_id: str) -> None:
    assert 0 <= bucket_of(agent_id) < BUCKET_COUNT


def test_agents_spread_evenly() -> None:
    sizes = Counter(bucket_of(f"agent-{number}") for number in range(10_000))

    assert len(sizes) == BUCKET_COUNT
    assert max(sizes.values()) < 2 * 10_000 / BUCKET_COUNT
