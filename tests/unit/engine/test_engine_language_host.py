"""The language host over gRPC, started as the engine starts it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

import grpc
import pytest
from google.protobuf.empty_pb2 import Empty
from google.protobuf.struct_pb2 import Struct
from pulumi.runtime.proto import language_pb2, language_pb2_grpc

from engine.language.host import install_commands, program_arguments
from tests.processes import killed_at_the_end
from tests.unit.engine.machines import ROOT

SECONDS = 20


@contextmanager
def started() -> Iterator[tuple[subprocess.Popen[str], int]]:
    """A language host and its port."""
    main = str(ROOT / "engine" / "__main__.py")
    command = [sys.executable, "-u", main, "plugin", "python", "-v=9", "127.0.0.1:9"]
    pipe = subprocess.PIPE
    with killed_at_the_end(subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True)) as running:
        assert running.stdout is not None
        yield running, int(running.stdout.readline())


@pytest.fixture(scope="module")
def host() -> Iterator[language_pb2_grpc.LanguageRuntimeStub]:
    with started() as (_, port), grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield language_pb2_grpc.LanguageRuntimeStub(channel)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with a virtualenv whose packages are of this test's making."""
    packages = tmp_path / "venv" / "lib" / "python3.11" / "site-packages"
    (tmp_path / "venv" / "bin").mkdir(parents=True)
    (tmp_path / "venv" / "bin" / "python").symlink_to(sys.executable)
    for name, number, described in (
        ("pulumi", "3.1.0", None),
        ("pulumi_cloudflare", "6.1.0", {"resource": True, "name": "cloudflare", "version": "6.1.0"}),
        ("pulumi-random", "4.2.0", {"resource": True}),
        ("pulumi-elsewhere", "1.0.0", {"resource": True, "version": "v1.2.3", "server": "https://example.com"}),
        ("pulumi-policy", "1.9.0", {"resource": False}),
        ("requests", "2.0.0", {"resource": True}),
    ):
        directory = packages / f"{name.replace('-', '_')}-{number}.dist-info"
        directory.mkdir(parents=True)
        (directory / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {number}\n")
        if described is not None:
            module = packages / name.replace("-", "_")
            module.mkdir()
            (module / "pulumi-plugin.json").write_text(json.dumps(described))
    return tmp_path


def info(project: Path, virtualenv: str = "venv") -> language_pb2.ProgramInfo:
    options = Struct()
    options.update({"virtualenv": virtualenv})
    return language_pb2.ProgramInfo(
        root_directory=str(project), program_directory=str(project), entry_point=".", options=options
    )


def test_handshake_and_plugin_info(host: language_pb2_grpc.LanguageRuntimeStub) -> None:
    host.Handshake(language_pb2.LanguageHandshakeRequest(engine_address="127.0.0.1:9"), timeout=SECONDS)
    assert host.GetPluginInfo(Empty(), timeout=SECONDS).version == "1.0.0"


def test_required_packages_are_those_that_installed_pulumi_packages_name(
    host: language_pb2_grpc.LanguageRuntimeStub, project: Path
) -> None:
    request = language_pb2.GetRequiredPackagesRequest(info=info(project))
    found = host.GetRequiredPackages(request, timeout=SECONDS).packages
    assert [(each.kind, each.name, each.version, each.server) for each in found] == [
        ("resource", "cloudflare", "v6.1.0", ""),
        ("resource", "elsewhere", "v1.2.3", "https://example.com"),
        ("resource", "random", "v4.2.0", ""),
    ]
    older = host.GetRequiredPlugins(language_pb2.GetRequiredPluginsRequest(info=info(project)), timeout=SECONDS).plugins
    assert [each.name for each in older] == ["cloudflare", "elsewhere", "random"]


def test_dependencies(host: language_pb2_grpc.LanguageRuntimeStub, project: Path) -> None:
    request = language_pb2.GetProgramDependenciesRequest(info=info(project), transitiveDependencies=True)
    found = {each.name: each.version for each in host.GetProgramDependencies(request, timeout=SECONDS).dependencies}
    assert found["pulumi"] == "3.1.0"
    assert found["requests"] == "2.0.0"


def test_this_virtualenv_needs_the_cloudflare_plugin_of_its_sdk(host: language_pb2_grpc.LanguageRuntimeStub) -> None:
    request = language_pb2.GetRequiredPackagesRequest(info=info(ROOT, sys.prefix))
    found = {each.name: each.version for each in host.GetRequiredPackages(request, timeout=SECONDS).packages}
    assert found["cloudflare"] == f"v{version('pulumi_cloudflare')}"


def test_about_names_the_programs_python(host: language_pb2_grpc.LanguageRuntimeStub, project: Path) -> None:
    said = host.About(language_pb2.AboutRequest(info=info(project)), timeout=SECONDS)
    assert said.executable == str(project / "venv" / "bin" / "python")
    assert said.version == "{}.{}.{}".format(*sys.version_info[:3])


def test_a_missing_virtualenv_is_one_sentence(host: language_pb2_grpc.LanguageRuntimeStub, tmp_path: Path) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        host.GetRequiredPackages(language_pb2.GetRequiredPackagesRequest(info=info(tmp_path)), timeout=SECONDS)
    assert caught.value.code() is grpc.StatusCode.FAILED_PRECONDITION
    assert caught.value.details().startswith(
        f"the 'virtualenv' option in Pulumi.yaml is 'venv', but {tmp_path}/venv is no"
    )


def test_code_generation_is_refused_with_the_way_around(host: language_pb2_grpc.LanguageRuntimeStub) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        host.GenerateProgram(language_pb2.GenerateProgramRequest(), timeout=SECONDS)
    assert "--generate-code=false" in caught.value.details()


def test_installing_dependencies_streams_what_pip_says(
    host: language_pb2_grpc.LanguageRuntimeStub, project: Path
) -> None:
    python = project / "venv" / "bin" / "python"
    python.unlink()
    python.write_text('#!/bin/sh\necho "$@"\nexit $(cat status)\n')
    python.chmod(0o755)
    (project / "requirements.txt").touch()
    (project / "status").write_text("0")
    request = language_pb2.InstallDependenciesRequest(directory=str(project), info=info(project))
    said = b"".join(each.stdout for each in host.InstallDependencies(request, timeout=SECONDS))
    assert said == b"-m pip install -r requirements.txt\n"
    (project / "status").write_text("3")
    with pytest.raises(grpc.RpcError) as caught:
        list(host.InstallDependencies(request, timeout=SECONDS))
    assert "ended with 3" in caught.value.details()


def test_install_commands_create_a_missing_virtualenv_first(tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").touch()
    assert install_commands(info(tmp_path)) == [
        [sys.executable, "-m", "venv", f"{tmp_path}/venv"],
        [f"{tmp_path}/venv/bin/python", "-m", "pip", "install", "-r", "requirements.txt"],
    ]


def test_a_programs_command_line() -> None:
    request = language_pb2.RunRequest(
        project="p", stack="s", pwd="/p", args=["--mine"], dryRun=True, parallel=8, monitor_address="127.0.0.1:1",
        info=language_pb2.ProgramInfo(root_directory="/p", program_directory="/p/program", entry_point="."),
    )  # fmt: skip
    spelled = [
        "--monitor", "127.0.0.1:1", "--engine", "127.0.0.1:2", "--project", "p", "--root_directory", "/p", "--stack", "s",
        "--pwd", "/p", "--dry_run", "true", "--parallel", "8", "--organization", "organization",
    ]  # fmt: skip
    assert program_arguments(request, "127.0.0.1:2") == [*spelled, "/p/program", "--mine"]
    assert program_arguments(request, "127.0.0.1:2", as_official=True) == [*spelled, ".", "--mine"]


def test_configuration_is_no_argument() -> None:
    """Arguments are visible to every user of the machine."""
    request = language_pb2.RunRequest(config={"p:token": "planted"}, configSecretKeys=["p:token"])
    assert "planted" not in " ".join(program_arguments(request, ""))


def test_the_host_ends_when_its_engine_does() -> None:
    with started() as (running, _):
        assert running.stdin is not None
        running.stdin.close()
        assert running.wait(SECONDS) == 0


@pytest.mark.slow
def test_the_host_ends_quietly_when_interrupted() -> None:
    with started() as (running, _):
        running.send_signal(signal.SIGINT)
        assert running.wait(SECONDS) == 0
        assert running.stderr is not None
        assert running.stderr.read() == ""
