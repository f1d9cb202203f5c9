"""`./mail adopt` as a person runs it, and a zone as its owner has it."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Mapping
from typing import Any

from tests.e2e.stack import Emulators, Finished, Stack, mail
from tests.unit.commands.adopt.zones import random_zone
from zone.survey import Place, SurveyedRecord, ZoneNeeds, place_of

Fields = dict[str, Any]


def adopt(stack: Stack, *options: object, check: bool = True, stdin: str | None = None) -> Finished:
    """Run the command on the stack's project folder."""
    words = [str(option) for option in options]
    return mail("adopt", stack.name, "-C", stack.folder, *words, env=stack.environment, check=check, stdin=stdin)


def put_there(emulators: Emulators, *bodies: Mapping[str, Any]) -> list[str]:
    """Records of somebody else; the ids of those that Cloudflare took."""
    made = []
    for body in bodies:
        answer = emulators.cloudflare(
            "POST", "/dns_records", json={key: body[key] for key in body if body[key] is not None}
        )
        if answer.ok:
            made.append(answer.json()["result"]["id"])
    return made


def put_random_zone_there(emulators: Emulators, seed: int, domain: str) -> None:
    """The zone of a seed of the property test, beside what the emulator starts with."""
    put_there(emulators, *random_zone(random.Random(seed), domain))


def snapshot(emulators: Emulators) -> dict[str, Fields]:
    """Every record of the zone by its id, to the last field."""
    return {record["id"]: record for record in emulators.records()}


def values(records: Iterable[Fields]) -> list[str]:
    """What the records say, whatever their ids and dates."""
    kept = ("name", "type", "content", "priority", "ttl", "proxied", "comment")
    return sorted(json.dumps({key: record.get(key) for key in kept}) for record in records)


def place(record: Fields, domain: str, host: str = "api-dev.agents.example") -> Place | None:
    """Where the record stands, as far as the stack cares."""
    return place_of(SurveyedRecord.parse(record), ZoneNeeds(domain=domain, tunnel_hostname=host))


def shown_ids(preview: Finished) -> set[str]:
    """Ids of existing objects that a `preview --json` updates, replaces or deletes."""
    steps = json.loads(preview.out)["steps"]
    return {
        step["oldState"]["id"]
        for step in steps
        if step["op"] not in {"same", "create"} and "id" in step.get("oldState", {})
    }


def assert_only_shown_changed(
    before: dict[str, Fields], after: dict[str, Fields], shown: set[str], domain: str
) -> None:
    """Nothing unrelated has changed, and nothing related that stood in no preview."""
    for record_id, record in before.items():
        if after.get(record_id) != record:
            assert place(record, domain), f"unrelated: {record}"
            assert record_id in shown, f"never shown: {record}"
