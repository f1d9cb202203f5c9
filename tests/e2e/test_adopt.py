"""Foreign records and accidents, on the real engine: what decision 12 promises, case by case."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest
import requests
import yaml

from tests.e2e.adoption import (
    adopt,
    assert_only_shown_changed,
    place,
    put_random_zone_there,
    put_there,
    shown_ids,
    snapshot,
    values,
)
from tests.e2e.stack import ENGINE, ROOT, Emulators, Stack, mail
from tests.waiting import wait_until
from zone.survey import Place

DOMAIN = "dev.agents.example"
OURS = "managed by pulumi: agentmail-dev"
MX = {"type": "MX", "name": DOMAIN, "content": "mx1.corp.example", "priority": 5, "ttl": 300, "comment": "the owner's"}
SPF = {"type": "TXT", "name": DOMAIN, "content": "v=spf1 mx include:_spf.corp.example -all", "ttl": 300}
DMARC = {"type": "TXT", "name": f"_dmarc.{DOMAIN}", "content": '"v=DMARC1; p=quarantine; pct=50"', "ttl": 300}


def make_stack(emulators: Emulators, folder: Path, **config: object) -> Stack:
    """A stack without agents on a zone as the emulator seeds it."""
    emulators.reset()
    stack = Stack.create(folder, emulators)
    stack.configure(populations=[], **config)
    return stack


def read_only_token(emulators: Emulators) -> str:
    """A token that reads the zone's DNS and nothing else."""
    zone = emulators.status["cloudflare"]["zone_id"]
    policy = {
        "effect": "allow",
        "resources": {f"com.cloudflare.api.account.zone.{zone}": "*"},
        "permission_groups": [{"name": "DNS Read"}],
    }
    made = requests.post(
        f"{emulators.status['cloudflare']['url']}/user/tokens",
        headers={"Authorization": f"Bearer {emulators.credentials['CLOUDFLARE_API_TOKEN']}"},
        json={"name": "preview", "policies": [policy]},
        timeout=10,
    )
    token: str = made.json()["result"]["value"]
    return token


def configuration(stack: Stack) -> dict[str, object]:
    config: dict[str, object] = yaml.safe_load(stack.config_file.read_text())["config"]
    return config


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("stacks")


class TestSecondThoughts:
    """Adopted, but never followed by an up. The tests build on each other, in order."""

    @pytest.fixture(scope="class")
    @classmethod
    def stack(cls, emulators: Emulators, folder: Path) -> Stack:
        stack = make_stack(emulators, folder / "second-thoughts")
        put_there(emulators, MX, SPF, DMARC)
        return stack

    @pytest.fixture(scope="class")
    @classmethod
    def before(cls, stack: Stack, emulators: Emulators) -> dict[str, object]:
        return {"zone": snapshot(emulators), "config": stack.config_file.read_text()}

    def test_unconfirmed_it_does_nothing_but_a_backup(
        self, stack: Stack, emulators: Emulators, before: dict[str, object]
    ) -> None:
        emulators.forget_requests()
        done = adopt(stack, check=False)
        assert done.code == 1
        assert "cannot be confirmed, since there is nobody to ask; nothing was changed; say --yes" in done.err
        assert "To bring the zone back to it: ./mail adopt dev --restore " in done.out
        assert stack.config_file.read_text() == before["config"]
        assert emulators.counts("cloudflare")["writes"] == 0

    def test_adopting_writes_nothing_to_the_zone(
        self, stack: Stack, emulators: Emulators, before: dict[str, object]
    ) -> None:
        done = adopt(stack, stdin="y\n")
        assert "superseded-mx-1" in done.out
        assert "no preview or up goes on before you agree with --replace-mx" in done.out
        assert "is refused until you agree with: ./mail adopt dev --replace-mx" in done.out
        assert emulators.counts("cloudflare")["writes"] == 0
        config = configuration(stack)
        assert config["agentmail:spfMechanisms"] == ["a:mx1.corp.example", "include:_spf.corp.example"]
        assert (config["agentmail:spfQualifier"], config["agentmail:dmarcPolicy"]) == ("-", "quarantine")

    def test_adopting_twice_finds_nothing(self, stack: Stack) -> None:
        config = stack.config_file.read_text()
        assert adopt(stack, "--yes").out == "Nothing to adopt in agents.example for stack 'dev'.\n"
        assert stack.config_file.read_text() == config

    def test_destroy_is_refused_and_touches_nothing(
        self, stack: Stack, emulators: Emulators, before: dict[str, object]
    ) -> None:
        done = stack.destroy(check=False)
        assert done.code != 0
        assert "protected" in done.text
        assert snapshot(emulators) == before["zone"]

    def test_forgetting_leads_back_to_the_start(
        self, stack: Stack, emulators: Emulators, before: dict[str, object]
    ) -> None:
        adopt(stack, "--forget", "--yes")
        assert "agentmail:adoptedRecords" not in configuration(stack)
        done = stack.preview(check=False)
        assert "The zone holds 3 records that this program did not make" in done.text
        assert stack.destroy().code == 0
        assert snapshot(emulators) == before["zone"]


