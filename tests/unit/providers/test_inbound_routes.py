"""InboundRoutes against the emulator: what each engine call leaves at Mailjet."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pulumi.dynamic import ReadResult

from clients.mailjet.errors import ForeignRoutesError, MailjetError, RoutesIncompleteError
from mailboxes.packed_map import packed, unpacked
from providers.mailjet.inbound_routes import InboundRoutesProvider
from providers.mailjet.plugin import PluginProcess
from tests.unit.providers.emulated import DOMAIN, Mailjet, RecordingEngine, outs_of, recorded

URL = "https://agentmail-dev:s3cretpassword@hooks.agents.example/inbound"
ROTATED = "https://agentmail-dev:an0therpassword@hooks.agents.example/inbound"
MOVED = "https://agentmail-dev:s3cretpassword@hooks2.agents.example/inbound"
THEIRS = "https://agentmail-prod:theirpassword@hooks.agents.example/inbound"
ROUTES = {f"agent-{n}": f"ana.lopez.{n:03}.20250101120000@{DOMAIN}" for n in range(5)}


def props(routes: dict[str, str] | None = None, url: str = URL, *, take_over: bool = False) -> dict[str, Any]:
    return {
        "routes": json.dumps(ROUTES if routes is None else routes),
        "route_url": url,
        "take_over": take_over,
        "__provider": "…",
    }


def without(agent: str) -> dict[str, str]:
    return {key: address for key, address in ROUTES.items() if key != agent}


@pytest.fixture(autouse=True)
def _any_domain(mailjet: Mailjet) -> None:
    mailjet.switch(route_needs_verified_domain=False)


@pytest.fixture
def provider(process: PluginProcess) -> InboundRoutesProvider:
    return InboundRoutesProvider()


def test_create_makes_one_route_per_agent(provider: InboundRoutesProvider, mailjet: Mailjet) -> None:
    created = provider.create(props())
    assert mailjet.routes() == dict.fromkeys(ROUTES.values(), URL)
    assert created.outs == {"held": packed(ROUTES), "route_url": URL, "take_over": False}
    assert created.id.startswith("agentmail-dev-")
    assert "s3cret" not in created.id
    assert len(mailjet.writes()) == len(ROUTES)


def test_create_adopts_what_is_there(provider: InboundRoutesProvider, mailjet: Mailjet, next_run: Any) -> None:
    provider.create(props(without("agent-3")))
    next_run()
    provider.create(props())
    assert mailjet.writes() == ["POST /v3/REST/parseroute"]
    assert mailjet.routes() == dict.fromkeys(ROUTES.values(), URL)


def test_a_second_create_writes_nothing(provider: InboundRoutesProvider, mailjet: Mailjet, next_run: Any) -> None:
    provider.create(props())
    next_run()
    provider.create(props())
    assert mailjet.requests() == ["GET /v3/REST/parseroute"]


def test_a_rotated_password_is_a_put_for_each_route(
    provider: InboundRoutesProvider, mailjet: Mailjet, next_run: Any
) -> None:
    olds = outs_of(provider.create(props()))
    next_run()
    assert provider.diff("id", olds, props(url=ROTATED)).changes is True
    # A pull request's preview has no secret: that is no other URL, but another host is.
    without = URL.replace(URL.split(":")[2].split("@")[0], "")
    assert provider.diff("id", olds, props(url=without)).changes is False
    assert provider.diff("id", olds, props(url=without.replace("@", "@other."))).changes is True
    outs = outs_of(provider.update("id", olds, props(url=ROTATED)))
    assert outs == {"held": packed(ROUTES), "route_url": ROTATED, "take_over": False}
    assert [write.split()[0] for write in mailjet.writes()] == ["PUT"] * len(ROUTES)
    assert mailjet.routes() == dict.fromkeys(ROUTES.values(), ROTATED)


def test_a_moved_webhook_takes_the_routes_of_the_old_url_along(
    provider: InboundRoutesProvider, mailjet: Mailjet, next_run: Any
) -> None:
    olds = outs_of(provider.create(props()))
    next_run()
    provider.update("id", olds, props(url=MOVED))
    assert mailjet.routes() == dict.fromkeys(ROUTES.values(), MOVED)


def test_update_adds_and_removes_only_what_changed(
    provider: InboundRoutesProvider, mailjet: Mailjet, next_run: Any
) -> None:
    olds = outs_of(provider.create(props(without("agent-1"))))
    next_run()
    provider.update("id", olds, props(without("agent-2")))
    assert sorted(write.split()[0] for write in mailjet.writes()) == ["DELETE", "POST"]
    assert mailjet.routes() == dict.fromkeys(without("agent-2").values(), URL)


def test_somebody_elses_route_is_an_error_before_any_write(provider: InboundRoutesProvider, mailjet: Mailjet) -> None:
    mailjet.add_route(ROUTES["agent-2"], THEIRS)
    mailjet.forget_requests()
    with pytest.raises(ForeignRoutesError) as caught:
        provider.create(props())
    assert mailjet.writes() == []
    message = str(caught.value)
    assert ROUTES["agent-2"] in message
    assert "https://agentmail-prod@hooks.agents.example/inbound" in message
    assert "mailjetTakeOverRoutes" in message
    assert "password" not in message


def test_take_over_redirects_somebody_elses_route(provider: InboundRoutesProvider, mailjet: Mailjet) -> None:
    mailjet.add_route(ROUTES["agent-2"], THEIRS)
    provider.create(props(take_over=True))
    assert mailjet.routes() == dict.fromkeys(ROUTES.values(), URL)


def test_delete_removes_ours_and_leaves_theirs(
    provider: InboundRoutesProvider, mailjet: Mailjet, next_run: Any
) -> None:
    outs = outs_of(provider.create(props(without("agent-2"))))
    mailjet.add_route(ROUTES["agent-2"], THEIRS)
    next_run()
    provider.delete("id", recorded(props()))
    assert mailjet.routes() == {ROUTES["agent-2"]: THEIRS}
    assert outs


def test_delete_knows_a_route_by_host_path_and_user(
    provider: InboundRoutesProvider, mailjet: Mailjet, next_run: Any
) -> None:
    provider.create(props(url=ROTATED))
    next_run()
    provider.delete("id", recorded(props(url=URL)))
    assert mailjet.routes() == {}


def test_delete_leaves_what_this_run_has_claimed(provider: InboundRoutesProvider, mailjet: Mailjet) -> None:
    """`up --replace` and a renamed bucket: create first, then delete the same addresses."""
    outs = outs_of(provider.create(props()))
    provider.create(props())
    mailjet.forget_requests()
    provider.delete("id", outs)
    assert mailjet.writes() == []
    assert len(mailjet.routes()) == len(ROUTES)


def test_create_after_delete_in_the_same_run_creates_again(
    provider: InboundRoutesProvider, mailjet: Mailjet, next_run: Any
) -> None:
    outs = outs_of(provider.create(props()))
    next_run()
    provider.delete("id", outs)
    provider.create(props())
    assert mailjet.routes() == dict.fromkeys(ROUTES.values(), URL)


class TestRefresh:
    def test_an_untouched_bucket_reads_as_it_is(
        self, provider: InboundRoutesProvider, mailjet: Mailjet, next_run: Any
    ) -> None:
        outs = outs_of(provider.create(props()))
        next_run()
        read = provider.read("id", {**outs, "__provider": "…"})
        assert (read.id, read.outs, read.inputs) == ("id", outs, None)
        assert mailjet.requests() == ["GET /v3/REST/parseroute"]

    def test_a_missing_route_is_drift_that_the_next_up_mends(
        self, provider: InboundRoutesProvider, mailjet: Mailjet, next_run: Any
    ) -> None:
        outs = outs_of(provider.create(props()))
        mailjet.api("DELETE", f"/v3/REST/parseroute/{ROUTES['agent-4']}")
        next_run()
        read = provider.read("id", dict(outs))
        assert _found(read) == without("agent-4")
        assert json.loads(outs_of(read)["drift"]) == {"agent-4": f"{ROUTES['agent-4']} has no route to us"}
        assert provider.read("id", outs_of(read)).outs == outs_of(read)
        assert provider.diff("id", outs_of(read), props()).changes is True
        assert provider.update("id", outs_of(read), props()).outs == outs
        assert mailjet.writes() == ["POST /v3/REST/parseroute"]
        assert mailjet.routes() == dict.fromkeys(ROUTES.values(), URL)

    def test_a_route_sent_elsewhere_is_drift(
        self, provider: InboundRoutesProvider, mailjet: Mailjet, next_run: Any
    ) -> None:
        outs = outs_of(provider.create(props()))
        mailjet.api("PUT", f"/v3/REST/parseroute/{_id(mailjet, ROUTES['agent-0'])}", {"Url": THEIRS})
        next_run()
        read = provider.read("id", dict(outs))
        assert _found(read) == without("agent-0")
        assert outs_of(read)["route_url"] == URL

    def test_another_password_on_all_routes_shows_as_another_url(
        self, provider: InboundRoutesProvider, next_run: Any
    ) -> None:
        provider.create(props(url=ROTATED))
        next_run()
        read = provider.read("id", recorded(props()))
        assert outs_of(read)["route_url"] == ROTATED
        assert _found(read) == ROUTES
        assert provider.diff("id", outs_of(read), props(url=URL)).changes is True

    def test_a_half_rotated_bucket_is_drift_under_either_password(
        self, provider: InboundRoutesProvider, mailjet: Mailjet, next_run: Any
    ) -> None:
        outs = outs_of(provider.create(props()))
        mailjet.api("PUT", f"/v3/REST/parseroute/{_id(mailjet, ROUTES['agent-0'])}", {"Url": ROTATED})
        next_run()
        read = provider.read("id", dict(outs))
        assert provider.diff("id", outs_of(read), props(url=URL)).changes is True
        assert provider.diff("id", outs_of(read), props(url=ROTATED)).changes is True
        provider.update("id", outs_of(read), props(url=ROTATED))
        assert mailjet.routes() == dict.fromkeys(ROUTES.values(), ROTATED)

    def test_a_bucket_without_any_route_has_vanished(
        self, provider: InboundRoutesProvider, mailjet: Mailjet, next_run: Any
    ) -> None:
        next_run()
        read = provider.read("id", recorded(props()))
        assert (read.id, read.outs) == (None, {})

    def test_a_second_route_of_ours_is_drift_that_the_next_up_removes(
        self, provider: InboundRoutesProvider, mailjet: Mailjet, next_run: Any
    ) -> None:
        """Mailjet allows one route per address today; the listing does not rely on it."""
        outs = outs_of(provider.create(props()))
        running = next_run()
        first = running.routes.at(ROUTES["agent-1"])[0]
        spare = mailjet.add_route(f"spare@{DOMAIN}", ROTATED)
        running.routes.record(type(first)(id=spare, email=first.email, url=ROTATED))
        read = provider.read("id", dict(outs))
        assert _found(read) == {
            **ROUTES,
            f"agent-1 (route {spare}, one too many)": ROUTES["agent-1"],
        }
        assert provider.diff("id", outs_of(read), props()).changes is True
        mailjet.forget_requests()
        provider.update("id", outs_of(read), props())
        assert mailjet.writes() == [f"DELETE /v3/REST/parseroute/{spare}"]


class TestFaults:
    @pytest.mark.parametrize(
        "kind", ["429", "500", "503", "reset-before", "reset-after", "hang", "hang-after", "500-after", "404"]
    )
    def test_one_failure_of_every_write_still_converges(
        self, provider: InboundRoutesProvider, mailjet: Mailjet, next_run: Any, kind: str
    ) -> None:
        """Each route fails in its own way once; nothing is doubled and nothing is lost."""
        if kind.startswith("hang"):
            next_run(read_timeout=0.3)
        mailjet.faults({"method": "POST", "path": "/v3/REST/parseroute", "kind": kind, "times": 2, "seconds": 2})
        if kind == "404":  # no answer that Mailjet gives to a POST: an error, and the next up goes on
            with pytest.raises(RoutesIncompleteError):
                provider.create(props())
            next_run()
        provider.create(props())
        assert mailjet.routes() == dict.fromkeys(ROUTES.values(), URL)

    @pytest.mark.parametrize("kind", ["429", "500-after", "reset-before", "reset-after"])
    def test_updates_and_deletes_converge_likewise(
        self, provider: InboundRoutesProvider, mailjet: Mailjet, next_run: Any, kind: str
    ) -> None:
        outs = outs_of(provider.create(props()))
        next_run()
        mailjet.faults({"method": "PUT|DELETE", "path": "*", "kind": kind, "times": 3})
        outs = outs_of(provider.update("id", outs, props(without("agent-1"), ROTATED)))
        assert mailjet.routes() == dict.fromkeys(without("agent-1").values(), ROTATED)
        next_run()
        mailjet.faults({"method": "DELETE", "path": "*", "kind": kind, "times": 3})
        provider.delete("id", outs)
        assert mailjet.routes() == {}

    def test_an_unanswered_post_is_looked_up_before_it_is_repeated(
        self, provider: InboundRoutesProvider, mailjet: Mailjet
    ) -> None:
        address = ROUTES["agent-0"]
        mailjet.faults({"method": "POST", "path": "/v3/REST/parseroute", "kind": "reset-after", "times": 1})
        provider.create(props({"agent-0": address}))
        assert mailjet.requests() == [
            f"GET /v3/REST/parseroute/{address}",
            "POST /v3/REST/parseroute",
            f"GET /v3/REST/parseroute/{address}",
        ]

    def test_what_fails_for_good_is_named_and_the_rest_stays_done(
        self, provider: InboundRoutesProvider, mailjet: Mailjet, next_run: Any
    ) -> None:
        mailjet.switch(route_quota=3)
        with pytest.raises(RoutesIncompleteError) as caught:
            provider.create(props())
        assert len(mailjet.routes()) == 3
        assert len(caught.value.left) == 2
        assert str(caught.value).startswith("3 inbound routes settled, 2 left (ana.lopez.")
        assert str(caught.value).endswith(
            "To undo the change instead, revert it and run `./mail apply STACK --refresh`."
        )
        mailjet.switch(route_quota=None)
        next_run()
        provider.create(props())
        assert len(mailjet.writes()) == 2
        assert mailjet.routes() == dict.fromkeys(ROUTES.values(), URL)

    def test_a_route_that_vanished_since_the_listing_is_made_anew(
        self, provider: InboundRoutesProvider, mailjet: Mailjet, process: PluginProcess
    ) -> None:
        outs = outs_of(provider.create(props()))
        mailjet.api("DELETE", f"/v3/REST/parseroute/{ROUTES['agent-1']}")
        provider.update("id", outs, props(url=ROTATED))
        assert mailjet.routes() == dict.fromkeys(ROUTES.values(), ROTATED)

    def test_a_route_that_appeared_since_the_listing_is_adopted_or_refused(
        self, provider: InboundRoutesProvider, mailjet: Mailjet, process: PluginProcess
    ) -> None:
        process.routes.load()
        mailjet.add_route(ROUTES["agent-1"], ROTATED)
        mailjet.add_route(ROUTES["agent-2"], THEIRS)
        with pytest.raises(RoutesIncompleteError, match="somebody else") as caught:
            provider.create(props())
        assert caught.value.left == (ROUTES["agent-2"],)
        expected = dict.fromkeys(ROUTES.values(), URL) | {ROUTES["agent-2"]: THEIRS}
        assert mailjet.routes() == expected

    def test_a_duplicate_that_a_lookup_by_address_does_not_give_is_found_in_the_list(
        self, provider: InboundRoutesProvider, mailjet: Mailjet, process: PluginProcess
    ) -> None:
        """Lookup by address is customary at Mailjet, not documented."""
        process.routes.load()
        mailjet.add_route(ROUTES["agent-1"], ROTATED)
        mailjet.faults({"method": "GET", "path": "/v3/REST/parseroute/*", "kind": "404"})
        provider.create(props())
        assert mailjet.routes() == dict.fromkeys(ROUTES.values(), URL)

    def test_a_route_that_can_be_listed_and_not_changed_is_an_error(
        self, provider: InboundRoutesProvider, mailjet: Mailjet
    ) -> None:
        mailjet.add_route(ROUTES["agent-1"], ROTATED)
        mailjet.faults({"method": "PUT", "path": "*", "kind": "404"})
        with pytest.raises(RoutesIncompleteError, match="answered 404"):
            provider.create(props())

    def test_rejected_credentials_end_the_batch_at_once(
        self, provider: InboundRoutesProvider, mailjet: Mailjet, process: PluginProcess
    ) -> None:
        process.routes.load()
        mailjet.switch(blocked_account=True)
        many = {f"agent-{n}": f"box{n}@{DOMAIN}" for n in range(300)}
        mailjet.forget_requests()
        with pytest.raises(RoutesIncompleteError, match="blocked the account"):
            provider.create(props(many))
        assert len(mailjet.requests()) <= 2 * process.settings.connections

    def test_nothing_is_written_for_an_engine_that_is_gone(
        self, provider: InboundRoutesProvider, mailjet: Mailjet, engine: RecordingEngine
    ) -> None:
        engine.is_alive = False
        with pytest.raises(MailjetError, match=r"engine at .* is gone"):
            provider.create(props())
        assert mailjet.writes() == []


class TestCheckAndDiff:
    """No network: the emulator would count it."""

    @pytest.fixture(autouse=True)
    def _offline(self, mailjet: Mailjet, process: PluginProcess) -> Any:
        mailjet.forget_requests()
        yield
        assert mailjet.requests() == []

    def test_good_inputs_pass_unchanged(self, provider: InboundRoutesProvider) -> None:
        result = provider.check({}, props())
        assert (result.inputs, result.failures) == (props(), [])

    def test_unknown_inputs_pass(self, provider: InboundRoutesProvider) -> None:
        from pulumi.output import UNKNOWN

        news = {**props(), "routes": UNKNOWN, "route_url": UNKNOWN}
        assert provider.check({}, news).failures == []
        assert provider.diff("id", recorded(props()), news).changes is True

    @pytest.mark.parametrize(
        ("routes", "found"),
        [
            ("{", "no JSON"),
            ("[1]", "list"),
            ('{"a": 1}', "agent a"),
            ('{"a": "no-address"}', "agent a"),
            ('{"a": "x@y.example", "a": "z@y.example"}', "twice"),
            ('{"a": "x@y.example", "b": "X@y.example"}', "both agent a and agent b"),
        ],
    )
    def test_a_malformed_map_fails_without_naming_a_property(
        self, provider: InboundRoutesProvider, routes: str, found: str
    ) -> None:
        failures = provider.check({}, {**props(), "routes": routes}).failures
        assert [failure.property for failure in failures] == [""]
        assert found in failures[0].reason

    @pytest.mark.parametrize(
        ("url", "found"),
        [
            ("hooks.agents.example/inbound", "no HTTP address"),
            ("https://tag:s3cretpassword@hooks.agents.example/", "no path"),
            ("https://hooks.agents.example/inbound", "names no owner"),
            ("https://tag:per%25cent@hooks.agents.example/inbound", "cannot send"),
            ("https://tag:pw@hooks.agents.example:x/inbound", "no HTTP address"),
        ],
    )
    def test_an_unusable_url_fails_without_its_password(
        self, provider: InboundRoutesProvider, url: str, found: str
    ) -> None:
        failures = provider.check({}, props(url=url)).failures
        assert [failure.property for failure in failures] == [""]
        assert found in failures[0].reason
        assert "s3cret" not in failures[0].reason
        assert "per%25cent" not in failures[0].reason

    def test_equal_maps_are_no_change_however_they_are_written(self, provider: InboundRoutesProvider) -> None:
        olds = recorded({**props(), "routes": json.dumps(ROUTES, indent=1)})
        assert provider.diff("id", olds, props(dict(reversed(ROUTES.items())))).changes is False

    def test_take_over_alone_is_no_change(self, provider: InboundRoutesProvider) -> None:
        assert provider.diff("id", recorded(props()), props(take_over=True)).changes is False


def _found(read: ReadResult) -> dict[str, str]:
    """The routes that a refresh has found: in the inputs for the next preview, in the outputs for the next `up`."""
    assert read.inputs is not None
    found: dict[str, str] = json.loads(read.inputs["routes"])
    assert unpacked(outs_of(read)["held"]) == found
    return found


def _id(mailjet: Mailjet, email: str) -> int:
    return int(mailjet.api("GET", f"/v3/REST/parseroute/{email}").json()["Data"][0]["ID"])
