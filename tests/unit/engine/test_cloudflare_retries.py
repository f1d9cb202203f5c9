"""What is sent again, how long apart, and what an operation says when nothing helped."""

from __future__ import annotations

import signal
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
from google.protobuf.empty_pb2 import Empty
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.cloudflare.api import pause_before, worth_repeating
from tests.profiles import examples
from tests.unit.engine.cloudflare_driver import (
    DEADLINE_SECONDS,
    GET_ZONE,
    RECORD,
    ZONE,
    Answer,
    Plugin,
    PluginProcess,
    RecordingApi,
    RefusedError,
    Request,
    recording_api,
    running_plugin,
)
from tests.waiting import wait_until

# Other tests may keep the machine busy: no example has a deadline.
steady = settings(deadline=None, max_examples=examples(50))

TXT = {"zoneId": ZONE, "name": "www", "type": "TXT", "content": '"x"', "ttl": 300}
AT_ONCE = {"Retry-After": "0"}


@pytest.fixture(scope="module")
def plugin() -> Iterator[Plugin]:
    with running_plugin() as process:
        yield Plugin(process.stub)


@pytest.fixture
def api(plugin: Plugin) -> Iterator[RecordingApi]:
    with recording_api() as api:
        plugin.configure(api)
        yield api


class TestRepeated:
    @pytest.mark.parametrize("status", [408, 409, 429, 500, 503, 599])
    def test_a_passing_fault_is_not_seen(self, plugin: Plugin, api: RecordingApi, status: int) -> None:
        api.will_answer(Answer(status, {"errors": []}, AT_ONCE), {"id": "r1"})
        assert plugin.create(RECORD, TXT)[0] == "r1"
        requests = api.seen()
        assert [request.method for request in requests] == ["POST", "POST"]
        assert [request.headers["x-stainless-retry-count"] for request in requests] == ["0", "1"]
        assert requests[0].body == requests[1].body

    def test_a_lasting_fault_fails_after_eleven_requests(self, plugin: Plugin, api: RecordingApi) -> None:
        api.respond = lambda _: Answer(503, b"busy", AT_ONCE)
        with pytest.raises(RefusedError, match=r'POST ".*/dns_records": 503 Service Unavailable busy$'):
            plugin.create(RECORD, TXT)
        assert len(api.seen()) == 11

    def test_milliseconds_are_honoured_too(self, plugin: Plugin, api: RecordingApi) -> None:
        api.will_answer(Answer(429, {"errors": []}, {"Retry-After-Ms": "1", "Retry-After": "600"}), {"id": "r1"})
        plugin.create(RECORD, TXT)
        assert len(api.seen()) == 2

    @pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 410, 422])
    def test_a_refusal_is_final(self, plugin: Plugin, api: RecordingApi, status: int) -> None:
        api.will_answer(Answer(status, {"errors": []}, AT_ONCE))
        with pytest.raises(RefusedError, match=f": {status} "):
            plugin.create(RECORD, TXT)
        assert len(api.seen()) == 1

    def test_the_api_can_say_whether_to_repeat(self, plugin: Plugin, api: RecordingApi) -> None:
        api.will_answer(Answer(500, {"errors": []}, {"X-Should-Retry": "false"}))
        with pytest.raises(RefusedError, match="500 Internal Server Error"):
            plugin.create(RECORD, TXT)
        api.will_answer(Answer(400, {"errors": []}, {"X-Should-Retry": "true"} | AT_ONCE), {"id": "r1"})
        plugin.create(RECORD, TXT)
        assert len(api.seen()) == 3


class TestAnswers:
    def test_a_success_that_is_no_json_is_an_error(self, plugin: Plugin, api: RecordingApi) -> None:
        api.will_answer(Answer(200, b"<html>", content_type="text/html"))
        with pytest.raises(RefusedError, match="expected a JSON object, got text/html"):
            plugin.invoke(GET_ZONE, {"zoneId": ZONE})

    def test_a_success_that_is_no_object_is_an_error(self, plugin: Plugin, api: RecordingApi) -> None:
        api.will_answer(Answer(200, []))
        with pytest.raises(RefusedError, match="expected a JSON object"):
            plugin.invoke(GET_ZONE, {"zoneId": ZONE})

    def test_a_delete_needs_the_content_type_of_json(self, plugin: Plugin, api: RecordingApi) -> None:
        api.will_answer(Answer(200, {"result": {"id": "r1"}}, content_type="text/plain"))
        with pytest.raises(RefusedError, match="expected the content type application/json"):
            plugin.delete(RECORD, TXT | {"id": "r1"})

    def test_success_and_errors_of_an_answer_do_not_matter(self, plugin: Plugin, api: RecordingApi) -> None:
        api.will_answer(Answer(200, {"success": False, "errors": [{"code": 1}], "result": {"id": "r1"}}))
        assert plugin.create(RECORD, TXT)[0] == "r1"


