"""The packages and, where this machine has no Pulumi, the build of one: `python3 engine/side_by_side.py LOCK VENV`.

What make runs first wherever the engine is needed too. Both begin with downloads, and while Go compiles the packages come. It
is started before there is any package, by whatever Python the machine has, so it imports the standard library alone.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from types import FrameType
from typing import NoReturn

if not __package__:
    # Started as a file: the clone's root, not this directory, is what modules are imported from.
    _here = Path(__file__).resolve().parent
    sys.path[:] = [str(_here.parent), *(entry for entry in sys.path if entry != str(_here))]

from engine.build import built_cli
from engine.cli import find_installed
from engine.layout import layout


def main(arguments: list[str]) -> int:
    """The exit status of what failed. Without packages the build is given up; the packages are installed in any case."""
    packages = [sys.executable, str(Path(__file__).with_name("packages.py")), *arguments]
    here = layout(os.environ)
    if find_installed(here, os.environ) is not None or built_cli(here).is_file():
        return subprocess.call(packages)  # noqa: S603
    signal.signal(signal.SIGTERM, _leave)
    with tempfile.TemporaryFile("w+") as complaints:
        # What the build says of its progress goes on in one line, which a complaint would tear.
        installing = subprocess.Popen(packages, stderr=complaints)  # noqa: S603
        building = subprocess.Popen([sys.executable, str(Path(__file__).with_name("__main__.py")), "build"])  # noqa: S603

        def give_up() -> None:
            if installing.wait() != 0:
                building.terminate()

        given_up = threading.Thread(target=give_up)
        try:
            given_up.start()
            building.wait()
            given_up.join()
        except KeyboardInterrupt:
            return 128 + signal.SIGINT
        finally:
            for child in (installing, building):
                child.terminate()
                child.wait()
        complaints.seek(0)
        sys.stderr.write(complaints.read())
    return installing.returncode or building.returncode


def _leave(number: int, _frame: FrameType | None) -> NoReturn:
    sys.exit(128 + number)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
