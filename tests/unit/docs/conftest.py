"""The site is built where `make docs` or `make test` has installed what builds it; elsewhere that is said."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.docs.building import build, copy, missing
from tests.unit.page import chromium

collect_ignore = ["test_site.py"] if missing() else []
if chromium.missing() or missing():
    collect_ignore.append("test_site_in_chromium.py")


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site of this tree, built as `make docs` builds it, without a warning."""
    folder = copy(tmp_path_factory.mktemp("clone"))
    done = build(folder)
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr
    return folder / "build" / "site"
