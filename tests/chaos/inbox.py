"""The inbox as processes, killed under load: replicas of the webhook, workers, and PostgreSQL itself.

Every mail is delivered as Mailjet does it: again and again until the answer is 200. A hook writes each call into a
file, and a trigger in the database writes down when each job was marked; both by the clock of this machine.
"""

from __future__ import annotations

import json
import os
import random
import socket
import sqlite3
import subprocess
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
import requests

from azmail.gateway.credentials import new_root
from azmail.inbox.database import Database
from tests import forks
from tests.e2e.stack import ROOT
from tests.postgres import PostgresServerOfTests
from tests.waiting import wait_until

SECRET = "s" * 40
AGENTS = 20
LEASE_SECONDS = 3
_HOOK = """
import os, time
def on_mail(mail, agent):
    line = f"{time.time():.6f} {mail.subject}\\n".encode()
    log = os.open("calls", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(log, line)
    os.close(log)
"""
_POSTGRESQL_MARKS = """
CREATE TABLE marks (subject text, at double precision);
CREATE FUNCTION marked() RETURNS trigger LANGUAGE plpgsql AS
  $$ BEGIN INSERT INTO marks VALUES (OLD.subject, extract(epoch FROM clock_timestamp())); RETURN OLD; END $$;
CREATE TRIGGER marked AFTER DELETE ON inbox_jobs FOR EACH ROW EXECUTE FUNCTION marked();
"""
_SQLITE_MARKS = """
CREATE TABLE marks (subject text, at real);
CREATE TRIGGER marked AFTER DELETE ON inbox_jobs BEGIN
  INSERT INTO marks VALUES (OLD.subject, (julianday('now') - 2440587.5) * 86400.0);
END;
"""


@dataclass(slots=True)
class InboxOutcome:
    """What is there in the end."""

    accepted: int = 0
    lost: list[str] = field(default_factory=list)
    never_called: list[str] = field(default_factory=list)
    called_after_mark: list[str] = field(default_factory=list)
    twice: int = 0
    kills: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)

    @property
    def is_well(self) -> bool:
        """A server error other than 503 would tell Mailjet's people of a fault, not of a moment."""
        return not (self.lost or self.never_called or self.called_after_mark or self.refused["500"])


