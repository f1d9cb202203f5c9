# ruff: noqa: N802, ARG002 - names and signatures are those of the gRPC service.
"""The gRPC service that the engine calls a language host: it starts programs and says what they need."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
from google.protobuf.empty_pb2 import Empty
from pulumi.runtime._grpc_settings import _GRPC_CHANNEL_OPTIONS
from pulumi.runtime.proto import LanguageRuntimeServicer, language_pb2, language_pb2_grpc, plugin_pb2

from engine import lifetime, official
from engine.errors import EngineError
from engine.language import packages
from engine.language.virtualenv import Interpreter, interpreter

VERSION = "1.0.0"

# As engine/language/program.py has it, which imports the SDK that this process does without.
ERROR_WAS_SHOWN = 32
_PROGRAM = Path(__file__).with_name("program.py")
_CANCEL_GRACE_SECONDS = 3.0


class PythonLanguageHost(LanguageRuntimeServicer):
    """Serves one engine. Every program runs in a process of its own, which ends when this one does."""

    def __init__(self, engine_address: str) -> None:
        self._engine_address = engine_address
        self._programs = _Programs()

    def Handshake(
        self, request: language_pb2.LanguageHandshakeRequest, context: grpc.ServicerContext
    ) -> language_pb2.LanguageHandshakeResponse:
        self._engine_address = request.engine_address or self._engine_address
        return language_pb2.LanguageHandshakeResponse()

    def GetPluginInfo(self, request: Empty, context: grpc.ServicerContext) -> plugin_pb2.PluginInfo:
        return plugin_pb2.PluginInfo(version=VERSION)

    def GetRequiredPackages(
        self, request: language_pb2.GetRequiredPackagesRequest, context: grpc.ServicerContext
    ) -> language_pb2.GetRequiredPackagesResponse:
        found = _interpreter(request.info, context).site_packages()
        return language_pb2.GetRequiredPackagesResponse(
            packages=[
                plugin_pb2.PackageDependency(
                    name=plugin.name, kind="resource", version=plugin.version, server=plugin.server
                )
                for plugin in packages.required_plugins(found)
            ]
        )

    def GetRequiredPlugins(
        self, request: language_pb2.GetRequiredPluginsRequest, context: grpc.ServicerContext
    ) -> language_pb2.GetRequiredPluginsResponse:
        found = _interpreter(request.info, context).site_packages()
        return language_pb2.GetRequiredPluginsResponse(
            plugins=[
                plugin_pb2.PluginDependency(
                    name=plugin.name, kind="resource", version=plugin.version, server=plugin.server
                )
                for plugin in packages.required_plugins(found)
            ]
        )

    def Run(self, request: language_pb2.RunRequest, context: grpc.ServicerContext) -> language_pb2.RunResponse:
        python = _interpreter(request.info, context)
        status = self._programs.run(
            python,
            program_arguments(request, self._engine_address, as_official=official.manners()),
            request.info.program_directory if official.manners() else None,
            {
                "PULUMI_CONFIG": json.dumps(dict(request.config)),
                "PULUMI_CONFIG_SECRET_KEYS": json.dumps(list(request.configSecretKeys)),
            },
            when_nobody_waits=context.add_callback,
        )
        if status is None or status == ERROR_WAS_SHOWN:
            return language_pb2.RunResponse(bail=True)
        if status < 0:
            return language_pb2.RunResponse(
                error=f"Program ended by signal {signal.Signals(-status).name} before it was done"
            )
        if status > 0:
            return language_pb2.RunResponse(error=f"Program exited with non-zero exit code: {status}")
        return language_pb2.RunResponse()

    def About(self, request: language_pb2.AboutRequest, context: grpc.ServicerContext) -> language_pb2.AboutResponse:
        python = _interpreter(request.info, context)
        return language_pb2.AboutResponse(
            executable=str(python.python),
            version=python.version(),
            metadata={"languageHost": f"engine/language {VERSION}"},
        )

    def GetProgramDependencies(
        self, request: language_pb2.GetProgramDependenciesRequest, context: grpc.ServicerContext
    ) -> language_pb2.GetProgramDependenciesResponse:
        found = packages.installed(_interpreter(request.info, context).site_packages())
        return language_pb2.GetProgramDependenciesResponse(
            dependencies=[language_pb2.DependencyInfo(name=each.name, version=each.version) for each in found]
        )

    def RuntimeOptionsPrompts(
        self, request: language_pb2.RuntimeOptionsRequest, context: grpc.ServicerContext
    ) -> language_pb2.RuntimeOptionsResponse:
        return language_pb2.RuntimeOptionsResponse()

    def InstallDependencies(
        self, request: language_pb2.InstallDependenciesRequest, context: grpc.ServicerContext
    ) -> Iterator[language_pb2.InstallDependenciesResponse]:
        for command in install_commands(request.info):
            with subprocess.Popen(  # noqa: S603
                command, cwd=request.info.program_directory, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
            ) as running:
                assert running.stdout is not None  # noqa: S101
                for line in running.stdout:
                    yield language_pb2.InstallDependenciesResponse(stdout=line)
            if running.returncode:
                context.abort(grpc.StatusCode.INTERNAL, f"`{' '.join(command)}` ended with {running.returncode}")

    def GenerateProgram(
        self, request: language_pb2.GenerateProgramRequest, context: grpc.ServicerContext
    ) -> language_pb2.GenerateProgramResponse:
        context.abort(
            grpc.StatusCode.UNIMPLEMENTED,
            "this language host writes no Python code; add --generate-code=false to the command",
        )
        raise NotImplementedError

    def Cancel(self, request: Empty, context: grpc.ServicerContext) -> Empty:
        self._programs.end()
        return Empty()

    def end(self) -> None:
        self._programs.kill()


class _Programs:
    """The running programs. Each inherits the read end of a pipe whose write end lives in this process only."""

    def __init__(self) -> None:
        # One signal may arrive while another one's handler holds it.
        self._lock = threading.RLock()
        self._running: set[subprocess.Popen[bytes]] = set()
        self._cancelled = False
        self._official = official.manners()
        self._lifeline, self._held = os.pipe()
        os.set_inheritable(self._lifeline, True)

    def run(
        self,
        python: Interpreter,
        arguments: Sequence[str],
        folder: str | None,
        config: dict[str, str],
        *,
        when_nobody_waits: Callable[[Callable[[], None]], object],
    ) -> int | None:
        """Run a program to its end; None if it was cancelled, else its exit status.

        `folder`: where it starts, if not where this process is. `when_nobody_waits` registers what is to be done once the
        engine has given up on the answer.
        """
        # The official host leaves its programs to themselves when it is killed.
        own = ["--official"] if self._official else ["--lifeline", str(self._lifeline)]
        if os.environ.get("AGENTMAIL_ENGINE_DEBUG"):
            own.append("--debug")
        command = [str(python.python), "-u", str(_PROGRAM), *own, *arguments]
        with self._lock:
            if self._cancelled:
                return None
            program = subprocess.Popen(  # noqa: S603
                command,
                stdin=subprocess.DEVNULL,
                cwd=folder or None,
                env=python.environment(os.environ) | config,
                pass_fds=(self._lifeline,),
            )
            self._running.add(program)
        if self._official:
            when_nobody_waits(lambda: self._interrupt(program))
        try:
            status = program.wait()
        finally:
            with self._lock:
                self._running.discard(program)
        return None if self._cancelled else status

    def _interrupt(self, program: subprocess.Popen[bytes]) -> None:
        """As the official host does, at whatever the program is just doing; one that has ended is left alone."""
        with self._lock:
            if program in self._running:
                program.send_signal(signal.SIGINT)

    def end(self) -> None:
        """Ask every program to end, and make those end that do not."""
        with self._lock:
            self._cancelled = True
            running = list(self._running)
        for program in running:
            program.send_signal(signal.SIGINT if self._official else signal.SIGTERM)
        if running:
            timer = threading.Timer(_CANCEL_GRACE_SECONDS, self.kill)
            timer.daemon = True
            timer.start()

    def kill(self) -> None:
        with self._lock:
            running = list(self._running)
        for program in running:
            program.kill()


def program_arguments(request: language_pb2.RunRequest, engine_address: str, *, as_official: bool = False) -> list[str]:
    """The command line for `program.py`, spelled as the official host spells that of its own.

    `as_official`: the program as the engine names it, relative to its folder, which the process starts in.
    """
    info = request.info
    program = str(Path(info.program_directory) / info.entry_point) if info.program_directory else request.program or "."
    if as_official:
        program = info.entry_point or "."
    named = {
        "monitor": request.monitor_address,
        "engine": engine_address,
        "project": request.project,
        "root_directory": info.root_directory,
        "stack": request.stack,
        "pwd": request.pwd,
        "dry_run": "true" if request.dryRun else "false",
        "parallel": str(request.parallel),
        "organization": request.organization or "organization",
    }
    options = [word for name, value in named.items() if value for word in (f"--{name}", value)]
    return [*options, program, *request.args]


def install_commands(info: language_pb2.ProgramInfo) -> list[list[str]]:
    """What makes the virtualenv of a project ready: create it where missing, install requirements.txt."""
    commands = []
    named = _virtualenv_option(info)
    python = sys.executable
    if named:
        path = Path(info.root_directory) / named
        python = str(path / "bin" / "python")
        if not Path(python).exists():
            commands.append([sys.executable, "-m", "venv", str(path)])
    if (Path(info.program_directory) / "requirements.txt").is_file():
        commands.append([python, "-m", "pip", "install", "-r", "requirements.txt"])
    return commands


def _virtualenv_option(info: language_pb2.ProgramInfo) -> str:
    value = info.options.fields.get("virtualenv")
    return value.string_value if value is not None else ""


def _interpreter(info: language_pb2.ProgramInfo, context: grpc.ServicerContext) -> Interpreter:
    try:
        return interpreter(info.root_directory, _virtualenv_option(info))
    except EngineError as error:
        context.abort(grpc.StatusCode.FAILED_PRECONDITION, str(error))
        raise


def serve(arguments: Sequence[str]) -> None:
    """Serve until the engine ends; `arguments` are those of the engine: flags, then its address."""
    address = arguments[-1] if arguments and not arguments[-1].startswith("-") else ""
    host = PythonLanguageHost(address)
    server = grpc.server(ThreadPoolExecutor(max_workers=8), options=_GRPC_CHANNEL_OPTIONS)
    language_pb2_grpc.add_LanguageRuntimeServicer_to_server(host, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()

    def leave(*_: Any) -> None:
        host.end()
        os._exit(0)

    _on_signals(leave)
    lifetime.when_engine_ends(leave)
    sys.stdout.write(f"{port}\n")
    sys.stdout.flush()
    server.wait_for_termination()


def _on_signals(leave: Callable[..., None]) -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, leave)
