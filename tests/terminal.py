"""Commands at a real pseudo-terminal, as a person has them: prompts, colours, Ctrl-C."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import pexpect

ANSWER_SECONDS = 120
ESCAPE = re.compile(r"\x1b(?:\[[0-9;?]*[ -/]*[@-~]|\][^\x07]*\x07|[@-_])")
"""What a terminal obeys instead of showing."""
WHERE_IS_THE_CURSOR = "\x1b[6n"
"""ECMA-48's device status report; what asks waits for the answer."""


class Terminal:
    """A running command; `text` is all it has shown so far, escapes included."""

    def __init__(self, process: pexpect.spawn[str]) -> None:
        self._process = process
        self.text = ""

    def until(self, words: str) -> str:
        """Waits for `words`, and gives what was shown on the way; fails with it where the command ends or hangs."""
        before = len(self.text)
        try:
            self._wait(re.escape(words))
        except (pexpect.EOF, pexpect.TIMEOUT):
            raise AssertionError(f"{words!r} was not shown, but:\n{self.text}{self._process.before}") from None
        return self.text[before:]

    def _wait(self, pattern: str | type[pexpect.EOF]) -> None:
        """Answers on the way whoever asks where the cursor is, as every terminal does."""
        while self._process.expect([pattern, re.escape(WHERE_IS_THE_CURSOR)]):
            self.text += f"{self._process.before}{WHERE_IS_THE_CURSOR}"
            self._process.send("\x1b[1;1R")
        # At the end of file there is no text to show for it.
        self.text += f"{self._process.before}{self._process.after if isinstance(self._process.after, str) else ''}"

    def enter(self, line: str = "") -> None:
        self._process.send(f"{line}\r")

    def press(self, keys: str) -> None:
        self._process.send(keys)

    def interrupt(self) -> None:
        """Ctrl-C, through the terminal."""
        self._process.sendintr()

    def end(self) -> int:
        """Waits for the end; its exit status, 128 and more for a signal."""
        try:
            self._wait(pexpect.EOF)
        except pexpect.TIMEOUT:
            raise AssertionError(f"it did not end:\n{self.text}{self._process.before}") from None
        self._process.close()
        status, number = self._process.exitstatus, self._process.signalstatus
        return status if status is not None else 128 + (number or 0)

    @property
    def shown(self) -> str:
        """What can be read: without escapes and carriage returns."""
        return ESCAPE.sub("", self.text).replace("\r\n", "\n").replace("\r", "\n")


@contextmanager
def terminal(
    command: Sequence[str | Path], *, env: Mapping[str, str], cwd: Path, columns: int = 80
) -> Iterator[Terminal]:
    """`command` at a terminal of so many columns; ended with the block."""
    words = [str(word) for word in command]
    process: pexpect.spawn[str] = pexpect.spawn(
        words[0],
        words[1:],
        env={"TERM": "xterm-256color", **env},
        cwd=str(cwd),
        dimensions=(40, columns),
        encoding="utf-8",
        codec_errors="replace",
        timeout=ANSWER_SECONDS,
    )
    # Before the program has taken the echo away, what is typed would be shown.
    process.delaybeforesend = None
    try:
        yield Terminal(process)
    finally:
        process.close(force=True)
