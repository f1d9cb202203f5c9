"""`./mail adopt STACK`: take existing DNS records into the stack's state, with a backup and a way back.

Without options: imports foreign records that stand where ours must go, and our own ones that the state has lost;
keeps foreign SPF mechanisms and the stricter DMARC policy in the stack's configuration; gives our records a lost
comment back. Nothing is deleted, and nothing in the zone changes but lost comments, before the next `pulumi up`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from clients.cloudflare.zone_api import ZoneApi
from clients.dns import DeadlineResolver
from commands.adopt import wording
from commands.adopt.backup import Backup, make_restoration, read_backup, write_backup
from commands.adopt.errors import (
    AdoptionDeclinedError,
    BlockedError,
    ChangedMeanwhileError,
    NothingToAdoptError,
    NoTokenError,
)
from commands.adopt.other_stacks import other_stacks
from commands.adopt.plan import (
    AdoptionPlan,
    PlanInput,
    former_tag,
    import_file,
    is_unknown,
    make_plan,
    pending,
    settings_without,
)
from commands.adopt.stack_file import change_configuration
from commands.adopt.stack_state import StackState, parse_state
from commands.cli.console import SOON, working
from commands.stack_commands import ROOT, Pulumi
from commands.stack_settings import read_settings
from mailboxes import remedies
from mailboxes.remedies import mail
from settings.model import Settings
from settings.values import Dns, TunnelKind
from zone.spf import length_warnings, spf_record
from zone.spf_lookups import cost_warnings
from zone.survey import SurveyedRecord, hidden_email_routing, survey


@dataclass(frozen=True, kw_only=True)
class AdoptOptions:
    """What was asked for; at most one of the last four."""

    stack: str
    cwd: Path = ROOT
    config_file: Path | None = None
    """The stack's configuration file, where it has another name than `Pulumi.STACK.yaml`."""
    backup_dir: Path | None = None
    dry_run: bool = False
    yes: bool = False
    confirm: str = ""
    """The zone's name, instead of typing it when asked."""
    everything: bool = False
    replace_mx: bool = False
    discard: bool = False
    forget: bool = False
    restore: Path | None = None


@dataclass(frozen=True, kw_only=True)
class _Session:
    """One run of the command: where it reads and writes, and what it was asked."""

    given: AdoptOptions
    engine: Pulumi
    settings: Settings
    zone: ZoneApi
    config_file: Path

    @property
    def stack(self) -> str:
        return str(self.given.stack)

    def confirm(self, question: str, *, typed: str = "") -> None:
        """Ask; `typed`: the word that must be given instead of a yes. Raises DeclinedError."""
        remedy = f"say --confirm {typed}" if typed else "say --yes to go on without a question"
        if (typed and self.given.confirm == typed) or (not typed and self.given.yes):
            return
        prompt = f"{question} Type {typed} to go on: " if typed else f"{question} [y/N] "
        try:
            answer = input(prompt).strip()
        except EOFError:
            print()
            raise AdoptionDeclinedError(asked=False, remedy=remedy) from None
        if answer.lower() not in ({typed} if typed else {"y", "yes"}):
            raise AdoptionDeclinedError(asked=True, remedy=remedy)

    def back_up(self, listing: Sequence[Mapping[str, Any]]) -> None:
        """Write the backup, and say how to get back to it."""
        now = datetime.now(UTC)
        backup = Backup(
            zone_id=self.settings.zone_id,
            zone_name=self.settings.zone_name,
            stack=self.stack,
            taken_at=now.isoformat(timespec="seconds"),
            records=tuple(listing),
        )
        folder = self.given.backup_dir or self.given.cwd / "zone-backups"
        path = write_backup(folder, backup, now=now)
        print(f"Backup of all {len(listing)} records of {self.settings.zone_name}: {path}")
        print(f"To bring the zone back to it: {self.command('--restore', str(path))}")

    def command(self, *options: str) -> str:
        """This very command with other options, for a person to copy."""
        words = [self.stack, *options]
        if self.given.config_file:
            words += ["--config-file", str(self.given.config_file)]
        if self.given.cwd != ROOT:
            words += ["-C", str(self.given.cwd)]
        return mail("adopt", *words)


