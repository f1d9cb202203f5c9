"""`./mail agents split STACK`: a stack's agents over several stacks on its domain, everybody with the address of before.

The files of the parts are written first, their populations next, and the first stack's population last: a run that is
killed anywhere leaves agents in two files at most, which the next run finds.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from azmail import MailStack
from commands.adopt.stack_file import change_configuration
from commands.cli.console import confirmed, working
from commands.environments.draft import BASE_URL
from commands.errors import NotASplitStackError, PartInTheWayError
from commands.stack_commands import Pulumi, PulumiFailedError
from commands.stack_settings import read_settings
from engine.stacks import StackFile, backend_text
from mailboxes import remedies
from mailboxes.consent import RemovalConsent
from mailboxes.guards import RemovalLimit, refuse_removal
from mailboxes.merging import replace_file
from mailboxes.population import PopulationSource
from mailboxes.splitting import PartEdit, Split, StackAgents, split_population
from mailboxes.wording import counted
from settings.model import Settings
from settings.values import PROJECT

CARRIED = (
    *("protected", "mailjetApiUrl", "mailjetSmtpHost", "mailjetSmtpPort", "inboundAuth", "submission"),
    *("gatewayHost", "gatewayPort", "gatewayApiUrl", "gatewayAgentLimits", "gatewayAccountLimits", "inboxUrl"),
    *("massRemovalPercent", "massRemovalCount"),
)
"""What a part takes over from the stack that owns the domain; everything else is that stack's alone, or a secret."""
SECRETS = ("mailjetApiKey", "mailjetApiSecret", "webhookSecret", "gatewayRoots")
"""Stored secrets that a part needs, too; what comes from the environment needs no command."""
_TAKE_OVER = "mailjetTakeOverRoutes"
_HEADER = "# A part of the population of {home}, whose domain it shares; docs/operations.md says how it came about.\n"


def split(stack: str, project: Path, *, size: int, keep: int | None, yes: bool, dry_run: bool) -> int:
    """`keep`: how many agents stay in the stack itself; `size` if not given.

    Raises CommandError, MailboxError, SettingsError and PulumiFailedError; nothing is written before all is valid.
    """
    site = SplitSite.of(stack, project)
    with working(f"Laying out the agents of {stack}"):
        found = split_population(
            site.home, site.parts, size=size, keep=size if keep is None else keep, folder=site.folder
        )
    site.refuse_what_is_in_the_way(found)
    for line in _layout(site, found):
        print(line)
    options = [] if keep is None else ["--keep", str(keep)]
    if site.changes(found) and not dry_run:
        if not yes:
            confirmed("Write these files?", remedy=f"say it with: {remedies.split(stack, size, *options, '--yes')}")
        site.write(found)
    commands = list(_commands(site, found, again=remedies.split(stack, size, *options)))
    if commands:
        print("\nThen, in this order:" if not dry_run else "\nAfter that, in this order:")
        print("\n".join(f"  {command}" for command in commands))
    return 0


