"""AddressBook: guards that a preview shows, and the broom behind failed runs."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pulumi import ResourceOptions
from pulumi.dynamic import Resource

from providers.mailjet.address_book import AddressBook, AddressBookArgs, AddressBookProvider
from providers.mailjet.errors import RoutesIncompleteError
from providers.mailjet.inbound_routes import InboundRoutesProvider
from providers.mailjet.plugin import PluginProcess
from tests.unit.providers.emulated import DOMAIN, Mailjet, RecordingEngine, outs_of

IDENTITY = "https://agentmail-dev@hooks.agents.example/inbound"
URL = "https://agentmail-dev:s3cretpassword@hooks.agents.example/inbound"
OLD_IDENTITY = "https://agentmail-dev@old.agents.example/inbound"
OLD_URL = "https://agentmail-dev:s3cretpassword@old.agents.example/inbound"
THEIRS = "https://agentmail-prod:s3cretpassword@hooks.agents.example/inbound"
BOOK = {f"agent-{n}": f"box{n}@{DOMAIN}" for n in range(4)}

provider = AddressBookProvider()


def props(book: dict[str, str], identity: str = IDENTITY, **more: Any) -> dict[str, Any]:
    return {"addresses": json.dumps(book), "route_identity": identity, **more}


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
        assert "local_part: box0" in moved
        assert "allowMassRemoval 30" in removed
        assert "agent-39 to newcomer" in inherited

    def test_the_switch_lets_exactly_this_removal_pass(self) -> None:
        assert provider.check(props(BOOK), props({}, allow_mass_removal=4.0)).failures == []
        assert len(provider.check(props(BOOK), props({}, allow_mass_removal=3.0)).failures) == 1

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
        olds = {**props(BOOK), "allow_mass_removal": 3.0}
        assert provider.diff("id", olds, props(dict(reversed(BOOK.items())), allow_mass_removal=0.0)).changes is False

    @pytest.mark.parametrize("news", [props(without("agent-1")), props(BOOK, OLD_IDENTITY)])
    def test_another_book_or_identity(self, news: dict[str, Any]) -> None:
        assert provider.diff("id", props(BOOK), news).changes is True


class TestBroom:
    @pytest.fixture(autouse=True)
    def _any_domain(self, mailjet: Mailjet, process: PluginProcess) -> None:
        mailjet.switch(route_needs_verified_domain=False)

    def test_create_and_read_ask_nothing(self, mailjet: Mailjet) -> None:
        mailjet.forget_requests()
        outs = outs_of(provider.create(props(BOOK)))
        assert outs == props(BOOK)
        read = provider.read("id", outs)
        assert (read.outs, read.inputs) == (outs, outs)
        provider.update("id", outs, props({**BOOK, "agent-9": f"box9@{DOMAIN}"}))
        assert mailjet.requests() == []

    def test_delete_removes_what_a_killed_up_left(self, mailjet: Mailjet, next_run: Any) -> None:
        mailjet.add_route(BOOK["agent-1"], URL)
        mailjet.add_route(BOOK["agent-2"], THEIRS)
        mailjet.add_route(f"unrelated@{DOMAIN}", URL)
        next_run()
        provider.delete("id", props(BOOK))
        assert mailjet.routes() == {BOOK["agent-2"]: THEIRS, f"unrelated@{DOMAIN}": URL}

    def test_update_removes_the_route_of_a_withdrawn_agent(self, mailjet: Mailjet, next_run: Any) -> None:
        """Her POST took effect, its answer was lost, and then she left the population."""
        mailjet.add_route(BOOK["agent-1"], URL)
        next_run()
        provider.update("id", props(BOOK), props(without("agent-1")))
        assert mailjet.routes() == {}
        assert len(mailjet.writes()) == 1

    def test_the_bucket_finds_nothing_left_to_do(self, mailjet: Mailjet, next_run: Any) -> None:
        """One withdrawn agent is one write in all."""
        routes = InboundRoutesProvider()
        olds = outs_of(routes.create({"routes": json.dumps(BOOK), "route_url": URL}))
        next_run()
        provider.update("id", props(BOOK), props(without("agent-1")))
        routes.update("id", olds, {"routes": json.dumps(without("agent-1")), "route_url": URL})
        assert len(mailjet.writes()) == 1
        assert mailjet.reads() == ["GET /v3/REST/parseroute"]
        assert mailjet.routes() == dict.fromkeys(without("agent-1").values(), URL)

    def test_routes_under_the_identity_of_before_are_ours_too(self, mailjet: Mailjet, next_run: Any) -> None:
        mailjet.add_route(BOOK["agent-1"], OLD_URL)
        next_run()
        provider.update("id", props(BOOK, OLD_IDENTITY), props(without("agent-1"), IDENTITY))
        assert mailjet.routes() == {}

    def test_a_replaced_book_does_not_sweep_what_its_successor_holds(self, mailjet: Mailjet, next_run: Any) -> None:
        for address in BOOK.values():
            mailjet.add_route(address, URL)
        next_run()
        provider.create(props(BOOK))
        provider.delete("id", props(BOOK))
        assert len(mailjet.routes()) == len(BOOK)

    def test_what_could_not_be_removed_is_named(self, mailjet: Mailjet, next_run: Any) -> None:
        for address in BOOK.values():
            mailjet.add_route(address, URL)
        next_run()
        mailjet.faults({"method": "DELETE", "path": "*", "kind": "503"})
        with pytest.raises(RoutesIncompleteError, match=r"0 inbound routes settled, 4 left \(box0@") as caught:
            provider.delete("id", props(BOOK))
        assert "run `pulumi up` again" in str(caught.value)
        mailjet.faults()
        next_run()
        provider.delete("id", props(BOOK))
        assert mailjet.routes() == {}

    def test_an_empty_book_asks_nothing(self, mailjet: Mailjet, next_run: Any) -> None:
        next_run()
        provider.delete("id", outs_of(provider.create(props({}))))
        assert mailjet.requests() == []

    def test_an_engine_that_is_gone_sweeps_nothing(self, mailjet: Mailjet, next_run: Any) -> None:
        mailjet.add_route(BOOK["agent-1"], URL)
        engine = RecordingEngine()
        engine.is_alive = False
        next_run(engine)
        with pytest.raises(RoutesIncompleteError, match="is gone"):
            provider.delete("id", props(BOOK))
        assert mailjet.writes() == []


def test_the_resource_hides_its_own_diff(monkeypatch: pytest.MonkeyPatch) -> None:
    """The buckets show the same change, agent by agent."""
    seen: list[ResourceOptions] = []

    def keep(_self: object, _provider: object, _name: str, _props: object, opts: ResourceOptions) -> None:
        seen.append(opts)

    monkeypatch.setattr(Resource, "__init__", keep)
    AddressBook("book", AddressBookArgs(addresses="{}", route_identity=IDENTITY), ResourceOptions(protect=True))
    assert (seen[0].hide_diffs, seen[0].protect) == (["addresses"], True)
