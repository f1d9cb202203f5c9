"""The folder of one set of emulators: credentials, remembered ports, databases, log, and who runs in it."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import secrets
import string
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

PROJECT = Path(__file__).resolve().parent.parent
LOG_LIMIT = 5 * 1024 * 1024

_ALPHANUMERIC = string.ascii_letters + string.digits
_CREDENTIAL = re.compile(r"([A-Z_]+)=([0-9A-Za-z_:-]+)")
ROOTS = "AGENTMAIL_GATEWAY_ROOTS"
"""What the passwords of agents are made from, as the configuration key gatewayRoots has it."""


class StateFolderError(Exception):
    """A file of the folder that cannot be read."""

    def __init__(self, path: Path, found: str, expected: str) -> None:
        super().__init__(f"{path} holds {found}, expected {expected}; delete it and run `./mail emulators up` again.")


@dataclass(frozen=True)
class Process:
    """A process and when it began, in words of the operating system.

    The beginning tells it from another process that got its pid later.
    """

    pid: int
    started: str

    @classmethod
    def of(cls, pid: int) -> Process | None:
        """The process that has this pid now; None when there is none."""
        started = _start_from_proc(pid) if Path("/proc/self/stat").exists() else _start_from_ps(pid)
        return None if started is None else cls(pid, started)

    def began(self) -> float:
        """The moment it began, in seconds since the epoch, by the clock of now."""
        boot, _, ticks = self.started.rpartition("/")
        if not boot:
            return time.mktime(time.strptime(self.started))
        return time.time() - time.clock_gettime(time.CLOCK_BOOTTIME) + int(ticks) / os.sysconf("SC_CLK_TCK")

    def alive(self) -> bool:
        """Whether it still runs; a zombie does not."""
        return Process.of(self.pid) == self


def _start_from_proc(pid: int) -> str | None:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    state, ticks = fields[0], fields[19]
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return None if state in ("Z", "X") else f"{boot}/{ticks}"


def _start_from_ps(pid: int) -> str | None:
    """For systems without /proc."""
    listed = subprocess.run(  # noqa: S603
        ["/bin/ps", "-o", "stat=,lstart=", "-p", str(pid)],
        env={"LC_ALL": "C"},  # or the names of days and months are those of the user's language
        capture_output=True,
        text=True,
        check=False,
    )
    state, _, began = listed.stdout.strip().partition(" ")
    return began.strip() if began and not state.startswith("Z") else None


class StateFolder:
    """Paths and small files below one folder, which is made (for its owner only) when it is missing."""

    def __init__(self, path: Path) -> None:
        self.path = path.resolve()
        self.path.mkdir(parents=True, exist_ok=True, mode=0o700)

    @property
    def log(self) -> Path:
        """Where the server writes what it has to say."""
        return self.path / "log"

    @property
    def env_file(self) -> Path:
        """Credentials that the emulators accept, as `NAME=value` lines."""
        return self.path / "credentials.env"

    @property
    def mailjet_database(self) -> Path:
        """State of the Mailjet emulator."""
        return self.path / "mailjet.sqlite"

    @property
    def cloudflare_database(self) -> Path:
        """State of the Cloudflare emulator."""
        return self.path / "cloudflare.sqlite"

    @property
    def certificates(self) -> Path:
        """Where the SMTP server's certificate and key are."""
        return self.path / "tls"

    def credentials(self) -> dict[str, str]:
        """The credentials, made up at random the first time."""
        if not self.env_file.exists():
            made = {
                "MAILJET_API_KEY": secrets.token_hex(16),
                "MAILJET_API_SECRET": secrets.token_hex(16),
                "MAILJET_INBOUND_SECRET": _random(_ALPHANUMERIC, 32),
                "CLOUDFLARE_API_TOKEN": _random(_ALPHANUMERIC + "_-", 40),
            }
            self._write(self.env_file, "".join(f"{name}={value}\n" for name, value in made.items()))
        text = self.env_file.read_text()
        if f"{ROOTS}=" not in text:
            # A folder of before there was a gateway keeps its other credentials: a stack's state knows them.
            text = f"{text.rstrip()}\n{ROOTS}=r1:{secrets.token_urlsafe(32)}\n"
            self._write(self.env_file, text)
        lines = text.splitlines()
        found = {match[1]: match[2] for line in lines if (match := _CREDENTIAL.fullmatch(line.strip()))}
        for name in ("MAILJET_API_KEY", "MAILJET_API_SECRET", "MAILJET_INBOUND_SECRET", "CLOUDFLARE_API_TOKEN"):
            if name not in found:
                raise StateFolderError(self.env_file, f"no {name}", f"a line {name}=…")
        return found

    def ports(self) -> dict[str, int]:
        """The ports that `--free-ports` chose earlier, by role; empty when it never did."""
        path = self.path / "ports.json"
        if not path.exists():
            return {}
        try:
            found = json.loads(path.read_text())
            return {str(role): int(port) for role, port in found.items()}
        except (ValueError, AttributeError, TypeError) as error:
            raise StateFolderError(path, "no valid JSON object", "port numbers by role") from error

    def remember_ports(self, ports: Mapping[str, int]) -> None:
        """Keep the ports for the next start."""
        self._write(self.path / "ports.json", json.dumps(dict(sorted(ports.items()))) + "\n")

    def record(self, server: Mapping[str, Any]) -> None:
        """Write down who serves here and at which addresses."""
        self._write(self.path / "server.json", json.dumps(server, indent=1) + "\n")

    def forget(self) -> None:
        """Nobody serves here any more."""
        (self.path / "server.json").unlink(missing_ok=True)

    def serves(self, process: Process) -> bool:
        """Whether `process` is the one written down."""
        try:
            written = json.loads((self.path / "server.json").read_text())
        except FileNotFoundError:
            return False
        return bool(written.get("pid") == process.pid and written.get("started") == process.started)

    def server(self) -> tuple[Process, dict[str, Any]] | None:
        """The process that serves here and what it wrote down, if it is alive."""
        try:
            written = json.loads((self.path / "server.json").read_text())
            process = Process(int(written["pid"]), str(written["started"]))
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError) as error:
            raise StateFolderError(self.path / "server.json", "no valid JSON", "what a server writes") from error
        return (process, written) if process.alive() else None

    def forget_state(self) -> None:
        """Delete the databases (only while nothing runs)."""
        for database in (self.mailjet_database, self.cloudflare_database):
            for suffix in ("", "-wal", "-shm"):
                database.with_name(database.name + suffix).unlink(missing_ok=True)

    @contextlib.contextmanager
    def starting(self) -> Iterator[None]:
        """Held while a server is started or stopped here: a second `up` waits for the first."""
        with (self.path / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def open_log(self) -> TextIO:
        """The log, open for appending; a long one is put aside first."""
        if self.log.exists() and self.log.stat().st_size > LOG_LIMIT:
            self.log.replace(self.path / "log.1")
        return self.log.open("a")

    def last_words(self) -> str:
        """The last line of the log."""
        lines = self.log.read_text(errors="replace").split("\n") if self.log.exists() else []
        return next((line.strip() for line in reversed(lines) if line.strip()), "it left no message")

    def _write(self, path: Path, text: str) -> None:
        draft = path.with_name(f".{path.name}.{os.getpid()}")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
        draft.replace(path)


def _random(alphabet: str, length: int) -> str:
    return "".join(secrets.choice(alphabet) for _ in range(length))
