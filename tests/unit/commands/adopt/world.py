"""A zone, a state and an engine in memory: what Cloudflare and Pulumi do with what the program declares.

Only as much as adoption depends on: create before update before delete, protection, retain-on-delete, refusal of
identical records, and the survey at the start of every run.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, cast

from commands.adopt.backup import Backup, make_restoration
from commands.adopt.plan import AdoptionPlan, PlanInput, import_file, make_plan, pending, settings_without
from commands.adopt.stack_state import StackState, parse_state
from components.zone_survey import refuse_conflicts
from settings.loading import from_config
from settings.model import Settings
from settings.values import SUPERSEDED
from zone.records import Record, configured_records, mailjet_records, tunnel_record
from zone.survey import SupersededRecordsError, SurveyedRecord, already_there, conflicts, survey

ZONE_ID = "0f1e2d3c4b5a69788796a5b4c3d2e1f0"
ZONE_NAME = "agents.example"
TARGET = "11111111-2222-4333-8444-555555555555.cfargotunnel.com"
TOKEN = "0a1b2c3d" * 4
CONFIG: dict[str, Any] = {
    "domain": "dev.agents.example",
    "zoneName": ZONE_NAME,
    "zoneId": ZONE_ID,
    "accountId": "00112233445566778899aabbccddeeff",
    "tunnelHostname": "api-dev.agents.example",
}

Fields = dict[str, Any]


class RefusedError(Exception):
    """Cloudflare or the engine says no."""


@dataclass
class Zone:
    """Records by id, with Cloudflare's rules on what may stand beside what."""

    records: dict[str, Fields] = field(default_factory=dict)
    _issued: int = 0

    def post(self, fields: Fields) -> str:
        self._check(fields, None)
        self._issued += 1
        record_id = f"{self._issued:032x}"
        self.records[record_id] = {**fields, "id": record_id}
        return record_id

    def put(self, record_id: str, fields: Fields) -> None:
        if record_id not in self.records:
            raise RefusedError("81044")
        self._check(fields, record_id)
        self.records[record_id] = {**fields, "id": record_id}

    def delete(self, record_id: str) -> None:
        if self.records.pop(record_id, None) is None:
            raise RefusedError("81044")

    def _check(self, fields: Fields, record_id: str | None) -> None:
        for other in self.records.values():
            if other["id"] == record_id or other["name"] != fields["name"]:
                continue
            types = {other["type"], fields["type"]}
            if "CNAME" in types and types <= {"A", "AAAA", "CNAME"}:
                raise RefusedError("81053")
            if _data(other) == _data(fields):
                raise RefusedError("81058")

    def snapshot(self) -> dict[str, Fields]:
        return copy.deepcopy(self.records)


def _data(fields: Fields) -> tuple[str, str, int | None]:
    """What makes two records of a name identical: their data, not how it is typed."""
    record = SurveyedRecord.parse({"id": "", **fields})
    return record.type, record.text, record.priority


@dataclass
class Held:
    """A resource in the state."""

    id: str
    inputs: Fields
    protect: bool = False
    retain: bool = False


@dataclass
class Preview:
    """What an `up` would do, and why it would not."""

    creates: dict[str, Fields] = field(default_factory=dict)
    updates: dict[str, str] = field(default_factory=dict)
    deletes: dict[str, str] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)

    @property
    def is_empty(self) -> bool:
        return not (self.creates or self.updates or self.deletes or self.errors)

    @property
    def touched(self) -> set[str]:
        """Ids of existing records that stand in this preview."""
        return {*self.updates.values(), *self.deletes.values()}


