"""`azmail inbox …` as a person types it, on SQLite; and `serve` as a process that is told to stop."""

from __future__ import annotations

import json
import mailbox
import os
import signal
import subprocess
from collections.abc import Callable
from email import message_from_bytes
from email.policy import SMTP
from pathlib import Path

import pytest
import requests
from sqlalchemy import update

from azmail.__main__ import main
from azmail.forward import Forwarder
from azmail.gateway.credentials import new_root
from azmail.inbox.commands import _forward_token
from azmail.inbox.database import Database
from azmail.inbox.parcels import received_parcel
from azmail.inbox.queue import HookQueue
from azmail.inbox.reading import MailboxReader, Page
from azmail.inbox.store import MailStore
from azmail.inbox.tables import MAILS
from tests import forks
from tests.chaos.inbox import free_port
from tests.processes import killed_at_the_end
from tests.unit.azmail.inbox.mails import ME, YOU, mail, payload
from tests.unit.azmail.servers import http_server
from tests.waiting import wait_until

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[4]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sqlite_database: Database) -> Path:
    """The present folder, with a gateway's file; the database is the fixture's."""
    config = {
        "domain": "d.example",
        "roots": {"r1": new_root()},
        "upstream": {"apiKey": "k", "apiSecret": "s"},
        "agents": {ME: "me@d.example", YOU: "you@d.example"},
    }
    (tmp_path / "gateway.json").write_text(json.dumps(config))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AZMAIL_INBOX_DATABASE", f"sqlite:///{tmp_path}/inbox.sqlite")
    monkeypatch.delenv("MAILJET_INBOUND_SECRET", raising=False)
    return tmp_path


def run(*words: str) -> int:
    return main(["inbox", *words])


def bring(database: Database, *numbers: int, agent: str = ME) -> None:
    store = MailStore(database, hooks=("work",))
    for number in numbers:
        store.store(received_parcel(mail(number), agent))


@pytest.mark.parametrize("words", [[], ["--maildir"]])
def test_export(folder: Path, sqlite_database: Database, capsys: pytest.CaptureFixture[str], words: list[str]) -> None:
    bring(sqlite_database, 1, 2, 3)
    MailboxReader(sqlite_database, ME).mark(received_parcel(mail(2), ME).id, seen=True, add=["über", "b"])
    target = folder / "out"
    assert run("export", "me@d.example", str(target), "--config", "gateway.json", *words) == 0
    assert "3 messages of bot-1" in capsys.readouterr().out
    box = mailbox.Maildir(target) if words else mailbox.mbox(target)
    found = sorted(
        (message_from_bytes(box.get_bytes(key), policy=SMTP) for key in box.iterkeys()),
        key=lambda one: str(one["Subject"]),
    )
    box.close()
    assert [str(one["Subject"]) for one in found] == ["Subject 1", "Subject 2", "Subject 3"]
    assert [one["X-Azmail-Seen"] for one in found] == ["no", "yes", "no"]
    assert found[1].get_all("X-Azmail-Label") == ["b", "\\xfcber"]
    assert [one.get_content().strip() for one in found] == ["Text of 1", "Text of 2", "Text of 3"]
    assert target.stat().st_mode & 0o077 == 0
    assert run("export", ME, str(target)) == 1
    assert "expected nothing there" in capsys.readouterr().err


def test_dead_jobs(folder: Path, sqlite_database: Database, capsys: pytest.CaptureFixture[str]) -> None:
    bring(sqlite_database, 1, 2)
    queue = HookQueue(sqlite_database)
    first, second = queue.take(["work"], 2)
    for job in (first, second):
        queue.put_off(job, "ValueError: no\n  way", most_attempts=1)
    assert run("dead") == 0
    said = capsys.readouterr().out
    assert f"{first.position}  work  mail {first.subject} of bot-1  Subject 1" in said
    assert "1 attempts, the last: ValueError: no way" in said
    assert run("dead", "--retry", str(first.position)) == 0
    assert run("dead", "--drop", str(second.position)) == 0
    assert [job.position for job in queue.take(["work"], 2)] == [first.position]
    assert run("dead", "--retry", "some") == 1
    assert run("dead", "--retry", "all") == 0
    assert "0 will be tried again" in capsys.readouterr().out


