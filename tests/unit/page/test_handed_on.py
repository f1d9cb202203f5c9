"""What the inbox has handed on, as the page shows it: over a database that the library writes, none, and one that is torn."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from azmail.inbox.database import Database
from azmail.inbox.parcels import received_parcel
from azmail.inbox.queue import HookQueue
from azmail.inbox.store import MailStore
from emulators.cloudflare import CloudflareEmulator, fold_path
from emulators.control import controlled
from emulators.inbox import HandedOn, InboxFolder
from emulators.mailjet import MailjetEmulator
from emulators.page.app import EmulatorPage
from emulators.serving import ServerThread
from emulators.state_folder import StateFolder
from tests.unit.azmail.inbox.mails import ME, mail
from tests.unit.page.test_page import plain


@pytest.fixture
def inbox(tmp_path: Path) -> InboxFolder:
    return InboxFolder(StateFolder(tmp_path))


@pytest.fixture
def page(inbox: InboxFolder) -> Iterator[str]:
    mailjet = MailjetEmulator(":memory:", api_key="k", api_secret="s", dns=("127.0.0.1", 1), edge=None)
    cloudflare = CloudflareEmulator(":memory:", token="t" * 40)
    api = controlled(cloudflare.app, name="cloudflare", state=cloudflare.state, reset=cloudflare.reset, fold=fold_path)
    made = EmulatorPage(mailjet=mailjet, cloudflare=cloudflare, cloudflare_app=api, inbox=inbox)
    with ServerThread(made.app) as server:
        yield server.url + "/"
        made.close()
    mailjet.close()
    cloudflare.close()


def test_what_waits_and_what_is_given_up(inbox: InboxFolder, page: str) -> None:
    assert inbox.handed_on() is None
    assert "handed on" not in plain(requests.get(page, timeout=10))
    database = Database(inbox.database_url)
    database.migrate()
    store, queue = MailStore(database, hooks=("platform",)), HookQueue(database)
    assert inbox.handed_on() == HandedOn(0, 0, 0, "")
    for number in range(4):
        store.store(received_parcel(mail(number), ME))
    marks = [inbox.mark()]
    assert "From the inbox to the platform: 0 handed on, 4 wait" in plain(requests.get(page, timeout=10))
    first, second, third, _ = queue.take(["platform"], 4)
    queue.done(first)
    queue.put_off(second, "ForwardError: <b>nobody</b> listens")
    queue.put_off(third, "ForwardError: no", most_attempts=1)
    marks.append(inbox.mark())
    assert marks[0] != marks[1] == inbox.mark()
    assert inbox.handed_on() == HandedOn(1, 2, 1, "ForwardError: <b>nobody</b> listens")
    answer = requests.get(page, timeout=10)
    assert "<b>nobody" not in answer.text
    assert "1 handed on, 2 wait," in plain(answer)
    assert "./mail inbox dead" in answer.text
    database.close()


def test_a_file_that_is_none(inbox: InboxFolder) -> None:
    inbox.database.write_bytes(b"no database")
    assert inbox.handed_on() is None
