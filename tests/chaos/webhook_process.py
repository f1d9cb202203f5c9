"""`python -m tests.chaos.webhook_process STORE PORT_FILE NOTES`: one process of the webhook, with slow hooks that note
when they begin and end. Ends with its own death only."""

from __future__ import annotations

import os
import socket
import sys
import threading
from pathlib import Path

import uvicorn

from azmail import InboundMail, MailStack, SqliteDeliveries, create_app
from azmail.webhook import BasicAuth
from tests.unit.azmail.conftest import INBOUND_SECRET, stack_outputs

LEASE_SECONDS = 1.0
HOOK_SECONDS = 4.0
MOST_HOOKS = 20


def main(store: Path, port: Path, notes: Path) -> None:
    """Serve, and say at which port."""
    journal = os.open(notes, os.O_WRONLY | os.O_APPEND)
    never = threading.Event()

    def hook(mail: InboundMail, _agent: str) -> None:
        os.write(journal, f"begin {mail.message_id}\n".encode())
        never.wait(HOOK_SECONDS)
        os.write(journal, f"end {mail.message_id}\n".encode())

    app = create_app(
        MailStack(stack_outputs()),
        on_mail=hook,
        auth=BasicAuth(INBOUND_SECRET),
        store=SqliteDeliveries(store),
        lease_seconds=LEASE_SECONDS,
        most_hooks=MOST_HOOKS,
    )
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(1024)
        whole = port.with_suffix(".new")
        whole.write_text(str(listening.getsockname()[1]))
        whole.replace(port)
        uvicorn.Server(uvicorn.Config(app, log_level="warning")).run(sockets=[listening])


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
