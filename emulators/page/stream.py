"""Server-sent events: one line that says what has changed, and the page fetches what it shows.

Nothing is pushed by those who write: while somebody watches, the counters of what they write are looked at.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping

LOOK_SECONDS = 0.2
BEAT_SECONDS = 15.0

Marks = Mapping[str, object]


async def changes(marks: Callable[[], Marks], stopped: Callable[[], bool]) -> AsyncIterator[str]:
    """The events of one connection; ends with the server. Each names what has changed and says where it stands now."""
    known = dict(marks())
    yield "retry: 1000\nevent: hello\ndata: {}\n\n"
    quiet = 0.0
    while not stopped():
        await asyncio.sleep(LOOK_SECONDS)
        quiet += LOOK_SECONDS
        now = dict(marks())
        changed = {name: value for name, value in now.items() if value != known.get(name)}
        if changed:
            known, quiet = now, 0.0
            yield f"event: changed\ndata: {json.dumps(changed)}\n\n"
        elif quiet >= BEAT_SECONDS:
            quiet = 0.0
            yield ": still here\n\n"
