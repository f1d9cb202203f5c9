"""A stack whose inbox is two webhooks and two workers on one PostgreSQL: mail arrives once, whoever of them dies."""

from __future__ import annotations

import os
import shutil
import smtplib
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from email.message import EmailMessage
from pathlib import Path

import pytest
import requests

from azmail import InboxClient, InboxError, MailStack
from azmail.atomic import write_private
from commands.gateway import whole_file
from commands.letters import LetterBox
from tests import forks
from tests.e2e.stack import ROOT, Emulators, Stack
from tests.unit.azmail.conftest import postgres_url as postgres_url
from tests.unit.azmail.databases import empty_database
from tests.waiting import wait_until

HOOK = """
import os
def on_mail(mail, agent):
    log = os.open("calls", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(log, f"{agent} {mail.subject}\\n".encode())
    os.close(log)
"""


@dataclass
class Replicas:
    """Processes of one inbox; the webhooks share one listening socket, as replicas behind a tunnel share a name."""

    stack: Stack
    folder: Path
    listening: socket.socket
    environment: dict[str, str]
    started: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def start(self, name: str, *words: str) -> None:
        with (self.folder / f"{name}.log").open("wb") as log:
            self.started[name] = subprocess.Popen(
                [forks.python(), "-m", "azmail", "inbox", *words],
                cwd=self.folder, env=self.environment, stdout=log, stderr=log, pass_fds=[self.listening.fileno()],
            )  # fmt: skip

    def kill(self, name: str) -> None:
        process = self.started.pop(name)
        process.kill()
        process.wait()

    def stop(self) -> None:
        for process in self.started.values():
            process.terminate()
        assert {name: process.wait(30) for name, process in self.started.items()} == dict.fromkeys(self.started, 0)

    def calls(self) -> list[str]:
        """`agent subject` of each call of the hook."""
        file = self.folder / "calls"
        return file.read_text().splitlines() if file.exists() else []


@pytest.fixture
def replicas(stack: Stack, tmp_path: Path, postgres_url: str) -> Iterator[Replicas]:
    listening = socket.create_server(("127.0.0.1", 0))
    shutil.copy(ROOT / "tests/fixtures/population-3.json", tmp_path / "population.json")
    stack.configure(
        populations=[{"file": str(tmp_path / "population.json"), "createdAt": "20241005123045"}],
        inboxService=f"http://127.0.0.1:{listening.getsockname()[1]}",
    )
    stack.up()
    folder = tmp_path / "inbox"
    folder.mkdir()
    write_private(folder / "gateway.json", whole_file(stack.outputs()))
    (folder / "hook.py").write_text(HOOK)
    with empty_database(postgres_url) as url:
        environment = os.environ | {
            "PYTHONPATH": str(ROOT),
            "AZMAIL_GATEWAY_FILE": str(folder / "gateway.json"),
            "AZMAIL_GATEWAY_DATABASE": url,
            "AZMAIL_INBOX_DATABASE": url,
        }
        made = Replicas(stack, folder, listening, environment)
        made.start("migrate", "migrate")
        assert made.started.pop("migrate").wait(60) == 0
        hook = ("--hook", "work=hook:on_mail")
        for number in ("1", "2"):
            made.start(f"webhook {number}", "serve", "--no-workers", "--port", f"fd:{listening.fileno()}", *hook)
            made.start(f"worker {number}", "work", "--lease", "3", *hook)
        yield made
        made.stop()
    listening.close()


def write(emulators: Emulators, to: str, subject: str) -> None:
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = "ada@outside.example", to, subject
    mail["Message-ID"] = f"<{subject}@outside.example>"
    mail.set_content("Hello")
    place = emulators.status["mailjet"]["inbound"]
    with smtplib.SMTP(place["host"], place["port"], timeout=10) as smtp:
        smtp.send_message(mail)


def test_a_mail_arrives_once_whoever_dies(replicas: Replicas, emulators: Emulators) -> None:
    outputs = MailStack(replicas.stack.outputs())
    box = outputs.mailboxes[0]

    def subjects(inbox: InboxClient) -> list[str]:
        try:
            return [mail["subject"] for mail in inbox.messages()]
        except InboxError as error:
            if error.status:
                raise
            return []

    with outputs.inbox(box.agent_id) as inbox:
        write(emulators, box.address, "first")
        wait_until(lambda: subjects(inbox) == ["first"], "the first mail", seconds=60)
        wait_until(lambda: replicas.calls() == [f"{box.agent_id} first"], "its hook", seconds=20)

        replicas.kill("webhook 1")
        replicas.kill("worker 2")
        write(emulators, box.address, "second")
        wait_until(lambda: subjects(inbox) == ["second", "first"], "the second mail", seconds=60)
        wait_until(lambda: len(replicas.calls()) == 2, "its hook", seconds=20)
        # What Mailjet brings again is known, to whichever of them it is brought.
        page = emulators.status["page"]
        second = LetterBox(page).newest()
        requests.post(f"{page}mail/{second}/again", headers={"Origin": page.rstrip("/")}, timeout=10).raise_for_status()
        wait_until(lambda: _answers(emulators) == [200, 200, 200], "the repetition", seconds=30)
        assert subjects(inbox) == ["second", "first"]
    assert replicas.calls() == [f"{box.agent_id} first", f"{box.agent_id} second"]
    with InboxClient.of_platform(outputs.inbox_url, outputs.inbox_token) as platform:
        assert [mail["agent"] for mail in platform.messages()] == [box.agent_id] * 2


def _answers(emulators: Emulators) -> list[int | None]:
    """What the webhook said last to each delivery."""
    found = requests.get(emulators.control("mailjet", "deliveries"), timeout=10).json()["deliveries"]
    return [one["status"] for one in found]
