"""10,000 agents, every kept mail and 100,000 requests are no more to a browser than a few: pages, made by few questions."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
import requests

from emulators.cloudflare import CloudflareEmulator, fold_path
from emulators.control import controlled
from emulators.inbox import InboxFolder
from emulators.mailjet import MailjetEmulator
from emulators.mailjet.letters import KEPT
from emulators.page.app import EmulatorPage
from emulators.request_log import LOG_CAPACITY
from emulators.serving import ServerThread
from emulators.state_folder import StateFolder

AGENTS = 10_000
MOST_ELEMENTS = 1_800
MOST_OCTETS = 250_000
MOST_QUESTIONS = 50
"""For one mail: its thread's beginnings are 30 of them."""
ELEMENT = re.compile(r"<[a-z]")
MAIL = b"From: a@a.example\r\nTo: b@a.example\r\nSubject: number\r\n\r\n" + b"word " * 400

pytestmark = pytest.mark.slow


@dataclass(frozen=True)
class Crowd:
    """The page of all of them. `asked`: the SQL of the Mailjet database since it was cleared."""

    url: str
    asked: list[str]


@pytest.fixture(scope="module")
def crowd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Crowd]:
    mailjet = MailjetEmulator(":memory:", api_key="k", api_secret="s", dns=("127.0.0.1", 1), edge=None)
    cloudflare = CloudflareEmulator(":memory:", token="t" * 40)
    api = controlled(cloudflare.app, name="cloudflare", state=cloudflare.state, reset=cloudflare.reset, fold=fold_path)
    db, key = mailjet.mailjet.db, mailjet.mailjet.api_keys()[0].id
    names = [f"agent{number}@a.example" for number in range(AGENTS)]
    db.executemany(
        "INSERT INTO parseroute (apikey_id, email, url, is_auto) VALUES (?, ?, 'http://u:p@127.0.0.1/x', 0)",
        [(key, name) for name in names],
    )
    db.executemany("INSERT INTO agent VALUES (?, ?, ?)", [(name, f"id-{name}", f"Name {name}") for name in names])
    db.executemany(
        "INSERT INTO letter (octets, author, sender, recipient, subject, header_id, thread, at) VALUES (?, ?, ?, ?, ?, ?, '<1@a>', ?)",
        [(MAIL, names[n], names[n], names[n + 1], f"number {n}", f"<{n}@a>", time.time()) for n in range(KEPT)],
    )
    for log in (mailjet.controlled_app.log, api.log):
        for number in range(LOG_CAPACITY):
            log.add("POST", f"/v3/{number}", "", "/{id}", b'{"Email": "x"}').status = 200
    page = EmulatorPage(
        mailjet=mailjet,
        cloudflare=cloudflare,
        cloudflare_app=api,
        inbox=InboxFolder(StateFolder(tmp_path_factory.mktemp("crowd"))),
    )
    asked: list[str] = []
    db.set_trace_callback(asked.append)
    with ServerThread(page.app) as server:
        yield Crowd(server.url + "/", asked)
        page.close()
    mailjet.close()
    cloudflare.close()


@pytest.mark.parametrize(
    "path",
    [
        "", "?q=number", "?agent=agent7@a.example", "mail/1000", "write", "agents", "agents?q=9999", "agents?skip=9950", "dns",
        "requests", "requests?q=/v3/99999", "requests?skip=190000", "requests?failed=1", "faults", "letters?after=0",
    ],
)  # fmt: skip
def test_a_page_is_a_page(crowd: Crowd, path: str) -> None:
    crowd.asked.clear()
    answer = requests.get(crowd.url + path, timeout=60)
    assert answer.status_code == 200
    assert len(answer.content) <= MOST_OCTETS
    assert len(ELEMENT.findall(answer.text)) <= MOST_ELEMENTS
    assert len(crowd.asked) <= MOST_QUESTIONS + 50 * path.startswith("letters"), crowd.asked