class TestNoAnswer:
    def test_a_loopback_address_where_nothing_listens_fails_soon(self, plugin: Plugin) -> None:
        with socket.socket() as reserved:
            reserved.bind(("127.0.0.1", 0))
            port = reserved.getsockname()[1]
            plugin.configure(baseUrl=f"http://127.0.0.1:{port}/client/v4")
            with pytest.raises(RefusedError) as caught:
                plugin.invoke(GET_ZONE, {"zoneId": ZONE})
        message = caught.value.message
        assert f"nothing listens on 127.0.0.1:{port}" in message
        assert "`./mail emulators up`" in message
        assert "`cloudflare:baseUrl`" in message

    def test_a_dropped_connection_is_tried_again_and_cancelling_ends_the_wait(self) -> None:
        with create_under_way(lambda: Answer(drop=True)) as (process, creating):
            process.stub.Cancel(Empty(), timeout=DEADLINE_SECONDS)
            with pytest.raises(RefusedError, match=r'POST ".*" was given up because Pulumi cancelled the operation'):
                creating.result(DEADLINE_SECONDS)

    def test_what_is_under_way_when_pulumi_cancels_is_still_answered(self) -> None:
        answer = threading.Event()
        with create_under_way(lambda: r1_after(answer)) as (process, creating):
            process.stub.Cancel(Empty(), timeout=DEADLINE_SECONDS)
            answer.set()
            assert creating.result(DEADLINE_SECONDS)[0] == "r1"

    def test_what_is_under_way_when_the_plugin_is_ended_is_still_answered(self) -> None:
        answer = threading.Event()
        with create_under_way(lambda: r1_after(answer)) as (process, creating):
            process.process.send_signal(signal.SIGINT)
            wait_until(lambda: _takes_nobody(process), what="the plugin to take nobody any more")
            answer.set()
            assert creating.result(DEADLINE_SECONDS)[0] == "r1"
            assert process.ended() == 0


@contextmanager
def create_under_way(
    answer: Callable[[], Answer],
) -> Iterator[tuple[PluginProcess, Future[tuple[str, dict[str, Any]]]]]:
    """A plugin whose create has asked the API for the first time, and what comes of it."""
    asked = threading.Event()

    def respond(_: Request) -> Answer:
        asked.set()
        return answer()

    with recording_api() as api, running_plugin() as process, ThreadPoolExecutor(1) as pool:
        plugin = Plugin(process.stub)
        plugin.configure(api)
        api.respond = respond
        creating = pool.submit(plugin.create, RECORD, TXT)
        assert asked.wait(DEADLINE_SECONDS)
        yield process, creating


def r1_after(event: threading.Event) -> Answer:
    assert event.wait(DEADLINE_SECONDS)
    return Answer(body={"result": {"id": "r1"}})


def _takes_nobody(process: PluginProcess) -> bool:
    """By a connection, not by a call: one that comes while gRPC's server stops may hang until all are given up."""
    try:
        socket.create_connection(("127.0.0.1", int(process.first_line)), timeout=DEADLINE_SECONDS).close()
    except ConnectionError:  # refused, or reset where it came just before that
        return True
    return False


class TestPolicy:
    @steady
    @given(st.integers(200, 599))
    def test_what_is_worth_repeating(self, status: int) -> None:
        assert worth_repeating(status, {}) is (status in (408, 409, 429) or status >= 500)

    @steady
    @given(st.integers(1, 10))
    def test_pauses_double_from_two_to_thirty_seconds_less_a_quarter_at_most(self, tried: int) -> None:
        longest = min(2.0 * 2 ** (tried - 1), 30.0)
        assert longest * 0.75 <= pause_before(tried, {}) <= longest

    def test_a_lasting_fault_without_a_hint_takes_minutes(self) -> None:
        assert 156 <= sum(pause_before(tried, {}) for tried in range(1, 11)) <= 211

    @steady
    @given(st.floats(0, 600))
    def test_the_apis_wish_is_followed(self, seconds: float) -> None:
        assert pause_before(1, {"retry-after": str(seconds)}) == seconds
        assert pause_before(1, {"retry-after-ms": str(seconds * 1000)}) == pytest.approx(seconds)

    @pytest.mark.parametrize(
        ("asked", "pause"),
        [("Wed, 01 Jul 2026 00:00:10 GMT", 10.0), ("Tue, 30 Jun 2026 00:00:00 GMT", 0.0), ("86400", 600.0)],
    )
    def test_dates_are_read_and_a_day_is_too_long(self, asked: str, pause: float) -> None:
        assert pause_before(1, {"retry-after": asked}, now=lambda: 1782864000.0) == pause

    @steady
    @given(st.sampled_from(["soon", "nan", "inf", ""]))
    def test_nonsense_is_ignored(self, asked: str) -> None:
        assert 1.5 <= pause_before(1, {"retry-after": asked, "retry-after-ms": asked}) <= 2.0
