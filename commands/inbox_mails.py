"""`./mail messages | send` of a real stack: its inbox, read with the platform's credential, written to with the agent's own."""

from __future__ import annotations

import json as _json
from collections.abc import Callable
from itertools import islice
from typing import Any

from azmail.errors import NoInboxError
from azmail.inbox.client import InboxClient, InboxError, Message
from azmail.stack import MailStack
from commands.cli.console import SOON, working
from commands.roster import RosterAgent

SHOWN = 50
"""Of what is there already."""
WAIT_SECONDS = 30


def show(stack: MailStack, agent: RosterAgent | None, *, url: str, watch: bool, json: bool) -> None:
    """The newest 50, the newest last, then with `watch` what comes. Raises NoInboxError and InboxError."""
    if not stack.inbox_url:
        raise NoInboxError(stack.domain)
    addresses = {mailbox.agent_id: mailbox.address for mailbox in stack}
    of = {"agent": agent.id} if agent else {}

    def tell(mail: Message) -> None:
        print(_json.dumps(mail, ensure_ascii=False) if json else _text(mail, addresses), flush=True)

    with InboxClient.of_platform(url or stack.inbox_url, stack.inbox_token) as inbox:
        with working("Reading the inbox", after=SOON):
            place = inbox.mailbox()["cursor"]
            found = list(islice(inbox.messages(limit=SHOWN, **of), SHOWN))
        for mail in reversed(found):
            tell(mail)
        if not found and not json:
            print("No mail yet.")
        if watch:
            _follow(inbox, place, of, tell)


def _follow(inbox: InboxClient, place: str, of: dict[str, str], tell: Callable[[Message], None]) -> None:
    while True:
        came, place = inbox.after(place, wait=WAIT_SECONDS, **of)
        for mail in came:
            tell(mail)


def send(stack: MailStack, writer: RosterAgent, to: list[str], *, subject: str, text: str, url: str) -> dict[str, Any]:
    """By the inbox, as the agent itself; the receipt. Raises NoInboxError and InboxError."""
    with stack.inbox(writer.id, url=url) as inbox, working("Sending", after=SOON):
        return inbox.send(to=to, subject=subject, text=text)


def status_of(inbox: InboxClient, look: Callable[[InboxClient], object]) -> int:
    """What the inbox says to a look, which ends the client: 200 where it was shown, 0 where nobody answers."""
    with inbox:
        try:
            look(inbox)
        except InboxError as error:
            return error.status
    return 200


def _text(mail: Message, addresses: dict[str, str]) -> str:
    sender = (mail["sender"] or {}).get("email") or "nobody"
    if mail["direction"] == "in":
        to = addresses.get(mail["agent"], mail["agent"])
        state = "read" if mail["seen"] else "new"
    else:
        to = ", ".join(one["email"] for one in mail["to"])
        state = "sent"
    head = f"{mail['stored_at'][:19]}  {plain(sender)} -> {plain(to)}  [{state}]"
    return "\n".join([head, *(f"    {plain(line)}" for line in (mail["subject"], mail["snippet"]) if line)])


def plain(text: object) -> str:
    """Nothing in a mail steers the terminal."""
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in str(text))
