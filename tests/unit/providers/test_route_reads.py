"""How many reads a change costs on an account with 100,000 routes, most of them of other stacks: exact counts."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

from clients.mailjet.errors import ForeignRoutesError, RoutesIncompleteError
from emulators.mailjet import MailjetEmulator
from emulators.serving import ServerThread
from mailboxes.buckets import bucket_of
from providers.mailjet import plugin
from providers.mailjet.account import account_digest
from providers.mailjet.address_book import AddressBookProvider
from providers.mailjet.inbound_routes import InboundRoutesProvider
from providers.mailjet.plugin import PluginProcess
from tests.unit.providers.emulated import (
    API_KEY,
    API_SECRET,
    DOMAIN,
    Mailjet,
    RecordingEngine,
    TxtZone,
    recorded,
    settings_for,
)

URL = "https://agentmail-one:s3cretpassword@hooks.agents.example/inbound"
ROTATED = "https://agentmail-one:0therpassword@hooks.agents.example/inbound"
IDENTITY = "https://agentmail-one@hooks.agents.example/inbound"
THEIRS = "https://agentmail-two:theirpassword@hooks.agents.example/inbound"
CROWD, PAGES = 100_000, 101  # of 1,000 rows, each with the last of the page before
SMALLER, FEWER_PAGES = 3_100, 4
OURS = 300

AGENTS = {f"agent-{n}": f"box{n}@{DOMAIN}" for n in range(OURS)}
ONE = "GET /v3/REST/parseroute/{address}"
PAGE = "GET /v3/REST/parseroute"


@pytest.fixture(scope="module")
def crowded(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Mailjet, MailjetEmulator]]:
    """An account of many routes of another stack, and none of ours yet."""
    zone = TxtZone()
    emulator = MailjetEmulator(
        tmp_path_factory.mktemp("crowd") / "mailjet.sqlite",
        api_key=API_KEY,
        api_secret=API_SECRET,
        dns=("127.0.0.1", zone.port),
    )
    put_routes(emulator, {f"their{n}@{DOMAIN}": THEIRS for n in range(request.param - OURS)})
    with ServerThread(emulator.controlled_app) as server:
        account = Mailjet(server.url, zone)
        yield account, emulator
        account.close()
    zone.close()
    emulator.mailjet.db.close()


def put_routes(emulator: MailjetEmulator, routes: Mapping[str, str]) -> None:
    """{address: URL}, past the API: a hundred thousand calls would take minutes."""
    statement = "INSERT INTO parseroute (apikey_id, email, url, is_auto) SELECT id, ?, ?, 0 FROM apikey LIMIT 1"
    with emulator.mailjet.db as database:
        database.execute("BEGIN")
        database.executemany(statement, routes.items())


@pytest.fixture
def mailjet(crowded: tuple[Mailjet, MailjetEmulator]) -> Mailjet:
    """The crowd, and 300 routes of ours."""
    account, emulator = crowded
    account.switch(route_needs_verified_domain=False, route_by_address="exact")
    emulator.mailjet.db.execute("DELETE FROM parseroute WHERE email < 'their' AND email > 'a'")
    put_routes(emulator, dict.fromkeys(AGENTS.values(), URL))
    return account


Run = Callable[[], PluginProcess]


@pytest.fixture
def run(mailjet: Mailjet) -> Iterator[Run]:
    """Call it where the next `pulumi` command begins."""
    started: list[PluginProcess] = []
    before = plugin.install(None)

    def start() -> PluginProcess:
        process = PluginProcess(settings_for(mailjet.url), engine=RecordingEngine())
        plugin.install(process)
        started.append(process)
        mailjet.forget_requests()
        return process

    yield start
    plugin.install(before)
    for process in started:
        process.close()


class Stack:
    """What the engine does with a book and its buckets."""

    def __init__(self, agents: dict[str, str], url: str = URL) -> None:
        self.agents, self.url = agents, url

    def buckets(self, agents: dict[str, str]) -> dict[int, dict[str, str]]:
        found: dict[int, dict[str, str]] = {}
        for agent, address in agents.items():
            found.setdefault(bucket_of(agent), {})[agent] = address
        return dict(sorted(found.items()))

    def inputs(self, routes: dict[str, str], url: str) -> dict[str, Any]:
        return {"routes": json.dumps(routes), "route_url": url, "take_over": False}

    def book(self, agents: dict[str, str]) -> dict[str, Any]:
        return {"addresses": json.dumps(agents), "route_identity": IDENTITY, "account": ""}

    def up(self, agents: dict[str, str] | None = None, url: str = URL) -> None:
        """From what stands to `agents` and `url`, book first."""
        agents = self.agents if agents is None else agents
        book, routes = AddressBookProvider(), InboundRoutesProvider()
        olds, news = recorded(self.book(self.agents)), self.book(agents)
        if book.diff("id", olds, news).changes:
            plugin.current().client.accepted = True
            book.update("id", olds | {"account": _account()}, news)
        before, after = self.buckets(self.agents), self.buckets(agents)
        for number, bucket in after.items():
            now = self.inputs(bucket, url)
            if number not in before:
                routes.create(now)
                continue
            then = recorded(self.inputs(before[number], self.url))
            if routes.diff("id", then, now).changes:
                routes.update("id", then, now)
        for number in before.keys() - after.keys():
            routes.delete("id", recorded(self.inputs(before[number], self.url)))
        self.agents, self.url = agents, url

    def first_up(self) -> None:
        plugin.current().client.accepted = True
        AddressBookProvider().create(self.book(self.agents))
        for bucket in self.buckets(self.agents).values():
            InboundRoutesProvider().create(self.inputs(bucket, self.url))

    def refresh(self) -> list[dict[str, Any]]:
        read = [
            InboundRoutesProvider().read("id", recorded(self.inputs(bucket, self.url)))
            for bucket in self.buckets(self.agents).values()
        ]
        return [dict(answer.outs or {}) for answer in read]

    def destroy(self) -> None:
        for bucket in self.buckets(self.agents).values():
            InboundRoutesProvider().delete("id", recorded(self.inputs(bucket, self.url)))
        AddressBookProvider().delete("id", recorded(self.book(self.agents)))


def _account() -> str:
    return account_digest(plugin.configured())


def reads(mailjet: Mailjet) -> Counter[str]:
    """Reads by what was asked for, one address or a page."""
    return Counter(PAGE if entry == PAGE else ONE for entry in mailjet.reads())


def newcomers(count: int) -> dict[str, str]:
    return {f"new-{n}": f"newcomer{n}@{DOMAIN}" for n in range(count)}


def owned(mailjet: Mailjet, crowded: tuple[Mailjet, MailjetEmulator], url: str = URL) -> set[str]:
    rows = crowded[1].mailjet.db.execute("SELECT email FROM parseroute WHERE url = ?", (url,))
    return {str(email) for (email,) in rows}


Crowded = tuple[Mailjet, MailjetEmulator]


def on_an_account_of(routes: int) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("crowded", [routes], indirect=True, scope="module")


@pytest.mark.slow
@on_an_account_of(CROWD)
class TestChanges:
    """Of some agents, where a listing takes 101 reads."""

    def test_one_agent_more_is_one_read(self, mailjet: Mailjet, crowded: Crowded, run: Run) -> None:
        stack = Stack(AGENTS)
        run()
        stack.up(AGENTS | newcomers(1))
        assert reads(mailjet) == {ONE: 1}
        assert len(mailjet.writes()) == 1
        assert owned(mailjet, crowded) == set(stack.agents.values())

    def test_one_agent_less_is_one_read(self, mailjet: Mailjet, crowded: Crowded, run: Run) -> None:
        stack = Stack(AGENTS)
        run()
        stack.up({agent: address for agent, address in AGENTS.items() if agent != "agent-7"})
        assert reads(mailjet) == {ONE: 1}
        assert owned(mailjet, crowded) == set(stack.agents.values())

    def test_k_changes_are_a_page_and_k_reads(self, mailjet: Mailjet, crowded: Crowded, run: Run) -> None:
        stack = Stack(AGENTS)
        run()
        stack.up({agent: address for agent, address in AGENTS.items() if not agent.endswith("7")} | newcomers(30))
        assert reads(mailjet) == {PAGE: 1, ONE: 60}
        assert Counter(write.split()[0] for write in mailjet.writes()) == {"POST": 30, "DELETE": 30}
        assert owned(mailjet, crowded) == set(stack.agents.values())

    @pytest.mark.parametrize(("count", "expected"), [(100, {PAGE: 1, ONE: 100}), (101, {PAGE: PAGES})])
    def test_the_break_even_is_where_the_rest_of_the_list_takes_fewer(
        self, mailjet: Mailjet, run: Run, count: int, expected: dict[str, int]
    ) -> None:
        run()
        Stack(AGENTS).up(AGENTS | newcomers(count))
        assert reads(mailjet) == expected

    def test_the_first_up_of_a_small_stack(self, mailjet: Mailjet, run: Run) -> None:
        run()
        Stack(newcomers(20)).first_up()
        assert reads(mailjet) == {PAGE: 1, ONE: 20}

    def test_a_whole_stack_of_fifty_is_asked_one_by_one(self, mailjet: Mailjet, crowded: Crowded, run: Run) -> None:
        fifty = dict(list(AGENTS.items())[:50])
        for step, writes in (("refresh", 0), ("rotate", 50), ("destroy", 50)):
            stack = Stack(fifty, url=ROTATED if step == "destroy" else URL)
            run()
            stack.up(url=ROTATED) if step == "rotate" else getattr(stack, step)()
            assert reads(mailjet) == {PAGE: 1, ONE: 50}, step
            assert len(mailjet.writes()) == writes, step
        assert owned(mailjet, crowded) == set(AGENTS.values()) - set(fifty.values())


@on_an_account_of(SMALLER)
class TestWholeStacks:
    @pytest.mark.parametrize("step", ["first_up", "refresh", "destroy", "rotate"])
    @pytest.mark.slow
    def test_a_whole_stack_of_three_hundred_lists_once(self, mailjet: Mailjet, run: Run, step: str) -> None:
        stack = Stack(AGENTS)
        run()
        stack.up(url=ROTATED) if step == "rotate" else getattr(stack, step)()
        found = reads(mailjet)
        # The first buckets of few agents tell nothing of the others.
        assert found[PAGE] == FEWER_PAGES
        assert found[ONE] <= 8


@on_an_account_of(SMALLER)
class TestWhereAddressesAreNotAnswered:
    """`exact` is what clients see; nothing is lost where an account answers otherwise."""

    ALL = pytest.mark.parametrize("answer", ["unknown", "refused", "oldest"])

    @ALL
    def test_routes_are_made_and_dropped(self, mailjet: Mailjet, crowded: Crowded, run: Run, answer: str) -> None:
        mailjet.switch(route_by_address=answer)
        stack = Stack(AGENTS)
        run()
        stack.up({agent: address for agent, address in AGENTS.items() if agent != "agent-7"} | newcomers(2))
        assert owned(mailjet, crowded) == set(stack.agents.values())
        assert reads(mailjet)[PAGE] == FEWER_PAGES

    @ALL
    def test_a_foreign_route_stays(self, mailjet: Mailjet, crowded: Crowded, run: Run, answer: str) -> None:
        mailjet.switch(route_by_address=answer)
        run()
        with pytest.raises((ForeignRoutesError, RoutesIncompleteError), match="somebody else"):
            Stack(AGENTS).up(AGENTS | {"new": f"their5@{DOMAIN}"})
        assert f"their5@{DOMAIN}" in owned(mailjet, crowded, THEIRS)

    @ALL
    def test_what_a_killed_run_has_made_is_adopted(
        self, mailjet: Mailjet, crowded: Crowded, run: Run, answer: str
    ) -> None:
        mailjet.switch(route_by_address=answer)
        [(agent, address)] = newcomers(1).items()
        mailjet.add_route(address, ROTATED)
        run()
        Stack(AGENTS).up(AGENTS | {agent: address})
        assert owned(mailjet, crowded) == {*AGENTS.values(), address}

    @ALL
    def test_a_refresh_finds_every_route(self, mailjet: Mailjet, run: Run, answer: str) -> None:
        mailjet.switch(route_by_address=answer)
        fifty = Stack(dict(list(AGENTS.items())[:50]))
        run()
        assert all("held" in outs and "drift" not in outs for outs in fifty.refresh())

    def test_a_page_from_a_proxy_is_no_answer(self, mailjet: Mailjet, crowded: Crowded, run: Run) -> None:
        mailjet.switch(not_found="html")
        stack = Stack(AGENTS)
        run()
        stack.up(AGENTS | newcomers(1))
        mailjet.switch(not_found="json")
        assert reads(mailjet)[PAGE] == FEWER_PAGES
        assert owned(mailjet, crowded) == set(stack.agents.values())


@on_an_account_of(SMALLER)
def test_a_missing_route_is_believed_missing_once_addresses_are_answered(mailjet: Mailjet, run: Run) -> None:
    """Nine of ten answer, so the tenth's 404 means something; where it is the only one, the list is asked."""
    ten = dict(list(AGENTS.items())[:10])
    mailjet.api("DELETE", f"/v3/REST/parseroute/{AGENTS['agent-3']}")
    run()
    drift = [outs["drift"] for outs in Stack(ten).refresh() if "drift" in outs]
    assert reads(mailjet)[PAGE] in (1, FEWER_PAGES)
    run()
    [gone] = Stack({"agent-3": AGENTS["agent-3"]}).refresh()
    assert (gone, reads(mailjet)) == ({}, {ONE: 1, PAGE: FEWER_PAGES})
    assert len(drift) <= 1
