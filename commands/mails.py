"""`./mail messages | send`: the mails of the embedded default, as its page has them; of any other stack, those of its inbox."""

from __future__ import annotations

import json as _json
import os
import sys
from pathlib import Path

from azmail import MailService, OutgoingMail, SmtpTransport
from commands import inbox_mails
from commands.cli.console import SOON, working
from commands.embedded import running_emulators
from commands.embedded_mail import ca_file, hand_over
from commands.inbox_mails import plain
from commands.letters import Letter, LetterBox
from commands.roster import RosterAgent, find, read_agents, stack_of
from commands.stack_commands import Pulumi
from engine.stacks import StackFile
from mailboxes import remedies

SHOWN_LINES = 8
ON_THE_WAY = ("queued", "on its way", "to be tried again")


def messages(
    stack: str, project: Path, *, agent: str, watch: bool, json: bool, state_dir: Path, inbox: str = ""
) -> int:
    """`inbox`: the URL at which the stack's inbox is reached from here, instead of what the emulators' page shows.

    Raises NoEmulatorsError, EmulatorsEndedError while it watches, and UnknownAgentError for `agent`; of a real stack NoInboxError
    and InboxError.
    """
    if inbox or not _is_embedded(stack, project):
        pulumi = Pulumi(stack, project=project)
        with working(f"Reading the agents of {stack}"):
            found = stack_of(stack, pulumi.outputs())
        inbox_mails.show(found, _agent(stack, project, agent) if agent else None, url=inbox, watch=watch, json=json)
        return 0
    status = running_emulators(state_dir)
    box = LetterBox(status["page"], agent=_agent(stack, project, agent).address if agent else "")
    shown = _show(box, 0, watch=watch, json=json)
    if not shown and not json:
        print(f"No mail yet; send one with: {remedies.send()}")
    return 0


def _show(box: LetterBox, after: int, *, watch: bool, json: bool) -> int:
    """Print what came after a letter, and with `watch` what comes and what becomes of it; how many there were."""
    waiting: dict[int, str] = {}
    shown = 0
    for letter in box.after(after):
        after, shown = _print(letter, waiting, json=json), shown + 1
    if not watch:
        return shown
    for _ in box.changes():
        for letter in box.after(after):
            after, shown = _print(letter, waiting, json=json), shown + 1
        for letter in box.these(list(waiting)):
            if letter["outcome"] != waiting[letter["id"]]:
                print(_json.dumps(letter, ensure_ascii=False) if json else _outcome(letter), flush=True)
                _wait_for(letter, waiting)
    return shown


def _print(letter: Letter, waiting: dict[int, str], *, json: bool) -> int:
    print(_json.dumps(letter, ensure_ascii=False) if json else _text(letter), flush=True)
    _wait_for(letter, waiting)
    return int(letter["id"])


def _wait_for(letter: Letter, waiting: dict[int, str]) -> None:
    """Remember one of which more is to be heard; the oldest is forgotten where there are many."""
    waiting.pop(letter["id"], None)
    if letter["outcome"].startswith(ON_THE_WAY):
        waiting[letter["id"]] = letter["outcome"]
        while len(waiting) > 50:
            del waiting[next(iter(waiting))]


def _outcome(letter: Letter) -> str:
    return f"{letter['id']}  [{plain(letter['outcome'])}]"


def _text(letter: Letter) -> str:
    lines = str(letter["text"]).strip().splitlines()
    more = [f"    … and {len(lines) - SHOWN_LINES} more lines"] if len(lines) > SHOWN_LINES else []
    head = f"{letter['id']}  {plain(letter['from'])} -> {plain(letter['to'])}  [{plain(letter['outcome'])}]"
    return "\n".join([head, *(f"    {plain(line)}" for line in (letter["subject"], *lines[:SHOWN_LINES])), *more])


def _is_embedded(stack: str, project: Path) -> bool:
    """Whether the emulators have its mails."""
    return not StackFile.of(project, stack).off_loopback()


def _agent(stack: str, project: Path, who: str) -> RosterAgent:
    return find(read_agents(Pulumi(stack, project=project)), who, where=f"stack {stack!r}")


def send(
    stack: str,
    project: Path,
    *,
    sender: str,
    to: list[str],
    subject: str,
    text: str,
    watch: bool,
    state_dir: Path,
    inbox: str = "",
) -> int:
    """Without `sender` the first agent writes, without `to` the second is written to.

    Raises NoEmulatorsError, NeverUpError, UnknownAgentError and what azmail raises.
    """
    is_real = bool(inbox) or not _is_embedded(stack, project)
    status = {} if is_real else running_emulators(state_dir)
    pulumi = Pulumi(stack, project=project)
    with working(f"Reading the agents of {stack}"):
        outputs = pulumi.outputs()
        mailboxes, agents = stack_of(stack, outputs), [agent for agent in read_agents(pulumi) if agent.is_up]
        if not is_real:
            hand_over(outputs, status)
    where = f"stack {stack!r}"
    writer = find(agents, sender, where=where) if sender else agents[0]
    others = [_recipient(agents, who, where=where) for who in to] or [agents[1 % len(agents)].address]
    written = sys.stdin.read() if text == "-" else text
    if is_real:
        answer = inbox_mails.send(mailboxes, writer, others, subject=subject, text=written, url=inbox)
        print(f"Sent from {writer.address} to {', '.join(answer['recipients'])}: custom id {answer['custom_id']}")
        if watch:
            inbox_mails.show(mailboxes, None, url=inbox, watch=True, json=False)
        return 0
    mailbox = next(mailbox for mailbox in mailboxes if mailbox.agent_id == writer.id)
    box = LetterBox(status["page"])
    newest = box.newest()
    mail = OutgoingMail(to=others, subject=subject, text=written)
    authority = ca_file(mailbox, status)
    with working("Sending", after=SOON), SmtpTransport.of(mailbox, ca_file=authority) as transport:
        receipt = MailService(mailbox, transport, display_name=writer.name).send(mail)
    print(f"Sent from {writer.address} to {', '.join(others)}: custom id {receipt.custom_id}")
    _show(box, newest, watch=watch, json=False)
    return 0


def _recipient(agents: list[RosterAgent], who: str, *, where: str) -> str:
    """An address as it is; else an agent's id or name."""
    return who if "@" in who else find(agents, who, where=where).address


def inbox(words: list[str], folder: Path) -> int:
    """`azmail inbox WORDS` on the database of the emulators' inbox. Raises NoEmulatorsError and what azmail raises."""
    from azmail.inbox.commands import run as run_inbox

    if not {"-h", "--help"} & set(words):
        os.environ["AZMAIL_INBOX_DATABASE"] = running_emulators(folder)["inbox"]["database"]
    run_inbox(words)
    return 0


def open_page(folder: Path) -> int:
    """The emulators' page, in the browser of who runs this where there is one."""
    import webbrowser

    url = running_emulators(folder)["page"]
    print(url)
    webbrowser.open(url)
    return 0
