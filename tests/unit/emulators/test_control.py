"""The control plane around any ASGI app."""

from __future__ import annotations

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.types import Receive, Scope, Send

from emulators.control import controlled
from emulators.embedded import Control
from emulators.faults import FaultPlan, FaultPlanError
from emulators.request_log import LOG_CAPACITY, RequestLog, redacted
from emulators.serving import ConnectionUnknownError, ServerThread, abort_connection
from tests.waiting import wait_until


class Counter:
    """An app whose POST has an effect."""

    def __init__(self) -> None:
        self.effects: list[str] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        if request.url.path == "/_emulator/own":
            await PlainTextResponse("mine")(scope, receive, send)
            return
        if request.method == "POST":
            self.effects.append((await request.body()).decode())
        await JSONResponse({"effects": len(self.effects)})(scope, receive, send)


class Running:
    """A controlled app and its clients."""

    def __init__(self, name: str = "mailjet") -> None:
        self.app = Counter()
        wrapped = controlled(
            self.app,
            name=name,
            state=lambda: {"effects": list(self.app.effects)},
            reset=self.app.effects.clear,
            fold=lambda path: re.sub(r"/\d+", "/{id}", path),
        )
        self.server = ServerThread(wrapped)
        self.url = self.server.url
        self.control = Control(self.url)
        self.session = requests.Session()
        self.session.trust_env = False

    def post(self, path: str = "/things", data: str = "x", timeout: float = 10) -> requests.Response:
        return self.session.post(self.url + path, data=data, timeout=timeout)

    def get(self, path: str = "/things") -> requests.Response:
        return self.session.get(self.url + path, timeout=10)

    def close(self) -> None:
        self.session.close()
        self.server.close()


@pytest.fixture(scope="module")
def _running() -> Iterator[Running]:
    running = Running()
    yield running
    running.close()


@pytest.fixture
def running(_running: Running) -> Running:
    _running.control.reset()
    return _running


