"""`python -m tests.bench.gateway`: what the submission gateway costs, beside a bare aiosmtpd in the same run.

Each server is a process of its own, and the figure is the CPU time (user and system) that it spends on a mail: what else the
machine does, and what the client costs, is not in it. A core's worth of it is mails a second and core. The ratio to the bare server holds
on every machine. The login is compared with scrypt at the cost that OWASP names (N=2^17, r=8, p=1), which stands for the
password hashes that the derived credential makes unnecessary.

`--profile FILE` writes what the gateway's event loop does while mails come, for `python -m pstats`.
"""

from __future__ import annotations

import argparse
import asyncio
import cProfile
import hashlib
import resource
import smtplib
import ssl
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from aiosmtpd.smtp import SMTP

from azmail.gateway.certificate import own_certificate
from azmail.gateway.credentials import AgentLogin, Directory, Roots, Scope, authenticate
from azmail.gateway.identity import checked_message
from azmail.gateway.ledger import Ledger
from azmail.gateway.relay import Relay
from azmail.gateway.submission import SubmissionServer

AGENT, SLOW = AgentLogin("bot-1", "me@d.example"), AgentLogin("bot-2", "slow@d.example")
ROOTS = Roots({"r1": "A" * 43}, domain="d.example")
MAILS, CONNECTIONS, OPEN, LOGINS = 600, 200, 1000, 2000
SLOW_SECONDS = 0.5
_CHECKS = 3000


# -- the servers, each in its own process -------------------------------------------------------------------------


class _Upstream:
    """Takes everything, the slow agent's after a while."""

    def hand_over(self, _wire: bytes, sender: str, _recipients: Sequence[str]) -> str:
        if sender == SLOW.address:
            time.sleep(SLOW_SECONDS)
        return "queued"


class _Bare:
    """aiosmtpd as it comes: takes everything and keeps nothing."""

    async def handle_DATA(self, _server: object, _session: object, _envelope: object) -> str:  # noqa: N802
        return "250 OK"


def serve(kind: str, folder: Path, profile: Path | None) -> int:
    """Until standard input ends; each line of it is answered with the CPU seconds and the peak of memory in kB so far."""
    tls = own_certificate(folder / "tls", ["localhost", "127.0.0.1"])
    loop = asyncio.new_event_loop()
    profiler = cProfile.Profile() if profile is not None else None

    def run() -> None:
        if profiler is not None:
            profiler.enable()
        loop.run_forever()
        if profiler is not None:
            profiler.disable()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    start = _gateway(tls, folder) if kind == "gateway" else _bare(tls, loop)
    print(asyncio.run_coroutine_threadsafe(start, loop).result(60), flush=True)
    for _line in sys.stdin:
        print(time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, flush=True)
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    if profiler is not None and profile is not None:
        profiler.dump_stats(profile)
    return 0


async def _gateway(tls: ssl.SSLContext, folder: Path) -> int:
    book = Directory([AGENT, SLOW, *(AgentLogin(f"bot-{n}", f"a{n}@d.example") for n in range(3, 10_001))])
    ledger = Ledger(f"sqlite:///{folder / 'ledger.sqlite'}")
    ledger.create()
    relay = Relay(directory=book, roots=ROOTS, ledger=ledger, upstream=_Upstream())
    return await SubmissionServer(relay, tls, hostname="localhost", most_connections=2 * OPEN).start()


async def _bare(tls: ssl.SSLContext, loop: asyncio.AbstractEventLoop) -> int:
    server = await loop.create_server(
        lambda: SMTP(_Bare(), tls_context=tls, hostname="localhost", loop=loop), "127.0.0.1", 0
    )
    return int(server.sockets[0].getsockname()[1])


# -- what drives them ---------------------------------------------------------------------------------------------


