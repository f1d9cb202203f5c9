"""`/v3/REST/dns`: a domain's DKIM key, SPF and ownership token, and the check of its records."""

from __future__ import annotations

import base64
import re
import secrets
import sqlite3

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from emulators.mailjet.answers import Row, is_id, timestamp, truth
from emulators.mailjet.resolver import ZoneResolver, spf_includes
from emulators.mailjet.state import ApiKey, MailjetState

SPF_HOST = "spf.mailjet.com"
SPF_VALUE = f"v=spf1 include:{SPF_HOST} ?all"


class Domains:
    """The `dns` rows, which come into being with the first sender of a domain and never go."""

    def __init__(self, state: MailjetState, zone: ZoneResolver) -> None:
        self._state = state
        self._db = state.db
        self._zone = zone
        self._looks: dict[int, int] = {}

    def ensure(self, key: ApiKey, domain: str) -> int:
        """The id of the domain's row, which is made (DKIM key included) when there is none."""
        row = self.find(key, domain)
        if row is not None:
            return int(row["id"])
        private, public = generate_dkim_key(self._state.switches.dkim_bits)
        cursor = self._db.execute(
            "INSERT INTO dns (apikey_id, domain, token, dkim_private, dkim_public) VALUES (?, ?, ?, ?, ?)",
            (key.id, domain.lower(), secrets.token_hex(16), private, public),
        )
        return int(cursor.lastrowid or 0)

    def find(self, key: ApiKey, name: str) -> sqlite3.Row | None:
        """The row with this id or domain, if the key has it."""
        by_id = is_id(name)
        column = "id" if by_id else "domain"
        row: sqlite3.Row | None = self._db.execute(
            f"SELECT * FROM dns WHERE apikey_id = ? AND {column} = ?",  # noqa: S608 - one of two names
            (key.id, int(name) if by_id else name.rstrip(".")),
        ).fetchone()
        return row if row is not None and self._readable(row) else None

    def _readable(self, row: sqlite3.Row) -> bool:
        if self._state.switches.deleted_sender_keeps_dns:
            return True
        living = "SELECT 1 FROM sender WHERE dns_id = ? AND status != 'Deleted'"
        return self._db.execute(living, (row["id"],)).fetchone() is not None

    def listed(self, key: ApiKey, query: dict[str, str]) -> list[Row]:
        """The rows that pass the query's filters."""
        rows = self._db.execute("SELECT * FROM dns WHERE apikey_id = ? ORDER BY id", (key.id,)).fetchall()
        shown = [self.shown(row) for row in rows if self._readable(row)]
        if "spfstatus" in query:
            shown = [row for row in shown if row["SPFStatus"].lower() == query["spfstatus"].lower()]
        if truth(query.get("ischeckinprogress")):
            shown = []
        if "maxlastcheckat" in query:
            shown = [row for row in shown if row["LastCheckAt"] <= query["maxlastcheckat"]]
        if "minlastcheckat" in query:
            shown = [row for row in shown if row["LastCheckAt"] >= query["minlastcheckat"]]
        return shown

    def shown(self, row: sqlite3.Row) -> Row:
        """The row as the API gives it."""
        form = self._state.switches.dns_names
        domain = row["domain"]
        dot = "." if form == "absolute" else ""
        label = f"mailjet._{row['token'][:8]}"
        unchecked = self._state.switches.not_checked
        return {
            "DKIMRecordName": f"mailjet._domainkey.{domain}{dot}",
            "DKIMRecordValue": f"k=rsa; p={row['dkim_public']}",
            "DKIMStatus": row["dkim_status"] or unchecked,
            "Domain": domain,
            "ID": row["id"],
            "IsCheckInProgress": False,
            "LastCheckAt": row["last_check_at"],
            "OwnerShipToken": row["token"],
            "OwnerShipTokenRecordName": label if form == "label" else f"{label}.{domain}{dot}",
            "SPFRecordValue": SPF_VALUE,
            "SPFStatus": row["spf_status"] or unchecked,
        }

    def count_looks_anew(self) -> None:
        """Let the lag (switch `dns_lag`) begin now."""
        self._looks.clear()

    def _lags(self, dns_id: int) -> bool:
        self._looks[dns_id] = self._looks.get(dns_id, 0) + 1
        return self._looks[dns_id] <= self._state.switches.dns_lag

    async def check(self, row: sqlite3.Row) -> Row:
        """Look at the domain's DKIM and SPF records and keep the result."""
        domain = row["domain"]
        texts: list[str] = []
        spf = (False, ["no SPF record"], list[str]())
        if not self._lags(row["id"]):
            texts = await self._zone.lookup(f"mailjet._domainkey.{domain}", "TXT")
            spf = await spf_includes(self._zone, domain, SPF_HOST)
        dkim_errors, current = _dkim_errors(texts, row["dkim_public"])
        spf_found, spf_errors, spf_records = spf
        dkim_status = "Error" if dkim_errors else "OK"
        spf_status = "OK" if spf_found else "Error" if spf_records else "Not found"
        self._db.execute(
            "UPDATE dns SET dkim_status = ?, spf_status = ?, last_check_at = ? WHERE id = ?",
            (dkim_status, spf_status, timestamp(), row["id"]),
        )
        return {
            "DKIMErrors": dkim_errors,
            "DKIMRecordCurrentValue": current,
            "DKIMStatus": dkim_status,
            "SPFErrors": spf_errors,
            "SPFRecordsCurrentValues": spf_records,
            "SPFStatus": spf_status,
        }

    async def owned(self, dns_id: int) -> bool:
        """Whether the ownership TXT record stands in the zone."""
        row = self._db.execute("SELECT * FROM dns WHERE id = ?", (dns_id,)).fetchone()
        if row is None or self._lags(dns_id):
            return False
        name = f"mailjet._{row['token'][:8]}.{row['domain']}"
        return row["token"] in [text.strip() for text in await self._zone.lookup(name, "TXT")]


def _dkim_errors(texts: list[str], public: str) -> tuple[list[str], str]:
    if not texts:
        return ["no DKIM record"], ""
    if len(texts) > 1:
        return ["more than one DKIM record"], texts[0]
    tags = dict(part.strip().split("=", 1) for part in texts[0].split(";") if "=" in part)
    if re.sub(r"\s", "", tags.get("p", "")) == public:
        return [], texts[0]
    return ["the DKIM record has another key"], texts[0]


def generate_dkim_key(bits: int) -> tuple[str, str]:
    """A new RSA key: (private, PEM; public, the base64 of a DKIM record's `p=`)."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=bits)
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    )
    public = key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return private.decode(), base64.b64encode(public).decode()
