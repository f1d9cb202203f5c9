"""Packages of a lock file into a virtualenv: `python3 engine/packages.py LOCK VENV`, which make runs for `./mail setup`.

It is started before there is any package, by whatever Python the machine has, so it imports the standard library alone. What
cannot be had without a network is told in one sentence after seconds, not after every retry of two installers.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

QUIET = ("--quiet", "--disable-pip-version-check", "--no-input")
_PATIENCE = {"PIP_RETRIES": "1", "UV_HTTP_RETRIES": "1"}
"""Each is of the user's own choice, too."""
_UNREACHED = re.compile(r"Retry\(total=0|error sending request|Request failed after")
_REASONS = (
    re.compile(r"[Cc]aused?(?: by)?: ([^\n]+?)(?: \(os error -?\d+\))?$", re.MULTILINE),
    re.compile(r"\[Errno -?\d+\] ([^'\")\]]+)"),
    re.compile(r"((?:connect|read) timeout|timed out|certificate verify failed)", re.IGNORECASE),
)
_OF_PIP = re.compile(r"\.(?:extra-)?(?:index-url|proxy|cert|trusted-host|find-links)=")
_LAST_LINES = 8


class SetupError(Exception):
    """Why there are no packages, in a sentence with what mends it."""


class IndexUnreachableError(SetupError):
    """No package index answers."""

    def __init__(self, said: str) -> None:
        found = [match[1].strip() for pattern in _REASONS for match in pattern.finditer(said)]
        super().__init__(
            f"no package index can be reached ({found[-1] if found else 'no connection'}), and packages are missing; check the "
            "network, name a proxy (export HTTPS_PROXY=URL) or an index of your own (export PIP_INDEX_URL=URL "
            "UV_DEFAULT_INDEX=URL), then run: ./mail setup"
        )


def install(lock: Path, venv: Path) -> None:
    """By uv where there is or can be one, else by pip. Raises SetupError."""
    python = venv / "bin" / "python"
    if not os.access(python, os.X_OK):
        _say(f"virtualenv {venv}")
        if made := _failure([sys.executable, "-m", "venv", str(venv)]):
            raise SetupError(f"no virtualenv can be made in {venv}; it takes Python's own venv and ensurepip. {made}")
    _say(f"packages of {lock}")
    wanted = ["--require-hashes", "-r", str(lock)]
    uv = shutil.which("uv") or str(venv / "bin" / "uv")
    if not os.access(uv, os.X_OK):
        _get_uv(lock, python)
    if os.access(uv, os.X_OK):
        said = _failure([uv, "pip", "install", "--quiet", "--python", str(python), *wanted])
        if not said:
            return
        if _UNREACHED.search(said) and not _has_ways_of_its_own(python):
            raise IndexUnreachableError(said)
    if said := _failure([str(python), "-m", "pip", "install", *QUIET, *wanted]):
        if _UNREACHED.search(said):
            raise IndexUnreachableError(said)
        raise SetupError(
            f"the packages of {lock} cannot be installed; mend what is said here, then run: ./mail setup\n{said}"
        )


def _get_uv(lock: Path, python: Path) -> None:
    """A wheel of 17 MB; all packages in 4 seconds instead of 71 with nothing in a cache (docs/decisions/088-uv-installs.md)."""
    entry = re.search(r"^uv==(?:.*\\\n)*.*\n?", lock.read_text(encoding="utf-8"), re.MULTILINE)
    if entry is None:  # of what is installed besides, which found none for this machine before
        return
    with tempfile.TemporaryDirectory(prefix="agentmail-setup-") as folder:
        alone = Path(folder) / "uv.txt"
        alone.write_text(entry[0], encoding="utf-8")
        said = _failure([str(python), "-m", "pip", "install", *QUIET, "--require-hashes", "-r", str(alone)])
    if said and _UNREACHED.search(said):
        raise IndexUnreachableError(said)
    if said:
        _say("there is no uv for this machine; pip takes about a minute longer")


def _has_ways_of_its_own(python: Path) -> bool:
    """Whether pip is told of an index or a way there in its own configuration, which uv does not read."""
    done = subprocess.run(  # noqa: S603
        [str(python), "-m", "pip", "config", "list"], stdin=subprocess.DEVNULL, capture_output=True, text=True
    )
    return _OF_PIP.search(done.stdout) is not None


def _failure(command: list[str]) -> str:
    """What a command said last that failed; empty for one that did not."""
    done = subprocess.run(  # noqa: S603
        command,
        env={**_PATIENCE, **os.environ},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    if done.returncode == 0:
        return ""
    return "\n".join(done.stdout.strip().splitlines()[-_LAST_LINES:]) or f"It ended with {done.returncode}."


def _say(text: str) -> None:
    print(f"setup: {text}", flush=True)


def main(arguments: list[str], install: Callable[[Path, Path], None] = install) -> int:
    """Exit status 1 where packages are missing afterwards."""
    signal.signal(signal.SIGTERM, lambda number, _frame: sys.exit(128 + number))  # which ends the installer, too
    try:
        install(Path(arguments[0]), Path(arguments[1]))
    except SetupError as error:
        print(f"setup: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