@dataclass(frozen=True, kw_only=True)
class SplitSite:
    """The stack that owns the domain, and the parts that there are."""

    project: Path
    file: StackFile
    settings: Settings
    home: StackAgents
    parts: Sequence[StackAgents]
    ups: Mapping[str, LastUp]
    """Of the stack and of each part that has a file."""

    @classmethod
    def of(cls, stack: str, project: Path) -> SplitSite:
        """Raises NotASplitStackError for a stack without populations, or on another's domain."""
        file = StackFile.of(project, stack)
        settings, _ = read_settings(Pulumi(stack, project=project))
        if settings.domain_stack:
            raise NotASplitStackError(stack, f"shares the domain of {settings.domain_stack}", settings.domain_stack)
        if not settings.populations:
            raise NotASplitStackError(stack, "names no population", "")
        sources = [
            PopulationSource(path=project / entry.file, seed=entry.seed, created_at=entry.created_at)
            for entry in settings.populations
        ]
        known = dict(_parts(file, project))
        ups = {name: LastUp.of(name, project) for name in (stack, *known)}
        home = StackAgents(name=file.short_name, sources=sources, live=ups[stack].boxes or {})
        parts = [StackAgents(name=name, sources=named, live=ups[name].boxes or {}) for name, named in known.items()]
        ups[home.name] = ups[stack]
        return cls(project=project, file=file, settings=settings, home=home, parts=parts, ups=ups)

    @property
    def folder(self) -> Path:
        """Where a new part's population goes: beside the first of the stack."""
        return self.home.sources[0].path.parent

    def part_file(self, part: str) -> Path:
        return self.file.path.with_name(f"Pulumi.{part}.yaml")

    def refuse_what_is_in_the_way(self, found: Split) -> None:
        """Raises PartInTheWayError for a file of a new part that somebody else has made."""
        for part in found.parts:
            if part.is_new:
                for path in (self.part_file(part.stack), part.path):
                    if path.exists():
                        raise PartInTheWayError(path, part.stack, self.home.name)

    def takes_over(self, part: str) -> bool:
        """Whether the part's file lets it take routes over."""
        config = StackFile.of(self.project, part).document().get("config") or {}
        return bool(config.get(f"{PROJECT}:{_TAKE_OVER}"))

    def changes(self, found: Split) -> bool:
        """Whether anything has to be written."""
        settled = any(self.takes_over(part.stack) and part.stack not in found.waiting for part in found.parts)
        return settled or any(edit.changes for edit in (*found.parts, *found.home))

    def write(self, found: Split) -> None:
        for part in found.parts:
            self._write_part(part, takes_over=part.stack in found.waiting)
        for edit in found.home:
            edit.write()

    def _write_part(self, part: PartEdit, *, takes_over: bool) -> None:
        path = self.part_file(part.stack)
        if part.is_new:
            replace_file(path, self._part_text(part, takes_over=takes_over))
            if self.file.backend_file.exists():
                url = Pulumi(self.home.name, project=self.project).backend.url
                replace_file(path.with_suffix(".backend"), backend_text(url, part.stack))
        elif takes_over != self.takes_over(part.stack):
            change_configuration(path, {_TAKE_OVER: True if takes_over else None})
        part.write()

    def _beside_the_tunnel(self, config: Mapping[str, Any]) -> dict[str, str]:
        """Where a part finds gateway and inbox, if their URLs follow from what the first stack alone may say."""
        found = {}
        if config.get(f"{PROJECT}:gatewayService"):
            found["gatewayApiUrl"] = f"https://{config.get(f'{PROJECT}:tunnelHostname')}"
        if service := config.get(f"{PROJECT}:inboxService"):
            found["inboxUrl"] = str(service)
        return found

    def _part_text(self, part: PartEdit, *, takes_over: bool) -> str:
        config = self.file.document().get("config") or {}
        carried = {key: config[f"{PROJECT}:{key}"] for key in CARRIED if f"{PROJECT}:{key}" in config}
        file = part.path.relative_to(self.project) if part.path.is_relative_to(self.project) else part.path
        own: dict[str, Any] = {"domainStack": self.home.name, **self._beside_the_tunnel(config), **carried}
        own["populations"] = [{"file": str(file)}]
        if takes_over:
            own[_TAKE_OVER] = True
        named = {f"{PROJECT}:{key}": value for key, value in own.items()}
        if BASE_URL in config:  # a stack that lives on loopback is one whose services all do
            named = {BASE_URL: config[BASE_URL], **named}
        text = yaml.safe_dump({"config": named}, sort_keys=False, allow_unicode=True)
        return _HEADER.format(home=self.home.name) + text


