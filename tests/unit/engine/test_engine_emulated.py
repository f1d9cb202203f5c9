"""`dev` follows the emulators' ports, and its committed file stays as it is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from emulators.ports import DEFAULT_PORTS, PortRole
from engine.emulated import FIXED, followed
from engine.stacks import meant
from tests.unit.engine.machines import Machine


def serve(
    machine: Machine,
    mailjet: int,
    cloudflare: int,
    smtp: int,
    platform: int = DEFAULT_PORTS[PortRole.PLATFORM],
    gateway: int = 0,
    api: int = 0,
    inbox: int = 0,
) -> None:
    """As running emulators leave word."""
    file = machine.layout.credentials.with_name("server.json")
    file.parent.mkdir(parents=True)
    served: dict[str, Any] = {
        "mailjet": {"url": f"http://127.0.0.1:{mailjet}", "smtp": {"port": smtp}},
        "cloudflare": {"url": f"http://127.0.0.1:{cloudflare}/client/v4"},
        "platform": {"host": "127.0.0.1", "port": platform},
    }
    if inbox:
        served["inbox"] = {"url": f"http://127.0.0.1:{inbox}"}
    if gateway:
        served["gateway"] = {"port": gateway, "api_url": f"http://127.0.0.1:{api}"}
    file.write_text(json.dumps(served))


def options(machine: Machine, *arguments: str) -> list[str]:
    return followed(machine.layout, arguments, meant(machine.layout, {}, arguments))


def copied(found: list[str]) -> dict[str, Any]:
    assert len(found) == 1
    document: dict[str, Any] = yaml.safe_load(Path(found[0].removeprefix("--config-file=")).read_text())
    return document


FIXED_ROLES = (
    PortRole.MAILJET,
    PortRole.CLOUDFLARE,
    PortRole.SUBMISSION,
    PortRole.PLATFORM,
    PortRole.GATEWAY,
    PortRole.GATEWAY_API,
)
READING = [
    ["up", "--stack", "dev"],
    ["preview", "-s", "dev", "--json"],
    ["destroy", "--refresh", "-ysdev"],
    ["refresh", "--stack=dev"],
    ["config", "--show-secrets", "--json", "--stack", "dev"],
    ["config", "get", "mailjetApiUrl", "--stack", "dev"],
]


@pytest.mark.parametrize("arguments", READING, ids=" ".join)
def test_what_reads_the_configuration_finds_the_real_ports(bare: Machine, arguments: list[str]) -> None:
    serve(bare, 40001, 40002, 40003, 40004, 40005, 40006)
    committed = bare.layout.root / "Pulumi.dev.yaml"
    before = committed.read_text()
    document = copied(options(bare, *arguments))
    real = {
        "cloudflare:baseUrl": "http://127.0.0.1:40002/client/v4",
        "agentmail:mailjetApiUrl": "http://127.0.0.1:40001",
        "agentmail:mailjetSmtpPort": 40003,
        "agentmail:tunnelService": "http://127.0.0.1:40004",
        "agentmail:gatewayPort": 40005,
        "agentmail:gatewayApiUrl": "http://127.0.0.1:40006",
    }
    original = yaml.safe_load(before)
    assert document == {**original, "config": {**original["config"], **real}}
    assert committed.read_text() == before


@pytest.mark.parametrize(
    "arguments",
    [
        ["config", "set", "ttl", "60", "--stack", "dev"],
        ["config", "rm", "ttl", "--stack", "dev"],
        ["up", "--stack", "dev", "-c", "agentmail:ttl=60"],
        ["up", "--stack", "dev", "--config-file", "mine.yaml"],
        ["stack", "output", "--stack", "dev"],
        ["up", "--stack", "prod"],
        ["-C", "/elsewhere", "up", "--stack", "dev"],
        ["up"],
    ],
    ids=" ".join,
)
def test_everything_else_is_left_alone(bare: Machine, arguments: list[str]) -> None:
    serve(bare, 40001, 40002, 40003)
    assert options(bare, *arguments) == []


def test_on_the_fixed_ports_and_without_emulators_there_is_nothing_to_follow(bare: Machine) -> None:
    assert options(bare, *READING[0]) == []
    serve(bare, *(DEFAULT_PORTS[role] for role in FIXED_ROLES))
    assert options(bare, *READING[0]) == []


def test_emulators_of_before_there_was_a_gateway_are_followed_too(bare: Machine) -> None:
    serve(bare, 40001, 40002, 40003)
    config = copied(options(bare, *READING[0]))["config"]
    assert config["agentmail:mailjetSmtpPort"] == 40003
    assert config["agentmail:gatewayPort"] == DEFAULT_PORTS[PortRole.GATEWAY]


def test_a_file_that_config_set_has_written_is_followed_too(bare: Machine) -> None:
    """The CLI writes every number as a text."""
    serve(bare, 40001, 40002, 40003, gateway=40005, inbox=40007)
    file = bare.layout.root / "Pulumi.dev.yaml"
    document = yaml.safe_load(file.read_text())
    document["config"] = {
        key: str(value) if isinstance(value, int) else value for key, value in document["config"].items()
    }
    file.write_text(yaml.safe_dump(document))
    config = copied(options(bare, *READING[0]))["config"]
    assert (config["agentmail:mailjetSmtpPort"], config["agentmail:gatewayPort"]) == (40003, 40005)
    assert config["agentmail:inboxService"] == "http://127.0.0.1:40007"


def test_an_address_of_the_users_own_stays(bare: Machine) -> None:
    serve(bare, 40001, 40002, 40003)
    file = bare.layout.root / "Pulumi.dev.yaml"
    file.write_text(file.read_text().replace("http://127.0.0.1:8810", "http://127.0.0.1:9000"))
    config = copied(options(bare, *READING[0]))["config"]
    assert config["agentmail:mailjetApiUrl"] == "http://127.0.0.1:9000"
    assert config["cloudflare:baseUrl"] == "http://127.0.0.1:40002/client/v4"


def test_the_fixed_addresses_are_the_committed_ones(bare: Machine) -> None:
    config = yaml.safe_load((bare.layout.root / "Pulumi.dev.yaml").read_text())["config"]
    assert {key: config[key] for key in FIXED} == FIXED
