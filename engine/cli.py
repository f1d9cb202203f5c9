"""Which Pulumi CLI this machine uses: the installed one, else the one built here."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path

from engine import json_file
from engine.build import ensure_built, pin
from engine.layout import Layout
from engine.versions import cli_version_of


class Origin(StrEnum):
    INSTALLED = "installed"
    BUILT = "built"


@dataclass(frozen=True)
class Cli:
    path: Path
    version: str
    origin: Origin


@dataclass(frozen=True)
class _Identity:
    """A file, and what would tell that it has been replaced."""

    path: str
    changed_ns: int
    size: int

    @classmethod
    def of(cls, path: Path) -> _Identity:
        status = path.stat()
        return cls(str(path), status.st_mtime_ns, status.st_size)


def find_cli(layout: Layout, environment: Mapping[str, str]) -> Cli:
    """The CLI to use; builds one if none is installed. Raises EngineError."""
    installed = find_installed(layout, environment)
    if installed is not None:
        return installed
    return Cli(ensure_built(layout, environment), pin(layout.module).pulumi, Origin.BUILT)


def find_installed(layout: Layout, environment: Mapping[str, str]) -> Cli | None:
    """The first working `pulumi` on PATH that is not this clone's launcher."""
    answers = _Answers(layout.state / "engine" / "installed-cli.json")
    for candidate in _on_path(environment.get("PATH", "")):
        if candidate.resolve() == layout.launcher:
            continue
        version = answers.version_of(candidate, environment)
        if version is not None:
            return Cli(candidate, version, Origin.INSTALLED)
    return None


def _on_path(path: str) -> Iterator[Path]:
    for entry in path.split(os.pathsep):
        candidate = Path(entry or ".") / "pulumi"
        if candidate.is_file() and os.access(candidate, os.X_OK):
            yield candidate.absolute()


class _Answers:
    """The answer of the last `pulumi` that was asked for its version, so that not every command asks again."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def version_of(self, candidate: Path, environment: Mapping[str, str]) -> str | None:
        identity = asdict(_Identity.of(candidate.resolve()))
        remembered = json_file.read(self._file)
        if remembered.get("identity") == identity:
            version = remembered.get("version")
            return version if isinstance(version, str) else None
        answer = cli_version_of(candidate, environment)
        if answer.version is not None:
            json_file.write(self._file, {"identity": identity, "version": answer.version})
        return answer.version