class InboxProcess:
    """One `azmail inbox` process, started again when it was killed."""

    def __init__(self, folder: Path, url: str, *words: str) -> None:
        self._folder = folder
        self._words = words
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith(("AZMAIL_", "MAILJET_"))
        }
        self._environment = environment | {
            "PYTHONPATH": f"{folder}{os.pathsep}{ROOT}",
            "AZMAIL_INBOX_DATABASE": url,
            "AZMAIL_GATEWAY_DATABASE": f"sqlite:///{folder}/ledger.sqlite",
            "MAILJET_INBOUND_SECRET": SECRET,
        }
        self.process = self._start()

    def _start(self) -> subprocess.Popen[bytes]:
        with (self._folder / "log").open("ab") as log:
            command = [forks.python(), "-m", "azmail", "inbox", *self._words]
            return subprocess.Popen(command, cwd=self._folder, env=self._environment, stdout=log, stderr=log)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(30)
        self.process = self._start()

    def end(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(30)


def run_inbox(
    url: str,
    folder: Path,
    *,
    mails: int,
    kills: int,
    seed: int,
    postgres: PostgresServerOfTests | None = None,
    clients: int = 4,
) -> InboxOutcome:
    """Two replicas, two workers, `kills` of them (and of PostgreSQL) while `mails` come; waits until all is worked off."""
    database = Database(url)
    database.migrate()
    _execute(url, _SQLITE_MARKS if database.is_sqlite else _POSTGRESQL_MARKS)
    (folder / "hook.py").write_text(_HOOK)
    (folder / "calls").touch()
    write_config(folder)
    outcome = InboxOutcome()
    with _processes(folder, url) as (replicas, workers, ports):
        todo = iter(range(mails))
        lock = threading.Lock()
        threads = [
            threading.Thread(target=_client, args=(number, todo, lock, ports, outcome)) for number in range(clients)
        ]
        for one in threads:
            one.start()
        victims: dict[str, Callable[[], None]] = {f"webhook {n}": one.kill for n, one in enumerate(replicas)}
        victims |= {f"worker {n}": one.kill for n, one in enumerate(workers)}
        if postgres is not None:
            victims["PostgreSQL"] = postgres.kill
        _kill_under_load(victims, kills, seed, mails, lock, outcome)
        for one in threads:
            one.join()
        expected = [f"mail {number}" for number in range(mails)]
        wait_until(lambda: _count(url, "inbox_jobs") == 0, "the hooks to end", seconds=300, pause_seconds=0.2)
    stored = {json.loads(row[0])["subject"]: row[1] for row in _rows(url, "SELECT summary, id FROM inbox_mails")}
    calls: dict[str, list[float]] = {}
    for line in (folder / "calls").read_text().splitlines():
        at, _, subject = line.partition(" ")
        calls.setdefault(subject, []).append(float(at))
    marks = {row[0]: float(row[1]) for row in _rows(url, "SELECT subject, at FROM marks")}
    outcome.lost = [one for one in expected if one not in stored]
    outcome.never_called = [one for one in expected if one not in calls]
    outcome.twice = sum(len(times) > 1 for times in calls.values())
    # A hundredth of a second for two clocks that are read one after the other.
    outcome.called_after_mark = [
        one for one, times in calls.items() if one in stored and any(at > marks[stored[one]] + 0.01 for at in times)
    ]
    database.close()
    return outcome


def _client(
    number: int, todo: Iterator[int], lock: threading.Lock, ports: Sequence[int], outcome: InboxOutcome
) -> None:
    """Mailjet: repeats each delivery until it is accepted, at whichever replica answers."""
    turn = number
    with requests.Session() as session:
        while True:
            with lock:
                mail = next(todo, None)
            if mail is None:
                return
            body = _body(mail)
            while True:
                turn += 1
                said = _deliver(session, ports[turn % len(ports)], body)
                with lock:
                    outcome.refused[said] += said != "200"
                    outcome.accepted += said == "200"
                if said == "200":
                    break
                threading.Event().wait(0.05)


def _deliver(session: requests.Session, port: int, body: Mapping[str, object]) -> str:
    url = f"http://127.0.0.1:{port}/api/webhooks/mailjet/inbound"
    try:
        return str(session.post(url, json=body, auth=("mailjet", SECRET), timeout=30).status_code)
    except requests.RequestException as error:
        return type(error).__name__


def _kill_under_load(
    victims: dict[str, Callable[[], None]],
    kills: int,
    seed: int,
    mails: int,
    lock: threading.Lock,
    outcome: InboxOutcome,
) -> None:
    """Each victim in turn, the database first, whenever another part of the mails has been accepted."""
    names = sorted(victims)
    random.Random(seed).shuffle(names)
    names.sort(key=lambda name: name != "PostgreSQL")
    for kill in range(kills):
        until = mails * (kill + 1) // (kills + 1)

        def has_come(until: int = until) -> bool:
            with lock:
                return outcome.accepted >= until

        wait_until(has_come, "mails to be accepted", seconds=600, pause_seconds=0.01)
        name = names[kill % len(names)]
        victims[name]()
        outcome.kills[name.partition(" ")[0]] += 1


@contextmanager
def _processes(folder: Path, url: str) -> Iterator[tuple[list[InboxProcess], list[InboxProcess], list[int]]]:
    ports = [free_port() for _ in range(2)]
    hook = ("--hook", "work=hook:on_mail", "--lease", str(LEASE_SECONDS))
    running: list[InboxProcess] = []
    try:
        for port in ports:
            words = ("serve", "--config", "gateway.json", "--port", str(port), "--no-workers", *hook)
            running.append(InboxProcess(folder, url, *words))
        running.extend(InboxProcess(folder, url, "work", *hook) for _ in range(2))
        yield running[:2], running[2:], ports
    finally:
        for one in running:
            one.end()


@dataclass(slots=True)
class FullDiskOutcome:
    """What a PostgreSQL did whose disk was full for a while."""

    stored: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    again: Counter[str] = field(default_factory=Counter)
    lost: int = 0

    @property
    def is_well(self) -> bool:
        return self.stored > 0 and set(self.refused) == {"503"} and set(self.again) == {"200"} and not self.lost


def run_full_disk(folder: Path, *, octets: int = 128 * 1024 * 1024, mails: int = 1_000) -> FullDiskOutcome:
    """Mails come until the server's disk, a tmpfs of so many octets, is full; then it grows. Takes root, to mount it."""
    disk = folder / "disk"
    disk.mkdir(mode=0o777)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={octets},mode=777", "none", str(disk)], check=True)
    try:
        postgres = PostgresServerOfTests(disk)
        try:
            return _fill_disk(folder, disk, postgres, octets, mails)
        finally:
            postgres.close()
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


def _fill_disk(folder: Path, disk: Path, postgres: PostgresServerOfTests, octets: int, mails: int) -> FullDiskOutcome:
    outcome = FullDiskOutcome()
    database = Database(postgres.url)
    database.migrate()
    database.close()
    write_config(folder)
    port = free_port()
    serving = InboxProcess(
        folder, postgres.url, "serve", "--config", "gateway.json", "--port", str(port), "--no-workers"
    )
    accepted: set[int] = set()
    try:
        with requests.Session() as session:
            wait_until(lambda: _health(session, port) == 200, "the inbox to answer", seconds=60)
            for number in range(mails):
                said = _deliver(session, port, _body(number, 300_000))
                if said == "200":
                    accepted.add(number)
                else:
                    outcome.refused[said] += 1
                if outcome.refused.total() == 20:
                    break
            outcome.stored = len(accepted)
            subprocess.run(["mount", "-o", f"remount,size={octets * 4}", str(disk)], check=True)
            postgres.start_again()
            wait_until(lambda: _health(session, port) == 200, "the inbox to answer again", seconds=60)
            for number in range(outcome.stored + outcome.refused.total()):
                outcome.again[_deliver(session, port, _body(number, 300_000))] += 1
        rows = _rows(postgres.url, "SELECT summary, id FROM inbox_mails")
        there = [json.loads(row[0])["subject"] for row in rows]
        outcome.lost = len({f"mail {number}" for number in accepted} - set(there)) + len(there) - len(set(there))
    finally:
        serving.end()
    return outcome


def _health(session: requests.Session, port: int) -> int:
    try:
        return session.get(f"http://127.0.0.1:{port}/healthz", timeout=30).status_code
    except requests.RequestException:
        return 0


def _body(mail: int, octets: int = 900) -> dict[str, object]:
    return {
        "Sender": "ada@x.example", "Recipient": f"a{mail % AGENTS}@d.example", "Subject": f"mail {mail}",
        "Headers": {"From": "ada@x.example", "Message-ID": f"<{mail}@x.example>"}, "Text-part": "x" * octets,
    }  # fmt: skip


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def write_config(folder: Path) -> None:
    config = {
        "domain": "d.example",
        "roots": {"r1": new_root()},
        "upstream": {"apiKey": "k", "apiSecret": "s"},
        "agents": {f"bot-{number}": f"a{number}@d.example" for number in range(AGENTS)},
    }
    (folder / "gateway.json").write_text(json.dumps(config))


def _rows(url: str, query: str) -> list[tuple[str, str]]:
    if url.startswith("sqlite"):
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"), timeout=30)) as connection:
            return connection.execute(query).fetchall()
    with psycopg.connect(url.replace("+psycopg", "", 1)) as connection:
        return connection.execute(query.encode()).fetchall()


def _count(url: str, table: str) -> int:
    return int(_rows(url, f"SELECT count(*), 0 FROM {table}")[0][0])


def _execute(url: str, script: str) -> None:
    if url.startswith("sqlite"):
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"), timeout=30)) as connection:
            connection.executescript(script)
        return
    with psycopg.connect(url.replace("+psycopg", "", 1), autocommit=True) as connection:
        connection.execute(script.encode())


def main(mails: int, kills: int, seed: int) -> int:
    """Full size, on both databases; 0 when nothing was lost and nothing ran again after its mark."""
    failed = 0
    for name in ("PostgreSQL", "SQLite"):
        began = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="azmail-chaos-inbox-") as folder:
            postgres = PostgresServerOfTests() if name == "PostgreSQL" else None
            url = postgres.url if postgres else f"sqlite:///{folder}/inbox.sqlite"
            outcome = run_inbox(url, Path(folder), mails=mails, kills=kills, seed=seed, postgres=postgres)
            if postgres:
                postgres.close()
        print(
            f"{name}: {mails:,} mails in {time.monotonic() - began:.0f} s, kills {dict(outcome.kills)}, "
            f"refused {dict(outcome.refused)}; lost {len(outcome.lost)}, never called {len(outcome.never_called)}, "
            f"called after the mark {len(outcome.called_after_mark)}, twice before it {outcome.twice}",
            flush=True,
        )
        failed += not outcome.is_well
    if os.geteuid() != 0:
        print("a full disk: not tried, it takes root to mount one")
        return failed
    with tempfile.TemporaryDirectory(prefix="azmail-chaos-inbox-") as folder:
        full = run_full_disk(Path(folder))
    print(
        f"PostgreSQL's disk full after {full.stored} mails, refused {dict(full.refused)}, once there is space "
        f"{dict(full.again)}; lost or twice {full.lost}",
        flush=True,
    )
    return failed + (not full.is_well)
