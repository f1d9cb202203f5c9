"""What the emulated account holds at the start and after a reset."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from emulators.cloudflare.records import StoredRecord, ZonePlan, parse, stamped
from emulators.cloudflare.zone import RECORD_QUOTA, EmulatedZone, ZoneFacts

ACCOUNT_ID = "00112233445566778899aabbccddeeff"
ZONE_ID = "0f1e2d3c4b5a69788796a5b4c3d2e1f0"
ZONE_NAME = "agents.example"
# Everything seeded is of the same moment, so that two resets give the same state.
SEEDED_ON = "2026-01-01T00:00:00.000000Z"
FIRST_SERIAL = 2_390_000_000


@dataclass(frozen=True, kw_only=True)
class SeedZone:
    """A zone and the bodies that would POST its records. Without an id the zone gets one from its name."""

    name: str
    id: str | None = None
    plan: ZonePlan = ZonePlan.FREE
    records: Sequence[Mapping[str, object]] = field(default=())

    @property
    def zone_id(self) -> str:
        return self.id or _identifier(self.name)

    def records_at_start(self) -> Iterator[StoredRecord]:
        for position, body in enumerate(self.records):
            record = parse(body, zone=self.name, plan=self.plan)
            record_id = _identifier(f"{self.name}/{position}")
            yield stamped(record, None, record_id=record_id, now=SEEDED_ON)

    def zone(self) -> EmulatedZone:
        facts = ZoneFacts(
            id=self.zone_id,
            name=self.name,
            plan=self.plan,
            created_on=SEEDED_ON,
            # A zone that begins with more than the usual has been granted more.
            record_quota=max(RECORD_QUOTA, 2 * len(self.records)),
        )
        zone = EmulatedZone(facts, serial=FIRST_SERIAL)
        for record in self.records_at_start():
            zone.check_beside(record)
            zone.put(record)
        return zone


def _identifier(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]


# A domain in use: a web site, the company's mail and a verification text, none of which is ours to touch.
DEFAULT_ZONES: tuple[SeedZone, ...] = (
    SeedZone(
        id=ZONE_ID,
        name=ZONE_NAME,
        records=(
            {"type": "A", "name": "@", "content": "192.0.2.10", "ttl": 3600},
            {"type": "CNAME", "name": "www", "content": ZONE_NAME, "ttl": 3600},
            {"type": "MX", "name": "@", "content": "mx1.corp.example", "priority": 10, "ttl": 3600},
            {
                "type": "TXT",
                "name": "@",
                "content": '"v=spf1 include:_spf.corp.example -all"',
                "ttl": 3600,
            },
            {
                "type": "TXT",
                "name": "@",
                "content": '"google-site-verification=Jq3Kd0Zb7v2mWn8sYtR5cX1aLpE6uHfG9oVi4NxTzQk"',
                "ttl": 3600,
            },
            {
                "type": "TXT",
                "name": "_dmarc",
                "content": f'"v=DMARC1; p=reject; rua=mailto:postmaster@{ZONE_NAME}"',
                "ttl": 3600,
            },
        ),
    ),
)
