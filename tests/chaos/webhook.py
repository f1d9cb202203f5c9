"""The webhook in processes of its own, under load, with hooks that take longer than a lease; and killed in the middle.

What Mailjet does is done here: each mail is delivered, to whichever process the tunnel leads to, until it is answered
with 200, and often to two at once.
"""

from __future__ import annotations

import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import requests

from tests.chaos.kills import wait_until
from tests.chaos.webhook_process import HOOK_SECONDS, LEASE_SECONDS, MOST_HOOKS
from tests.chaos.world import ChaosError
from tests.e2e.stack import ROOT
from tests.processes import killed_at_the_end
from tests.unit.azmail.conftest import ADDRESS_A, INBOUND_SECRET

MAILS = MOST_HOOKS + 5
MOST_TRIES = 400
PATH = "/api/webhooks/mailjet/inbound"


class _Site:
    """A folder in which all processes share the file of deliveries and note what their hooks do."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        self.notes = folder / "notes"
        self.notes.touch()

    def hooks(self, what: str) -> Counter[str]:
        """{Message-ID: how often its hook has come to `begin` or `end`}."""
        lines = (line.split() for line in self.notes.read_text().splitlines())
        return Counter(mail for word, mail in lines if word == what)

    @contextmanager
    def process(self, name: str) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
        """A running webhook and its URL."""
        port = self.folder / f"{name}.port"
        words = [
            sys.executable,
            "-m",
            "tests.chaos.webhook_process",
            self.folder / "deliveries.sqlite",
            port,
            self.notes,
        ]
        with (self.folder / f"{name}.log").open("wb") as log:
            started = subprocess.Popen([str(word) for word in words], cwd=ROOT, stdout=log, stderr=log)
            with killed_at_the_end(started) as running:
                wait_until(lambda: running.poll() is not None or port.exists(), f"the start of webhook {name}")
                yield running, f"http://127.0.0.1:{port.read_text()}"


def _deliver(urls: list[str], mail: str, stop: threading.Event) -> int:
    """Until it is taken, as Mailjet does; how often it was sent. A process that is gone is no answer."""
    body = {
        "Sender": "ada@example.com",
        "Recipient": ADDRESS_A,
        "Headers": {"Message-ID": mail},
        "Parts": [],
        "Text-part": "Hello",
    }
    for tries in range(1, MOST_TRIES + 1):
        url = urls[(tries - 1) % len(urls)]
        try:
            answer = requests.post(url + PATH, json=body, auth=("agentmail-dev", INBOUND_SECRET), timeout=60)
        except requests.ConnectionError:
            stop.wait(0.05)
            continue
        if answer.status_code == 200:
            return tries
        if answer.status_code != 503:
            raise ChaosError("a delivery", [f"{answer.status_code}: {answer.text[:200]}"])
        stop.wait(0.1)
    raise ChaosError("a delivery", [f"{mail} was not taken in {MOST_TRIES} tries"])


def _mails(what: str) -> list[str]:
    return [f"<{what}-{number}@example.com>" for number in range(MAILS)]


def busy_hooks(folder: Path) -> str:
    """More mails than there are places for hooks, each to two processes at once: every hook runs once, and what is no
    delivery is refused while all hooks are busy."""
    site, stop, mails = _Site(folder), threading.Event(), _mails("busy")
    with site.process("a") as (_, a), site.process("b") as (_, b), ThreadPoolExecutor(2 * MAILS) as threads:
        sent: list[Future[int]] = [threads.submit(_deliver, [a, b], mail, stop) for mail in mails]
        wait_until(lambda: sum(site.hooks("begin").values()) >= MOST_HOOKS // 2, "busy hooks")
        sent += [threads.submit(_deliver, [b, a], mail, stop) for mail in mails]
        answers = [requests.post(url + PATH, data=b"{", auth=("x", INBOUND_SECRET), timeout=60) for url in (a, b)]
        refused = [answer.status_code for answer in answers]
        ended = sum(site.hooks("end").values())
        tries = sum(future.result() for future in sent)
    begun = site.hooks("begin")
    problems = [f"the hook of {mail} ran {begun[mail]} times" for mail in mails if begun[mail] != 1]
    if refused != [400, 400]:
        problems.append(f"what is no delivery was answered with {refused}")
    if ended == MAILS:
        problems.append("what is no delivery waited for the hooks")
    if problems:
        raise ChaosError("the webhook under load", problems)
    return (
        f"{MAILS} mails twice to two processes, lease {LEASE_SECONDS:g} s, hooks of {HOOK_SECONDS:g} s: each ran once "
        f"({tries} deliveries)"
    )


def killed_hooks(folder: Path) -> str:
    """A process is killed while its hooks run: the other takes their mails over once the leases have ended, and none
    that was finished runs again."""
    site, stop, mails = _Site(folder), threading.Event(), _mails("killed")
    with site.process("b") as (_, b), ThreadPoolExecutor(MAILS) as threads:
        with site.process("a") as (a_process, a):
            sent: list[Future[int]] = [threads.submit(_deliver, [a, b], mail, stop) for mail in mails]
            wait_until(lambda: sum(site.hooks("end").values()) >= 1, "the first hook's end")
            a_process.kill()
            a_process.wait()
            done = set(site.hooks("end"))
        tries = sum(future.result() for future in sent)
    begun, ended = site.hooks("begin"), site.hooks("end")
    problems = [f"the hook of {mail} never ended" for mail in mails if not ended[mail]]
    # Between a hook's end and the mark in the file lies a moment in which nobody can know.
    problems += [f"{mail} ran {begun[mail]} times" for mail in mails if begun[mail] > 2]
    again = [mail for mail in done if begun[mail] > 1]
    if problems:
        raise ChaosError("a killed webhook", problems)
    taken = sum(count - 1 for count in begun.values())
    return f"killed: {taken} of {MAILS} mails were taken over, {len(again)} of them finished ({tries} deliveries)"
