"""The documentation as data: pages, headings, links, code blocks."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[3]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
_FENCE = re.compile(r"^(`{3,})(.*)$")


@dataclass(frozen=True)
class Block:
    """A fenced code block: `info` is what stands after the fence, `section` the anchor of the heading above it."""

    page: Path
    line: int
    info: str
    section: str
    text: str

    @property
    def where(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


@dataclass(frozen=True)
class Page:
    """One Markdown file."""

    path: Path
    anchors: frozenset[str]
    headings: tuple[str, ...]
    links: tuple[str, ...]
    blocks: tuple[Block, ...]


def anchor(heading: str) -> str:
    """GitHub's anchor of a heading: lower case, punctuation dropped, spaces as hyphens."""
    plain = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading).replace("`", "").lower()
    return re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")


def read(path: Path) -> Page:
    """The page; text in code blocks is neither heading nor link."""
    anchors: list[str] = []
    headings: list[str] = []
    blocks: list[Block] = []
    prose: list[str] = []
    fence, info, start = "", "", 0
    inside: list[str] = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        match = _FENCE.match(line)
        if fence:
            if match and match[1] == fence and not match[2]:
                section = anchors[-1] if anchors else ""
                blocks.append(Block(path, start, info, section, "\n".join(inside) + "\n"))
                fence = ""
            else:
                inside.append(line)
        elif match:
            fence, info, start, inside = match[1], match[2].strip(), number, []
        else:
            prose.append(line)
            if heading := re.match(r"#{1,6} (.+)", line):
                headings.append(heading[1])
                anchors.append(anchor(heading[1]))
    assert not fence, f"{path}: the code block of line {start} does not end"
    text = re.sub(r"`[^`]*`", "", "\n".join(prose))
    links = tuple(re.findall(r"\]\(([^)\s]+)\)", text))
    return Page(path, frozenset(anchors), tuple(headings), links, tuple(blocks))


def blocks() -> Iterator[Block]:
    for path in PAGES:
        yield from read(path).blocks
