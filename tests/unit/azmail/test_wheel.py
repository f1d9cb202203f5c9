"""The wheel in a fresh virtualenv, beside a stranger's package whose name used to be ours."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from email.parser import HeaderParser
from importlib.metadata import version
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy of what the distribution needs, so that nothing is left in the checkout."""
    source, target = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    names = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "azmail", "docs/azmail.md", "pyproject.toml", "LICENSE"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout.split()  # fmt: skip
    for name in names:
        if (ROOT / name).exists():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_bytes((ROOT / name).read_bytes())
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    done = subprocess.run([*command, "-w", str(target), str(source)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (built,) = target.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtualenv with the wheel and a package `agentmail`; the wheel's dependencies come from the one that runs this."""
    folder = tmp_path_factory.mktemp("fresh")
    venv.create(folder, with_pip=False)
    found = folder / "bin" / "python"
    packages = Path(sysconfig.get_path("purelib", vars={"base": str(folder)}))
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(packages)
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    (packages / "agentmail").mkdir()
    (packages / "agentmail" / "__init__.py").write_text("OWNER = 'somebody else'\n")
    return found


def run(python: Path, *arguments: str) -> str:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(
        [str(python), *arguments], cwd=python.parent, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_both_packages_work(python: Path) -> None:
    said = run(python, "-c", "import agentmail, azmail; print(agentmail.OWNER, azmail.MailStack.__name__)")
    assert said == "somebody else MailStack"


def test_its_command_is_azmail_and_knows_its_version(python: Path, wheel: Path) -> None:
    assert run(python, "-m", "azmail", "--version") == "azmail 1.0.0"
    with zipfile.ZipFile(wheel) as archive:
        scripts = archive.read("azmail-1.0.0.dist-info/entry_points.txt").decode()
    assert scripts.split() == ["[console_scripts]", "azmail", "=", "azmail.__main__:main"]


def test_nothing_in_it_is_called_otherwise(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        tops = {name.partition("/")[0] for name in archive.namelist()}
    assert tops == {"azmail", "azmail-1.0.0.dist-info"}


def test_what_a_registry_shows(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        described = HeaderParser().parsestr(archive.read("azmail-1.0.0.dist-info/METADATA").decode())
        licences = [name for name in archive.namelist() if "/licenses/" in name]
    assert described["License-Expression"] == "MIT"
    assert licences == ["azmail-1.0.0.dist-info/licenses/LICENSE"]
    assert {entry.partition(",")[0] for entry in described.get_all("Project-URL", [])} == {
        "Repository",
        "Documentation",
        "Changelog",
    }
    assert str(described.get_payload()).startswith("# azmail in ten minutes")


def test_every_module_and_data_file_is_there(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        there = {name for name in archive.namelist() if name.startswith("azmail/")}
    wanted = {str(path.relative_to(ROOT)) for path in (ROOT / "azmail").rglob("*.py")}
    assert wanted | {"azmail/py.typed", "azmail/outputs.schema.json"} <= there
    assert version("setuptools")
