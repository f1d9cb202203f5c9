"""Each import that the rooms may not make is refused by `lint-imports`, and each that they may make is not.

A scratch copy of every room gets one module for each other room that imports it; the linter runs once over all.
"""

from __future__ import annotations

import itertools
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PROGRAM = ("components", "providers", "clients", "settings", "mailboxes", "zone")
BESIDE = ("azmail", "emulators", "engine")
ROOMS = (*PROGRAM, "commands", *BESIDE)
ALLOWED = {
    "components": {"providers", "clients", "settings", "mailboxes", "zone"},
    "providers": {"clients", "settings", "mailboxes", "zone"},
    "clients": {"mailboxes", "zone"},
    "settings": {"mailboxes", "zone"},
    "mailboxes": set[str](),
    "zone": set[str](),
    "commands": {"clients", "settings", "mailboxes", "zone", "azmail", "emulators", "engine"},
    "azmail": set[str](),
    "emulators": set[str](),
    "engine": set[str](),
}
"""What each room may import of the others: the table of CONTRIBUTING.md."""
NO_PULUMI = ("mailboxes", "zone", "clients", "azmail", "emulators")


@pytest.fixture(scope="module")
def refused(tmp_path_factory: pytest.TempPathFactory) -> set[tuple[str, str]]:
    """(room, what it may not import), as the linter names them."""
    folder = tmp_path_factory.mktemp("rooms")
    shutil.copy(ROOT / "pyproject.toml", folder)
    for room in ROOMS:
        (folder / room).mkdir()
        (folder / room / "__init__.py").touch()
        for other in (*ROOMS, "pulumi", "requests"):
            if other != room:
                (folder / room / f"imports_{other}.py").write_text(f"import {other}\n")
    # Modules of the tables above that contracts name are there by name; the copy needs no more of them.
    done = subprocess.run(
        [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Contracts: " in done.stdout, done.stdout + done.stderr
    return set(re.findall(r"(\w+)\.imports_(\w+) -> \2\b", done.stdout))


PAIRS = list(itertools.permutations(ROOMS, 2))


@pytest.mark.parametrize(("room", "other"), PAIRS, ids=[f"{room}-{other}" for room, other in PAIRS])
def test_a_pair_of_rooms(refused: set[tuple[str, str]], room: str, other: str) -> None:
    assert ((room, other) in refused) == (other not in ALLOWED[room])


@pytest.mark.parametrize("room", NO_PULUMI)
def test_pulumi_is_not_for_everybody(refused: set[tuple[str, str]], room: str) -> None:
    assert (room, "pulumi") in refused


@pytest.mark.parametrize("room", ["mailboxes", "zone"])
def test_pure_rooms_speak_no_http(refused: set[tuple[str, str]], room: str) -> None:
    assert (room, "requests") in refused


def test_every_room_is_in_the_table() -> None:
    """A new folder at the top with Python in it is a room, and stands in the rule."""
    found = {path.parent.name for path in ROOT.glob("*/__init__.py")}
    assert found - {"tests"} == set(ROOMS)


def test_the_top_has_at_most_fourteen_folders() -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    folders = {name.partition("/")[0] for name in listed if "/" in name and not name.startswith(".")}
    assert len(folders) <= 14, sorted(folders)