class ServerProcess:
    """One of them, and what it has used so far."""

    def __init__(self, kind: str, folder: Path, profile: Path | None = None) -> None:
        self.kind = kind
        command = [sys.executable, "-m", "tests.bench.gateway", "--serve", kind, "--folder", str(folder)]
        command += ["--profile", str(profile)] if profile is not None else []
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)
        assert self._process.stdout is not None
        self.port = int(self._process.stdout.readline())
        self.tls = ssl.create_default_context(cafile=folder / "tls" / "ca.pem")

    def used(self) -> tuple[float, int]:
        """CPU seconds, and peak memory in kB."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write("\n")
        cpu, memory = self._process.stdout.readline().split()
        return float(cpu), int(memory)

    @contextmanager
    def client(self, agent: AgentLogin = AGENT) -> Iterator[smtplib.SMTP]:
        """A session behind STARTTLS, logged in where the server knows agents."""
        with smtplib.SMTP("localhost", self.port, timeout=60) as client:
            client.starttls(context=self.tls)
            if self.kind == "gateway":
                client.login(agent.id, ROOTS.password(agent.id))
            yield client

    def cost(self, times: int, work: Callable[[int], object]) -> float:
        """CPU seconds of the server for one call."""
        before, _ = self.used()
        for number in range(times):
            work(number)
        return (self.used()[0] - before) / times

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(60)
        assert self._process.stdout is not None
        self._process.stdout.close()


def message(number: int, agent: AgentLogin = AGENT) -> bytes:
    return f"From: Agent <{agent.address}>\r\nMessage-ID: <{number}@d.example>\r\nSubject: x\r\n\r\n{'x' * 900}\r\n".encode()


def kept_connection(server: ServerProcess) -> float:
    with server.client() as client:
        return server.cost(MAILS, lambda number: client.sendmail(AGENT.address, ["x@y.example"], message(number)))


def new_connections(server: ServerProcess) -> float:
    def one(number: int) -> None:
        with server.client() as client:
            client.sendmail(AGENT.address, ["x@y.example"], message(10_000 + number))

    return server.cost(CONNECTIONS, one)


def open_connections(server: ServerProcess) -> float:
    """Kilobytes of an idle session, by the peak before and after `OPEN` of them."""
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4 * OPEN), hard))
    before = server.used()[1]
    with ExitStack() as held:
        for number in range(OPEN):
            # One agent has fifty at most.
            held.enter_context(server.client(AgentLogin(f"bot-{number + 3}", f"a{number + 3}@d.example")))
        return (server.used()[1] - before) / OPEN


def beside_a_slow_agent(server: ServerProcess) -> tuple[float, float]:
    """Median seconds of a mail of one agent: alone, and while the mails of another, as many as it may, wait for Mailjet."""

    def median(begin: int) -> float:
        seconds = []
        with server.client() as client:
            for number in range(begin, begin + 100):
                begun = time.perf_counter()
                client.sendmail(AGENT.address, ["x@y.example"], message(number))
                seconds.append(time.perf_counter() - begun)
        return statistics.median(seconds)

    alone = median(50_000)
    done = threading.Event()

    def slow(name: int) -> None:
        with server.client(SLOW) as client:
            number = 0
            while not done.is_set():
                number += 1
                try:
                    client.sendmail(SLOW.address, ["x@y.example"], message(name * 100_000 + number, SLOW))
                except smtplib.SMTPDataError:
                    continue  # more at once than one agent may

    threads = [threading.Thread(target=slow, args=(name,)) for name in range(4)]
    for thread in threads:
        thread.start()
    beside = median(60_000)
    done.set()
    for thread in threads:
        thread.join()
    return alone, beside


def each(times: int, work: Callable[[int], object]) -> float:
    """CPU seconds of one call here."""
    begun = time.process_time()
    for number in range(times):
        work(number)
    return (time.process_time() - begun) / times


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.gateway", description=__doc__)
    parser.add_argument("--serve", choices=["gateway", "bare"], help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--profile", type=Path, metavar="FILE")
    given = parser.parse_args(arguments)
    if given.serve:
        return serve(given.serve, given.folder, given.profile)
    with tempfile.TemporaryDirectory(prefix="azmail-bench-") as name:
        folders = [Path(name) / kind for kind in ("gateway", "bare")]
        gateway, bare = ServerProcess("gateway", folders[0], given.profile), ServerProcess("bare", folders[1])
        print(f"{'the server, CPU':34} {'gateway':>16} {'aiosmtpd':>16} {'ratio':>6}")
        for title, measure in (
            ("a mail on a kept connection", kept_connection),
            ("a mail on a new TLS connection", new_connections),
        ):
            ours, theirs = measure(gateway), measure(bare)
            print(f"{title:34} {1 / ours:>9.0f}/s/core {1 / theirs:>9.0f}/s/core {ours / theirs:>6.2f}")
        if given.profile is None:
            ours, theirs = open_connections(gateway), open_connections(bare)
            print(f"{f'{OPEN:,} open connections':34} {ours:>13.0f} MB {theirs:>13.0f} MB {ours / theirs:>6.2f}")
            alone, beside = beside_a_slow_agent(gateway)
            print(f"{'a mail beside a slow agent':34} {beside * 1e3:>13.1f} ms, alone {alone * 1e3:.1f} ms")
        gateway.close()
        bare.close()
    _pure()
    return 0


def _pure() -> None:
    book = Directory([AGENT, *(AgentLogin(f"bot-{n}", f"a{n}@d.example") for n in range(2, 10_001))])
    password = ROOTS.password(AGENT.id)
    check = each(_CHECKS, lambda number: checked_message(message(number), AGENT))
    check_in = each(LOGINS, lambda _number: authenticate(book, ROOTS, AGENT.id, password, Scope.SEND))
    scrypt = each(3, lambda _number: hashlib.scrypt(b"x", salt=b"y" * 16, n=2**17, r=8, p=1, maxmem=2**28))
    print(f"{'header check':34} {check * 1e6:>13.0f} µs")
    print(
        f"{'login among 10,000 agents':34} {check_in * 1e6:>13.1f} µs, {scrypt / check_in:,.0f} times cheaper than scrypt"
    )
    derive = each(1, lambda _number: [ROOTS.password(f"bot-{n}") for n in range(10_000)])
    print(f"{'10,000 passwords derived':34} {derive:>14.3f} s")


if __name__ == "__main__":
    raise SystemExit(main())
