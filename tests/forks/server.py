"""Forks Pythons for `stub.c`, with what most of them import imported already.

    python tests/forks/server.py SOCKET PROJECT ("launcher" | "mail" | "engine" | "services")

A fork costs by what the server has in memory, so there is one for each kind of program, with what that kind needs. Serves until
its stdin ends. It has no threads, since only such a process forks safely; a child whose stub is gone is killed.
"""

from __future__ import annotations

import atexit
import contextlib
import fcntl
import gc
import importlib
import io
import os
import pkgutil
import resource
import runpy
import selectors
import signal
import socket
import sys
import threading
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, NoReturn

HERE = Path(__file__).resolve().parent
sys.path.remove(str(HERE))
STARTING = (b"PYTHON", b"LC_", b"LANG", b"TZ")
"""Variables that decide how an interpreter begins, as in `stub.c`."""
PLACES = b"PYTHONPATH"
"""That a service may have one of its own."""
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
"""Those that a stub passes on, in its order."""
_LIMITS = 16

IMPORTED: dict[str, tuple[str, ...]] = {
    "launcher": ("engine.setup", "engine.environment", "engine.emulated", "engine.arguments"),
    "mail": (
        "commands", "engine.setup", "requests", "pydantic", "yaml", "ruamel.yaml", "anyascii", "dns.resolver", "typer", "rich.console",
        "rich.table", "rich.progress", "rich.live", "questionary", "jinja2", "azmail", "netrc", "encodings.utf_8_sig", "getpass",
    ),
    "engine": (
        "engine", "grpc", "grpc.experimental", "grpc._simple_stubs", "grpc._server", "pulumi", "pulumi.dynamic", "requests", "pydantic",
        "yaml", "anyascii", "dns.resolver", "components.stack_outputs", "components.mail_domain", "components.api_tunnel",
        "components.agent_mailboxes", "components.platform_mail", "components.configured_records", "netrc", "encodings.utf_8_sig",
    ),
    "services": ("emulators", "azmail", "azmail.gateway", "azmail.inbox", "sqlalchemy.dialects.sqlite", "alembic.command"),
}  # fmt: skip
"""By kind of server: packages of others, and of this project's with all their modules."""
PLACED = ("engine", "commands", "emulators")
"""Rooms that ask where they lie: those of PROJECT, for its own programs; another clone's import theirs."""
_FREE = 200
"""File numbers above it are used while files are put where the child shall find them."""


@dataclass(frozen=True)
class Request:
    """What a stub was started with."""

    arguments: list[str]
    environment: dict[bytes, bytes]
    folder: bytes
    umask: int
    ignored: list[bool]
    """By signal, as in SIGNALS: a command that was started with `nohup` or `&` may ignore some."""
    limits: list[tuple[int, int]]
    files: list[int]

    @classmethod
    def read(cls, body: bytes) -> Request:
        """From what `ask` of `stub.c` writes."""
        parts = iter(body.split(b"\0"))
        arguments = list(islice(parts, int(next(parts))))
        environment = list(islice(parts, int(next(parts))))
        folder = next(parts)
        umask, *numbers = map(int, next(parts).split())
        ignored, numbers = numbers[: len(SIGNALS)], numbers[len(SIGNALS) :]
        limits = numbers[: 2 * _LIMITS]
        return cls(
            arguments=[os.fsdecode(word) for word in arguments],
            environment=dict(entry.split(b"=", 1) for entry in environment if b"=" in entry),
            folder=folder,
            umask=umask,
            ignored=list(map(bool, ignored)),
            limits=list(zip(limits[::2], limits[1::2], strict=True)),
            files=numbers[2 * _LIMITS :],
        )


