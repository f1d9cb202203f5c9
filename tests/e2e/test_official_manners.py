"""The stand-ins with the manners of the official parts: what a person reads, and what a pull request is told.

The official language host interrupts a failing program and adds lines of its own; the official plugin logs what it is
refused. Both are imitated here (engine/official.py), because both are there wherever Pulumi is installed.
"""

from __future__ import annotations

import os
import signal
import subprocess
from typing import Any

import pytest
import requests

from engine.official import VARIABLE
from tests.e2e.stack import ROOT, Emulators, Finished, Stack, mail, python
from tests.waiting import wait_until


@pytest.fixture
def stack(stack: Stack) -> Stack:
    stack.environment[VARIABLE] = "official"
    return stack


def assert_only(done: Finished, sentence: str) -> None:
    """Our sentence is the one reason under the engine's `Diagnostics:`, and nothing stands around it."""
    assert done.code != 0, done.text
    errors = [line.strip() for line in done.text.rpartition("Diagnostics:")[2].splitlines() if "error: " in line]
    reasons = [line for line in errors if line not in ("error: update failed", "error: preview failed")]
    assert len(reasons) == 1, done.text
    assert sentence in reasons[0], done.text
    for noise in ("Traceback", "KeyboardInterrupt", "unhandled error", "non-zero exit code", "[ERROR]"):
        assert noise not in done.text, done.text


def read_only_token(emulators: Emulators) -> str:
    """A Cloudflare token with what the documentation prescribes for a preview: DNS Read."""
    groups: list[dict[str, Any]] = _ask(emulators, "GET", "/user/tokens/permission_groups")
    zone = emulators.status["cloudflare"]["zone_id"]
    body = {
        "name": "preview",
        "policies": [
            {
                "effect": "allow",
                "resources": {f"com.cloudflare.api.account.zone.{zone}": "*"},
                "permission_groups": [{"id": group["id"]} for group in groups if group["name"] == "DNS Read"],
            }
        ],
    }
    return str(_ask(emulators, "POST", "/user/tokens", body)["value"])


def _ask(emulators: Emulators, method: str, path: str, body: Any = None) -> Any:
    headers = {"Authorization": f"Bearer {emulators.credentials['CLOUDFLARE_API_TOKEN']}"}
    url = emulators.status["cloudflare"]["url"] + path
    answer = requests.request(method, url, headers=headers, json=body, timeout=10)
    answer.raise_for_status()
    return answer.json()["result"]


class TestOneSentence:
    def test_bad_configuration(self, stack: Stack) -> None:
        stack.configure(zoneId=None)
        assert_only(stack.up(check=False), "agentmail:zoneId is not set")

    @pytest.mark.parametrize("command", ["preview", "up"])
    def test_a_wrong_cloudflare_token(self, stack: Stack, command: str) -> None:
        done = getattr(stack, command)(check=False, CLOUDFLARE_API_TOKEN="t" * 40)
        assert_only(done, "Cloudflare rejected the API token while listing the zone")

    def test_an_api_that_is_down(self, stack: Stack) -> None:
        stack.configure(**{"cloudflare:baseUrl": "http://127.0.0.1:9/client/v4"})
        assert_only(stack.preview(check=False), "Cloudflare's API does not answer while listing the zone")

    def test_a_rejected_mailjet_key_while_the_program_runs(self, stack: Stack) -> None:
        assert_only(stack.up(check=False, MAILJET_API_SECRET="0" * 32), "rejected the API key or its secret")

    def test_an_up_without_the_right_to_tunnels(self, stack: Stack, emulators: Emulators) -> None:
        stack.up()
        token = read_only_token(emulators)
        done = stack.up(check=False, CLOUDFLARE_API_TOKEN=token)
        assert_only(done, "Cloudflare does not show the token of the tunnel 'agentmail-dev' to this API token")


