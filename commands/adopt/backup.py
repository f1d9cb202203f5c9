"""A zone's records in a file, and the way back to them.

A restore touches only what an adoption and the `up` after it can have touched: the records in the places of the mail
domain and of the tunnel's host. All else is only compared, unless everything is asked for.
"""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

from clients.cloudflare.zone_api import writable
from commands.adopt.errors import BackupError
from zone.names import is_within
from zone.survey import Place, SurveyedRecord, ZoneNeeds, place_of

FORMAT = 1

Fields = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Backup:
    """All records of a zone at one moment, each as Cloudflare showed it."""

    zone_id: str
    zone_name: str
    stack: str
    taken_at: str
    records: tuple[Fields, ...]


def write_backup(folder: Path, backup: Backup, *, now: datetime) -> Path:
    """A new file `STACK-TIME.json` in the folder, on the disk before this returns."""
    if not folder.exists():
        folder.mkdir(parents=True)
        # What stands in somebody's zone is nobody else's business.
        (folder / ".gitignore").write_text("*\n", encoding="utf-8")
    document = {
        "format": FORMAT,
        "zoneId": backup.zone_id,
        "zoneName": backup.zone_name,
        "stack": backup.stack,
        "takenAt": backup.taken_at,
        "records": list(backup.records),
    }
    stem = f"{backup.stack.replace('/', '-')}-{now:%Y%m%dT%H%M%S}Z"
    with NamedTemporaryFile("w", encoding="utf-8", dir=folder, prefix=".unfinished-") as file:
        json.dump(document, file, indent=2, sort_keys=True)
        file.write("\n")
        file.flush()
        os.fsync(file.fileno())
        number = 1
        while True:
            path = folder / (f"{stem}.json" if number == 1 else f"{stem}-{number}.json")
            try:
                os.link(file.name, path)  # whole or not at all, and never over another
            except FileExistsError:
                number += 1
                continue
            break
    return path


def read_backup(path: Path, *, zone_id: str) -> Backup:
    """The backup in a file. Raises BackupError: not one of ours, or one of another zone."""
    expected = "a file that an adoption wrote"
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise BackupError(path, "does not exist", expected) from None
    except (ValueError, OSError):
        raise BackupError(path, "cannot be read as JSON", expected) from None
    if (
        not isinstance(document, dict)
        or document.get("format") != FORMAT
        or not isinstance(document.get("records"), list)
    ):
        raise BackupError(path, "is no backup of a zone", expected)
    if document.get("zoneId") != zone_id:
        raise BackupError(
            path,
            f"is of the zone {document.get('zoneName')!r} ({document.get('zoneId')})",
            f"one of the zone {zone_id}",
        )
    return Backup(
        zone_id=zone_id,
        zone_name=str(document["zoneName"]),
        stack=str(document["stack"]),
        taken_at=str(document["takenAt"]),
        records=tuple(document["records"]),
    )


@dataclass(kw_only=True)
class Restoration:
    """What brings the zone back to its backup."""

    put_back: list[Fields] = field(default_factory=list)
    """Records that still exist, with other values."""
    replace: list[Fields] = field(default_factory=list)
    """The same, but a destroy would delete what has their id: they get new ones, deleted and created again."""
    create: list[Fields] = field(default_factory=list)
    """Records that are gone; they get new ids."""
    remove: list[SurveyedRecord] = field(default_factory=list)
    """Records of this stack in the places of restored ones."""
    unrelated: list[str] = field(default_factory=list)
    """Sentences on other differences, which are left alone."""

    @property
    def is_empty(self) -> bool:
        return not (self.put_back or self.replace or self.create or self.remove)


def make_restoration(
    backup: Backup,
    zone: Sequence[Fields],
    needs: ZoneNeeds,
    *,
    comment: str,
    deleted_on_destroy: Collection[str] = (),
    everything: bool = False,
) -> Restoration:
    """Compare the backup with the zone as it is.

    `deleted_on_destroy`: ids that a destroy of the stack would delete.
    `everything`: also records that this program has no business with.
    """
    made = Restoration()
    now = {str(fields["id"]): fields for fields in zone}
    values = [_value(fields) for fields in zone]
    places: set[Place] = set()
    for fields in backup.records:
        record = SurveyedRecord.parse(fields)
        place = place_of(record, needs)
        if place and record.comment != comment:
            places.add(place)
        there = now.get(record.id)
        if there is not None and _value(there) == _value(fields):
            continue
        if there is None and _value(fields) in values:
            continue
        if not place and not everything and not (there and place_of(SurveyedRecord.parse(there), needs)):
            what = "has changed" if there else "is gone"
            made.unrelated.append(f"{record.brief()} {what} since the backup, not by this program")
        elif there is not None:
            (made.replace if record.id in deleted_on_destroy and record.comment != comment else made.put_back).append(
                fields
            )
        else:
            made.create.append(fields)
    kept = {str(fields["id"]) for fields in backup.records}
    for fields in zone:
        record = SurveyedRecord.parse(fields)
        if record.id not in kept and record.comment == comment and _shares(record, places, needs):
            made.remove.append(record)
    return made


def _shares(record: SurveyedRecord, places: set[Place], needs: ZoneNeeds) -> bool:
    place = place_of(record, needs)
    if place in places:
        return True
    # A CNAME that was an alias for a name stood in the way of everything at it.
    return Place.ALIAS in places and place is not None and is_within(record.name, needs.domain)


def _value(fields: Fields) -> str:
    """All of a record that can be written, in a form that compares."""
    return json.dumps(writable(fields), sort_keys=True)
