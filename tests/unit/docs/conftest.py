"""The site is built where `make docs` or `make test` has installed what builds it; elsewhere that is said."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from tests.unit.docs.building import build, copy
from tests.unit.page import chromium

HAS_MKDOCS = importlib.util.find_spec("mkdocs") is not None
collect_ignore = [] if HAS_MKDOCS else ["test_site.py"]
if chromium.missing() or not HAS_MKDOCS:
    collect_ignore.append("test_site_in_chromium.py")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """One sentence where it is not built."""
    if not HAS_MKDOCS:
        terminalreporter.write_line(
            "Nothing here builds the documentation: its site is not tested; get it with: make docs"
        )


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site of this tree, built as `make docs` builds it, without a warning."""
    folder = copy(tmp_path_factory.mktemp("clone"))
    done = build(folder)
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr
    return folder / "build" / "site"
