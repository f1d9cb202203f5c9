from __future__ import annotations

import io
import sys

import pytest

from engine.progress import Counter, duration


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_on_a_terminal_one_line_is_rewritten(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    counter = Counter("packages compiled", 2)
    counter.advance()
    counter.advance()
    counter.done()
    assert terminal.getvalue().startswith("\rengine: packages compiled ")
    assert terminal.getvalue().endswith("engine: packages compiled 100 %, 0 s\x1b[K\n")
    assert terminal.getvalue().count("\n") == 1


def test_elsewhere_there_are_few_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    log = io.StringIO()
    monkeypatch.setattr(sys, "stderr", log)
    counter = Counter("modules downloaded")
    for _ in range(1000):
        counter.advance()
    counter.done()
    assert log.getvalue() == "engine: modules downloaded 1000, 0 s\n"


@pytest.mark.parametrize("compiled", [0, 1, 50, 100, 150])
def test_a_percentage_ends_at_100_and_is_never_there_before(monkeypatch: pytest.MonkeyPatch, compiled: int) -> None:
    """Go compiles fewer packages than it lists where its cache has some, and lists some twice."""
    log = io.StringIO()
    monkeypatch.setattr(sys, "stderr", log)
    monkeypatch.setattr(Counter, "_LOG_SECONDS", -1.0)
    counter = Counter("packages compiled", 100)
    for _ in range(compiled):
        counter.advance()
    before = log.getvalue()
    counter.done()
    assert "100 %" not in before
    assert log.getvalue().endswith("engine: packages compiled 100 %, 0 s\n")


@pytest.mark.parametrize(("seconds", "text"), [(0.2, "0 s"), (59.4, "59 s"), (192, "3 min 12 s")])
def test_durations_are_for_people(seconds: float, text: str) -> None:
    assert duration(seconds) == text
