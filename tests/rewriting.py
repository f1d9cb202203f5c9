"""Assertions rewritten once in a fresh clone, and not by every worker of pytest-xdist at the same moment.

pytest rewrites the assertions of a module before it imports it, and keeps what it made. All workers import the same modules in
the same order, so in a clone's first run each of them made all of it, six seconds of CPU apiece.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from _pytest.assertion import rewrite

_FEW = 20
"""Nobody waits for so few."""


def rewrite_once(config: pytest.Config, folders: Sequence[Path]) -> None:
    """Rewrite the test modules below the folders where that has yet to be done, on all cores. Nothing of them is executed."""
    stale = [file for file in _test_modules(folders) if rewrite._read_pyc(file, _kept(file)) is None]
    if len(stale) < _FEW or sys.dont_write_bytecode:
        return
    cores = os.cpu_count() or 1
    # Forked, with what pytest has been configured with. The largest files first, so that all end at the same time.
    stale.sort(key=lambda file: file.stat().st_size, reverse=True)
    fork = multiprocessing.get_context("fork")
    writers = [fork.Process(target=_rewrite, args=(config, stale[number::cores])) for number in range(cores)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()


def _test_modules(folders: Sequence[Path]) -> Iterator[Path]:
    for folder in folders:
        for name in ("test_*.py", "conftest.py"):
            yield from folder.rglob(name)


def _kept(file: Path) -> Path:
    """Where pytest keeps what it made of a module."""
    return rewrite.get_cache_dir(file) / f"{file.stem}{rewrite.PYC_TAIL}"


def _rewrite(config: pytest.Config, files: Sequence[Path]) -> None:
    state = config.stash[rewrite.assertstate_key]
    for file in files:
        kept = _kept(file)
        kept.parent.mkdir(exist_ok=True)
        source_hash, code = rewrite._rewrite_test(file, config)
        rewrite._write_pyc(state, code, source_hash, kept)
