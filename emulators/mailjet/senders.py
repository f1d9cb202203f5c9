"""`/v3/REST/sender`: addresses and domains (`*@domain`) that an API key may send from."""

from __future__ import annotations

import re
import secrets
import sqlite3
from collections.abc import Callable

from emulators.mailjet.answers import (
    Duplicate,
    InvalidValue,
    MissingProperty,
    NotSettable,
    Refusal,
    Row,
    is_id,
    timestamp,
    truth,
)
from emulators.mailjet.domains import Domains
from emulators.mailjet.state import ApiKey, MailjetState

MOST_SENDERS = 100
EMAIL_TYPES = ("transactional", "bulk", "unknown")
PROPERTIES: dict[str, type] = {"Email": str, "Name": str, "EmailType": str, "IsDefaultSender": bool, "Status": str}
READ_ONLY: dict[str, type] = {"ID": int, "DNSID": int, "CreatedAt": str, "Filename": str}
SHARED_DOMAINS = frozenset({"gmail.com", "outlook.com", "hotmail.com", "yahoo.com", "icloud.com"})

_LABEL = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_DOMAIN = re.compile(rf"(?=.{{1,253}}$){_LABEL}(?:\.{_LABEL})+")
_LOCAL_PART = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}")

_DUPLICATE = (
    'There is an already existing {} sender with the same email. You can use "validate" action in order to activate it.'
)


def split_address(address: str) -> tuple[str, str] | None:
    """(local part, domain in lower case), or None for what is no address."""
    local, _, domain = address.rpartition("@")
    if not _LOCAL_PART.fullmatch(local) or not _DOMAIN.fullmatch(domain):
        return None
    if domain.rpartition(".")[2].isdecimal():
        return None
    if local.startswith(".") or local.endswith(".") or ".." in local:
        return None
    return local, domain.lower()


