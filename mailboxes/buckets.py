"""Which bucket of inbound routes an agent belongs to."""

from __future__ import annotations

import hashlib

BUCKET_COUNT = 64
"""Frozen: a resource per bucket is in every stack's state, and a changed count would move live routes."""


def bucket_of(agent_id: str) -> int:
    """The bucket, 0 to 63, of this agent id: SHA-256 of its UTF-8 bytes, big-endian, modulo 64."""
    return int.from_bytes(hashlib.sha256(agent_id.encode()).digest()) % BUCKET_COUNT
