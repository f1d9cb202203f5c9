"""Pending creates on the real engine: what a killed run leaves is told by the doctor and cleared by the command."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from commands.pending import pending_creates
from tests.chaos.world import World
from tests.e2e.stack import Emulators


@pytest.fixture(scope="module")
def world(emulators: Emulators, tmp_path_factory: pytest.TempPathFactory) -> World:
    return World.build(tmp_path_factory.mktemp("pending"), emulators, mailboxes=2)


def test_they_are_told_and_cleared(world: World, tmp_path: Path) -> None:
    stack = world.stack
    stack.up("--suppress-outputs")
    state = json.loads(stack.pulumi("stack", "export", "--stack", stack.name).out)
    record = next(one for one in state["deployment"]["resources"] if one["type"].endswith(":DnsRecord"))
    left = {key: value for key, value in record.items() if key not in {"id", "outputs"}}
    left["urn"] += "-killed"
    state["deployment"]["pending_operations"] = [{"resource": left, "type": "creating"}] * 2
    file = tmp_path / "state.json"
    file.write_text(json.dumps(state))
    stack.pulumi("stack", "import", "--file", str(file), "--stack", stack.name)

    def mail(*words: object, check: bool = True) -> str:
        return mail(*words, env=stack.environment, check=check).text

    told = mail("doctor", stack.name, "-C", stack.folder, "--emulators", stack.emulators.folder, check=False)
    assert "clear-pending" in told
    assert "Cleared" in mail("state", "clear-pending", stack.name, "-C", stack.folder, "--yes")
    assert pending_creates(json.loads(stack.pulumi("stack", "export", "--stack", stack.name).out)) == []
    assert stack.preview("--expect-no-changes").code == 0
    stack.destroy()
