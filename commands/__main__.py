"""What `./mail` starts."""

from __future__ import annotations

import sys
from pathlib import Path

if not __package__:
    # Started as a file: the clone's root, not this directory, is what modules are imported from.
    _here = Path(__file__).resolve().parent
    sys.path[:] = [str(_here.parent), *(entry for entry in sys.path if Path(entry or ".").resolve() != _here)]

from commands.cli.running import start

if __name__ == "__main__":
    sys.exit(start(sys.argv[1:]))
