"""AddressBook: guards that a preview shows, and the broom behind failed runs."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from clients.mailjet.client import Credentials
from clients.mailjet.errors import AnotherAccountError, MailjetError, RoutesIncompleteError
from mailboxes.packed_map import packed
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
    VirtualClock,
    outs_of,
    recorded,
)

IDENTITY = "https://agentmail-dev@hooks.agents.example/inbound"
URL = "https://agentmail-dev:s3cretpassword@hooks.agents.example/inbound"
OLD_IDENTITY = "https://agentmail-dev@old.agents.example/inbound"
OLD_URL = "https://agentmail-dev:s3cretpassword@old.agents.example/inbound"
THEIRS = "https://agentmail-prod:s3cretpassword@hooks.agents.example/inbound"
BOOK = {f"agent-{n}": f"box{n}@{DOMAIN}" for n in range(4)}

provider = AddressBookProvider()

pytestmark = pytest.mark.usefixtures("process")


def props(book: dict[str, str], identity: str = IDENTITY, **more: Any) -> dict[str, Any]:
    """Inputs and outputs in one, of an `up` with today's key."""
    account = account_digest(plugin.configured())
    return {"addresses": json.dumps(book), "route_identity": identity, "account": account, **more}


def without(agent: str) -> dict[str, str]:
    return {key: address for key, address in BOOK.items() if key != agent}


class TestCheck:
    def test_a_first_book_passes(self) -> None:
        assert provider.check({}, props(BOOK)).failures == []

    def test_all_refusals_at_once_without_naming_a_property(self) -> None:
        old = {f"agent-{n}": f"box{n}@{DOMAIN}" for n in range(40)}
        new = {f"agent-{n}": f"box{n}@{DOMAIN}" for n in range(10)}
        new["agent-0"] = f"moved@{DOMAIN}"
        new["newcomer"] = old["agent-39"]
        failures = provider.check(props(old), props(new)).failures
        assert [failure.property for failure in failures] == ["", "", ""]
        moved, removed, inherited = (failure.reason for failure in failures)
        assert "./mail agents pin agent-0=box0" in moved
        assert "allowMassRemoval '30 of 40'" in removed
        assert "agent-39 to newcomer" in inherited

    def test_a_second_that_has_not_come_yet_is_for_those_who_have_it_already(self) -> None:
        """A clock that was a year ahead made them; with the right one nobody else may come that way."""
        old = {"a1": f"ada.low.001.29991005123045@{DOMAIN}", "a2": f"bob.kahn.002.20241005123045@{DOMAIN}"}
        ahead = '{"a1": "29991005123045"}'
        assert provider.check(props(old), props(old, ahead=ahead)).failures == []
        [failure] = provider.check(props({"a2": old["a2"]}), props(old, ahead=ahead)).failures
        assert (
            "1 new mailbox would have a created_at in the future, of 0 allowed (a1 (29991005123045))" in failure.reason
        )
        assert provider.diff("id", recorded(props(old)), props(old, ahead=ahead)).changes is False

    def test_a_withdrawn_password_does_not_come_back(self) -> None:
        before, after = '{"agent-1":{"credential_epoch":2}}', '{"agent-1":{"credential_epoch":1}}'
        [failure] = provider.check(props(BOOK, policies=before), props(BOOK, policies=after)).failures
        assert "1 credential_epoch would go down, of 0 allowed (agent-1: 2 -> 1)" in failure.reason
        assert len(provider.check(props(BOOK, policies=before), props(BOOK)).failures) == 1
        assert provider.check(props(BOOK, policies=after), props(BOOK, policies=before)).failures == []
        assert provider.check(props(BOOK, policies=before), props(without("agent-1"))).failures == []

    def test_the_switch_lets_exactly_this_removal_pass(self) -> None:
        assert provider.check(props(BOOK), props({}, allow_mass_removal="all of 4")).failures == []
        assert len(provider.check(props(BOOK), props({}, allow_mass_removal="4 of 4")).failures) == 1

    def test_the_limits_are_inputs(self) -> None:
        strict = props(without("agent-0"), removal_percent=0.0, removal_count=0.0)
        assert len(provider.check(props(BOOK), strict).failures) == 1

    def test_a_malformed_book_or_identity(self) -> None:
        failures = provider.check({}, {"addresses": "{", "route_identity": "https://hooks.agents.example/in"}).failures
        assert len(failures) == 2
        assert "names no owner" in failures[0].reason
        assert "no JSON" in failures[1].reason


class TestDiff:
    def test_the_same_book(self) -> None:
        olds = {**recorded(props(BOOK)), "allow_mass_removal": "3 of 4"}
        assert provider.diff("id", olds, props(dict(reversed(BOOK.items())), allow_mass_removal="")).changes is False

    def test_another_book_or_identity(self) -> None:
        for news in (props(without("agent-1")), props(BOOK, OLD_IDENTITY)):
            assert provider.diff("id", recorded(props(BOOK)), news).changes is True


