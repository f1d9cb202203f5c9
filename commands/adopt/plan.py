"""What an adoption does, decided from the zone, the state, the settings and the DNS as it is handed in."""

from __future__ import annotations

import ipaddress
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from clients.cloudflare.zone_api import AccountTunnel
from commands.adopt.other_stacks import OtherStack
from commands.adopt.stack_state import RECORD_TYPE, TUNNEL_TYPE, HeldRecord, StackState
from mailboxes import remedies
from settings.model import AdoptedRecord, Settings
from settings.values import PROJECT, SUPERSEDED, TunnelKind
from zone.dmarc import keep_dmarc
from zone.errors import RecordError
from zone.names import canonical
from zone.records import MX_STEP, WORST_PREFERENCE
from zone.spf import MAX_LOOKUPS, keep_spf, normal_term, spf_record, stricter_qualifier
from zone.spf_lookups import Resolve, addresses_of, permitted_networks, spf_cost
from zone.survey import (
    EMAIL_ROUTING_REMEDY,
    MARK,
    Place,
    SurveyedRecord,
    place_of,
    shortened,
    wildcard_mx,
    wildcard_warnings,
)
from zone.txt import quoted

DOMAIN = "mail"
"""The name of the program's MailDomain; its records are named after it."""
TUNNEL = "api"
"""The name of the program's ApiTunnel."""
TUNNEL_RESOURCE = f"{TUNNEL}-tunnel"


@dataclass(frozen=True, kw_only=True)
class Import:
    """A record or tunnel that comes into the state under a name."""

    name: str
    id: str
    brief: str
    protect: bool
    """Whether the state refuses to delete it until an `up` declares it otherwise: all that was not ours."""
    record: SurveyedRecord | None = None

    @property
    def superseded(self) -> bool:
        return self.name.startswith(SUPERSEDED)

    @property
    def parent(self) -> str | None:
        if self.superseded:
            return None
        return TUNNEL if self.name.startswith(f"{TUNNEL}-") else DOMAIN


@dataclass(frozen=True, kw_only=True)
class PlanInput:
    """The facts that a plan follows from."""

    stack: str
    zone: Sequence[SurveyedRecord]
    state: StackState
    settings: Settings
    tunnels: Sequence[AccountTunnel] = ()
    """The account's live tunnels that carry our name."""
    resolve: Resolve = lambda _name, _rdtype: []
    """The DNS, which is asked what foreign SPF terms mean today."""
    others: Sequence[OtherStack] = ()
    """Other stacks of the project, where something carries our mark and our state does not know it."""


@dataclass(kw_only=True)
class AdoptionPlan:
    """What will be done, and what a person must settle first."""

    imports: list[Import] = field(default_factory=list)
    comments: list[SurveyedRecord] = field(default_factory=list)
    """Our records whose comment was lost: the only writes to the zone besides discards."""
    releases: list[HeldRecord] = field(default_factory=list)
    """Superseded records whose protection is lifted, with consent."""
    copies: list[dict[str, Any]] = field(default_factory=list)
    """MX of the domain alone, which say what a wildcard says today: written first, so that they can be given up last."""
    discards: list[SurveyedRecord] = field(default_factory=list)
    tunnel_discards: list[AccountTunnel] = field(default_factory=list)
    settings: dict[str, Any] = field(default_factory=dict)
    """Configuration keys -> new values; None removes a key."""
    left: list[str] = field(default_factory=list)
    """Our records and tunnels that have no place in this stack any more."""
    notes: list[str] = field(default_factory=list)
    blockers: list[str] = field(default_factory=list)
    comment: str = ""
    """The comment of our records."""

    @property
    def is_empty(self) -> bool:
        return not (
            self.imports
            or self.comments
            or self.copies
            or self.releases
            or self.discards
            or self.tunnel_discards
            or self.settings
        )

    @property
    def gives_up_superseded(self) -> bool:
        """Whether the next `up` may delete foreign records that it could not delete before."""
        unprotected = any(item.superseded and not item.protect for item in self.imports)
        return bool(self.releases) or unprotected or self.settings.get("replaceForeignMx") is True


