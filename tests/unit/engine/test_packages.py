"""What installs the packages says in a sentence, and soon, that there is no network. Real uv and pip, against a port where nobody is."""

from __future__ import annotations

import ensurepip
import hashlib
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import engine.packages
from engine.packages import IndexUnreachableError

NOWHERE = "http://127.0.0.1:9/simple"
TOOLS = Path(sys.prefix) / "bin"
LOCK = f"uv==0.13.9 \\\n    --hash=sha256:{'0' * 64}\nsix==1.17.0 \\\n    --hash=sha256:{'1' * 64}\n"
WHEEL = next((Path(ensurepip.__file__).parent / "_bundled").glob("pip-*.whl"))


@pytest.fixture(scope="module")
def pip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """pip, unpacked: in its wheel it would be compiled anew by each Python. As installed it does not count."""
    unpacked = tmp_path_factory.mktemp("pip")
    with zipfile.ZipFile(WHEEL) as wheel:
        wheel.extractall(unpacked, [name for name in wheel.namelist() if ".dist-info/" not in name])
    return unpacked


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A lock file, and a virtualenv without anything in it."""
    (tmp_path / "some.lock").write_text(LOCK)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "venv")], check=True)
    return tmp_path


def setup(folder: Path, path: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """As make starts it, in an environment that has nothing of this machine's."""
    environment = {
        "PATH": path,
        "PIP_INDEX_URL": NOWHERE,
        "UV_DEFAULT_INDEX": NOWHERE,
        "UV_CACHE_DIR": str(folder / "cache"),
        "NO_PROXY": "127.0.0.1",
        **variables,
    }
    return subprocess.run(
        [sys.executable, engine.packages.__file__, str(folder / "some.lock"), str(folder / "venv")],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.mark.slow
def test_uv_without_a_network(folder: Path) -> None:
    done = setup(folder, str(TOOLS), PIP_INDEX_URL="")
    assert done.returncode == 1
    assert done.stderr.splitlines() == [f"setup: {IndexUnreachableError('cause: Connection refused (os error 111)')}"]
    assert "(Connection refused)" in done.stderr
    assert done.stderr.rstrip().endswith("./mail setup")


@pytest.mark.slow
def test_pip_without_a_network_is_not_asked_twice(folder: Path, pip: Path) -> None:
    done = setup(folder, os.defpath, PYTHONPATH=str(pip))
    assert done.returncode == 1
    assert done.stderr.splitlines() == [f"setup: {IndexUnreachableError('[Errno 111] Connection refused')}"]
    assert "takes about a minute longer" not in done.stdout


@pytest.mark.slow
def test_a_lock_without_uv_is_left_to_pip(folder: Path, pip: Path) -> None:
    """Where this machine has no uv, what is installed besides is installed all the same."""
    digest = hashlib.sha256(WHEEL.read_bytes()).hexdigest()
    (folder / "some.lock").write_text(f"{WHEEL.as_uri()} --hash=sha256:{digest}\n")
    done = setup(folder, os.defpath, PYTHONPATH=str(pip))
    assert (done.returncode, done.stderr) == (0, "")
    assert list((folder / "venv" / "lib").glob("python*/site-packages/pip-*.dist-info"))


def test_what_is_wrong_besides_the_network_is_shown(folder: Path) -> None:
    (folder / "some.lock").write_text("uv==\n")
    done = setup(folder, str(TOOLS), PYTHONPATH="")
    assert done.returncode == 1
    assert "the packages of" in done.stderr
    assert "Traceback" not in done.stderr
