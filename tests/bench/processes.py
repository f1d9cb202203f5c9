"""What a Pulumi command costs, and which of its processes costs it: wall time, CPU time, peak memory.

The engine starts a language host (which runs the program in a process of its own) and a plugin for each provider.
CPU time and memory are read from /proc every 20 ms, so a process that ends may hide its last 20 ms. Linux only.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

INTERVAL_SECONDS = 0.02
DEADLINE_SECONDS = 1800.0
_TICKS = os.sysconf("SC_CLK_TCK")


class Role(StrEnum):
    """Who uses the time."""

    ENGINE = "engine"
    LANGUAGE_HOST = "language host"
    PROGRAM = "program"
    MAILJET = "Mailjet providers"
    CLOUDFLARE = "Cloudflare plugin"
    OTHER = "launcher and others"


def role_of(command: str) -> Role:
    """By command line, arguments joined by spaces: of this project's own engine and of the official one."""
    marks = (
        (Role.PROGRAM, ("engine/language/program.py", "pulumi-language-python-exec")),
        (Role.MAILJET, ("dynamic_host.py", "pulumi.dynamic", "pulumi-resource-pulumi-python", "plugin pulumi-python")),
        (Role.CLOUDFLARE, ("pulumi-resource-cloudflare", "plugin cloudflare", "engine.cloudflare")),
        (Role.LANGUAGE_HOST, ("pulumi-language-python", "plugin python")),
    )
    for role, texts in marks:
        if any(text in command for text in texts):
            return role
    first = command.split(" ", 1)[0]
    return Role.ENGINE if first.rsplit("/", 1)[-1] == "pulumi" and "engine/pulumi" not in first else Role.OTHER


@dataclass(frozen=True, kw_only=True)
class Cost:
    """Of one command, all its processes together or by role."""

    seconds: float
    """Wall time."""
    cpu: Mapping[Role, float]
    """Seconds in user and kernel mode."""
    peak: Mapping[Role, int]
    """Bytes of the largest process in each role (VmHWM)."""

    @property
    def cpu_seconds(self) -> float:
        return sum(self.cpu.values())

    @property
    def peak_bytes(self) -> int:
        """As if all processes had their peak at the same time: an upper bound."""
        return sum(self.peak.values())


class CommandFailedError(Exception):
    """A command ended with an error, or not in time."""

    def __init__(self, command: Sequence[str], code: int | None, output: str) -> None:
        ending = "did not end in time" if code is None else f"ended with {code}"
        super().__init__(f"{' '.join(command)} {ending}:\n{output[-4000:]}")


def measure(command: Sequence[str], *, environment: Mapping[str, str], folder: Path) -> Cost:
    """Run a command to its end. Raises CommandFailedError unless it exits with 0."""
    watch = _Watch()
    with tempfile.TemporaryFile() as output:
        start = time.monotonic()
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        watch.follow(process.pid)
        try:
            code: int | None = process.wait(DEADLINE_SECONDS)
        except subprocess.TimeoutExpired:
            process.terminate()
            process.wait()
            code = None
        seconds = time.monotonic() - start
        watch.end()
        if code != 0:
            output.seek(0)
            raise CommandFailedError(command, code, output.read().decode(errors="replace"))
    return Cost(seconds=seconds, cpu=dict(watch.cpu), peak=dict(watch.peak))


class _Watch:
    """A thread that reads a process tree from /proc until it is told to end."""

    def __init__(self) -> None:
        self.cpu: defaultdict[Role, float] = defaultdict(float)
        self.peak: dict[Role, int] = {}
        self._seen: dict[int, float] = {}
        self._over = threading.Event()
        self._thread: threading.Thread | None = None

    def follow(self, root: int) -> None:
        self._thread = threading.Thread(target=self._run, args=(root,), daemon=True)
        self._thread.start()

    def end(self) -> None:
        self._over.set()
        if self._thread is not None:
            self._thread.join()

    def _run(self, root: int) -> None:
        while not self._over.wait(INTERVAL_SECONDS):
            for pid in tree(root):
                self._read(pid)

    def _read(self, pid: int) -> None:
        process = Path("/proc") / str(pid)
        try:
            fields = (process / "stat").read_text().rsplit(")", 1)[1].split()
            command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            status = (process / "status").read_text()
        except (OSError, IndexError):
            return
        role = role_of(command)
        used = (int(fields[11]) + int(fields[12])) / _TICKS
        self.cpu[role] += used - self._seen.get(pid, 0.0)
        self._seen[pid] = used
        self.peak[role] = max(self.peak.get(role, 0), peak_bytes(status))


def peak_bytes(status: str) -> int:
    """`VmHWM` of a /proc/PID/status, in bytes; 0 for a process that has ended."""
    for line in status.splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return 0


def cpu_seconds(root: int) -> float:
    """What a process tree that runs has used until now, with those of its children that have ended."""
    used = 0
    for pid in tree(root):
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        used += sum(int(one) for one in fields[11:15])
    return used / _TICKS


def tree(root: int) -> list[int]:
    """The process and all below it."""
    found, ahead = [], [root]
    while ahead:
        pid = ahead.pop()
        found.append(pid)
        try:
            for thread in Path(f"/proc/{pid}/task").iterdir():
                ahead += [int(child) for child in (thread / "children").read_text().split()]
        except OSError:
            continue
    return found
