"""Two replicas of the gateway as processes, while four agents send by SMTP and by Send API: rotations, a revocation, kills.

What Mailjet got is written down by an upstream of this module, octets and all, which now and then ends a connection before or after
the final dot. Every mail is repeated by its agent until it is answered for good, and clients leave after the dot, too. In the end each
accepted mail must be there once, no mail twice, and none that was begun with a credential that had been withdrawn five seconds before.
"""

from __future__ import annotations

import json
import os
import random
import re
import signal
import smtplib
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import requests
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send

from azmail.gateway.certificate import own_certificate
from azmail.gateway.credentials import Roots, new_root
from emulators.serving import ServerThread
from tests import forks
from tests.chaos.inbox import free_port
from tests.e2e.stack import ROOT
from tests.postgres import PostgresServerOfTests
from tests.waiting import wait_until

AGENTS = 4
PROMISED_SECONDS = 5.0
BUSY_ATTEMPTS = 20
"""After a kill the same mail stays "on its way" for ten minutes: whoever hears that so often calls its fate unknown."""
_SUBJECT = re.compile(r"^Subject: (\S+)", re.MULTILINE)


class RecordingUpstream:
    """Mailjet by SMTP and by Send API: keeps the subject of whatever it was given whole, and fails where it is told to."""

    def __init__(self, folder: Path) -> None:
        self._tls = own_certificate(folder, ["localhost"])
        self.ca_file = folder / "ca.pem"
        self.got: list[str] = []
        self.octets: list[bytes] = []
        """What came between 354 and the final dot, dots and line ends as they came; the body of a call."""
        self.mail_commands: list[bytes] = []
        self.before_the_dot: set[str] = set()
        self.after_the_dot: set[str] = set()
        self._listener = socket.create_server(("localhost", 0))
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._talk, args=(client,), daemon=True).start()

    def _talk(self, client: socket.socket) -> None:
        with suppress(OSError), client:
            client.sendall(b"220 mailjet\r\n")
            reader = client.makefile("rb")
            for line in iter(reader.readline, b""):
                if line.upper().startswith(b"STARTTLS"):
                    client.sendall(b"220 go on\r\n")
                    with self._tls.wrap_socket(client, server_side=True) as behind:
                        self._session(behind)
                    return
                client.sendall(b"250-mailjet\r\n250 STARTTLS\r\n")

    def _session(self, client: ssl.SSLSocket) -> None:
        reader = client.makefile("rb")
        for line in iter(reader.readline, b""):
            word = line[:4].upper()
            if word == b"MAIL":
                self.mail_commands.append(line)
            if word == b"DATA":
                client.sendall(b"354 go on\r\n")
                if not self._message(reader):
                    return
            answers = {
                b"EHLO": b"250-mailjet\r\n250 AUTH PLAIN\r\n",
                b"AUTH": b"235 welcome\r\n",
                b"QUIT": b"221 bye\r\n",
            }
            client.sendall(answers.get(word, b"250 OK\r\n"))
            if word == b"QUIT":
                return

    def _message(self, reader: Any) -> bool:
        """Whether it is answered."""
        subject, whole = "", b""
        for line in iter(reader.readline, b""):
            if not subject and line.startswith(b"Subject: "):
                subject = line[9:].decode().strip()
                if subject in self.before_the_dot:
                    self.before_the_dot.discard(subject)
                    return False
            if line == b".\r\n":
                self._keep(subject, whole)
                return subject not in self.after_the_dot
            whole += line
        return False

    def _keep(self, subject: str, whole: bytes) -> None:
        self.got.append(subject)
        self.octets.append(whole)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            body = await Request(scope, receive).body()
        except ClientDisconnect:
            return  # a replica that was killed: not given whole
        call = json.loads(body)
        for one in call["Messages"]:
            self._keep(one["Subject"], body)
        results = [{"Status": "success", "To": []} for _ in call["Messages"]]
        await JSONResponse({"Messages": results})(scope, receive, send)


