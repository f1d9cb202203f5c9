"""What holds for every test: the profile of the property tests, a Ctrl-C that arrives, and a sentence where no browser is."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

import tests.profiles  # noqa: F401 - loads the profile
from tests.unit.page import chromium

# A shell without job control starts what it puts into the background with SIGINT ignored, and all that is started from
# there inherits it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

PAGE = Path(chromium.__file__).parent


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Said where the page's tests were asked for, by one of the folders above them or by themselves."""
    asked = [config.invocation_params.dir / argument.partition("::")[0] for argument in config.args]
    if any(PAGE.is_relative_to(one) or one.is_relative_to(PAGE) for one in asked) and (sentence := chromium.missing()):
        terminalreporter.write_line(sentence)
