"""A plan: what a preview announced, kept in a file, so that an up can be held to exactly that.

It holds no value: of each property that a step sets or leaves, the SHA-256 of its canonical JSON. A secret, and a value
that only the up will know, has the same mark whatever it is (docs/decisions/080): the job that plans need not have the
secrets of the job that brings up.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from commands.errors import CommandError
from commands.report.preview import REFRESHING, UNCHANGED, UNKNOWN
from engine import json_file
from mailboxes import remedies
from mailboxes.wording import first_few

VERSION = 1
SECRET = "[secret]"  # noqa: S105 - the engine's word, no secret
"""What the engine writes in place of every secret (`pulumi preview --json` without `--show-secrets`)."""
_MARK = "not told"
_PROVIDER = "__provider"
"""The pickled reference of a dynamic provider: the program's version, not what it does."""


class PlanFileError(CommandError):
    """A file that is no plan of this stack."""

    def __init__(self, file: str, found: str, *, stack: str) -> None:
        super().__init__(
            f"The plan {file} {found}; make a new one with: {remedies.save_plan(stack, file)}; nothing was applied."
        )


class PlanDiffersError(CommandError):
    """What an up would do now is not what was approved."""

    def __init__(self, stack: str, differences: list[str], *, file: str) -> None:
        how = f"look at it anew and approve it with: {remedies.save_plan(stack, file)}" if file else "run it again"
        super().__init__(
            f"An up of {stack} would no longer do what was approved ({first_few(differences, 5)}); {how}; nothing was applied."
        )


class Step(BaseModel):
    """What happens to one resource: of each property the digest of its old and new value."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    urn: str
    op: str
    old: dict[str, str]
    new: dict[str, str]

    @property
    def name(self) -> str:
        return self.urn.rsplit("::", 1)[-1]


class UpPlan(BaseModel):
    """What an up of a stack was announced to do."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    version: int = VERSION
    project: str
    stack: str
    refresh: bool = False
    """Whether the services were looked at first."""
    allow_record_removals: int = Field(default=0, ge=0)
    """The consent that was given with it."""
    note: str = ""
    """Such as the commit; no part of the digest."""
    steps: tuple[Step, ...]

    @property
    def digest(self) -> str:
        """`sha256:` and 64 hexadecimal digits, the same whatever the order of the steps."""
        return f"sha256:{hashlib.sha256(_canonical(self.model_dump(mode='json', exclude={'note'}))).hexdigest()}"

    def differences(self, now: UpPlan) -> list[str]:
        """How `now` differs, a few words for each resource; none where both do the same."""
        if self.refresh != now.refresh:
            return ["one of both looked at the services first"]
        before, after = self._by_resource(), now._by_resource()
        found: list[str] = []
        for key in sorted(before.keys() | after.keys()):
            old, new = before.get(key, []), after.get(key, [])
            if old == new:
                continue
            what = f"{key[1]} {(old or new)[0].name}"
            if len(old) != len(new):
                # One resource can have several deletes: a replacement that was cut short leaves one behind.
                found.append(f"{what} came" if len(old) < len(new) else f"{what} is gone")
            else:
                found.append(f"{what}: {', '.join(_differing(old, new))}")
        return found

    def _by_resource(self) -> dict[tuple[str, str], list[Step]]:
        found: dict[tuple[str, str], list[Step]] = {}
        for step in self.steps:
            found.setdefault((step.urn, step.op), []).append(step)
        return found

    def save(self, file: Path) -> None:
        """Raises OSError."""
        shown = {**self.model_dump(mode="json", exclude={"steps"}), "digest": self.digest}
        shown["steps"] = [step.model_dump(mode="json") for step in self.steps]
        json_file.replace(file, json.dumps(shown, indent=1) + "\n")


def planned(
    document: Mapping[str, Any], *, project: str, stack: str, refresh: bool = False, allowed: int = 0, note: str = ""
) -> UpPlan:
    """The plan in the JSON of a preview."""
    return UpPlan(
        project=project,
        stack=stack,
        refresh=refresh,
        allow_record_removals=allowed,
        note=note,
        steps=tuple(sorted(_steps(document.get("steps") or []), key=lambda step: step.model_dump_json())),
    )


def read_plan(file: Path, *, project: str, stack: str) -> UpPlan:
    """Raises PlanFileError for anything but a whole plan of this stack."""
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
        if not isinstance(document, dict):
            raise ValueError
    except OSError as error:
        raise PlanFileError(str(file), f"cannot be read ({error.strerror})", stack=stack) from None
    except (ValueError, RecursionError):
        raise PlanFileError(str(file), "is no whole JSON object", stack=stack) from None
    if document.get("version") != VERSION:
        raise PlanFileError(
            str(file), f"has version {document.get('version')!r}, expected {VERSION}", stack=stack
        ) from None
    digest = document.pop("digest", None)
    try:
        plan = UpPlan.model_validate(document)
    except ValidationError as error:
        where = ".".join(str(part) for part in error.errors()[0]["loc"])
        raise PlanFileError(str(file), f"is not what preview --save writes, at {where}", stack=stack) from None
    if digest != plan.digest:
        raise PlanFileError(str(file), "was changed after it was made: its digest is another", stack=stack)
    if (plan.project, plan.stack) != (project, stack):
        raise PlanFileError(str(file), f"is of {plan.project}/{plan.stack}, not of {project}/{stack}", stack=stack)
    return plan


def _steps(steps: Iterable[Mapping[str, Any]]) -> Iterable[Step]:
    for step in steps:
        op = str(step.get("op", ""))
        if op in UNCHANGED or op in REFRESHING:
            continue
        found = Step(
            urn=str(step.get("urn", "")),
            op=op,
            old=_properties(step.get("oldState")),
            new=_properties(step.get("newState")),
        )
        # What differs in secrets alone does not differ here: the job that plans may lack them.
        if op != "update" or found.old != found.new:
            yield found


def _properties(state: Mapping[str, Any] | None) -> dict[str, str]:
    inputs = (state or {}).get("inputs") or {}
    return {str(name): _digest(value) for name, value in sorted(inputs.items()) if name != _PROVIDER}


def _digest(value: Any) -> str:
    if _not_told(value):
        return _MARK
    return hashlib.sha256(_canonical(_without_the_untold(value))).hexdigest()


def _not_told(value: Any) -> bool:
    return isinstance(value, str) and (value == SECRET or UNKNOWN in value)


def _without_the_untold(value: Any) -> Any:
    """The value with the mark in place of what is secret or unknown inside it."""
    if isinstance(value, Mapping):
        return {name: _without_the_untold(part) for name, part in value.items()}
    if isinstance(value, list):
        return [_without_the_untold(part) for part in value]
    return {_MARK: None} if _not_told(value) else value


def _canonical(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def _differing(before: list[Step], after: list[Step]) -> list[str]:
    return sorted(
        {
            name
            for one, other in zip(before, after, strict=True)
            for old, new in ((one.old, other.old), (one.new, other.new))
            for name in old.keys() | new.keys()
            if old.get(name) != new.get(name)
        }
    )