class Senders:
    """The senders of all keys; `send_activation(key, email, token)` mails the link that activates one."""

    def __init__(
        self, state: MailjetState, domains: Domains, send_activation: Callable[[ApiKey, str, str], None]
    ) -> None:
        self._state = state
        self._db = state.db
        self._domains = domains
        self._send_activation = send_activation

    def find(self, key: ApiKey, name: str) -> sqlite3.Row | None:
        """The sender with this id or address, soft-deleted ones included."""
        by_id = is_id(name)
        column = "id" if by_id else "email"
        row: sqlite3.Row | None = self._db.execute(
            f"SELECT * FROM sender WHERE apikey_id = ? AND {column} = ?",  # noqa: S608 - one of two names
            (key.id, int(name) if by_id else name),
        ).fetchone()
        return row

    def may_send(self, key: ApiKey, address: str) -> bool:
        """Whether `address` or its domain is an active sender."""
        parts = split_address(address)
        if parts is None:
            return False
        query = "SELECT 1 FROM sender WHERE apikey_id = ? AND email IN (?, ?) AND status = 'Active'"
        return self._db.execute(query, (key.id, address, f"*@{parts[1]}")).fetchone() is not None

    def domain_is_verified(self, key: ApiKey, domain: str) -> bool:
        """Whether `*@domain` is active."""
        return self._status(key, f"*@{domain}") == "Active"

    def _status(self, key: ApiKey, email: str) -> str | None:
        row = self.find(key, email)
        return None if row is None else str(row["status"])

    def listed(self, key: ApiKey, query: dict[str, str]) -> list[Row]:
        """The rows that pass the query's filters; deleted ones only with ShowDeleted."""
        rows = self._db.execute("SELECT * FROM sender WHERE apikey_id = ? ORDER BY id", (key.id,))
        shown = [self.shown(row) for row in rows]
        wanted_status = query.get("status", "").lower()
        if wanted_status:
            shown = [row for row in shown if row["Status"].lower() == wanted_status]
        if not truth(query.get("showdeleted")) and wanted_status != "deleted":
            shown = [row for row in shown if row["Status"] != "Deleted"]
        if "dnsid" in query:
            shown = [row for row in shown if str(row["DNSID"]) == query["dnsid"]]
        if "email" in query:
            shown = [row for row in shown if row["Email"].lower() == query["email"].lower()]
        if "domain" in query:
            shown = [row for row in shown if row["Email"].lower().endswith("@" + query["domain"].lower())]
        if "localpart" in query:
            shown = [row for row in shown if row["Email"].partition("@")[0].lower() == query["localpart"].lower()]
        if "isdomainsender" in query:
            catch_all = truth(query["isdomainsender"])
            shown = [row for row in shown if row["Email"].startswith("*@") == catch_all]
        return shown

    def shown(self, row: sqlite3.Row) -> Row:
        """The row as the API gives it."""
        return {
            "CreatedAt": row["created_at"],
            "DNSID": row["dns_id"],
            "Email": row["email"],
            "EmailType": row["email_type"],
            "Filename": row["filename"],
            "ID": row["id"],
            "IsDefaultSender": bool(row["is_default"]),
            "Name": row["name"],
            "Status": row["status"],
        }

    def create(self, key: ApiKey, given: Row) -> Row:
        """A new sender: active at once on a validated domain, else inactive until validated."""
        self._refuse_read_only(given)
        email = given.get("Email", "")
        if not email:
            raise MissingProperty("Email")
        parts = split_address(email)
        if parts is None:
            raise InvalidValue("Email", f'MJ07 Value "{email}" is not a valid email address')
        local, domain = parts
        self._refuse_email_type(given)
        self._refuse_duplicate(key, email)
        count = self._db.execute("SELECT count(*) FROM sender WHERE apikey_id = ?", (key.id,)).fetchone()[0]
        if count >= MOST_SENDERS:
            raise Refusal(400, f"The maximum number of senders ({MOST_SENDERS}) has been reached for this API key")
        dns_id = -1 if domain in SHARED_DOMAINS else self._domains.ensure(key, domain)
        at_once = local != "*" and self.domain_is_verified(key, domain)
        token = secrets.token_hex(16)
        filename = f"{self._token(dns_id)}.txt" if local == "*" else ""
        self._db.execute(
            "INSERT INTO sender (apikey_id, email, name, email_type, is_default, status, dns_id, filename,"
            " activation, created_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                key.id,
                email,
                given.get("Name", ""),
                given.get("EmailType", "unknown"),
                int(given.get("IsDefaultSender", False)),
                "Active" if at_once else "Inactive",
                dns_id,
                filename,
                token,
                timestamp(),
            ),
        )
        if local != "*" and not at_once:
            self._send_activation(key, email, token)
        return self._shown_again(key, email)

    def _token(self, dns_id: int) -> str:
        row = self._db.execute("SELECT token FROM dns WHERE id = ?", (dns_id,)).fetchone()
        return str(row["token"]) if row is not None else secrets.token_hex(16)

    def _shown_again(self, key: ApiKey, email: str) -> Row:
        row = self.find(key, email)
        assert row is not None, "written a moment ago"  # noqa: S101
        return self.shown(row)

    def _refuse_duplicate(self, key: ApiKey, email: str) -> None:
        status = self._status(key, email)
        if status is None:
            return
        if status == "Active":
            duplicate = Duplicate("Sender", email, "Email")
            if self._state.switches.active_duplicate_in == "ErrorInfo":
                raise Refusal(400, "Object properties invalid", duplicate.message)
            raise duplicate
        raise Refusal(400, _DUPLICATE.format(status.lower()))

    def _refuse_read_only(self, given: Row) -> None:
        if "Status" in given:
            raise NotSettable("Status", self._state.switches.status_write_status)
        for name in READ_ONLY:
            if name in given:
                raise NotSettable(name)

    def _refuse_email_type(self, given: Row) -> None:
        if "EmailType" in given and given["EmailType"] not in EMAIL_TYPES:
            raise InvalidValue("EmailType", f"MJ05 Value must be one of {', '.join(EMAIL_TYPES)}")

    def change(self, key: ApiKey, row: sqlite3.Row, given: Row) -> Row | None:
        """Change what is given; None when that changes nothing."""
        self._refuse_read_only({name: value for name, value in given.items() if name != "Status"})
        if given.get("Status", row["status"]) != row["status"]:
            raise NotSettable("Status", self._state.switches.status_write_status)
        if given.get("Email", row["email"]) != row["email"]:
            raise NotSettable("Email")
        self._refuse_email_type(given)
        status = row["status"]
        if status == "Deleted" and self._state.switches.put_revives_deleted_sender:
            status = "Inactive"
        new = (
            given.get("Name", row["name"]),
            given.get("EmailType", row["email_type"]),
            int(given.get("IsDefaultSender", row["is_default"])),
            status,
        )
        if new == (row["name"], row["email_type"], row["is_default"], row["status"]):
            return None
        self._db.execute(
            "UPDATE sender SET name = ?, email_type = ?, is_default = ?, status = ? WHERE id = ?",
            (*new, row["id"]),
        )
        return self._shown_again(key, row["email"])

    def delete(self, row: sqlite3.Row) -> None:
        """Soft: the row stays, with status Deleted."""
        self._db.execute("UPDATE sender SET status = 'Deleted', is_default = 0 WHERE id = ?", (row["id"],))

    async def validate(self, key: ApiKey, row: sqlite3.Row) -> Row:
        """Try to activate a sender; a failure is an ordinary answer with its reasons."""
        if row["status"] == "Active":
            raise Refusal(400, "This sender is already active")
        if row["status"] == "Deleted" and not self._state.switches.validate_revives_deleted_sender:
            raise Refusal(400, "This sender has been deleted")
        email: str = row["email"]
        local, _, domain = email.partition("@")
        if local != "*":
            return self._validate_address(key, row, domain)
        if await self._domains.owned(row["dns_id"]):
            self._activate(row["id"])
            return _validation("DNS")
        if row["status"] == "Deleted":
            self._db.execute("UPDATE sender SET status = 'Inactive' WHERE id = ?", (row["id"],))
        return _validation(
            "",
            file_error=f" File verification failed as {row['filename']} cannot be found at domain root.",
            dns_error=(
                " DNS record verification failed as no TXT record for that ownership token was found"
                " on the remote server."
            ),
            error=(
                "Neither the file at your domain root nor the DNS TXT record have been found to validate this sender."
            ),
        )

    def _validate_address(self, key: ApiKey, row: sqlite3.Row, domain: str) -> Row:
        if self.domain_is_verified(key, domain):
            self._activate(row["id"])
            return _validation("Domain")
        if row["status"] == "Deleted":
            self._db.execute("UPDATE sender SET status = 'Inactive' WHERE id = ?", (row["id"],))
        self._send_activation(key, row["email"], row["activation"])
        return _validation("ActivationEmail")

    def _activate(self, sender_id: int) -> None:
        self._db.execute("UPDATE sender SET status = 'Active' WHERE id = ?", (sender_id,))

    def follow_activation_link(self, token: str) -> str | None:
        """Activate the sender whose mail carried `token`; its address, or None for an unknown link."""
        row = self._db.execute(
            "SELECT * FROM sender WHERE activation = ? AND email NOT LIKE '*@%'", (token,)
        ).fetchone()
        if row is None:
            return None
        self._activate(row["id"])
        return str(row["email"])


def _validation(method: str, *, file_error: str = "", dns_error: str = "", error: str = "") -> Row:
    return {
        "ValidationMethod": method,
        "Errors": {"FileValidationError": file_error, "DNSValidationError": dns_error},
        "GlobalError": error,
    }
