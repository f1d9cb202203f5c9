"""Ends a PostgreSQL server whose tests are gone: `python watchdog.py FOLDER`, with standard input held by the tests.

A run that is killed runs no fixture to its end; its end of the pipe closes all the same.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
from pathlib import Path


def main(folder: Path) -> None:
    sys.stdin.buffer.read()
    try:
        # Negative while the server is being made (initdb).
        pid = abs(int((folder / "postmaster.pid").read_text().split()[0]))
        os.kill(pid, signal.SIGQUIT)
    except (FileNotFoundError, ProcessLookupError):
        return
    shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
