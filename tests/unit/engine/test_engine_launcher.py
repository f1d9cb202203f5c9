from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.engine.machines import PULUMI, ROOT, Machine

# Says where and how it was started, then does what its first argument says.
SPEAKING = PULUMI.replace(
    "  *) exit 9 ;;",
    '  "say "*) echo "$PWD|$PULUMI_HOME|$PULUMI_BACKEND_URL|$*" ;;\n  "fail "*) exit 7 ;;\n  *) exit 9 ;;',
)


def launch(
    machine: Machine, *arguments: str, launcher: Path = ROOT / "engine" / "pulumi", cwd: Path = ROOT
) -> subprocess.CompletedProcess[str]:
    environment = {
        **machine.environment,
        "AGENTMAIL_STATE_DIR": str(machine.folder / "state"),
        "AGENTMAIL_CLOUDFLARE_PLUGIN": "stand-in",
        "XDG_CACHE_HOME": str(machine.folder / "cache"),
    }
    return subprocess.run([launcher, *arguments], env=environment, cwd=cwd, capture_output=True, text=True)


@pytest.fixture
def with_cli(bare: Machine) -> Machine:
    bare.program("pulumi", SPEAKING)
    return bare


def test_everything_reaches_the_cli(with_cli: Machine) -> None:
    said = launch(with_cli, "say", "two words", "--flag=*")
    state = with_cli.folder / "state"
    assert said.stdout == f"{ROOT}|{state}/pulumi-home|file://{state}/backend?metadata=skip|say two words --flag=*\n"
    assert (said.returncode, said.stderr) == (0, "")
    assert (state / "backend").is_dir()


def test_the_exit_status_is_the_clis(with_cli: Machine) -> None:
    assert launch(with_cli, "fail").returncode == 7


def test_from_another_folder_and_through_a_link_it_still_runs_in_the_clone(with_cli: Machine) -> None:
    link = with_cli.folder / "link"
    link.symlink_to(os.path.relpath(ROOT / "engine" / "pulumi", with_cli.folder.resolve()))
    said = launch(with_cli, "say", launcher=link, cwd=with_cli.folder)
    assert said.stdout.split("|")[0] == str(ROOT)


def test_a_named_folder_is_relative_to_where_the_user_is(with_cli: Machine) -> None:
    said = launch(with_cli, "say", "-C", "project", cwd=with_cli.folder)
    assert said.stdout.split("|")[0] == str(with_cli.folder)


def test_a_missing_virtualenv_is_one_sentence(bare: Machine) -> None:
    said = launch(bare, "up", launcher=bare.layout.launcher)
    assert said.returncode == 1
    assert said.stderr == (
        f"engine: {bare.layout.venv} has no Python; run 'make setup' in {bare.layout.root} to create the virtualenv.\n"
    )


def test_a_machine_with_neither_pulumi_nor_go_is_one_sentence(bare: Machine) -> None:
    for name in ("sh", "dirname", "readlink"):
        (bare.bin / name).symlink_to(Path("/bin") / name)
    only_a_shell = Machine(bare.folder, bare.layout)
    environment = {
        **only_a_shell.environment,
        "PATH": str(bare.bin),
        "AGENTMAIL_STATE_DIR": str(bare.folder / "state"),
        "XDG_CACHE_HOME": str(bare.folder / "cache"),
    }
    said = subprocess.run([ROOT / "engine" / "pulumi", "up"], env=environment, capture_output=True, text=True)
    assert said.returncode == 1
    assert said.stderr.startswith("engine: no `pulumi` and no `go` is on PATH: install Pulumi")
    assert said.stderr.count("\n") == 1


def test_setup_and_about_say_what_is_used(with_cli: Machine) -> None:
    environment = {
        **with_cli.environment,
        "AGENTMAIL_STATE_DIR": str(with_cli.folder / "state"),
        "AGENTMAIL_CLOUDFLARE_PLUGIN": "stand-in",
    }
    for command in ("setup", "about"):
        said = subprocess.run(
            [sys.executable, "-m", "engine", command], cwd=ROOT, env=environment, capture_output=True, text=True
        )
        assert said.returncode == 0
        assert f"engine: Pulumi 3.300.1, installed: {with_cli.bin}/pulumi\n" in said.stderr
        assert "engine: language host: engine/ (this CLI comes without one)\n" in said.stderr
        assert "stand-in, because AGENTMAIL_CLOUDFLARE_PLUGIN says so\n" in said.stderr


@pytest.mark.parametrize("arguments", [[], ["build"], ["setup", "now"], ["plugin"]])
def test_usage(arguments: list[str]) -> None:
    said = subprocess.run([sys.executable, "-m", "engine", *arguments], cwd=ROOT, capture_output=True, text=True)
    assert (said.returncode, said.stderr) == (2, "usage: python -m engine setup | about\n")
