"""Links lead somewhere, every command is either run by a test or marked live, and quoted errors are the code's own."""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from tests.unit.docs.pages import PAGES, ROOT, Block, Page, anchor, blocks, read

NAMES = [str(path.relative_to(ROOT)) for path in PAGES]
LIVE = ROOT / "docs" / "not-verified-live.md"
TROUBLE = ROOT / "docs" / "troubleshooting.md"
COMMAND = re.compile(
    r"(\$ )?(make|pulumi|git|gh|pip|openssl|docker|export|\./engine/pulumi|\.venv/bin/|python -m) ?", re.MULTILINE
)
CODE = (
    "azmail",
    "clients",
    "commands",
    "components",
    "emulators",
    "engine",
    "mailboxes",
    "providers",
    "settings",
    "zone",
)


@pytest.mark.parametrize("name", NAMES)
def test_links_lead_somewhere(name: str) -> None:
    page = read(ROOT / name)
    for link in page.links:
        parts = urlsplit(link)
        if parts.scheme:
            assert parts.scheme in {"https", "mailto"}, link
            continue
        target = (page.path.parent / unquote(parts.path)).resolve() if parts.path else page.path
        assert target.exists(), f"{name}: {link}"
        if parts.fragment:
            assert parts.fragment in read(target).anchors, f"{name}: {link}"


def test_every_page_is_linked_from_the_readme_or_a_page_that_is() -> None:
    seen: set[Path] = set()
    waiting = [ROOT / "README.md"]
    while waiting:
        path = waiting.pop()
        if path in seen:
            continue
        seen.add(path)
        for link in read(path).links:
            parts = urlsplit(link)
            target = (path.parent / unquote(parts.path)).resolve() if parts.path and not parts.scheme else path
            if target.suffix == ".md":
                waiting.append(target)
            elif target.is_dir():
                waiting += target.glob("*.md")
    assert {str(path.relative_to(ROOT)) for path in PAGES} - {str(path.relative_to(ROOT)) for path in seen} == set()


@pytest.mark.parametrize("block", list(blocks()), ids=lambda block: block.where)
def test_a_command_block_says_whether_it_is_run(block: Block) -> None:
    assert block.info in {"", "text", "sh", "sh live", "python", "yaml", "json", "dotenv"}, block.info
    if block.info not in {"sh", "sh live"}:
        assert not COMMAND.match(block.text), (
            f"{block.where} holds commands: mark it `sh` (a test runs it) or `sh live`"
        )


def test_shell_blocks_are_shell() -> None:
    for block in blocks():
        if block.info.startswith("sh"):
            done = subprocess.run(["bash", "-n"], input=block.text, text=True, capture_output=True)
            assert done.returncode == 0, f"{block.where}: {done.stderr}"


def test_what_is_marked_live_is_listed_as_not_verified() -> None:
    listed = {link for link in read(LIVE).links if not urlsplit(link).scheme}
    for block in blocks():
        if block.info == "sh live":
            page = block.page.relative_to(ROOT)
            link = f"{page.name if page.parent.name == 'docs' else f'../{page}'}#{block.section}"
            assert link in listed, f"{block.where}: list it in {LIVE.name} as ({link})"


# -- errors ------------------------------------------------------------------------------------------------------------


def templates() -> Iterator[str]:
    """Every text in the code, with `…` for each value that is put in."""
    for path in [*ROOT.glob("*.py"), *(file for name in CODE for file in (ROOT / name).rglob("*.py"))]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.JoinedStr):
                yield "".join(str(part.value) if isinstance(part, ast.Constant) else "…" for part in node.values)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield re.sub(r"\{\w*\}", "…", node.value)


def quoted(page: Page) -> list[str]:
    """The sentences that the headings quote."""
    return [sentence for heading in page.headings for sentence in re.findall(r"`(.+?)`", heading)]


@pytest.mark.slow
def test_every_quoted_error_is_one_of_the_code() -> None:
    texts = [" ".join(text.split()) for text in templates()]
    sentences = quoted(read(TROUBLE))
    assert len(sentences) >= 25
    for sentence in sentences:
        assert any(sentence in text for text in texts), sentence


@pytest.mark.parametrize(
    ("heading", "expected"),
    [
        ("Add agents", "add-agents"),
        ("`up` fails: *why*?", "up-fails-why"),
        ("[a](b.md) & c", "a--c"),
        ("1. The key", "1-the-key"),
    ],
)
def test_anchors_are_githubs(heading: str, expected: str) -> None:
    assert anchor(heading) == expected