class TestBadInput:
    """One sentence, a non-zero exit, and nothing written."""

    @pytest.fixture(scope="class")
    @classmethod
    def stack(cls, emulators: Emulators, folder: Path) -> Stack:
        return make_stack(emulators, folder / "bad-input")

    def refused(self, stack: Stack, *options: object, **variables: str) -> str:
        words: list[str | Path] = ["adopt", "dev", "-C", stack.folder, *map(str, options)]
        done = mail(*words, env=stack.environment | variables, check=False)
        assert done.code == 1
        assert "Traceback" not in done.text
        assert stack.environment["CLOUDFLARE_API_TOKEN"] not in done.text
        assert not (stack.folder / "zone-backups").exists()
        return done.err.strip()

    def test_a_rejected_token(self, stack: Stack) -> None:
        said = self.refused(stack, CLOUDFLARE_API_TOKEN="x" * 40)
        assert "while listing the zone's records" in said
        assert "expected a token with Zone.DNS Edit" in said

    def test_no_token(self, stack: Stack) -> None:
        assert self.refused(stack, CLOUDFLARE_API_TOKEN="").startswith("cloudflare:apiToken is not set; expected")

    def test_no_such_stack(self, stack: Stack) -> None:
        done = mail("adopt", "nobody", "-C", stack.folder, env=stack.environment, check=False)
        assert done.code == 1
        assert done.err.startswith("`./mail pulumi config` failed: no stack named 'nobody' found in file://")
        assert done.err.count("\n") == 1

    def test_a_configuration_that_is_wrong(self, stack: Stack) -> None:
        good = stack.config_file.read_text()
        stack.configure(domain="dev.elsewhere.example")
        assert "agentmail:domain is 'dev.elsewhere.example', which is outside the zone" in self.refused(stack)
        stack.config_file.write_text(good)

    def test_what_is_no_backup(self, stack: Stack, tmp_path: Path) -> None:
        assert "does not exist; expected a file that an adoption wrote" in self.refused(
            stack, "--restore", tmp_path / "none.json"
        )

    def test_what_a_person_must_settle(self, stack: Stack, emulators: Emulators) -> None:
        put_there(
            emulators, {"type": "CNAME", "name": f"_dmarc.{DOMAIN}", "content": "dmarc.corp.example", "ttl": 300}, MX
        )
        said = self.refused(stack, "--yes")
        assert said.startswith(f"Nothing was changed: _dmarc.{DOMAIN} CNAME dmarc.corp.example is an alias")


