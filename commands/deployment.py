"""`./mail preview | apply | destroy`: the digest of what would change, the question, and the engine's own up or destroy."""

from __future__ import annotations

import json
import re
import shutil
import sys
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from commands.cli.console import confirmed, working
from commands.cli.running import DRIFT, CommandExit
from commands.errors import CommandError, ProtectedError, RefusedPlanError
from commands.refusals import Overheard
from commands.report.digest import as_data, as_markdown, as_text, failure_as_markdown
from commands.report.preview import Changes, PreviewUnreadableError, announced, preview_document
from commands.report.protection import protected_names
from commands.report.thresholds import refusals
from commands.report.up_plan import PlanDiffersError, UpPlan, planned, read_plan
from commands.stack_commands import Pulumi, PulumiFailedError
from engine.stacks import StackFile
from mailboxes import remedies
from settings.values import PROJECT

LABEL = re.compile(r"allow-record-removals:\s*(\d+)")
DESTROYING = ("destroy", "--refresh", "--skip-preview", "--yes", "--suppress-outputs")


class LabelsError(CommandError):
    """`--labels` is no JSON list."""

    def __init__(self, found: str) -> None:
        super().__init__(
            f"--labels has {found[:60]!r}; expected a JSON list such as: --labels '[\"allow-record-removals: 4\"]'"
        )


@dataclass(frozen=True)
class Wanted:
    """Of which stack, and what may go."""

    stack: str
    project: Path
    allowed: int = 0
    labels: str = ""

    @property
    def allowed_removals(self) -> int:
        """Exactly so many DNS records may go, by the option or by a pull request's label. Raises LabelsError."""
        if self.allowed or not self.labels:
            return self.allowed
        try:
            labels = json.loads(self.labels)
        except ValueError:
            raise LabelsError(self.labels) from None
        if not isinstance(labels, list):
            raise LabelsError(self.labels)
        matches = [match for label in labels if (match := LABEL.fullmatch(str(label)))]
        return int(matches[0][1]) if matches else 0


@dataclass(frozen=True)
class Looked:
    """What the engine said to a preview: its JSON, and its complaints."""

    text: str
    log: str
    status: int | None = None
    """What the engine ended with; None for a preview that somebody else ran."""

    @cached_property
    def document(self) -> dict[str, Any]:
        """Read once: it holds every resource of the stack. Raises PreviewUnreadableError."""
        return preview_document(self.text)

    def changes(self, stack: str) -> Changes:
        """Raises PreviewUnreadableError."""
        found = announced(self.document, status=self.status)
        return replace(found, stack=found.stack or stack)

    def plan(self, wanted: Wanted, *, refresh: bool, note: str = "") -> UpPlan:
        """What it announced, to hold an up to. Raises PreviewUnreadableError."""
        return planned(
            self.document,
            project=PROJECT,
            stack=wanted.stack,
            refresh=refresh,
            allowed=wanted.allowed_removals,
            note=note,
        )


def look(wanted: Wanted, *, refresh: bool = False) -> Looked:
    """The engine's preview. Raises PreviewUnreadableError where it has none to give."""
    pulumi = Pulumi(wanted.stack, project=wanted.project)
    with working(f"Looking at what an up of {wanted.stack} would change"):
        done = pulumi.attempt("preview", "--json", *(["--refresh"] if refresh else []), "--stack", wanted.stack)
    return Looked(done.stdout, done.stderr, done.returncode)


def preview(
    wanted: Wanted,
    *,
    json: bool = False,
    markdown: bool = False,
    drift: bool = False,
    note: str = "",
    read: str = "",
    save: Path | None = None,
) -> int:
    """Exit status: 1 for a preview that failed or deletes too much, with `drift` 2 for anything that an up would put back.

    `save`: where the plan goes; there is none of a preview that ends with 1.
    """
    looked = Looked(_given(read), "") if read else look(wanted, refresh=drift)
    if save:
        save.unlink(missing_ok=True)
    status = report(looked, wanted, json=json, markdown=markdown, drift=drift, note=note)
    if save and status != CommandExit.FAILED:
        plan = looked.plan(wanted, refresh=drift, note=note)
        plan.save(save)
        print(
            f"The plan is in {save}; bring up exactly this with: {remedies.apply(wanted.stack, plan=str(save))}",
            file=sys.stderr,
        )
    return status


def report(
    looked: Looked, wanted: Wanted, *, json: bool = False, markdown: bool = False, drift: bool = False, note: str = ""
) -> int:
    """The digest of a preview. Raises PulumiFailedError and PreviewUnreadableError where there is none."""
    allowed = wanted.allowed_removals
    try:
        changes = looked.changes(wanted.stack)
    except PreviewUnreadableError as error:
        failure = _no_preview(wanted, looked) if looked.log else error
        if markdown:
            said = failure.reason if isinstance(failure, PulumiFailedError) else str(error)
            print(failure_as_markdown(wanted.stack, said, note=note), end="")
        raise failure from None
    refused = [] if drift else refusals(changes, allowed_record_removals=allowed)
    if json:
        print(as_data(changes, refused=refused, drift=drift))
    elif markdown:
        print(as_markdown(changes, refused=refused, drift=drift, note=note), end="")
    else:
        print(as_text(changes, refused=refused, drift=drift), end="")
    if changes.errors or refused:
        return 1
    return DRIFT if drift and not changes.is_empty else 0