def adopt(given: AdoptOptions) -> int:
    """Raises AdoptError, PulumiFailedError, RecordError, SettingsError and WrongZoneError."""
    session = _open(given)
    if given.forget:
        return _forget(session)
    with working(f"Reading the zone {session.settings.zone_name}", after=SOON):
        listing = session.zone.records()
    records = survey(listing, zone_name=session.settings.zone_name, zone_id=session.settings.zone_id)
    if given.restore:
        return _restore(session, listing, given.restore)
    return _adopt(session, listing, records)


def _open(given: AdoptOptions) -> _Session:
    config_file = given.config_file.absolute() if given.config_file else None
    engine = Pulumi(given.stack, project=given.cwd, config_file=config_file)
    settings, url = read_settings(engine)
    if settings.dns is Dns.NONE:
        raise NothingToAdoptError(given.stack)
    if not settings.cloudflare_api_token:
        raise NoTokenError
    return _Session(
        given=given,
        engine=engine,
        settings=settings,
        zone=ZoneApi(url, settings.cloudflare_api_token, settings.zone_id),
        config_file=config_file or given.cwd.absolute() / f"Pulumi.{settings.stack}.yaml",
    )


# -- adopt -----------------------------------------------------------------------------------------------------------


def _adopt(session: _Session, listing: Sequence[Mapping[str, Any]], records: Sequence[SurveyedRecord]) -> int:
    given, settings = session.given, session.settings
    state = parse_state(session.engine.export())
    tunnels = (
        session.zone.tunnels(settings.account_id, settings.tag) if settings.tunnel_kind is TunnelKind.CREATED else []
    )
    situation = PlanInput(
        stack=given.stack, zone=records, state=state, settings=settings, tunnels=tunnels, resolve=DeadlineResolver()
    )
    with working("Comparing the zone with the state", after=SOON):
        if is_unknown(situation):
            tag = former_tag(settings, state) or settings.tag
            others = other_stacks(session.engine, tag=tag, zone_id=settings.zone_id)
            situation = replace(situation, others=others)
        plan = make_plan(situation, discard=given.discard, replace=given.replace_mx)
        hidden = hidden_email_routing(
            records, settings.zone_needs, comment=settings.record_comment, resolve=DeadlineResolver()
        )
    plan.blockers += [hidden] if hidden else []
    if plan.blockers:
        raise BlockedError(plan.blockers)
    plan.notes += _spf_notes(settings, plan)
    if plan.is_empty:
        rest = wording.plan_text(plan, config_file=session.config_file.name)
        print(f"Nothing to adopt in {settings.zone_name} for stack {given.stack!r}." + (f"\n{rest}" if rest else ""))
        return 0

    print(f"Plan for stack {given.stack!r} in the zone {settings.zone_name}:")
    print(wording.plan_text(plan, config_file=session.config_file.name))
    if given.dry_run:
        return 0
    session.back_up(listing)
    if plan.copies:
        session.confirm("Write these MX for the domain alone, and go on with the plan that follows from them?")
        for fields in plan.copies:
            session.zone.create(fields)
        listing = session.zone.records()
        return _adopt(session, listing, survey(listing, zone_name=settings.zone_name, zone_id=settings.zone_id))
    if settings.domain == settings.zone_name and plan.gives_up_superseded:
        session.confirm(
            f"The next up will delete MX records of the whole zone: all mail for {settings.zone_name} will go to Mailjet.",
            typed=settings.zone_name,
        )
    else:
        session.confirm("Do this?")
    _carry_out(session, plan, state)
    print(wording.next_step(plan, stack=given.stack))
    return 0


