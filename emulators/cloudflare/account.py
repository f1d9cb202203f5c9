"""The emulated account: its zones, tunnels and tokens, in memory and on disk.

Memory is what everything reads; every change is committed to SQLite before it is answered, so that a killed process
loses nothing. One lock guards both, for the REST loop and the DNS thread share them.
"""

from __future__ import annotations

import base64
import json
import secrets
import sqlite3
import threading
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from emulators.cloudflare import tunnels
from emulators.cloudflare.errors import (
    AuthenticationError,
    MalformedBodyError,
    RecordLockedError,
    RecordNotFoundError,
    RequestRefusedError,
    TokenNotFoundError,
    TunnelHasConnectionsError,
    TunnelInvalidError,
    TunnelNameTakenError,
    TunnelNotFoundError,
    ZoneExistsError,
    ZoneNameInvalidError,
)
from emulators.cloudflare.names import NameInvalidError, canonical_host, within
from emulators.cloudflare.records import StoredRecord, ZonePlan, amended, parse, stamped
from emulators.cloudflare.seed import FIRST_SERIAL, SEEDED_ON, SeedZone
from emulators.cloudflare.tokens import EVERYTHING, Permission, Token, digest
from emulators.cloudflare.tunnels import Connection, StoredTunnel
from emulators.cloudflare.zone import RECORD_QUOTA, EmulatedZone, ZoneFacts

_SCHEMA = """
CREATE TABLE IF NOT EXISTS zone (id TEXT PRIMARY KEY, body TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS record (id TEXT PRIMARY KEY, zone_id TEXT NOT NULL, body TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS tunnel (id TEXT PRIMARY KEY, body TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS token (id TEXT PRIMARY KEY, body TEXT NOT NULL);
"""
_VERSION = 1


class WrongDatabaseError(Exception):
    """The file is not this emulator's, or of another version."""

    def __init__(self, found: int) -> None:
        super().__init__(
            f"the emulated Cloudflare's database has schema version {found}, expected {_VERSION}:"
            " remove the state directory or use the version that wrote it"
        )


def system_clock() -> datetime:
    return datetime.now(UTC)


