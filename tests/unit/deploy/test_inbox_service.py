"""The inbox as services of the platform's network: replicas that store, workers that hand on, commands that exist."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from azmail.inbox import commands as azmail_commands
from commands.environments.draft import INBOX_SERVICE

ROOT = Path(__file__).parents[3]
NAMES = ("mail-inbox", "mail-inbox-worker", "mail-inbox-migrate")


@pytest.fixture
def services() -> dict[str, dict[str, Any]]:
    found = yaml.safe_load((ROOT / "deploy" / "docker-compose.yml").read_text())["services"]
    return {name: found[name] for name in NAMES}


@pytest.mark.parametrize("name", NAMES)
def test_on_the_platforms_network_and_nothing_published(services: dict[str, dict[str, Any]], name: str) -> None:
    service = services[name]
    assert (service["profiles"], service["networks"]) == (["inbox"], ["platform"])
    assert not {"ports", "network_mode", "privileged", "container_name"} & service.keys(), "it can be scaled"
    assert (service["cap_drop"], service["read_only"]) == (["ALL"], True)


@pytest.mark.parametrize("name", NAMES)
def test_their_commands_are_ones_that_there_are(services: dict[str, dict[str, Any]], name: str) -> None:
    part, *words = services[name]["command"]
    assert part == "inbox"
    options = azmail_commands._parser().parse_args(words)
    if name == "mail-inbox":
        assert (options.host, options.port, options.no_workers) == ("0.0.0.0", 8026, True)
        assert f"http://{name}:{options.port}" == INBOX_SERVICE


def test_what_is_stored_for_is_what_is_worked_for(services: dict[str, dict[str, Any]]) -> None:
    serve, work = ([word for word in services[name]["command"] if "--hook" in word] for name in NAMES[:2])
    assert serve == work
    assert services["mail-inbox"]["environment"] == services["mail-inbox-worker"]["environment"]


def test_nobody_serves_before_the_tables_are_there(services: dict[str, dict[str, Any]]) -> None:
    for name in NAMES[:2]:
        assert services[name]["depends_on"] == {"mail-inbox-migrate": {"condition": "service_completed_successfully"}}
    assert services["mail-inbox-migrate"]["restart"] == "no"
