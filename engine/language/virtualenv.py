"""The Python that a program runs with, chosen by `runtime.options.virtualenv` of its Pulumi.yaml."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from engine.errors import EngineError


class VirtualenvMissingError(EngineError):
    """Pulumi.yaml names a virtualenv that is not there."""

    def __init__(self, named: str, path: Path) -> None:
        super().__init__(
            f"the 'virtualenv' option in Pulumi.yaml is '{named}', but {path} is no virtual environment: create it with "
            f"`./mail setup` in this project."
        )


@dataclass(frozen=True)
class Interpreter:
    """A Python and, if it belongs to one, its virtualenv."""

    python: Path
    virtualenv: Path | None

    def environment(self, environment: Mapping[str, str]) -> dict[str, str]:
        """`environment` with the virtualenv activated."""
        variables = dict(environment)
        if self.virtualenv is not None:
            variables["VIRTUAL_ENV"] = str(self.virtualenv)
            variables["PATH"] = os.pathsep.join([str(self.virtualenv / "bin"), variables.get("PATH", "")])
            variables.pop("PYTHONHOME", None)
        return variables

    def site_packages(self) -> list[Path]:
        if self.virtualenv is not None:
            return sorted(self.virtualenv.glob("lib/python3*/site-packages"))
        listing = subprocess.run(  # noqa: S603
            [str(self.python), "-c", "import sys; print('\\n'.join(sys.path[1:]))"],
            capture_output=True,
            text=True,
            check=True,
        )
        return [Path(line) for line in listing.stdout.splitlines() if line]

    def version(self) -> str:
        # A virtualenv's Python is a link to the one that it was made with.
        if self.python.resolve() == Path(sys.executable).resolve():
            return "{}.{}.{}".format(*sys.version_info[:3])
        said = subprocess.run(  # noqa: S603
            [str(self.python), "--version"], capture_output=True, text=True, check=True
        )
        return said.stdout.strip().removeprefix("Python ")


def interpreter(root_directory: str, virtualenv: str) -> Interpreter:
    """The interpreter for a project at `root_directory` whose `virtualenv` option is as given (relative to it).

    Raises VirtualenvMissingError.
    """
    if not virtualenv:
        found = shutil.which("python3") or shutil.which("python") or sys.executable
        return Interpreter(Path(found), None)
    path = Path(root_directory) / virtualenv
    python = path / "bin" / "python"
    if not python.exists():
        raise VirtualenvMissingError(virtualenv, path)
    return Interpreter(python, path)
