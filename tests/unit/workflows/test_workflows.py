"""What the workflows promise: least privilege, no secret for forks, nothing untrusted in a shell, pinned actions."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.unit.workflows.go_tools import ACTIONLINT, find_tool

ROOT = Path(__file__).parents[3]
FILES = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
NAMES = [path.stem for path in FILES]


def load(path: Path) -> dict[str, Any]:
    """YAML 1.1 reads the key `on` as true."""
    document: dict[Any, Any] = yaml.safe_load(path.read_text())
    document["on"] = document.pop(True)
    return document


WORKFLOWS = {path.stem: load(path) for path in FILES}


def jobs() -> Iterator[tuple[str, str, dict[str, Any]]]:
    for name, workflow in WORKFLOWS.items():
        for job, body in workflow["jobs"].items():
            yield name, job, body


def steps() -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
    for name, job, body in jobs():
        for step in body["steps"]:
            yield f"{name}/{job}", body, step


def test_there_are_what_the_docs_name() -> None:
    assert NAMES == ["audit", "chaos", "docs", "drift", "preview", "test", "up"]


def test_actionlint_finds_no_fault() -> None:
    done = subprocess.run(
        [find_tool(ACTIONLINT), "-shellcheck=", "-pyflakes=", *FILES], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_actionlint_would_find_one(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.yml"
    wrong.write_text(
        "on: push\njobs:\n  a:\n    runs-on: ubuntu-latest\n    steps:\n      - run: echo ${{ secret.X }}\n"
    )
    assert subprocess.run([find_tool(ACTIONLINT), wrong], capture_output=True).returncode == 1


@pytest.mark.parametrize("name", NAMES)
def test_a_token_that_reads_is_the_default(name: str) -> None:
    assert WORKFLOWS[name]["permissions"] == {"contents": "read"}


def test_who_may_write_what() -> None:
    writing = {
        (name, job, scope)
        for name, job, body in jobs()
        for scope, right in body.get("permissions", {}).items()
        if right == "write"
    }
    assert writing == {
        ("preview", "preview", "pull-requests"),
        ("drift", "drift", "issues"),
        ("docs", "publish", "pages"),
        ("docs", "publish", "id-token"),
    }


def test_no_expression_in_a_shell() -> None:
    """A branch name or a label would become a command; it comes as a variable instead."""
    for where, _, step in steps():
        assert "${{" not in step.get("run", ""), where


def test_actions_are_pinned_by_commit_and_named_by_version() -> None:
    for path in FILES:
        used = re.findall(r"uses: (\S+)(.*)", path.read_text())
        assert used
        for action, comment in used:
            assert re.fullmatch(r"[\w.-]+/[\w.-]+@[0-9a-f]{40}", action), action
            assert re.fullmatch(r" # v\d+\.\d+\.\d+", comment), action


def test_the_same_action_has_one_version() -> None:
    pins = {tuple(action.split("@")) for path in FILES for action in re.findall(r"uses: (\S+)", path.read_text())}
    assert len(pins) == len({name for name, _ in pins})


def test_the_cli_is_the_one_that_the_engine_pins() -> None:
    pinned = re.search(r"pulumi/pkg/v3 v(\S+)", (ROOT / "engine" / "go.mod").read_text())
    assert pinned
    for where, _, step in steps():
        if step.get("uses", "").startswith("pulumi/actions@"):
            # Without a command it only installs: docs/decisions/040-own-digest-as-comment.md
            assert step["with"] == {"pulumi-version": pinned[1]}, where


class TestSecrets:
    def test_none_for_forks(self) -> None:
        assert "pull_request_target" not in {trigger for workflow in WORKFLOWS.values() for trigger in workflow["on"]}
        for name, job, body in jobs():
            if "pull_request" in WORKFLOWS[name]["on"] and "secrets." in str(body):
                assert "github.event.pull_request.head.repo.full_name == github.repository" in body["if"], job

    def test_only_in_a_step_that_runs_pulumi_or_looks(self) -> None:
        for where, body, step in steps():
            if "secrets." in str(step):
                assert "run" in step, where
                assert body["environment"], where
        for name, job, body in jobs():
            outside = {key: value for key, value in body.items() if key != "steps"}
            assert "secrets." not in str(outside), (name, job)

    def test_a_preview_has_no_key_that_writes_mail(self) -> None:
        for name, _, body in jobs():
            if str(body.get("environment", "")).endswith("-preview"):
                assert "MAILJET" not in str(body), name

    def test_nothing_leaves_credentials_in_the_checkout(self) -> None:
        for where, _, step in steps():
            if step.get("uses", "").startswith("actions/checkout@"):
                assert step["with"] == {"persist-credentials": False}, where


class TestTheOrderOfThings:
    def test_an_up_follows_a_plan_and_is_never_cut_short(self) -> None:
        up = WORKFLOWS["up"]["jobs"]["up"]
        assert up["needs"] == "plan"
        assert up["concurrency"] == {"group": "up-${{ matrix.stack }}", "cancel-in-progress": False}
        assert up["strategy"]["max-parallel"] == 1
        assert up["environment"] == "${{ matrix.stack }}"

    def test_a_newer_push_replaces_the_preview_of_an_older_one(self) -> None:
        assert WORKFLOWS["preview"]["concurrency"]["cancel-in-progress"] is True

    def test_drift_is_looked_for_every_day_and_never_in_the_way_of_an_up(self) -> None:
        [schedule] = WORKFLOWS["drift"]["on"]["schedule"]
        assert re.fullmatch(r"\d+ \d+ \* \* \*", schedule["cron"])
        assert WORKFLOWS["drift"]["jobs"]["drift"]["concurrency"]["group"] != "up-${{ matrix.stack }}"

    def test_every_job_ends(self) -> None:
        assert all("timeout-minutes" in body for _, _, body in jobs())
