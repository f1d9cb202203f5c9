"""The site: built strictly, whole, without another host; and what it would refuse."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.unit.docs.building import build, copy
from tests.unit.docs.pages import ROOT

pytestmark = pytest.mark.slow

PLANTED = """# Planted

[no page](nowhere.md), [no anchor](azmail.md#nowhere), [no file](../nowhere.yaml), <a href="../nowhere.html">no place</a>,
![of another host](https://pictures.example/one.png)
A paragraph, and at once
- a list on GitHub
- that is none here
"""
SAID = (
    "'nowhere.md'",
    "'azmail.md#nowhere'",
    "leads to ../nowhere.html",
    "fetches https://pictures.example/one.png",
    "has 2 <li> on GitHub and 0 here",
)


def test_everything_is_in_it(site: Path) -> None:
    front = (site / "index.html").read_text(encoding="utf-8")
    assert "Real mailboxes for Azt3kNet" in front, "the README is the front page"
    assert front.count('<div class="diagram" tabindex="0"><svg') == 2
    for record in (ROOT / "docs" / "decisions").glob("[0-9]*.md"):
        assert f'href="decisions/{record.stem}.html"' in front, "the navigation has every decision"
    assert "AGENTMAIL_STACKS" in (site / "files" / "github" / "workflows.html").read_text(encoding="utf-8")
    assert {"changelog.html", "contributing.html", "security.html", "emulators.html", "licence.html"} <= {
        path.name for path in site.glob("*.html")
    }
    everything = "".join(path.read_text(encoding="utf-8") for path in site.rglob("*.html"))
    assert not re.search(r'(?:src|href)="https?://[^"]*\.(?:css|js|woff2?|svg|png)', everything)


def test_what_would_be_wrong_stops_the_build(tmp_path: Path) -> None:
    folder = copy(tmp_path)
    (folder / "docs" / "planted.md").write_text(PLANTED)
    done = build(folder)
    assert done.returncode == 1
    missing = [said for said in SAID if said not in done.stderr]
    assert missing == [], done.stderr
    assert "planted.md" in done.stderr
    assert "not included in the" in done.stderr, "a page that the navigation does not name"
