"""`up` is killed at a given moment: the CLI alone, which leaves its plugins running, or all plugins at once.

A moment is a number of writes that the emulators have seen, so that it means the same on a slow machine.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

import requests

from tests import waiting
from tests.chaos.world import ChaosError, World
from tests.e2e.stack import DEADLINE, ENGINE, Stack
from tests.processes import killed_at_the_end

LATENCY_MS = 40
"""Of every call, so that there is something to interrupt."""
SETUP_WRITES = 16
"""About as many come before the first route: sender, records, tunnel, checks."""
MOST_UNDER_WAY = 48 + 16
"""Requests of both plugins that may be on their way when the kill comes: the Mailjet client's connections, and
what the engine's default of parallel steps lets Cloudflare's plugin send."""
STEADY_LOOKS = 20
_PAUSE_SECONDS = 0.005
_STEADY_SECONDS = 0.05


class Victim(StrEnum):
    """Who is killed."""

    CLI = "cli"
    PLUGINS = "plugins"


@dataclass(frozen=True)
class Identity:
    """A process, not only its number, which another one may get later."""

    pid: int
    started: str

    @property
    def runs(self) -> bool:
        """A zombie has ended: it only waits for its parent to notice."""
        now = _stat(self.pid)
        return now is not None and now[2] == self.started and now[0] not in ("Z", "X")


def _stat(pid: int) -> tuple[str, int, str] | None:
    """State, parent and start time of a process (proc_pid_stat(5)); None if there is none."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = text.rpartition(")")[2].split()
    return fields[0], int(fields[1]), fields[19]


