"""Python processes that begin with their packages imported: how the end-to-end tests pay for imports once.

An engine command starts six Pythons, each of which spends most of its life importing the same packages. The tests run the
project from a copy whose `.venv/bin/python` is a small program (`stub.c`): it hands its arguments, environment, folder and open files to a
server (`server.py`) that has imported them and forks. The child runs the very file; the stub stands in its place in the
process tree, passes signals on and ends as it ends.

What could tell the difference gets a Python of its own: another session or user, variables of Python, any file that is
not in `FILES`. Only with `AZMAIL_TESTS_FORKED=1`, as in `make test` (docs/decisions/144-forked-pythons.md).
"""

from __future__ import annotations

import atexit
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO

ROOT = Path(__file__).parents[2]
FORKED = "AZMAIL_TESTS_FORKED"
PROJECT = "AZMAIL_TESTS_PROJECT"
"""The folder whose `./mail` and `engine/pulumi` the tests call, for this process and its workers."""
COMPILER = "cc"
KINDS = ("launcher", "mail", "engine", "services")
_HERE = Path(__file__).parent
_LEFT_OUT = shutil.ignore_patterns(".git", ".venv", ".state", ".*_cache", ".hypothesis", "*.egg-info", "build")


def begin() -> None:
    """Make the copy and start its server, which last as long as this process; nothing where that is done or not asked for."""
    if not os.environ.get(FORKED) or os.environ.get(PROJECT):
        return
    if shutil.which(COMPILER) is None:
        print(f"tests/forks: no {COMPILER}, a C compiler, in PATH; each Python begins by itself", file=sys.stderr)
        return
    lasting = ExitStack()
    atexit.register(lasting.close)
    folder = Path(
        lasting.enter_context(tempfile.TemporaryDirectory(prefix="azmail-forks-", ignore_cleanup_errors=True))
    )
    copy = folder / "project"
    shutil.copytree(ROOT, copy, ignore=_LEFT_OUT, symlinks=True)
    virtualenv(copy / ".venv", lasting.enter_context(servers(folder / "socket", copy)))
    # All workers would do it with their first command.
    subprocess.run([copy / "mail", "setup"], check=True, capture_output=True)
    os.environ[PROJECT] = str(copy)
    # And the engine, a program in Go, collects no garbage before it has that much of it: a fifth less CPU before a command does anything.
    for name, value in (("GOGC", "off"), ("GOMEMLIMIT", "512MiB")):
        os.environ.setdefault(name, value)


def project() -> Path:
    """The clone whose programs the tests call: the copy, where there is one."""
    return Path(os.environ.get(PROJECT) or ROOT)


def python() -> str:
    """What `python -m azmail` is started with: the copy's Python, where there is one."""
    return str(project() / ".venv" / "bin" / "python") if os.environ.get(PROJECT) else sys.executable


@contextmanager
def servers(socket: Path, project: Path = ROOT, *, kinds: Sequence[str] = KINDS) -> Iterator[Path]:
    """The servers of Pythons at `socket`, quickest for the programs of `project`, and no process of theirs afterwards."""
    with ExitStack() as running:
        # Started first, then waited for: they import at the same time.
        for started in [running.enter_context(_server(socket, project, kind)) for kind in kinds]:
            if started.readline() != b"ready\n":
                raise RuntimeError(f"{_HERE / 'server.py'} ended before it was ready")
        yield socket


@contextmanager
def _server(socket: Path, project: Path, kind: str) -> Iterator[IO[bytes]]:
    """What it says."""
    running = subprocess.Popen(
        [sys.executable, str(_HERE / "server.py"), f"{socket}-{kind}", str(project), kind],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert running.stdin is not None
    assert running.stdout is not None
    try:
        yield running.stdout
    finally:
        running.stdin.close()
        running.stdout.close()
        running.wait()


def virtualenv(folder: Path, socket: Path) -> None:
    """What `.venv` of this clone has, with the stub as its Python; needs `COMPILER`."""
    real = ROOT / ".venv"
    (folder / "bin").mkdir(parents=True)
    for entry in real.iterdir():
        if entry.name not in ("bin", "pyvenv.cfg"):
            (folder / entry.name).symlink_to(entry)
    shutil.copy(real / "pyvenv.cfg", folder)
    for entry in (real / "bin").iterdir():
        if not entry.name.startswith("python"):
            (folder / "bin" / entry.name).symlink_to(entry)
    python = folder / "bin" / "python"
    values = {"SOCKET": socket, "PYTHON": (real / "bin" / "python").resolve()}
    named = [f"-D{name}={json.dumps(str(value))}" for name, value in values.items()]
    subprocess.run([COMPILER, "-O1", *named, "-o", python, _HERE / "stub.c"], check=True)
    for name in ("python3", f"python3.{sys.version_info.minor}"):
        (folder / "bin" / name).symlink_to("python")
