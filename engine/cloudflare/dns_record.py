"""DnsRecord: one record of a zone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from engine.cloudflare import bridge_state, fields
from engine.cloudflare.errors import OperationError, ProxiedTtlError
from engine.cloudflare.fields import Change, Failure, Field, Kind, Role, Table
from engine.cloudflare.properties import UNKNOWN, Properties
from engine.cloudflare.resource import PlannedState, Resource, path

RECORD_TYPES = (
    *("A", "AAAA", "CNAME", "MX", "NS", "OPENPGPKEY", "PTR", "TXT", "CAA", "CERT", "DNSKEY", "DS", "HTTPS", "LOC"),
    *("NAPTR", "SMIMEA", "SRV", "SSHFP", "SVCB", "TLSA", "URI"),
)
_HIGHEST_PRIORITY = 65535  # RFC 5321, section 5.1: a 16-bit preference
_AUTOMATIC_TTL = 1


def _numbers(*names: str) -> tuple[Field, ...]:
    return tuple(Field(name=name, kind=Kind.NUMBER) for name in names)


def _strings(*names: str) -> tuple[Field, ...]:
    return tuple(Field(name=name, kind=Kind.STRING) for name in names)


DATA: Table = (
    Field(name="flags", kind=Kind.SCALAR),
    *_numbers("algorithm", "altitude", "digestType", "keyTag", "latDegrees", "latMinutes", "latSeconds"),
    *_numbers("longDegrees", "longMinutes", "longSeconds", "matchingType", "order", "port", "precisionHorz"),
    *_numbers("precisionVert", "preference", "priority", "protocol", "selector", "size", "type", "usage", "weight"),
    *_strings("certificate", "digest", "fingerprint", "latDirection", "longDirection", "publicKey", "regex"),
    *_strings("replacement", "service", "tag", "target", "value"),
)
_CNAME_SETTINGS = ("flattenCname", "ipv4Only", "ipv6Only")
SETTINGS: Table = tuple(Field(name=name, kind=Kind.BOOLEAN) for name in _CNAME_SETTINGS)


class DnsRecord(Resource):
    """The name stays as the program wrote it until a refresh brings the API's full name; both then mean the same."""

    tokens: ClassVar = ("cloudflare:index/dnsRecord:DnsRecord", "cloudflare:index/record:Record")
    import_form: ClassVar = "<zone_id>/<dns_record_id>"
    table: ClassVar[Table] = (
        Field(name="zoneId", kind=Kind.STRING, role=Role.REQUIRED, in_path=True, replaces=True),
        Field(name="name", kind=Kind.STRING, role=Role.REQUIRED),
        Field(name="type", kind=Kind.STRING, role=Role.REQUIRED, replaces=True),
        Field(name="ttl", kind=Kind.NUMBER, role=Role.REQUIRED),
        Field(name="comment", kind=Kind.STRING),
        Field(name="content", kind=Kind.STRING, role=Role.COMPUTED_OPTIONAL),
        Field(name="data", kind=Kind.OBJECT, of=tuple(DATA)),
        Field(name="priority", kind=Kind.NUMBER),
        Field(name="privateRouting", kind=Kind.BOOLEAN, role=Role.COMPUTED_OPTIONAL),
        Field(name="proxied", kind=Kind.BOOLEAN, role=Role.COMPUTED_OPTIONAL),
        Field(name="settings", kind=Kind.OBJECT, role=Role.COMPUTED_OPTIONAL, of=tuple(SETTINGS)),
        Field(name="tags", kind=Kind.LIST, role=Role.COMPUTED_OPTIONAL, is_set=True),
        Field(name="commentModifiedOn", kind=Kind.STRING, role=Role.COMPUTED),
        Field(name="createdOn", kind=Kind.STRING, role=Role.COMPUTED),
        Field(name="meta", kind=Kind.JSON, role=Role.COMPUTED),
        Field(name="modifiedOn", kind=Kind.STRING, role=Role.COMPUTED),
        Field(name="proxiable", kind=Kind.BOOLEAN, role=Role.COMPUTED),
        Field(name="tagsModifiedOn", kind=Kind.STRING, role=Role.COMPUTED),
    )

    def collection(self, properties: Mapping[str, Any]) -> str:
        return path("zones", properties["zoneId"], "dns_records")

    def item(self, object_id: str, properties: Mapping[str, Any]) -> str:
        return self.collection(properties) + path(object_id)

    def located(self, parent: str, object_id: str) -> Properties:
        del object_id
        return {"zoneId": parent}

    def check(self, inputs: Properties) -> Iterator[Failure]:
        yield from super().check(inputs)
        record_type, priority = inputs.get("type"), inputs.get("priority")
        if isinstance(record_type, str) and record_type.upper() not in RECORD_TYPES:
            yield Failure(
                "type",
                f"Invalid Attribute Value Match. Attribute type value must be one of: {', '.join(RECORD_TYPES)}, "
                f"got: {record_type!r}.",
            )
        if _is_known(inputs.get("content")) and _is_known(inputs.get("data")):
            yield Failure(
                "content",
                'Invalid Attribute Combination. Attribute "data" cannot be specified when "content" is specified: '
                "give the record's value in one of them.",
            )
        if isinstance(priority, int | float) and not 0 <= priority <= _HIGHEST_PRIORITY:
            yield Failure(
                "priority",
                f"Invalid Attribute Value. Attribute priority value must be between 0 and {_HIGHEST_PRIORITY}, "
                f"got: {priority}.",
            )

    def _refusal(self, properties: Properties) -> OperationError | None:
        """Cloudflare decides the time to live of a proxied record. An update is not checked."""
        ttl = properties.get("ttl")
        if properties.get("proxied") is True and ttl not in (_AUTOMATIC_TTL, UNKNOWN):
            return ProxiedTtlError(properties.get("name"), ttl)
        return None

    def _planned_inputs(self, state: Properties | None, inputs: Properties) -> Properties:
        planned = super()._planned_inputs(state, inputs)
        planned["proxied"] = inputs.get("proxied", False)
        planned["tags"] = planned_tags(None if state is None else state.get("tags"), inputs.get("tags"), state is None)
        if state is not None:
            planned["name"] = planned_name(planned["name"], state.get("name"), bridge_state.zone_name(state))
            planned["content"] = planned_content(planned["type"], planned["content"], state.get("content"))
        planned["settings"] = _planned_settings(planned, inputs.get("settings"), state)
        return planned

    def _compare(self, state: Properties, planned: Properties) -> dict[str, Change]:
        changes = super()._compare(state, planned)
        flags = [properties.get("data", {}).get("flags") for properties in (state, planned) if _has_data(properties)]
        if len(flags) == 2 and None not in flags and str(flags[0]) == str(flags[1]):
            changes.pop("data.flags", None)
        return changes

    def _planned_outputs(
        self, state: Properties | None, inputs: Properties, planned: Properties, *, changed: bool
    ) -> Properties:
        computed = super()._planned_outputs(state, inputs, planned, changed=changed)
        if not planned.get("comment"):
            computed["commentModifiedOn"] = None
        if not planned.get("tags"):
            computed["tagsModifiedOn"] = None
        if state is None:
            return computed
        stable = ["createdOn", "meta", "proxiable"]
        if planned.get("comment") == state.get("comment"):
            stable.append("commentModifiedOn")
        if fields.same(state.get("tags"), planned.get("tags")):
            stable.append("tagsModifiedOn")
        return computed | {name: state.get(name) for name in stable if computed[name] is UNKNOWN}

    def _update_body(self, plan: PlannedState, state: Properties) -> Properties:
        properties = plan.properties
        if _has_data(properties):
            # Cloudflare computes `content` from `data`; the old text must not go out with new data.
            properties = properties | {"content": UNKNOWN}
        return fields.body(self.table, properties, state)

    def _settled(self, plan: PlannedState, result: Any, state: Properties) -> Properties:
        if _has_data(plan.properties):
            plan = PlannedState(plan.properties | {"content": UNKNOWN}, plan.changes)
        return _with_cname_settings(super()._settled(plan, result, state))

    def _refreshed(self, state: Properties, result: Any) -> Properties:
        refreshed = _with_cname_settings(super()._refreshed(state, result))
        learned = result.get("zone_name") if isinstance(result, dict) else None
        refreshed[bridge_state.META] = bridge_state.meta(state, learned if isinstance(learned, str) else None)
        return refreshed


