from __future__ import annotations

import os
from pathlib import Path

import pytest

from engine.cli import Origin, find_cli, find_installed
from engine.errors import GoMissingError
from tests.unit.engine.machines import PULUMI, ROOT, Machine


def test_an_installed_cli_is_used(bare: Machine) -> None:
    path = bare.program("pulumi", PULUMI)
    found = find_cli(bare.layout, bare.environment)
    assert (found.path, found.version, found.origin) == (path, "3.300.1", Origin.INSTALLED)


def test_it_is_asked_for_its_version_once(bare: Machine) -> None:
    bare.program("pulumi", PULUMI)
    find_installed(bare.layout, bare.environment)
    find_installed(bare.layout, bare.environment)
    assert bare.calls() == ["version"]


def test_a_replaced_one_is_asked_again(bare: Machine) -> None:
    bare.program("pulumi", PULUMI)
    find_installed(bare.layout, bare.environment)
    bare.program("pulumi", PULUMI.replace("3.300.1", "3.301.12"))
    found = find_installed(bare.layout, bare.environment)
    assert found is not None
    assert found.version == "3.301.12"


@pytest.mark.parametrize("broken", ["#!/bin/sh\nexit 1\n", "#!/bin/sh\necho hello\n", "#!/nonexistent/sh\n"])
def test_a_program_that_is_no_working_cli_is_passed_over(bare: Machine, broken: str) -> None:
    bare.program("pulumi", broken)
    working = bare.program("pulumi", PULUMI, bare.folder / "second")
    environment = {**bare.environment, "PATH": f"{bare.bin}:{working.parent}"}
    found = find_installed(bare.layout, environment)
    assert found is not None
    assert found.path == working


def test_a_file_that_cannot_be_executed_is_passed_over(bare: Machine) -> None:
    bare.program("pulumi", PULUMI).chmod(0o644)
    assert find_installed(bare.layout, bare.environment) is None


def test_this_clones_launcher_is_no_installed_cli(bare: Machine) -> None:
    (bare.bin / "pulumi").symlink_to(bare.layout.launcher)
    environment = {**bare.environment, "PATH": f"{bare.bin}:{bare.layout.launcher.parent}"}
    assert find_installed(bare.layout, environment) is None


def test_another_clones_launcher_is_no_installed_cli(bare: Machine) -> None:
    (bare.bin / "pulumi").symlink_to(ROOT / "engine" / "pulumi")
    assert find_installed(bare.layout, {**os.environ, **bare.environment}) is None


def test_an_empty_path(bare: Machine) -> None:
    assert find_installed(bare.layout, {}) is None


def test_neither_pulumi_nor_go(bare: Machine, tmp_path: Path) -> None:
    with pytest.raises(GoMissingError, match=r"no `pulumi` and no `go` is on PATH: install Pulumi .* or Go 1\.\d+"):
        find_cli(bare.layout, {"PATH": str(tmp_path)})