class TestWhatTheStateHolds:
    """The map stands in the inputs; beside it, what a later run cannot do without."""

    @pytest.fixture(autouse=True)
    def _any_domain(self, mailjet: Mailjet, process: PluginProcess) -> None:
        mailjet.switch(route_needs_verified_domain=False)

    def test_the_outputs_do_not_repeat_the_map(self) -> None:
        outs = outs_of(provider.create(props(BOOK)))
        assert outs.keys() == {"route_identity", "digest", "held", "account"}
        assert "agent-1" not in json.dumps(outs)
        assert provider.update("id", outs, props(BOOK)).outs == outs

    def test_what_agents_may_do_is_remembered(self) -> None:
        policies = '{"agent-1":{"may_write_to":["agents.example"]}}'
        outs = outs_of(provider.create(props(BOOK)))
        assert provider.diff("id", outs, props(BOOK, policies=policies)).changes is True
        held = outs_of(provider.update("id", outs, props(BOOK, policies=policies)))
        assert provider.diff("id", held, props(BOOK, policies=policies)).changes is False
        assert provider.diff("id", held, props(BOOK)).changes is True

    def test_they_tell_a_change_from_none(self) -> None:
        outs = outs_of(provider.create(props(BOOK)))
        swapped = {**BOOK, "agent-0": BOOK["agent-1"], "agent-1": BOOK["agent-0"]}
        assert provider.diff("id", outs, props(dict(reversed(BOOK.items())))).changes is False
        assert provider.diff("id", outs, props(swapped)).changes is True
        assert provider.diff("id", outs, props(without("agent-1"))).changes is True

    def test_a_packed_book_is_the_same_book(self) -> None:
        packed_props = {**props(BOOK), "addresses": packed(BOOK)}
        outs = outs_of(provider.create(packed_props))
        assert outs == outs_of(provider.create(props(BOOK)))
        assert provider.check(packed_props, packed_props).failures == []
        assert provider.diff("id", outs, props(BOOK)).changes is False
        [failure] = provider.check(packed_props, {**props(BOOK), "addresses": packed({})}).failures
        assert "4 of 4 mailboxes would be removed" in failure.reason

    def test_they_are_enough_to_sweep(self, mailjet: Mailjet, next_run: Any) -> None:
        outs = outs_of(provider.create(props(BOOK)))
        for address in BOOK.values():
            mailjet.add_route(address, URL)
        next_run()
        outs = outs_of(provider.update("id", outs, props(without("agent-1"))))
        assert mailjet.routes() == dict.fromkeys(without("agent-1").values(), URL)
        mailjet.add_route(BOOK["agent-1"], URL)
        next_run()
        provider.delete("id", outs)
        assert mailjet.routes() == {BOOK["agent-1"]: URL}


