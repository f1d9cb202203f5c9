"""`./mail messages | send`: the mails of the embedded default, as its Mailjet has them."""

from __future__ import annotations

import email
import email.policy
import json as _json
import sys
import threading
from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import requests

from azmail import MailService, OutgoingMail, SmtpTransport
from commands.cli.console import SOON, working
from commands.embedded import running_emulators
from commands.roster import RosterAgent, find, read_agents, read_stack
from commands.stack_commands import Pulumi
from mailboxes import remedies

POLL_SECONDS = 0.5
SHOWN_LINES = 8


class Outbox:
    """What was handed to the emulated Mailjet, by its control plane."""

    def __init__(self, status: dict[str, Any]) -> None:
        self._base = f"{status['mailjet']['url']}/_emulator/outbox"

    def since(self, key: int) -> list[dict[str, Any]]:
        """The messages after this one, oldest first."""
        found: list[dict[str, Any]] = self._get(f"?since={key}").json()["messages"]
        return found

    def content(self, key: int) -> EmailMessage:
        """One message as it was sent."""
        return email.message_from_bytes(self._get(f"/{key}").content, policy=email.policy.default)

    def _get(self, rest: str) -> requests.Response:
        answer = requests.get(self._base + rest, timeout=10)
        answer.raise_for_status()
        return answer


def messages(stack: str, project: Path, *, agent: str, watch: bool, json: bool, state_dir: Path) -> int:
    """Raises NoEmulatorsError, and UnknownAgentError for `agent`."""
    outbox = Outbox(running_emulators(state_dir))
    only = _agent(stack, project, agent).address.lower() if agent else ""
    _show(outbox, 0, only=only, watch=watch, json=json, nothing=f"No mail yet; send one with: {remedies.send()}")
    return 0


def _show(outbox: Outbox, after: int, *, only: str, watch: bool, json: bool, nothing: str = "") -> None:
    shown = False
    for item in _arriving(outbox, after, watch=watch):
        if only and only not in (str(item["from"]).lower(), str(item["to"]).lower()):
            continue
        shown = True
        content = outbox.content(item["id"])
        print(_json.dumps(_data(item, content), ensure_ascii=False) if json else _text(item, content), flush=True)
    if not shown and not json and nothing:
        print(nothing)


def _arriving(outbox: Outbox, after: int, *, watch: bool) -> Iterator[dict[str, Any]]:
    pause = threading.Event()
    while True:
        for item in outbox.since(after):
            after = item["id"]
            yield item
        if not watch:
            return
        pause.wait(POLL_SECONDS)


def _data(item: dict[str, Any], content: EmailMessage) -> dict[str, Any]:
    shown = {key: item[key] for key in ("id", "from", "to", "subject", "message_id", "status")}
    return {**shown, "text": body_text(content)}


def _text(item: dict[str, Any], content: EmailMessage) -> str:
    lines = body_text(content).strip().splitlines()
    more = [f"    … and {len(lines) - SHOWN_LINES} more lines"] if len(lines) > SHOWN_LINES else []
    head = f"{item['id']}  {_plain(item['from'])} -> {_plain(item['to'])}  [{item['status']}]"
    subject = content["Subject"] or item["subject"]
    return "\n".join([head, *(f"    {_plain(line)}" for line in (subject, *lines[:SHOWN_LINES])), *more])


def body_text(content: EmailMessage) -> str:
    """The text of a mail, or what its HTML is a substitute for."""
    part = content.get_body(("plain", "html"))
    return "" if part is None else str(part.get_content())


def _plain(text: object) -> str:
    """Nothing in a mail steers the terminal."""
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in str(text))


def _agent(stack: str, project: Path, who: str) -> RosterAgent:
    return find(read_agents(Pulumi(stack, project=project)), who, where=f"stack {stack!r}")


def send(
    stack: str, project: Path, *, sender: str, to: list[str], subject: str, text: str, watch: bool, state_dir: Path
) -> int:
    """Without `sender` the first agent writes, without `to` the second is written to.

    Raises NoEmulatorsError, NeverUpError, UnknownAgentError and what azmail raises.
    """
    status = running_emulators(state_dir)
    pulumi = Pulumi(stack, project=project)
    with working(f"Reading the agents of {stack}"):
        mailboxes, agents = read_stack(pulumi), [agent for agent in read_agents(pulumi) if agent.is_up]
    where = f"stack {stack!r}"
    writer = find(agents, sender, where=where) if sender else agents[0]
    others = [_recipient(agents, who, where=where) for who in to] or [agents[1 % len(agents)].address]
    mailbox = next(mailbox for mailbox in mailboxes if mailbox.agent_id == writer.id)
    outbox = Outbox(status)
    newest = max((item["id"] for item in outbox.since(0)), default=0)
    mail = OutgoingMail(to=others, subject=subject, text=sys.stdin.read() if text == "-" else text)
    ca_file = status["mailjet"]["smtp"]["ca_file"]
    with working("Sending", after=SOON), SmtpTransport.of(mailbox, ca_file=ca_file) as transport:
        receipt = MailService(mailbox, transport, display_name=writer.name).send(mail)
    print(f"Sent from {writer.address} to {', '.join(others)}: custom id {receipt.custom_id}")
    _show(outbox, newest, only="", watch=watch, json=False)
    return 0


def _recipient(agents: list[RosterAgent], who: str, *, where: str) -> str:
    """An address as it is; else an agent's id or name."""
    return who if "@" in who else find(agents, who, where=where).address


def open_page(folder: Path) -> int:
    """The emulators' page, in the browser of who runs this where there is one."""
    import webbrowser

    url = running_emulators(folder)["page"]
    print(url)
    webbrowser.open(url)
    return 0