class Server:
    def __init__(self, path: str, *, services: bool) -> None:
        self._services = services
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(path)
        self._listener.listen(64)
        self._watched = selectors.DefaultSelector()
        self._children: dict[int, socket.socket] = {}
        self._woken, self._wake = os.pipe()
        os.set_blocking(self._wake, False)
        os.set_blocking(self._woken, False)

    def serve(self) -> Request | None:
        """What a child is to run, in the child; None in the server, once it has ended."""
        signal.set_wakeup_fd(self._wake, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        # It ends with its stdin, and takes along what it has forked; a signal may be for the whole group.
        for number in SIGNALS:
            signal.signal(number, signal.SIG_IGN)
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

    def _request(self, connection: socket.socket) -> Request | None:
        try:
            mine = _identity(in_its_session=not self._services)
            connection.sendall(len(mine).to_bytes(4, sys.byteorder) + mine)
            length = int.from_bytes(_exactly(connection, 4), sys.byteorder)
            request = Request.read(_exactly(connection, length))
            _, files, _, _ = socket.recv_fds(connection, 1, len(request.files))
        except OSError:  # it preferred a Python of its own, or was killed
            connection.close()
            return None
        if len(files) != len(request.files):  # killed on the last step
            for number in files:
                os.close(number)
            connection.close()
            return None
        pid = os.fork()
        if pid == 0:
            self._forget()
            connection.close()
            if self._services:
                os.setsid()
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
                connection.sendall(status.to_bytes(4, sys.byteorder))
            connection.close()

    def _pass_on(self, connection: Any, pid: int) -> None:
        try:
            numbers = connection.recv(64) or bytes([signal.SIGKILL])
        except ConnectionError:
            numbers = bytes([signal.SIGKILL])
        for number in numbers:
            os.kill(pid, number)


def _identity(*, in_its_session: bool) -> bytes:
    """What a child has of the server: its session (a service makes one), its user, and how its interpreter began."""
    session = [b"%d" % os.getsid(0)] if in_its_session else []
    begun = sorted(
        name + b"=" + value
        for name, value in os.environb.items()
        if name.startswith(STARTING) and (in_its_session or name != PLACES)
    )
    return b"".join(part + b"\0" for part in (*session, b"%d" % os.geteuid(), *begun))


def _exactly(connection: socket.socket, count: int) -> bytes:
    found = b""
    while len(found) < count:
        more = connection.recv(count - len(found))
        if not more:
            raise ConnectionError("the stub has ended")
        found += more
    return found


def _take_place(request: Request, files: list[int]) -> None:
    """Be what the stub would have been: its open files, folder, signals, limits and variables."""
    aside = [fcntl.fcntl(number, fcntl.F_DUPFD_CLOEXEC, _FREE) for number in files]
    for number in files:
        os.close(number)
    for number, wanted in zip(aside, request.files, strict=True):
        os.dup2(number, wanted)
        os.close(number)
    os.chdir(request.folder)
    os.umask(request.umask)
    for number, is_ignored in zip(SIGNALS, request.ignored, strict=True):
        handled = signal.default_int_handler if number is signal.SIGINT else signal.SIG_DFL
        signal.signal(number, signal.SIG_IGN if is_ignored else handled)
    for number, limits in enumerate(request.limits):
        if resource.getrlimit(number) != limits:
            resource.setrlimit(number, limits)
    os.environ.clear()
    os.environb.update(request.environment)


def _import(name: str, project: Path) -> None:
    """With all its modules, if it is a package of the project's."""
    package = importlib.import_module(name)
    if not (project / name.replace(".", "/")).is_dir():
        return
    for found in pkgutil.walk_packages(package.__path__, f"{name}."):
        # These run when they are imported.
        if not found.name.endswith((".__main__", ".env")):
            importlib.import_module(found.name)


def _forget_rooms() -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] in PLACED]:
        del sys.modules[name]


def _run(words: list[str], project: Path) -> None:
    """As `python [-u] FILE …` and `python -m MODULE …` do."""
    python, *rest = words
    unbuffered = rest[0] == "-u"
    is_module = rest[unbuffered] == "-m"
    sys.argv = rest[unbuffered + is_module :]
    place = Path.cwd() if is_module else Path(sys.argv[0]).parent
    # Another clone's program has its rooms; and what runs a project has that one's module, should it be called like a room.
    if (place if is_module else place.parent) != project or any(Path(f"{name}.py").exists() for name in PLACED):
        _forget_rooms()
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
    added = os.environ.get(os.fsdecode(PLACES), "") if is_module else ""
    sys.path[:0] = [str(place), *filter(None, added.split(os.pathsep))]
    try:
        if is_module:
            runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
        else:
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


def main(path: str, project: Path, kind: str) -> None:
    sys.path.insert(0, str(project))
    if kind == "engine":
        runpy.run_path(str(project / "engine" / "later.py"))
    for name in IMPORTED[kind]:
        _import(name, project)
    del sys.path[0]
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)
    server = Server(path, services=kind == "services")
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    asked = server.serve()
    if asked is not None:
        _run(asked.arguments, project)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), sys.argv[3])
