"""A preview as facts: which mailboxes and records come, go or change, by name.

Source: `pulumi preview --json`, whose steps carry the old and the new state of every resource. The engine's own
display shows a changed bucket of routes whole; here old and new inputs are compared agent by agent.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from clients.cloudflare.refusals import is_refused_request, request_sentences
from mailboxes import remedies
from mailboxes.address_map import recorded_address_map
from mailboxes.guards import REMOVED_COUNT, REMOVED_PERCENT
from mailboxes.packed_map import NotPackedError
from mailboxes.policies import AgentPolicy, parse_policies

ROUTES = "InboundRoutes"
BOOK = "AddressBook"
FOOTPRINT = "Footprint"
MAILBOXES = "azt3knet:mail:AgentMailboxes"
"""The component whose inputs are the settings that no other step shows."""
CREDENTIALS = "credentials"
"""Its input that marks the values of configured credentials."""
RECORD_TYPE = "cloudflare:index/dnsRecord:DnsRecord"
TUNNEL_TYPE = "cloudflare:index/zeroTrustTunnelCloudflared:ZeroTrustTunnelCloudflared"
_SHOWN = frozenset({"name", "type", "content", "priority"})
"""Properties of a record that stand in its line anyway."""
UNCHANGED = frozenset({"same", "read"})
REFRESHING = frozenset({"refresh"})
"""Steps of `preview --refresh` that only look: what they find stands as the old state of the steps after them."""
DELETING = frozenset({"delete", "delete-replaced", "discard"})
UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
"""What the engine writes where only the up will know a value (`computedValuePlaceholder` in its sources)."""
_SUMMARIES = frozenset({"preview failed", "preview canceled"})
"""What the engine adds to the error that made it fail."""
_BESIDE_THE_REASON = re.compile(
    r"\[ERROR\] |an unhandled error occurred: program exited with non-zero exit code", re.IGNORECASE
)
"""What the official plugin logs of a refused request, and the official language host of every failed program."""


EMPTY = "empty"


class PreviewUnreadableError(Exception):
    """What was given is not the JSON of a preview."""

    def __init__(self, found: str) -> None:
        self.nothing_came = found == EMPTY
        """Whether the engine ended before it had a preview; it has said why on standard error."""
        super().__init__(f"The preview is {found}; expected the output of: {remedies.preview_json()}")


@dataclass(frozen=True)
class MailboxMove:
    """A mailbox whose address changes."""

    agent_id: str
    old: str
    new: str


@dataclass(frozen=True)
class PolicyChange:
    """An agent who may do something else than before, in the population file's words."""

    agent_id: str
    address: str
    old: str
    new: str


@dataclass(frozen=True)
class RecordChange:
    """A DNS record that comes, goes or changes; a value that only the up will know is None."""

    type: str
    name: str | None
    old: str | None = None
    new: str | None = None
    resource: str = ""
    """The logical name."""
    changed: bool = False
    properties: tuple[str, ...] = ()
    """Which of its properties change beside or instead of name and value."""


@dataclass(frozen=True)
class ResourceChange:
    """Any other resource: its logical name, type and what happens to it."""

    name: str
    type: str
    operation: str
    properties: tuple[str, ...] = ()


@dataclass(frozen=True)
class SettingChange:
    """A setting of the whole stack that a reviewer must know of; `old` is None where the stack is new."""

    name: str
    old: str | None
    new: str


ANOTHER_KEY = SettingChange("Mailjet account", "the key of the last up", "another key, which the up tries first")
"""What else an address book can be updated for."""
_MAILJET_KEY = frozenset({"mailjetApiKey", "mailjetApiSecret"})
"""Credentials whose marks tell the same of a configuration that names them."""
_OTHER = "another value"


@dataclass(frozen=True)
class Allowances:
    """What the stack's configuration allows this time."""

    mass_removal: str = ""
    foreign_mx: bool = False
    removed_percent: int = REMOVED_PERCENT
    removed_count: int = REMOVED_COUNT


