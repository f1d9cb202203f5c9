"""The official plugin's recorded requests, made again: every one is answered, in the recorded shape."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from emulators.cloudflare import ACCOUNT_ID, ZONE_ID, SeedZone
from tests.unit.emulators.cloudflare_fixtures import EmulatedCloudflare, running

RECORDING = Path(__file__).parents[2] / "fixtures" / "cloudflare-requests.jsonl"
RECORDED_ZONE = "023e105f4ecef8ad9ca31a8372d0c353"
RECORDED_ACCOUNT = "699d98642c564d2e855e9661899b7252"
# What differs from run to run, and what the recorder made up: a tunnel's token is in no answer but the first.
VOLATILE = {
    "id", "tunnel_id", "account_id", "account_tag", "created_on", "modified_on", "comment_modified_on", "created_at",
    "deleted_at", "conns_inactive_at", "token", "credentials_file", "content",
}  # fmt: skip


@pytest.fixture
def world(tmp_path: Path) -> Iterator[EmulatedCloudflare]:
    with running(tmp_path, zones=(SeedZone(id=ZONE_ID, name="example.com"),)) as world:
        yield world


def recorded() -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in RECORDING.read_text().splitlines()]
    return [line for line in lines if "method" in line]


def stable(result: Any) -> Any:
    if isinstance(result, dict):
        return {name: stable(value) for name, value in result.items() if name not in VOLATILE}
    return result


def test_the_recording_is_answered_alike(world: EmulatedCloudflare) -> None:
    # Recorded ids on the left, ours on the right, as they appear.
    ids = {RECORDED_ZONE: ZONE_ID, RECORDED_ACCOUNT: ACCOUNT_ID}

    def ours(text: str) -> str:
        for theirs, mine in ids.items():
            text = text.replace(theirs, mine)
        return text

    requests = sorted(recorded(), key=lambda one: one["method"] != "POST" or "cfd_tunnel" not in one["path"])
    created = [one for one in requests if one["method"] == "POST" and "cfd_tunnel" in one["path"]]
    for one in [*created, *(one for one in recorded() if one not in created)]:
        body = None if one["body"] is None else json.loads(ours(json.dumps(one["body"])))
        path = ours(one["path"]).removeprefix("/client/v4")
        answer = world.call(one["method"], path, body)
        assert answer.status_code == one["status"], (one["method"], path, answer.text)
        result, expected = answer.json()["result"], one["response"]["result"]
        if isinstance(expected, dict):
            ids[expected.get("id", "")] = result.get("id", "")
            ids.pop("", None)
            missing = expected.keys() - result.keys() - {"token"}
            assert not missing, (one["method"], path)
            assert stable(result) == stable(expected), (one["method"], path)
        else:
            assert isinstance(result, type(expected))
    assert world.emulator.state()["zones"][0]["records"] == []
    assert [tunnel["deleted_at"] is None for tunnel in world.emulator.state()["tunnels"]] == [False]
