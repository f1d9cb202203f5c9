"""Where a Chromium is, and what is said where none is."""

from __future__ import annotations

import importlib.util
import shutil

NAMES = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")
PACKAGES = ("playwright", "axe_playwright_python")
TESTS = "test_page_in_chromium.py"


def executable() -> str:
    """Its path; empty where there is none."""
    return next((path for name in NAMES if (path := shutil.which(name))), "")


def missing() -> str:
    """Why the page is not tested in a browser here, as one sentence; empty where it is."""
    if not executable():
        return "There is no Chromium on this machine: the page is tested without one; get it with: apt-get install chromium"
    if not all(importlib.util.find_spec(name) for name in PACKAGES):
        return "There is a Chromium but nothing that drives it: the page is tested without one; get it with: make test-unit"
    return ""