class Replica:
    """One `azmail gateway serve` process at fixed ports, started again after it was killed."""

    def __init__(self, folder: Path, database: str, upstream_ca: Path, number: int) -> None:
        self.smtp, self.http = free_port(), free_port()
        self._folder = folder
        self._log = folder / f"replica-{number}.log"
        self._words = [
            "--config", "gateway.json", "--starttls-port", str(self.smtp), "--tls-port", "none", "--http-port", str(self.http),
            "--https-port", "none", "--upstream-ca", str(upstream_ca), "--tls-folder", f"tls-{number}",
        ]  # fmt: skip
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("AZMAIL_", "MAILJET_"))}
        self._environment = kept | {"PYTHONPATH": str(ROOT), "AZMAIL_GATEWAY_DATABASE": database}
        self.start()

    def start(self) -> None:
        with self._log.open("ab") as log:
            command = [forks.python(), "-m", "azmail", "gateway", "serve", *self._words]
            self.process = subprocess.Popen(command, cwd=self._folder, env=self._environment, stdout=log, stderr=log)
        wait_until(self._answers, "the gateway to answer", seconds=60, pause_seconds=0.05)

    def _answers(self) -> bool:
        assert self.process.poll() is None, self._log.read_text()
        with suppress(requests.RequestException):
            return requests.get(f"http://127.0.0.1:{self.http}/healthz", timeout=20).status_code in (200, 503)
        return False

    def kill(self) -> None:
        self.end(signal.SIGKILL)
        self.start()

    def end(self, number: int = signal.SIGTERM) -> None:
        self.process.send_signal(number)
        self.process.wait(60)


@dataclass(slots=True)
class SentMail:
    """One mail and its fate."""

    subject: str
    agent: int
    by_smtp: bool
    leaves_after_the_dot: bool
    """By Send API: when it has sent all of its call."""
    fate: str = ""
    """`accepted`, or `unknown` where the gateway said that it may have been sent."""


@dataclass(slots=True)
class GatewayOutcome:
    """What is there in the end."""

    mails: list[SentMail] = field(default_factory=list)
    answers: Counter[str] = field(default_factory=Counter)
    refused_logins: list[int] = field(default_factory=list)
    """The agents that were refused."""
    accepted_too_late: list[str] = field(default_factory=list)
    """Accepted with a credential that had been withdrawn for more than five seconds when the attempt began."""
    got: list[str] = field(default_factory=list)
    sent_while_away: int = 0

    @property
    def lost(self) -> list[str]:
        return [one.subject for one in self.mails if one.fate == "accepted" and one.subject not in self.got]

    @property
    def twice(self) -> list[str]:
        return [subject for subject, times in Counter(self.got).items() if times > 1]

    def told(self, fate: str) -> int:
        return sum(one.fate == fate for one in self.mails)

    @property
    def is_well(self) -> bool:
        return not (self.lost or self.twice or self.accepted_too_late or self.sent_while_away) and all(
            one.fate for one in self.mails
        )