class TestBroom:
    @pytest.fixture(autouse=True)
    def _any_domain(self, mailjet: Mailjet, process: PluginProcess) -> None:
        mailjet.switch(route_needs_verified_domain=False)

    def test_an_accepted_key_is_not_asked_about_again(self, mailjet: Mailjet, process: PluginProcess) -> None:
        process.api.ask_anything()
        mailjet.forget_requests()
        outs = outs_of(provider.create(props(BOOK)))
        read = provider.read("id", outs)
        assert (read.outs, read.inputs) == (outs, None)
        provider.update("id", outs, props({**BOOK, "agent-9": f"box9@{DOMAIN}"}))
        assert mailjet.requests() == []

    def test_delete_removes_what_a_killed_up_left(self, mailjet: Mailjet, next_run: Any) -> None:
        mailjet.add_route(BOOK["agent-1"], URL)
        mailjet.add_route(BOOK["agent-2"], THEIRS)
        mailjet.add_route(f"unrelated@{DOMAIN}", URL)
        next_run()
        provider.delete("id", recorded(props(BOOK)))
        assert mailjet.routes() == {BOOK["agent-2"]: THEIRS, f"unrelated@{DOMAIN}": URL}

    def test_update_removes_the_route_of_a_withdrawn_agent(self, mailjet: Mailjet, next_run: Any) -> None:
        """Her POST took effect, its answer was lost, and then she left the population."""
        mailjet.add_route(BOOK["agent-1"], URL)
        next_run()
        provider.update("id", recorded(props(BOOK)), props(without("agent-1")))
        assert mailjet.routes() == {}
        assert len(mailjet.writes()) == 1

    def test_the_bucket_finds_nothing_left_to_do(self, mailjet: Mailjet, next_run: Any) -> None:
        """One withdrawn agent is one write in all."""
        routes = InboundRoutesProvider()
        olds = outs_of(routes.create({"routes": json.dumps(BOOK), "route_url": URL}))
        next_run()
        provider.update("id", recorded(props(BOOK)), props(without("agent-1")))
        routes.update("id", olds, {"routes": json.dumps(without("agent-1")), "route_url": URL})
        assert len(mailjet.writes()) == 1
        assert mailjet.reads() == [f"GET /v3/REST/parseroute/{BOOK['agent-1']}"]
        assert mailjet.routes() == dict.fromkeys(without("agent-1").values(), URL)

    def test_routes_under_the_identity_of_before_are_ours_too(self, mailjet: Mailjet, next_run: Any) -> None:
        mailjet.add_route(BOOK["agent-1"], OLD_URL)
        next_run()
        provider.update("id", recorded(props(BOOK, OLD_IDENTITY)), props(without("agent-1"), IDENTITY))
        assert mailjet.routes() == {}

    def test_a_replaced_book_does_not_sweep_what_its_successor_holds(self, mailjet: Mailjet, next_run: Any) -> None:
        for address in BOOK.values():
            mailjet.add_route(address, URL)
        next_run()
        provider.create(props(BOOK))
        provider.delete("id", recorded(props(BOOK)))
        assert len(mailjet.routes()) == len(BOOK)

    def test_what_could_not_be_removed_is_named(self, mailjet: Mailjet, next_run: Any) -> None:
        for address in BOOK.values():
            mailjet.add_route(address, URL)
        next_run()
        mailjet.faults({"method": "DELETE", "path": "*", "kind": "503"})
        with pytest.raises(RoutesIncompleteError, match=r"0 inbound routes settled, 4 left \(box0@") as caught:
            provider.delete("id", recorded(props(BOOK)))
        assert str(caught.value).endswith("run `./mail apply STACK` again: it goes on from here.")
        mailjet.faults()
        next_run()
        provider.delete("id", recorded(props(BOOK)))
        assert mailjet.routes() == {}

    def test_an_empty_book_asks_nothing(self, mailjet: Mailjet, next_run: Any) -> None:
        outs = outs_of(provider.create(props({})))
        next_run()
        mailjet.forget_requests()
        provider.delete("id", outs)
        assert mailjet.requests() == []

    def test_an_engine_that_is_gone_sweeps_nothing(self, mailjet: Mailjet, next_run: Any) -> None:
        mailjet.add_route(BOOK["agent-1"], URL)
        engine = RecordingEngine()
        engine.is_alive = False
        next_run(engine)
        with pytest.raises(RoutesIncompleteError, match="is gone"):
            provider.delete("id", recorded(props(BOOK)))
        assert mailjet.writes() == []