def test_erase_and_retention(folder: Path, sqlite_database: Database, capsys: pytest.CaptureFixture[str]) -> None:
    bring(sqlite_database, 1, 2)
    bring(sqlite_database, 3, agent=YOU)
    with pytest.raises(SystemExit):
        run("erase", ME)
    assert run("erase", ME, "--yes") == 0
    assert "2 messages and events of bot-1 are gone" in capsys.readouterr().out
    with sqlite_database.writing() as connection:
        connection.execute(update(MAILS).values(stored_at=MAILS.c.stored_at - 40 * 86_400_000))
    assert run("retention", "--days", "50") == 0
    assert len(MailboxReader(sqlite_database, YOU).mails(Page())) == 1
    assert run("retention", "--days", "30") == 0
    assert MailboxReader(sqlite_database, None).mails(Page()) == []
    assert run("retention", "--days", "0") == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["serve"], "no file is named"),
        (["serve", "--config", "gateway.json"], "found no webhook secret in MAILJET_INBOUND_SECRET"),
        (["work"], "expected at least one: --hook NAME=MODULE:FUNCTION"),
        (["work", "--hook", "x"], "found the hook 'x', expected NAME=TARGET"),
        (["work", "--hook", "x=nowhere:f"], "found no function 'nowhere:f'"),
        (["work", "--hook", "x=json:dumps", "--ordered", "y"], "found --ordered y"),
    ],
)
def test_what_is_missing_is_told(folder: Path, capsys: pytest.CaptureFixture[str], words: list[str], said: str) -> None:
    assert run(*words) == 1
    assert said in capsys.readouterr().err


def test_a_worker_takes_the_token_that_the_file_has_at_each_mail(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A webhook password that is rotated needs no restart; a file that is wrong or gone changes nothing."""
    file = folder / "gateway.json"
    made = json.loads(file.read_text())

    def write(text: str) -> None:
        (folder / "next").write_text(text)
        (folder / "next").replace(file)

    def write_token(token: str) -> None:
        write(json.dumps(made | {"webhook": {"secret": "s" * 32, "forwardToken": token}}))

    assert _forward_token(None)() == ""
    write_token("one")
    with http_server() as platform:
        forward = Forwarder(f"{platform.url}/in", _forward_token(file))
        changes: list[Callable[[], object]] = [
            str, lambda: write_token("two"), lambda: write("{"), file.unlink, lambda: write_token("")
        ]  # fmt: skip
        for change in changes:
            change()
            forward(mail(1), ME)
        assert [json.loads(one.body).get("token") for one in platform.requests] == ["one", "two", "two", "two", None]
    assert [record.message for record in caplog.records if "goes on counting" in record.message]


def test_tables_of_another_version(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AZMAIL_INBOX_DATABASE", f"sqlite:///{folder}/old.sqlite")
    Database(f"sqlite:///{folder}/old.sqlite").migrate("0001")
    assert run("dead") == 1
    assert "at step 0001, expected 0004: run `azmail inbox migrate`" in capsys.readouterr().err
    assert run("migrate") == 0
    assert run("dead") == 0


def test_served_until_it_is_told_to_stop(folder: Path, sqlite_database: Database) -> None:
    """One process for all: the delivery is stored, its worker has called the hook, the agent reads it; SIGTERM ends with 0."""
    (folder / "hook.py").write_text(
        "def on_mail(mail, agent):\n    open('called', 'a').write(f'{agent} {mail.subject}')\n"
    )
    port = free_port()
    environment = os.environ | {"PYTHONPATH": str(ROOT), "MAILJET_INBOUND_SECRET": "s" * 40}
    command = [forks.python(), "-m", "azmail", "inbox", "serve", "--config", "gateway.json", "--port", str(port)]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen([*command, "--hook", "work=hook:on_mail"], cwd=folder, env=environment, stderr=log)
    try:
        url = f"http://127.0.0.1:{port}"

        def delivered() -> bool:
            try:
                answer = requests.post(
                    f"{url}/api/webhooks/mailjet/inbound", json=payload(1), auth=("x", "s" * 40), timeout=10
                )
            except requests.ConnectionError:
                assert process.poll() is None, (folder / "log").read_text()
                return False
            return answer.status_code == 200

        wait_until(delivered, "the inbox to listen", seconds=60, pause_seconds=0.05)
        called = folder / "called"
        wait_until(lambda: called.exists() and called.read_text() == "bot-1 Subject 1", "the hook", seconds=20)
        for _ in range(300):  # one may meet another, or whatever the process is just doing
            process.send_signal(signal.SIGHUP)
        assert delivered()
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0, (folder / "log").read_text()
    assert HookQueue(sqlite_database).state().waiting == 0


def test_a_worker_ends_however_often_it_is_told(folder: Path, sqlite_database: Database) -> None:
    bring(sqlite_database, 1)
    (folder / "hook.py").write_text("def on_mail(mail, agent):\n    open('called', 'a').write('.')\n")
    command = [forks.python(), "-m", "azmail", "inbox", "work", "--hook", "work=hook:on_mail"]
    environment = os.environ | {"PYTHONPATH": f"{ROOT}{os.pathsep}{folder}"}
    with killed_at_the_end(
        subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True)
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "working for work\n"
        wait_until(lambda: (folder / "called").exists(), "the hook", seconds=20)
        for number in (signal.SIGTERM, signal.SIGINT) * 50:
            process.send_signal(number)
        assert process.wait(30) == 0
    assert (folder / "called").read_text() == "."
    assert HookQueue(sqlite_database).state().waiting == 0