@dataclass
class Changes:
    """What a preview announces."""

    stack: str = ""
    switches: Allowances = field(default_factory=Allowances)
    before: dict[str, str] = field(default_factory=dict)
    """{agent id: address} of all mailboxes by the address book, unchanged ones too: their routes are no steps."""
    after: dict[str, str] = field(default_factory=dict)
    mailboxes_added: dict[str, str] = field(default_factory=dict)
    mailboxes_removed: dict[str, str] = field(default_factory=dict)
    mailboxes_moved: list[MailboxMove] = field(default_factory=list)
    policies: list[PolicyChange] = field(default_factory=list)
    routes_rewritten: int = 0
    """Mailboxes whose route gets another URL (a rotated secret, another host)."""
    records_added: list[RecordChange] = field(default_factory=list)
    records_removed: list[RecordChange] = field(default_factory=list)
    records_changed: list[RecordChange] = field(default_factory=list)
    resources: list[ResourceChange] = field(default_factory=list)
    tunnels_in_use: dict[str, str] = field(default_factory=dict)
    """{id: account} of tunnels that would be deleted while a CNAME of the stack leads there."""
    settings: list[SettingChange] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    @property
    def is_empty(self) -> bool:
        """Whether the up would write nothing."""
        return not (
            self.mailboxes_added
            or self.mailboxes_removed
            or self.mailboxes_moved
            or self.policies
            or self.routes_rewritten
            or self.records_added
            or self.records_removed
            or self.records_changed
            or self.resources
            or any(setting.old is not None for setting in self.settings)
        )


def preview_document(text: str) -> dict[str, Any]:
    """The JSON that the engine ends with, behind whatever was printed on the way. Raises PreviewUnreadableError."""
    start = text.find("{")
    if start < 0:
        raise PreviewUnreadableError(EMPTY if not text.strip() else f"{text.strip()[:60]!r}")
    try:
        document, _ = json.JSONDecoder().raw_decode(text[start:])
    except json.JSONDecodeError as error:
        raise PreviewUnreadableError(f"broken at character {error.pos}") from None
    if not isinstance(document, dict) or not {"steps", "changeSummary", "diagnostics", "config"} & document.keys():
        raise PreviewUnreadableError("JSON of another kind")
    return document


def read_preview(text: str, *, status: int | None = None) -> Changes:
    """The changes in what `pulumi preview --json` printed. Raises PreviewUnreadableError for anything else."""
    return announced(preview_document(text), status=status)


def announced(document: Mapping[str, Any], *, status: int | None = None) -> Changes:
    """The changes that a preview's document announces.

    `status` is what the engine ended with, None where nobody kept it. With 0 the preview is no failure, whatever was
    logged on the way: the official plugin logs a refused question as an error, also one that the program tolerates.
    """
    return compare(
        document.get("steps") or [],
        document.get("diagnostics") or [],
        config=document.get("config") or {},
        status=status,
    )


def compare(
    steps: Iterable[Mapping[str, Any]],
    diagnostics: Iterable[Mapping[str, Any]],
    *,
    config: Mapping[str, Any] | None = None,
    status: int | None = None,
) -> Changes:
    """The changes in the steps of a preview, mailboxes merged over all buckets."""
    changes = Changes(switches=_switches(config or {}))
    old_routes: dict[str, str] = {}
    new_routes: dict[str, str] = {}
    seen: set[str] = set()
    tunnels_removed: dict[str, str] = {}
    # A CNAME that stays as it is has no step: then the configuration says where it leads.
    targets = {str((config or {}).get("agentmail:tunnelCname", ""))}
    for step in steps:
        urn, operation = str(step.get("urn", "")), str(step.get("op", ""))
        old, new = step.get("oldState") or {}, step.get("newState") or {}
        state = new or old
        changes.stack = changes.stack or _stack_of(urn)
        if BOOK in _kind_of(urn) and operation not in REFRESHING:
            changes.switches = _with_limits(changes.switches, new.get("inputs") or {})
            changes.before, changes.after = _book(old), {} if operation in DELETING else _book(new)
            changes.policies = _policy_changes(changes.after, old.get("inputs") or {}, new.get("inputs") or {})
            if operation == "update" and old.get("inputs") == new.get("inputs"):
                changes.settings.append(ANOTHER_KEY)
        if operation in REFRESHING:
            continue
        if _kind_of(urn) == TUNNEL_TYPE and operation in DELETING:
            tunnels_removed[str(old.get("id", ""))] = str((old.get("inputs") or {}).get("accountId", ""))
        if _kind_of(urn) == RECORD_TYPE and operation not in {*DELETING, *UNCHANGED}:
            targets.add(str((new.get("inputs") or {}).get("content", "")))
        differing = tuple(sorted(step.get("detailedDiff") or {}))
        if ROUTES in _kind_of(urn):
            _note_routes(changes, operation, old, new, old_routes, new_routes, counted=urn in seen)
            seen.add(urn)
        elif operation in UNCHANGED:
            continue
        elif state.get("type") == RECORD_TYPE:
            _note_record(changes, operation, old, new, resource=urn.rsplit("::", 1)[-1], properties=differing)
        elif MAILBOXES in _kind_of(urn):
            _note_settings(changes, old.get("inputs") or {}, new.get("inputs") or {})
        elif not _is_shadow(urn):
            changes.resources.append(
                ResourceChange(
                    name=urn.rsplit("::", 1)[-1],
                    type=str(state.get("type", "")),
                    operation=operation,
                    properties=differing,
                )
            )
    changes.tunnels_in_use = {
        tunnel: account
        for tunnel, account in sorted(tunnels_removed.items())
        if f"{tunnel}.cfargotunnel.com" in targets
    }
    if any(setting.name in _MAILJET_KEY and setting.new == _OTHER for setting in changes.settings):
        changes.settings = [setting for setting in changes.settings if setting is not ANOTHER_KEY]
    _note_mailboxes(changes, old_routes, new_routes)
    _note_diagnostics(changes, diagnostics, status)
    return changes