def descendants(pid: int) -> list[Identity]:
    """Every process below `pid`."""
    children: dict[int, list[Identity]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (found := _stat(int(entry.name))) is not None:
            children.setdefault(found[1], []).append(Identity(int(entry.name), found[2]))
    below: list[Identity] = []
    todo = [pid]
    while todo:
        for child in children.get(todo.pop(), []):
            below.append(child)
            todo.append(child.pid)
    return below


def wait_until(condition: Callable[[], bool], what: str, *, seconds: float = 60.0) -> None:
    """`tests.waiting`'s, whose failure is an invariant that broke; `seconds` is what no healthy run needs."""
    try:
        waiting.wait_until(condition, what, seconds=seconds, pause_seconds=_PAUSE_SECONDS)
    except AssertionError as error:
        raise ChaosError(what, [f"not after {seconds:.0f} s"]) from error


class WriteCounter:
    """Writes on both sides, over kept connections: it is asked some hundred times a second."""

    def __init__(self, world: World) -> None:
        self._urls = [world.emulators.control(side, "counts") for side in ("mailjet", "cloudflare")]
        self._http = requests.Session()

    def __call__(self) -> int:
        return sum(int(self._http.get(url, timeout=10).json()["writes"]) for url in self._urls)

    def close(self) -> None:
        self._http.close()


@contextmanager
def counting(world: World) -> Iterator[WriteCounter]:
    """A counter from zero, and latency, until the block ends."""
    world.emulators.forget_requests()
    for side in ("mailjet", "cloudflare"):
        world.emulators.faults(side, latency_ms=LATENCY_MS)
    counter = WriteCounter(world)
    try:
        yield counter
    finally:
        counter.close()
        for side in ("mailjet", "cloudflare"):
            world.emulators.faults(side)


@dataclass(frozen=True)
class Kill:
    """What a killed `up` had done."""

    wanted: int
    seen: int
    late: int
    """Writes that arrived after the kill: those that were on their way."""
    finished: bool
    """The run ended before its moment came."""
    text: str


def killed_up(world: World, *, victim: Victim, moment: int) -> Kill:
    """`up` until the emulators have seen `moment` writes, then SIGKILL; returns when nothing of the run lives.

    What comes after the death of the last process cannot be a write of that run. That the counters also stay
    where they are for a second afterwards shows that no process was overlooked.
    """
    stack = world.stack
    with counting(world) as writes, tempfile.TemporaryFile("w+") as printed:
        words: list[str | Path] = [
            ENGINE,
            "-C",
            stack.folder,
            "up",
            "--stack",
            stack.name,
            "--yes",
            "--skip-preview",
            "--non-interactive",
        ]
        started = subprocess.Popen(
            words,
            env=stack.environment,
            stdout=printed,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            # Another session than that of `tests.forks`, whose processes would be found below its server.
            start_new_session=True,
        )
        with killed_at_the_end(started) as running:
            wait_until(
                lambda: running.poll() is not None or writes() >= moment, "the moment of a kill", seconds=DEADLINE
            )
            family = descendants(running.pid)
            finished = running.poll() is not None
            if victim is Victim.CLI:
                running.kill()
            else:
                for process in family:
                    _kill(process)
            seen = writes()
            running.wait(DEADLINE)
            wait_until(lambda: not any(process.runs for process in family), f"end of the plugins after {victim}")
        quiet = writes()
        pause = threading.Event()
        for _ in range(STEADY_LOOKS):
            pause.wait(_STEADY_SECONDS)
            if writes() != quiet:
                raise ChaosError(f"kill of {victim} at write {moment}", ["writes go on after every process has ended"])
        late = quiet - seen
        if victim is Victim.CLI and late > MOST_UNDER_WAY:
            raise ChaosError(
                f"kill of {victim} at write {moment}",
                [f"{late} writes after it, at most {MOST_UNDER_WAY} were under way"],
            )
        printed.seek(0)
        return Kill(moment, seen, late, finished, printed.read())


def _kill(process: Identity) -> None:
    if process.runs:
        try:
            os.kill(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            return  # it ended by itself in this very moment


def killed_by(running: subprocess.Popen[bytes]) -> None:
    """End the CLI and all its plugins at once."""
    running.send_signal(signal.SIGSTOP)  # or it starts one more between the look and the kill
    family = descendants(running.pid)
    running.kill()
    for process in family:
        _kill(process)
    running.wait(DEADLINE)
    wait_until(lambda: not any(process.runs for process in family), "the end of what was killed")


def moments(seed: int, count: int, *, writes: int) -> list[int]:
    """`count` moments of an `up` of so many writes, in random order: every other one before the first route."""
    rng = random.Random(seed)
    return [
        rng.randint(1, SETUP_WRITES) if number % 2 == 0 else rng.randint(SETUP_WRITES + 1, writes - 1)
        for number in range(count)
    ]


@dataclass(frozen=True)
class Aftermath:
    """A kill and how it ended."""

    victim: Victim
    kill: Kill
    mended: str

    def __str__(self) -> str:
        how = "finished first" if self.kill.finished else f"killed at {self.kill.seen}, {self.kill.late} on their way"
        return f"{self.victim} at write {self.kill.wanted}: {how}; {self.mended}"


def kill_then_up(world: World, *, victim: Victim, moment: int) -> Aftermath:
    """Killed, `pulumi cancel`, `up`: as if nothing had happened. Ends with a destroy."""
    where = f"kill of {victim} at write {moment}, then up"
    kill = killed_up(world, victim=victim, moment=moment)
    _cancel(world, kill)
    adopted = world.up_after_a_kill()
    world.require_converged(where)
    world.stack.destroy()
    world.require_empty(where)
    return Aftermath(victim, kill, f"{adopted} adopted")


def kill_a_change_then_up(world: World, *, victim: Victim, moment: int, mailboxes: int) -> Aftermath:
    """The same in an `up` that changes every route of a standing stack, removes a tenth and adds as many."""
    with world.changed(mailboxes):
        ended = kill_then_up(world, victim=victim, moment=moment)
    return replace(ended, mended=f"changed; {ended.mended}")


def kill_then_destroy(world: World, *, victim: Victim, moment: int) -> Aftermath:
    """Killed, `pulumi cancel`, `destroy`: nothing is left."""
    kill = killed_up(world, victim=victim, moment=moment)
    _cancel(world, kill)
    discarded = world.destroy_with_discard()
    world.require_empty(f"kill of {victim} at write {moment}, then destroy")
    return Aftermath(victim, kill, f"{discarded} discarded")


def _cancel(world: World, kill: Kill) -> None:
    if not kill.finished:
        world.cancel()


def with_official_launcher(stack: Stack, folder: Path) -> None:
    """Have the plugin of dynamic providers started as Pulumi's own distribution does: by a shell script that does not
    `exec`, so that neither the end of its stdin nor its parent tells the plugin of the engine's death."""
    folder.mkdir()
    launcher = folder / "pulumi-resource-pulumi-python"
    launcher.write_text('#!/bin/sh\n"${PULUMI_PYTHON_CMD:-python3}" -u -m pulumi.dynamic "$@"\n')
    launcher.chmod(0o755)
    stack.environment |= {
        "PATH": f"{folder}:{stack.environment['PATH']}",
        "AGENTMAIL_STATE_DIR": str(folder / "state"),
        "AGENTMAIL_CLOUDFLARE_PLUGIN": stack.environment.get("AGENTMAIL_CLOUDFLARE_PLUGIN", "stand-in"),
    }