class TestReadOnlyToken:
    """A preview with the token that the documentation prescribes is no failure."""

    def digest(self, stack: Stack, emulators: Emulators) -> Finished:
        token = read_only_token(emulators)
        return python(
            "-m",
            "commands",
            "preview",
            "dev",
            "--cwd",
            stack.folder,
            env=stack.environment | {"CLOUDFLARE_API_TOKEN": token},
            check=False,
        )

    def test_before_and_after_the_first_up(self, stack: Stack, emulators: Emulators) -> None:
        first = self.digest(stack, emulators)
        assert first.code == 0, first.text
        assert "Errors" not in first.out
        assert "does not list the account's tunnels to this API token" in " ".join(first.out.split())
        assert "04da6b54" not in first.out

        stack.up()
        later = self.digest(stack, emulators)
        assert later.code == 0, later.text
        assert "No changes: dev stays as it is." in later.out
        assert "does not show the token of the tunnel" in " ".join(later.out.split())

        stack.configure(protected="true")
        changed = self.digest(stack, emulators)
        assert changed.code == 0, changed.text
        assert "protected: false -> true" in changed.out


NOISE = ("Traceback", "KeyboardInterrupt", "unhandled error", "non-zero exit code", "http request", "[ERROR]")


def assert_quiet(done: Finished) -> None:
    """It failed, and nothing of the plugin's, the host's or the interpreter's own text is in what it said."""
    assert done.code != 0, done.text
    for noise in NOISE:
        assert noise not in done.text, done.text


class TestUnderMail:
    """What a person reads who never calls the engine itself."""

    def mail(self, stack: Stack, *arguments: str) -> Finished:
        return mail(arguments[0], stack.name, "-C", stack.folder, *arguments[1:], env=stack.environment, check=False)

    def test_a_record_whose_creation_was_not_answered(self, stack: Stack, emulators: Emulators) -> None:
        """The plugin asks again, and Cloudflare refuses a second one."""
        stack.configure(populations=[])
        lost = {"method": "POST", "path": "*/dns_records", "kind": "502-after", "times": 1}
        emulators.faults("cloudflare", rules=[lost])
        done = self.mail(stack, "apply", "--yes")
        emulators.faults("cloudflare", rules=[])
        assert_quiet(done)
        told = [line for line in done.text.splitlines() if "code 81058: the zone has this very record already" in line]
        assert len(told) == 1, done.text
        assert "take it into the state with: ./mail adopt dev" in told[0]
        assert "stand above" in done.err
        adopted = self.mail(stack, "adopt", "--yes")
        assert adopted.code == 0, adopted.text
        gone = self.mail(stack, "destroy", "--confirm", "dev")
        assert gone.code == 0, gone.text
        assert "pulumi stack rm" not in gone.text

    def test_a_deletion_of_what_is_protected(self, stack: Stack, emulators: Emulators) -> None:
        stack.configure(populations=[], protected="true")
        stack.up()
        emulators.forget_requests()
        stack.configure(
            accountId=None, tunnelHostname=None, inboxService=None, webhookUrl="https://api.agents.example/in"
        )
        for done in (self.mail(stack, "apply", "--yes"), self.mail(stack, "destroy", "--confirm", "dev")):
            assert_quiet(done)
            assert "protected" in done.text
            assert "state unprotect" not in done.text
        assert emulators.writes == 0

    def test_what_the_engine_cannot_even_begin(self, stack: Stack) -> None:
        stack.config_file.write_text(stack.config_file.read_text() + "\n  : : [\n")
        for command in (("apply", "--yes"), ("destroy", "--confirm", "dev")):
            done = self.mail(stack, *command)
            assert_quiet(done)
            [*_, sentence] = done.err.splitlines()
            assert "failed: Pulumi.dev.yaml is no valid YAML" in sentence
            assert "error:" not in done.text

    def test_ctrl_c(self, stack: Stack, emulators: Emulators) -> None:
        stack.configure(populations=[])
        emulators.faults("mailjet", rules=[{"path": "*", "kind": "hang", "seconds": 120}])
        command = [str(ROOT / "mail"), "apply", stack.name, "-C", str(stack.folder), "--yes"]
        with subprocess.Popen(
            command,
            env=stack.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        ) as running:
            try:
                wait_until(lambda: emulators.counts("mailjet")["by"], "the up never began", seconds=60)
                # As a terminal does: to all that the command has started.
                os.killpg(running.pid, signal.SIGINT)
                emulators.faults("mailjet", rules=[])
                said, _ = running.communicate(timeout=120)
            finally:
                if running.poll() is None:
                    os.killpg(running.pid, signal.SIGKILL)
        assert running.returncode == 130, said
        assert "Interrupted; run the command again to go on from here." in said
        for noise in NOISE:
            assert noise not in said, said
