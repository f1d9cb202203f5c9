from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from engine.__main__ import main
from engine.build import built_cli
from engine.layout import layout
from tests.unit.engine.machines import PULUMI, ROOT, Machine

pytestmark = pytest.mark.slow

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
        f"engine: {bare.layout.venv} has no Python; run './mail setup' in {bare.layout.root} to create the virtualenv.\n"
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
    said = subprocess.run([ROOT / "engine" / "pulumi", "version"], env=environment, capture_output=True, text=True)
    assert said.returncode == 1
    assert said.stderr.startswith("engine: no `pulumi` and no `go` is on PATH: install Pulumi")
    assert said.stderr.count("\n") == 1


@pytest.mark.parametrize("variable", ["AGENTMAIL_STATE_DIR", "XDG_CACHE_HOME"])
def test_a_folder_that_cannot_be_written_is_one_sentence(bare: Machine, variable: str) -> None:
    """A file where the folder should be: what also a read-only home amounts to, and true for root as well."""
    blocked = bare.folder / "file"
    blocked.write_text("")
    if variable == "AGENTMAIL_STATE_DIR":
        bare.program("pulumi", SPEAKING)
    else:
        bare.program("go", "#!/bin/sh\n")
    environment = {
        **bare.environment,
        "AGENTMAIL_STATE_DIR": str(bare.folder / "state"),
        "XDG_CACHE_HOME": str(bare.folder / "cache"),
        variable: str(blocked / "deep"),
    }
    said = subprocess.run([ROOT / "engine" / "pulumi", "version"], env=environment, capture_output=True, text=True)
    assert said.returncode == 1
    assert said.stderr.startswith(f"engine: {blocked}/deep")
    assert said.stderr.endswith(f"name one with: export {variable}=FOLDER\n")
    assert said.stderr.count("\n") == 1


def test_a_read_only_home(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def read_only(path: Path, *_: object, **__: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))

    monkeypatch.setattr(Path, "mkdir", read_only)
    monkeypatch.setenv("XDG_CACHE_HOME", "/home/somebody/.cache")
    monkeypatch.setenv("PATH", "/nonexistent")
    assert main(["setup"]) == 1
    assert capsys.readouterr().err == (
        f"engine: {built_cli(layout(os.environ)).parent} cannot be written (Read-only file system); expected a folder of "
        "yours with room; name one with: export XDG_CACHE_HOME=FOLDER\n"
    )


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


def test_about_sees_what_was_installed_since(with_cli: Machine) -> None:
    home = with_cli.folder / "state" / "pulumi-home"
    environment = {**with_cli.environment, "AGENTMAIL_STATE_DIR": str(home.parent)}

    def about() -> str:
        command = [sys.executable, "-m", "engine", "about"]
        return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True).stderr

    assert ": stand-in, because the official one cannot be downloaded" in about()
    directory = home / "plugins" / f"resource-cloudflare-v{version('pulumi_cloudflare')}"
    shutil.rmtree(directory)
    directory.mkdir()
    (directory / "pulumi-resource-cloudflare").write_text("official")
    assert ": official, because it is installed in PULUMI_HOME" in about()


@pytest.mark.parametrize("arguments", [["-v=9", "--logtostderr"], ["-v", "3"], ["--verbose=11"]])
def test_a_log_that_tells_secrets_is_warned_of(with_cli: Machine, arguments: list[str]) -> None:
    said = launch(with_cli, "say", *arguments)
    assert said.returncode == 0
    assert said.stderr.startswith(
        "engine: -v makes the engine log what it does, credentials and configuration in clear"
    )
    assert said.stderr.count("\n") == 1


@pytest.mark.parametrize("arguments", [["up", "--stack", "prod"], ["stack", "init", "prod"]])
def test_a_real_stack_without_a_passphrase_never_reaches_the_cli(with_cli: Machine, arguments: list[str]) -> None:
    said = launch(with_cli, *arguments)
    assert said.returncode == 1
    assert said.stderr.startswith("engine: the stack 'prod' has no passphrase of its own, and this clone's is public")
    assert said.stderr.count("\n") == 1
    assert with_cli.calls() == []


@pytest.mark.parametrize("arguments", [[], ["compile"], ["setup", "now"], ["plugin"]])
def test_usage(arguments: list[str]) -> None:
    said = subprocess.run([sys.executable, "-m", "engine", *arguments], cwd=ROOT, capture_output=True, text=True)
    assert (said.returncode, said.stderr) == (2, "usage: ./mail setup | about\n")