def make_plan(situation: PlanInput, *, discard: bool = False, replace: bool = False) -> AdoptionPlan:
    """The plan for this situation.

    `discard`: our records and tunnels that the state does not know are deleted instead of imported.
    `replace`: superseded records may be deleted by the next `up`.
    """
    return _Planner(situation, discard=discard, replace=replace).plan()


def is_unknown(situation: PlanInput) -> bool:
    """Whether something carries this stack's mark that its state does not know, so that other stacks are to be looked at."""
    tag = former_tag(situation.settings, situation.state) or situation.settings.tag
    marked = [record for record in situation.zone if record.comment == f"{MARK}{tag}"]
    return any(situation.state.by_id(record.id) is None for record in marked) or any(
        tunnel.id not in situation.state.tunnels for tunnel in situation.tunnels
    )


def former_tag(settings: Settings, state: StackState) -> str | None:
    """The owner tag that the state's records carry, where it is no longer the stack's: `stack rename` changes the default."""
    tags = {
        held.comment.removeprefix(MARK)
        for held in state.records
        if held.comment.startswith(MARK) and not held.name.startswith(SUPERSEDED)
    }
    if len(tags) == 1 and settings.tag not in tags:
        return tags.pop()
    return None


class _Planner:
    def __init__(self, situation: PlanInput, *, discard: bool, replace: bool) -> None:
        self.stack = situation.stack
        self.zone = situation.zone
        self.state = situation.state
        self.tunnels = situation.tunnels
        self.settings = situation.settings
        self.resolve = situation.resolve
        self.others = situation.others
        self.discard = discard
        self.made = AdoptionPlan()
        tag = former_tag(self.settings, self.state)
        if tag and self.settings.owner_tag:
            self.made.blockers.append(
                f"agentmail:ownerTag is {self.settings.owner_tag!r}, but the records in the stack's state carry {tag!r}; expected the tag "
                f"to stay as it is for ever; set it back with: "
                f"{remedies.set_value('ownerTag', tag, stack=situation.stack)}"
            )
        elif tag:
            self.settings = self.settings.model_copy(update={"owner_tag": tag})
            self.made.settings["ownerTag"] = tag
            self.made.notes.append(
                f"The stack was renamed: its records carry the ownerTag {tag!r}, which therefore becomes explicit."
            )
        self.replace = replace
        self.comment = self.made.comment = self.settings.record_comment
        self.needs = self.settings.zone_needs
        self.adopted = {entry.id: entry for entry in self.settings.adopted_records}
        self.known = {held.name for held in self.state.records}
        self.taken = set(self.known)
        self.policy = self.settings.dmarc
        """The DMARC policy of the next `up`."""
        self.foreign: list[tuple[str, SurveyedRecord]] = []
        """Resource name and record of all that is foreign and in the state, or will be."""

    def plan(self) -> AdoptionPlan:
        policies: list[SurveyedRecord] = []
        for record in self.zone:
            held = self.state.by_id(record.id)
            place = place_of(record, self.needs)
            if held:
                self._held(record, held)
            elif record.comment == self.comment:
                self._lost(record)
            elif place in {Place.SPF, Place.DMARC}:
                policies.append(record)
            elif place:
                self._foreign(record, place)
        self._keep_policies([*(record for _, record in self.foreign), *policies])
        # Of several DMARC records the one that reads like ours is ours: another cannot become its twin (Cloudflare's 81058).
        ours = self.policy.text()
        for record in sorted(
            policies, key=lambda one: (one.name != self.needs.domain, one.text != ours, one.content != quoted(ours))
        ):
            self._foreign(record, Place.SPF if place_of(record, self.needs) is Place.SPF else Place.DMARC)
        for tunnel in self.tunnels:
            if tunnel.id not in self.state.tunnels:
                self._lost_tunnel(tunnel)
        self._wildcards()
        self._leave_mail_where_it_goes()
        self._write_adopted()
        return self.made

    # -- one record --------------------------------------------------------------------------------------------

    def _held(self, record: SurveyedRecord, held: HeldRecord) -> None:
        """Never imported a second time: the state would hold it under two names, and delete it under one."""
        if record.comment == self.comment:
            return
        if held.comment == self.comment:
            if held.content == record.content and held.retained and record.id not in self.adopted:
                # A restore gave it back to its owner.
                self.foreign.append((held.name, record))
            elif held.content == record.content:
                self.made.comments.append(record)
            else:
                self.made.blockers.append(
                    f"{record.brief()} (in the state as {held.name}) has lost its comment, and its content is not what the state says; "
                    f"expected the state to know it as it is; tell it with: {remedies.refresh(self.stack)}"
                )
            return
        self.foreign.append((held.name, record))
        agreed = self.replace or self.settings.replace_foreign_mx
        if held.name.startswith(SUPERSEDED) and held.protected and agreed:
            self.made.releases.append(held)

    def _lost(self, record: SurveyedRecord) -> None:
        """One of ours that the state does not know: a run was killed before it saved, or a destroy kept it."""
        if self._is_elsewheres(record.brief(), record.id, wanted=self.discard or bool(place_of(record, self.needs))):
            return
        if self.discard:
            self.made.discards.append(record)
            return
        place = place_of(record, self.needs)
        name = self._declared_name(record, place) if place else None
        if name is None or name in self.taken:
            self.made.left.append(
                f"{record.brief()} (id {record.id}) carries this stack's mark, but the program declares no such record"
                + (" beside the one in the state" if name else "")
            )
            return
        self._import(record, name, protect=record.id in self.adopted or self.settings.protected)

    def _is_elsewheres(self, brief: str, id_: str, *, wanted: bool) -> bool:
        """Whether what carries our mark is another stack's: by its state, or perhaps, since it has the same tag.

        `wanted`: whether this adoption would take it or delete it, so that a person must settle it first.
        """
        tag = self.settings.tag
        own = f"{PROJECT}-{self.settings.stack}"
        other_tag = remedies.set_value("ownerTag", own if own != tag else f"{tag}-2", stack=self.stack)
        holder = next((other for other in self.others if id_ in other.holds), None)
        twin = next((other for other in self.others if other.has_our_tag), None)
        if holder:
            said = f"{brief} (id {id_}) carries this stack's ownerTag {tag!r}, but stands in the state of the stack {holder.name!r}"
            if wanted:
                self.made.blockers.append(
                    f"{said}, and so is that stack's; expected a tag, a domain and a host for each stack; give this one its own "
                    f"before its first up: {other_tag}"
                )
            else:
                self.made.notes.append(f"{said}: it is left alone.")
            return True
        if twin and wanted:
            self.made.blockers.append(
                f"{brief} (id {id_}) carries the ownerTag {tag!r}, which Pulumi.{twin.name}.yaml has as well, for the same zone; "
                "expected a tag for each stack, since nothing else tells whose it is; if this stack is the newer one, give it its own "
                f"before its first up: {other_tag}; otherwise give {twin.name!r} another"
            )
            return True
        for other in self.others:
            if other.unread and wanted:
                note = f"The state of the stack {other.name!r} could not be read ({other.unread}), so it may hold what carries this tag."
                self.made.notes += [note] if note not in self.made.notes else []
        return False

    def _foreign(self, record: SurveyedRecord, place: Place) -> None:
        if record.owner is not None:
            self.made.blockers.append(
                f"{record.brief()} belongs to the stack with the ownerTag {record.owner!r}; expected a domain and a host of this stack's "
                "own; destroy that stack, or choose another domain or tunnelHostname"
            )
            return
        remedy = _unfit(record, place) or self._ambiguous(record, place)
        if remedy:
            self.made.blockers.append(remedy)
            return
        name = self._declared_name(record, place)
        held = self.state.by_name(name) if name else None
        if held and not any(other.id == held.id for other in self.zone):
            self.made.blockers.append(
                f"{record.brief()} stands in the place of {name}, whose own record (id {held.id}) somebody has removed; expected the state "
                f"to know that; tell it with: {remedies.refresh(self.stack)}"
            )
            return
        if name is None or name in self.taken:
            name = self._superseded_name(place)
        # A switch left on from an earlier adoption is no consent to this one: only the command line is.
        self._import(record, name, protect=not (name.startswith(SUPERSEDED) and self.replace))
        self.foreign.append((name, record))

    def _ambiguous(self, record: SurveyedRecord, place: Place) -> str | None:
        """Several records where there must be one from the first moment of the next `up`, which deletes last of all.

        Mailjet verifies no domain with two SPF records, and nothing tells which of several keys or tokens is this
        account's.
        """
        alike = [other for other in self.zone if place_of(other, self.needs) is place and not self._is_discarded(other)]
        if len(alike) == 1 or place not in {Place.SPF, Place.DKIM, Place.OWNERSHIP}:
            return None
        if place is Place.SPF:
            return (
                f"{record.brief()} is one of {len(alike)} SPF records, which receivers treat as a permanent error (RFC 7208, 4.5); "
                "expected one; join them in Cloudflare's dashboard, or add what it allows to agentmail:spfMechanisms and delete it"
            )
        if f"{DOMAIN}-{place}" in self.known or (place is Place.OWNERSHIP and self.state.ownership_name):
            return None
        what = "DKIM keys" if place is Place.DKIM else "ownership tokens"
        return (
            f"{record.brief()} is one of {len(alike)} {what} of Mailjet; expected one; "
            f"delete those that Mailjet does not list for {self.settings.domain} (Account settings, Sender domains)"
        )

    def _is_discarded(self, record: SurveyedRecord) -> bool:
        return self.discard and record.comment == self.comment and not self.state.by_id(record.id)

    def _declared_name(self, record: SurveyedRecord, place: Place) -> str | None:
        """The name under which the program declares a record in this place; None where it declares none like it."""
        if place is Place.MX:
            hosts = {canonical(host) for host in self.settings.mailjet_mx_hosts}
            return f"{DOMAIN}-mx-{record.text}" if record.text in hosts else None
        if place is Place.OWNERSHIP and self.state.ownership_name not in ("", record.name):
            return None
        if place is Place.TUNNEL_HOST:
            return f"{TUNNEL}-{place}" if record.type == "CNAME" else None
        return None if place is Place.ALIAS else f"{DOMAIN}-{place}"

    def _superseded_name(self, place: Place) -> str:
        number = 1
        while f"{SUPERSEDED}{place}-{number}" in self.taken:
            number += 1
        return f"{SUPERSEDED}{place}-{number}"

    def _import(self, record: SurveyedRecord, name: str, *, protect: bool) -> None:
        self.taken.add(name)
        self.made.imports.append(Import(name=name, id=record.id, brief=record.brief(), protect=protect, record=record))

    def _lost_tunnel(self, tunnel: AccountTunnel) -> None:
        if self._is_elsewheres(f"the tunnel {tunnel.name!r}", tunnel.id, wanted=True):
            return
        if self.discard:
            self.made.tunnel_discards.append(tunnel)
        elif self.settings.tunnel_kind is not TunnelKind.CREATED or self.state.tunnels:
            self.made.left.append(
                f"the tunnel {tunnel.name!r} (id {tunnel.id}) has this stack's name, but the program declares no such tunnel"
                + (" beside the one in the state" if self.state.tunnels else "")
            )
        elif not tunnel.remotely_managed:
            self.made.blockers.append(
                f"the tunnel {tunnel.name!r} (id {tunnel.id}) has this stack's name, but keeps its ingress in a local file; "
                "expected one that Cloudflare manages; delete or rename it in the Zero Trust dashboard"
            )
        else:
            self.made.imports.append(
                Import(
                    name=TUNNEL_RESOURCE,
                    id=tunnel.id,
                    brief=f"tunnel {tunnel.name!r}",
                    protect=self.settings.protected,
                )
            )

    # -- what goes into the configuration ----------------------------------------------------------------------

    def _keep_policies(self, foreign: Sequence[SurveyedRecord]) -> None:
        """Mechanisms and policies of foreign SPF and DMARC go on in ours."""
        by_place: dict[Place | None, list[SurveyedRecord]] = {}
        for record in foreign:
            by_place.setdefault(place_of(record, self.needs), []).append(record)
        superseded = {record.id for name, record in self.foreign if name.startswith(SUPERSEDED)}
        if Place.SPF in by_place:
            hosts = [record.text for record in by_place.get(Place.MX, []) if record.text and record.id in superseded]
            self._keep_spf([record.text for record in by_place[Place.SPF]], hosts)
        if Place.DMARC in by_place:
            self._keep_dmarc([record.text for record in by_place[Place.DMARC]])

    def _keep_spf(self, texts: Sequence[str], superseded_mx: Sequence[str]) -> None:
        kept = keep_spf(
            texts, domain=self.settings.domain, superseded_mx=superseded_mx, addresses=addresses_of(self.resolve)
        )
        ours = self.settings.spf_mechanisms
        include = normal_term(self.settings.mailjet_spf_include)
        further = [term for term in self._uncovered(kept.mechanisms, texts) if term != include]
        qualifier = self.settings.spf_qualifier
        mechanisms = list(dict.fromkeys([*ours, *further]))
        before = len(self.made.settings)
        self._set("spfMechanisms", ours, mechanisms)
        self._set("spfQualifier", qualifier, stricter_qualifier(qualifier, kept.qualifier))
        if len(self.made.settings) > before:
            self.made.notes += kept.notes
            self._refuse_costly_spf(texts, mechanisms)

    def _uncovered(self, mechanisms: Sequence[str], texts: Sequence[str]) -> list[str]:
        """Without those addresses of MX hosts that an include of the same records permits anyway."""
        written = {normal_term(term) for text in texts for term in text.split()[1:]}
        networks = permitted_networks(mechanisms, self.resolve)

        def is_covered(term: str) -> bool:
            kind, _, address = term.partition(":")
            if term in written or kind not in {"ip4", "ip6"}:
                return False
            network = ipaddress.ip_network(address, strict=False)
            return any(network.subnet_of(other) for other in networks if other.version == network.version)  # type: ignore[arg-type]  # of one version

        left = [term for term in mechanisms if not is_covered(term)]
        if covered := [term for term in mechanisms if term not in left]:
            self.made.notes.append(f"SPF: {' '.join(covered)!r} is left out, since an include permits it anyway.")
        return left

    def _refuse_costly_spf(self, texts: Sequence[str], mechanisms: Sequence[str]) -> None:
        """A record that worked must not become one that receivers take for broken (RFC 7208, 4.6.4)."""
        settings = self.settings
        try:
            record = spf_record(settings.mailjet_spf_include, mechanisms, settings.spf_qualifier)
        except RecordError as error:
            found = str(error).partition(" has ")[2]
        else:
            cost = spf_cost(record, settings.domain, self.resolve).lookups
            if cost <= MAX_LOOKUPS or any(
                spf_cost(text, settings.domain, self.resolve).lookups > MAX_LOOKUPS for text in texts
            ):
                return
            found = f"{cost} DNS lookups, nested ones counted; expected at most {MAX_LOOKUPS} (RFC 7208, 4.6.4)"
        self.made.blockers.append(
            f"{settings.domain} TXT {shortened(' + '.join(texts))} cannot go on in ours, which would have {found}; remove from it in "
            "Cloudflare's dashboard what sends no mail for the domain ('a' and 'mx' often do not), or what others in "
            "agentmail:spfMechanisms stand for already, then run this command again"
        )

    def _keep_dmarc(self, texts: Sequence[str]) -> None:
        ours = self.settings.dmarc
        kept = keep_dmarc(ours, texts)
        self.policy = kept.policy
        known = len(self.made.settings)
        for key, before, after in (
            ("dmarcPolicy", ours.p, kept.policy.p),
            ("dmarcSubdomainPolicy", ours.sp, kept.policy.sp),
            ("dmarcDkimAlignment", ours.adkim, kept.policy.adkim),
            ("dmarcSpfAlignment", ours.aspf, kept.policy.aspf),
            ("dmarcAggregateReports", list(ours.rua), list(kept.policy.rua)),
            ("dmarcFailureReports", list(ours.ruf), list(kept.policy.ruf)),
            ("dmarcFailureOptions", ours.fo, kept.policy.fo),
        ):
            self._set(key, before, after)
        if len(self.made.settings) > known:
            self.made.notes += kept.notes

    def _wildcards(self) -> None:
        """What answers for the domain by a wildcard today loses that: its MX only with the consent that any MX needs."""
        self.made.notes += [f"{warning}." for warning in wildcard_warnings(self.zone, self.needs)]
        for record in wildcard_mx(self.zone, self.needs):
            if self.replace:
                self.made.copies.append(
                    {
                        "name": self.needs.domain,
                        "type": "MX",
                        "content": record.content,
                        "priority": record.priority or 0,
                        "ttl": record.ttl,
                    }
                )
            else:
                self.made.notes.append(
                    f"{record.brief()} takes the mail of {self.needs.domain} today and loses it to ours; agree to that with: "
                    f"{remedies.adopt(self.stack, '--replace-mx')} (the same MX is first written for the domain alone, "
                    "and given up last)."
                )

    def _leave_mail_where_it_goes(self) -> None:
        """Ours is never the better MX beside one that the `up` deletes last: if it fails before, mail goes where it went.

        A preference that stays: alone at its name every preference is as good as another.
        """
        superseded = [record for name, record in self.foreign if name.startswith(SUPERSEDED) and record.type == "MX"]
        hosts = list(dict.fromkeys(canonical(host) for host in self.settings.mailjet_mx_hosts))
        standing = {
            hosts.index(record.text): record
            for record in self.zone
            if place_of(record, self.needs) is Place.MX and record.text in hosts
        }
        if not superseded or any(record.comment == self.comment for record in standing.values()):
            return
        wanted = max((record.priority or 0) for record in superseded) + MX_STEP
        if standing:
            # One like ours is there already, and mail may go to it: it stays as good as it is.
            wanted = max(0, *((record.priority or 0) - MX_STEP * position for position, record in standing.items()))
        elif wanted <= self.settings.mx_preference:
            return
        self._set("mxPreference", self.settings.mx_preference, min(wanted, WORST_PREFERENCE))

    def _write_adopted(self) -> None:
        """The program must know what was foreign: it is no conflict any more, and SPF and DMARC outlive a destroy."""
        unprotected = {held.name for held in self.made.releases}
        unprotected |= {item.name for item in self.made.imports if item.superseded and not item.protect}
        known = {record.id for record in self.zone}
        wanted = {entry.id: entry for entry in self.settings.adopted_records if entry.id in known}
        for name, record in self.foreign:
            held = self.state.by_id(record.id)
            protected = name not in unprotected and (held is None or held.protected)
            wanted[record.id] = AdoptedRecord(name=name, id=record.id, protected=protected)
        before = [_entry(entry) for entry in self.settings.adopted_records]
        after = [_entry(entry) for entry in sorted(wanted.values(), key=lambda entry: entry.name)]
        if sorted(before, key=str) != sorted(after, key=str):
            self.made.settings["adoptedRecords"] = after or None
        # Also where a killed run has lifted the protection and not come to write the consent down.
        if unprotected or (self.replace and any(map(_is_superseded, after))):
            self._set("replaceForeignMx", self.settings.replace_foreign_mx, True)
        elif self.settings.replace_foreign_mx and len(after) < len(before) and not any(map(_is_superseded, after)):
            self.made.settings["replaceForeignMx"] = None
            self.made.notes.append("The superseded records are gone, and with them the consent to delete them.")

    def _set(self, key: str, before: object, after: object) -> None:
        if before != after:
            self.made.settings[key] = after


