"""Who has mail here: the routes of the account, with the names that the program has told and what came and went."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from emulators.mailjet.letters import Letters
from emulators.request_log import redacted
from emulators.store import transaction

PAGE = 50
SOME = 200
_ROUTES = " FROM parseroute LEFT JOIN agent ON agent.address = parseroute.email WHERE is_auto = 0"
_MATCHING = (
    " AND (instr(lower(email), ?) OR instr(lower(coalesce(name, '')), ?) OR instr(lower(coalesce(agent_id, '')), ?))"
)


@dataclass(frozen=True)
class ShownAgent:
    """One agent as the page lists it: a route with its counts."""

    address: str
    id: str
    name: str
    url: str
    sent: int
    received: int


class AgentList:
    """Reads what is in the database."""

    def __init__(self, db: sqlite3.Connection, letters: Letters) -> None:
        self._db = db
        self._letters = letters

    def page(self, text: str, *, skip: int) -> tuple[list[ShownAgent], int]:
        """One page, and how many there are."""
        matching, values = (_MATCHING, [text.lower()] * 3) if text else ("", [])
        total = int(self._db.execute(f"SELECT count(*){_ROUTES}{matching}", values).fetchone()[0])
        query = f"SELECT email, url, agent_id, name{_ROUTES}{matching} ORDER BY email LIMIT {PAGE} OFFSET ?"
        rows = self._db.execute(query, [*values, skip]).fetchall()
        counted = self._letters.counted([row["email"] for row in rows])
        return [
            ShownAgent(
                row["email"],
                row["agent_id"] or "",
                row["name"] or "",
                redacted(row["url"]),
                *counted[row["email"].lower()][:2],
            )
            for row in rows
        ], total

    def some(self) -> list[tuple[str, str]]:
        """Addresses and names to choose from: not more than a list can show."""
        query = f"SELECT email, coalesce(name, '') AS name{_ROUTES} ORDER BY email LIMIT {SOME}"
        return [(row["email"], row["name"]) for row in self._db.execute(query)]

    def address(self, who: str) -> str:
        """The address of a name or id, else `who` as it is."""
        query = "SELECT address FROM agent WHERE name = ? COLLATE NOCASE OR agent_id = ? ORDER BY address LIMIT 1"
        found = self._db.execute(query, (who, who)).fetchone() if who and "@" not in who else None
        return who if found is None else str(found["address"])

    def names(self, addresses: Sequence[str]) -> dict[str, str]:
        """{address in lower case: name} of those who have one."""
        marks = ", ".join("?" * len(addresses))
        found = self._db.execute(f"SELECT lower(address), name FROM agent WHERE address IN ({marks})", addresses)  # noqa: S608
        return dict(found.fetchall())

    def replace(self, agents: Iterable[tuple[str, str, str]]) -> None:
        """(address, id, name) of everybody."""
        with transaction(self._db):
            self._db.execute("DELETE FROM agent")
            self._db.executemany("INSERT OR REPLACE INTO agent (address, agent_id, name) VALUES (?, ?, ?)", agents)
