"""Forks Pythons for `stub.py`, with what most of them import imported already.

    python tests/forks/server.py SOCKET

Serves until its stdin ends. It has no threads, since only such a process forks safely; a child whose stub is gone is killed.
"""

from __future__ import annotations

import atexit
import contextlib
import fcntl
import gc
import importlib
import io
import os
import resource
import runpy
import selectors
import signal
import socket
import sys
import threading
from pathlib import Path
from typing import Any, NoReturn

HERE = Path(__file__).resolve().parent
sys.path.remove(str(HERE))
stub = runpy.run_path(str(HERE / "stub.py"), run_name="stub")

IMPORTED = (
    "grpc", "pulumi", "pulumi.dynamic", "requests", "pydantic", "yaml", "ruamel.yaml", "anyascii", "dns.resolver",
    "typer", "rich.console", "rich.table", "rich.progress", "rich.live", "questionary", "jinja2",
    "components.stack_outputs", "components.mail_domain", "components.api_tunnel", "components.agent_mailboxes",
    "components.platform_mail", "azmail", "starlette.applications",
)  # fmt: skip
"""Third-party packages, and of this project the program and the library, which do not ask where they lie."""
_FREE = 200
"""File numbers above it are used while files are put where the child shall find them."""


class Server:
    def __init__(self, path: str) -> None:
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(path)
        self._listener.listen(64)
        self._watched = selectors.DefaultSelector()
        self._children: dict[int, socket.socket] = {}
        self._woken, self._wake = os.pipe()
        os.set_blocking(self._wake, False)
        os.set_blocking(self._woken, False)

    def serve(self) -> dict[str, Any] | None:
        """What a child is to run, in the child; None in the server, once it has ended."""
        signal.set_wakeup_fd(self._wake, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        for file in (0, self._listener, self._woken):
            self._watched.register(file, selectors.EVENT_READ)
        while True:
            for key, _ in self._watched.select():
                if key.fileobj is self._listener:
                    connection, _ = self._listener.accept()
                    request = self._request(connection)
                    if request is not None:
                        return request
                elif key.fd == self._woken:
                    self._reap()
                elif key.fd == 0:
                    for pid in self._children:
                        os.kill(pid, signal.SIGKILL)
                    return None
                elif key.data in self._children:  # else its child's end stood before it among these events
                    self._pass_on(key.fileobj, key.data)

    def _request(self, connection: socket.socket) -> dict[str, Any] | None:
        try:
            stub["send"](connection, stub["identity"]())
            request: dict[str, Any] = stub["received"](connection)
            _, files, _, _ = socket.recv_fds(connection, 1, len(request["files"]))
        except OSError:  # it preferred a Python of its own, or was killed
            connection.close()
            return None
        if len(files) != len(request["files"]):  # killed on the last step
            for number in files:
                os.close(number)
            connection.close()
            return None
        pid = os.fork()
        if pid == 0:
            self._forget()
            connection.close()
            _take_place(request, files)
            return request
        for number in files:
            os.close(number)
        self._children[pid] = connection
        self._watched.register(connection, selectors.EVENT_READ, pid)
        return None

    def _forget(self) -> None:
        """In a child: nothing of the server stays open."""
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        self._watched.close()
        self._listener.close()
        for connection in self._children.values():
            connection.close()
        os.close(self._woken)
        os.close(self._wake)

    def _reap(self) -> None:
        os.read(self._woken, 4096)
        while self._children:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            connection = self._children.pop(pid)
            self._watched.unregister(connection)
            with contextlib.suppress(OSError):  # of a stub that was killed
                stub["send"](connection, status)
            connection.close()

    def _pass_on(self, connection: Any, pid: int) -> None:
        try:
            numbers = connection.recv(64) or bytes([signal.SIGKILL])
        except ConnectionError:
            numbers = bytes([signal.SIGKILL])
        for number in numbers:
            os.kill(pid, number)


def _take_place(request: dict[str, Any], files: list[int]) -> None:
    """Be what the stub would have been: its open files, folder, limits and variables."""
    aside = [fcntl.fcntl(number, fcntl.F_DUPFD_CLOEXEC, _FREE) for number in files]
    for number in files:
        os.close(number)
    for number, wanted in zip(aside, request["files"], strict=True):
        os.dup2(number, wanted)
        os.close(number)
    os.chdir(request["folder"])
    os.umask(request["umask"])
    for number, limits in enumerate(request["limits"]):
        if resource.getrlimit(number) != limits:
            resource.setrlimit(number, limits)
    os.environ.clear()
    os.environ.update(request["environment"])


def _run(words: list[str]) -> None:
    """As `python [-u] FILE …` does."""
    python, *rest = words
    unbuffered = rest[:1] == ["-u"]
    sys.argv = rest[unbuffered:]
    sys.executable = str(Path(python).absolute())
    # Those of the server know what its own files were: a terminal, a pipe, a file.
    for name, number, mode in (("stdin", 0, "r"), ("stdout", 1, "w"), ("stderr", 2, "w")):
        began = getattr(sys, name)
        raw = io.FileIO(number, mode, closefd=False)
        binary = (
            raw if unbuffered and mode == "w" else io.BufferedReader(raw) if mode == "r" else io.BufferedWriter(raw)
        )
        stream = io.TextIOWrapper(
            binary,
            encoding=began.encoding,
            errors=began.errors,
            line_buffering=number == 2 or raw.isatty(),
            write_through=unbuffered,
        )
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)
    sys.path.insert(0, str(Path(sys.argv[0]).parent))
    try:
        runpy.run_path(sys.argv[0], run_name="__main__")
    except SystemExit as ending:
        _end(_status(ending))
    except KeyboardInterrupt:
        sys.excepthook(*sys.exc_info())
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        _end(None)
    except BaseException:  # noqa: BLE001 - as the interpreter does
        sys.excepthook(*sys.exc_info())
        _end(1)
    _end(0)


def _status(ending: SystemExit) -> int:
    if ending.code is None:
        return 0
    if isinstance(ending.code, int):
        return ending.code & 0xFF
    print(ending.code, file=sys.stderr)
    return 1


def _end(status: int | None) -> NoReturn:
    """As an interpreter ends, but for what takes most of its time: to take apart all that was imported.

    That is to write to every page of memory that is the server's too. None: by SIGINT.
    """
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError):  # nobody reads it any more
            stream.flush()
    if status is None:
        os.kill(os.getpid(), signal.SIGINT)
    os._exit(status or 0)


if __name__ == "__main__":
    runpy.run_path(str(HERE.parents[1] / "engine" / "later.py"))
    sys.path.insert(0, str(HERE.parents[1]))
    for name in IMPORTED:
        importlib.import_module(name)
    del sys.path[0]
    gc.collect()
    gc.freeze()
    server = Server(sys.argv[1])
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    asked = server.serve()
    if asked is not None:
        _run(asked["arguments"])
