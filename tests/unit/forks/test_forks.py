"""A Python that the server has forked, beside one of its own: whoever started it sees no difference."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import forks
from tests.waiting import wait_until

pytestmark = pytest.mark.slow

# The last part of a name in `FILES` of `stub.c`, so that the server runs it.
NAME = "commands/__main__.py"
WAITS = "for _ in range(3000): time.sleep(0.02)"
"""In a program: until a signal comes. `signal.pause` would miss one that comes just before it."""
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != forks.PROJECT}


@pytest.fixture(scope="module", params=["forked", "own"])
def python(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A virtualenv's Python: one of a server's, and that of this project."""
    if request.param == "own":
        yield Path(sys.executable)
        return
    folder = tmp_path_factory.mktemp("forks")
    with forks.servers(folder / "socket", kinds=["mail", "services"]) as socket:
        forks.virtualenv(folder / ".venv", socket)
        yield folder / ".venv" / "bin" / "python"


@pytest.fixture
def program(tmp_path: Path) -> Path:
    path = tmp_path / NAME
    path.parent.mkdir()
    return path


def started(python: Path, program: Path, code: str, *words: str, **options: object) -> subprocess.Popen[str]:
    program.write_text(code)
    pipe = subprocess.PIPE
    return subprocess.Popen(  # type: ignore[call-overload,no-any-return]
        [python, program, *words], stdin=pipe, stdout=pipe, stderr=pipe, text=True, **{"env": ENVIRONMENT, **options}
    )


def ended(running: subprocess.Popen[str], given: str = "") -> tuple[int, str, str]:
    out, err = running.communicate(given, timeout=60)
    return running.returncode, out, err


def test_arguments_input_output_and_status(python: Path, program: Path, tmp_path: Path) -> None:
    code = (
        "import os, sys\n"
        "print(sys.argv[1:], input(), os.getcwd(), os.environ['MINE'], sys.path[0] == os.path.dirname(__file__), __name__)\n"
        "print('told', file=sys.stderr)\n"
        "sys.exit(7)\n"
    )
    running = started(python, program, code, "a", "b c", cwd=tmp_path, env=ENVIRONMENT | {"MINE": "yes"})
    assert ended(running, "line\n") == (7, f"['a', 'b c'] line {tmp_path} yes True __main__\n", "told\n")


def test_a_text_at_the_exit_and_an_exception(python: Path, program: Path) -> None:
    assert ended(started(python, program, "import sys; sys.exit('why')")) == (1, "", "why\n")
    code, out, err = ended(started(python, program, "1 / 0"))
    assert (code, out, err.splitlines()[-1]) == (1, "", "ZeroDivisionError: division by zero")


def test_what_is_left_for_the_end_is_done(python: Path, program: Path) -> None:
    code = (
        "import atexit, threading, time\n"
        "atexit.register(print, 'at the end')\n"
        "threading.Thread(target=lambda: (time.sleep(0.1), print('of a thread'))).start()\n"
        "print('of the program')\n"
    )
    assert ended(started(python, program, code)) == (0, "of the program\nof a thread\nat the end\n", "")


def test_interrupted_it_says_where(python: Path, program: Path) -> None:
    code, out, err = ended(started(python, program, "raise KeyboardInterrupt"))
    assert (code, out, err.splitlines()[-1]) == (-signal.SIGINT, "", "KeyboardInterrupt")


def test_a_file_left_open_for_it(python: Path, program: Path) -> None:
    reading, writing = os.pipe()
    running = started(python, program, f"import os; os.write({writing}, b'here')", pass_fds=(writing,))
    os.close(writing)
    assert ended(running)[0] == 0
    with os.fdopen(reading, "rb") as pipe:
        assert pipe.read() == b"here"


@pytest.mark.parametrize("began", [signal.SIG_DFL, signal.SIG_IGN])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_reaches_it(python: Path, program: Path, number: signal.Signals, began: signal.Handlers) -> None:
    """Also one that was ignored where it was started, as `nohup` and `&` have it."""
    code = (
        "import signal, sys, time\n"
        f"print(signal.getsignal({int(number)}) is signal.SIG_IGN, flush=True)\n"
        f"signal.signal({int(number)}, lambda *_: sys.exit(9))\n"
        "print('ready', flush=True)\n"
        f"{WAITS}\n"
    )
    running = started(python, program, code, preexec_fn=lambda: signal.signal(number, began))
    assert running.stdout is not None
    assert [running.stdout.readline() for _ in range(2)] == [f"{began is signal.SIG_IGN}\n", "ready\n"]
    running.send_signal(number)
    assert ended(running)[0] == 9


