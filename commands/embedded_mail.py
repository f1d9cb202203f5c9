"""Gateway and inbox of the embedded default: they are given their file, and waited for until they take the agents' logins."""

from __future__ import annotations

import json
import os
import smtplib
import ssl
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from azmail.atomic import write_private
from azmail.contract import Mailbox, expand_mailboxes
from azmail.inbox.client import InboxError
from azmail.stack import MailStack
from commands.cli.options import EMULATORS
from commands.errors import CommandError
from commands.gateway import whole_file
from emulators import lifecycle
from emulators.state_folder import StateFolder
from engine.environment import emulator_credentials
from mailboxes import remedies
from mailboxes.passwords import parse_roots

READY_SECONDS = 30.0
_BETWEEN_LOOKS = 0.05
_NOBODY_YET = "nobody.invalid"


class GatewayNotReadyError(CommandError):
    """It has its file and does not take a login."""

    def __init__(self, what: str, found: str, log: Path) -> None:
        super().__init__(
            f"The {what} was given its file and {found} within {READY_SECONDS:g} s (log: {log}); start everything anew "
            f"with: {remedies.emulators('down')} && {remedies.up()}"
        )


def warm(status: Mapping[str, Any]) -> None:
    """Have it started, with nobody in its directory: while the engine works, it imports what it needs."""
    place = status.get("gateway")
    if place is None or Path(place["file"]).exists():
        return
    credentials = emulator_credentials(Path(status["env_file"]))
    _write(
        Path(place["file"]),
        {
            "domain": _NOBODY_YET,
            "roots": parse_roots(credentials["AGENTMAIL_GATEWAY_ROOTS"]),
            "upstream": {
                "apiKey": credentials["MAILJET_API_KEY"],
                "apiSecret": credentials["MAILJET_API_SECRET"],
                "smtpHost": status["mailjet"]["smtp"]["host"],
                "smtpPort": status["mailjet"]["smtp"]["port"],
                "apiUrl": status["mailjet"]["url"],
            },
            "webhook": {"secret": credentials["MAILJET_INBOUND_SECRET"]},
            "agents": {},
        },
    )


def hand_over_here(outputs: Mapping[str, Any]) -> None:
    """To this clone's emulators, where they run and the stack leads to them. Raises GatewayNotReadyError."""
    status = lifecycle.status(StateFolder(EMULATORS))
    if status["running"]:
        hand_over(outputs, status)


def hand_over(outputs: Mapping[str, Any], status: Mapping[str, Any]) -> None:
    """Give the emulators' gateway and inbox a stack's file, where the stack leads its agents there, and wait until both know
    them.

    Raises GatewayNotReadyError.
    """
    text, place = whole_file(outputs), status.get("gateway")
    if not text or place is None:
        return
    boxes = expand_mailboxes(outputs["mailboxes"])
    if not boxes or (boxes[0].smtp_host, boxes[0].smtp_port) != (place["host"], place["port"]):
        return
    file = Path(place["file"])
    if not (file.exists() and file.read_text(encoding="utf-8") == text):
        _write(file, text)
    log = Path(status["state_dir"]) / "log"
    _until_known("mail gateway", lambda: _login(boxes[-1], Path(place["ca_file"])), log=log)
    stack = MailStack(outputs)
    if stack.inbox_url and stack.inbox_url == (status.get("inbox") or {}).get("url"):
        _until_known("inbox", lambda: _read(stack, boxes[-1]), log=log)


def ca_file(mailbox: Mailbox, status: Mapping[str, Any]) -> str:
    """Which authority vouches for the server that this mailbox sends through."""
    place = status.get("gateway") or {}
    if (mailbox.smtp_host, mailbox.smtp_port) == (place.get("host"), place.get("port")):
        return str(place["ca_file"])
    return str(status["mailjet"]["smtp"]["ca_file"])


def _write(file: Path, content: str | Mapping[str, Any]) -> None:
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_private(file, content if isinstance(content, str) else json.dumps(content))


def _until_known(what: str, look: Callable[[], str], *, log: Path) -> None:
    """`look` says what is in the way, or nothing. Raises GatewayNotReadyError."""
    deadline = time.monotonic() + READY_SECONDS
    while found := look():
        if time.monotonic() > deadline:
            raise GatewayNotReadyError(what, found, log)
        time.sleep(_BETWEEN_LOOKS)


def _read(stack: MailStack, mailbox: Mailbox) -> str:
    """What is in the way of reading the agent's mailbox, or nothing."""
    with stack.inbox(mailbox.agent_id) as inbox:
        try:
            inbox.mailbox()
        except InboxError as error:
            return (
                f"did not open the mailbox of {mailbox.address} (status {error.status})"
                if error.status
                else "did not answer"
            )
    return ""


def _login(mailbox: Mailbox, authority: Path) -> str:
    """What is in the way of it, or nothing."""
    if not authority.exists():
        return "has not come up"
    try:
        with smtplib.SMTP(mailbox.smtp_host, mailbox.smtp_port, timeout=READY_SECONDS) as client:
            client.starttls(context=ssl.create_default_context(cafile=os.fspath(authority)))
            client.login(mailbox.smtp_username, mailbox.smtp_password)
    except smtplib.SMTPAuthenticationError as refused:
        return f"did not take the login of {mailbox.address} ({refused.smtp_code})"
    except (OSError, smtplib.SMTPException) as error:
        return f"did not answer ({type(error).__name__})"
    return ""
