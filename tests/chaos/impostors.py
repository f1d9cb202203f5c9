"""One agent with a good credential who tries to send as somebody else, by every door; and honest mail, which must pass.

The gateway is a process, what it hands on is written down by an upstream of raw octets, and four independent parsers say whose it is.
A message that is taken is no success by itself: many attempts are harmless in the end. It succeeds where what left has another
sender than the agent for one of the parsers, where a bare line end or a NUL left, or where more left than was taken.
"""

from __future__ import annotations

import json
import re
import smtplib
import ssl
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import requests
from mailjet_rest import Client
from mailjet_rest.errors import MailjetApiError

from azmail.gateway.credentials import Roots, new_root
from emulators.mailjet.send_api import composed
from tests.chaos.gateway import GatewayWorld, gateway_world
from tests.unit.azmail.gateway.attempts import BOSS, ME, Attempt, attempts, dishonest_calls, honest, honest_calls
from tests.unit.azmail.gateway.parsers import is_from_nobody_else

SESSIONS = 3
"""At once, each with its part of the attempts; the gateway takes four of one agent."""
_STUFFED = re.compile(rb"(?:^|(?<=\r\n))\.\.")


@dataclass(slots=True)
class Outcome:
    """What one kind of mail came to at one door."""

    title: str
    tried: int = 0
    told: Counter[int] = field(default_factory=Counter)
    """The status of each answer."""
    forwarded: int = 0
    succeeded: list[bytes] = field(default_factory=list)
    """What left in another's name, or could be read so."""
    must_pass: bool = False

    @property
    def accepted(self) -> int:
        return self.told[250] + self.told[200]

    @property
    def refused(self) -> int:
        return self.tried - self.accepted

    @property
    def is_well(self) -> bool:
        return not self.succeeded and self.forwarded == self.accepted and not (self.must_pass and self.refused)

    def __str__(self) -> str:
        return (
            f"{self.title}: {self.tried:,} tried, {self.refused:,} refused, {self.accepted:,} taken, {self.forwarded:,} left, "
            f"{len(self.succeeded)} of them in another's name; answers {dict(sorted(self.told.items()))}"
        )


@dataclass(frozen=True)
class Door:
    """How one agent reaches the gateway."""

    world: GatewayWorld
    password: str
    tls: ssl.SSLContext

    def session(self) -> smtplib.SMTP:
        client = smtplib.SMTP("localhost", self.world.replicas[0].smtp, timeout=60)
        client.starttls(context=self.tls)
        client.login("bot-1", self.password)
        return client

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.world.replicas[0].http}"


def by_kept_connections(door: Door, mails: Iterable[Attempt]) -> Counter[int]:
    """The answers to one mail after the other in one session."""
    with door.session() as client:
        return Counter(_submitted(client, one) for one in mails)


def by_new_connections(door: Door, mails: Iterable[Attempt]) -> Counter[int]:
    """The answers to mails with a session each, as the platform sends."""
    told: Counter[int] = Counter()
    for one in mails:
        with door.session() as client:
            told[_submitted(client, one)] += 1
    return told


def by_calls(door: Door, bodies: Iterable[bytes]) -> Counter[int]:
    """The statuses of Send API calls, octet for octet as given."""
    with requests.Session() as session:
        session.auth = ("bot-1", door.password)
        return Counter(session.post(f"{door.url}/v3.1/send", data=body, timeout=60).status_code for body in bodies)


def by_mailjets_client(door: Door, calls: Iterable[dict[str, Any]]) -> Counter[int]:
    """The statuses that `mailjet_rest` gets."""
    told: Counter[int] = Counter()
    with Client(auth=("bot-1", door.password), version="v3.1", api_url=f"{door.url}/") as client:
        for call in calls:
            try:
                told[client.send.create(data=call).status_code] += 1
            except MailjetApiError as refused:
                told[int(getattr(refused, "status_code", None) or 0)] += 1
    return told


def _submitted(client: smtplib.SMTP, attempt: Attempt) -> int:
    """The answer to the step that was refused, or to the final dot. smtplib's own `data` would mend line ends."""
    for command in (f"MAIL {attempt.mail}", "RCPT TO:<x@y.example>", "DATA"):
        code, _said = client.docmd(command)
        if code not in (250, 354):
            return code
    client.send(attempt.octets + b"\r\n.\r\n")
    return client.getreply()[0]


