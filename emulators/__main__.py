"""The emulators' process in the background: its arguments are the state folder, the choice of ports and the descriptor
on which it says that it is ready. People start it with `./mail emulators up`."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from emulators.commands import EXPECTED, serve
from emulators.ports import Choice
from emulators.state_folder import StateFolder


def main(folder: str, choice: str, descriptor: str) -> int:
    """Serves until it is asked to stop; 1 with a sentence on standard error, which is the log."""

    def ready() -> None:
        os.write(int(descriptor), b"ready\n")
        os.close(int(descriptor))

    try:
        serve(StateFolder(Path(folder)), Choice(choice), ready=ready)
    except EXPECTED as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
