"""What every Cloudflare resource does, and when the engine asks for it.

check    for every resource of the program, on every preview and update: are the inputs valid? No request.
plan     for every resource that passed: what would its state be, and what changes? No request.
create   when it is not in the stack yet;  update  when the plan has changes;  delete  when the program dropped it.
read     on refresh;  import_  when the engine knows only an id.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol
from urllib.parse import quote

from engine.cloudflare import bridge_state, fields
from engine.cloudflare.errors import ImportIdError, OperationError, RequestFailedError, UnreadableAnswerError
from engine.cloudflare.fields import Change, Failure, Kind, Role, Table
from engine.cloudflare.properties import UNKNOWN, Properties

NOT_FOUND = 404


class Api(Protocol):
    """The Cloudflare API: sends one request and returns the decoded answer. Raises CloudflareError."""

    def send(self, method: str, path: str, body: Properties | None = None) -> Properties: ...


@dataclass(frozen=True)
class PlannedState:
    """The state that an operation aims at, unknown where only the API can tell, and what differs from the last one."""

    properties: Properties
    changes: dict[str, Change]


class Resource(ABC):
    """One kind of object in Cloudflare's API.

    `tokens`: its type in programs, and older types that states may still have. `parents`: the path properties, in the
    order of the import id. `create_warning` and `delete_warning` are shown with a preview and a delete.
    """

    tokens: ClassVar[tuple[str, ...]]
    table: ClassVar[Table]
    import_form: ClassVar[str]
    create_method: ClassVar[str] = "POST"
    update_method: ClassVar[str] = "PUT"
    create_warning: ClassVar[str] = ""
    delete_warning: ClassVar[str] = ""

    @abstractmethod
    def collection(self, properties: Mapping[str, Any]) -> str:
        """The path that objects are created at."""

    @abstractmethod
    def item(self, object_id: str, properties: Mapping[str, Any]) -> str:
        """The path of one object."""

    @abstractmethod
    def located(self, parent: str, object_id: str) -> Properties:
        """The path properties of the object that an import id names."""

    def check(self, inputs: Properties) -> Iterator[Failure]:
        yield from fields.check(self.table, inputs)

    def plan(self, state: Properties | None, inputs: Properties) -> PlannedState:
        """`state` is None for a resource that does not exist yet."""
        planned = self._planned_inputs(state, inputs)
        changes = {} if state is None else self._compare(state, planned)
        for name, change in list(changes.items()):
            if change is Change.UPDATE and planned.get(name) is UNKNOWN and name not in inputs:
                changes[name] = Change.DELETE
        computed = self._planned_outputs(state, inputs, planned, changed=state is None or bool(changes))
        return PlannedState({**planned, **computed}, changes)

    def replacing(self, plan: PlannedState, inputs: Properties) -> list[str]:
        """The changed properties that only a new object can have."""
        changed = {fields.top_level(path) for path in plan.changes}
        return [
            field.name
            for field in self.table
            if field.replaces
            and field.name in changed
            and (field.role is not Role.COMPUTED_OPTIONAL or field.name in inputs)
        ]

    def require_creatable(self, properties: Properties) -> None:
        """Refuse, in previews too, what is known to fail when it is created. Raises CloudflareError."""
        refusal = self._refusal(properties)
        if refusal is not None:
            raise refusal

    def create(self, api: Api, plan: PlannedState) -> tuple[str, Properties]:
        self.require_creatable(plan.properties)
        where = self.collection(plan.properties)
        answer = api.send(self.create_method, where, fields.body(self.table, plan.properties, {}))
        result = answer.get("result")
        object_id = self._id_in(result, plan.properties)
        if not object_id:
            raise UnreadableAnswerError(self.create_method, where, "the answer has no `result.id`")
        return object_id, self._settled(plan, result, {})

    def update(self, api: Api, object_id: str, state: Properties, plan: PlannedState) -> Properties:
        where = self.item(object_id, plan.properties)
        answer = api.send(self.update_method, where, self._update_body(plan, state))
        return self._settled(plan, answer.get("result"), state)

    def read(self, api: Api, object_id: str, state: Properties) -> Properties | None:
        """The object's present state, or None if it is gone."""
        try:
            answer = api.send("GET", self.item(object_id, state))
        except RequestFailedError as error:
            if error.status == NOT_FOUND:
                return None
            raise
        return self._refreshed(state, answer.get("result"))

    def import_(self, api: Api, import_id: str) -> tuple[str, Properties] | None:
        """The object that `import_id` names, or None if it goes while it is looked at.

        Asks twice, as the official plugin does; the first 404 is an error.
        """
        parts = import_id.split("/")
        if len(parts) != len(self.import_form.split("/")) or not all(parts):
            raise ImportIdError(import_id, self.import_form)
        parent, object_id = parts
        located = self.located(parent, object_id)
        answer = api.send("GET", self.item(object_id, located))
        state = self.read(api, object_id, self._refreshed(located, answer.get("result")))
        return None if state is None else (object_id, state)

    def delete(self, api: Api, object_id: str, state: Properties) -> None:
        api.send("DELETE", self.item(object_id, state))

    # What single resources do otherwise

    def _refusal(self, properties: Properties) -> OperationError | None:
        """Why an object with these properties cannot be created."""
        del properties
        return None

    def _planned_inputs(self, state: Properties | None, inputs: Properties) -> Properties:
        """The wanted properties; where the program leaves one to the API, the known value or unknown."""
        planned: Properties = {}
        for field in fields.inputs_of(self.table):
            value = inputs.get(field.name)
            if value is None and field.role is Role.COMPUTED_OPTIONAL:
                value = UNKNOWN if state is None else state.get(field.name)
            planned[field.name] = value
        return planned

    def _compare(self, state: Properties, planned: Properties) -> dict[str, Change]:
        return fields.compare(self.table, state, planned)

    def _planned_outputs(
        self, state: Properties | None, inputs: Properties, planned: Properties, *, changed: bool
    ) -> Properties:
        """The computed properties; unknown after any change."""
        del inputs, planned
        return {
            field.name: UNKNOWN if state is None or changed else state.get(field.name)
            for field in self.table
            if field.role is Role.COMPUTED
        }

    def _update_body(self, plan: PlannedState, state: Properties) -> Properties:
        return fields.body(self.table, plan.properties, state)

    def _id_in(self, result: Any, properties: Properties) -> str | None:
        del properties
        object_id = result.get("id") if isinstance(result, dict) else None
        return object_id if isinstance(object_id, str) else None

    def _settled(self, plan: PlannedState, result: Any, state: Properties) -> Properties:
        """The state after a create or update: the plan, completed by what only the API knows."""
        found = fields.read(self.table, result)
        settled: Properties = {}
        for field in self.table:
            planned = plan.properties.get(field.name)
            asked = field.role is Role.COMPUTED or planned is UNKNOWN
            if asked or (planned is None and field.role is Role.COMPUTED_OPTIONAL):
                settled[field.name] = found.get(field.name)
            else:
                settled[field.name] = planned
        settled[bridge_state.META] = bridge_state.meta(state)
        return settled

    def _refreshed(self, state: Properties, result: Any) -> Properties:
        """The state as the API tells it; path properties are as they were."""
        refreshed = fields.read(self.table, result)
        for field in self.table:
            if field.in_path:
                refreshed[field.name] = state.get(field.name)
        refreshed[bridge_state.META] = bridge_state.meta(state)
        return refreshed

    def refreshed_inputs(self, inputs: Properties, state: Properties) -> Properties:
        """What `inputs` are after a refresh: the same properties with the values found."""
        return {name: _like_input(value, state[name]) for name, value in inputs.items() if state.get(name) is not None}

    def imported_inputs(self, state: Properties) -> Properties:
        """The inputs of a program that declares what was imported: everything set that is not empty."""
        return {
            field.name: state[field.name]
            for field in fields.inputs_of(self.table)
            if state.get(field.name) not in (None, [], {}, "") and not _is_default(field, state[field.name])
        }


def path(*segments: object) -> str:
    return "".join(f"/{quote(str(segment), safe='')}" for segment in segments)


def _like_input(given: Any, found: Any) -> Any:
    """Of an object, only the members that were given; of a list, every item."""
    if isinstance(given, dict) and isinstance(found, dict):
        return {name: _like_input(value, found[name]) for name, value in given.items() if found.get(name) is not None}
    if isinstance(given, list) and isinstance(found, list):
        pairs = [_like_input(value, item) for value, item in zip(given, found, strict=False)]
        return pairs + found[len(given) :]
    return found


def _is_default(field: fields.Field, value: Any) -> bool:
    if field.role is not Role.COMPUTED_OPTIONAL:
        return False
    return value is False or (field.kind is Kind.OBJECT and not any(value.values()))
