"""What a program's ending means; the rest of `engine/language/program.py` needs the real engine (tests/e2e)."""

from __future__ import annotations

import runpy
from pathlib import Path

import pulumi.log
import pytest

from engine.language import host, program
from engine.language.program import ERROR_WAS_SHOWN


@pytest.fixture
def logged(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> program._LoggedErrors:
    """Errors go to stderr: no engine listens here."""
    counting = program._LoggedErrors()
    monkeypatch.setattr(pulumi.log, "error", counting.report)
    return counting


@pytest.mark.parametrize("code", [None, 0])
def test_a_good_end(logged: program._LoggedErrors, code: int | None) -> None:
    assert program._exit_status(SystemExit(code), logged) == 0


def test_a_status_stands_for_itself(logged: program._LoggedErrors) -> None:
    assert program._exit_status(SystemExit(3), logged) == 3


def test_a_status_after_a_logged_error_adds_nothing(
    logged: program._LoggedErrors, capsys: pytest.CaptureFixture[str]
) -> None:
    pulumi.log.error("One sentence.")
    assert program._exit_status(SystemExit(1), logged) == ERROR_WAS_SHOWN
    assert capsys.readouterr().err == "error: One sentence.\n"


def test_a_text_is_the_error(logged: program._LoggedErrors, capsys: pytest.CaptureFixture[str]) -> None:
    assert program._exit_status(SystemExit("One sentence."), logged) == ERROR_WAS_SHOWN
    assert capsys.readouterr().err == "error: One sentence.\n"


def traceback_of(main: Path, text: str) -> str:
    main.write_text(text)
    try:
        runpy.run_path(str(main.parent), run_name="__main__")
    except (ValueError, SyntaxError):
        return program._program_traceback(str(main.parent))
    raise AssertionError("the program did not fail")


def test_a_traceback_starts_in_the_program(tmp_path: Path) -> None:
    shown = traceback_of(tmp_path / "__main__.py", "def broken():\n    raise ValueError('why')\n\nbroken()\n")
    lines = shown.splitlines()
    assert lines[1] == f'  File "{tmp_path}/__main__.py", line 4, in <module>'
    assert lines[-1] == "ValueError: why"
    assert "runpy" not in shown


def test_a_syntax_error_needs_no_traceback(tmp_path: Path) -> None:
    shown = traceback_of(tmp_path / "__main__.py", "def f(:\n    pass\n")
    assert shown.splitlines()[0] == f'  File "{tmp_path}/__main__.py", line 1'
    assert shown.splitlines()[-1] == "SyntaxError: invalid syntax"


def test_a_project_folder_may_have_a_dot_in_its_name(tmp_path: Path) -> None:
    folder = tmp_path / "agent-mail.v2"
    folder.mkdir()
    assert program._main_file(str(folder)) == folder / "__main__.py"
    assert program._main_file(str(folder / "other.py")) == folder / "other.py"


def test_host_and_program_mean_the_same_status() -> None:
    assert host.ERROR_WAS_SHOWN == ERROR_WAS_SHOWN