class Load:
    """Four agents, each with a connection by SMTP and one by Send API, and the platform that hands out their passwords."""

    def __init__(
        self, replicas: Sequence[Replica], roots: Roots, *, mails: int, seed: int, held_from: int | None = None
    ) -> None:
        """`held_from`: the mails from this one on begin once `may_begin` is set."""
        self.outcome = GatewayOutcome()
        self._held_from = mails if held_from is None else held_from
        self.replicas = replicas
        self.passwords = [roots.password(f"bot-{number}") for number in range(AGENTS)]
        self.withdrawn: dict[str, float] = {}
        """Password and the moment since when it must be refused at the latest."""
        self.in_use: dict[tuple[int, bool], str] = {}
        """By agent and door: the password of the attempt that is under way."""
        self.may_begin = threading.Event()
        self.lock = threading.Lock()
        chance = random.Random(seed)
        for number in range(mails):
            self.outcome.mails.append(
                SentMail(f"mail-{number}", number % AGENTS, number // AGENTS % 2 == 0, chance.random() < 0.1)
            )
        self._threads = [
            threading.Thread(target=self._send_all, args=(agent, by_smtp))
            for agent in range(AGENTS)
            for by_smtp in (True, False)
        ]
        for one in self._threads:
            one.start()

    def answered(self) -> int:
        return sum(bool(one.fate) for one in self.outcome.mails)

    def until(self, share: float) -> None:
        """Wait until this part of the mails is answered for good."""
        count = int(share * len(self.outcome.mails))
        wait_until(lambda: self.answered() >= count, f"{count} answers", seconds=300, pause_seconds=0.01)

    def join(self) -> None:
        for one in self._threads:
            one.join(300)
            assert not one.is_alive()

    def _send_all(self, agent: int, by_smtp: bool) -> None:
        send = by_smtp_session if by_smtp else by_send_api
        turn, busy = agent, Counter[str]()
        for number, mail in enumerate(self.outcome.mails):
            assert number < self._held_from or self.may_begin.wait(300)
            while (mail.agent, mail.by_smtp) == (agent, by_smtp) and not mail.fate:
                turn += 1
                with self.lock:
                    password, begun = self.passwords[agent], time.monotonic()
                    self.in_use[agent, by_smtp] = password
                said = send(self.replicas[turn % len(self.replicas)], mail, password)
                busy[mail.subject] += said == "busy"
                with self.lock:
                    self.in_use.pop((agent, by_smtp))
                    self._judge(mail, "unknown" if busy[mail.subject] > BUSY_ATTEMPTS else said, password, begun)
                if said == "refused":
                    wait_until(partial(self._has_another, agent, password), "another password", seconds=120)
                threading.Event().wait(0.0 if mail.fate else 0.05)

    def _has_another(self, agent: int, password: str) -> bool:
        return self.passwords[agent] != password

    def _judge(self, mail: SentMail, said: str, password: str, begun: float) -> None:
        self.outcome.answers[said] += 1
        if said in ("accepted", "unknown"):
            mail.fate = said
            if begun > self.withdrawn.get(password, float("inf")):
                self.outcome.accepted_too_late.append(mail.subject)
        if said == "refused":
            self.outcome.refused_logins.append(mail.agent)


def by_smtp_session(replica: Replica, mail: SentMail, password: str) -> str:
    """A new connection, as the platform's own way of sending makes one for each mail."""
    address = f"a{mail.agent}@d.example"
    octets = (
        f"From: {address}\r\nMessage-ID: <{mail.subject}@d.example>\r\nSubject: {mail.subject}\r\n\r\nt\r\n".encode()
    )
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        with smtplib.SMTP("127.0.0.1", replica.smtp, timeout=60) as client:
            client.starttls(context=context)
            client.login(f"bot-{mail.agent}", password)
            if mail.leaves_after_the_dot:
                mail.leaves_after_the_dot = False
                client.mail(address)
                client.rcpt("x@y.example")
                client.docmd("DATA")
                client.send(octets + b".\r\n")
                client.close()
                return "left"
            client.sendmail(address, ["x@y.example"], octets)
        return "accepted"
    except smtplib.SMTPAuthenticationError as refused:
        return "refused" if refused.smtp_code == 535 else str(refused.smtp_code)
    except smtplib.SMTPResponseException as refused:
        said = str(refused.smtp_error)
        if refused.smtp_code == 421 and "not good any more" in said:
            return "refused"
        if refused.smtp_code == 554:
            return "unknown"
        return "busy" if "on its way already" in said else str(refused.smtp_code)
    except (OSError, smtplib.SMTPException) as error:
        return type(error).__name__


def by_send_api(replica: Replica, mail: SentMail, password: str) -> str:
    message = {
        "From": {"Email": f"a{mail.agent}@d.example"}, "To": [{"Email": "x@y.example"}], "Subject": mail.subject, "TextPart": "t",
    }  # fmt: skip
    url, headers = f"http://127.0.0.1:{replica.http}/v3.1/send", {"Idempotency-Key": mail.subject}
    auth = (f"bot-{mail.agent}", password)
    try:
        if mail.leaves_after_the_dot:
            mail.leaves_after_the_dot = False
            _ask_and_leave(requests.Request("POST", url, json={"Messages": [message]}, auth=auth, headers=headers))
            return "left"
        answer = requests.post(url, json={"Messages": [message]}, auth=auth, headers=headers, timeout=60)
    except OSError as error:  # as those of requests are
        return type(error).__name__
    known = {200: "accepted", 401: "refused", 409: "busy", 504: "unknown"}
    return known.get(answer.status_code, str(answer.status_code))


def _ask_and_leave(call: requests.Request) -> None:
    """Send all of it, and be gone before the answer."""
    ready = call.prepare()
    place = urlsplit(str(ready.url))
    assert isinstance(ready.body, bytes)
    head = "".join(f"{name}: {value}\r\n" for name, value in ready.headers.items())
    with socket.create_connection((str(place.hostname), int(place.port or 0)), timeout=60) as client:
        client.sendall(f"POST {place.path} HTTP/1.1\r\nHost: {place.netloc}\r\n{head}\r\n".encode() + ready.body)


@dataclass(frozen=True)
class GatewayWorld:
    """Two replicas (or one), their file, and what is behind them."""

    folder: Path
    database: str
    upstream: RecordingUpstream
    api_url: str
    replicas: list[Replica]

    def write(self, roots: dict[str, str], epochs: dict[int, int] | None = None) -> None:
        write_gateway_file(self.folder, self.upstream, self.api_url, roots, agents_of_load(epochs or {}))


def agents_of_load(epochs: dict[int, int]) -> dict[str, Any]:
    """As the gateway's file has them."""
    return {
        f"bot-{number}": {"address": f"a{number}@d.example", "epoch": epochs.get(number, 0)} for number in range(AGENTS)
    }


def write_gateway_file(
    folder: Path, upstream: RecordingUpstream, api_url: str, roots: dict[str, str], agents: dict[str, Any]
) -> None:
    config = {
        "domain": "d.example",
        "roots": roots,
        "upstream": {
            "apiKey": "account-key", "apiSecret": "account-secret", "smtpHost": "localhost", "smtpPort": upstream.port,
            "apiUrl": api_url,
        },
        "agents": agents,
    }  # fmt: skip
    beside = folder / "gateway.json.new"
    beside.write_text(json.dumps(config))
    beside.replace(folder / "gateway.json")


@contextmanager
def gateway_world(
    folder: Path, database: str, roots: dict[str, str], *, replicas: int, agents: dict[str, Any] | None = None
) -> Iterator[GatewayWorld]:
    """`agents`: those of the file; without it the ones that send under load."""
    upstream = RecordingUpstream(folder / "upstream-tls")
    running: list[Replica] = []
    with ServerThread(upstream) as api:
        write_gateway_file(folder, upstream, api.url, roots, agents or agents_of_load({}))
        try:
            running.extend(Replica(folder, database, upstream.ca_file, number) for number in range(replicas))
            yield GatewayWorld(folder, database, upstream, api.url, running)
        finally:
            for one in running:
                one.end()
            upstream.close()


def rotations_and_a_revocation(folder: Path, database: str, *, mails: int, seed: int) -> GatewayOutcome:
    """One agent's epoch, all agents by a second root, the old root retired: no login is refused; then one is revoked."""
    old, new = new_root(), new_root()
    with gateway_world(folder, database, {"r1": old}, replicas=2) as world:
        load = Load(world.replicas, Roots({"r1": old}, domain="d.example"), mails=mails, seed=seed)
        load.until(0.1)
        # A later epoch is good before the gateway's file names it, so the platform hands it out first.
        load.passwords[0] = Roots({"r1": old}, domain="d.example").password("bot-0", 1)
        settled(load)
        world.write({"r1": old}, {0: 1})
        load.until(0.25)
        both = {"r2": new, "r1": old}
        world.write(both, {0: 1})
        known(world, Roots({"r2": new}, domain="d.example").password("bot-1"))
        fresh = Roots(both, domain="d.example")
        load.passwords[:] = [fresh.password(f"bot-{number}", int(number == 0)) for number in range(AGENTS)]
        settled(load)
        world.write({"r2": new}, {0: 1})
        load.until(0.5)
        # What `sendmail` was refused so far is a gap.
        gaps = list(load.outcome.refused_logins)
        withdraw(world, load, fresh)
        load.join()
        assert set(load.outcome.refused_logins) <= {3}, load.outcome.refused_logins
        load.outcome.got = list(world.upstream.got)
    assert gaps == [], f"agents {gaps} were refused while passwords rotated"
    return load.outcome


def withdraw(world: GatewayWorld, load: Load, roots: Roots) -> None:
    """Revoke the last agent's password, see it refused by both doors of every replica, and give the agent the next."""
    leaked = load.passwords[3]
    command = [
        sys.executable,
        "-m",
        "azmail",
        "gateway",
        "revoke",
        "bot-3",
        "--config",
        str(world.folder / "gateway.json"),
    ]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "AZMAIL_GATEWAY_DATABASE": world.database}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    with load.lock:
        load.withdrawn[leaked] = time.monotonic() + PROMISED_SECONDS
    for replica, send in zip(world.replicas, (by_smtp_session, by_send_api), strict=True):
        wait_until(partial(_refuses, replica, send, leaked), "a withdrawn password to be refused", seconds=60)
    load.passwords[3] = roots.password("bot-3", 1)


