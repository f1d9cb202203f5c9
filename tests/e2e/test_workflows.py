"""The shell steps of the workflows, run one after the other as GitHub runs them, against the embedded default.

`gh` is a stand-in that keeps comments and issues in a file and answers `--jq` with a real jq; everything else is real.
"""

from __future__ import annotations

import json
import re
import shutil
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from engine.cloudflare_plugin import Source
from engine.passphrase import LOOPBACK_PASSPHRASE
from engine.plugins import DYNAMIC_HOST, LANGUAGE_HOST
from tests.e2e.clone import Clone, clone
from tests.e2e.stack import ROOT, Finished
from tests.unit.workflows.go_tools import GOJQ, find_tool

EXPRESSION = re.compile(r"\$\{\{ (.*?) \}\}")
POPULATION = "populations/dev.yaml"
NOTHING = dict.fromkeys(("MAILJET_API_KEY", "MAILJET_API_SECRET", "MAILJET_INBOUND_SECRET", "CLOUDFLARE_API_TOKEN"), "")
"""What a runner has of the embedded default's credentials, before a step names them."""
AGENTS = 12
"""So many that removing eleven passes the book's threshold."""

GH = '''#!{python}
"""gh api|issue|label, as far as the workflows use them."""
import json, os, pathlib, subprocess, sys
hub = pathlib.Path(os.environ["HUB"])
state = json.loads(hub.read_text())
words = sys.argv[1:]
def option(name):
    return words[words.index(name) + 1] if name in words else None
def out(rows):
    done = subprocess.run(["{jq}", "-r", option("--jq")], input=json.dumps(rows), text=True, capture_output=True)
    sys.exit(done.stderr) if done.returncode else print(done.stdout, end="")
def body():
    field = option("--field")
    return pathlib.Path(field.removeprefix("body=@")).read_text() if field else pathlib.Path(option("--body-file")).read_text()
state["calls"].append(" ".join(words[:3]))
if words[0] == "api":
    method, path = option("--method") or "GET", next(word for word in words[1:] if word.startswith("repos/"))
    if method == "GET":
        out(state["comments"])
    elif method == "POST":
        state["comments"].append({{"id": len(state["comments"]) + 1, "user": {{"type": "Bot"}}, "body": body()}})
    else:
        [comment] = [entry for entry in state["comments"] if path.endswith("/comments/%d" % entry["id"])]
        comment["body"] = body()
elif words[:2] == ["issue", "list"]:
    out([issue for issue in state["issues"] if issue["open"]])
elif words[:2] == ["issue", "create"]:
    assert option("--label") in state["labels"], "gh refuses a label that does not exist"
    number = len(state["issues"]) + 7
    state["issues"].append({{"number": number, "title": option("--title"), "body": body(), "open": True}})
elif words[:2] == ["issue", "edit"]:
    [issue] = [entry for entry in state["issues"] if str(entry["number"]) == words[2]]
    issue["body"] = body()
elif words[:2] == ["issue", "close"]:
    [issue] = [entry for entry in state["issues"] if str(entry["number"]) == words[2]]
    issue["open"] = False
elif words[:2] == ["label", "create"]:
    state["labels"].append(words[2])
else:
    sys.exit("this stand-in does not know: gh " + " ".join(words))
hub.write_text(json.dumps(state))
'''


