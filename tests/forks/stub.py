"""Stands in a virtualenv in the place of its Python: lets the server fork one, and is in its place until it ends.

It imports as little as it can, for it is started as often as Python is.
"""

from __future__ import annotations

import _socket
import marshal
import os
import resource
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:  # as mypy knows it, without the import of `typing`
    import signal
    from typing import Any, NoReturn
else:
    import _signal as signal  # without its enumerations, which take half as long as all the rest

# Filled in where the stub is written to.
SOCKET = ""
PYTHON = ""
FILES = ("/commands/__main__.py", "/engine/__main__.py", "/engine/language/program.py", "/engine/dynamic_host.py")
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
# What decides how an interpreter begins: the server has its own, so others need a Python of their own.
STARTING = ("PYTHON", "LC_", "LANG", "TZ")


def main() -> None:
    words = sys.argv[1:]
    file = (words[1:] if words[:1] == ["-u"] else words)[:1]
    if not file or not file[0].endswith(FILES):
        own_python()
    connection = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    try:
        connection.connect(SOCKET)
    except OSError:
        own_python()
    if received(connection) != identity():
        own_python()
    files = inherited()
    # None before there is somebody to pass it on to, and none is missed: the program may say at once that it is ready.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    send(connection, request(files))
    connection.sendmsg(
        [b"."],
        [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, b"".join(number.to_bytes(4, sys.byteorder) for number in files))],
    )
    for number in SIGNALS:
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, lambda number, frame: connection.send(bytes([number])))
    signal.pthread_sigmask(signal.SIG_SETMASK, before)
    nothing = os.open(os.devnull, os.O_RDWR)
    for file_number in files:
        os.dup2(nothing, file_number)
    end(received(connection))


def own_python() -> NoReturn:
    """As if the stub were the link that a virtualenv has: Python finds `pyvenv.cfg` by the name it is started with."""
    os.execv(PYTHON, sys.argv)


def identity() -> tuple[int, int, list[tuple[str, str]]]:
    """A forked child is in the server's session, of its user, with an interpreter that began as the server's did."""
    begun = sorted(item for item in os.environ.items() if item[0].startswith(STARTING))
    return os.getsid(0), os.geteuid(), begun


def inherited() -> list[int]:
    """Open files that the program would get: the standard three, and what was left open for it."""
    found = []
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208 - no import of pathlib
        try:
            if os.get_inheritable(int(name)):
                found.append(int(name))
        except OSError:  # that of the listing itself, closed since
            pass
    return found


def request(files: list[int]) -> dict[str, object]:
    mask = os.umask(0)
    os.umask(mask)
    return {
        "arguments": sys.argv,
        "environment": dict(os.environ),
        "folder": os.getcwd(),  # noqa: PTH109
        "umask": mask,
        "limits": [resource.getrlimit(number) for number in range(16)],
        "files": files,
    }


def end(status: int) -> NoReturn:
    """As the child did, so that whoever started this process sees it."""
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        if number != signal.SIGKILL:
            signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
    os._exit(os.WEXITSTATUS(status))


def send(connection: _socket.socket, message: object) -> None:
    body = marshal.dumps(message)  # type: ignore[arg-type]
    connection.sendall(len(body).to_bytes(4, "little") + body)


def received(connection: _socket.socket) -> Any:
    return marshal.loads(exactly(connection, int.from_bytes(exactly(connection, 4), "little")))


def exactly(connection: _socket.socket, count: int) -> bytes:
    found = b""
    while len(found) < count:
        more = connection.recv(count - len(found))
        if not more:
            raise ConnectionError("the other side of tests/forks has ended")
        found += more
    return found


if __name__ == "__main__":
    main()
