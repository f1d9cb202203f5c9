"""The inbox as an agent meets it: reachable, its own mailbox and no other's, and whether what it hands on arrives.

Wherever it runs: all of it is asked at the API's own address, by way of a tunnel too.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator

from azmail.contract import Mailbox
from azmail.inbox.client import InboxClient, InboxError
from azmail.stack import MailStack
from commands.doctor.finding import Check, Finding
from commands.doctor.stack import ExaminedStack
from commands.inbox_mails import status_of
from mailboxes import remedies
from settings.urls import is_loopback

INBOX = Check("inbox")
TIMEOUT_SECONDS = 10.0
LATE_SECONDS = 300.0


def inbox_findings(examined: ExaminedStack, *, without_file: bool = False) -> Iterator[Finding]:
    """Nothing for a stack without one. It only reads. `without_file`: it is that of an embedded default whose services
    have not been given their file. Its port is held then and says nothing, so it is not asked."""
    stack = examined.outputs
    if not examined.settings.has_inbox or stack is None:
        return
    label = examined.inbox_url
    if not label:
        yield INBOX.warning(
            examined.settings.inbox_api_url,
            f"The last up has made no credentials for it: make them with: {remedies.apply(examined.stack)}",
        )
        return
    if without_file and not examined.inbox_elsewhere:
        yield INBOX.warning(
            label, f"The inbox of the embedded default has not been given its file: give it one with: {remedies.up()}"
        )
        return
    code = status_of(_platform(label, stack.inbox_token), lambda inbox: inbox.mailbox())
    if code != 200:
        yield _unread(examined.stack, label, code)
        return
    yield INBOX.ok(label, "It answers, and the platform's credential reads all mailboxes.")
    yield _stranger(label)
    if examined.mailboxes:
        yield from _as_an_agent(examined, stack, label)
    yield from _state(label, stack.inbox_token)


def _unread(stack: str, url: str, code: int) -> Finding:
    """Why the platform's credential reads nothing there."""
    if not code:
        return _away(url)
    if code == 503:
        return INBOX.error(
            url,
            "It answers 503: its database does not answer, or its disk is full; until then Mailjet brings all mail again.",
        )
    if code == 401:
        return INBOX.error(
            url,
            f"It refuses the platform's credential (401), so it has another file than this stack's: {_give_file(stack)}",
        )
    return INBOX.error(
        url,
        f"It answers {code}, expected 200, so it is not the inbox that listens there, or nothing behind the tunnel: look at "
        "inboxUrl and inboxService, and whether it runs (docker compose ps mail-inbox).",
    )


def _stranger(url: str) -> Finding:
    code = status_of(_platform(url, secrets.token_urlsafe(32)), lambda inbox: inbox.mailbox())
    if code == 401:
        return INBOX.ok("a wrong credential", "Refused.")
    return INBOX.error(
        "a wrong credential",
        f"Not refused ({code}), expected 401: what listens at {url} lets anybody read; look at inboxUrl, and at what stands "
        "before the inbox.",
    )


def _as_an_agent(examined: ExaminedStack, stack: MailStack, url: str) -> Iterator[Finding]:
    first, other = examined.mailboxes[0], examined.mailboxes[-1]
    own = stack.inbox_password(first.agent_id)
    code = status_of(_client(url, first, own), lambda inbox: inbox.mailbox())
    if code != 200:
        yield INBOX.error(
            first.address,
            f"It refuses the agent's own credential ({code}): it has another file than this stack's, or the credential was "
            f"revoked: {_give_file(examined.stack)}",
        )
        return
    yield INBOX.ok(first.address, "The agent's own credential opens its mailbox.")
    if first == other:
        return
    found = (
        status_of(_client(url, other, own), lambda inbox: inbox.mailbox()),
        status_of(_client(url, first, own), lambda inbox: next(inbox.messages(agent=other.agent_id), None)),
    )
    label = f"{first.address} at {other.address}"
    if found == (401, 404):
        yield INBOX.ok(label, "Refused: an agent reads its own mailbox alone.")
    else:
        yield INBOX.error(
            label,
            f"Not refused ({found[0]} and {found[1]}), expected 401 and 404: whatever listens at {url} is not the inbox; "
            "look at inboxUrl.",
        )


def _state(url: str, token: str) -> Iterator[Finding]:
    """Its database's step, and what waits for hooks."""
    with _platform(url, token) as inbox:
        try:
            found = inbox.state()
        except InboxError as error:
            yield INBOX.warning(
                "hooks",
                f"It does not say what waits and what has failed ({error.status or 'no answer'}), so it may be of an older version: "
                "beside it `azmail inbox dead` lists what has failed.",
            )
            return
    if found["database_step"] != found["program_step"]:
        yield INBOX.warning(
            "database",
            f"Its tables are at step {found['database_step']}, the program that runs expects {found['program_step']}: start the "
            "newer version everywhere, or run `azmail inbox migrate` beside it.",
        )
    waiting, dead = int(found["waiting"]), int(found["dead"])
    if dead:
        yield INBOX.error(
            "hooks",
            f"{dead:,} hook calls have failed for good: beside the inbox `azmail inbox dead` lists them with their errors, and "
            "`azmail inbox dead --retry all` tries them again.",
        )
    if found["lag_seconds"] > LATE_SECONDS:
        yield INBOX.warning(
            "hooks",
            f"{waiting:,} hook calls wait, the oldest is {found['lag_seconds']:,.0f} s late: too few workers run (azmail inbox "
            "work), or a hook is slow.",
        )
    elif not dead:
        yield INBOX.ok(
            "hooks", f"{waiting:,} wait for their next attempt." if waiting else "All that came was handed on."
        )


def _platform(url: str, token: str) -> InboxClient:
    return InboxClient.of_platform(url, token, timeout=TIMEOUT_SECONDS)


def _client(url: str, mailbox: Mailbox, password: str) -> InboxClient:
    return InboxClient(url, mailbox.agent_id, password, timeout=TIMEOUT_SECONDS)


def _give_file(stack: str) -> str:
    return (
        f"give it the present one with: {remedies.mail('gateway', 'file', '--stack', stack)}, for the embedded default with: "
        f"{remedies.up()}"
    )


def _away(url: str) -> Finding:
    if is_loopback(url):
        return INBOX.error(url, f"The inbox does not answer: start it with: {remedies.up()}")
    return INBOX.warning(
        url,
        "The inbox cannot be reached from here; it is on the platform's network as a rule: run this beside the platform, or "
        "look there whether it runs (docker compose ps mail-inbox).",
    )
