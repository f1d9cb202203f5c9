"""`./mail state restore STACK`: bring back the last whole state of a stack whose state file was cut off.

A disk that fills up during an `up` leaves a state file that ends in its middle, and then no command of the engine works:
not `up`, not `stack rm`, not `stack init`. A folder backend keeps copies beside it; the newest that is whole is put back,
what was cut is kept under another name, and the next `up` finds again what happened since.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

from commands.errors import CommandError
from commands.stack_commands import Pulumi
from engine.state_files import StateFile, holds_state, state_file
from mailboxes import remedies


class StateError(CommandError):
    """The state cannot be brought back, or need not be."""


class NoFolderError(StateError):
    """The backend is no folder."""

    def __init__(self, stack: str, backend: str) -> None:
        super().__init__(
            f"The state of {stack!r} is in {backend}, no folder; expected file://… to look for copies in; bring back an "
            f"earlier version there (the versioning of the bucket, the history of Pulumi Cloud), then import it with: "
            f"{remedies.import_state(stack, 'STATE.json')}"
        )


class NothingBrokenError(StateError):
    """The state can be read."""

    def __init__(self, stack: str, path: Path) -> None:
        super().__init__(f"The state of {stack!r} is whole ({path}); nothing was changed")


class NoStateError(StateError):
    """There is no state at all."""

    def __init__(self, stack: str, backend: str) -> None:
        super().__init__(
            f"There is no stack {stack!r} in {backend}; expected a state that was cut off; a state that is gone is found "
            f"again with: {remedies.make_stack(stack)} && {remedies.adopt(stack)}"
        )


class LockedError(StateError):
    """A run holds the stack, or was killed."""

    def __init__(self, stack: str, lock: Path) -> None:
        super().__init__(
            f"The state of {stack!r} is locked by a run ({lock}); wait for it, or where it is dead take its lock away "
            f"with: rm {lock}"
        )


class NoCopyError(StateError):
    """Nothing to bring back."""

    def __init__(self, stack: str, path: Path) -> None:
        super().__init__(
            f"The state of {stack!r} was cut off ({path}), and no copy beside it is whole; put it aside with: "
            f"{remedies.restore_state(stack, '--aside')}, then find again what exists with: "
            f"{remedies.make_stack(stack)} && {remedies.adopt(stack)}"
        )


def restore(stack: str, project: Path, *, aside: bool = False) -> str:
    """Put the newest whole copy in the place of a state that was cut off; returns what was done.

    `aside`: where no copy is whole, only put what was cut under another name. Raises StateError.
    """
    pulumi = Pulumi(stack, project=project)
    backend = pulumi.backend
    state = state_file(backend.url, pulumi.project, pulumi.stack)
    if state is None:
        raise NoFolderError(pulumi.stack, str(backend))
    if not state.path.exists():
        raise NoStateError(pulumi.stack, str(backend))
    if holds_state(state.path):
        raise NothingBrokenError(pulumi.stack, state.path)
    if state.locks:
        raise LockedError(pulumi.stack, state.locks[0])
    copies = state.whole_copies()
    if not copies and not aside:
        raise NoCopyError(pulumi.stack, state.path)
    return _replace(state, copies[0] if copies else None)


def _replace(state: StateFile, copy: Path | None) -> str:
    cut = state.path.with_name(f"{state.path.name}.cut-{time.strftime('%Y%m%d-%H%M%S')}")
    if copy is None:
        state.path.replace(cut)
        return (
            f"What was cut off is in {cut.name}. Next:\n"
            f"  {remedies.make_stack(state.stack)}\n"
            f"  {remedies.adopt(state.stack)}\n"
            f"  {remedies.apply(state.stack)}"
        )
    whole = copy.read_bytes()
    # Written beside it first: a disk that is still full must not take the only place of the old file.
    draft = state.path.with_name(f".{state.path.name}.{os.getpid()}")
    try:
        draft.write_bytes(whole)
        os.link(state.path, cut)
        draft.replace(state.path)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise StateError(
            f"The state of {state.stack!r} could not be written to {state.path.parent} ({error.strerror}); make room "
            f"there, then run the same command again"
        ) from None
    saved = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(copy.stat().st_mtime))
    return (
        f"The state of {state.stack!r} is that of {saved} again ({copy.name}); what was cut off is in {cut.name}. Next, to "
        f"find what happened since:\n  {remedies.apply(state.stack, refresh=True)}"
    )
