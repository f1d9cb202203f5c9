"""Starting the emulators in the background, finding them again and ending them."""

from __future__ import annotations

import http.client
import json
import os
import select
import signal
import subprocess
import sys
import time
from typing import Any
from urllib.parse import urlsplit

from emulators.azmail_process import forget_sqlite
from emulators.gateway import GatewayFolder
from emulators.inbox import InboxFolder
from emulators.ports import Choice
from emulators.state_folder import PROJECT, Process, StateFolder

START_SECONDS = 30.0
STOP_SECONDS = 10.0
CONTROL_SECONDS = 30.0


class StartError(Exception):
    """The emulators did not come up."""

    def __init__(self, folder: StateFolder, reason: str) -> None:
        super().__init__(f"The emulators did not start: {reason} (log: {folder.log})")


class StopError(Exception):
    """The emulators did not end."""

    def __init__(self, process: Process) -> None:
        super().__init__(f"The emulators' process {process.pid} did not end, not even by SIGKILL; end it by hand.")


class ResetError(Exception):
    """A running emulator did not reset itself."""

    def __init__(self, url: str, reason: str) -> None:
        super().__init__(f"The emulator at {url} did not reset itself: {reason}; `./mail emulators down` ends it.")


def up(folder: StateFolder, *, choice: Choice) -> tuple[dict[str, Any], bool]:
    """Start a server unless one runs; returns (its addresses, whether it was started now)."""
    with folder.starting():
        running = folder.server()
        if running is not None:
            return running[1], False
        folder.forget()
        _start(folder, choice=choice)
        started = folder.server()
        if started is None:
            raise StartError(folder, f"it ended at once: {folder.last_words()}")
        return started[1], True


def _start(folder: StateFolder, *, choice: Choice) -> None:
    reader, writer = os.pipe()
    command = [sys.executable, "-m", "emulators", str(folder.path), choice.value, str(writer)]
    try:
        with folder.open_log() as log:
            child = subprocess.Popen(  # noqa: S603
                command,
                cwd=PROJECT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=(writer,),
                start_new_session=True,
            )
    finally:
        os.close(writer)
    try:
        said = _until_said(reader, START_SECONDS)
    finally:
        os.close(reader)
    if said == b"ready\n":
        # Left to run on its own: nobody waits for it here.
        child.returncode = 0
        return
    if said is None:
        child.kill()
        child.wait()
        raise StartError(folder, f"it was not ready after {START_SECONDS:.0f} seconds")
    child.wait()
    raise StartError(folder, folder.last_words())


def _until_said(reader: int, seconds: float) -> bytes | None:
    """What the child writes before it closes its end; None when it says nothing for `seconds`."""
    said = b""
    deadline = time.monotonic() + seconds
    while not said.endswith(b"\n"):
        readable, _, _ = select.select([reader], [], [], max(deadline - time.monotonic(), 0))
        if not readable:
            return None
        part = os.read(reader, 1024)
        if not part:
            break
        said += part
    return said


def down(folder: StateFolder) -> bool:
    """End the server and wait until it is gone; false when none ran."""
    with folder.starting():
        running = folder.server()
        if running is None:
            folder.forget()
            return False
        process = running[0]
        for number in (signal.SIGTERM, signal.SIGKILL):
            if process.alive():
                os.kill(process.pid, number)
            if _gone(process):
                folder.forget()
                return True
        raise StopError(process)


def _gone(process: Process) -> bool:
    deadline = time.monotonic() + STOP_SECONDS
    while process.alive():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def status(folder: StateFolder) -> dict[str, Any]:
    """Whether a server runs here, and where everything is."""
    running = folder.server()
    if running is None:
        return {"running": False, "state_dir": str(folder.path), "env_file": str(folder.env_file)}
    process, written = running
    return {"running": True, "pid": process.pid, **{k: v for k, v in written.items() if k not in ("pid", "started")}}


def reset(folder: StateFolder) -> None:
    """Bring both emulators back to their seeded start; credentials and ports stay."""
    with folder.starting():
        running = folder.server()
        if running is None:
            folder.forget_state()
            forget_mail(folder)
            return
        for emulator in ("mailjet", "cloudflare"):
            _reset(running[1][emulator]["url"])
        GatewayFolder(folder).file.unlink(missing_ok=True)
        _until_forgotten(folder)


def forget_mail(folder: StateFolder) -> None:
    """Delete what gateway and inbox have: agents, secrets, mail (only while nothing runs)."""
    gateway = GatewayFolder(folder)
    gateway.file.unlink(missing_ok=True)
    for database in (gateway.database, InboxFolder(folder).database):
        forget_sqlite(database)


def _until_forgotten(folder: StateFolder) -> None:
    """Gateway and inbox end with their file, and what they kept goes with them. Raises ResetError."""
    kept = (GatewayFolder(folder).database, InboxFolder(folder).database)
    deadline = time.monotonic() + STOP_SECONDS * 2
    while any(database.exists() for database in kept):
        if time.monotonic() > deadline:
            raise ResetError(str(folder.path), "gateway and inbox did not end")
        time.sleep(0.02)


def _reset(url: str) -> None:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=CONTROL_SECONDS)
    try:
        connection.request("POST", "/_emulator/reset")
        answer = connection.getresponse()
        if answer.status != http.client.NO_CONTENT:
            raise ResetError(url, f"status {answer.status}")
    except OSError as error:
        raise ResetError(url, str(error)) from error
    finally:
        connection.close()


def as_json(shown: dict[str, Any]) -> str:
    """`shown` for machines."""
    return json.dumps(shown, indent=2)
