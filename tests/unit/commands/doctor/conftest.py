"""Emulators for the tests of this folder, and a stack that is up on them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from emulators.embedded import EmbeddedMailjet
from tests.unit.commands.doctor.world import Up, bring_up
from tests.unit.emulators.cloudflare_fixtures import EmulatedCloudflare, running


@pytest.fixture(scope="session")
def _cloudflare(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmulatedCloudflare]:
    with running(tmp_path_factory.mktemp("cloudflare")) as world:
        yield world


@pytest.fixture(scope="session")
def _mailjet(tmp_path_factory: pytest.TempPathFactory, _cloudflare: EmulatedCloudflare) -> Iterator[EmbeddedMailjet]:
    name_server = _cloudflare.name_server
    folder = tmp_path_factory.mktemp("mailjet")
    with EmbeddedMailjet(folder, dns=(name_server.host, name_server.port)) as emulator:
        yield emulator


@pytest.fixture
def cloudflare(_cloudflare: EmulatedCloudflare) -> EmulatedCloudflare:
    """The seeded zone."""
    _cloudflare.emulator.reset()
    return _cloudflare


@pytest.fixture
def mailjet(_mailjet: EmbeddedMailjet) -> EmbeddedMailjet:
    """An empty account with quickly made keys."""
    _mailjet.control.reset()
    _mailjet.control.switches(dkim_bits=1024)
    return _mailjet


@pytest.fixture
def up(cloudflare: EmulatedCloudflare, mailjet: EmbeddedMailjet) -> Up:
    """A stack that is up."""
    return bring_up(cloudflare, mailjet)