@dataclass
class Runner:
    """GitHub's runner, as far as shell steps can tell."""

    clone: Clone
    tools: Path
    hub: Path
    labels: list[str] = field(default_factory=list)

    @property
    def github(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.hub.read_text())
        return found

    def job(self, workflow: str, job: str) -> tuple[dict[str, Finished], str]:
        """Run the job's shell steps; name of a step -> its end, and the job's summary. Stops at the first that fails."""
        document = yaml.safe_load((ROOT / ".github" / "workflows" / f"{workflow}.yml").read_text())
        body = document["jobs"][job]
        summary, outputs = self.hub.with_name("summary"), self.hub.with_name("outputs")
        summary.write_text("")
        ended: dict[str, Finished] = {}
        known: dict[str, str] = {}
        for step in body["steps"]:
            if "run" not in step:
                self._artifact(step)
                continue
            outputs.write_text("")
            variables = NOTHING | self._evaluated({**body.get("env", {}), **step.get("env", {})}, known)
            done = self.clone.sh(
                step["run"],
                check=False,
                **variables,
                PATH=f"{self.tools}:{self.clone.environment['PATH']}",
                HUB=str(self.hub),
                GITHUB_OUTPUT=str(outputs),
                GITHUB_STEP_SUMMARY=str(summary),
                GITHUB_SHA="0123456789abcdef",
            )
            ended[step["name"]] = done
            for line in outputs.read_text().splitlines():
                name, _, value = line.partition("=")
                known[f"steps.{step.get('id')}.outputs.{name}"] = value
            if done.code and not step.get("continue-on-error"):
                break
        return ended, summary.read_text()

    def _artifact(self, step: Mapping[str, Any]) -> None:
        """What the two actions do that carry a file from job to job; a new runner has nothing else of the first."""
        action = step["uses"].partition("@")[0]
        if action not in ("actions/upload-artifact", "actions/download-artifact"):
            return
        kept = self.hub.with_name(str(self._evaluated(step["with"], {})["name"]))
        if action == "actions/upload-artifact":
            (self.clone.folder / step["with"]["path"]).rename(kept)
        else:
            shutil.copy(kept, self.clone.folder / "plan.json")

    def _evaluated(self, env: Mapping[str, str], known: Mapping[str, str]) -> dict[str, str]:
        context = {
            "matrix.stack": "dev",
            "vars.PULUMI_BACKEND_URL": f"file://{self.clone.folder}/.state/backend",
            "vars.AWS_REGION": "",
            "secrets.PULUMI_CONFIG_PASSPHRASE": LOOPBACK_PASSPHRASE,
            "secrets.PULUMI_ACCESS_TOKEN": "",
            "secrets.AWS_ACCESS_KEY_ID": "",
            "secrets.AWS_SECRET_ACCESS_KEY": "",
            **{f"secrets.{name}": value for name, value in self.clone.emulators.credentials.items()},
            "toJSON(github.event.pull_request.labels.*.name)": json.dumps(self.labels),
            "github.event.pull_request.head.sha": "fedcba9876543210",
            "github.event.pull_request.number": "42",
            "github.repository": "azt3knet/agentmail",
            "github.token": "ghs_token",
            "inputs.allow-record-removals || '0'": "0",
            **known,
        }
        return {name: EXPRESSION.sub(lambda found: context[found[1]], str(value)) for name, value in env.items()}


def people(count: int) -> str:
    document = yaml.safe_load((ROOT / POPULATION).read_text())
    return yaml.safe_dump({**document, "agents": document["agents"][:count]}, sort_keys=False)


@pytest.fixture(scope="module")
def runner(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runner]:
    folder = tmp_path_factory.mktemp("workflows")
    tools = folder / "tools"
    tools.mkdir()
    (tools / "gh").write_text(GH.format(python=sys.executable, jq=find_tool(GOJQ, "jq")))
    (tools / "gh").chmod(0o755)
    hub = folder / "hub.json"
    hub.write_text(json.dumps({"comments": [], "issues": [], "labels": [], "calls": []}))
    with clone(folder / "clone", replacing={POPULATION: people(AGENTS)}) as made:
        made.sh("./mail setup && ./mail pulumi stack select --create dev")
        yield Runner(made, tools, hub)


