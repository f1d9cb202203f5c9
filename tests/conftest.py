"""What holds for every test: the profile of the property tests, a Ctrl-C that arrives, and a sentence for each tool that is not there."""

from __future__ import annotations

import gc
import signal
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

import tests.profiles  # noqa: F401 - loads the profile
from tests import forks
from tests.rewriting import rewrite_once
from tests.unit.azmail.gateway import official_clients
from tests.unit.docs import building
from tests.unit.page import chromium

# A shell without job control starts what it puts into the background with SIGINT ignored, and all that is started from
# there inherits it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

END_TO_END = Path(__file__).with_name("e2e")
# A seventh of what the unit tests cost was to look for garbage.
gc.set_threshold(20_000, 20, 20)

WHAT_IS_MISSING: dict[Path, tuple[Callable[[], str], ...]] = {
    Path(chromium.__file__).parent: (chromium.missing,),
    Path(building.__file__).parent: (building.missing,),
    Path(official_clients.__file__).parent: (
        partial(official_clients.missing, "node"),
        partial(official_clients.missing, "go"),
    ),
}
"""By folder of tests: why some of them are not run on this machine, each a sentence or empty."""


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_setupnodes(config: pytest.Config) -> None:
    asked = _asked(config)
    rewrite_once(config, asked)
    if _is_among(END_TO_END, asked):
        # Else each worker would do it for itself.
        forks.begin()


def pytest_collection_finish() -> None:
    """What six thousand tests and their modules are made of stays to the end: no search for garbage need look at it again."""
    gc.collect()
    gc.freeze()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Said where the tests of a folder were asked for, by one of the folders above them or by themselves."""
    asked = _asked(config)
    for folder, sentences in WHAT_IS_MISSING.items():
        if _is_among(folder, asked):
            for sentence in filter(None, (say() for say in sentences)):
                terminalreporter.write_line(sentence)


def _is_among(folder: Path, asked: list[Path]) -> bool:
    """Whether the folder, something in it, or a folder around it was asked for."""
    return any(folder.is_relative_to(one) or one.is_relative_to(folder) for one in asked)


def _asked(config: pytest.Config) -> list[Path]:
    """Folders and files of tests that the command line names."""
    return [config.invocation_params.dir / argument.partition("::")[0] for argument in config.args]