def _note_diagnostics(changes: Changes, diagnostics: Iterable[Mapping[str, Any]], status: int | None) -> None:
    """Errors and warnings, each once; of an error only the reason where something stands beside it."""
    for diagnostic in _told(diagnostics, changes.stack):
        message = _sentence(str(diagnostic.get("message", "")))
        listed = {"warning": changes.warnings, "error": changes.errors}.get(str(diagnostic.get("severity")))
        if message and listed is not None and message not in listed:
            listed.append(message)
    reasons = [error for error in changes.errors if error not in _SUMMARIES and not _BESIDE_THE_REASON.match(error)]
    if status == 0:
        tolerated = reasons or ([] if changes.warnings else changes.errors)
        changes.warnings += [error for error in tolerated if error not in changes.warnings]
        changes.errors.clear()
    elif reasons:
        changes.errors[:] = reasons
    elif any(error not in _SUMMARIES for error in changes.errors):
        changes.errors[:] = [error for error in changes.errors if error not in _SUMMARIES]
    if status and not changes.errors:
        changes.errors.append(f"the engine ended the preview with status {status} and gave no reason")


def _told(diagnostics: Iterable[Mapping[str, Any]], stack: str) -> list[Mapping[str, Any]]:
    """What Cloudflare's plugin says of refused requests in sentences, the first of them in the place of all."""
    refused, others, urns = [], [], []
    for diagnostic in diagnostics:
        urn, message = str(diagnostic.get("urn") or ""), str(diagnostic.get("message", ""))
        if diagnostic.get("severity") == "error" and "cloudflare" in _kind_of(urn) and is_refused_request(message):
            refused.append((urn.rsplit("::", 1)[-1], message))
            urns.append(urn)
        else:
            others.append(diagnostic)
    stack = stack or next((found for urn in urns if (found := _stack_of(urn))), "")
    told = [{"severity": "error", "message": sentence} for sentence in request_sentences(refused, stack=stack)]
    return [*told, *others]


def _switches(config: Mapping[str, Any]) -> Allowances:
    """Values of `pulumi preview --json` are texts."""
    return Allowances(
        mass_removal=str(config.get("agentmail:allowMassRemoval") or ""),
        foreign_mx=str(config.get("agentmail:replaceForeignMx")).lower() == "true",
    )


def _with_limits(switches: Allowances, book: Mapping[str, Any]) -> Allowances:
    """The limits that the book itself guards with."""
    percent, count = book.get("removal_percent"), book.get("removal_count")
    return replace(
        switches,
        removed_percent=int(percent) if isinstance(percent, int | float) else switches.removed_percent,
        removed_count=int(count) if isinstance(count, int | float) else switches.removed_count,
    )


def _sentence(message: str) -> str:
    """A diagnostic without what the engine puts before it."""
    text = re.sub(r"^(?:error|warning): ", "", message.strip())
    return re.sub(r"^\S+ resource '\S+' has a problem: ", "", text).strip()


def _stack_of(urn: str) -> str:
    parts = urn.removeprefix("urn:pulumi:").split("::")
    return parts[0] if len(parts) > 1 else ""


def _kind_of(urn: str) -> str:
    """The type token in a URN, without those of its parents."""
    return urn.split("::")[2].rsplit("$", 1)[-1] if urn.count("::") >= 3 else ""


def _is_shadow(urn: str) -> bool:
    """Resources whose change says nothing that others do not say: the book, footprints, components, providers, the stack."""
    kind = _kind_of(urn)
    return BOOK in kind or FOOTPRINT in kind or kind.startswith(("azt3knet:", "pulumi:providers:", "pulumi:pulumi:"))


def _routes(state: Mapping[str, Any]) -> dict[str, str]:
    return _address_map(state, "routes")


def _book(state: Mapping[str, Any]) -> dict[str, str]:
    return _address_map(state, "addresses")


