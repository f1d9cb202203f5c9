"""Processes that tests start."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import AnyStr


@contextmanager
def killed_at_the_end(process: subprocess.Popen[AnyStr]) -> Iterator[subprocess.Popen[AnyStr]]:
    """The process for a block, which with a Popen of its own would wait for one that does not end, also once a test has failed."""
    with process:
        try:
            yield process
        finally:
            process.kill()
