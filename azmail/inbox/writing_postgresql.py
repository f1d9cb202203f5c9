"""Storing mails in PostgreSQL: two round trips for a whole batch, whatever is in it (docs/decisions/113).

Lists go as arrays in the binary format: one statement for all tables and rows, prepared once, and no escaping.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from psycopg import Connection

from azmail.inbox.conversations import Known, asked, placed
from azmail.inbox.database import ORDER_LOCK, Database
from azmail.inbox.parcels import Parcel, contents

MOST_TOGETHER_OCTETS = 64 * 1024
"""Of a mail that goes with others in one statement; a larger one's content goes before, piece by piece."""

_LOCK = "SELECT pg_advisory_xact_lock(%s)"
_THERE = """
SELECT id, false FROM inbox_mails WHERE id = ANY(%(ids)b)
UNION ALL SELECT id, true FROM inbox_deleted WHERE id = ANY(%(ids)b)
"""
_KNOWN = """
SELECT agent, reference, known.thread, known.own
FROM unnest(%(agents)b::text[], %(references)b::text[]) AS asked (agent, reference),
  LATERAL (SELECT thread, own FROM inbox_threads AS t
           WHERE t.agent = asked.agent AND t.reference = asked.reference LIMIT 1) AS known
"""
_PIECE = "INSERT INTO inbox_pieces (mail, part, number, content) VALUES (%s, %s, %s, %b) ON CONFLICT DO NOTHING"
_ADD = """
WITH mail AS (
  INSERT INTO inbox_mails (id, agent, thread, direction, seen, octets, stored_at, summary)
  SELECT id, agent, thread, direction, direction = 'out', octets,
    CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT), summary
  FROM unnest(%(id)b::text[], %(agent)b::text[], %(thread)b::bigint[], %(direction)b::text[], %(octets)b::bigint[],
    %(summary)b::text[]) WITH ORDINALITY AS given (id, agent, thread, direction, octets, summary, place)
  ORDER BY place
  RETURNING position, id, agent, direction, stored_at
), piece AS (
  INSERT INTO inbox_pieces (mail, part, number, content)
  SELECT * FROM unnest(%(piece_mail)b::text[], %(piece_part)b::int[], %(piece_number)b::int[], %(piece)b::bytea[])
), file AS (
  INSERT INTO inbox_files (mail, part, filename, content_type, octets, content_id, inline)
  SELECT * FROM unnest(%(file_mail)b::text[], %(file_part)b::int[], %(filename)b::text[], %(content_type)b::text[],
    %(file_octets)b::bigint[], %(content_id)b::text[], %(inline)b::bool[])
), thread AS (
  INSERT INTO inbox_threads (agent, reference, thread, own)
  SELECT * FROM unnest(%(known_agent)b::text[], %(reference)b::text[], %(known_thread)b::bigint[], %(own)b::bool[])
  ON CONFLICT (agent, reference) DO UPDATE SET thread = excluded.thread, own = excluded.own
), word AS (
  INSERT INTO inbox_search (position, words)
  SELECT position, array_to_tsvector(string_to_array(words, ' '))
  FROM mail JOIN unnest(%(id)b::text[], %(words)b::text[]) AS indexed (id, words) USING (id)
)
INSERT INTO inbox_jobs (hook, kind, subject, agent, attempts, due_at, lease, dead, error)
SELECT hook, 'mail', id, agent, 0, stored_at, NULL, false, ''
FROM mail CROSS JOIN unnest(%(hooks)b::text[]) AS hooks (hook) WHERE direction = 'in' ORDER BY position
"""


class PostgresqlWriting:
    """Raises InboxDatabaseError."""

    def __init__(self, database: Database, hooks: Sequence[str]) -> None:
        self._database = database
        self._hooks = list(hooks)

    def write(self, parcels: Mapping[str, Parcel]) -> set[str]:
        """One transaction; the ids of those that were not there before."""
        with self._database.direct() as connection:
            ahead = self._write_ahead(
                connection, [one for one in parcels.values() if one.octets > MOST_TOGETHER_OCTETS]
            )
            wanted = asked(list(parcels.values()))
            with connection.pipeline():
                connection.execute(_LOCK, (ORDER_LOCK,))
                # Nobody else stores from here on: what is new now stays so.
                found = connection.execute(_THERE, {"ids": list(parcels)}, prepare=False)
                places = {"agents": [one[0] for one in wanted], "references": [one[1] for one in wanted]}
                threads = connection.execute(_KNOWN, places, prepare=False)
            there = dict(found.fetchall())
            new = [parcel for key, parcel in parcels.items() if key not in there]
            known = {(row[0], row[1]): Known(row[2], row[3]) for row in threads.fetchall()}
            with connection.pipeline():
                if deleted := [key for key in ahead if there.get(key)]:
                    connection.execute("DELETE FROM inbox_pieces WHERE mail = ANY(%b)", (deleted,))
                if new:
                    connection.execute(_ADD, self._arrays(new, ahead, *placed(new, known)), prepare=True)
                connection.commit()
        return {parcel.id for parcel in new}

    def _write_ahead(self, connection: Connection[Any], large: Sequence[Parcel]) -> set[str]:
        """Contents that would hold others up, written before the lock; nothing of a mail that is there."""
        if not large:
            return set()
        keys = [one.id for one in large]
        there = {row[0] for row in connection.execute(_THERE, {"ids": keys}, prepare=False)}
        # Sorted by mail: two transactions with the same ones then never wait for each other in a circle.
        for parcel in sorted(large, key=lambda one: one.id):
            if parcel.id not in there:
                for part, number, piece in contents(parcel):
                    connection.execute(_PIECE, (parcel.id, part, number, piece))
        return set(keys) - there

    def _arrays(
        self,
        parcels: Sequence[Parcel],
        ahead: Collection[str],
        threads: Mapping[str, int],
        known: Mapping[tuple[str, str], Known],
    ) -> dict[str, list[Any]]:
        pieces = [(one.id, *piece) for one in parcels if one.id not in ahead for piece in contents(one)]
        files = [(one.id, part, file) for one in parcels for part, file in enumerate(one.files, 1)]
        return {
            "id": [one.id for one in parcels],
            "agent": [one.agent for one in parcels],
            "thread": [threads[one.id] for one in parcels],
            "direction": [one.direction for one in parcels],
            "octets": [one.octets for one in parcels],
            "summary": [json.dumps(one.summary) for one in parcels],
            "words": [one.words for one in parcels],
            "piece_mail": [one[0] for one in pieces],
            "piece_part": [one[1] for one in pieces],
            "piece_number": [one[2] for one in pieces],
            "piece": [one[3] for one in pieces],
            "file_mail": [key for key, _, _ in files],
            "file_part": [part for _, part, _ in files],
            "filename": [file.filename for _, _, file in files],
            "content_type": [file.content_type for _, _, file in files],
            "file_octets": [len(file.content) for _, _, file in files],
            "content_id": [file.content_id for _, _, file in files],
            "inline": [file.inline for _, _, file in files],
            "known_agent": [agent for agent, _ in known],
            "reference": [reference for _, reference in known],
            "known_thread": [one.thread for one in known.values()],
            "own": [one.own for one in known.values()],
            "hooks": self._hooks,
        }
