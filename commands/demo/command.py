"""`./mail demo`: the whole loop on the embedded default; one line a step."""

from __future__ import annotations

from typing import Any

from azmail import MailStack
from commands.demo.loop import Mailjet, run
from commands.embedded_mail import ca_file


def show(stack: MailStack, status: dict[str, Any], *, patience: float) -> None:
    """Run the loop against running emulators. `patience`: seconds to wait for each mail.

    Raises AzmailError, NoMailError or UnexpectedError at the first step that has another outcome than it must have.
    """
    run(
        stack,
        _mailjet(status, ca_file(stack.mailboxes[0], status)),
        lambda line: print(line, flush=True),
        patience=patience,
    )
    print("The loop is closed: sent, signed, routed, delivered, kept, read and answered.")


def _mailjet(status: dict[str, Any], authority: str) -> Mailjet:
    def place(entry: dict[str, str]) -> tuple[str, int]:
        return entry["host"], int(entry["port"])

    return Mailjet(
        smtp_ca_file=authority,
        inbound=place(status["mailjet"]["inbound"]),
        edge=place(status["cloudflare"]["edge"]),
    )
