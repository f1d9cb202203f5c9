"""The packages and, where this machine has no Pulumi, the build of one: `python3 engine/side_by_side.py LOCK VENV`.

What make runs first wherever the engine is needed too. Both begin with downloads, and while Go compiles the packages come. It
is started before there is any package, by whatever Python the machine has, so it imports the standard library alone.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

if not __package__:
    # Started as a file: the clone's root, not this directory, is what modules are imported from.
    _here = Path(__file__).resolve().parent
    sys.path[:] = [str(_here.parent), *(entry for entry in sys.path if entry != str(_here))]

from engine import packages
from engine.build import built_cli
from engine.cli import find_installed
from engine.layout import layout


def install(lock: Path, venv: Path) -> None:
    """As `packages.install` does, beside the build. Without packages that is given up; where it fails they come to their end.

    Raises SetupError, and SystemExit with the status of a build that failed.
    """
    here = layout(os.environ)
    if find_installed(here, os.environ) is not None or built_cli(here).is_file():
        packages.install(lock, venv)
        return
    command = [sys.executable, str(Path(__file__).with_name("__main__.py")), "build"]
    building = subprocess.Popen(command)  # noqa: S603 - this Python and a file of this clone, no word of anybody else's
    try:
        packages.install(lock, venv)
        if building.wait() != 0:
            raise SystemExit(building.returncode)
    finally:
        # Before anybody complains: its progress is one line, which a complaint would tear.
        building.terminate()
        building.wait()


if __name__ == "__main__":
    sys.exit(packages.main(sys.argv[1:], install))
