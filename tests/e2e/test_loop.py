"""The closed loop over the embedded default, as `make demo` runs it."""

from __future__ import annotations

import json
import shutil
import socket
from pathlib import Path

import pytest

from tests.e2e.stack import ROOT, Emulators, Stack, python


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@pytest.fixture(scope="module")
def outputs(emulators: Emulators, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The outputs of a stack of three agents whose tunnel leads to a free port."""
    folder = tmp_path_factory.mktemp("loop")
    shutil.copy(ROOT / "tests/fixtures/population-3.json", folder / "population.json")
    stack = Stack.create(folder / "project", emulators)
    stack.configure(
        populations=[{"file": str(folder / "population.json"), "createdAt": "20241005123045"}],
        tunnelService=f"http://127.0.0.1:{free_port()}",
    )
    stack.up()
    (folder / "outputs.json").write_text(json.dumps(stack.outputs()))
    return folder / "outputs.json"


def test_mail_goes_round(outputs, emulators):
    done = python("-m", "commands.demo", "--state-dir", emulators.folder, outputs)
    assert done.out.endswith("The loop is closed: sent, signed, routed, delivered and answered.\n")
    assert [line.split(".")[0] for line in done.out.splitlines() if line[0].isdigit()] == ["1", "2", "3", "4", "5"]
    password = json.loads(outputs.read_text())["platformEnv"]["MAILJET_INBOUND_SECRET"]
    assert password
    assert password not in done.text


def test_a_platform_that_expects_another_secret_hears_nothing(outputs, emulators, tmp_path):
    """The failure is told: the loop does not pass when deliveries are refused."""
    changed = json.loads(outputs.read_text())
    changed["platformEnv"]["MAILJET_INBOUND_SECRET"] = "another-secret-0123456789"
    (tmp_path / "outputs.json").write_text(json.dumps(changed))
    done = python(
        "-m",
        "commands.demo",
        "--patience",
        "3",
        "--state-dir",
        emulators.folder,
        tmp_path / "outputs.json",
        check=False,
    )
    assert done.code == 1
    assert "did not arrive within 3 seconds" in done.err
    assert "Traceback" not in done.text
