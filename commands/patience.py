"""A command of the engine's that is interrupted ends by itself.

`subprocess.run` kills what it runs a quarter of a second after a Ctrl-C. The engine needs longer: it waits for what is being
written, saves the state and gives its lock back.
"""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Mapping, Sequence

from commands.signals import Terminated


def finished(
    command: Sequence[str], *, environment: Mapping[str, str], stdin: str = "", captured: bool = True
) -> subprocess.CompletedProcess[str]:
    """Run to the end, whatever comes meanwhile; then raises the KeyboardInterrupt that came.

    A terminal's Ctrl-C reaches the command itself. SIGTERM reaches this process alone, so the command is interrupted for it.
    `captured`: whether its output is kept; else it shows where this process does.
    """
    pipe = subprocess.PIPE if captured else None
    interrupted = False
    with subprocess.Popen(  # noqa: S603
        command, stdin=subprocess.PIPE, stdout=pipe, stderr=pipe, text=True, env=dict(environment)
    ) as running:
        given: str | None = stdin
        while True:
            try:
                out, err = running.communicate(given)
                break
            except Terminated:
                running.send_signal(signal.SIGINT)
                interrupted = True
            except KeyboardInterrupt:
                interrupted = True
            given = None
    if interrupted:
        raise KeyboardInterrupt
    return subprocess.CompletedProcess(command, running.returncode, out or "", err or "")