def _honest_attempts(count: int, seed: int) -> Iterator[Attempt]:
    for octets in honest(count, seed):
        yield Attempt(f"FROM:<{ME}>", octets.removesuffix(b"\r\n").replace(b"\r\n.", b"\r\n.."))


@contextmanager
def a_door(folder: Path) -> Iterator[Door]:
    """A gateway process on SQLite with two agents, whose victim is one of them, before the recording upstream."""
    roots = {"r1": new_root()}
    with gateway_world(
        folder, f"sqlite:///{folder}/ledger.sqlite", roots, replicas=1, agents={"bot-1": ME, "bot-2": BOSS}
    ) as world:
        tls = ssl.create_default_context(cafile=folder / "tls-0" / "ca.pem")
        yield Door(world, Roots(roots, domain="d.example").password("bot-1"), tls)


def impostors(folder: Path, *, count: int, honest_count: int, seed: int) -> Iterator[Outcome]:
    """At every door: `count` attempts to be somebody else, and `honest_count` honest messages."""
    sources: list[tuple[str, Callable[[Door, Any], Counter[int]], Callable[..., Iterator[Any]], bool]] = [
        ("SMTP, kept connections", by_kept_connections, attempts, False),
        ("SMTP, new connections", by_new_connections, attempts, False),
        ("Send API", by_calls, dishonest_calls, False),
        ("SMTP, kept connections, honest", by_kept_connections, _honest_attempts, True),
        ("SMTP, new connections, honest", by_new_connections, _honest_attempts, True),
        ("Send API by mailjet_rest, honest", by_mailjets_client, honest_calls, True),
    ]
    with a_door(folder) as door:
        for number, (title, send, made, must_pass) in enumerate(sources):
            outcome = Outcome(title, tried=honest_count if must_pass else count, must_pass=must_pass)
            # Another seed at each door: the gateway answers what it has seen before without sending it.
            _send_all(door, send, partial(made, outcome.tried, seed * 100 + number), outcome)
            _judge(door, outcome)
            yield outcome


def _send_all(
    door: Door, send: Callable[[Door, Any], Counter[int]], made: Callable[[], Iterator[Any]], outcome: Outcome
) -> None:
    with ThreadPoolExecutor(SESSIONS) as threads:
        for told in threads.map(lambda index: send(door, islice(made(), index, None, SESSIONS)), range(SESSIONS)):
            outcome.told.update(told)


def _judge(door: Door, outcome: Outcome) -> None:
    """What has left since the last time, whose it is, and that its envelope is the agent's."""
    upstream = door.world.upstream
    octets, commands = list(upstream.octets), list(upstream.mail_commands)
    upstream.got.clear()
    upstream.octets.clear()
    upstream.mail_commands.clear()
    outcome.forwarded = len(octets)
    by_smtp = bool(commands)
    for one in octets:
        wires = [_STUFFED.sub(b".", one)] if by_smtp else [composed(message) for message in _messages(one)]
        outcome.succeeded += [wire for wire in wires if not is_from_nobody_else(wire, ME, victim=BOSS)]
    outcome.succeeded += [line for line in commands if not line.lower().startswith(b"mail from:<%s>" % ME.encode())]


def _messages(body: bytes) -> list[dict[str, Any]]:
    messages: list[dict[str, Any]] = json.loads(body)["Messages"]
    return messages


def main(count: int, honest_count: int, seed: int) -> int:
    """Full size; how many kinds of mail did not end well."""
    failed = 0
    with tempfile.TemporaryDirectory(prefix="azmail-chaos-impostors-") as folder:
        began = time.monotonic()
        for outcome in impostors(Path(folder), count=count, honest_count=honest_count, seed=seed):
            print(f"{outcome} ({time.monotonic() - began:.0f} s)", flush=True)
            for wire in outcome.succeeded[:3]:
                print(f"FAILED: {wire[:400]!r}", flush=True)
            failed += not outcome.is_well
            began = time.monotonic()
    return failed
