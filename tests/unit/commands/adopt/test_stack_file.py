"""The stack's configuration file is changed in place."""

from pathlib import Path

import pytest
import yaml

from commands.adopt.errors import ConfigFileError
from commands.adopt.stack_file import change_configuration

TEXT = """\
# Who reads this?
encryptionsalt: v1:abc=:v1:def
config:
  # the domain
  agentmail:domain: dev.agents.example   # ours
  agentmail:ttl: 300
  agentmail:mailjetApiSecret:
    secure: v1:AAAA:BBBB==
  cloudflare:baseUrl: "http://127.0.0.1:1/client/v4"
"""


def test_comments_secrets_and_other_keys_stay(tmp_path: Path) -> None:
    path = tmp_path / "Pulumi.dev.yaml"
    path.write_text(TEXT)
    change_configuration(path, {"spfMechanisms": ["a", "ip4:192.0.2.0/24"], "ttl": None, "spfQualifier": "-"})
    text = path.read_text()
    for line in TEXT.splitlines():
        assert (line in text) is ("ttl" not in line)
    config = yaml.safe_load(text)["config"]
    assert config["agentmail:spfMechanisms"] == ["a", "ip4:192.0.2.0/24"]
    assert config["agentmail:spfQualifier"] == "-"


def test_the_same_change_twice_is_one_change(tmp_path: Path) -> None:
    path = tmp_path / "Pulumi.dev.yaml"
    path.write_text(TEXT)
    change_configuration(path, {"adoptedRecords": [{"name": "mail-spf", "id": "1" * 32, "protected": False}]})
    once = path.read_text()
    change_configuration(path, {"adoptedRecords": [{"name": "mail-spf", "id": "1" * 32, "protected": False}]})
    assert path.read_text() == once
    # Only digits, and still text: YAML must not make a number of an id.
    assert yaml.safe_load(once)["config"]["agentmail:adoptedRecords"][0]["id"] == "1" * 32


def test_mode_and_symbolic_link_survive(tmp_path: Path) -> None:
    real = tmp_path / "real.yaml"
    real.write_text(TEXT)
    real.chmod(0o640)
    link = tmp_path / "Pulumi.dev.yaml"
    link.symlink_to(real)
    change_configuration(link, {"ttl": 600})
    assert link.is_symlink()
    assert real.stat().st_mode & 0o777 == 0o640
    assert yaml.safe_load(real.read_text())["config"]["agentmail:ttl"] == 600


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("config: [", "is no valid YAML"),
        ("- a", "is no mapping"),
        ("config: text", "has a 'config' that is no mapping"),
    ],
)
def test_what_is_no_configuration(tmp_path: Path, text: str, found: str) -> None:
    path = tmp_path / "Pulumi.dev.yaml"
    path.write_text(text)
    with pytest.raises(ConfigFileError, match=found):
        change_configuration(path, {"ttl": 300})
    assert path.read_text() == text


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigFileError, match=r"Pulumi\.none\.yaml does not exist; .* --config-file"):
        change_configuration(tmp_path / "Pulumi.none.yaml", {"ttl": 300})


def test_a_file_without_any_key_gets_one(tmp_path: Path) -> None:
    path = tmp_path / "Pulumi.dev.yaml"
    path.write_text("")
    change_configuration(path, {"ttl": 300})
    assert yaml.safe_load(path.read_text()) == {"config": {"agentmail:ttl": 300}}
