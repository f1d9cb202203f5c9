"""`/v3/REST/eventcallbackurl`: where Mailjet reports what became of a sent message."""

from __future__ import annotations

import sqlite3
from urllib.parse import urlsplit

from emulators.mailjet.answers import InvalidValue, MissingProperty, NotSettable, Refusal, Row, is_id, truth
from emulators.mailjet.state import ApiKey, MailjetState

EVENT_TYPES = ("open", "click", "bounce", "spam", "blocked", "unsub", "sent")
ALIVE, DEAD = "alive", "dead"
PROPERTIES: dict[str, type] = {
    "EventType": str,
    "Url": str,
    "Version": int,
    "Status": str,
    "IsBackup": bool,
    "APIKeyID": int,
    "ID": int,
}


class EventCallbacks:
    """At most one URL, and one backup, per event type and key."""

    def __init__(self, state: MailjetState) -> None:
        self._db = state.db

    def find(self, key: ApiKey, name: str) -> sqlite3.Row | None:
        """By id, or by `EventType|IsBackup`, the pair that is unique."""
        if is_id(name):
            row: sqlite3.Row | None = self._db.execute(
                "SELECT * FROM eventcallback WHERE apikey_id = ? AND id = ?", (key.id, int(name))
            ).fetchone()
            return row
        event_type, _, backup = name.partition("|")
        return self.for_event(key.id, event_type.lower(), backup=truth(backup))

    def for_event(self, apikey_id: int, event_type: str, *, backup: bool = False) -> sqlite3.Row | None:
        """The URL for this type of event."""
        row: sqlite3.Row | None = self._db.execute(
            "SELECT * FROM eventcallback WHERE apikey_id = ? AND event_type = ? AND is_backup = ?",
            (apikey_id, event_type, int(backup)),
        ).fetchone()
        return row

    def listed(self, key: ApiKey, query: dict[str, str]) -> list[Row]:
        """The rows that pass the query's filters."""
        rows = self._db.execute("SELECT * FROM eventcallback WHERE apikey_id = ? ORDER BY id", (key.id,))
        shown = [self.shown(row) for row in rows]
        if "eventtype" in query:
            shown = [row for row in shown if row["EventType"] == query["eventtype"].lower()]
        if "isbackup" in query:
            shown = [row for row in shown if row["IsBackup"] == truth(query["isbackup"])]
        if "status" in query:
            shown = [row for row in shown if row["Status"] == query["status"].lower()]
        return shown

    @staticmethod
    def shown(row: sqlite3.Row) -> Row:
        """The row as the API gives it."""
        return {
            "APIKeyID": row["apikey_id"],
            "EventType": row["event_type"],
            "ID": row["id"],
            "IsBackup": bool(row["is_backup"]),
            "Status": row["status"],
            "Url": row["url"],
            "Version": row["version"],
        }

    def create(self, key: ApiKey, given: Row) -> Row:
        """A new callback."""
        for name in ("APIKeyID", "ID"):
            if name in given:
                raise NotSettable(name)
        if not given.get("Url"):
            raise MissingProperty("Url")
        _refuse(given)
        event_type = given.get("EventType", "open").lower()
        backup = given.get("IsBackup", False)
        if self.for_event(key.id, event_type, backup=backup) is not None:
            raise Refusal(
                400, f'MJ18 A Eventcallbackurl resource with value "{event_type}" for EventType already exists.'
            )
        cursor = self._db.execute(
            "INSERT INTO eventcallback (apikey_id, event_type, url, version, status, is_backup)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            (key.id, event_type, given["Url"], given.get("Version", 1), given.get("Status", ALIVE), int(backup)),
        )
        return self._shown_again(key, int(cursor.lastrowid or 0))

    def change(self, key: ApiKey, row: sqlite3.Row, given: Row) -> Row | None:
        """Change what is given; None when nothing changes. Any new Url revives a dead callback."""
        before = self.shown(row)
        for name in ("APIKeyID", "ID", "EventType", "IsBackup"):
            if given.get(name, before[name]) != before[name]:
                raise NotSettable(name)
        _refuse(given)
        url = given.get("Url", row["url"])
        status = given.get("Status", ALIVE if url != row["url"] else row["status"])
        new = (url, given.get("Version", row["version"]), status)
        if new == (row["url"], row["version"], row["status"]):
            return None
        self._db.execute("UPDATE eventcallback SET url = ?, version = ?, status = ? WHERE id = ?", (*new, row["id"]))
        return self._shown_again(key, row["id"])

    def suspend(self, callback_id: int) -> None:
        """Give up on an endpoint that never answered 200."""
        self._db.execute("UPDATE eventcallback SET status = ? WHERE id = ?", (DEAD, callback_id))

    def delete(self, row: sqlite3.Row) -> None:
        """Remove the row; nothing is posted to its URL any more."""
        self._db.execute("DELETE FROM eventcallback WHERE id = ?", (row["id"],))

    def _shown_again(self, key: ApiKey, callback_id: int) -> Row:
        row = self.find(key, str(callback_id))
        assert row is not None, "written a moment ago"  # noqa: S101
        return self.shown(row)


def _refuse(given: Row) -> None:
    if "EventType" in given and given["EventType"].lower() not in EVENT_TYPES:
        raise InvalidValue("EventType", f"MJ05 Value must be one of {', '.join(EVENT_TYPES)}")
    if given.get("Version", 1) not in (1, 2):
        raise InvalidValue("Version", "MJ05 Value must be one of 1, 2")
    if given.get("Status", ALIVE) not in (ALIVE, DEAD):
        raise InvalidValue("Status", f"MJ05 Value must be one of {ALIVE}, {DEAD}")
    if "Url" in given:
        parts = urlsplit(given["Url"])
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise InvalidValue("Url", "MJ07 Value is not a valid URL")