@dataclass(frozen=True)
class LastUp:
    """What a stack has so far. `made`: there is a stack of that name; `boxes` None: it has never been up."""

    made: bool
    boxes: Mapping[str, str] | None
    """{agent id: local part}."""

    @classmethod
    def of(cls, stack: str, project: Path) -> LastUp:
        """Raises PulumiFailedError."""
        try:
            outputs = Pulumi(stack, project=project).outputs()
        except PulumiFailedError as error:
            if "no stack named" not in error.reason:
                raise
            return cls(made=False, boxes=None)
        if "mailboxes" not in outputs:
            return cls(made=True, boxes=None)
        return cls(made=True, boxes={box.agent_id: box.address.rpartition("@")[0] for box in MailStack(outputs)})


def _parts(home: StackFile, project: Path) -> Iterator[tuple[str, list[PopulationSource]]]:
    """The stacks whose file says that they are on the domain of `home`, in the order of their numbers."""

    def numbers(path: Path) -> tuple[int, str]:
        found = re.search(r"([0-9]+)\.yaml$", path.name)
        return int(found[1]) if found else 0, path.name

    for path in sorted(home.path.parent.glob("Pulumi.*.yaml"), key=numbers):
        name = path.name.removeprefix("Pulumi.").removesuffix(".yaml")
        config: Mapping[str, Any] = StackFile.of(project, name).document().get("config") or {}
        if str(config.get(f"{PROJECT}:domainStack") or "").rsplit("/", 1)[-1] != home.short_name:
            continue
        entries = config.get(f"{PROJECT}:populations") or []
        sources = [
            PopulationSource(
                path=project / str(entry.get("file")), seed=entry.get("seed"), created_at=entry.get("createdAt")
            )
            for entry in entries
        ]
        yield name, sources


def _layout(site: SplitSite, found: Split) -> Iterable[str]:
    yield f"{site.home.name}: {counted(found.kept, 'agent')} in its files, {len(found.left):,} leave them now"
    for part in found.parts:
        how = "new" if part.is_new else "added to" if part.added else "as it is"
        waits = found.waiting.get(part.stack, 0)
        late = f"; {waits:,} stay in the files of {site.home.name}, too, until an up of {part.stack}" if waits else ""
        yield f"{part.stack}: {counted(part.agents, 'agent')}, {len(part.added):,} of them new here ({how}){late}"
    if not site.changes(found):
        yield "Nothing to write."


def _commands(site: SplitSite, found: Split, *, again: str) -> Iterator[str]:
    """`again`: this very command. The stack that owns the domain comes first where it has never been up."""
    home = site.home.name
    if site.ups[home].boxes is None:
        yield remedies.apply(home)
    for part in found.parts:
        yield from _made(site, part.stack)
        up = site.ups.get(part.stack)
        if up is None or up.boxes is None or len(up.boxes) != part.agents or part.stack in found.waiting:
            yield remedies.apply(part.stack)
    if found.waiting:
        yield again
    elif found.removed:
        consent = _consent(site, found)
        if consent:
            yield remedies.set_value("allowMassRemoval", consent, stack=home)
        yield remedies.apply(home)
        if consent:
            yield remedies.remove_value("allowMassRemoval", stack=home)


def _made(site: SplitSite, stack: str) -> Iterator[str]:
    """What makes the stack of a part that there is not yet, with the secrets that the first one keeps in its configuration."""
    up = site.ups.get(stack)
    if up is not None and up.made:
        return
    document = site.file.document()
    yield remedies.make_stack(stack, secrets_provider=str(document.get("secretsprovider") or ""))
    config = document.get("config") or {}
    stored = [key for key in SECRETS if isinstance(config.get(f"{PROJECT}:{key}"), dict)]
    yield from (remedies.copy_value(key, stack, stack=site.home.name) for key in stored)


def _consent(site: SplitSite, found: Split) -> str:
    """What the guard will ask for; empty where it lets the removal pass."""
    live = site.home.live
    gone = set(found.removed)
    rest = {agent: address for agent, address in live.items() if agent not in gone}
    limit = RemovalLimit(percent=site.settings.mass_removal_percent, count=site.settings.mass_removal_count)
    if refuse_removal(live, rest, limit=limit, consent="") is None:
        return ""
    return str(RemovalConsent.needed(gone=len(live) - len(rest), of=len(live), everybody=not rest))
