"""`python -m tests.bench.inbox`: what keeping a mail costs, beside the memory of deliveries that the plain webhook uses.

Each subject is some processes for some seconds, one after the other. A second's worth is this machine's and of whatever
else it does; CPU time for each mail, of all processes with the database's, says what two cores can do, and the ratios
hold. Mails have 1 kB of different words. `python -m tests.bench.mailbox` asks what reading costs.
"""

from __future__ import annotations

import argparse
import base64
import http.client
import json
import multiprocessing
import os
import random
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from itertools import count, islice
from pathlib import Path
from typing import Any

from azmail.deliveries import SqliteDeliveries
from azmail.gateway.credentials import Roots, Scope
from azmail.inbound import parse_inbound
from azmail.inbox.database import Database
from azmail.inbox.parcels import Parcel, mail_id, received_parcel
from azmail.inbox.store import MailStore
from azmail.webhook import INBOUND_PATH
from tests.bench.processes import cpu_seconds, peak_bytes
from tests.chaos.inbox import AGENTS, SECRET, InboxProcess, free_port, write_config
from tests.postgres import PostgresServerOfTests
from tests.waiting import wait_until

PROCESSES, AT_ONCE, REPLICAS, CONNECTIONS = 4, 32, 2, 64
CORES = 2
LARGEST = 15 * 1024 * 1024
"""What Mailjet takes: of the mail as it is sent, in which a file is base64 in lines of 78 octets for 57."""
FILE = LARGEST * 57 // 78 - 2_000
_RANDOM = random.Random(1)
_WORDS = ["".join(_RANDOM.choices("abcdefghijklmnopqrstuvwxyz", k=_RANDOM.randint(2, 10))) for _ in range(20_000)]


def basic(user: str, password: str) -> dict[str, str]:
    return {"Authorization": f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"}


MAILJET = basic("mailjet", SECRET)


@dataclass(frozen=True, kw_only=True)
class Found:
    """Of one subject."""

    mails: int
    seconds: float
    programs: float
    """CPU seconds of this project's processes."""
    database: float
    """CPU seconds of PostgreSQL's; SQLite's are the programs'."""

    @property
    def rate(self) -> float:
        return self.mails / self.seconds

    @property
    def milliseconds(self) -> float:
        """CPU for each mail."""
        return (self.programs + self.database) / self.mails * 1000


def payload(number: int) -> dict[str, Any]:
    """A mail of 1 kB; a few words come often and most seldom, as in any language."""
    draw = random.Random(number)
    return {
        "Sender": "ada@x.example",
        "Recipient": f"a{number % AGENTS}@d.example",
        "Subject": f"Subject {number}",
        "Headers": {"From": "Ada <ada@x.example>", "Message-ID": f"<{number}@x.example>"},
        "Text-part": " ".join(_WORDS[int(len(_WORDS) * draw.random() ** 3)] for _ in range(150)),
    }


def parcels(process: int) -> Iterator[Parcel]:
    """Ready to be stored: what is compared is the storing."""
    made = [received_parcel(parse_inbound(payload(number)), f"bot-{number % AGENTS}") for number in range(20)]
    for number in count():
        key = mail_id("", f"{process}.{number}")
        yield replace(made[number % len(made)], id=key, own_reference=key[::-1])


def remember(path: str, process: int, seconds: float, results: Any) -> None:
    """What the plain webhook writes for a delivery: a claim and a mark."""
    began = time.process_time()
    with closing(SqliteDeliveries(path)) as store:
        done, until = 0, time.monotonic() + seconds
        while time.monotonic() < until:
            key = f"{process}.{done}"
            store.claim(key, "me", 60.0)
            store.done(key, "me")
            done += 1
    results.put((done, time.process_time() - began))


def keep(url: str, process: int, seconds: float, results: Any) -> None:
    """Whole mails, as many in a transaction as come at once; the receiver stores so."""
    database = Database(url)
    store, source = MailStore(database, hooks=("work",)), parcels(process)
    store.store(next(source))
    began, until, stored = time.process_time(), time.monotonic() + seconds, 0
    while time.monotonic() < until:
        stored += store.store_all(list(islice(source, AT_ONCE))).count(True)
    used = time.process_time() - began
    database.close()
    results.put((stored, used))


def together(
    work: Callable[[str, int, float, Any], None],
    where: str,
    seconds: float,
    postgres: PostgresServerOfTests | None = None,
) -> Found:
    """Of all processes."""
    context = multiprocessing.get_context("spawn")
    results = context.Queue()
    before = cpu_seconds(postgres.pid) if postgres else 0.0
    processes = [context.Process(target=work, args=(where, number, seconds, results)) for number in range(PROCESSES)]
    for one in processes:
        one.start()
    told = [results.get(timeout=seconds + 120) for _ in processes]
    for one in processes:
        one.join()
    return Found(
        mails=sum(one[0] for one in told),
        seconds=seconds,
        programs=sum(one[1] for one in told),
        database=cpu_seconds(postgres.pid) - before if postgres else 0.0,
    )


@contextmanager
def replicas(url: str, folder: Path, many: int) -> Iterator[tuple[list[InboxProcess], list[int]]]:
    """Processes of `azmail inbox serve` that answer."""
    write_config(folder)
    (folder / "hook.py").write_text("def on_mail(mail, agent): pass\n")
    ports = [free_port() for _ in range(many)]
    running = []
    try:
        for port in ports:
            words = (
                "serve",
                "--config",
                "gateway.json",
                "--port",
                str(port),
                "--no-workers",
                "--hook",
                "work=hook:on_mail",
            )
            running.append(InboxProcess(folder, url, *words))
        for port in ports:
            wait_until(lambda port=port: answers(port), "a replica to answer", seconds=60)  # type: ignore[misc]
        yield running, ports
    finally:
        for process in running:
            process.end()


def answers(port: int) -> bool:
    try:
        with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=5)) as connection:
            connection.request("GET", "/healthz")
            return connection.getresponse().status == 200
    except OSError:
        return False


