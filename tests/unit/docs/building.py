"""Building the site of a copy."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.unit.docs.pages import ROOT


def missing() -> str:
    """Why the site is not built in tests here, as one sentence; empty where it is."""
    if importlib.util.find_spec("mkdocs") is not None:
        return ""
    return "Nothing here builds the documentation: its site is not tested; get it with: make docs"


def build(folder: Path) -> subprocess.CompletedProcess[str]:
    """As `make docs` does it."""
    return subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--config-file", str(folder / "mkdocs.yml")],
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
    )


def copy(folder: Path) -> Path:
    """What the site is made of: what git knows, and no more."""
    names = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, names.split("\0")):
        if (ROOT / name).is_file() and not name.startswith(("tests/unit", "tests/e2e", "engine")):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, folder / name)
    return folder