class TestTheKey:
    """An `up` that changes nothing asks nothing, and shows the platform the key it was given."""

    @pytest.fixture
    def with_key(self, next_run: Any) -> Iterator[Callable[..., PluginProcess]]:
        """Continue as a run with another key or API address."""
        running: list[PluginProcess] = []

        def begin(*, key: str = API_KEY, secret: str = API_SECRET, url: str = "") -> PluginProcess:
            settings = replace(plugin.current().settings, credentials=Credentials(api_key=key, api_secret=secret))
            settings = replace(settings, api_url=url) if url else settings
            running.append(PluginProcess(settings, engine=RecordingEngine(), clock=VirtualClock()))
            plugin.install(running[-1])
            return running[-1]

        yield begin
        for process in running:
            process.close()

    @pytest.fixture
    def outs(self, mailjet: Mailjet) -> dict[str, Any]:
        mailjet.api("POST", "/v3/REST/sender", {"Email": f"*@{DOMAIN}"}).raise_for_status()
        made = outs_of(provider.create(props(BOOK)))
        mailjet.forget_requests()
        return made

    def test_the_same_key_is_no_change(self, outs: dict[str, Any], mailjet: Mailjet, with_key: Any) -> None:
        with_key()
        assert provider.diff("id", outs, props(BOOK)).changes is False
        provider.update("id", outs, props(without("agent-3")) | {"addresses": json.dumps(BOOK)})
        assert mailjet.requests() == []

    def test_none_is_no_change(self, outs: dict[str, Any], with_key: Any) -> None:
        """A preview needs no key."""
        for missing in ({"key": ""}, {"secret": ""}, {"key": "", "secret": ""}):
            with_key(**missing)
            assert provider.diff("id", outs, props(BOOK)).changes is False

    @pytest.mark.parametrize("dead", [{"secret": "f" * 32}, {"key": "e" * 32}, {"key": API_SECRET, "secret": API_KEY}])
    @pytest.mark.parametrize("book", [BOOK, {}])
    def test_a_refused_one_is_told_before_anything_is_written(
        self, dead: dict[str, str], book: dict[str, str], outs: dict[str, Any], mailjet: Mailjet, with_key: Any
    ) -> None:
        with_key(**dead)
        assert provider.diff("id", outs, props(book)).changes is True
        with pytest.raises(MailjetError, match="rejected the API key or its secret"):
            provider.update("id", outs, props(book))
        with pytest.raises(MailjetError, match="not tried, since Mailjet refuses the key"):
            provider.create(props(book))
        assert mailjet.reads() == ["GET /v3/REST/sender/*@agents.example" if book else "GET /v3/REST/sender"]
        assert mailjet.writes() == []

    def test_a_good_one_of_another_account_is_told_too(
        self, outs: dict[str, Any], mailjet: Mailjet, with_key: Any
    ) -> None:
        mailjet.reset()
        with_key(url=plugin.current().settings.api_url.replace("127.0.0.1", "localhost"))
        with pytest.raises(AnotherAccountError, match=r"no sender \*@agents.example; expected the account"):
            provider.update("id", outs, props(BOOK))

    def test_a_rolled_one_is_recorded(self, outs: dict[str, Any], mailjet: Mailjet, with_key: Any) -> None:
        before = outs | {"account": "of the one before"}
        assert provider.diff("id", before, props(BOOK)).changes is True
        after = outs_of(provider.update("id", before, props(BOOK)))
        assert after == outs
        assert provider.diff("id", after, props(BOOK)).changes is False
        assert (len(mailjet.requests()), mailjet.writes()) == (1, [])

    def test_a_refresh_keeps_what_is_recorded(self, outs: dict[str, Any], with_key: Any) -> None:
        with_key(secret="f" * 32)
        assert provider.read("id", outs).outs == outs

    def test_the_state_does_not_show_the_key(self, process: PluginProcess) -> None:
        digest = account_digest(process.settings)
        assert re.fullmatch("[0-9a-f]{32}", digest)
        for other in (
            Credentials(api_key=API_SECRET, api_secret=API_KEY),
            Credentials(api_key=API_KEY, api_secret=API_SECRET[:-1]),
            Credentials(api_key=API_KEY + API_SECRET[0], api_secret=API_SECRET[1:]),
        ):
            assert account_digest(replace(process.settings, credentials=other)) != digest
        assert account_digest(replace(process.settings, api_url=process.settings.api_url + "/")) == digest


class TestRevertedChanges:
    """A run fails between the book and a bucket, and the change is taken back: the bucket's state equals its inputs
    again, and is not true."""

    routes = InboundRoutesProvider()

    def bucket(self, book: dict[str, str] = BOOK, url: str = URL) -> dict[str, Any]:
        return {"routes": json.dumps(book), "route_url": url, "take_over": False}

    @pytest.fixture(autouse=True)
    def _settled(self, mailjet: Mailjet, process: PluginProcess) -> None:
        mailjet.switch(route_needs_verified_domain=False)
        self.routes.create(self.bucket())

    def test_a_withdrawal_that_is_taken_back(self, mailjet: Mailjet, next_run: Any) -> None:
        next_run()
        provider.update("id", recorded(props(BOOK)), props(without("agent-1")))
        assert BOOK["agent-1"] not in mailjet.routes()
        next_run()
        provider.update("id", recorded(props(without("agent-1"))), props(BOOK))
        assert self.routes.diff("id", recorded(self.bucket()), self.bucket()).changes is True
        self.routes.update("id", recorded(self.bucket()), self.bucket())
        assert mailjet.routes() == dict.fromkeys(BOOK.values(), URL)

    def test_a_move_of_the_webhook_that_is_taken_back(self, mailjet: Mailjet, next_run: Any) -> None:
        next_run()
        provider.update("id", recorded(props(BOOK)), props(BOOK, OLD_IDENTITY))
        self.routes.update("id", recorded(self.bucket()), self.bucket(url=OLD_URL))  # and then the run dies unrecorded
        next_run()
        provider.update("id", recorded(props(BOOK, OLD_IDENTITY)), props(BOOK))
        assert self.routes.diff("id", recorded(self.bucket()), self.bucket()).changes is True
        self.routes.update("id", recorded(self.bucket()), self.bucket())
        assert mailjet.routes() == dict.fromkeys(BOOK.values(), URL)

    def test_other_buckets_and_other_runs_are_left_alone(self, next_run: Any) -> None:
        next_run()
        provider.update("id", recorded(props(without("agent-1"))), props(BOOK))
        other = self.bucket({"agent-9": f"box9@{DOMAIN}"})
        assert self.routes.diff("id", recorded(other), other).changes is False
        next_run()
        assert self.routes.diff("id", recorded(self.bucket()), self.bucket()).changes is False