def _carry_out(session: _Session, plan: AdoptionPlan, state: StackState) -> None:
    """Each step leaves a situation from which the same command goes on."""
    for protect in (True, False):
        imports = [item for item in plan.imports if item.protect is protect]
        if not imports:
            continue
        file = import_file(
            imports,
            state,
            zone_id=session.settings.zone_id,
            account_id=session.settings.account_id,
            version=version("pulumi-cloudflare"),
        )
        session.engine.import_resources(file, protect=protect)
        state = parse_state(session.engine.export())
    for record in plan.comments:
        session.zone.set_comment(record.id, plan.comment)
    for record in plan.discards:
        _delete_if_unchanged(session.zone, record)
    for tunnel in plan.tunnel_discards:
        session.zone.delete_tunnel(session.settings.account_id, tunnel.id)
    for held in plan.releases:
        session.engine.unprotect(held.urn)
    if plan.settings:
        change_configuration(session.config_file, plan.settings)


def _delete_if_unchanged(zone: ZoneApi, record: SurveyedRecord) -> None:
    """The plan was made before the question was answered. Raises ChangedMeanwhileError."""
    now = zone.record(record.id)
    if now is None:
        return
    if SurveyedRecord.parse(now) != record:
        raise ChangedMeanwhileError(record.brief())
    zone.delete(record.id)


def _spf_notes(settings: Settings, plan: AdoptionPlan) -> list[str]:
    """What the SPF record that the next up publishes would cost its receivers."""
    if "spfMechanisms" not in plan.settings:
        return []
    text = spf_record(
        settings.mailjet_spf_include,
        plan.settings["spfMechanisms"],
        plan.settings.get("spfQualifier", settings.spf_qualifier),
    )
    return [
        *length_warnings(text),
        *cost_warnings(text, settings.domain, settings.mailjet_spf_include, DeadlineResolver()),
    ]


# -- the ways back -----------------------------------------------------------------------------------------------------


def _restore(session: _Session, listing: Sequence[Mapping[str, Any]], file: Path) -> int:
    given, settings = session.given, session.settings
    backup = read_backup(file, zone_id=settings.zone_id)
    state = parse_state(session.engine.export())
    made = make_restoration(
        backup,
        listing,
        settings.zone_needs,
        comment=settings.record_comment,
        deleted_on_destroy={held.id for held in state.records if not held.retained},
        everything=given.everything,
    )
    text = wording.restoration_text(made)
    if made.is_empty:
        print(f"The zone {settings.zone_name} is as it was at {backup.taken_at}." + (f"\n{text}" if text else ""))
        return 0
    print(f"To bring the zone {settings.zone_name} back to {backup.taken_at}:\n{text}")
    if given.dry_run:
        return 0
    session.back_up(listing)
    session.confirm("Do this?")
    for fields in made.put_back:
        session.zone.overwrite(str(fields["id"]), fields)
    for fields in made.replace:
        session.zone.delete(str(fields["id"]))
        session.zone.create(fields)
    # An address cannot return beside our CNAME; elsewhere mail must not be without a record for a moment.
    for record in made.remove:
        if record.type == "CNAME":
            _delete_if_unchanged(session.zone, record)
    for fields in made.create:
        session.zone.create(fields)
    for record in made.remove:
        if record.type != "CNAME":
            _delete_if_unchanged(session.zone, record)
    given_back = {str(fields["id"]) for fields in backup.records if fields.get("comment") != settings.record_comment}
    change_configuration(session.config_file, settings_without(settings, given_back))
    print(
        f"Done. The stack's state does not know yet; tell it with: {remedies.refresh(given.stack)} "
        f"(or destroy the stack with: {remedies.destroy(given.stack)})"
    )
    return 0


def _forget(session: _Session) -> int:
    given, settings = session.given, session.settings
    state = parse_state(session.engine.export())
    forgotten = pending(state, settings)
    changes = settings_without(settings, {held.id for held in forgotten})
    if not forgotten and not changes:
        print(f"No adoption of stack {given.stack!r} waits for an up: nothing to forget.")
        return 0
    print(wording.forget_text(forgotten))
    if given.dry_run:
        return 0
    session.confirm("Do this?")
    for held in forgotten:
        session.engine.forget(held.urn)
    left = parse_state(session.engine.export())
    for urn in left.components.values():
        if left.parents.get(urn, 0) == 0:
            session.engine.forget(urn)
    change_configuration(session.config_file, changes)
    print("Done. The zone is untouched, and the program stops again before these records.")
    return 0
