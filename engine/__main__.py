"""`./mail setup | about`: make the Pulumi CLI and its plugins ready, and say which ones are used.

`run ARGS` is what `engine/pulumi` calls, `plugin NAME ARGS` what the plugins in PULUMI_HOME call, `build` what `side_by_side.py` does.
"""

from __future__ import annotations

import errno
import os
import runpy
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import NoReturn

if not __package__:
    # Started as a file: the clone's root, not this directory, is what modules are imported from.
    _here = Path(__file__).resolve().parent
    sys.path[:] = [str(_here.parent), *(entry for entry in sys.path if entry != str(_here))]

from engine.errors import EngineError
from engine.progress import say


def main(arguments: list[str]) -> int:
    command, rest = (arguments[0], arguments[1:]) if arguments else ("", [])
    if command == "plugin" and rest:
        return _plugin(rest[0], rest[1:])
    # A signal that ends this process must also end the compilers it started.
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _leave)
    try:
        if command == "run":
            _run(rest)
        if command == "build" and not rest:
            return _build()
        if command in ("setup", "about") and not rest:
            # A second look costs little: what a person has installed since must be seen by both.
            return _describe()
    except EngineError as error:
        say(str(error))
        return 1
    except OSError as error:
        if error.errno not in _UNWRITABLE or not error.filename:
            raise
        say(str(_folder_error(error)))
        return 1
    except KeyboardInterrupt:
        say("interrupted")
        return 130
    print("usage: ./mail setup | about", file=sys.stderr)
    return 2


# A read-only home, somebody else's folder, a file in a folder's place, a full disk.
_UNWRITABLE = (errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.EEXIST, errno.ENOSPC, errno.EDQUOT)


def _folder_error(error: OSError) -> EngineError:
    """Which folder is meant, and the variable that names another."""
    from engine.errors import FolderError
    from engine.layout import layout

    here = layout(os.environ)
    path = Path(os.fsdecode(error.filename))
    variable = "XDG_CACHE_HOME" if path.is_relative_to(here.cache.parent) else "AGENTMAIL_STATE_DIR"
    if not here.private_home and path.is_relative_to(here.home):
        variable = "PULUMI_HOME"
    return FolderError(str(path), error.strerror or "unknown", variable)


def _leave(number: int, _frame: FrameType | None) -> NoReturn:
    sys.exit(128 + number)


def _run(arguments: list[str]) -> NoReturn:
    from engine.arguments import names_directory, runs_program
    from engine.emulated import followed
    from engine.environment import cli_environment
    from engine.layout import layout
    from engine.setup import ensure_engine
    from engine.versions import PROBE

    if PROBE in os.environ:
        sys.exit("this is the launcher of a clone, no Pulumi CLI")
    here = layout(os.environ)
    environment = cli_environment(here, os.environ, arguments)
    if environment.refused is not None:
        raise environment.refused
    _warn_of_logs(arguments)
    engine = ensure_engine(here, os.environ, on_loopback=not runs_program(arguments) or environment.on_loopback)
    if environment.embedded:
        here.backend.mkdir(parents=True, exist_ok=True)
    if not names_directory(arguments):
        os.chdir(here.root)
    # Python ignores these two, and an ignored signal stays ignored in the program that is executed.
    for number in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_DFL)
    # First, since after `--` nothing is an option.
    command = ["pulumi", *followed(here, arguments, environment.meant), *arguments]
    os.execve(engine.cli.path, command, environment.variables)  # noqa: S606


def _warn_of_logs(arguments: list[str]) -> None:
    from engine.arguments import log_level

    if log_level(arguments):
        say(
            "-v makes the engine log what it does, credentials and configuration in clear among it; keep that log to "
            "yourself, and rotate the secrets of one that was shared"
        )


def _build() -> int:
    from engine.cli import find_cli
    from engine.layout import layout

    find_cli(layout(os.environ), os.environ)
    return 0


def _describe() -> int:
    from engine.layout import layout
    from engine.setup import OWN, ensure_engine

    here = layout(os.environ)
    engine = ensure_engine(here, os.environ, look_again=True)
    cloudflare = engine.cloudflare
    hosts = {"language host": engine.language_host, "dynamic providers": engine.dynamic_host}
    say(f"Pulumi {engine.cli.version}, {engine.cli.origin}: {engine.cli.path}")
    for role, host in hosts.items():
        say(f"{role}: {'engine/ (this CLI comes without one)' if host == OWN else host}")
    say(f"Cloudflare plugin v{cloudflare.version}: {cloudflare.source}, because {cloudflare.because}")
    say(f"PULUMI_HOME: {here.home}")
    return 0


def _plugin(name: str, arguments: list[str]) -> int:
    if name == "pulumi-python":
        _dynamic_host(arguments)
    from engine.protocol import without_the_sdk

    without_the_sdk()
    # Standard error is shown to the user: the transport has nothing to tell there but errors.
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
    if name == "python":
        from engine.language.host import serve

        serve(arguments)
    elif name == "cloudflare":
        from engine.cloudflare.__main__ import main as serve_cloudflare

        serve_cloudflare(arguments)
    else:
        say(f"there is no plugin '{name}' in engine/")
        return 2
    return 0


def _dynamic_host(arguments: list[str]) -> NoReturn:
    from engine.language.virtualenv import interpreter

    # The engine passes runtime options of Pulumi.yaml to plugins this way; paths are relative to the project.
    chosen = interpreter(str(Path.cwd()), os.environ.get("PULUMI_RUNTIME_VIRTUALENV", ""))
    host = str(Path(__file__).resolve().parent / "dynamic_host.py")
    if chosen.python.parent.resolve() == Path(sys.executable).parent.resolve():
        # This Python is the one, as in every clone of this project: it need not begin once more.
        os.environ.update(chosen.environment(os.environ))
        sys.argv[:] = [host, *arguments]
        del sys.path[0]
        for name in [name for name in sys.modules if name.partition(".")[0] == "engine"]:
            del sys.modules[name]
        runpy.run_path(host, run_name="__main__")
        sys.exit()
    command = [str(chosen.python), "-u", host, *arguments]
    os.execve(chosen.python, command, chosen.environment(os.environ))  # noqa: S606


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
