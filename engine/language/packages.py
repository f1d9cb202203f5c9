"""What is installed in a program's virtualenv."""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib.metadata import Distribution, distributions
from pathlib import Path


@dataclass(frozen=True, order=True)
class Package:
    name: str
    version: str


@dataclass(frozen=True, order=True)
class PulumiPlugin:
    """A plugin that an installed Pulumi package asks for."""

    name: str
    version: str
    server: str


def installed(site_packages: list[Path]) -> list[Package]:
    """Every package found, sorted by name."""
    return sorted({Package(found.metadata["Name"], found.version) for found in _distributions(site_packages)})


def required_plugins(site_packages: list[Path]) -> list[PulumiPlugin]:
    """The plugins that the installed `pulumi-*` packages name in their `pulumi-plugin.json`."""
    plugins = set()
    # Only their own metadata is read: of the hundred others a name tells enough (PEP 376), and every command asks.
    described = (path for folder in site_packages for path in folder.glob("[Pp]ulumi[_-]*-info"))
    for found in map(Distribution.at, described):
        name = found.metadata["Name"].lower().replace("_", "-")
        module = name.replace("-", "_")
        file = Path(str(found.locate_file(f"{module}/pulumi-plugin.json")))
        if not file.is_file():
            continue
        wanted = json.loads(file.read_text(encoding="utf-8"))
        if not wanted.get("resource"):
            continue
        version = str(wanted.get("version") or found.version)
        plugins.add(
            PulumiPlugin(
                name=wanted.get("name") or name.removeprefix("pulumi-"),
                version=version if version.startswith("v") else f"v{version}",
                server=wanted.get("server") or "",
            )
        )
    return sorted(plugins)


def _distributions(site_packages: list[Path]) -> list[Distribution]:
    return list(distributions(path=[str(directory) for directory in site_packages]))
