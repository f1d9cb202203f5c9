"""The real engine against the emulators: everything here runs on loopback ports and folders of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.stack import ROOT, Emulators, Stack

DEV_POPULATION = ROOT / "populations" / "dev.yaml"


@pytest.fixture(scope="module")
def emulators(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulators]:
    """Mailjet and Cloudflare, fresh for every test module."""
    running = Emulators.start(tmp_path_factory.mktemp("emulators"))
    yield running
    running.stop()


@pytest.fixture
def stack(emulators: Emulators, tmp_path: Path) -> Stack:
    """An empty stack `dev` on freshly reset emulators."""
    emulators.reset()
    return Stack.create(tmp_path, emulators)