class SimulatedStack:
    """One stack and its zone."""

    def __init__(self, *, stack: str = "dev", **config: Any) -> None:
        self.zone = Zone()
        self.state: dict[str, Held] = {}
        self.config = {**CONFIG, **config}
        self.stack = stack
        self.sender_domain = False
        self._validated: tuple[str, Settings] | None = None

    @property
    def settings(self) -> Settings:
        key = repr(self.config)
        if self._validated is None or key != self._validated[0]:
            self._validated = (key, from_config(self.config, stack=self.stack, preview=True))
        return self._validated[1]

    def listing(self) -> list[SurveyedRecord]:
        return survey(self.zone.records.values(), zone_name=ZONE_NAME, zone_id=ZONE_ID)

    def parsed_state(self) -> StackState:
        """Through the form that `pulumi stack export` has."""
        mail = f"urn:pulumi:{self.stack}::agentmail::azt3knet:mail:MailDomain::mail"
        resources: list[dict[str, Any]] = []
        if self.state:
            resources.append({"urn": mail, "type": "azt3knet:mail:MailDomain", "custom": False})
        resources += [
            {
                "urn": f"urn:pulumi:{self.stack}::agentmail::cloudflare:index/dnsRecord:DnsRecord::{name}",
                "type": "cloudflare:index/dnsRecord:DnsRecord",
                "custom": True,
                "id": held.id,
                "inputs": {key: value for key, value in held.inputs.items() if value is not None},
                "protect": held.protect,
                "retainOnDelete": held.retain,
                "parent": mail,
            }
            for name, held in self.state.items()
        ]
        if self.sender_domain:
            resources.append(
                {
                    "urn": f"urn:pulumi:{self.stack}::agentmail::pulumi-python:dynamic/mailjet:SenderDomain::mail-sender",
                    "type": "pulumi-python:dynamic/mailjet:SenderDomain",
                    "custom": True,
                    "outputs": {"ownership_name": f"mailjet._{TOKEN[:8]}.{self.settings.domain}"},
                    "parent": mail,
                }
            )
        return parse_state({"version": 3, "deployment": {"resources": resources}})

    # -- the program and the engine ----------------------------------------------------------------------------

    def declared(self) -> dict[str, Fields]:
        settings = self.settings
        domain = settings.domain
        records: list[Record] = configured_records(
            domain=domain,
            mx_hosts=settings.mailjet_mx_hosts,
            spf_include=settings.mailjet_spf_include,
            spf_mechanisms=settings.spf_mechanisms,
            spf_qualifier=settings.spf_qualifier,
            dmarc=settings.dmarc,
            tls_reports=settings.tls_reports,
            ttl=settings.ttl,
        )
        records += mailjet_records(
            domain=domain,
            dkim_name=f"mailjet._domainkey.{domain}",
            dkim_value="k=rsa; p=" + "A" * 392,
            ownership_name=f"mailjet._{TOKEN[:8]}.{domain}",
            ownership_token=TOKEN,
            ttl=settings.ttl,
        )
        named = {f"mail-{record.key}": record for record in records}
        named["api-cname"] = tunnel_record(hostname=settings.tunnel_hostname, target=TARGET)
        return {
            name: {
                "name": record.name,
                "type": record.type,
                "content": record.content,
                "ttl": record.ttl,
                "priority": record.priority,
                "proxied": record.proxied,
                "comment": settings.record_comment,
            }
            for name, record in named.items()
        }

    def preview(self) -> Preview:
        settings = self.settings
        found = Preview()
        records = self.listing()
        adopted = {entry.id: entry for entry in settings.adopted_records}
        foreign = conflicts(records, settings.zone_needs, comment=settings.record_comment, adopted=adopted)
        if foreign:
            found.errors.append("foreign records")
            return found
        try:
            refuse_conflicts(records, settings.zone_needs, settings)
        except SupersededRecordsError:
            found.errors.append("consent")
        leaving = {record_id for record_id, entry in adopted.items() if entry.is_superseded}
        records = [record for record in records if record.id not in leaving]
        declared = self.declared()
        for name, inputs in declared.items():
            held = self.state.get(name)
            if held is None:
                found.creates[name] = inputs
                there = already_there(
                    records, settings.zone_needs, type_=inputs["type"], name=inputs["name"], content=inputs["content"]
                )
                if there:
                    found.errors.append(f"{name} is there already: {there.brief()}")
            elif held.inputs != inputs:
                found.updates[name] = held.id
                assert held.inputs["type"] == inputs["type"], "a replacement would delete a foreign record"
        for name, held in self.state.items():
            if name not in declared:
                found.deletes[name] = held.id
                if held.protect:
                    found.errors.append(f"{name} is protected")
        return found

    def up(self, *, dies_before_saving: str = "") -> Preview:
        """Create, update, then delete. A run that dies has written one record more than its state knows."""
        intended = self.preview()
        if intended.errors:
            return intended
        self.sender_domain = True
        settings = self.settings
        kept = {entry.name for entry in settings.adopted_records} & {"mail-spf", "mail-dmarc"}
        for name, inputs in self.declared().items():
            if name in intended.creates:
                record_id = self.zone.post(inputs)
                if name == dies_before_saving:
                    return intended
                self.state[name] = Held(record_id, inputs)
            elif name in intended.updates:
                self.zone.put(self.state[name].id, inputs)
            held = self.state[name]
            self.state[name] = Held(held.id, inputs, protect=settings.protected, retain=name in kept)
        for name, record_id in intended.deletes.items():
            self.zone.delete(record_id)
            del self.state[name]
        return intended

    def refresh(self) -> None:
        for name, held in list(self.state.items()):
            now = self.zone.records.get(held.id)
            if now is None:
                del self.state[name]
            else:
                held.inputs = {key: now.get(key) for key in held.inputs}

    def destroy(self) -> bool:
        """`pulumi destroy --refresh`; whether it went through."""
        self.refresh()
        if any(held.protect for held in self.state.values()):
            return False
        for held in self.state.values():
            if not held.retain:
                self.zone.delete(held.id)
        self.state.clear()
        self.sender_domain = False
        return True

    # -- ./mail adopt ---------------------------------------------------------------------------------------

    def plan(self, *, discard: bool = False, replace: bool = False) -> AdoptionPlan:
        situation = PlanInput(stack=self.stack, zone=self.listing(), state=self.parsed_state(), settings=self.settings)
        return make_plan(situation, discard=discard, replace=replace)

    def adopt(self, *, discard: bool = False, replace: bool = False, stop_after: int | None = None) -> AdoptionPlan:
        """Carry a plan out, or its first steps only."""
        plan = self.plan(discard=discard, replace=replace)
        if plan.blockers:
            return plan
        steps = [
            *((self._import, item) for item in plan.imports),
            *((self._comment, record) for record in plan.comments),
            *((self._discard, record) for record in plan.discards),
            *((self._release, held) for held in plan.releases),
            (self.configure, plan.settings),
        ]
        file = import_file(plan.imports, self.parsed_state(), zone_id=ZONE_ID, account_id="a" * 32, version="1.0.0")
        assert len({entry["name"] for entry in file["resources"]}) == len(file["resources"])
        for step, argument in cast("list[tuple[Callable[[Any], object], Any]]", steps[:stop_after]):
            step(argument)
        return plan

    def configure(self, changes: dict[str, Any]) -> None:
        for key, value in changes.items():
            if value is None:
                self.config.pop(key, None)
            else:
                self.config[key] = value

    def _import(self, item: Any) -> None:
        assert item.name not in self.state
        assert item.id not in {held.id for held in self.state.values()}, "an id may be in the state once"
        now = self.zone.records[item.id]
        inputs = {key: now.get(key) for key in ("name", "type", "content", "ttl", "priority", "proxied", "comment")}
        self.state[item.name] = Held(item.id, inputs, protect=item.protect)

    def _comment(self, record: SurveyedRecord) -> None:
        self.zone.records[record.id]["comment"] = self.settings.record_comment

    def _discard(self, record: SurveyedRecord) -> None:
        self.zone.delete(record.id)

    def _release(self, held: Any) -> None:
        assert held.name.startswith(SUPERSEDED)
        self.state[held.name].protect = False

    def forget(self) -> None:
        forgotten = pending(self.parsed_state(), self.settings)
        changes = settings_without(self.settings, {held.id for held in forgotten})
        for held in forgotten:
            del self.state[held.name]
        self.configure(changes)

    def restore(self, records: dict[str, Fields]) -> None:
        """Back to a snapshot, as `--restore` does it."""
        settings = self.settings
        backup = Backup(
            zone_id=ZONE_ID, zone_name=ZONE_NAME, stack=self.stack, taken_at="", records=tuple(records.values())
        )
        made = make_restoration(
            backup,
            list(self.zone.records.values()),
            settings.zone_needs,
            comment=settings.record_comment,
            deleted_on_destroy={held.id for held in self.parsed_state().records if not held.retained},
        )
        for fields in made.put_back:
            self.zone.put(str(fields["id"]), dict(fields))
        for fields in made.replace:
            self.zone.delete(str(fields["id"]))
            self._post(fields)
        for record in made.remove:
            self.zone.delete(record.id)
        for fields in made.create:
            self._post(fields)
        self.configure(settings_without(settings, set(records)))

    def _post(self, fields: Any) -> None:
        self.zone.post({key: value for key, value in fields.items() if key != "id"})
