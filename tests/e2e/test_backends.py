"""A stack's life where a team keeps its state: an S3 and a PostgreSQL, real protocols on loopback, over a wire that breaks."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.bench.population import write_population
from tests.e2e.stack import ROOT, Emulators
from tests.e2e.team import Team
from tests.state_servers import SERVERS, free_of
from tests.waiting import wait_until

AGENTS = 4


@pytest.fixture(params=sorted(SERVERS))
def team(request: pytest.FixtureRequest, emulators: Emulators, tmp_path: Path) -> Iterator[Team]:
    emulators.reset()
    with SERVERS[request.param]() as server:
        yield Team(tmp_path, emulators, server, agents=AGENTS)


def test_a_life(team: Team, emulators: Emulators, tmp_path: Path) -> None:
    plan = tmp_path / "plan.json"
    team.mail("preview", "team", "--save", plan)
    _killed_while_somebody_waits(team, emulators, plan)

    # The killed run's lock is told with what lifts it; what the run had done is found again, and nothing is made twice.
    refused = team.mail("apply", "team", "--yes", check=False)
    assert refused.code == 1
    assert "'team' is locked by " in refused.err
    assert "which is dead: this machine runs no such process; " in refused.err
    assert refused.err.rstrip().endswith("take its lock away with: ./mail pulumi cancel --stack team")
    team.mail("pulumi", "cancel", "--yes", "--stack", "team")
    team.mail("state", "clear-pending", "team", "--yes")
    team.mail("adopt", "team", "--yes")
    team.up()
    assert len({route["Email"] for route in emulators.routes()}) == len(emulators.routes()) == AGENTS

    # A wire that breaks in the middle of a save: the engine tries again, and the state knows everything.
    write_population(team.population, AGENTS + 1)
    team.server.relay.cut_at(team.server.save, 6, mended_at=1)
    team.up()
    assert team.server.relay.refused == 1
    assert len(emulators.routes()) == AGENTS + 1

    _looks(team)
    team.mail("destroy", "team", "--confirm", "team")
    assert emulators.routes() == []
    _no_credential_anywhere(team)


def _killed_while_somebody_waits(team: Team, emulators: Emulators, plan: Path) -> None:
    emulators.faults("mailjet", latency_ms=2000)
    emulators.forget_requests()
    first = team.started("apply", "team", "--yes", "--plan", str(plan))
    try:
        wait_until(lambda: emulators.counts("mailjet")["writes"] > 1, "the first writes", seconds=120)
        second = team.mail("pulumi", "destroy", "--yes", "--stack", "team", check=False)
        assert second.code != 0
        assert "the stack is currently locked by 1 lock(s)" in second.err
        assert first.poll() is None
    finally:
        os.killpg(first.pid, signal.SIGKILL)
        first.wait()
    emulators.faults("mailjet")


def _looks(team: Team) -> None:
    """What only reads: from the file that names the backend, in the words of any other backend."""
    status = json.loads(team.mail("status", "team", "--json").out)
    assert (status["state"], status["mailboxes"]) == (team.server.url, AGENTS + 1)
    assert "No changes" in team.mail("preview", "team").out
    assert "team" in team.mail("env", "list").out
    team.stack.start_gateway()
    doctor = team.mail("doctor", "team", "--json", "--emulators", team.stack.emulators.folder, check=False)
    findings = json.loads(doctor.out)["findings"]
    assert f"Valid; dev.agents.example, {AGENTS + 1} mailboxes." in [item["sentence"] for item in findings]
    assert (doctor.code, [item for item in findings if item["status"] != "ok"]) == (0, [])
    restored = team.mail("state", "restore", "team", check=False)
    assert restored.code == 1
    assert f"is in {team.server.url} (Pulumi.team.backend names it), no folder" in restored.err


def _no_credential_anywhere(team: Team) -> None:
    """Neither what was printed nor a file of the project or of the engine's home holds the backend's password."""
    assert free_of(team.said) == ""
    assert "WARN" not in team.said
    own = [file for file in team.stack.folder.rglob("*") if file.is_file() and not file.is_symlink()]
    home = list((ROOT / ".state" / "pulumi-home").glob("*.json"))
    for file in own + home:
        assert free_of(file.read_text(errors="replace")) == "", file
