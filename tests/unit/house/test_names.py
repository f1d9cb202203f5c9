"""One class name, one meaning: whoever reads a name in a traceback, a review or a search knows which thing it is."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
ROOMS = (
    "azmail",
    "clients",
    "commands",
    "components",
    "deploy",
    "emulators",
    "engine",
    "mailboxes",
    "providers",
    "settings",
    "zone",
)


@pytest.mark.slow
def test_no_class_name_stands_twice() -> None:
    places = defaultdict(list)
    for room in ROOMS:
        for file in sorted((ROOT / room).rglob("*.py")):
            for node in ast.walk(ast.parse(file.read_text())):
                if isinstance(node, ast.ClassDef):
                    places[node.name].append(f"{file.relative_to(ROOT)}:{node.lineno}")
    twice = {name: found for name, found in places.items() if len(found) > 1}
    assert twice == {}, "give each a name that says which of them it is"


def test_agents_are_it() -> None:
    """An agent is no person: what users and contributors read says "the agent" or "it"."""
    found = [
        f"{file.relative_to(ROOT)}:{number}"
        for file in [
            *ROOT.glob("*.md"),
            *ROOT.glob("docs/**/*.md"),
            *(f for r in ROOMS for f in (ROOT / r).rglob("*.py")),
        ]
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), start=1)
        if re.search(r"\b(she|her|hers)\b", line, re.IGNORECASE)
    ]
    assert found == []