def deliver(postgres: PostgresServerOfTests, folder: Path, seconds: float) -> Found:
    """Through HTTP to the commit, at two replicas; the CPU of those who deliver is not counted."""
    numbers, counts = count(10**6), [0] * CONNECTIONS
    with replicas(postgres.url, folder, REPLICAS) as (running, ports):
        pids = [one.process.pid for one in running]
        before, database = sum(cpu_seconds(pid) for pid in pids), cpu_seconds(postgres.pid)
        until = time.monotonic() + seconds

        def run(number: int) -> None:
            with closing(http.client.HTTPConnection("127.0.0.1", ports[number % len(ports)], timeout=60)) as connection:
                while time.monotonic() < until:
                    body = json.dumps(payload(next(numbers))).encode()
                    connection.request("POST", INBOUND_PATH, body, MAILJET)
                    answer = connection.getresponse()
                    assert (answer.status, answer.read()) == (200, b'{"status":"accepted"}')
                    counts[number] += 1

        threads = [threading.Thread(target=run, args=(number,)) for number in range(CONNECTIONS)]
        for one in threads:
            one.start()
        for one in threads:
            one.join()
        used = sum(cpu_seconds(pid) for pid in pids) - before
        return Found(mails=sum(counts), seconds=seconds, programs=used, database=cpu_seconds(postgres.pid) - database)


class Visitor:
    """Asks one replica, as Mailjet or as an agent."""

    def __init__(self, folder: Path, port: int) -> None:
        self._port = port
        config = json.loads((folder / "gateway.json").read_text())
        self._agent = ("bot-1", Roots(config["roots"], domain=config["domain"]).password("bot-1", scope=Scope.INBOX))

    def deliver(self, body: bytes) -> int:
        self._ask("POST", INBOUND_PATH, MAILJET, body)
        return len(body)

    def get(self, path: str, **headers: str) -> bytes:
        return self._ask("GET", path, basic(*self._agent), None, headers)

    def _ask(
        self,
        method: str,
        path: str,
        who: Mapping[str, str],
        body: bytes | None = None,
        more: Mapping[str, str] | None = None,
    ) -> bytes:
        with closing(http.client.HTTPConnection("127.0.0.1", self._port, timeout=120)) as connection:
            connection.request(method, path, body, {**who, **(more or {})})
            answer = connection.getresponse()
            content = answer.read()
        assert answer.status in (200, 206), content
        return content