class TestRandomZones:
    """A sample of tests/unit/adopt/test_foreign_records.py through the real engine, and the way back by the backup."""

    @pytest.mark.parametrize(("domain", "seed"), [("dev.agents.example", 33), ("agents.example", 63)])
    def test_from_adoption_to_restore_and_destroy(
        self, emulators: Emulators, folder: Path, domain: str, seed: int
    ) -> None:
        stack = make_stack(emulators, folder / f"random-{seed}", domain=domain)
        put_random_zone_there(emulators, seed, domain)
        before = snapshot(emulators)
        stood_there = {place(record, domain) for record in before.values()} - {None}
        assert {Place.MX, Place.SPF, Place.DMARC} <= stood_there

        first = adopt(stack, "--yes")
        assert snapshot(emulators) == before
        refused = stack.preview(check=False)
        assert "state unprotect" not in refused.text
        assert "which needs your consent first" in " ".join(refused.text.split())
        assert snapshot(emulators) == before

        if domain == "agents.example":
            unasked = adopt(stack, "--replace-mx", "--yes", check=False)
            assert "say --confirm agents.example" in unasked.err
        adopt(stack, "--replace-mx", "--yes", "--confirm", "agents.example")
        shown = shown_ids(stack.preview("--json"))
        stack.up()
        assert_only_shown_changed(before, snapshot(emulators), shown, domain)
        assert not [
            r for r in emulators.records() if place(r, domain) is Place.MX and "mailjet" not in r["content"].lower()
        ]
        stack.pulumi("refresh", "--stack", "dev", "--yes", "--skip-preview")
        assert stack.preview("--expect-no-changes").code == 0

        [backup] = [line.rsplit(": ", 1)[1] for line in first.out.splitlines() if line.startswith("Backup of all")]
        adopt(stack, "--yes", "--restore", backup)
        stack.destroy()
        assert values(emulators.records()) == values(before.values())


class TestAccidents:
    """A running stack, and people with access to the dashboard. The tests build on each other, in order."""

    @pytest.fixture(scope="class")
    @classmethod
    def stack(cls, emulators: Emulators, folder: Path) -> Stack:
        stack = make_stack(emulators, folder / "accidents")
        stack.up()
        return stack

    def spf(self, emulators: Emulators) -> dict[str, object]:
        [found] = [r for r in emulators.records() if place(r, DOMAIN) is Place.SPF]
        return found

    def test_a_comment_edited_by_hand(self, stack: Stack, emulators: Emulators) -> None:
        record = self.spf(emulators)
        emulators.cloudflare("PATCH", f"/dns_records/{record['id']}", json={"comment": "do not touch"})
        refused = stack.preview(check=False)
        assert "1 record that this program did not make" in refused.text

        done = adopt(stack, "--yes")
        assert f"Our comment again in the zone ('{OURS}')" in done.out
        assert self.spf(emulators)["comment"] == OURS
        assert self.spf(emulators)["content"] == record["content"]
        assert stack.preview("--expect-no-changes").code == 0

    def test_a_token_that_may_only_read_is_enough_for_a_preview(self, stack: Stack, emulators: Emulators) -> None:
        done = stack.preview("--expect-no-changes", CLOUDFLARE_API_TOKEN=read_only_token(emulators))
        assert "Cloudflare does not show the token of the tunnel 'agentmail-dev' to this API token" in done.text

    def test_a_renamed_stack(self, stack: Stack, emulators: Emulators) -> None:
        stack.pulumi("stack", "rename", "prod", "--stack", "dev")
        stack.name = "prod"
        refused = stack.preview(check=False)
        assert "the last up of this stack had 'agentmail-dev'" in " ".join(refused.text.split())

        emulators.forget_requests()
        done = adopt(stack, "--yes")
        assert "The stack was renamed" in done.out
        assert configuration(stack)["agentmail:ownerTag"] == "agentmail-dev"
        assert emulators.counts("cloudflare")["writes"] == 0
        assert stack.preview("--expect-no-changes").code == 0

    def test_a_record_deleted_by_hand_then_destroy(self, stack: Stack, emulators: Emulators) -> None:
        emulators.cloudflare("DELETE", f"/dns_records/{self.spf(emulators)['id']}")
        stack.destroy()
        assert not [record for record in emulators.records() if record["comment"]]


