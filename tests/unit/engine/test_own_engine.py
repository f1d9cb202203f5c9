"""The engine that the tests of the stand-ins bring along: without official hosts, whatever the machine has."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from engine.cli import find_cli
from engine.layout import layout
from engine.plugins import DYNAMIC_HOST, LANGUAGE_HOST, official_host
from tests.e2e.own_engine import HOSTS, without_official_hosts


@pytest.mark.parametrize("beside", [HOSTS, HOSTS[:1], ()])
def test_no_official_host_is_found(tmp_path: Path, beside: tuple[str, ...]) -> None:
    installed, elsewhere = tmp_path / "installed", tmp_path / "elsewhere"
    for folder, names in ((installed, ("pulumi", *beside)), (elsewhere, HOSTS)):
        folder.mkdir()
        for name in names:
            (folder / name).write_text("#!/bin/sh\necho v3.259.0\n")
            (folder / name).chmod(0o755)
    environment = {"PATH": f"{installed}:{elsewhere}:/usr/bin:/bin", "AGENTMAIL_STATE_DIR": str(tmp_path / "state")}
    environment |= without_official_hosts(tmp_path / "cli", environment)
    cli = find_cli(layout(environment), environment)
    assert cli.version == "3.259.0"
    assert [official_host(host, cli, environment) for host in (LANGUAGE_HOST, DYNAMIC_HOST)] == [None, None]
    assert shutil.which("sh", path=environment["PATH"])
    assert str(elsewhere) not in environment["PATH"].split(os.pathsep)