class TestScenario:
    """The tests of this class build on each other, in order."""

    def test_up_brings_up_what_was_planned_without_the_secrets_and_examines(self, runner: Runner) -> None:
        ended, summary = runner.job("up", "plan")
        assert {name: done.code for name, done in ended.items()} == {"Set up": 0, "Show what is to be approved": 0}
        assert f"{AGENTS} mailboxes added" in summary

        ended, _ = runner.job("up", "up")
        assert [done.code for done in ended.values()] == [0, 0, 0], [done.text for done in ended.values()]
        assert len(runner.clone.emulators.routes()) == AGENTS
        assert f"{AGENTS} mailboxes, each with its route" in " ".join(ended["Examine"].out.split())

    def test_what_is_in_use_is_planned_without_the_secrets_too(self, runner: Runner) -> None:
        """The plan's job sees every route with another secret; that is no difference to what was approved."""
        (runner.clone.folder / POPULATION).write_text(people(AGENTS - 1))
        runner.job("up", "plan")
        runner.clone.emulators.forget_requests()
        (runner.clone.folder / POPULATION).write_text(people(AGENTS - 2))
        ended, _ = runner.job("up", "up")
        refused = ended["Up, of exactly that"]
        assert refused.code == 1
        assert "An up of dev would no longer do what was approved" in " ".join(refused.text.split())
        assert runner.clone.emulators.writes == 0

        (runner.clone.folder / POPULATION).write_text(people(AGENTS - 1))
        ended, _ = runner.job("up", "up")
        assert [done.code for done in ended.values()] == [0, 0, 0], [done.text for done in ended.values()]
        assert len(runner.clone.emulators.routes()) == AGENTS - 1
        (runner.clone.folder / POPULATION).write_text(people(AGENTS))
        runner.job("up", "plan")
        runner.job("up", "up")

    def test_a_pull_request_gets_a_comment(self, runner: Runner) -> None:
        (runner.clone.folder / POPULATION).write_text(people(AGENTS - 1))
        ended, summary = runner.job("preview", "preview")
        assert [done.code for done in ended.values()] == [0, 0, 0, 0], [done.text for done in ended.values()]
        [comment] = runner.github["comments"]
        assert comment["body"] == summary
        assert summary.startswith("<!-- agentmail-preview:dev -->\n**dev: 1 mailbox removed.**")
        assert "<sub>Commit fedcba9876543210</sub>" in summary

    def test_that_is_kept_up_to_date_and_a_job_that_fails_when_too_much_would_go(self, runner: Runner) -> None:
        (runner.clone.folder / POPULATION).write_text(people(1))
        ended, _ = runner.job("preview", "preview")
        assert ended["Keep the comment up to date"].code == 0
        assert ended["Fail where the preview failed or deletes too much"].code != 0
        [comment] = runner.github["comments"]
        assert f"11 of {AGENTS} mailboxes would be removed" in comment["body"]
        assert len(runner.clone.emulators.routes()) == AGENTS
        (runner.clone.folder / POPULATION).write_text(people(AGENTS))

    def test_drift_opens_an_issue_and_closes_it_again(self, runner: Runner) -> None:
        emulators = runner.clone.emulators
        route = emulators.routes()[0]
        emulators.mailjet("DELETE", f"/v3/REST/parseroute/{route['ID']}").raise_for_status()
        ended, _ = runner.job("drift", "drift")
        assert [done.code for done in ended.values()] == [0, 0, 0], [done.text for done in ended.values()]
        [issue] = runner.github["issues"]
        assert issue["title"] == "Drift in dev"
        assert "dev has drifted; an up would put back: 1 mailbox added." in issue["body"]
        assert route["Email"] in issue["body"]

        emulators.mailjet("POST", "/v3/REST/parseroute", json={"Email": route["Email"], "Url": route["Url"]})
        ended, _ = runner.job("drift", "drift")
        assert [done.code for done in ended.values()] == [0, 0, 0], [done.text for done in ended.values()]
        [issue] = runner.github["issues"]
        assert issue["open"] is False

    def test_a_second_drift_updates_the_open_issue(self, runner: Runner) -> None:
        """The steps that look are the same; only what they do with an open issue is."""
        state = runner.github
        state["issues"][0]["open"] = True
        runner.hub.write_text(json.dumps(state))
        (runner.clone.folder / "drift.md").write_text("still drifting")
        step = yaml.safe_load((ROOT / ".github/workflows/drift.yml").read_text())["jobs"]["drift"]["steps"][-1]
        runner.clone.sh(
            step["run"],
            STACK="dev",
            DRIFTED="2",
            HUB=str(runner.hub),
            PATH=f"{runner.tools}:{runner.clone.environment['PATH']}",
        )
        [issue] = runner.github["issues"]
        assert (issue["open"], issue["body"]) == (True, "still drifting")

    def test_a_fork_is_told_why_it_gets_nothing(self, runner: Runner) -> None:
        ended, summary = runner.job("preview", "fork")
        assert [done.code for done in ended.values()] == [0]
        assert "a pull request from a fork gets no credentials" in summary

    def test_no_secret_in_what_github_keeps(self, runner: Runner) -> None:
        kept = runner.hub.read_text()
        for name, value in runner.clone.emulators.credentials.items():
            assert value not in kept, name


def test_what_the_test_workflow_runs_exists(runner: Runner) -> None:
    """`make test` is what runs this very test, so it is only looked at; with official parts and without."""
    job = yaml.safe_load((ROOT / ".github/workflows/test.yml").read_text())["jobs"]["test"]
    steps = {step["name"]: step for step in job["steps"] if "run" in step}
    assert steps.pop("Test")["run"] == "make test"
    assert set(job["strategy"]["matrix"]["parts"]) == {str(source) for source in Source}
    assert {step["if"] for step in steps.values()} == {f"matrix.parts == '{source}'" for source in Source}
    [removed] = [step["run"] for step in steps.values() if "sudo rm" in step["run"]]
    assert all(plugin.executable in removed for plugin in (LANGUAGE_HOST, DYNAMIC_HOST))
    assert "pytest tests -n" in runner.clone.sh("make -n test").out