class TestLog:
    def test_says_what_was_asked_and_answered(self, running: Running) -> None:
        running.session.post(running.url + "/things/7?a=b", json={"k": [1]}, timeout=10)
        (entry,) = running.control.requests()
        assert isinstance(entry.pop("ms"), float)
        assert isinstance(entry.pop("n"), int)
        assert isinstance(entry.pop("at"), float)
        assert entry == {
            "method": "POST",
            "path": "/things/7",
            "query": "a=b",
            "body": {"k": [1]},
            "status": 200,
            "fault": None,
        }

    def test_goes_on_from_a_number(self, running: Running) -> None:
        for _ in range(3):
            running.get()
        numbers = [entry["n"] for entry in running.control.requests()]
        assert [entry["n"] for entry in running.control.requests(since=numbers[0])] == numbers[1:]

    def test_counts_reads_writes_and_folded_paths(self, running: Running) -> None:
        running.get("/things/1")
        running.get("/things/2")
        running.post("/things")
        assert running.control.counts() == {
            "reads": 2,
            "writes": 1,
            "by": {"GET /things/{id}": 2, "POST /things": 1},
            "faults": {},
        }
        running.control.clear_requests()
        assert running.control.requests() == []
        assert running.control.counts()["by"] == {}

    def test_leaves_itself_out_and_passes_on_what_it_does_not_know(self, running: Running) -> None:
        assert running.get("/_emulator/own").text == "mine"
        running.control.state()
        assert running.control.requests() == []

    def test_hides_passwords_and_secrets(self, running: Running) -> None:
        body = {"Url": "https://owner:hunter2@h.example/x?token=hunter3", "tunnel_secret": "hunter4", "n": [1, None]}
        running.session.post(running.url + "/things?token=hunter5&a=b", json=body, timeout=10)
        running.session.post(running.url + "/things", data="http://u:hunter6@h/", timeout=10)
        shown = running.get("/_emulator/requests").text
        assert "hunter" not in shown
        assert "https://owner:***@h.example/x" in shown
        assert "a=b" in shown

    def test_shows_a_request_that_is_still_under_way(self, running: Running) -> None:
        running.control.faults({"kind": "hang", "seconds": 30})
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(running.post, "/things", "x", 0.3)
            (entry,) = wait_until(running.control.requests)
            assert (entry["status"], entry["fault"], entry["ms"]) == (None, "hang", None)
            with pytest.raises(requests.Timeout):
                waiting.result()

    def test_cuts_long_bodies(self, running: Running) -> None:
        running.post(data="y" * 100_000)
        assert running.control.requests()[0]["body"].endswith("… (100000 bytes)")

    def test_refuses_a_body_that_is_far_too_large(self, running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("emulators.control.LARGEST_BODY", 1000)
        assert running.post(data="y" * 2000).status_code == 413

    def test_holds_many_entries_and_never_too_much(self, monkeypatch: pytest.MonkeyPatch) -> None:
        assert LOG_CAPACITY >= 50_000
        monkeypatch.setattr("emulators.request_log.LOGGED_BODIES", 500)
        log = RequestLog(capacity=60)
        for number in range(100):
            log.add("POST", f"/{number}", "", "/{id}", b"z" * 50)
        found = log.requests()
        assert [entry["n"] for entry in found] == list(range(41, 101))
        assert found[0]["body"] == "(50 bytes, not kept)"
        assert found[-1]["body"] == "z" * 50
        assert log.counts()["writes"] == 100


class TestFaults:
    @pytest.mark.parametrize("kind", ["404", "429", "500", "502", "503", "504"])
    def test_status_without_effect(self, running: Running, kind: str) -> None:
        running.control.faults({"kind": kind})
        assert running.post().status_code == int(kind)
        assert running.app.effects == []
        assert running.control.requests()[0]["fault"] == kind
        assert running.control.counts()["faults"] == {kind: 1}

    @pytest.mark.parametrize("kind", ["500-after", "502-after", "503-after", "504-after"])
    def test_status_after_the_effect(self, running: Running, kind: str) -> None:
        running.control.faults({"kind": kind})
        assert running.post().status_code == int(kind[:3])
        assert running.app.effects == ["x"]

    def test_429_is_html_without_retry_after(self, running: Running) -> None:
        running.control.faults({"kind": "429"})
        answer = running.get()
        assert "<h1>429 Too Many Requests</h1>" in answer.text
        assert answer.headers["content-type"].startswith("text/html")
        assert "retry-after" not in answer.headers

    def test_retry_after_on_request(self, running: Running) -> None:
        running.control.faults({"kind": "503", "retry_after": 0})
        assert running.get().headers["retry-after"] == "0"

    def test_500_names_an_incident(self, running: Running) -> None:
        running.control.faults({"kind": "500"})
        assert re.fullmatch(r"[0-9a-f-]{36}", running.get().json()["ErrorIdentifier"])

    @pytest.mark.parametrize(("kind", "effects"), [("reset-before", []), ("reset-after", ["x"])])
    def test_a_reset_is_a_connection_error(self, running: Running, kind: str, effects: list[str]) -> None:
        running.control.faults({"kind": kind, "times": 1})
        with pytest.raises(requests.ConnectionError, match="Connection reset by peer"):
            running.post()
        assert running.app.effects == effects
        assert running.post(data="y").status_code == 200
        assert running.app.effects == [*effects, "y"]
        assert [entry["status"] for entry in running.control.requests()] == [200 if effects else None, 200]

    @pytest.mark.parametrize(("kind", "effects"), [("hang", []), ("hang-after", ["x"])])
    def test_a_hang_lasts_until_the_client_gives_up(
        self, running: Running, caplog: pytest.LogCaptureFixture, kind: str, effects: list[str]
    ) -> None:
        running.control.faults({"kind": kind, "seconds": 60})
        with pytest.raises(requests.Timeout):
            running.post(timeout=0.2)
        assert wait_until(lambda: [entry for entry in running.control.requests() if entry["ms"]])
        assert running.app.effects == effects
        assert [record for record in caplog.records if record.levelname == "ERROR"] == []

    def test_a_hang_ends_on_its_own(self, running: Running) -> None:
        running.control.faults({"kind": "hang", "seconds": 0.05})
        with pytest.raises(requests.ConnectionError):
            running.post()

    def test_rules_choose_by_method_and_path(self, running: Running) -> None:
        running.control.faults({"kind": "503", "method": "POST|PUT", "path": "/things/{id}"})
        assert running.post("/things/5").status_code == 503
        assert running.get("/things/5").status_code == 200
        assert running.post("/things").status_code == 200
        running.control.faults({"kind": "503", "path": "/thi*"})
        assert running.get("/things/5").status_code == 503
        running.control.faults({"kind": "503", "path": "/things/6"})
        assert [running.get(f"/things/{number}").status_code for number in (5, 6)] == [200, 503]

    def test_the_first_rule_that_strikes_counts(self, running: Running) -> None:
        running.control.faults({"kind": "500", "times": 1}, {"kind": "503", "times": 2})
        assert [running.get().status_code for _ in range(4)] == [500, 503, 503, 200]
        shown = running.control.call("GET", "faults")
        assert shown["fired"] == [1, 2]

    def test_what_is_shown_can_be_put_back(self, running: Running) -> None:
        running.control.faults(
            {"kind": "hang", "seconds": 1, "probability": 0.5}, latency_ms=1, seed=3, rate_limit=None
        )
        shown = running.control.call("GET", "faults")
        assert running.control.call("PUT", "faults", shown) == shown
        running.control.call("DELETE", "faults")
        assert running.control.call("GET", "faults")["rules"] == []

    def test_rate_limit(self, running: Running) -> None:
        running.control.faults(rate_limit={"requests": 3, "seconds": 60})
        assert [running.get().status_code for _ in range(5)] == [200, 200, 200, 429, 429]
        assert running.control.counts()["faults"] == {"rate-limit": 2}
        assert running.control.call("GET", "faults")["limited"] == 2

    def test_latency_is_in_the_log(self, running: Running) -> None:
        running.control.faults(latency_ms=30)
        running.get()
        assert running.control.requests()[0]["ms"] >= 30

    def test_reset_ends_them(self, running: Running) -> None:
        running.control.faults({"kind": "500"})
        running.control.reset()
        assert running.get().status_code == 200


class TestSeeds:
    @staticmethod
    def fates(seed: int, order: list[int]) -> dict[int, list[bool]]:
        plan = FaultPlan.parse({"seed": seed, "rules": [{"kind": "500", "probability": 0.3}]})
        found: dict[int, list[bool]] = {number: [] for number in set(order)}
        for number in order:
            struck = plan.rule_for("POST", "/things", "/things", str(number).encode())
            found[number].append(struck is not None)
        return found

    def test_a_request_meets_the_same_fate_whatever_the_order(self) -> None:
        numbers = list(range(50)) * 2
        assert self.fates(7, numbers) == self.fates(7, list(reversed(numbers)))
        assert self.fates(7, numbers) != self.fates(8, numbers)

    def test_a_repetition_is_another_chance(self) -> None:
        assert {fate for fates in self.fates(1, [0] * 50).values() for fate in fates} == {True, False}

    def test_the_probability_is_met(self) -> None:
        struck = sum(fates[0] for fates in self.fates(5, list(range(2000))).values())
        assert 500 < struck < 700


@pytest.mark.parametrize(
    ("plan", "part"),
    [
        ([], "the plan is []"),
        ({"latency": 1}, "key 'latency'"),
        ({"latency_ms": -1}, "latency_ms is -1"),
        ({"latency_ms": True}, "latency_ms is true"),
        ({"rules": {}, "seed": "x"}, "seed is"),
        ({"rules": "x"}, "rules is"),
        ({"rules": [{"kind": "418"}]}, 'rules[0].kind is "418"'),
        ({"rules": [{"kind": "500", "probability": 2}]}, "rules[0].probability is 2"),
        ({"rules": [{"kind": "500", "times": "x"}]}, "rules[0].times"),
        ({"rules": [{"kind": "500", "path": 3}]}, "rules[0].path is 3"),
        ({"rules": [{"kind": "500", "pat": "/"}]}, "key 'pat'"),
        ({"rate_limit": {"requests": 0, "seconds": 1}}, "rate_limit.requests is 0"),
        ({"rate_limit": 5}, "rate_limit is 5"),
    ],
)
def test_a_wrong_plan_is_refused_in_one_sentence(running: Running, plan: Any, part: str) -> None:
    with pytest.raises(FaultPlanError, match=re.escape(part)):
        FaultPlan.parse(plan)
    answer = running.session.put(f"{running.url}/_emulator/faults", json=plan, timeout=10)
    assert answer.status_code == 400
    assert part in answer.json()["error"]


def test_broken_control_requests_are_refused(running: Running) -> None:
    assert running.session.put(f"{running.url}/_emulator/faults", data="{", timeout=10).status_code == 400
    assert running.get("/_emulator/requests?since=x").status_code == 400


def test_cloudflare_fails_in_its_own_words() -> None:
    running = Running("cloudflare")
    try:
        for kind, code in (("429", 10100), ("500", 1000)):
            running.control.faults({"kind": kind})
            body = running.get().json()
            assert (body["success"], body["errors"][0]["code"]) == (False, code)
    finally:
        running.close()


def test_a_connection_of_another_server_cannot_be_cut() -> None:
    with pytest.raises(ConnectionUnknownError):
        abort_connection({"type": "http", "server": ("127.0.0.1", 1), "client": ("127.0.0.1", 2)})


def test_redaction_leaves_ordinary_text_alone() -> None:
    text = "https://h.example:8800/x?a=b user@h.example"
    assert redacted(text) == text
