"""What a command refuses, as sentences for who ran it."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from commands.report.protection import protected_sentence
from mailboxes import remedies
from mailboxes.wording import first_few


class CommandError(Exception):
    """A command that cannot do what it was asked; the message says why and what to do."""


class NotEmbeddedError(CommandError):
    """A stack that reaches real services, for a command that asks nobody."""

    def __init__(self, stack: str, reason: str, *, command: str, instead: str) -> None:
        super().__init__(
            f"{command} is for stacks whose services are all on this machine's loopback, and asks nobody: {stack!r} is "
            f"none ({reason}); use: {instead}"
        )


class NoStackFileError(CommandError):
    """The embedded default's configuration is gone: deleted, or renamed with its stack."""

    def __init__(self, file: str, *, command: str) -> None:
        super().__init__(
            f"{command} needs {file}, which is not here; expected it as the repository has it; bring it back with: git checkout "
            f"-- {file}"
        )


class DeclinedError(CommandError):
    """The question was answered with no, or there was nobody to ask."""

    def __init__(self, *, asked: bool, remedy: str) -> None:
        reason = "Declined" if asked else "There is no terminal to ask at"
        super().__init__(f"{reason}; nothing was changed{'' if asked else f'; {remedy}'}.")


class RefusedPlanError(CommandError):
    """A preview that failed or deletes too much: nothing is applied."""

    def __init__(self, stack: str) -> None:
        super().__init__(f"Nothing was applied to {stack!r}; the reasons stand above.")


class UpFailedError(CommandError):
    """The engine's up or destroy ended with an error, which it has told."""

    def __init__(self, command: str, status: int, *, reasons: Sequence[str] = ()) -> None:
        """`reasons`: what it has told in a form that nobody reads."""
        said = "".join(f"\n{reason}" for reason in reasons)
        super().__init__(
            f"{command} failed (exit {status}); the reasons stand above, and the same command goes on from here.{said}"
        )


class ProtectedError(CommandError):
    """A destroy of what the state protects: the engine would say so of each, and delete nothing."""

    def __init__(self, names: Sequence[str], *, stack: str) -> None:
        again = f"run again: {remedies.destroy(stack)}"
        super().__init__(f"Nothing was destroyed: {protected_sentence(names, stack=stack, doing=again)}")


class UnknownAgentError(CommandError):
    """Nobody has this id, name or address."""

    def __init__(self, who: str, known: list[str], *, where: str) -> None:
        from difflib import get_close_matches

        near = get_close_matches(who, known, 3, 0.5)
        meant = f"; did you mean {', '.join(near)}?" if near else ""
        super().__init__(
            f"No agent of {where} has the id, name or address {who!r}{meant or f'; see all with: {remedies.list_agents()}'}"
        )


class NotUpYetError(CommandError):
    """An agent of the files whom no up has made yet."""

    def __init__(self, agent_id: str, stack: str) -> None:
        super().__init__(
            f"Agent {agent_id} has no login before the up that makes its mailbox: bring it up with: {remedies.apply(stack)}"
        )


class AmbiguousAgentError(CommandError):
    """Several agents have this name."""

    def __init__(self, who: str, ids: list[str]) -> None:
        super().__init__(f"{len(ids)} agents are called {who!r}; name one by its id: {first_few(ids, 5)}")


class NoEmulatorsError(CommandError):
    """The embedded default does not run."""

    def __init__(self) -> None:
        super().__init__(f"The emulators are not running; start them and the stack with: {remedies.up()}")


class EmulatorsEndedError(CommandError):
    """They ran a moment ago."""

    def __init__(self) -> None:
        super().__init__(
            f"The emulators' page does not answer any more; see whether they run with: {remedies.emulators('status')}"
        )


class NoTunnelTokenError(CommandError):
    """The stack has no tunnel of its own, or its output is something else."""

    def __init__(self, found: str, stack: str) -> None:
        super().__init__(
            f"The stack output tunnelToken is {found}; expected the token of a tunnel that this stack creates; set it with: "
            f"{remedies.set_value('accountId', stack=stack)}, and with tunnelHostname likewise, then run: {remedies.apply(stack)}"
        )


class NotASplitStackError(CommandError):
    """A stack whose agents cannot be laid out over several."""

    def __init__(self, stack: str, found: str, owner: str) -> None:
        instead = (
            f"split the one that owns the domain: {remedies.split(owner)}"
            if owner
            else (
                f"name its population files first with: {remedies.set_value('populations[0].file', 'FILE', stack=stack, path=True)}"
            )
        )
        super().__init__(f"the stack {stack!r} {found}; expected one that owns a domain and has agents; {instead}")


class PartInTheWayError(CommandError):
    """A file where a new part's should be written."""

    def __init__(self, path: Path, part: str, home: str) -> None:
        super().__init__(
            f"{path} is there already, and no part of {home}; expected nothing, since the new part {part} would be written there; "
            f"move it away with: {shlex.join(['mv', str(path), f'{path}.old'])}"
        )
