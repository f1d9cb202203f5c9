"""The .env text means the same to a shell and to docker compose, or is refused."""

import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from azmail import MailStack, UnsafeEnvError, render_env
from tests.unit.azmail.conftest import stack_outputs

SAFE = "abcXYZ0189_./:@,+=%-"


def sourced(text: str, folder: Path) -> dict[str, str]:
    """What a shell has after `set -a; . .env`."""
    file = folder / ".env"
    file.write_text(text)
    command = ["/bin/sh", "-c", "set -a; . ./.env; env -0"]
    done = subprocess.run(command, cwd=folder, env={}, capture_output=True, check=True)
    assert done.stderr == b""
    return dict(entry.split("=", 1) for entry in done.stdout.decode().split("\0") if "=" in entry)


def test_the_platform_env_survives_sourcing(tmp_path: Path) -> None:
    env = MailStack(stack_outputs()).platform_env
    text = render_env(env)
    shell = sourced(text, tmp_path)
    assert {name: shell[name] for name in env} == env
    assert text.count("\n") == len(env) == 25


def test_every_allowed_value_survives_sourcing(tmp_path: Path) -> None:
    values = {f"V{n}": character + SAFE + character for n, character in enumerate(SAFE)} | {"EMPTY": ""}
    shell = sourced(render_env(values), tmp_path)
    assert {name: shell[name] for name in values} == values


@given(st.text(max_size=30))
def test_what_is_not_refused_needs_no_quoting(value: str) -> None:
    try:
        text = render_env({"NAME": value})
    except UnsafeEnvError:
        assert set(value) - set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_./:@,+=%-")
    else:
        assert text == f"NAME={value}\n"
        assert not set(value) & set("$#'\"` \t\r\n\\~*?[]{}()<>|&;!^")


@pytest.mark.parametrize(
    "value",
    ["a$b", "a#b", "a b", "'a'", '"a"', "a\nB=c", "`id`", "$(id)", "a\\b", "~", "é", "a;b", "a&b", "a\0b", "\n"],
)
def test_unsafe_values_are_refused_without_being_quoted(value: str) -> None:
    with pytest.raises(UnsafeEnvError) as caught:
        render_env({"FINE": "1", "MAILJET_API_SECRET": f"secret{value}"})
    assert caught.value.names == ("MAILJET_API_SECRET",)
    assert "MAILJET_API_SECRET" in str(caught.value)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("name", ["A B", "", "1A", "A\nB", "A$"])
def test_unsafe_names_are_refused(name: str) -> None:
    with pytest.raises(UnsafeEnvError):
        render_env({name: "1"})