class Account:
    """State of the emulated account. Public methods are atomic and may be called from any thread."""

    def __init__(
        self,
        database: sqlite3.Connection | str | Path,
        *,
        account_id: str,
        token: str,
        zones: Sequence[SeedZone],
        clock: Callable[[], datetime] = system_clock,
    ) -> None:
        self.id = account_id
        self.lock = threading.RLock()
        self._clock = clock
        self._seed = tuple(zones)
        self._owner = Token(
            id=digest(token)[:32],
            name="owner",
            digest=digest(token),
            permissions=EVERYTHING,
            issued_on=SEEDED_ON,
        )
        self._zones: dict[str, EmulatedZone] = {}
        self._tunnels: dict[str, StoredTunnel] = {}
        self._tokens: dict[str, Token] = {}
        self._database = _opened(database)
        with self.lock:
            if not self._load():
                self._plant()

    def close(self) -> None:
        with self.lock:
            self._database.close()

    def now(self) -> str:
        """The current time in the API's form: microseconds and Z."""
        return self._clock().astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")

    # --- start and reset ---

    def _load(self) -> bool:
        zones = [json.loads(body) for (body,) in self._database.execute("SELECT body FROM zone ORDER BY rowid")]
        seeded = self._database.execute("PRAGMA user_version").fetchone()[0]
        for stored in zones:
            zone = EmulatedZone(_facts(stored), serial=stored["serial"])
            zone.modified_on = stored["modified_on"]
            self._zones[zone.facts.id] = zone
        for zone_id, body in self._database.execute("SELECT zone_id, body FROM record ORDER BY rowid"):
            self._zones[zone_id].put(StoredRecord.from_json(json.loads(body)))
        for (body,) in self._database.execute("SELECT body FROM tunnel ORDER BY rowid"):
            tunnel = StoredTunnel.from_stored(json.loads(body))
            self._tunnels[tunnel.id] = tunnel
        for (body,) in self._database.execute("SELECT body FROM token ORDER BY rowid"):
            token = Token.from_stored(json.loads(body))
            self._tokens[token.digest] = token
        return bool(seeded)

    def _plant(self) -> None:
        self._zones = {seed.zone_id: seed.zone() for seed in self._seed}
        self._tunnels = {}
        self._tokens = {}
        with self._database:
            for table in ("record", "zone", "tunnel", "token"):
                self._database.execute(f"DELETE FROM {table}")  # noqa: S608 - fixed names
            for zone in self._zones.values():
                self._save_zone(zone)
                self._database.executemany(
                    "INSERT INTO record (id, zone_id, body) VALUES (?, ?, ?)",
                    [(one.id, zone.facts.id, json.dumps(one.as_json())) for one in zone.in_order()],
                )
            self._database.execute(f"PRAGMA user_version = {_VERSION}")

    def reset(self) -> None:
        """Back to the seed: its zones and records, no tunnel, no token but the first."""
        with self.lock:
            self._plant()

    def reseed(self, zones: Sequence[SeedZone]) -> None:
        """Replace the seed and reset to it."""
        with self.lock:
            self._seed = tuple(zones)
            self._plant()

    # --- zones ---

    @property
    def version(self) -> int:
        """Another number whenever something was written since the server began."""
        return self._database.total_changes

    def zones(self) -> list[EmulatedZone]:
        with self.lock:
            return list(self._zones.values())

    def zone(self, zone_id: str) -> EmulatedZone | None:
        with self.lock:
            return self._zones.get(zone_id)

    def zone_of(self, name: str) -> EmulatedZone | None:
        """The zone that is authoritative for `name`: the one with the longest apex."""
        with self.lock:
            candidates = [zone for zone in self._zones.values() if within(name, zone.name)]
            return max(candidates, key=lambda zone: len(zone.name), default=None)

    def add_zone(self, name: object, plan: ZonePlan = ZonePlan.FREE) -> EmulatedZone:
        try:
            apex = canonical_host(name) if isinstance(name, str) else ""
        except NameInvalidError:
            apex = ""
        if "." not in apex:
            raise ZoneNameInvalidError(name)
        with self.lock:
            if any(zone.name == apex for zone in self._zones.values()):
                raise ZoneExistsError(apex)
            facts = ZoneFacts(id=uuid.uuid4().hex, name=apex, plan=plan, created_on=self.now())
            zone = EmulatedZone(facts, serial=FIRST_SERIAL)
            with self._database:
                self._save_zone(zone)
            self._zones[facts.id] = zone
            return zone

    def drop_zone(self, zone_id: str) -> None:
        with self.lock, self._database:
            self._database.execute("DELETE FROM record WHERE zone_id = ?", (zone_id,))
            self._database.execute("DELETE FROM zone WHERE id = ?", (zone_id,))
            del self._zones[zone_id]

    def _save_zone(self, zone: EmulatedZone) -> None:
        facts = zone.facts
        body = {
            "id": facts.id,
            "name": facts.name,
            "plan": facts.plan.value,
            "status": facts.status,
            "record_quota": facts.record_quota,
            "created_on": facts.created_on,
            "name_servers": list(facts.name_servers),
            "modified_on": zone.modified_on,
            "serial": zone.serial,
        }
        self._database.execute(
            "INSERT INTO zone (id, body) VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET body = excluded.body",
            (facts.id, json.dumps(body)),
        )

    # --- records ---

    def record(self, zone: EmulatedZone, record_id: str) -> StoredRecord:
        with self.lock:
            record = zone.get(record_id)
            if record is None:
                raise RecordNotFoundError
            return record

    def create_record(self, zone: EmulatedZone, body: Mapping[str, object]) -> StoredRecord:
        with self.lock:
            return self._write(zone, parse(body, zone=zone.name, plan=zone.facts.plan), None)

    def replace_record(self, zone: EmulatedZone, record_id: str, body: Mapping[str, object]) -> StoredRecord:
        with self.lock:
            previous = self.record(zone, record_id)
            return self._write(zone, parse(body, zone=zone.name, plan=zone.facts.plan), previous)

    def amend_record(self, zone: EmulatedZone, record_id: str, body: Mapping[str, object]) -> StoredRecord:
        with self.lock:
            previous = self.record(zone, record_id)
            return self._write(zone, parse(amended(previous, body), zone=zone.name, plan=zone.facts.plan), previous)

    def _write(self, zone: EmulatedZone, wanted: StoredRecord, previous: StoredRecord | None) -> StoredRecord:
        if previous is not None and previous.meta.get("read_only"):
            raise RecordLockedError
        record_id = uuid.uuid4().hex if previous is None else previous.id
        record = stamped(wanted, previous, record_id=record_id, now=self.now())
        zone.check_beside(record)
        with self._changed(zone):
            self._save_record(zone, record)
        zone.put(record)
        return record

    def delete_record(self, zone: EmulatedZone, record_id: str) -> StoredRecord:
        with self.lock:
            record = self.record(zone, record_id)
            if record.meta.get("read_only"):
                raise RecordLockedError
            with self._changed(zone):
                self._database.execute("DELETE FROM record WHERE id = ?", (record_id,))
            zone.drop(record_id)
            return record

    def mark_record(self, zone: EmulatedZone, record_id: str, meta: Mapping[str, object]) -> StoredRecord:
        """What a service of Cloudflare's notes on a record; no client can."""
        with self.lock:
            record = replace(self.record(zone, record_id), meta=dict(meta))
            with self._changed(zone):
                self._save_record(zone, record)
            zone.put(record)
            return record

    def change_zone(self, zone: EmulatedZone, **changes: Any) -> None:
        """Another status or record quota: what the registrar or the plan decides."""
        with self.lock:
            zone.facts = replace(zone.facts, **changes)
            with self._changed(zone):
                self._save_zone(zone)

    def batch(self, zone: EmulatedZone, body: Mapping[str, object]) -> dict[str, list[StoredRecord]]:
        """Deletes, patches, puts and posts, in this order, all or nothing."""
        done: dict[str, list[StoredRecord]] = {}
        with self.lock:
            before = zone.in_order()
            try:
                for kind, one in _OPERATIONS.items():
                    items = body.get(kind)
                    if items is not None:
                        done[kind] = [one(self, zone, item) for item in _objects(items)]
            except RequestRefusedError:
                self._restore(zone, before)
                raise
        return done

    def _restore(self, zone: EmulatedZone, records: Sequence[StoredRecord]) -> None:
        for record in zone.in_order():
            zone.drop(record.id)
        with self._changed(zone):
            self._database.execute("DELETE FROM record WHERE zone_id = ?", (zone.facts.id,))
            for record in records:
                zone.put(record)
                self._save_record(zone, record)

    def _save_record(self, zone: EmulatedZone, record: StoredRecord) -> None:
        self._database.execute(
            "INSERT INTO record (id, zone_id, body) VALUES (?, ?, ?)"
            " ON CONFLICT (id) DO UPDATE SET body = excluded.body",
            (record.id, zone.facts.id, json.dumps(record.as_json())),
        )

    def _changed(self, zone: EmulatedZone) -> sqlite3.Connection:
        """A transaction in which the zone's serial has advanced."""
        zone.serial += 1
        zone.modified_on = self.now()
        self._save_zone(zone)
        return self._database

    # --- tunnels ---

    def tunnels(self) -> list[StoredTunnel]:
        with self.lock:
            return list(self._tunnels.values())

    def tunnel(self, tunnel_id: str, *, deleted: bool = True) -> StoredTunnel:
        with self.lock:
            tunnel = self._tunnels.get(tunnel_id)
            if tunnel is None or (tunnel.deleted_at is not None and not deleted):
                raise TunnelNotFoundError
            return tunnel

    def create_tunnel(self, body: Mapping[str, object]) -> StoredTunnel:
        name = tunnels.checked_name(body.get("name"))
        config_src = body.get("config_src") or "local"
        if config_src not in {"local", "cloudflare"}:
            raise TunnelInvalidError("config_src must be local or cloudflare")
        given = body.get("tunnel_secret")
        secret = _secret() if given is None else tunnels.checked_secret(given)
        with self.lock:
            if tunnels.by_name(self.tunnels(), name) is not None:
                raise TunnelNameTakenError
            return self._save_tunnel(
                StoredTunnel(
                    id=str(uuid.uuid4()),
                    account_id=self.id,
                    name=name,
                    secret=secret,
                    config_src=str(config_src),
                    created_at=self.now(),
                )
            )

    def amend_tunnel(self, tunnel_id: str, body: Mapping[str, object]) -> StoredTunnel:
        with self.lock:
            tunnel = self.tunnel(tunnel_id, deleted=False)
            if "name" in body:
                name = tunnels.checked_name(body["name"])
                namesake = tunnels.by_name(self.tunnels(), name)
                if namesake is not None and namesake.id != tunnel_id:
                    raise TunnelNameTakenError
                tunnel = replace(tunnel, name=name)
            if body.get("tunnel_secret") is not None:
                tunnel = replace(tunnel, secret=tunnels.checked_secret(body["tunnel_secret"]))
            return self._save_tunnel(tunnel)

    def configure_tunnel(self, tunnel_id: str, body: Mapping[str, object]) -> StoredTunnel:
        with self.lock:
            tunnel = self.tunnel(tunnel_id, deleted=False)
            config = tunnels.checked_config(body.get("config"))
            return self._save_tunnel(
                replace(
                    tunnel,
                    config=config,
                    config_src="cloudflare",
                    version=tunnel.version + 1,
                    configured_at=self.now(),
                )
            )

    def delete_tunnel(self, tunnel_id: str) -> StoredTunnel:
        with self.lock:
            tunnel = self.tunnel(tunnel_id, deleted=False)
            if tunnel.connections:
                raise TunnelHasConnectionsError
            return self._save_tunnel(replace(tunnel, deleted_at=self.now()))

    def connect_tunnel(self, tunnel_id: str) -> Connection:
        """What a starting cloudflared does: from now on the tunnel has an active connection."""
        with self.lock:
            tunnel = self.tunnel(tunnel_id, deleted=False)
            connection = Connection(id=str(uuid.uuid4()), opened_at=self.now())
            self._tunnels[tunnel_id] = tunnel.connected(connection)
            return connection

    def disconnect_tunnel(self, tunnel_id: str) -> None:
        with self.lock:
            self._tunnels[tunnel_id] = self.tunnel(tunnel_id).disconnected(self.now())

    def _save_tunnel(self, tunnel: StoredTunnel) -> StoredTunnel:
        with self._database:
            self._database.execute(
                "INSERT INTO tunnel (id, body) VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET body = excluded.body",
                (tunnel.id, json.dumps(tunnel.stored())),
            )
        self._tunnels[tunnel.id] = tunnel
        return tunnel

    # --- tokens ---

    def token_of(self, value: str) -> Token | None:
        with self.lock:
            found = digest(value)
            return self._owner if found == self._owner.digest else self._tokens.get(found)

    def tokens(self) -> list[Token]:
        with self.lock:
            return [self._owner, *self._tokens.values()]

    def add_token(
        self,
        value: str | None = None,
        *,
        permissions: frozenset[Permission],
        zones: frozenset[str] | None = None,
        name: str = "",
        status: str = "active",
        of_account: bool = False,
    ) -> tuple[Token, str]:
        """Another token with rights of its own; returns it with its value."""
        value = value or secrets.token_urlsafe(30)
        token = Token(
            id=uuid.uuid4().hex,
            name=name,
            digest=digest(value),
            permissions=permissions,
            zones=zones,
            status=status,
            issued_on=self.now(),
            of_account=of_account,
        )
        with self.lock:
            if self.token_of(value) is not None:
                raise AuthenticationError
            with self._database:
                self._database.execute(
                    "INSERT INTO token (id, body) VALUES (?, ?)", (token.id, json.dumps(token.stored()))
                )
            self._tokens[token.digest] = token
        return token, value

    def drop_token(self, token_id: str) -> None:
        with self.lock:
            token = next((one for one in self._tokens.values() if one.id == token_id), None)
            if token is None:
                raise TokenNotFoundError
            with self._database:
                self._database.execute("DELETE FROM token WHERE id = ?", (token_id,))
            del self._tokens[token.digest]

    # --- dump ---

    def state(self) -> dict[str, Any]:
        """Everything but secrets, in a fixed order."""
        with self.lock:
            return {
                "account_id": self.id,
                "zones": [
                    {
                        "id": zone.facts.id,
                        "name": zone.name,
                        "plan": zone.facts.plan.value,
                        "records": [record.as_json() for record in zone.in_order()],
                    }
                    for zone in sorted(self._zones.values(), key=lambda zone: zone.name)
                ],
                "tunnels": [
                    {**tunnel.as_json(), "configuration": tunnel.configuration()}
                    for tunnel in sorted(self._tunnels.values(), key=lambda one: (one.name, one.id))
                ],
                "tokens": [token.as_json() for token in sorted(self.tokens(), key=lambda one: (one.name, one.id))],
            }