def test_it_ends_by_a_signal(python: Path, program: Path) -> None:
    running = started(python, program, "import os, signal; os.kill(os.getpid(), signal.SIGTERM)")
    assert ended(running)[0] == -signal.SIGTERM


def test_killed_it_is_gone(python: Path, program: Path) -> None:
    running = started(python, program, "import os, time; print(os.getpid(), flush=True)\n" + WAITS)
    assert running.stdout is not None
    pid = int(running.stdout.readline())
    running.kill()
    assert ended(running)[0] == -signal.SIGKILL
    wait_until(
        lambda: not Path(f"/proc/{pid}/cmdline").is_file() or not Path(f"/proc/{pid}/cmdline").read_bytes(), "its end"
    )


def test_those_that_end_while_they_are_killed_harm_nobody(python: Path, program: Path) -> None:
    program.write_text("import sys; sys.stdin.read()")
    running = [subprocess.Popen([python, program], stdin=subprocess.PIPE, env=ENVIRONMENT) for _ in range(20)]
    for one in running:
        assert one.stdin is not None
        one.stdin.close()
        one.kill()
    assert {one.wait(60) for one in running} <= {0, -signal.SIGKILL}
    assert ended(started(python, program, "print('still there')")) == (0, "still there\n", "")
    assert (
        ended(started(python, program, "import sys; print('grpc' in sys.modules)"))[1] == f"{'forks' in str(python)}\n"
    )


def test_it_may_become_another_program(python: Path, program: Path) -> None:
    code = "import os, sys; os.execv('/bin/sh', ['sh', '-c', 'read word; echo $word; exit 3'])"
    assert ended(started(python, program, code), "word\n") == (3, "word\n", "")


def test_a_program_of_another_clone_has_the_rooms_of_that(python: Path, program: Path) -> None:
    for room in ("engine", "commands", "emulators"):
        package = program.parents[1] / room
        package.mkdir(exist_ok=True)
        (package / "__init__.py").write_text("WHERE = 'here'")
    code = (
        "import sys; sys.path.insert(0, sys.path[0].removesuffix('/commands'))\n"
        "import commands, emulators, engine; print(commands.WHERE, emulators.WHERE, engine.WHERE)"
    )
    assert ended(started(python, program, code))[:2] == (0, "here here here\n")


def test_it_knows_its_virtualenv(python: Path, program: Path) -> None:
    assert ended(started(python, program, "import sys; print(sys.executable)"))[1] == f"{python}\n"


@pytest.mark.parametrize("options", [{"start_new_session": True}, {"env": ENVIRONMENT | {"PYTHONUTF8": "1"}}])
def test_what_begins_otherwise_gets_a_python_of_its_own(
    python: Path, program: Path, options: dict[str, object]
) -> None:
    """Its packages are not imported before it begins, and it has all that Python tells of itself."""
    code = "import sys; print('grpc' in sys.modules, sys.flags.utf8_mode, sys.executable)"
    utf8 = 1 if "env" in options else 0
    assert ended(started(python, program, code, **options))[1] == f"False {utf8} {python}\n"


@pytest.mark.parametrize("session", [True, False])
def test_a_service_has_a_session_of_its_own(python: Path, tmp_path: Path, session: bool) -> None:
    """Started as a module, from the folder that it lies in; one that another service starts is ended by that alone."""
    package = tmp_path / "emulators"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "__main__.py").write_text(
        "import os, signal, sys, time\n"
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(9))\n"
        "print(os.getsid(0) == os.getpid())\n"
        "print(sys.argv[1:], *sys.path[:2], __name__, sys.executable, flush=True)\n"
        f"{WAITS}\n"
    )
    pipe = subprocess.PIPE
    running = subprocess.Popen(
        [python, "-m", "emulators", "a", "-m"], cwd=tmp_path, env=ENVIRONMENT | {"PYTHONPATH": "/its/modules"}, stdin=pipe,
        stdout=pipe, stderr=pipe, text=True, start_new_session=session,
    )  # fmt: skip
    assert running.stdout is not None
    lines = [running.stdout.readline() for _ in range(2)]
    running.terminate()
    assert ended(running) == (9, "", "")
    leads_a_session = session or "forks" in str(python)
    assert lines == [f"{leads_a_session}\n", f"['a', '-m'] {tmp_path} /its/modules __main__ {python}\n"]


def test_the_end_of_the_server_ends_it(tmp_path: Path, program: Path) -> None:
    with forks.servers(tmp_path / "socket", kinds=["mail"]) as socket:
        forks.virtualenv(tmp_path / ".venv", socket)
        running = started(
            tmp_path / ".venv" / "bin" / "python", program, "import time; print('ready', flush=True)\n" + WAITS
        )
        assert running.stdout is not None
        assert running.stdout.readline() == "ready\n"
    assert ended(running)[0] != 0
