"""Modules that are imported only when somebody asks them for something.

`import pulumi` takes the automation API along, by which a program drives other programs: a sixth of what the SDK costs in
each of the processes that a command starts. Run as a file by both, so it imports the standard library alone.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import LazyLoader
from types import ModuleType

AUTOMATION = "pulumi.automation"


class _Later(MetaPathFinder):
    def __init__(self, name: str) -> None:
        self._name = name

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != self._name:
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.loader is not None:
            spec.loader = LazyLoader(spec.loader)
        return spec


def import_later(name: str) -> None:
    """From now on an import of the module `name` executes nothing of it; the first use of what it has does."""
    sys.meta_path.insert(0, _Later(name))


import_later(AUTOMATION)
