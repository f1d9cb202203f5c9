"""The stand-in sends, step by step, the requests that the official plugin was recorded sending for the same program."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.unit.engine.cloudflare_driver import (
    ACCOUNT,
    GET_TOKEN,
    RECORD,
    TUNNEL,
    TUNNEL_CONFIG,
    ZONE,
    Answer,
    Declared,
    Invoked,
    Plugin,
    RecordingApi,
    RecordingEngine,
    Request,
    Stack,
    recording_api,
    running_plugin,
)

RECORDING = Path(__file__).resolve().parents[2] / "fixtures" / "cloudflare-requests.jsonl"
COMMENT = "managed by pulumi: agentmail-dev"


def recorded_steps() -> dict[str, list[tuple[Request, Answer]]]:
    steps: dict[str, list[tuple[Request, Answer]]] = {}
    for line in RECORDING.read_text(encoding="utf-8").splitlines():
        entry = json.loads(line)
        if "step" in entry:
            step = steps.setdefault(entry["step"], [])
        else:
            request = Request(entry["method"], entry["path"].removeprefix("/client/v4"), entry["body"])
            step.append((request, Answer(entry["status"], entry["response"])))
    return steps


def recorded_dkim() -> str:
    created = recorded_steps()["up: create"]
    return str(next(r.body["content"] for r, _ in created if r.body and "_domainkey" in r.body.get("name", "")))


def program(*, changed: bool) -> list[Declared | Invoked]:
    def record(logical: str, /, **inputs: Any) -> Declared:
        given = {"zoneId": ZONE, "ttl": 300, "comment": COMMENT, **inputs}
        return Declared(logical, RECORD, lambda _: given)

    spf = "-all" if changed else "~all"
    dmarc = record(
        "dmarc",
        name="_dmarc.mail.example.com",
        type="TXT",
        content='"v=DMARC1; p=none; rua=mailto:postmaster@example.com"',
    )
    tunnel_name = "agentmail-dev-2" if changed else "agentmail-dev"
    service = "http://api:9000" if changed else "http://api:8000"
    return [
        record("mx", name="mail.example.com", type="MX", content="parse.mailjet.com", priority=20 if changed else 10),
        record("spf", name="mail.example.com", type="TXT", content=f'"v=spf1 include:spf.mailjet.com {spf}"'),
        record("dkim", name="mailjet._domainkey.mail.example.com", type="TXT", content=recorded_dkim()),
        *([dmarc] if changed else []),
        Declared("tunnel", TUNNEL, lambda _: {"accountId": ACCOUNT, "name": tunnel_name, "configSrc": "cloudflare"}),
        Invoked("token", GET_TOKEN, lambda done: {"accountId": ACCOUNT, "tunnelId": done["tunnel"]["id"]}),
        Declared(
            "ingress",
            TUNNEL_CONFIG,
            lambda done: {
                "accountId": ACCOUNT,
                "tunnelId": done["tunnel"]["id"],
                "config": {
                    "ingresses": [{"hostname": "api.example.com", "service": service}, {"service": "http_status:404"}]
                },
            },
        ),
        Declared(
            "api",
            RECORD,
            lambda done: {
                "zoneId": ZONE,
                "name": "api.example.com",
                "type": "CNAME",
                "content": done["tunnel"]["id"]
                if not isinstance(done["tunnel"]["id"], str)
                else f"{done['tunnel']['id']}.cfargotunnel.com",
                "proxied": True,
                "ttl": 1,
                "comment": COMMENT,
            },
        ),
    ]


class Replay:
    """Answers as the recording does, whatever the order within a step."""

    def __init__(self, api: RecordingApi, steps: dict[str, list[tuple[Request, Answer]]]) -> None:
        self._api = api
        self._steps = steps
        self._left: list[tuple[Request, Answer]] = []
        api.respond = self._respond

    def begin(self, step: str) -> None:
        self._left = list(self._steps[step])

    def requests_of(self, step: str) -> list[Request]:
        return [request for request, _ in self._steps[step]]

    def _respond(self, request: Request) -> Answer:
        for index, (expected, answer) in enumerate(self._left):
            if expected == request:
                del self._left[index]
                return answer
        return Answer(400, {"success": False, "errors": [{"message": "not in the recording"}]})


def in_any_order(requests: Sequence[Request]) -> list[str]:
    return sorted(json.dumps([r.method, r.path, r.body], sort_keys=True) for r in requests)


@pytest.fixture(scope="module")
def engine() -> Iterator[RecordingEngine]:
    engine = RecordingEngine()
    yield engine
    engine.close()


class TestRecordedRequests:
    @pytest.mark.slow
    def test_every_step_sends_the_recorded_requests(self, engine: RecordingEngine) -> None:
        steps = recorded_steps()
        with recording_api() as api, running_plugin(engine.address) as process:
            plugin = Plugin(process.stub)
            plugin.configure(api)
            stack = Stack(plugin)
            replay = Replay(api, steps)
            first, second = program(changed=False), program(changed=True)
            actions: dict[str, Callable[[], Any]] = {
                "preview of a new stack": lambda: stack.up(first, preview=True),
                "up: create": lambda: stack.up(first),
                "up: no change": lambda: stack.up(first),
                "up: MX priority, SPF content, tunnel name and ingress changed, DMARC added": lambda: stack.up(second),
                "refresh": stack.refresh,
                "up after refresh: no change": lambda: stack.up(second),
                "up: back to the first values, DMARC removed": lambda: stack.up(first),
                "destroy": stack.destroy,
            }
            assert list(actions) == list(steps)
            for step, act in actions.items():
                replay.begin(step)
                act()
                assert in_any_order(api.seen()) == in_any_order(replay.requests_of(step)), step
        warned = {name for name, _ in engine.messages}
        assert warned == {"ingress"}