def _policy_changes(agents: Mapping[str, str], old: Mapping[str, Any], new: Mapping[str, Any]) -> list[PolicyChange]:
    """Of those who stay or come."""
    before, after = parse_policies(str(old.get("policies") or "")), parse_policies(str(new.get("policies") or ""))
    nothing = AgentPolicy()
    return [
        PolicyChange(agent, agents[agent], str(before.get(agent, nothing)), str(after.get(agent, nothing)))
        for agent in sorted(before.keys() | after.keys())
        if agent in agents and before.get(agent, nothing) != after.get(agent, nothing)
    ]


def _address_map(state: Mapping[str, Any], key: str) -> dict[str, str]:
    """Unknown and secret values are no map."""
    text = (state.get("inputs") or {}).get(key)
    try:
        return recorded_address_map(text) if isinstance(text, str) else {}
    except NotPackedError:
        return {}


def _note_routes(
    changes: Changes,
    operation: str,
    old: Mapping[str, Any],
    new: Mapping[str, Any],
    old_routes: dict[str, str],
    new_routes: dict[str, str],
    *,
    counted: bool,
) -> None:
    before = {} if operation in {"create", "create-replacement", "import"} and not old else _routes(old)
    after = {} if operation in DELETING else _routes(new)
    old_routes.update(before)
    new_routes.update(after)
    if operation == "update" and not counted and "routes" in new.get("inputs", {}):
        same = {agent for agent in before if after.get(agent) == before[agent]}
        if (old.get("inputs") or {}).get("route_url") != (new.get("inputs") or {}).get("route_url") or before == after:
            changes.routes_rewritten += len(same)


def _note_mailboxes(changes: Changes, old: Mapping[str, str], new: Mapping[str, str]) -> None:
    changes.mailboxes_added = {agent: new[agent] for agent in sorted(new.keys() - old.keys())}
    changes.mailboxes_removed = {agent: old[agent] for agent in sorted(old.keys() - new.keys())}
    changes.mailboxes_moved = [
        MailboxMove(agent, old[agent], new[agent])
        for agent in sorted(old.keys() & new.keys())
        if old[agent] != new[agent]
    ]


def _note_record(
    changes: Changes,
    operation: str,
    old: Mapping[str, Any],
    new: Mapping[str, Any],
    *,
    resource: str,
    properties: Iterable[str],
) -> None:
    before, after = old.get("inputs") or {}, new.get("inputs") or {}
    fields = after or before
    name, kind = _known(fields.get("name")), str(fields.get("type", ""))
    if operation in DELETING:
        changes.records_removed.append(
            RecordChange(kind, _known(before.get("name")), old=_value(before), resource=resource)
        )
    elif operation in {"create", "import"}:
        changes.records_added.append(RecordChange(kind, name, new=_value(after), resource=resource))
    elif operation in {"update", "replace", "create-replacement"}:
        changes.records_changed.append(
            RecordChange(
                kind,
                name,
                old=_value(before),
                new=_value(after),
                resource=resource,
                changed=True,
                # What only the up will know need not change.
                properties=tuple(key for key in properties if key not in _SHOWN and after.get(key) != UNKNOWN),
            )
        )


def _note_settings(changes: Changes, old: Mapping[str, Any], new: Mapping[str, Any]) -> None:
    """A stack of before this was told has no such inputs: what it was then is not known, and no change."""
    _note_credentials(changes, old.get(CREDENTIALS), new.get(CREDENTIALS))
    for name, value in sorted(new.items()):
        before = old.get(name)
        if name == CREDENTIALS:
            continue
        if before != value:
            changes.settings.append(SettingChange(name, None if before is None else _plain(before), _plain(value)))


def _note_credentials(changes: Changes, old: Mapping[str, str] | None, new: Mapping[str, str] | None) -> None:
    """Marks of values, which say nothing but whether two are the same."""
    if old is None or new is None:
        return
    absent = "not in the configuration"
    for key in sorted(old.keys() | new.keys()):
        if old.get(key) != new.get(key):
            before = "the last up's value" if key in old else absent
            after = absent if key not in new else _OTHER if key in old else "a value"
            changes.settings.append(SettingChange(key, before, after))


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _known(value: Any) -> str | None:
    """The text; None where only the up will know it."""
    return value if isinstance(value, str) and value and UNKNOWN not in value else None


def _value(inputs: Mapping[str, Any]) -> str | None:
    content = _known(inputs.get("content"))
    if content is None:
        return None
    priority = inputs.get("priority")
    return content if priority is None else f"{priority:g} {content}"