def planned_name(wanted: Any, known: Any, zone_name: str | None) -> Any:
    """The name that the record will have: the known one where `wanted` is only another way to write it.

    `@` is the zone's own name, taken to be any known name with a dot. A short form is the known full name without
    the zone's; while the zone's name is not known, any leading part of the known name passes for it.
    """
    if not isinstance(wanted, str) or not isinstance(known, str):
        return wanted
    if wanted == "@" and "." in known:
        return known
    short, full = wanted.removesuffix("."), known.removesuffix(".")
    if full.startswith(f"{short}.") and full[len(short) + 1 :] == (zone_name or full[len(short) + 1 :]):
        return known
    return wanted


def planned_content(record_type: Any, wanted: Any, known: Any) -> Any:
    """The content that the record will have: host names differ only if they differ in more than case (RFC 4343).

    Only CNAME is compared so; every other type, TXT with its quotes above all, is compared byte for byte.
    """
    is_cname = isinstance(record_type, str) and record_type.upper() == "CNAME"
    if is_cname and isinstance(wanted, str) and isinstance(known, str) and wanted.lower() == known.lower():
        return known
    return wanted


def planned_tags(known: Any, wanted: Any, is_new: bool) -> Any:
    """The tags as a sorted list; unknown where the program gives none but the record has some, or may get some."""
    if wanted is UNKNOWN or (is_new and wanted is None):
        return UNKNOWN
    if not wanted:
        if not known and not is_new:
            return known
        return UNKNOWN if wanted is None else []
    return wanted if UNKNOWN in wanted else sorted(wanted)


def _planned_settings(planned: Properties, wanted: Any, state: Properties | None) -> Any:
    if wanted is UNKNOWN:
        return UNKNOWN
    given = {name: value for name, value in (wanted or {}).items() if value is not None}
    known = None if state is None else state.get("settings")
    if not given and state is None:
        return UNKNOWN
    settings = {**(known or {}), **given} if given else known
    return _cname_settings(settings) if _is_cname(planned) else settings


def _cname_settings(settings: Any) -> Properties:
    return dict.fromkeys(_CNAME_SETTINGS, False) | (settings or {})


def _with_cname_settings(state: Properties) -> Properties:
    return state | {"settings": _cname_settings(state.get("settings"))} if _is_cname(state) else state


def _is_cname(properties: Mapping[str, Any]) -> bool:
    return str(properties.get("type")).upper() == "CNAME"


def _has_data(properties: Mapping[str, Any]) -> bool:
    return isinstance(properties.get("data"), dict)


def _is_known(value: Any) -> bool:
    return value is not None and value is not UNKNOWN
