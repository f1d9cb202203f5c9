"""An engine with the stand-ins of `engine/` alone, on a machine that may have an installed Pulumi with official parts.

The tests of the stand-ins bring it along; every other test runs with whatever the machine has.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from engine.cli import find_cli
from engine.layout import layout
from engine.plugins import DYNAMIC_HOST, LANGUAGE_HOST

HOSTS = (LANGUAGE_HOST.executable, DYNAMIC_HOST.executable)


def without_official_hosts(folder: Path, environment: Mapping[str, str]) -> dict[str, str]:
    """PATH as it should be: the machine's CLI in `folder` alone where hosts lie beside it, and no folder with hosts."""
    cli = find_cli(layout(environment), environment).path.resolve()
    clean = [
        entry
        for entry in environment.get("PATH", "").split(os.pathsep)
        if not any((Path(entry or ".") / host).exists() for host in HOSTS)
    ]
    if any((cli.parent / host).exists() for host in HOSTS):
        folder.mkdir(parents=True, exist_ok=True)
        alone = folder / "pulumi"
        if not alone.exists():
            _copy(cli, alone)
        clean.insert(0, str(folder))
    return {"PATH": os.pathsep.join(clean)}


def official_layout(folder: Path, environment: Mapping[str, str], hosts: Mapping[str, str]) -> None:
    """A folder laid out like the official distribution: the machine's CLI with `hosts`, {name: script}, beside it."""
    folder.mkdir(parents=True)
    _copy(find_cli(layout(environment), environment).path.resolve(), folder / "pulumi")
    for name, text in hosts.items():
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)


def _copy(cli: Path, target: Path) -> None:
    """A link where the file system allows it: the CLI has 110 MB."""
    try:
        os.link(cli, target)
    except OSError:
        shutil.copy2(cli, target)
