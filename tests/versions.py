"""`python -m tests.versions`: what is pure and what the platform runs, on every Python from 3.11 that the machine has.

Each gets a virtualenv in a temporary folder with the few packages that these parts need, in the locked versions.
With arguments it runs on these alone: `python -m tests.versions python3.14 /opt/python/bin/python3`.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
OLDEST, NEWEST = 11, 14
PACKAGES = (
    "aiosmtpd", "anyascii", "cryptography", "dnspython", "hypothesis", "idna", "pydantic", "pytest", "pytest-xdist", "pyyaml", "requests",
    "setuptools", "starlette", "uvicorn",
)  # fmt: skip
PARTS = ("tests/unit/azmail", "tests/unit/mailboxes", "tests/unit/zone")
# They have packages of their own: the gateway, the inbox, the command line, the emulators; or build a wheel.
LEFT_OUT = (
    "gateway",
    "inbox",
    "test_mailbox_command_line.py",
    "test_memory.py",
    "test_strict_certificates.py",
    "test_wheel.py",
)


def pythons() -> dict[str, str]:
    """Version and path of each Python that is installed, by `PATH` and by pyenv, the oldest first."""
    found: dict[tuple[int, ...], str] = {}
    for candidate in _candidates():
        asked = subprocess.run(
            [candidate, "-c", "import sys; print('%d.%d.%d' % sys.version_info[:3])"], capture_output=True, text=True
        )
        version = tuple(int(number) for number in asked.stdout.strip().split(".") if number.isdigit())
        if asked.returncode == 0 and version[:2] >= (3, OLDEST):
            found.setdefault(version, candidate)
    return {".".join(map(str, version)): found[version] for version in sorted(found)}


def _candidates() -> Iterator[str]:
    for minor in range(OLDEST, NEWEST + 1):
        if path := shutil.which(f"python3.{minor}"):
            yield path
    yield from map(str, sorted(Path.home().glob(".pyenv/versions/3.*/bin/python")))


def pins() -> list[str]:
    """The packages as `requirements.lock` names them."""
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    named = {match[1].lower(): match[0] for match in re.finditer(r"^([\w.-]+)==[\w.+!-]+", lock, re.MULTILINE)}
    return [named[package] for package in PACKAGES]


def run_on(python: str) -> int:
    """Exit status of the tests on one Python."""
    with tempfile.TemporaryDirectory(prefix="azmail-python-") as folder:
        subprocess.run([python, "-m", "venv", folder], check=True)
        own = str(Path(folder, "bin", "python"))
        subprocess.run([own, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *pins()], check=True)
        left_out = [f"--ignore={part}/{name}" for part in PARTS for name in LEFT_OUT]
        command = [own, "-m", "pytest", "-q", "-n", "2", "-p", "no:cacheprovider", *PARTS, *left_out]
        return subprocess.run(command, cwd=ROOT).returncode


def main() -> int:
    chosen = dict(zip(sys.argv[1:], sys.argv[1:], strict=True)) or pythons()
    results: dict[str, int] = {}
    for version, python in chosen.items():
        print(f"Python {version}: {python}", flush=True)
        results[version] = run_on(python)
    for version, status in results.items():
        print(f"Python {version}: {'passed' if status == 0 else f'failed ({status})'}")
    return 0 if results and not any(results.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
