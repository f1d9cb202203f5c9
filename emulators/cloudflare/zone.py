"""A zone's contents: records by id and by name, its empty non-terminals, and what may not stand beside what."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from emulators.cloudflare.errors import (
    AddressOrAliasExistsError,
    AliasExistsError,
    ApiProblem,
    BelowDelegationError,
    DelegationExistsError,
    RecordExistsError,
    RecordQuotaError,
    RequestRefusedError,
)
from emulators.cloudflare.records import ADDRESSES, MAX_NAME_CONTENT, RecordType, StoredRecord, ZonePlan
from emulators.cloudflare.txt import strings_of

RECORD_QUOTA = 3_500
"""Of a paid plan; a free zone has 1,000, or 200 if it was made since September 2024 (`record_quota` lowers it)."""


@dataclass(frozen=True, kw_only=True)
class ZoneFacts:
    """What a zone is apart from its records."""

    id: str
    name: str
    plan: ZonePlan
    created_on: str
    status: str = "active"
    """`pending` until the registrar names the zone's name servers."""
    record_quota: int = RECORD_QUOTA
    name_servers: tuple[str, str] = ("ada.ns.cloudflare.com", "bob.ns.cloudflare.com")


class EmulatedZone:
    """Not safe for several threads; the emulator's lock guards it."""

    def __init__(self, facts: ZoneFacts, *, serial: int) -> None:
        self.facts = facts
        self.serial = serial
        self.modified_on = facts.created_on
        self._records: dict[str, StoredRecord] = {}
        self._at: dict[str, dict[str, StoredRecord]] = {}
        # How many stored names lie below a name: an empty non-terminal exists (RFC 4592 2.2.2).
        self._below: Counter[str] = Counter()
        self._ordered: list[StoredRecord] | None = None

    @property
    def name(self) -> str:
        return self.facts.name

    def __len__(self) -> int:
        return len(self._records)

    def get(self, record_id: str) -> StoredRecord | None:
        return self._records.get(record_id)

    def at(self, name: str) -> list[StoredRecord]:
        """The records of exactly this name, in the order of their creation."""
        return list(self._at.get(name, {}).values())

    def exists(self, name: str) -> bool:
        """Whether the name exists in the sense of RFC 4592: it has records or something below it has."""
        return name == self.name or name in self._at or self._below[name] > 0

    def in_order(self) -> list[StoredRecord]:
        """All records by type, name and content: the listing's default order."""
        if self._ordered is None:
            self._ordered = sorted(
                self._records.values(), key=lambda one: (one.type.value, one.name, one.content, one.id)
            )
        return self._ordered

    def _ancestors(self, name: str) -> Iterator[str]:
        while name != self.name:
            _, _, name = name.partition(".")
            yield name

    def put(self, record: StoredRecord) -> None:
        self.drop(record.id)
        self._records[record.id] = record
        here = self._at.setdefault(record.name, {})
        if not here:
            self._below.update(self._ancestors(record.name))
        here[record.id] = record
        self._ordered = None

    def drop(self, record_id: str) -> None:
        record = self._records.pop(record_id, None)
        if record is None:
            return
        here = self._at[record.name]
        del here[record_id]
        if not here:
            del self._at[record.name]
            self._below.subtract(self._ancestors(record.name))
        self._ordered = None

    def _is_hidden(self, record: StoredRecord) -> bool:
        """Whether other name servers answer at the name; glue and the delegation's own records stay (RFC 1034, 4.2.1)."""
        if record.name == self.name:
            return False
        here = [record.name] if record.type not in {RecordType.NS, RecordType.DS} else []
        above = list(self._ancestors(record.name))[:-1] if record.type not in ADDRESSES else []
        return any(one.type is RecordType.NS for name in [*here, *above] for one in self.at(name) if name != self.name)

    def check_beside(self, record: StoredRecord) -> None:
        """Raise where `record` cannot stand in this zone beside the records that have another id."""
        others = [other for other in self.at(record.name) if other.id != record.id]
        if any(other.type is record.type and other.rdata == record.rdata for other in others):
            raise RecordExistsError
        if record.id not in self._records and len(self._records) >= self.facts.record_quota:
            raise RecordQuotaError
        types = {other.type for other in others}
        at_apex = record.name == self.name
        if record.type is RecordType.CNAME and types & (ADDRESSES | {RecordType.CNAME}):
            raise AddressOrAliasExistsError
        if record.type in ADDRESSES and RecordType.CNAME in types:
            raise AliasExistsError
        if not at_apex and RecordType.NS in types and record.type in ADDRESSES | {RecordType.CNAME}:
            raise DelegationExistsError
        if not at_apex and record.type is RecordType.NS and types & (ADDRESSES | {RecordType.CNAME}):
            raise AddressOrAliasExistsError
        if self._is_hidden(record):
            raise BelowDelegationError
        if record.type is RecordType.TXT:
            texts = [record, *(other for other in others if other.type is RecordType.TXT)]
            if sum(len(string) for one in texts for string in strings_of(one.content)) > MAX_NAME_CONTENT:
                raise RequestRefusedError(
                    ApiProblem(
                        code=83011,
                        message="Combined content length of records with this name and type exceeds the"
                        f" allowed {MAX_NAME_CONTENT} characters.",
                    )
                )
