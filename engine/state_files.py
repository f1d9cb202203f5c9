"""The state of a stack in a folder backend: whether it is there and whole, and which whole copies lie beside it.

Layout of Pulumi's DIY backend (pkg/backend/diy): `.pulumi/stacks/PROJECT/STACK.json`, its predecessor in `STACK.json.bak`;
after every update a copy in `.pulumi/backups/PROJECT/STACK/` and, as `*.checkpoint.json`, in `.pulumi/history/…`.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_TAIL_BYTES = 64
_COMPRESSED = (".gz", ".zst")


@dataclass(frozen=True, kw_only=True)
class StateFile:
    """Where a folder backend keeps one stack."""

    backend: Path
    project: str
    stack: str

    @property
    def path(self) -> Path:
        """The file as it is, of a project or of a backend older than projects in it; where it would be if there is none."""
        stacks = self.backend / ".pulumi" / "stacks"
        places = (stacks / self.project / f"{self.stack}.json", stacks / f"{self.stack}.json")
        return next((place for place in places if place.exists()), places[0])

    @property
    def exists(self) -> bool:
        """Whether the backend has the stack."""
        return any(self.path.with_name(self.path.name + suffix).exists() for suffix in ("", *_COMPRESSED))

    @property
    def is_cut(self) -> bool:
        """Whether it breaks off: a full disk leaves the beginning of the JSON. A quick look at the end tells."""
        try:
            with self.path.open("rb") as file:
                file.seek(max(file.seek(0, os.SEEK_END) - _TAIL_BYTES, 0))
                return not file.read().rstrip().endswith(b"}")
        except OSError:
            return False

    @property
    def locks(self) -> list[Path]:
        """What a run that is under way, or was killed, has left."""
        return sorted((self.backend / ".pulumi" / "locks").glob(f"*/{self.project}/{self.stack}/*.json"))

    def whole_copies(self) -> list[Path]:
        """Every copy that can be read to its end, the newest first."""
        return sorted(
            (copy for copy in self._copies() if holds_state(copy)),
            key=lambda copy: copy.stat().st_mtime_ns,
            reverse=True,
        )

    def _copies(self) -> Iterator[Path]:
        """Also what an earlier look put aside."""
        yield from self.path.parent.glob(f"{self.path.name}.bak")
        for kind, pattern in (("backups", f"{self.stack}*.json*"), ("history", f"{self.stack}-*.checkpoint.json*")):
            for folder in (f"{self.project}/{self.stack}", self.stack):
                yield from (self.backend / ".pulumi" / kind / folder).glob(pattern)


def holds_state(file: Path) -> bool:
    """Whether the whole file is the JSON of a state."""
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(found, dict) and isinstance(found.get("checkpoint"), dict)


def state_file(backend_url: str, project: Path, stack: str) -> StateFile | None:
    """The stack's state where the backend is a folder; None for every other backend, and for a project without a name."""
    match = re.fullmatch(r"file://([^?]*)(?:\?.*)?", backend_url)
    name = _project_name(project)
    if match is None or not name:
        return None
    return StateFile(backend=project / Path(match[1]).expanduser(), project=name, stack=stack.rsplit("/", 1)[-1])


def _project_name(project: Path) -> str:
    try:
        text = (project / "Pulumi.yaml").read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return ""
    match = re.search(r"^name:\s*['\"]?([A-Za-z0-9._-]+)", text, re.MULTILINE)
    return match[1] if match else ""
