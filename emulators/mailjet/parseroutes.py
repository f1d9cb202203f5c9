"""`/v3/REST/parseroute`: which address's mail is posted to which URL."""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import overload
from urllib.parse import urlsplit

from emulators.mailjet.answers import Duplicate, InvalidValue, MissingProperty, NotSettable, Refusal, Row, is_id
from emulators.mailjet.senders import Senders, split_address
from emulators.mailjet.state import ApiKey, MailjetState

AUTO_DOMAIN = "parse-in1.mailjet.com"
PROPERTIES: dict[str, type] = {"Email": str, "Url": str, "APIKeyID": int, "ID": int}


class ParseRoutes:
    """The routes of all keys; an address is routed once, whoever's it is."""

    def __init__(self, state: MailjetState, senders: Senders) -> None:
        self._state = state
        self._db = state.db
        self._senders = senders
        self._places: dict[int, _Places] = {}

    def find(self, key: ApiKey, name: str) -> sqlite3.Row | None:
        """The key's route with this id, or with this address as far as the account answers to one."""
        if is_id(name):
            return self._one("id = ?2", key, int(name))
        match self._state.switches.route_by_address:
            case "exact":
                # The index goes by any case; the second condition alone would read every route.
                return self._one("email = ?2 AND email = ?2 COLLATE BINARY", key, name)
            case "any-case":
                return self._one("email = ?2", key, name)
            case "oldest":
                return self._one("?2 <> '' ORDER BY id", key, name)
            case "refused":
                raise Refusal(400, "Object properties invalid", f'MJ03 Value "{name}" is not a valid integer')
            case "unknown":
                return None

    def _one(self, condition: str, key: ApiKey, value: int | str) -> sqlite3.Row | None:
        row: sqlite3.Row | None = self._db.execute(
            f"SELECT * FROM parseroute WHERE apikey_id = ?1 AND {condition}",  # noqa: S608 - conditions of `find`
            (key.id, value),
        ).fetchone()
        return row

    def for_recipient(self, address: str) -> sqlite3.Row | None:
        """The route that takes mail for `address`, of whichever key."""
        local, _, domain = address.rpartition("@")
        candidates = [address]
        if self._state.switches.plus_addresses and "+" in local:
            candidates.append(f"{local.partition('+')[0]}@{domain}")
        if self._state.switches.wildcard_routes:
            candidates.append(f"*@{domain}")
        for candidate in candidates:
            row: sqlite3.Row | None = self._db.execute(
                "SELECT * FROM parseroute WHERE email = ?", (candidate,)
            ).fetchone()
            if row is not None:
                return row
        return None

    def listed(self, key: ApiKey, _query: dict[str, str]) -> Sequence[Row]:
        """All routes of the key: an Email filter does not exist."""
        now = _version(self._db)
        if key.id not in self._places or self._places[key.id].version != now:
            self._places[key.id] = _Places(now)
        return _RoutesOf(key, self._db, self._places[key.id])

    @staticmethod
    def shown(row: sqlite3.Row) -> Row:
        """The row as the API gives it."""
        return {"APIKeyID": row["apikey_id"], "Email": row["email"], "ID": row["id"], "Url": row["url"]}

    def create(self, key: ApiKey, given: Row) -> Row:
        """A new route; without Email, to an address of Mailjet's own."""
        self._refuse_read_only(given)
        if not given.get("Url"):
            raise MissingProperty("Url")
        _refuse_url(given["Url"])
        if not self._state.switches.parse_in_plan:
            raise Refusal(403, "Operation not allowed", "The Parse API is not included in your plan")
        email = given.get("Email", "")
        automatic = not email
        if automatic:
            owned = "SELECT 1 FROM parseroute WHERE apikey_id = ? AND is_auto = 1"
            if self._db.execute(owned, (key.id,)).fetchone() is not None:
                raise Refusal(self._state.switches.route_duplicate_status, "MJ18 Conflict error")
            email = f"{secrets.token_urlsafe(12)}@{AUTO_DOMAIN}"
        else:
            self._refuse_email(key, email)
        quota = self._state.switches.route_quota
        if quota is not None and self._count(key) >= quota:
            raise Refusal(403, "Operation not allowed", f"The maximum number of parse routes ({quota}) is reached")
        cursor = self._db.execute(
            "INSERT INTO parseroute (apikey_id, email, url, is_auto) VALUES (?, ?, ?, ?)",
            (key.id, email, given["Url"], int(automatic)),
        )
        return {"APIKeyID": key.id, "Email": email, "ID": int(cursor.lastrowid or 0), "Url": given["Url"]}

    def _count(self, key: ApiKey) -> int:
        row = self._db.execute("SELECT count(*) FROM parseroute WHERE apikey_id = ?", (key.id,)).fetchone()
        return int(row[0])

    def change(self, key: ApiKey, row: sqlite3.Row, given: Row) -> Row | None:
        """Change Url, Email or both; None when that changes nothing."""
        self._refuse_read_only({name: given[name] for name in given if given[name] != self.shown(row)[name]})
        url = given.get("Url", row["url"])
        email = given.get("Email", row["email"])
        if (url, email) == (row["url"], row["email"]):
            return None
        _refuse_url(url)
        if email.lower() != row["email"].lower():
            self._refuse_email(key, email)
        self._db.execute("UPDATE parseroute SET url = ?, email = ? WHERE id = ?", (url, email, row["id"]))
        return {"APIKeyID": key.id, "Email": email, "ID": row["id"], "Url": url}

    def delete(self, row: sqlite3.Row) -> None:
        """For good, unlike a sender."""
        self._db.execute("DELETE FROM parseroute WHERE id = ?", (row["id"],))

    def _refuse_read_only(self, given: Row) -> None:
        for name in ("APIKeyID", "ID"):
            if name in given:
                raise NotSettable(name)

    def _refuse_email(self, key: ApiKey, email: str) -> None:
        parts = split_address(email)
        if parts is None or (parts[0] == "*" and not self._state.switches.wildcard_routes):
            raise InvalidValue("Email", f'MJ07 Value "{email}" is not a valid email address')
        if parts[1] == AUTO_DOMAIN:
            raise InvalidValue("Email", f"MJ07 An address at {AUTO_DOMAIN} cannot be chosen")
        taken = "SELECT 1 FROM parseroute WHERE email = ?"
        if self._db.execute(taken, (email,)).fetchone() is not None:
            raise Duplicate("Parseroute", email, "Email", self._state.switches.route_duplicate_status)
        verified = self._senders.domain_is_verified(key, parts[1])
        if self._state.switches.route_needs_verified_domain and not verified:
            raise InvalidValue("Email", f'MJ07 Domain "{parts[1]}" is not a verified sender domain')


