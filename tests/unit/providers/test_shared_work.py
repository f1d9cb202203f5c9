"""What all calls of a process share: threads, the listing of routes, progress."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator

import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send

from clients.mailjet.api import ParseRoute, RoutePage
from clients.mailjet.client import PAGE_SIZE
from clients.mailjet.errors import AnswerLostError, EngineGoneError, MailjetError, NotFoundError
from clients.mailjet.route_listing import RouteListing
from clients.mailjet.workers import FAILURES_IN_A_ROW, Workers
from emulators.serving import ServerThread
from providers.mailjet import plugin
from providers.mailjet.inbound_routes import InboundRoutesProvider
from providers.mailjet.plugin import PluginProcess
from providers.mailjet.progress import INTERVAL_SECONDS, QUIET_SECONDS, Progress
from tests.unit.providers.emulated import RecordingEngine, VirtualClock, recorded, settings_for


@pytest.fixture
def workers() -> Iterator[Workers]:
    workers = Workers(4)
    yield workers
    workers.close()


class TestWorkers:
    def test_everything_is_done_with_as_many_threads_as_allowed(self, workers: Workers) -> None:
        meeting = threading.Barrier(4)

        def work(_item: int) -> None:
            meeting.wait(10)

        outcome = workers.each(range(8), work)
        assert sorted(outcome.done) == list(range(8))
        assert (outcome.failed, outcome.untouched, outcome.cause) == ([], [], None)

    def test_one_failure_concerns_its_item_only(self, workers: Workers) -> None:
        def work(item: int) -> None:
            if item == 3:
                raise AnswerLostError("POST", "/x", "no answer in time")

        outcome = workers.each(range(20), work)
        assert sorted(outcome.done) == [item for item in range(20) if item != 3]
        assert [item for item, _ in outcome.failed] == [3]
        assert isinstance(outcome.cause, AnswerLostError)

    def test_a_hopeless_failure_ends_the_batch_and_is_its_cause(self, workers: Workers) -> None:
        def work(item: int) -> None:
            if item == 0:
                raise AnswerLostError("POST", "/x", "no answer in time")
            raise EngineGoneError("127.0.0.1:1")

        outcome = workers.each(range(100), work)
        assert len(outcome.failed) <= 5
        assert len(outcome.failed) + len(outcome.untouched) == 100
        assert isinstance(outcome.cause, EngineGoneError)

    def test_too_many_failures_in_a_row_end_the_batch(self, workers: Workers) -> None:
        def work(_item: int) -> None:
            raise AnswerLostError("POST", "/x", "no answer in time")

        outcome = workers.each(range(1000), work)
        assert FAILURES_IN_A_ROW <= len(outcome.failed) <= FAILURES_IN_A_ROW + workers.size
        assert len(outcome.untouched) == 1000 - len(outcome.failed)

    def test_a_fault_of_ours_is_not_swallowed(self, workers: Workers) -> None:
        def work(_item: int) -> None:
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            workers.each(range(3), work)

    def test_nothing_to_do_starts_no_thread(self, workers: Workers) -> None:
        before = threading.active_count()
        assert workers.each([], lambda _item: None).done == []
        assert threading.active_count() == before


def a_page(*routes: ParseRoute) -> RoutePage:
    return RoutePage(routes=routes, total=None, last=True)


def listing_of(pages: Callable[[], Iterator[RoutePage]], readers: Workers) -> RouteListing:
    """Of an account that does not answer to addresses."""

    def one(address: str) -> ParseRoute | None:
        raise NotFoundError("GET", f"/v3/REST/parseroute/{address}")

    return RouteListing(pages, one, readers)


class TestListing:
    def test_what_is_written_while_a_listing_goes_on_is_newer_than_it(self, workers: Workers) -> None:
        """A route that was on a page and is gone since must not come back with the last page."""
        gone, made = ParseRoute(1, "a@x.example", "https://o:1@h/p"), ParseRoute(3, "c@x.example", "https://o:1@h/p")
        listing: RouteListing

        def pages() -> Iterator[RoutePage]:
            yield RoutePage(routes=(gone,), total=2, last=False)
            listing.remove(gone)
            listing.record(made)
            yield a_page(gone, ParseRoute(2, "b@x.example", "https://o:1@h/p"))

        listing = listing_of(pages, workers)
        listing.load()
        assert [len(listing.at(f"{name}@x.example")) for name in "abc"] == [0, 1, 1]

    def test_a_list_that_began_before_is_no_second_look(self, workers: Workers) -> None:
        fetches: list[int] = []

        def pages() -> Iterator[RoutePage]:
            fetches.append(1)
            yield a_page()

        listing = listing_of(pages, workers)
        listing.load()
        listing.list_again(listing.begun)
        listing.list_again(listing.begun - 1)
        listing.load()
        assert len(fetches) == 2

    def test_it_is_fetched_once_for_all_threads(self, workers: Workers) -> None:
        begun, go_on = threading.Event(), threading.Event()
        fetches: list[int] = []

        def fetch() -> Iterator[RoutePage]:
            fetches.append(1)
            begun.set()
            go_on.wait(10)
            yield a_page(ParseRoute(1, "a@x.example", "https://o@h/p"))

        listing = listing_of(fetch, workers)
        found: list[int] = []
        threads = [threading.Thread(target=lambda: found.append(len(listing.at("A@x.example")))) for _ in range(6)]
        for thread in threads:
            thread.start()
        assert begun.wait(10)
        go_on.set()
        for thread in threads:
            thread.join(10)
        assert (found, fetches) == ([1] * 6, [1])

    def test_a_failure_is_everybodys_and_is_forgotten(self, workers: Workers) -> None:
        answers: list[list[ParseRoute] | MailjetError] = [AnswerLostError("GET", "/x", "no answer in time"), []]

        def fetch() -> Iterator[RoutePage]:
            answer = answers.pop(0)
            if isinstance(answer, MailjetError):
                raise answer
            yield a_page(*answer)

        listing = listing_of(fetch, workers)
        with pytest.raises(AnswerLostError):
            listing.load()
        assert listing.at("a@x.example") == ()

    def test_own_writes_keep_it_true(self, workers: Workers) -> None:
        listing = listing_of(lambda: iter([a_page(ParseRoute(1, "a@x.example", "https://o:1@h/p"))]), workers)
        listing.load()
        listing.record(ParseRoute(2, "b@x.example", "https://o:1@h/p"))
        listing.record(ParseRoute(1, "a@x.example", "https://o:2@h/p"))
        assert [route.url for route in listing.at("a@x.example")] == ["https://o:2@h/p"]
        assert [route.id for route in listing.at("b@x.example")] == [2]
        listing.remove(ParseRoute(1, "a@x.example", "https://o:2@h/p"))
        listing.remove(ParseRoute(9, "nobody@x.example", "https://o:2@h/p"))
        assert listing.at("a@x.example") == ()

    @pytest.mark.slow
    def test_a_refresh_of_ten_thousand_routes_is_eleven_gets(self) -> None:
        url = "https://tag:s3cretpassword@hooks.agents.example/in"
        addresses = {f"agent-{number}": f"box{number}@agents.example" for number in range(10_000)}
        rows = [{"ID": number, "Email": email, "Url": url} for number, email in enumerate(addresses.values(), 1)]
        gets: list[int] = []

        async def routes(scope: Scope, receive: Receive, send: Send) -> None:
            query = Request(scope).query_params
            offset, limit = int(query["Offset"]), int(query["Limit"])
            gets.append(offset)
            page = rows[offset : offset + limit]
            await JSONResponse({"Count": len(page), "Data": page, "Total": len(page)})(scope, receive, send)

        with ServerThread(routes) as server:
            process = PluginProcess(settings_for(server.url), engine=RecordingEngine())
            before = plugin.install(process)
            agents = list(addresses)
            for bucket in range(64):
                bucket_routes = json.dumps({agent: addresses[agent] for agent in agents[bucket::64]})
                props = recorded({"routes": bucket_routes, "route_url": url, "take_over": False})
                assert InboundRoutesProvider().read("id", dict(props)).outs == props
            plugin.install(before)
            process.close()
        assert gets == list(range(0, 10_000, PAGE_SIZE - 1))
        assert len(gets) == 11


class TestProgress:
    @pytest.fixture
    def lines(self) -> list[str]:
        return []

    @pytest.fixture
    def progress(self, clock: VirtualClock, lines: list[str]) -> Progress:
        return Progress("inbound routes", clock=clock, say=lines.append)

    def test_short_work_is_silent(self, progress: Progress, clock: VirtualClock, lines: list[str]) -> None:
        progress.expect(1000)
        for _ in range(1000):
            clock.sleep(QUIET_SECONDS / 1001)
            progress.step()
        assert lines == []

    def test_long_work_says_a_line_now_and_then(
        self, progress: Progress, clock: VirtualClock, lines: list[str]
    ) -> None:
        progress.expect(1500)
        progress.expect(500)
        for _ in range(2000):
            clock.sleep(0.01)
            progress.step()
        assert lines[0].startswith("inbound routes: 20")
        assert lines[0].endswith(" of 2,000 settled")
        assert len(lines) == pytest.approx((20 - QUIET_SECONDS) / INTERVAL_SECONDS, abs=1)