class TestKilledRun:
    """Killed between Cloudflare's effect and the engine's note of it. The tests build on each other, in order."""

    @pytest.fixture(scope="class")
    @classmethod
    def stack(cls, emulators: Emulators, folder: Path) -> Stack:
        return make_stack(emulators, folder / "killed")

    def ours(self, emulators: Emulators) -> list[dict[str, object]]:
        return [record for record in emulators.records() if record["comment"] == OURS]

    def test_a_preview_that_may_not_look_for_tunnels_says_so(self, stack: Stack, emulators: Emulators) -> None:
        done = stack.preview(CLOUDFLARE_API_TOKEN=read_only_token(emulators))
        said = " ".join(done.text.split())
        assert "does not list the account's tunnels to this API token, so whether 'agentmail-dev' exists is" in said

    def test_the_next_preview_names_the_record_before_anything_is_written(
        self, stack: Stack, emulators: Emulators
    ) -> None:
        emulators.faults(
            "cloudflare", rules=[{"method": "POST", "path": "*/dns_records", "kind": "hang-after", "seconds": 60}]
        )
        command = [ENGINE, "-C", stack.folder, "up", "--stack", "dev", "--yes", "--skip-preview", "--non-interactive"]
        running = subprocess.Popen(
            list(map(str, command)),
            cwd=ROOT,
            env=stack.environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            wait_until(
                lambda: len(self.ours(emulators)) >= 2,
                "two records are written, and their answers withheld",
                seconds=120,
                pause_seconds=0.05,
            )
        finally:
            os.kill(running.pid, signal.SIGKILL)
            running.wait()
        emulators.faults("cloudflare", rules=[])
        stack.pulumi("cancel", "dev", "--yes")

        refused = stack.preview(check=False)
        assert "would be created, but the zone already holds" in " ".join(refused.text.split())
        assert "./mail adopt dev" in refused.text

    def test_adopt_and_up_go_on_from_there(self, stack: Stack, emulators: Emulators) -> None:
        written = {record["id"] for record in self.ours(emulators)}
        done = adopt(stack, "--yes")
        assert "ours; the state knows it again" in done.out
        stack.up()
        assert written <= {record["id"] for record in self.ours(emulators)}
        assert stack.preview("--expect-no-changes").code == 0

    def test_a_tunnel_that_the_state_has_lost(self, stack: Stack, emulators: Emulators) -> None:
        [tunnel] = [t for t in emulators.state("cloudflare")["tunnels"] if not t["deleted_at"]]
        exported = stack.pulumi("stack", "export", "--stack", "dev").out
        [urn] = {word.strip('",') for word in exported.split() if word.strip('",').endswith("::api-tunnel")}
        stack.pulumi("state", "delete", urn, "--stack", "dev", "--force", "--target-dependents", "--yes")
        for refused in (stack.preview(check=False), stack.up(check=False)):
            said = " ".join(refused.text.split())
            assert "the account already has a tunnel 'agentmail-dev' (id " + tunnel["id"] in said
            assert "take it into the state with: ./mail adopt dev" in said
        done = adopt(stack, "--yes")
        assert "api-tunnel" in done.out
        stack.up()
        assert [t["id"] for t in emulators.state("cloudflare")["tunnels"] if not t["deleted_at"]] == [tunnel["id"]]

    def test_discard_deletes_what_no_state_knows(self, stack: Stack, emulators: Emulators) -> None:
        stray = {"type": "TXT", "name": "old.agents.example", "content": "left over", "ttl": 300, "comment": OURS}
        [stray_id] = put_there(emulators, stray)
        assert "carries this stack's mark, but the program declares no such record" in adopt(stack, "--yes").out
        before = snapshot(emulators)
        adopt(stack, "--discard", "--yes")
        assert snapshot(emulators) == {key: value for key, value in before.items() if key != stray_id}
