"""Every package that setup installs is pinned with its hashes, and the lock says what the requirements say."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
LOCKS = {
    "requirements.lock": ["requirements.txt", "requirements-dev.txt"],
    ".github/audit.lock": [".github/audit.in"],
    "tests/browser.lock": ["tests/browser.in"],
    "tests/tools.lock": ["tests/tools.in"],
    "docs/site/site.lock": ["docs/site/site.in"],
}


def pins(text: str) -> dict[str, str]:
    """{name: version}; requirements in continued lines are one each."""
    found = re.findall(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)", text, re.MULTILINE)
    return {re.sub(r"[-_.]+", "-", name).lower(): version for name, version in found}


@pytest.mark.parametrize("name", LOCKS)
class TestLock:
    def test_it_says_what_the_requirements_say(self, name: str) -> None:
        locked = pins((ROOT / name).read_text())
        for source in LOCKS[name]:
            wanted = pins((ROOT / source).read_text())
            assert wanted.items() <= locked.items(), f"{source} has changed: make lock"

    def test_every_package_has_hashes(self, name: str) -> None:
        lines = re.sub(r"\\\n\s*", " ", (ROOT / name).read_text()).splitlines()
        entries = [line for line in lines if line and not line.startswith("#")]
        # A package may stand twice, for different Pythons.
        assert {entry.partition("==")[0] for entry in entries} == set(pins((ROOT / name).read_text()))
        for entry in entries:
            assert re.fullmatch(r"\S+==\S+( ; [^\\]+?)?( +--hash=sha256:[0-9a-f]{64})+", entry), entry

    def test_no_registry_is_named(self, name: str) -> None:
        assert "://" not in (ROOT / name).read_text()
        assert "index-url" not in (ROOT / name).read_text()


def test_setup_installs_from_the_lock_and_from_nothing_else() -> None:
    """By `engine/packages.py`, which takes uv from the lock too."""
    makefile, installer = ((ROOT / name).read_text() for name in ("Makefile", "engine/packages.py"))
    assert "$(PYTHON) $(FIRST) $(LOCK) .venv" in makefile
    assert set(re.findall(r"FIRST :?= ?(\S+)", makefile)) == {"engine/packages.py", "engine/side_by_side.py"}
    assert '["--require-hashes", "-r", str(lock)]' in installer
    installs = [line for line in makefile.splitlines() if re.search(r"pip install .*-r ", line)]
    installs += [line for line in installer.splitlines() if re.search(r'"install".*"-r"', line)]
    assert installs
    assert all("--require-hashes" in line for line in installs)
    assert pins((ROOT / "requirements.lock").read_text())["uv"]
