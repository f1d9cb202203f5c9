"""The sidecar of the tunnel, and how it gets its token."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from commands.environments.files import write_tunnel
from commands.errors import NoTunnelTokenError

ROOT = Path(__file__).parents[3]
COMPOSE = ROOT / "deploy" / "docker-compose.yml"
TOKEN = "eyJhIjoiMDAxMTIyMzMiLCJ0IjoiYWJjIiwicyI6InBsYW50ZWQtc2VjcmV0In0="


def compose_client() -> list[str] | None:
    """The Compose client of this machine, as plugin or as a program of its own."""
    for words in (["docker", "compose"], ["docker-compose"]):
        if shutil.which(words[0]) and subprocess.run([*words, "version"], capture_output=True).returncode == 0:
            return words
    return None


class TestCompose:
    def cloudflared(self) -> dict[str, object]:
        service: dict[str, object] = yaml.safe_load(COMPOSE.read_text())["services"]["cloudflared"]
        return service

    def test_it_runs_only_on_request(self) -> None:
        assert self.cloudflared()["profiles"] == ["cloudflare"]

    def test_the_token_is_in_no_argument_and_in_no_file_of_the_repository(self) -> None:
        assert "token" not in str(self.cloudflared()["command"]).lower()
        assert "environment" not in self.cloudflared()
        assert self.cloudflared()["env_file"] == ["${TUNNEL_ENV_FILE:-tunnel.env}"]
        assert "tunnel.env" in (ROOT / "deploy" / ".gitignore").read_text().split()

    def test_it_joins_the_platform_s_network_and_listens_nowhere(self) -> None:
        document = yaml.safe_load(COMPOSE.read_text())
        assert self.cloudflared()["networks"] == ["platform"]
        assert document["networks"]["platform"]["external"] is True
        assert "ports" not in self.cloudflared()

    def test_the_image_is_of_a_fixed_version(self) -> None:
        assert re.fullmatch(
            r"cloudflare/cloudflared:\$\{CLOUDFLARED_VERSION:-\d{4}\.\d+\.\d+\}", str(self.cloudflared()["image"])
        )

    def test_compose_itself_accepts_it_where_there_is_one(self, tmp_path: Path) -> None:
        """Compose's own check needs its client; the structure is checked above on every machine."""
        client = compose_client()
        if client is None:
            assert set(self.cloudflared()) <= KEYS_OF_A_SERVICE
            return
        environment = tmp_path / "tunnel.env"
        write_tunnel(environment, TOKEN)
        done = subprocess.run(
            [*client, "-f", str(COMPOSE), "--profile", "cloudflare", "config", "--quiet"],
            env={"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": str(tmp_path), "TUNNEL_ENV_FILE": str(environment)},
            capture_output=True,
            text=True,
        )
        assert (done.returncode, done.stderr) == (0, "")


KEYS_OF_A_SERVICE = {
    "profiles",
    "image",
    "command",
    "env_file",
    "networks",
    "restart",
    "healthcheck",
    "read_only",
    "cap_drop",
    "security_opt",
}
"""Those of the Compose specification that this service uses."""


class TestEnvironmentFile:
    def test_token_and_mode(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        path = tmp_path / "tunnel.env"
        path.write_text("TUNNEL_TOKEN=old\n")
        path.chmod(0o644)
        write_tunnel(path, f"{TOKEN}\n")
        assert path.read_text() == f"TUNNEL_TOKEN={TOKEN}\n"
        assert path.stat().st_mode & 0o777 == 0o600
        assert TOKEN not in capsys.readouterr().out

    @pytest.mark.parametrize(
        ("given", "found"), [("", "empty"), ("\n", "empty"), ("[secret] and more of it", "no tunnel token")]
    )
    def test_without_a_token_the_file_stays_as_it_is(self, tmp_path: Path, given: str, found: str) -> None:
        path = tmp_path / "tunnel.env"
        path.write_text("TUNNEL_TOKEN=old\n")
        with pytest.raises(NoTunnelTokenError, match=f"tunnelToken is {found}; expected the token.*apply prod"):
            write_tunnel(path, given, stack="prod")
        assert path.read_text() == "TUNNEL_TOKEN=old\n"
