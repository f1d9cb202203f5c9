"""`azmail gateway serve` as a process, and the file that it is started with."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from email import message_from_bytes
from email.policy import SMTP
from pathlib import Path
from typing import Any

import requests

from azmail.smtp import SmtpTransport
from emulators.embedded import EmbeddedMailjet
from tests import forks

ROOT = Path(__file__).parents[4]
A, B = "a.a.123.20250101120000@agents.example", "b.b.123.20250101120000@agents.example"


def write_config(folder: Path, mailjet: EmbeddedMailjet, agents: dict[str, Any], roots: dict[str, str]) -> None:
    config = {
        "domain": "agents.example",
        "roots": roots,
        "upstream": {
            "apiKey": mailjet.api_key,
            "apiSecret": mailjet.api_secret,
            "smtpHost": "localhost",
            "smtpPort": mailjet.submission_port,
            "apiUrl": mailjet.url,
        },
        "agents": agents,
    }
    beside = folder / "gateway.json.new"
    beside.write_text(json.dumps(config))
    beside.replace(folder / "gateway.json")


def activate(mailjet: EmbeddedMailjet, address: str) -> None:
    """Make the address a sender of the account, by the link in the mail that it gets."""
    made = requests.post(f"{mailjet.url}/v3/REST/sender", json={"Email": address}, auth=mailjet.auth, timeout=20)
    assert made.status_code == 201, made.text
    newest = max(message["id"] for message in mailjet.control.outbox())
    octets = requests.get(f"{mailjet.url}/_emulator/outbox/{newest}", timeout=20).content
    link = re.search(r"http://127\.0\.0\.1:\S+", message_from_bytes(octets, policy=SMTP).get_content())
    assert link is not None
    assert requests.get(link[0], timeout=20).status_code == 200


class Running:
    """One gateway process and its doors."""

    def __init__(self, folder: Path, ca_file: Path, *, python: str | None = None) -> None:
        """`python`: one of its own, where the test looks at the process itself."""
        self.folder = folder
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith(("AZMAIL_", "MAILJET_"))
        }
        self.log = (folder / "gateway.log").open("a")
        self.process = subprocess.Popen(
            [
                python or forks.python(), "-m", "azmail", "gateway", "serve", "--config", "gateway.json", "--starttls-port", "0",
                "--tls-port", "none",
                "--http-port", "0", "--https-port", "0", "--upstream-ca", str(ca_file),
            ],
            cwd=folder,
            env=environment | {"PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            stderr=self.log,
            text=True,
        )  # fmt: skip
        assert self.process.stdout is not None
        lines = [self.process.stdout.readline() for _ in range(4)]
        found = [re.search(r"127\.0\.0\.1:(\d+)", line) for line in lines[:3]]
        assert all(found), [*lines, (folder / "gateway.log").read_text()]
        self.port, self.http, self.https = (int(match[1]) for match in found if match)
        self.ca_file = folder / "azmail-gateway-tls" / "ca.pem"

    def transport(self, user: str, password: str) -> SmtpTransport:
        return SmtpTransport("127.0.0.1", self.port, user, password, ca_file=self.ca_file)

    def end(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        code = self.process.wait(40)
        assert self.process.stdout is not None
        self.process.stdout.close()
        self.log.close()
        return code
