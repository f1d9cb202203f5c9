"""The inbox as an agent meets it: reachable, its own mailbox and no other's, and whether what it hands on arrives."""

from __future__ import annotations

import re
from collections.abc import Iterator

import requests

from azmail.contract import Mailbox
from azmail.inbox.client import InboxClient
from azmail.stack import MailStack
from commands.doctor.finding import Check, Finding
from commands.doctor.stack import ExaminedStack
from commands.inbox_mails import status_of
from mailboxes import remedies
from settings.urls import is_loopback

INBOX = Check("inbox")
TIMEOUT_SECONDS = 10.0
LATE_SECONDS = 300.0
_NUMBER = re.compile(r"^azmail_inbox_(jobs_waiting|jobs_dead|lag_seconds) ([0-9.e+-]+)$", re.MULTILINE)


def inbox_findings(examined: ExaminedStack, *, without_file: bool = False) -> Iterator[Finding]:
    """Nothing for a stack without one. It only reads. `without_file`: it is that of an embedded default whose services
    have not been given their file, so nothing has failed where it does not answer."""
    stack = examined.outputs
    if not examined.settings.has_inbox or stack is None:
        return
    label = stack.inbox_url
    if not stack.inbox_url:
        yield INBOX.warning(
            examined.settings.inbox_api_url,
            f"The last up has made no credentials for it: make them with: {remedies.apply(examined.stack)}",
        )
        return
    platform = InboxClient.of_platform(label, stack.inbox_token, timeout=TIMEOUT_SECONDS)
    code = status_of(platform, lambda inbox: inbox.mailbox())
    if not code:
        yield _away(label, without_file=without_file)
    elif code == 503:
        yield INBOX.error(
            label,
            "It answers 503: its database does not answer, or its disk is full; until then Mailjet brings all mail again.",
        )
    elif code != 200:
        yield INBOX.error(
            label,
            f"It refuses the platform's credential ({code}), so it has another file than this stack's, or something else "
            f"listens there: {_give_file(examined.stack)}",
        )
    else:
        yield INBOX.ok(label, "It answers, and the platform's credential reads all mailboxes.")
        if examined.mailboxes:
            yield from _as_an_agent(examined, stack, label)
        yield from _hooks(label)


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


def _hooks(url: str) -> Iterator[Finding]:
    """What waits for hooks; nothing where /metrics is not to be seen from here, as through a tunnel."""
    try:
        text = requests.get(f"{url}/metrics", timeout=TIMEOUT_SECONDS).text
    except requests.RequestException:
        return
    found = {name: float(value) for name, value in _NUMBER.findall(text)}
    if len(found) < 3:
        return
    waiting = int(found["jobs_waiting"])
    if dead := int(found["jobs_dead"]):
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


def _client(url: str, mailbox: Mailbox, password: str) -> InboxClient:
    return InboxClient(url, mailbox.agent_id, password, timeout=TIMEOUT_SECONDS)


def _give_file(stack: str) -> str:
    return (
        f"give it the present one with: {remedies.mail('gateway', 'file', '--stack', stack)}, for the embedded default with: "
        f"{remedies.up()}"
    )


def _away(url: str, *, without_file: bool) -> Finding:
    if without_file:
        return INBOX.warning(
            url, f"The inbox of the embedded default has not been given its file: give it one with: {remedies.up()}"
        )
    if is_loopback(url):
        return INBOX.error(url, f"The inbox does not answer: start it with: {remedies.up()}")
    return INBOX.warning(
        url,
        "The inbox cannot be reached from here; it is on the platform's network as a rule: run this beside the platform, or "
        "look there whether it runs (docker compose ps mail-inbox).",
    )
