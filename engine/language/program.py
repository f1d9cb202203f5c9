"""Runs one Pulumi program in a process of its own, as the official `pulumi-language-python-exec` does.

Started as a file, by the Python of the program's own virtualenv, so it imports nothing but Pulumi and the standard
library. Configuration arrives in PULUMI_CONFIG and PULUMI_CONFIG_SECRET_KEYS. Exit status 32 tells the language host
that the user has been shown an error and needs no second one.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import runpy
import sys
import threading
import traceback
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

runpy.run_path(str(Path(__file__).parents[1] / "later.py"))

import pulumi  # noqa: E402
import pulumi.log  # noqa: E402
import pulumi.runtime  # noqa: E402

# The official language host treats this status alike.
ERROR_WAS_SHOWN = 32


class _LoggedErrors:
    """Counts what the program reports with `pulumi.log.error`."""

    def __init__(self) -> None:
        self.count = 0
        self._report = pulumi.log.error

    def report(
        self,
        msg: str,
        resource: pulumi.Resource | None = None,
        stream_id: int | None = None,
        ephemeral: bool | None = None,
    ) -> None:
        self.count += 1
        self._report(msg, resource, stream_id, ephemeral)


def _unsaid(
    msg: str, resource: pulumi.Resource | None = None, stream_id: int | None = None, ephemeral: bool | None = None
) -> None:
    """In the place of `pulumi.log.debug`: the SDK says four things of each resource, every one a call that waits for the
    engine, which drops them unless it was asked for them. A tenth of what an `up` without changes costs."""


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Run a Pulumi program")
    for name in ("project", "stack", "organization", "root_directory", "pwd", "monitor", "engine"):
        parser.add_argument(f"--{name}", default="")
    parser.add_argument("--parallel", type=int, default=0)
    parser.add_argument("--dry_run", choices=["true", "false"], default="false")
    parser.add_argument("--lifeline", type=int)
    parser.add_argument("--debug", action="store_true", help="somebody reads what the SDK says for debugging")
    parser.add_argument("--official", action="store_true", help="fail as pulumi-language-python-exec does")
    parser.add_argument("program")
    parser.add_argument("arguments", nargs=argparse.REMAINDER)
    return parser.parse_args()


def _end_with_language_host(descriptor: int) -> None:
    """The language host holds the other end of this pipe: end-of-file means that nobody waits for this program."""

    def watch() -> None:
        while os.read(descriptor, 4096):
            pass
        os._exit(1)

    threading.Thread(target=watch, name="language-host-lifetime", daemon=True).start()


def _program_traceback(program: str) -> str:
    """The traceback of the exception being handled, without the frames above the user's program."""
    own = _main_file(program)
    frames = traceback.extract_tb(sys.exc_info()[2])
    for index, frame in enumerate(frames):
        if Path(frame.filename).absolute() == own:
            return traceback.format_exc(limit=index - len(frames))
    error = sys.exc_info()[1]
    if isinstance(error, SyntaxError):
        return "".join(traceback.format_exception_only(error))
    return traceback.format_exc()


def _main_file(program: str) -> Path:
    path = Path(program).absolute()
    return path / "__main__.py" if path.is_dir() else path


def _exit_status(ending: SystemExit, logged: _LoggedErrors) -> int:
    """What `sys.exit` in the program means: a text is an error to show, a status stands for itself unless an error
    has been logged, which the engine shows already."""
    if ending.code is None or ending.code == 0:
        return 0
    if isinstance(ending.code, str):
        logged.report(ending.code)
        return ERROR_WAS_SHOWN
    if logged.count:
        return ERROR_WAS_SHOWN
    return ending.code


def _run(program: str, parallel: int, *, official: bool) -> int:
    logged = _LoggedErrors()
    pulumi.log.error = logged.report
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    executor = ThreadPoolExecutor(max_workers=max(parallel, 1) * 4)
    loop.set_default_executor(executor)
    # A program that fails leaves futures behind that nobody observes; asyncio would complain about each.
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)

    def run_program() -> None:
        runpy.run_path(program, run_name="__main__")

    try:
        loop.run_until_complete(pulumi.runtime.run_in_stack(run_program))
    except pulumi.RunError as error:
        logged.report(str(error))
        return 1 if official else ERROR_WAS_SHOWN
    except SystemExit as ending:
        if official:
            raise
        return _exit_status(ending, logged)
    except Exception:  # noqa: BLE001 - whatever the user's program raises is shown to the user
        logged.report(f"Program failed with an unhandled exception:\n{_program_traceback(program)}")
        return ERROR_WAS_SHOWN
    finally:
        executor.shutdown(wait=True)
        loop.close()
        sys.stdout.flush()
        sys.stderr.flush()
    return 0


def main() -> int:
    # The directory of this file is no part of the program's import path.
    here = str(Path(__file__).resolve().parent)
    sys.path[:] = [entry for entry in sys.path if entry != here]
    arguments = _arguments()
    if not (arguments.debug or arguments.official):
        pulumi.log.debug = _unsaid
    if arguments.lifeline is not None:
        _end_with_language_host(arguments.lifeline)
    pulumi.runtime.set_all_config(pulumi.runtime.get_config_env(), pulumi.runtime.get_config_secret_keys_env())
    pulumi.runtime.configure(
        pulumi.runtime.Settings(
            project=arguments.project,
            stack=arguments.stack,
            monitor=arguments.monitor,
            engine=arguments.engine,
            parallel=arguments.parallel,
            dry_run=arguments.dry_run == "true",
            organization=arguments.organization,
            root_directory=arguments.root_directory,
        )
    )
    sys.argv = [arguments.program, *arguments.arguments]
    if arguments.pwd:
        os.chdir(arguments.pwd)
    if not _main_file(arguments.program).is_file():
        pulumi.log.error(f"there is no program {_main_file(arguments.program)}: a Pulumi program starts there.")
        return ERROR_WAS_SHOWN
    return _run(arguments.program, arguments.parallel, official=arguments.official)


if __name__ == "__main__":
    as_official = "--official" in sys.argv
    try:
        status = main()
    except KeyboardInterrupt:
        if as_official:
            raise
        status = 130
    sys.exit(status)
