"""The emulator's durable state: API keys, switches, reset and the dump for tests."""

from __future__ import annotations

import base64
import binascii
import hmac
import secrets
import sqlite3
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from emulators.mailjet.answers import timestamp
from emulators.mailjet.switches import Switches
from emulators.mailjet.tables import FIRST_IDS, SCHEMA
from emulators.store import first_id, open_database, transaction


@dataclass(frozen=True)
class ApiKey:
    """An account, as far as the API is concerned."""

    id: int
    api_key: str
    secret: str = field(repr=False)
    name: str = ""
    is_master: bool = False
    is_active: bool = True
    created_at: str = ""


class MailjetState:
    """All rows of one emulated Mailjet, for the master key `api_key` and its subaccounts."""

    def __init__(self, database: sqlite3.Connection | Path | str, *, api_key: str, api_secret: str) -> None:
        if isinstance(database, sqlite3.Connection):
            self.db = database
            self.db.row_factory = sqlite3.Row
            self.db.executescript(SCHEMA)
        else:
            self.db = open_database(database, SCHEMA)
        self._master = (api_key, api_secret)
        self._keys: dict[str, ApiKey] = {}
        self._seed()
        self.switches = self._load_switches()

    def _seed(self) -> None:
        for table, value in FIRST_IDS.items():
            first_id(self.db, table, value)
        self.put_api_key(*self._master, name="Main account", master=True)

    def _load_switches(self) -> Switches:
        row = self.db.execute("SELECT value FROM switches").fetchone()
        return Switches.model_construct() if row is None else Switches.model_validate_json(row["value"])

    def change_switches(self, switches: Switches) -> None:
        """Play `switches` from now on."""
        self.switches = switches
        self.db.execute("INSERT OR REPLACE INTO switches VALUES (1, ?)", (switches.model_dump_json(),))

    # API keys

    def put_api_key(self, api_key: str, secret: str, *, name: str, master: bool = False) -> ApiKey:
        """Add a key, or give an existing one another secret (what an owner does to rotate it)."""
        if master:
            # The credentials of an older state folder, or of a rotation while the emulator was down.
            self.db.execute("UPDATE apikey SET api_key = ?, secret = ? WHERE is_master = 1", (api_key, secret))
        self.db.execute(
            "INSERT INTO apikey (api_key, secret, name, is_master, created_at) VALUES (?, ?, ?, ?, ?)"
            " ON CONFLICT (api_key) DO UPDATE SET secret = excluded.secret",
            (api_key, secret, name, int(master), timestamp()),
        )
        self._keys = {key.api_key: key for key in map(_api_key, self.db.execute("SELECT * FROM apikey"))}
        return self._keys[api_key]

    def create_api_key(self, name: str) -> ApiKey:
        """A subaccount with random credentials."""
        return self.put_api_key(secrets.token_hex(16), secrets.token_hex(16), name=name)

    def change_api_key(self, key_id: int, *, name: str, is_active: bool) -> None:
        """Rename, suspend or resume a key."""
        self.db.execute("UPDATE apikey SET name = ?, is_active = ? WHERE id = ?", (name, int(is_active), key_id))
        self._keys = {key.api_key: key for key in map(_api_key, self.db.execute("SELECT * FROM apikey"))}

    def api_keys(self) -> list[ApiKey]:
        """All keys, oldest first."""
        return sorted(self._keys.values(), key=lambda key: key.id)

    def authenticate(self, user: str, password: str) -> ApiKey | None:
        """The active key with these credentials."""
        key = self._keys.get(user)
        if key is None or not key.is_active:
            return None
        return key if hmac.compare_digest(key.secret.encode(), password.encode()) else None

    def authenticate_header(self, header: str) -> ApiKey | None:
        """The key that a `Basic` Authorization header names."""
        scheme, _, encoded = header.partition(" ")
        if scheme.lower() != "basic":
            return None
        try:
            user, _, password = base64.b64decode(encoded, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return None
        return self.authenticate(user, password)

    # Control plane

    def reset(self) -> None:
        """Back to an account that was just opened; the credentials of the master key stay."""
        tables = [
            row["name"]
            for row in self.db.execute(
                "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
            )
        ]
        with transaction(self.db):
            self.db.execute("PRAGMA defer_foreign_keys=ON")
            for table in tables:
                self.db.execute(f"DELETE FROM {table}")  # noqa: S608 - names from the schema
            # What is still under way must not be taken for something new: these numbers go on.
            self.db.execute(
                "DELETE FROM sqlite_sequence WHERE name NOT IN ('message', 'content', 'delivery', 'letter')"
            )
        self._seed()
        self.switches = Switches()

    def dump(self) -> dict[str, Any]:
        """Everything a test may compare: sorted, without times, keys or secrets (route URLs as stored)."""
        return {
            "apikeys": [
                {"ID": key.id, "Name": key.name, "IsMaster": key.is_master, "IsActive": key.is_active}
                for key in self.api_keys()
            ],
            "senders": self._dump(
                "SELECT id AS ID, apikey_id AS APIKeyID, email AS Email, name AS Name, email_type AS EmailType,"
                " status AS Status, dns_id AS DNSID FROM sender ORDER BY email, apikey_id"
            ),
            "dns": self._dump(
                "SELECT id AS ID, apikey_id AS APIKeyID, domain AS Domain, dkim_status AS DKIMStatus,"
                " spf_status AS SPFStatus FROM dns ORDER BY domain, apikey_id"
            ),
            "parseroutes": self._dump(
                "SELECT id AS ID, apikey_id AS APIKeyID, email AS Email, url AS Url FROM parseroute ORDER BY email"
            ),
            "eventcallbackurls": self._dump(
                "SELECT id AS ID, apikey_id AS APIKeyID, event_type AS EventType, url AS Url, version AS Version,"
                " status AS Status FROM eventcallback ORDER BY event_type, apikey_id, is_backup"
            ),
            "switches": self.switches.model_dump(exclude_defaults=True),
        }

    def _dump(self, query: str) -> list[dict[str, Any]]:
        return [dict(row) for row in self.db.execute(query)]


def _api_key(row: sqlite3.Row) -> ApiKey:
    return ApiKey(
        id=row["id"],
        api_key=row["api_key"],
        secret=row["secret"],
        name=row["name"],
        is_master=bool(row["is_master"]),
        is_active=bool(row["is_active"]),
        created_at=row["created_at"],
    )
