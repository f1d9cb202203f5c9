"""Whether a stack lives on this machine's loopback alone, by its file."""

from __future__ import annotations

from pathlib import Path

from engine.stacks import StackFile


def off_loopback(project: Path, stack: str) -> str:
    """What keeps the stack from being embedded, in words; empty if nothing does."""
    return StackFile.of(project, stack).off_loopback()
