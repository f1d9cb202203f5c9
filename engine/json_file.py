"""Small JSON files in which one command leaves word for the next."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any


def read(file: Path) -> dict[str, Any]:
    """The object in `file`; an empty one if the file is missing or damaged."""
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def write(file: Path, values: dict[str, Any]) -> None:
    """Replace `file` whole, so that no reader sees half of it."""
    replace(file, json.dumps(values, indent=2))


def replace(file: Path, text: str) -> None:
    """Replace `file` whole by `text`."""
    file.parent.mkdir(parents=True, exist_ok=True)
    replacement = file.with_name(f"{file.name}.{os.getpid()}")
    replacement.write_text(text, encoding="utf-8")
    replacement.replace(file)
