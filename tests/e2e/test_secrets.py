"""Planted secrets are searched for wherever something could have written them, in every form they travel in."""

from __future__ import annotations

import base64
import shutil
import urllib.parse
from pathlib import Path

import pytest

from tests.e2e.stack import ROOT, Emulators, Stack

SECRET_KEYS = (
    "MAILJET_API_SECRET",
    "MAILJET_INBOUND_SECRET",
    "CLOUDFLARE_API_TOKEN",
    "AGENTMAIL_GATEWAY_ROOTS",
)


def forms(credentials: dict[str, str]) -> dict[str, str]:
    """Every secret as it is, in base64 (alone and as basic authentication, at each alignment) and URL-encoded."""
    found: dict[str, str] = {}
    for name in SECRET_KEYS:
        secret = credentials[name].rpartition(":")[2]
        found[name] = secret
        for user in (f"{credentials['MAILJET_API_KEY']}:", "agentmail-dev:", "", " ", "  "):
            encoded = base64.b64encode((user + secret).encode()).decode()
            # The first and last characters mix with what stands around the secret.
            found[f"{name} in base64 after {user!r}"] = encoded[-(len(secret) * 4 // 3 - 8) : -4]
        found[f"{name} URL-encoded"] = urllib.parse.quote(secret, safe="")
        found[f"{name} percent-encoded"] = "".join(f"%{byte:02X}" for byte in secret.encode())
    return found


@pytest.fixture(scope="module")
def stack(emulators: Emulators, tmp_path_factory: pytest.TempPathFactory) -> Stack:
    folder = tmp_path_factory.mktemp("secrets")
    shutil.copy(ROOT / "tests/fixtures/population-3.json", folder / "population.json")
    made = Stack.create(folder / "project", emulators, population=folder / "population.json")
    made.configure(
        populations=[{"file": str(folder / "population.json"), "createdAt": "20241005123045"}], inboundAuth="basic"
    )
    return made


def assert_clean(text: str, secrets: dict[str, str], where: str) -> None:
    hits = [name for name, form in secrets.items() if form in text]
    assert not hits, f"{hits} in {where}"


def assert_no_argument_shows(secrets: dict[str, str]) -> None:
    """In the list of processes."""
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = process.read_bytes().decode("utf-8", "replace")
        except OSError:
            continue  # ended since the listing
        assert_clean(command, secrets, f"the arguments of {process.parent.name}")


def everything_written(stack: Stack) -> dict[str, str]:
    """Every file of the project and its backend: state, its backups, history, configuration."""
    files = [path for path in stack.folder.rglob("*") if path.is_file() and not path.is_symlink()]
    return {str(path): path.read_bytes().decode("utf-8", "replace") for path in files}


def drift(emulators: Emulators) -> None:
    route = emulators.routes()[0]
    emulators.mailjet("DELETE", f"/v3/REST/parseroute/{route['ID']}").raise_for_status()


def test_no_secret_is_written_or_shown(stack: Stack, emulators: Emulators) -> None:
    secrets = forms(emulators.credentials)
    rotated = {"MAILJET_INBOUND_SECRET": "Rotated" + emulators.credentials["MAILJET_INBOUND_SECRET"][7:]}
    secrets |= {f"rotated {name}": form for name, form in forms(emulators.credentials | rotated).items()}

    shown = {
        "the first preview": stack.preview("--diff").text,
        "the first preview as JSON": stack.preview("--json").text,
        "the first up": stack.up("--diff").text,
        "the preview of a rotation": stack.preview("--diff", check=True, **rotated).text,
        "the rotation": stack.up("--diff", check=True, **rotated).text,
        "a refresh": stack.pulumi(
            "refresh", "--stack", stack.name, "--yes", "--skip-preview", "--diff", check=True, **rotated
        ).text,
        "the outputs": stack.pulumi("stack", "output", "--stack", stack.name, "--json").text,
        "the export": stack.pulumi("stack", "export", "--stack", stack.name).text,
    }
    drift(emulators)
    shown["a refresh that sees drift"] = stack.pulumi(
        "refresh", "--stack", stack.name, "--yes", "--skip-preview", "--diff", check=True, **rotated
    ).text
    shown["the up that mends it"] = stack.up("--diff", check=True, **rotated).text
    wrong = {**rotated, "MAILJET_API_KEY": "0" * 32}
    shown["a refused key"] = stack.up("--refresh", check=False, **wrong).text
    shown["the destroy"] = stack.destroy("--diff").text

    for where, text in shown.items():
        assert_clean(text, secrets, where)
    for where, text in everything_written(stack).items():
        assert_clean(text, secrets, where)


def test_the_search_finds_what_is_planted(emulators: Emulators) -> None:
    secrets = forms(emulators.credentials)
    header = base64.b64encode(
        f"{emulators.credentials['MAILJET_API_KEY']}:{emulators.credentials['MAILJET_API_SECRET']}".encode()
    )
    with pytest.raises(AssertionError, match="in base64"):
        assert_clean(f"Authorization: Basic {header.decode()}", secrets, "a header")
    with pytest.raises(AssertionError, match="MAILJET_INBOUND_SECRET"):
        assert_clean(f"https://u:{emulators.credentials['MAILJET_INBOUND_SECRET']}@h/p", secrets, "a URL")


def test_no_process_argument_holds_a_secret(stack: Stack, emulators: Emulators) -> None:
    """While an up runs, no command line on this machine has a secret in it."""
    import subprocess

    secrets = forms(emulators.credentials)
    environment = stack.environment
    running = subprocess.Popen(
        [
            ROOT / "engine/pulumi",
            "-C",
            stack.folder,
            "up",
            "--stack",
            stack.name,
            "--yes",
            "--skip-preview",
            "--non-interactive",
        ],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.DEVNULL,
    )
    looks = 0
    while running.poll() is None:
        assert_no_argument_shows(secrets)
        looks += 1
    assert running.returncode == 0
    assert looks > 3
