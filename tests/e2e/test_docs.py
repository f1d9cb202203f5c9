"""Every command block of the documentation that is not marked live, as a reader would paste it: in order, page by page."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.clone import Clone, clone
from tests.e2e.stack import ROOT
from tests.unit.commands.hints import GLOBAL, GRAMMAR, WITHOUT_STACK
from tests.unit.docs.pages import PAGES, Block, read

RUN = {path: [block for block in read(path).blocks if block.info == "sh"] for path in PAGES}
EDITED = ("Pulumi.dev.yaml", "populations")
"""What commands on a page may change, and the next page must not find changed."""


@pytest.fixture(scope="module")
def first_up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Clone, str]]:
    """A fresh clone, and what its first `make up` prints."""
    with clone(tmp_path_factory.mktemp("docs") / "clone") as made:
        yield made, made.sh("make up").out


@pytest.fixture
def reader(first_up: tuple[Clone, str]) -> Clone:
    return first_up[0]


@pytest.fixture
def page(reader: Clone, tmp_path: Path) -> Iterator[Clone]:
    """The clone; edited files come back afterwards."""
    for name in EDITED:
        copy = shutil.copytree if (reader.folder / name).is_dir() else shutil.copy2
        copy(reader.folder / name, tmp_path / name)
    yield reader
    changed = False
    for path in sorted(file for file in tmp_path.rglob("*") if file.is_file()):
        original = reader.folder / path.relative_to(tmp_path)
        if not original.exists() or original.read_bytes() != path.read_bytes():
            shutil.copy2(path, original)
            changed = True
    if changed:
        reader.sh("./mail pulumi up --stack dev --yes --skip-preview --suppress-outputs")


def runnable(block: Block) -> str:
    """`make test` is what runs this very test, so it is only looked at; whatever else stands there is run."""
    return re.sub(r"^make (test|lint)\b", r"make -n \1", block.text, flags=re.MULTILINE)


@pytest.mark.parametrize("path", [path for path in PAGES if RUN[path]], ids=lambda path: str(path.relative_to(ROOT)))
def test_the_commands_of_a_page(path: Path, page: Clone) -> None:
    for block in RUN[path]:
        done = page.sh(runnable(block), check=False)
        assert done.code == 0, f"{block.where}\n{block.text}\n{done.text}"
        assert "Traceback" not in done.text, f"{block.where}\n{done.text}"


def test_make_up_ends_as_the_readme_shows(first_up: tuple[Clone, str]) -> None:
    """`…` stands for lines that are left out."""
    _, printed = first_up
    shown = next(block.text for block in read(ROOT / "README.md").blocks if not block.info)
    assert "100 mailboxes" in shown
    position = 0
    for line in shown.splitlines():
        if line.strip() != "…":
            assert line in printed[position:].splitlines(), line
            position = printed.index(line, position) + len(line)


class TestRemedies:
    """What errors, findings and the summary propose of the engine's commands."""

    def test_pulumi_has_what_is_proposed(self, first_up: tuple[Clone, str]) -> None:
        """The table of `tests/unit/commands/hints.py`, which reads commands without the engine."""
        reader, _ = first_up
        lines = "\n".join(f"echo '== {command}'; ./mail pulumi {command} --help" for command in GRAMMAR)
        told = dict(part.partition("\n")[::2] for part in reader.sh(lines).out.split("== ")[1:])
        for command, (options, _, _) in GRAMMAR.items():
            for option in options | GLOBAL | (set() if command in WITHOUT_STACK else {"--stack"}):
                assert re.search(rf"{option}\b", told[command]), f"pulumi {command} has no {option}:\n{told[command]}"


def test_there_is_something_to_run() -> None:
    assert sum(map(len, RUN.values())) >= 10