def _no_preview(wanted: Wanted, looked: Looked) -> PulumiFailedError:
    """The engine ended before it had a preview: its own reason is all that there is to say."""
    backend = str(Pulumi(wanted.stack, project=wanted.project).backend)
    return PulumiFailedError(f"preview --stack {wanted.stack}", looked.log, stack=wanted.stack, backend=backend)


def _given(name: str) -> str:
    return sys.stdin.read() if name == "-" else Path(name).read_text(encoding="utf-8")


def apply(wanted: Wanted, *, yes: bool = False, refresh: bool = False, plan: Path | None = None) -> int:
    """Bring up what the digest shows, and with `plan` only what was approved with it.

    Raises PlanFileError, PlanDiffersError, RefusedPlanError, DeclinedError and UpFailedError; nothing is written before
    all of that is settled.
    """
    approved = read_plan(plan, project=PROJECT, stack=wanted.stack) if plan else None
    if approved:
        refresh = refresh or approved.refresh
        wanted = replace(wanted, allowed=wanted.allowed or approved.allow_record_removals)
    shown, changes = _announced(wanted, refresh=refresh)
    if approved:
        _hold(wanted.stack, approved, shown, file=str(plan))
    if not changes.is_empty and not yes:
        confirmed(f"Apply this to {wanted.stack}?", remedy=f"say it with: {remedies.apply(wanted.stack, yes=True)}")
        # Whoever answers takes time, and others go on meanwhile.
        _hold(wanted.stack, shown, _announced(wanted, refresh=refresh, again=True)[0])
    pulumi = Pulumi(wanted.stack, project=wanted.project)
    outputs = bring_up(pulumi, refresh=refresh)
    if not StackFile.of(pulumi.project, wanted.stack).off_loopback():
        from commands.embedded_mail import hand_over_here

        hand_over_here(outputs)
    return 0


def _announced(wanted: Wanted, *, refresh: bool, again: bool = False) -> tuple[UpPlan, Changes]:
    """What an up would do, shown; `again`: shown only where it may not go on. Raises RefusedPlanError."""
    looked = look(wanted, refresh=refresh)
    try:
        changes = looked.changes(wanted.stack)
    except PreviewUnreadableError:
        raise _no_preview(wanted, looked) from None
    refused = refusals(changes, allowed_record_removals=wanted.allowed_removals)
    if changes.errors or refused or not again:
        print(as_text(changes, refused=refused))
    if changes.errors or refused:
        raise RefusedPlanError(wanted.stack)
    return looked.plan(wanted, refresh=refresh), changes


def _hold(stack: str, approved: UpPlan, now: UpPlan, *, file: str = "") -> None:
    if differences := approved.differences(now):
        raise PlanDiffersError(stack, differences, file=file)


def bring_up(pulumi: Pulumi, *, refresh: bool = False) -> dict[str, Any]:
    """The engine's up, then the summary; the stack's outputs. Raises UpFailedError."""
    from commands.report.summary import WIDTH, summary
    from commands.roster import read_names

    up = (
        "up",
        "--yes",
        "--skip-preview",
        "--suppress-outputs",
        *(["--refresh"] if refresh else []),
        "--stack",
        pulumi.stack,
    )
    heard = Overheard(pulumi.stack)
    if code := pulumi.stream(*up, heard=heard):
        raise heard.error(f"The up of {pulumi.stack}", code)
    outputs = pulumi.outputs()
    columns = shutil.get_terminal_size((WIDTH, 24)).columns
    print(summary(outputs, stack=pulumi.stack, names=read_names(pulumi), columns=columns), end="")
    return outputs


def destroy(stack: str, project: Path, *, confirm: str = "") -> int:
    """Raises ProtectedError, DeclinedError and UpFailedError."""
    from commands.report.holdings import holdings_text

    pulumi = Pulumi(stack, project=project)
    with working(f"Reading what {stack} holds"):
        state = pulumi.export()
    if protected := protected_names(state):
        raise ProtectedError(protected, stack=stack)
    print(holdings_text(state, stack=stack))
    if StackFile.of(project, stack).off_loopback() and confirm != stack:
        confirmed(
            "All of this goes from the real services, and mail to these addresses will bounce.",
            typed=stack,
            remedy=f"give the stack's name with: {remedies.destroy(stack, confirmed=True)}",
        )
    heard = Overheard(stack)
    if code := pulumi.stream(*DESTROYING, "--stack", stack, heard=heard):
        raise heard.error(f"The destroy of {stack}", code)
    return 0
