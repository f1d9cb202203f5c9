"""`./mail env list`: the environments that have a file here."""

from __future__ import annotations

import json as _json
from pathlib import Path
from typing import Any

import yaml

from engine.stacks import StackFile
from settings.values import PROJECT


def show(project: Path, *, json: bool) -> int:
    """Reads files alone, so that it also answers without a backend."""
    found = [_environment(project, file) for file in sorted(project.glob("Pulumi.?*.yaml"))]
    if json:
        print(_json.dumps(found, indent=2, ensure_ascii=False))
        return 0
    width = max((len(item["name"]) for item in found), default=0)
    for item in found:
        print(
            f"{item['name']:<{width}}  {item['domain'] or '(no domain)'}  {'loopback' if item['embedded'] else 'real services'}"
        )
    return 0


def _environment(project: Path, file: Path) -> dict[str, Any]:
    name = file.name.removeprefix("Pulumi.").removesuffix(".yaml")
    document = yaml.safe_load(file.read_text(encoding="utf-8"))
    config = (document.get("config") if isinstance(document, dict) else None) or {}
    return {
        "name": name,
        "domain": config.get(f"{PROJECT}:domain"),
        "embedded": not StackFile.of(project, name).off_loopback(),
    }
