"""The real engine against the emulators: everything here runs on loopback ports and folders of its own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests import forks
from tests.state_servers import KmsKey, kms_server

# Before anything here learns where the project is.
forks.begin()

from tests.e2e.stack import ROOT, Emulators, Stack  # noqa: E402

DEV_POPULATION = ROOT / "populations" / "dev.yaml"


LONGEST = (
    "test_docs.py",
    "test_backends.py",
    "test_chaos_sample.py",
    "test_official_manners.py",
    "test_adopt.py",
    "test_mx_order.py",
    "test_workflows.py",
    "test_mailjet_scenarios.py",
    "test_cloudflare_refusals.py",
    "test_engine.py",
    "test_two_stacks.py",
    "test_doctor.py",
    "test_populations.py",
    "test_refused_key.py",
    "test_dns.py",
    "test_loop.py",
    "test_scale.py",
    "test_launcher.py",
    "test_gateway_replicas.py",
)
"""A worker takes one file after the other: with the longest first, all end at the same time. No other order counts."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long files first, then the others of this folder, then those of others; within a file they are as they are."""
    here = Path(__file__).parent
    order = {name: place for place, name in enumerate(LONGEST)}

    def place(item: pytest.Item) -> int:
        return order.get(item.path.name, len(order)) if item.path.is_relative_to(here) else len(order) + 1

    items.sort(key=place)


@pytest.fixture(scope="session")
def running_emulators(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulators]:
    """Mailjet and Cloudflare, once for each worker, and a KMS for the stacks on them (docs/decisions/151-tests-with-a-kms.md)."""
    running = Emulators.start(tmp_path_factory.mktemp("emulators"))
    with kms_server() as key:
        yield replace(running, key=key)
    running.stop()


@pytest.fixture(scope="module")
def emulators(running_emulators: Emulators) -> Emulators:
    """Mailjet and Cloudflare as at their start. Who stops them, or changes more than their services do, starts others."""
    running_emulators.reset()
    return running_emulators


@pytest.fixture(scope="module")
def key(emulators: Emulators) -> KmsKey:
    """What the secrets of stacks on them are encrypted with."""
    assert emulators.key is not None
    return emulators.key


@pytest.fixture
def stack(emulators: Emulators, tmp_path: Path) -> Stack:
    """An empty stack `dev` on freshly reset emulators."""
    emulators.reset()
    return Stack.create(tmp_path, emulators)
