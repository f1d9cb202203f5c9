"""`./mail agents pin ID=LOCAL_PART …`: agents stay where they are, whatever their names become."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

from mailboxes.pinning import pin_agents, read_pins


def pin(words: Sequence[str], *, files: Sequence[Path], stack: str, project: Path) -> int:
    """In `files`, else in those that the stack's file names, else in those that any stack's file here names.

    Raises PinError and LayoutError; nothing is written before every agent has been found, once.
    """
    pins = read_pins(words)
    changed = pin_agents(list(files) or list(_files(project, stack)), pins)
    for file in changed:
        file.write()
    for file in changed:
        if file.pinned:
            told = ", ".join(f"{agent} to {local_part}" for agent, local_part in file.pinned.items())
            print(f"{file.path}: {'pinned' if file.changes else 'already pinned'} {told}")
    return 0


def _files(project: Path, stack: str) -> Iterator[Path]:
    for file in sorted(project.glob(f"Pulumi.{stack.rsplit('/', 1)[-1] or '?*'}.yaml")):
        document: Any = yaml.safe_load(file.read_text(encoding="utf-8"))
        config = (document.get("config") if isinstance(document, dict) else None) or {}
        for entry in config.get("agentmail:populations") or []:
            path = project / str(entry.get("file", ""))
            if path.is_file():
                yield path