def _version(db: sqlite3.Connection) -> tuple[int, int]:
    """Changes with every write, whoever's it is."""
    return db.total_changes, int(db.execute("PRAGMA data_version").fetchone()[0])


@dataclass
class _Places:
    """What is known of a key's routes while nobody writes: without it each page of a million would walk over all before it."""

    version: tuple[int, int]
    count: int | None = None
    ids: dict[int, int] = field(default_factory=dict)
    """{place of a page's last row among all: its id}."""


class _RoutesOf(Sequence[Row]):
    """The routes of a key, oldest first; a page of a hundred thousand reads no more than its own rows."""

    def __init__(self, key: ApiKey, db: sqlite3.Connection, places: _Places) -> None:
        self._key = key
        self._db = db
        self._places = places

    def __len__(self) -> int:
        if self._places.count is None:
            count = self._db.execute("SELECT count(*) FROM parseroute WHERE apikey_id = ?", (self._key.id,))
            self._places.count = int(count.fetchone()[0])
        return self._places.count

    @overload
    def __getitem__(self, at: int) -> Row: ...
    @overload
    def __getitem__(self, at: slice) -> list[Row]: ...
    def __getitem__(self, at: int | slice) -> Row | list[Row]:
        if isinstance(at, int):
            return self._rows(1, at)[0]
        start, stop, _ = at.indices(len(self))
        return self._rows(max(stop - start, 0), start)

    def __iter__(self) -> Iterator[Row]:
        return iter(self._rows(-1, 0))

    def _rows(self, limit: int, offset: int) -> list[Row]:
        """From the last row of the page before, where that was read; a page begins with it or behind it."""
        ids = self._places.ids
        place = next((place for place in (offset, offset - 1) if place in ids), 0)
        found = self._db.execute(
            "SELECT * FROM parseroute WHERE apikey_id = ? AND id >= ? ORDER BY id LIMIT ? OFFSET ?",
            (self._key.id, ids.get(place, 0), limit, offset - place),
        )
        rows = [ParseRoutes.shown(row) for row in found]
        if rows:
            ids[offset + len(rows) - 1] = int(rows[-1]["ID"])
        return rows


def _refuse_url(url: str) -> None:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise InvalidValue("Url", "MJ07 Value is not a valid URL")
    if parts.path in ("", "/") and not parts.query:
        raise InvalidValue("Url", "MJ07 Value cannot be a root URL")
