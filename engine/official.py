"""A mode in which the stand-ins behave like the official language host and plugin where those differ, for tests.

`AGENTMAIL_STAND_INS=official` for the CLI: both processes inherit it (docs/decisions/091-stand-ins-with-official-manners.md).
"""

from __future__ import annotations

import os

VARIABLE = "AGENTMAIL_STAND_INS"


def manners() -> bool:
    """Whether the stand-ins are asked to behave like the official parts."""
    return os.environ.get(VARIABLE) == "official"