def _entry(entry: AdoptedRecord) -> dict[str, Any]:
    """As it stands in the configuration; only a superseded record's protection matters to the program."""
    fields: dict[str, Any] = {"name": entry.name, "id": entry.id}
    if entry.is_superseded and not entry.protected:
        fields["protected"] = False
    return fields


def _is_superseded(entry: Mapping[str, Any]) -> bool:
    return str(entry["name"]).startswith(SUPERSEDED)


def _unfit(record: SurveyedRecord, place: Place) -> str | None:
    """Why a record in this place cannot become ours; None where it can."""
    if record.locked_by:
        remedy = (
            EMAIL_ROUTING_REMEDY
            if record.locked_by == "Email Routing"
            else "give up the service that made it in Cloudflare's dashboard, or choose another domain"
        )
        return (
            f"{record.brief()} is locked by {record.locked_by} (read_only in its meta), so that nobody can change or delete it; "
            f"expected a record of your own; {remedy}"
        )
    if place is Place.DELEGATION:
        return (
            f"{record.brief()} delegates the name to other name servers, which are asked instead of this zone, so that no record of "
            "ours there would be seen; expected no delegation at or above the places of ours; delete it in Cloudflare's dashboard if "
            "nothing is served there any more, choose another domain (or tunnelHostname), or set agentmail:dns to none and "
            "publish the output expectedRecords where it leads"
        )
    if place is Place.ALIAS:
        return (
            f"{record.brief()} is an alias where this program's own records must stand; expected no CNAME there, or one that is "
            "proxied or flattened, beside which they may; turn its proxy (for a website) or CNAME flattening on in Cloudflare's "
            "dashboard, or copy what its target publishes into the configuration (dmarcPolicy, spfMechanisms) and delete it, or "
            "choose another domain"
        )
    if place is Place.TUNNEL_HOST and record.type != "CNAME":
        return (
            f"{record.brief()} serves the tunnel's host today, and Cloudflare takes no CNAME beside it; expected a free host; "
            "delete it in Cloudflare's dashboard when the host may go down for a moment, or choose another tunnelHostname"
        )
    if place in {Place.DKIM, Place.OWNERSHIP} and record.type != "TXT":
        return (
            f"{record.brief()} stands where Mailjet looks for a TXT record; expected none of another type; "
            "delete it in Cloudflare's dashboard once nobody needs it"
        )
    return None


