"""Pretended machines: a clone, a PATH and programs on it, all in a temporary folder."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

from engine.layout import Layout

ROOT = Path(__file__).parents[3]

# Installs what `plugin install KIND NAME VERSION --file DIR --reinstall` says, and writes down every call. With a
# DOWNLOADABLE beside it, it also "downloads" plugins.
PULUMI = """#!/bin/sh
here=$(dirname "$0")
echo "$*" >> "$here/calls"
case "$1 $2" in
  "version "*) echo v3.300.1 ;;
  "plugin install")
    target=$PULUMI_HOME/plugins/$3-$4-$5
    [ "$6" = --file ] || [ -e "$here/DOWNLOADABLE" ] || { echo "error: no such host" >&2; exit 1; }
    rm -rf "$target"; mkdir -p "$target"
    if [ "$6" = --file ]; then cp -R "$7/." "$target"; else echo official > "$target/pulumi-$3-$4"; fi ;;
  *) exit 9 ;;
esac
"""


@dataclass(frozen=True)
class Machine:
    """A machine with nothing installed but what a test puts on `bin`."""

    folder: Path
    layout: Layout

    @property
    def bin(self) -> Path:
        return self.folder / "bin"

    @property
    def environment(self) -> dict[str, str]:
        # A proxy that refuses: nothing here may reach the internet.
        return {
            "PATH": f"{self.bin}:/usr/bin:/bin",
            "HOME": str(self.folder / "user"),
            "HTTPS_PROXY": "http://127.0.0.1:9",
        }

    def program(self, name: str, text: str, folder: Path | None = None) -> Path:
        """Put a shell script on PATH."""
        file = (folder or self.bin) / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        file.chmod(0o755)
        return file

    def has_stack(self, *names: str, state: str = '{"version": 3, "checkpoint": {}}') -> Path:
        """Give the clone's own backend these stacks; returns the last one's state file."""
        folder = self.layout.backend / ".pulumi" / "stacks" / "agentmail"
        folder.mkdir(parents=True, exist_ok=True)
        for name in names:
            (folder / f"{name}.json").write_text(state)
        return folder / f"{names[-1]}.json"

    def calls(self, folder: Path | None = None) -> list[str]:
        """What a program that writes down its calls was asked for."""
        file = (folder or self.bin) / "calls"
        return file.read_text().splitlines() if file.exists() else []


def machine(folder: Path, *, private_home: bool = True) -> Machine:
    clone = folder / "clone"
    state = clone / ".state"
    (clone / "engine").mkdir(parents=True)
    for name in ("go.mod", "go.sum", "pulumi"):
        (clone / "engine" / name).write_bytes((ROOT / "engine" / name).read_bytes())
    (clone / "engine" / "pulumi").chmod(0o755)
    for name in ("Pulumi.yaml", "Pulumi.dev.yaml", "Pulumi.prod.yaml"):
        (clone / name).write_bytes((ROOT / name).read_bytes())
    layout = Layout(
        root=clone,
        state=state,
        home=state / "pulumi-home" if private_home else folder / "user" / "their-pulumi",
        private_home=private_home,
        cache=folder / "cache",
    )
    (folder / "bin").mkdir()
    return Machine(folder, layout)


def alive(pid: int) -> bool:
    """Whether a process runs (one that has ended and waits to be reaped does not)."""
    state = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True).stdout.strip()
    return bool(state) and not state.startswith("Z")