def _objects(items: object) -> list[Mapping[str, object]]:
    if not isinstance(items, list) or not all(isinstance(item, Mapping) for item in items):
        raise MalformedBodyError
    return items


# The operations of a batch in the order in which the API carries them out.
_OPERATIONS: dict[str, Callable[[Account, EmulatedZone, Mapping[str, object]], StoredRecord]] = {
    "deletes": lambda account, zone, item: account.delete_record(zone, str(item.get("id"))),
    "patches": lambda account, zone, item: account.amend_record(zone, str(item.get("id")), item),
    "puts": lambda account, zone, item: account.replace_record(zone, str(item.get("id")), item),
    "posts": lambda account, zone, item: account.create_record(zone, item),
}


def _secret() -> str:
    return base64.b64encode(secrets.token_bytes(32)).decode()


def _facts(stored: Mapping[str, object]) -> ZoneFacts:
    servers = stored["name_servers"]
    first, second = servers if isinstance(servers, list) else ("", "")
    return ZoneFacts(
        id=str(stored["id"]),
        name=str(stored["name"]),
        plan=ZonePlan(str(stored["plan"])),
        status=str(stored.get("status", "active")),
        record_quota=int(str(stored.get("record_quota", RECORD_QUOTA))),
        created_on=str(stored["created_on"]),
        name_servers=(str(first), str(second)),
    )


def _opened(database: sqlite3.Connection | str | Path) -> sqlite3.Connection:
    """A connection for use under the account's lock from any thread.

    A connection that is handed in must have been made with `check_same_thread=False`.
    """
    connection = (
        database if isinstance(database, sqlite3.Connection) else sqlite3.connect(database, check_same_thread=False)
    )
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version not in {0, _VERSION}:
        connection.close()
        raise WrongDatabaseError(version)
    # With a write-ahead log a commit survives the death of the process without a sync to disk each time.
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.executescript(_SCHEMA)
    return connection
