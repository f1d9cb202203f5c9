"""A file is replaced whole or not at all: whoever reads it meanwhile, or after a crash or a full disk, has the old one."""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from pathlib import Path


def replace_file(path: Path, text: str, *, mode: int | None = None) -> None:
    """`mode`: the file's permissions; by default those of the file that is there, else what the process makes. A link is
    followed without a mode, and replaced with one: a secret goes nowhere else. What is no regular file, such as a
    terminal or a pipe, is written to. Raises OSError, which names `path`."""
    if path.exists() and not path.is_file():
        path.write_text(text, encoding="utf-8")
        return
    target = path if mode is not None else path.resolve()
    if mode is None:
        mode = target.stat().st_mode & 0o7777 if target.exists() else 0o666 & ~_umask()
    try:
        descriptor, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from None
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as temporary:
            temporary.write(text)
            temporary.flush()
            os.fchmod(temporary.fileno(), mode)
            os.fsync(temporary.fileno())
        Path(name).replace(target)
    except BaseException:
        with suppress(FileNotFoundError):
            Path(name).unlink()
        raise


def write_private(path: Path, text: str) -> None:
    """Replaced whole, and readable by its owner only, whatever an older file was. Raises OSError, which names `path`."""
    replace_file(path, text, mode=0o600)


def _umask() -> int:
    umask = os.umask(0o077)
    os.umask(umask)
    return umask
