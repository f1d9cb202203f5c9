"""The gateway as a service of the platform's network: nothing published, no secret in an argument, commands that exist."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from azmail.gateway import commands as azmail_commands

ROOT = Path(__file__).parents[3]
COMPOSE = ROOT / "deploy" / "docker-compose.yml"
DOCKERFILE = ROOT / "deploy" / "gateway.Dockerfile"


@pytest.fixture
def service() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(COMPOSE.read_text())["services"]["mail-gateway"]
    return found


def test_it_is_on_the_platforms_network_and_publishes_nothing(service: dict[str, Any]) -> None:
    assert (service["profiles"], service["networks"]) == (["gateway"], ["platform"])
    assert not {"ports", "network_mode", "privileged"} & service.keys()
    assert (service["cap_drop"], service["read_only"]) == (["ALL"], True)


def test_its_name_and_port_are_the_defaults_of_the_configuration(service: dict[str, Any]) -> None:
    declared = yaml.safe_load((ROOT / "Pulumi.yaml").read_text())["config"]
    assert declared["gatewayHost"]["default"] == "mail-gateway"
    assert f"--starttls-port={declared['gatewayPort']['default']}" in service["command"]
    assert f"--name={declared['gatewayHost']['default']}" in service["command"]


def test_its_command_is_one_that_there_is(service: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZMAIL_GATEWAY_FILE", service["environment"]["AZMAIL_GATEWAY_FILE"])
    part, *words = service["command"]
    assert part == "gateway"
    options = azmail_commands._parser().parse_args(words)
    assert (options.starttls_port, options.tls_port, options.http_port, options.host) == (587, 465, 8025, "0.0.0.0")
    assert options.https_port == 8443
    assert str(options.config) == "/run/azmail/gateway.json"


def test_no_secret_is_in_the_file_or_the_image(service: dict[str, Any]) -> None:
    """The file is mounted from a folder that git does not see."""
    assert any(volume.endswith(":/run/azmail:ro") for volume in service["volumes"])
    assert "gateway/" in (ROOT / "deploy" / ".gitignore").read_text().split()
    assert set(service["environment"]) == {
        "AZMAIL_GATEWAY_FILE",
        "AZMAIL_GATEWAY_DATABASE",
        "AZMAIL_INBOX_DATABASE",
    }
    copied = re.findall(r"^COPY (.+) \S+$", DOCKERFILE.read_text(), re.MULTILINE)
    for name in " ".join(copied).split():
        assert (ROOT / name).exists(), name


def test_the_image_holds_what_the_wheel_is_built_from() -> None:
    """`pip install` in the image reads what pyproject.toml names."""
    copied = " ".join(re.findall(r"^COPY (.+) \S+$", DOCKERFILE.read_text(), re.MULTILINE)).split()
    project = (ROOT / "pyproject.toml").read_text()
    assert {"pyproject.toml", "azmail"} <= set(copied)
    for key in ("readme", "license-files"):
        found = re.search(rf'^{key} = \[?"([^"]+)"', project, re.MULTILINE)
        assert found is not None
        assert found[1] in copied


def test_its_health_is_the_gateways_own_word(service: dict[str, Any]) -> None:
    program = service["healthcheck"]["test"]
    assert program[:3] == ["CMD", "python", "-c"]
    compile(program[3], "healthcheck", "exec")
    assert "8025/healthz" in program[3]


def test_compose_itself_accepts_it_where_there_is_one(tmp_path: Path) -> None:
    client = next(
        (
            words
            for words in (["docker", "compose"], ["docker-compose"])
            if shutil.which(words[0]) and subprocess.run([*words, "version"], capture_output=True).returncode == 0
        ),
        None,
    )
    if client is not None:
        done = subprocess.run(
            [*client, "-f", str(COMPOSE), "--profile", "gateway", "--profile", "inbox", "config", "--quiet"],
            env={"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": str(tmp_path)},
            capture_output=True,
            text=True,
        )
        assert (done.returncode, done.stderr) == (0, "")
