"""Tools that the tests of the workflows need: installed ones, else built once by Go into the cache beside the engine's.

Go checks what it downloads against its checksum database. docs/updating.md says how the versions move.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

ACTIONLINT = ("github.com/rhysd/actionlint/cmd/actionlint", "v1.7.12")
GOJQ = ("github.com/itchyny/gojq/cmd/gojq", "v0.12.17")
"""What `gh --jq` is made of."""


class NoToolError(Exception):
    """It is not installed, and Go cannot build it."""

    def __init__(self, module: str, said: str) -> None:
        name = module.rsplit("/", 1)[-1]
        super().__init__(
            f"No {name} is installed and none could be built ({said}); install {name} (https://{module.split('/cmd/')[0]}) "
            "or Go."
        )


def find_tool(tool: tuple[str, str], *others: str) -> Path:
    """The executable; `others` are names of programs that would do as well. Raises NoToolError."""
    module, version = tool
    name = module.rsplit("/", 1)[-1]
    for candidate in (name, *others):
        if installed := shutil.which(candidate):
            return Path(installed)
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser()) / "azmail"
    built = cache / f"{name}-{version}" / name
    if not built.exists():
        _build(module, version, built)
    return built


def _build(module: str, version: str, target: Path) -> None:
    """Several test processes may do this at once: the last rename wins, and all are the same."""
    go = shutil.which("go")
    if go is None:
        raise NoToolError(module, "no Go on PATH")
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
        environment = {**os.environ, "GOBIN": scratch, "GOFLAGS": "", "CGO_ENABLED": "0"}
        done = subprocess.run(
            [go, "install", f"{module}@{version}"], cwd=scratch, env=environment, capture_output=True, text=True
        )
        if done.returncode != 0:
            raise NoToolError(module, done.stderr.strip().splitlines()[-1])
        (Path(scratch) / target.name).replace(target)
