"""`state restore`: the newest whole copy comes back, what was cut stays at hand, and nothing is guessed."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from commands.cli.running import main
from commands.state import restore

PROJECT = "name: agentmail\nruntime: python\n"


class Backend:
    """A folder backend with one stack."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "Pulumi.yaml").write_text(PROJECT)
        self.state = folder / "states" / ".pulumi" / "stacks" / "agentmail" / "dev.json"
        self.write(self.state, "now")
        self.cut()

    def cut(self) -> None:
        self.state.write_text(self.state.read_text()[:30])

    def write(self, file: Path, what: str, *, age: int = 0, whole: bool = True) -> Path:
        file.parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps({"version": 3, "checkpoint": {"latest": what}})
        file.write_text(text if whole else text[:20])
        moment = file.stat().st_mtime - age
        os.utime(file, (moment, moment))
        return file

    def beside(self, what: str, **how: int) -> Path:
        return self.write(
            self.state.with_name("dev.json.bak"), what, age=how.get("age", 0), whole=how.get("whole", 1) == 1
        )

    def earlier(self, what: str, age: int) -> Path:
        return self.write(self.state.parents[2] / "backups" / "agentmail" / "dev" / f"dev.{age}.json", what, age=age)

    def now(self) -> str:
        found: str = json.loads(self.state.read_text())["checkpoint"]["latest"]
        return found


@pytest.fixture
def backend(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Backend:
    monkeypatch.setenv("PULUMI_BACKEND_URL", f"file://{tmp_path}/states?metadata=skip")
    monkeypatch.setenv("AGENTMAIL_STATE_DIR", str(tmp_path / "state"))
    return Backend(tmp_path)


def run(backend: Backend, *options: str) -> int:
    return main(["state", "restore", "dev", "-C", str(backend.folder), *options])


def test_the_copy_beside_it_comes_back(backend: Backend, capsys: pytest.CaptureFixture[str]) -> None:
    broken = backend.state.read_text()
    backend.beside("a step ago")
    assert run(backend) == 0
    assert backend.now() == "a step ago"
    kept = [file for file in backend.state.parent.iterdir() if ".cut-" in file.name]
    assert [file.read_text() for file in kept] == [broken]
    said = capsys.readouterr().out
    assert kept[0].name in said
    assert "./mail apply dev --refresh" in said


def test_the_newest_whole_one_counts(backend: Backend) -> None:
    backend.beside("cut as well", whole=0)
    backend.earlier("old", age=500)
    backend.earlier("newer", age=50)
    restore("dev", backend.folder)
    assert backend.now() == "newer"


def test_what_is_whole_is_left_alone(backend: Backend, capsys: pytest.CaptureFixture[str]) -> None:
    backend.write(backend.state, "now")
    backend.beside("older")
    assert run(backend) == 1
    assert backend.now() == "now"
    assert "is whole" in capsys.readouterr().err


def test_without_a_copy_it_is_put_aside_only_when_told(backend: Backend, capsys: pytest.CaptureFixture[str]) -> None:
    before = sorted(backend.state.parent.iterdir())
    assert run(backend) == 1
    assert "no copy beside it is whole; put it aside with: ./mail state restore dev --aside" in capsys.readouterr().err
    assert sorted(backend.state.parent.iterdir()) == before
    assert run(backend, "--aside") == 0
    assert not backend.state.exists()
    assert "./mail pulumi stack init dev" in capsys.readouterr().out


def test_a_run_that_holds_the_stack_is_waited_for(backend: Backend, capsys: pytest.CaptureFixture[str]) -> None:
    backend.beside("a step ago")
    lock = backend.state.parents[2] / "locks" / "organization" / "agentmail" / "dev" / "1.json"
    lock.parent.mkdir(parents=True)
    lock.write_text("{}")
    broken = backend.state.read_text()
    assert run(backend) == 1
    assert backend.state.read_text() == broken
    assert f"take its lock away with: rm {lock}" in capsys.readouterr().err


def test_a_disk_that_is_still_full_loses_nothing(
    backend: Backend, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    backend.beside("a step ago")
    before = {file: file.read_text() for file in backend.state.parent.iterdir()}

    def full(_file: Path, _text: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    assert run(backend) == 1
    assert {file: file.read_text() for file in backend.state.parent.iterdir()} == before
    assert "could not be written" in (said := capsys.readouterr().err)
    assert "No space left on device" in said


def test_a_bucket_has_versions_of_its_own(
    backend: Backend, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PULUMI_BACKEND_URL", "s3://states")
    assert run(backend) == 1
    assert "is in s3://states (PULUMI_BACKEND_URL names it), no folder" in capsys.readouterr().err


def test_a_stack_that_is_not_there(backend: Backend, capsys: pytest.CaptureFixture[str]) -> None:
    backend.state.unlink()
    assert run(backend) == 1
    assert "There is no stack 'dev'" in capsys.readouterr().err
