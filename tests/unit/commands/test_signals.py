"""Ctrl-C and SIGTERM end a command wherever they find it."""

from __future__ import annotations

import signal
import sys
import threading

import pytest

from commands.signals import Terminated, heard, terminable


class Cleared:
    """Python ignores what is raised while this is cleared away."""

    def __init__(self, number: signal.Signals, times: int) -> None:
        self.number = number
        self.times = times

    def __del__(self) -> None:
        if self.times > 1:
            Cleared(self.number, self.times - 1)
        signal.raise_signal(self.number)


def until_it_is_heard(number: signal.Signals, times: int) -> None:
    with terminable(), heard():
        Cleared(number, times)
        threading.Event().wait(30)


@pytest.mark.parametrize("times", [1, 5])
@pytest.mark.parametrize(("number", "raised"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, Terminated)])
def test_one_that_comes_while_python_clears_up(number: signal.Signals, raised: type[BaseException], times: int) -> None:
    with pytest.raises(raised) as ending:
        until_it_is_heard(number, times)
    assert ending.type is raised


def test_none_comes_once_the_command_has_ended() -> None:
    before = sys.unraisablehook
    threads = threading.active_count()
    with terminable(), heard():
        Cleared(signal.SIGTERM, times=1)
    assert (threading.active_count(), sys.unraisablehook) == (threads, before)


def test_what_else_python_ignores_is_told_as_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda ignored: told.append(ignored.exc_type))

    class Broken:
        def __del__(self) -> None:
            raise ValueError

    with terminable(), heard():
        Broken()
    assert told == [ValueError]