def _refuses(replica: Replica, send: Callable[[Replica, SentMail, str], str], password: str) -> bool:
    """By a mail of its own each time: until it is refused it may go out."""
    return send(replica, SentMail(f"probe-{uuid4()}", 3, True, False), password) == "refused"


def known(world: GatewayWorld, password: str) -> None:
    """Wait until every replica takes a password."""
    for replica in world.replicas:
        wait_until(partial(logs_in, replica, "bot-1", password), "the file to be read", seconds=30)


def logs_in(replica: Replica, user: str, password: str) -> bool:
    """By the Send API, with a call that is refused for what it says."""
    answer = requests.post(f"http://127.0.0.1:{replica.http}/v3.1/send", json={}, auth=(user, password), timeout=60)
    return answer.status_code == 400


def settled(load: Load) -> None:
    """Wait until no attempt with an earlier password is under way."""

    def is_settled() -> bool:
        with load.lock:
            return all(load.passwords[agent] == password for (agent, _), password in load.in_use.items())

    wait_until(is_settled, "old attempts to end", seconds=120)


def kills(
    folder: Path, database: str, *, mails: int, seed: int, count: int, postgres: PostgresServerOfTests | None = None
) -> GatewayOutcome:
    """Replicas killed in turn, an upstream that breaks off before and after the dot, and PostgreSQL stopped for a while."""
    chance = random.Random(seed)
    roots = {"r1": new_root()}
    replicas = 1 if postgres is None else 2
    with gateway_world(folder, database, roots, replicas=replicas) as world:
        broken = [f"mail-{number}" for number in chance.sample(range(mails), mails // 5)]
        world.upstream.before_the_dot.update(broken[::2])
        world.upstream.after_the_dot.update(broken[1::2])
        # The database is to be away while there are mails, however quick the machine is, or slow to start a replica again.
        stop_at = (count + 1) / (count + 2)
        held_from = None if postgres is None else int((stop_at + 1) / 2 * mails)
        load = Load(world.replicas, Roots(roots, domain="d.example"), mails=mails, seed=seed, held_from=held_from)
        for kill in range(count):
            load.until((kill + 1) / (count + 2))
            world.replicas[kill % replicas].kill()
        away = 0
        if postgres is not None:
            load.until(stop_at)
            away = without_database(world, load, postgres)
        load.join()
        load.outcome.sent_while_away = away
        load.outcome.got = list(world.upstream.got)
    return load.outcome


def without_database(world: GatewayWorld, load: Load, postgres: PostgresServerOfTests) -> int:
    """Stop it under load; how many mails went out after what was on its way had ended. Then it goes on."""
    postgres.stop()
    before = Counter(load.outcome.answers)
    load.may_begin.set()

    def refusals(times: int) -> bool:
        with load.lock:
            return sum(load.outcome.answers[code] - before[code] for code in ("451", "503")) >= times

    # Each of the eight threads has one mail under way at most: after so many refusals all of those have ended.
    wait_until(lambda: refusals(6 * AGENTS), "the gateway to refuse", seconds=120)
    for replica in world.replicas:
        wait_until(partial(has_health, replica, 503), "the health to say so", seconds=60)
    sent = len(world.upstream.got)
    wait_until(lambda: refusals(12 * AGENTS), "the gateway to refuse", seconds=120)
    sent = len(world.upstream.got) - sent
    postgres.start_again()
    for replica in world.replicas:
        wait_until(partial(has_health, replica, 200), "the health to say so", seconds=60)
    return sent


def has_health(replica: Replica, status: int) -> bool:
    return requests.get(f"http://127.0.0.1:{replica.http}/healthz", timeout=60).status_code == status


def main(mails: int, count: int, seed: int) -> int:
    """Full size; 0 when nothing was lost, nothing came twice, and nothing came too late."""
    failed = 0
    for name in ("rotations", "kills, PostgreSQL", "kills, SQLite"):
        began = time.monotonic()
        postgres = None if "SQLite" in name else PostgresServerOfTests()
        with tempfile.TemporaryDirectory(prefix="azmail-chaos-gateway-") as folder:
            database = f"sqlite:///{folder}/ledger.sqlite" if postgres is None else postgres.url
            if name == "rotations":
                outcome = rotations_and_a_revocation(Path(folder), database, mails=mails, seed=seed)
            else:
                outcome = kills(Path(folder), database, mails=mails, seed=seed, count=count, postgres=postgres)
        if postgres is not None:
            postgres.close()
        print(
            f"{name}: {mails:,} mails in {time.monotonic() - began:.0f} s, accepted {outcome.told('accepted')}, "
            f"told that it is unknown {outcome.told('unknown')}; lost {len(outcome.lost)}, twice {len(outcome.twice)}, "
            f"with a withdrawn password {len(outcome.accepted_too_late)}, while the database was away "
            f"{outcome.sent_while_away}; answers {dict(outcome.answers)}",
            flush=True,
        )
        failed += not outcome.is_well
    return failed