def large_body() -> bytes:
    made = payload(1)
    made["Parts"] = [{"Headers": {"Content-Type": "application/pdf"}, "ContentRef": "Attachment1"}]
    made["Attachment1"] = base64.b64encode(os.urandom(FILE)).decode()
    return json.dumps(made).encode()


def ranges(visitor: Visitor, path: str) -> int:
    step = 1024 * 1024
    return sum(len(visitor.get(path, Range=f"bytes={at}-{at + step - 1}")) for at in range(0, FILE, step))


STEPS: Mapping[str, Callable[[Visitor, str], int]] = {
    "comes in": lambda visitor, _: visitor.deliver(large_body()),
    "is shown": lambda visitor, path: len(visitor.get(path)) + FILE,
    "its file": lambda visitor, path: len(visitor.get(f"{path}/attachments/1")),
    "its file by ranges": lambda visitor, path: ranges(visitor, f"{path}/attachments/1"),
    "as MIME": lambda visitor, path: len(visitor.get(f"{path}/original")),
}


def largest(url: str, folder: Path) -> list[tuple[str, float]]:
    """By how much the peak of a process grows, as a multiple of the mail, when one of 15 MB comes and is read."""
    found = []
    for step, visit in STEPS.items():
        with replicas(url, folder, 1) as (running, ports):
            visitor = Visitor(folder, ports[0])
            mails = json.loads(visitor.get("/v1/messages"))["messages"]
            status = Path(f"/proc/{running[0].process.pid}/status")
            before = peak_bytes(status.read_text())
            assert visit(visitor, f"/v1/messages/{mails[0]['id']}" if mails else "") >= FILE
            found.append((step, (peak_bytes(status.read_text()) - before) / LARGEST))
    return found


def main() -> int:
    """Prints two tables."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.inbox", description=__doc__)
    parser.add_argument("--seconds", type=float, default=10.0, help="for each subject (default: %(default)s)")
    seconds = parser.parse_args().seconds
    load = os.getloadavg()[0]
    postgres = PostgresServerOfTests()
    with tempfile.TemporaryDirectory(prefix="azmail-bench-") as name:
        folder = Path(name)
        for url in (f"sqlite:///{folder}/inbox.sqlite", postgres.url):
            made = Database(url)
            made.migrate()
            made.close()
        today = together(remember, str(folder / "deliveries.sqlite"), seconds)
        subjects = [
            ("remember a delivery, SQLite (the plain webhook)", today),
            ("keep a mail, SQLite", together(keep, f"sqlite:///{folder}/inbox.sqlite", seconds)),
            ("keep a mail, PostgreSQL", together(keep, postgres.url, seconds, postgres)),
            ("from HTTP to the commit, PostgreSQL, 2 replicas", deliver(postgres, folder, seconds)),
        ]
        memory = largest(postgres.url, folder)
    postgres.close()
    print(f"{os.cpu_count()} cores, load average before {load:.1f}, {seconds:g} s each\n")
    print(
        "| | a second | ratio | CPU ms: programs | PostgreSQL | so two cores can |\n| --- | --- | --- | --- | --- | --- |"
    )
    for name, one in subjects:
        programs, database = one.programs / one.mails * 1000, one.database / one.mails * 1000
        print(
            f"| {name} | {one.rate:,.0f} | {one.rate / today.rate:.1f} | {programs:.2f} | {database:.2f} "
            f"| {CORES * 1000 / one.milliseconds:,.0f} |"
        )
    print("\n| a mail of 15 MB | memory, times its size |\n| --- | --- |")
    for name, times in memory:
        print(f"| {name} | {times:.1f} |")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
