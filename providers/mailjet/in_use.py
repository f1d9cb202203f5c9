"""What this run needs: a delete leaves it alone.

`pulumi up --replace`, and a renamed resource, create the new object before they delete the old one. Both mean the
same address in Mailjet, so the delete would empty what the create has just adopted. One set per process, since
one plugin process serves one run.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager


class InUse:
    """Names claimed by a create or an update, and names being deleted. Safe between threads."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._claimed: set[str] = set()
        self._deleting: set[str] = set()

    def claim(self, names: Iterable[str]) -> None:
        """Keep `names` from every delete that has not begun; waits for those that have, so that a look taken
        afterwards is true."""
        wanted = {name.lower() for name in names}
        with self._changed:
            self._claimed |= wanted
            self._changed.wait_for(lambda: not wanted & self._deleting)

    def holds(self, name: str) -> bool:
        """Whether this run has claimed `name`."""
        with self._changed:
            return name.lower() in self._claimed

    @contextmanager
    def deleting(self, name: str) -> Iterator[bool]:
        """Yields whether `name` may be deleted; nobody can claim it in the meantime."""
        name = name.lower()
        with self._changed:
            allowed = name not in self._claimed
            if allowed:
                self._deleting.add(name)
        try:
            yield allowed
        finally:
            if allowed:
                with self._changed:
                    self._deleting.discard(name)
                    self._changed.notify_all()