def import_file(
    imports: Sequence[Import], state: StackState, *, zone_id: str, account_id: str, version: str
) -> dict[str, Any]:
    """The file for `pulumi import --file`; components that the state does not have yet are made on the way."""
    name_table = {}
    resources: list[dict[str, Any]] = []
    for parent, type_ in ((DOMAIN, "azt3knet:mail:MailDomain"), (TUNNEL, "azt3knet:mail:ApiTunnel")):
        if not any(item.parent == parent for item in imports):
            continue
        if parent in state.components:
            name_table[parent] = state.components[parent]
        else:
            resources.append({"type": type_, "name": parent, "component": True})
    for item in imports:
        if item.record is None:
            type_, owner = TUNNEL_TYPE, account_id
        else:
            type_, owner = RECORD_TYPE, zone_id
        entry = {"type": type_, "name": item.name, "id": f"{owner}/{item.id}", "version": version}
        resources.append(entry | ({"parent": item.parent} if item.parent else {}))
    return {"nameTable": name_table, "resources": resources}


def pending(state: StackState, settings: Settings) -> list[HeldRecord]:
    """Records that were imported and that no `up` has made ours yet."""
    adopted = {entry.id for entry in settings.adopted_records}
    return [
        held
        for held in state.records
        if held.comment != settings.record_comment and (held.protected or held.id in adopted)
    ]


def settings_without(settings: Settings, given_back: Collection[str]) -> dict[str, Any]:
    """What leaves the configuration when these ids are their owner's again; with them goes the consent to delete.

    Kept SPF mechanisms and policies stay: they do no harm.
    """
    left = [_entry(entry) for entry in settings.adopted_records if entry.id not in given_back]
    changes: dict[str, Any] = {}
    if len(left) != len(settings.adopted_records):
        changes["adoptedRecords"] = left or None
    if settings.replace_foreign_mx:
        changes["replaceForeignMx"] = None
    return changes
